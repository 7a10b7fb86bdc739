"""
The menu of GRUB on this host: its files, the variables of its environment block, and which entry starts which kernel.

Source: the sources of ``klp_grub`` and ``klp_boot``; grub2-editenv(1).
"""

import os

from salt.exceptions import CommandExecutionError

import klp_boot
import klp_grub
import klp_paths
import klp_sys


def text(path):
    """Return the text of a file that the answer depends on; raises CommandExecutionError where it cannot be read."""
    found = klp_sys.text(path)
    if found is None:
        raise CommandExecutionError(f"{path} cannot be read")
    return found


def menu():
    """Return GRUB's configuration with the files that it reads at its end."""
    found = [text(f"{klp_paths.GRUB}/grub.cfg")]
    for path in (f"{klp_paths.GRUB}/custom.cfg", klp_paths.GRUB_SNAPSHOTS):
        if os.path.exists(path) and os.path.basename(path) in found[0]:
            found.append(text(path))
    return "\n".join(found)


def variables(host):
    """Return the variables of GRUB's environment block, and of the one on btrfs that it may name."""
    path = f"{klp_paths.GRUB}/grubenv"
    found = klp_grub.environment(text(path)) if os.path.exists(path) else {}
    if "env_block" in found:
        found = klp_grub.environment(host.run(["grub2-editenv", "list"])["stdout"], listed=True)
    return found


def name(path):
    """Return the name of a file in /boot, of a link like ``vmlinuz`` that of the file it leads to."""
    return os.path.basename(os.path.realpath(os.path.join(klp_paths.BOOT, os.path.basename(path))))


def kernel(entry):
    """Return the release of the kernel that an entry starts, and why it is not known."""
    if entry["linux"] is None:
        return None, [f"what entry {entry['title']!r} starts is not known"]
    there = klp_boot.elsewhere(entry)
    release = klp_boot.kernel_of(name(entry["linux"]))
    if there or not release:
        return None, [there or f"the name of kernel {entry['linux']} holds no release"]
    if f"initrd-{release}" not in [name(path) for path in entry["initrd"] if path]:
        names = ", ".join(path or "unknown" for path in entry["initrd"]) or "none"
        return release, [f"entry {entry['title']!r} starts {release} with another initrd: {names}"]
    return release, []


def starts(entry):
    """Return the release of the kernel that an entry certainly starts, with its own initrd; else ``None``."""
    release, unknown = kernel(entry) if entry and entry["linux"] else (None, [])
    return None if unknown else release


def entry_of(found, release, above=()):
    """
    Return the name of an entry that goes on starting a kernel when others come, as ``saved_entry`` takes it, or None.

    found
        a menu, as ``klp_grub.entries`` has it.
    release
        ``uname -r``; it has to be part of the id or the title: the entry "SLES" starts whatever kernel is the newest.
    """
    for entry in found:
        own = entry["id"] or entry["title"] or ""
        path = [*above, own.replace(">", ">>")]
        if entry["kind"] == "submenu" and entry["sure"] and own:
            deeper = entry_of(entry["entries"], release, path)
            if deeper:
                return deeper
        elif entry["sure"] and starts(entry) == release and _names(entry, release):
            return ">".join(path)
    return None


def _names(entry, release):
    """Return whether an entry is one for this very kernel, and not the one that repairs a system."""
    words = f"{entry['id']} {entry['title']}"
    return release in words and "recovery" not in words
