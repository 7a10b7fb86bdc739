"""
What GRUB starts next: a new kernel once, with the old one as default, and back.

``saved_entry`` is the default, ``next_entry`` goes first for one start: GRUB itself takes it out of its environment
block before it starts anything. Where it cannot write that block, a kernel that does not come up would be started again
for ever, so that such a host never falls back by itself.

Sources: the manual of GRUB 2 ("Environment block": plain disks, no checksums, BIOS or EFI; on btrfs the block in its
header); what GRUB lacks write support for: 00_header with recordfail (check_writable); grub2-once; grub2-editenv(1).
"""

import os

import salt.utils.path
from salt.exceptions import CommandExecutionError

import klp_grub
import klp_menu
import klp_paths
import klp_record

EDITENV, PROBE = "grub2-editenv", "grub2-probe"
FIRMWARE = ("x86_64", "aarch64")  # BIOS and EFI: with another firmware GRUB writes nothing
# File systems that GRUB writes to, or rather over the blocks of a file; btrfs only with the block in its header.
WRITABLE = ("ext2", "xfs", "fat", "jfs", "reiserfs", "minix", "nilfs2", "exfat", "f2fs")
NO_GRUB = "this host has no {}: the boot loader is not understood"
NO_ENTRY = "GRUB's menu has no entry for kernel {} alone; run: grub2-mkconfig -o /boot/grub2/grub.cfg"
NOT_SAVED = (
    "GRUB does not take its default from saved_entry; set GRUB_DEFAULT=saved in /etc/default/grub and run: "
    "grub2-mkconfig -o /boot/grub2/grub.cfg"
)
NOT_NEXT = "GRUB's configuration does not know next_entry; run: grub2-mkconfig -o /boot/grub2/grub.cfg"
ONCE = "GRUB cannot start a kernel once on this host: {}"
GONE = {"next_entry": None, "prev_saved_entry": None}  # what goes before the default, or takes its place
NOTHING = {"once": False, "saved": False, "entry": None, "default": ""}


def look(host, release):
    """
    Return what GRUB can do for a kernel that is in its menu.

    release
        ``uname -r``.

    ``{"once" (bool: it can be the default while another is started once), "saved" (bool: it can be made the default),
    "entry" (name of its entry, or None), "default" (``saved_entry`` as it is now), "why" (what is missing for ``once``,
    one sentence, or None)}``. Changes nothing.
    """
    if not os.path.exists(f"{klp_paths.GRUB}/grub.cfg"):
        return dict(NOTHING, why=NO_GRUB.format(f"{klp_paths.GRUB}/grub.cfg"))
    try:
        menu, env = klp_menu.menu(), klp_menu.variables(host)
        entry = klp_menu.entry_of(klp_grub.entries(menu), release)
        found = dict(NOTHING, entry=entry, default=env.get("saved_entry", ""), why=None)
        if entry is None:
            return dict(found, why=NO_ENTRY.format(release))
        found["saved"] = _chosen(menu, _cleared(env, saved_entry=entry)) == (release, "saved_entry")
        once = _chosen(menu, _cleared(env, next_entry=entry)) == (release, "next_entry")
    except (CommandExecutionError, ValueError) as exc:
        return dict(NOTHING, why=f"the boot loader is not understood: {exc}")
    why = NOT_SAVED if not found["saved"] else NOT_NEXT if not once else _unwritable(host, env)
    return dict(found, once=why is None, why=why)


def _cleared(env, **more):
    """Return the variables without those that go before the default."""
    return dict({name: env[name] for name in env if name not in GONE}, **more)


def _chosen(menu, env):
    """Return which kernel starts next and by which variable; no kernel where that is not certain."""
    found = klp_grub.default(menu, env)
    return klp_menu.starts(found["entry"]), found["by"]


def _unwritable(host, env):
    """Return why GRUB cannot write its environment block when it starts, one sentence, or ``None``."""
    machine = os.uname().machine
    if machine not in FIRMWARE:
        return ONCE.format(f"it writes its environment block with BIOS and EFI only, and this is {machine}")
    for program in (EDITENV, PROBE):
        if not salt.utils.path.which(program):
            return NO_GRUB.format(program)
    kind, below = (
        host.run([PROBE, f"--target={target}", klp_paths.GRUB])["stdout"].split() for target in ("fs", "abstraction")
    )
    if below:
        return ONCE.format(f"{klp_paths.GRUB} is on {', '.join(below)}, where it cannot write its environment block")
    if kind == ["btrfs"] and not env.get("env_block"):
        block = "and its environment block has no env_block, as GRUB of SUSE makes it"
        return ONCE.format(
            f"{klp_paths.GRUB} is on btrfs, {block}; run: grub2-editenv create, and set saved_entry anew"
        )
    if kind != ["btrfs"] and not set(kind) & set(WRITABLE):
        return ONCE.format(f"{klp_paths.GRUB} is on {' '.join(kind) or 'unknown'}, where it cannot write")
    return None


def upcoming(host):
    """
    Return what GRUB starts next: ``{"next", "default" (releases, or None where that is not known), "once" (bool)}``.

    ``next`` is that of the next start, ``default`` that of all later ones.
    """
    try:
        menu, env = klp_menu.menu(), klp_menu.variables(host)
        first, by = _chosen(menu, env)
        return {"next": first, "default": _chosen(menu, _cleared(env))[0], "once": by == "next_entry"}
    except (CommandExecutionError, ValueError):
        return {"next": None, "default": None, "once": False}


def make_default(host, release):
    """Make a kernel the default, and take away what would be started once before it; read back."""
    found = look(host, release)
    if not found["saved"]:
        raise CommandExecutionError(f"{found['why']}: the default is as it was")
    _write(host, saved_entry=found["entry"], **GONE)
    _require(host, release, release)


def put_back(host, wanted, release):
    """
    Make a kernel the default by the ``saved_entry`` that the administrator had, if that starts it as well; read back.

    wanted
        that one; empty: there was none.
    """
    try:
        menu, env = klp_menu.menu(), klp_menu.variables(host)
        same = _chosen(menu, _cleared(env, saved_entry=wanted))[0] == release
    except (CommandExecutionError, ValueError):
        same = False
    if not same:
        make_default(host, release)
        return
    _write(host, saved_entry=wanted or None, **GONE)
    _require(host, release, release)


def start_once(host, release, default):
    """Let the next start be one of a kernel, and all later ones of another, the default; read back."""
    found = look(host, release)
    if not found["once"]:
        raise CommandExecutionError(f"{found['why']}: the next start is as it was")
    _write(host, next_entry=found["entry"])
    _require(host, release, default)


def _write(host, **wanted):
    """Set variables of the environment block, ``None`` takes one away; what is so already is not written."""
    env = klp_menu.variables(host)
    gone = sorted(name for name, value in wanted.items() if value is None and name in env)
    new = [f"{name}={value}" for name, value in sorted(wanted.items()) if value is not None and env.get(name) != value]
    if new:
        host.run([EDITENV, "-", "set", *new])
    if gone:
        host.run([EDITENV, "-", "unset", *gone])
    if new or gone:
        klp_record.flush(f"{klp_paths.GRUB}/grubenv")  # GRUB reads the disk, and a power cut may come


def _require(host, first, later):
    found = upcoming(host)
    if (found["next"], found["default"]) != (first, later):
        said = f"GRUB would start {found['next'] or 'unknown'}, and then {found['default'] or 'unknown'}"
        raise CommandExecutionError(
            f"{EDITENV}: wanted {first} to start next, and then {later}, but {said}; look at: {EDITENV} list"
        )


def panic(parameters):
    """Return the seconds after which a kernel that panics starts the host anew, ``None`` where it stays halted."""
    found = [word[len("panic=") :] for word in parameters.split() if word.startswith("panic=")]
    number = found[-1] if found else ""
    return int(number) if number.lstrip("-").isdigit() and int(number) != 0 else None
