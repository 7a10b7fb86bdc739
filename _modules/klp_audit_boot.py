"""
If this host were restarted now, what would come up? Reads only. The third file of the module ``klp_audit``.

:depends: ``zypper``, ``rpm``, ``lsinitrd``; ``btrfs`` where the root is btrfs; ``grub2-editenv`` where GRUB keeps
    variables outside of its environment block
"""

import glob
import os

import salt.utils.path
from salt.exceptions import CommandExecutionError

__virtualname__ = "klp_audit"

BOOT = "/boot"
GRUB = "/boot/grub2"
SNAPSHOTS = "/.snapshots/grub-snapshot.cfg"
LOADERS = ["/boot/efi/loader", "/boot/loader"]
CHOICES = ["/sys/firmware/efi/efivars/LoaderEntryOneShot-*", "/sys/firmware/efi/efivars/LoaderEntryDefault-*"]
PURGE = "/boot/do_purge_kernels"
MOUNTS = "/proc/self/mountinfo"


def __virtual__():
    if "klp_boot.judge" not in __utils__ or "klp_grub.default" not in __utils__:
        return False, "klp_audit: _utils/klp_boot.py or klp_grub.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp_audit: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _run(argv, timeout=60):
    return __utils__["klp_cmd.run"](__salt__["cmd.run_all"], argv, timeout=timeout)["stdout"]


def _text(path):
    """Return the text of a file that the answer depends on."""
    text = __utils__["klp_sys.text"](path)
    if text is None:
        raise CommandExecutionError(f"{path} cannot be read")
    return text


def _menu():
    """Return GRUB's configuration with the files that it reads at its end."""
    found = [_text(f"{GRUB}/grub.cfg")]
    for path in (f"{GRUB}/custom.cfg", SNAPSHOTS):
        if os.path.exists(path) and os.path.basename(path) in found[0]:
            found.append(_text(path))
    return "\n".join(found)


def _variables():
    """Return the variables of GRUB's environment block, and of the one on btrfs that it may name."""
    path = f"{GRUB}/grubenv"
    found = __utils__["klp_grub.environment"](_text(path)) if os.path.exists(path) else {}
    if "env_block" in found:
        found = __utils__["klp_grub.environment"](_run(["grub2-editenv", "list"]), listed=True)
    return found


def _loader(folder):
    files = {os.path.basename(path): _text(path) for path in glob.glob(f"{folder}/entries/*.conf")}
    answer = __utils__["klp_boot.loader_default"](_text(f"{folder}/loader.conf"), files)
    if any(glob.glob(pattern) for pattern in CHOICES):
        answer.update(entry=None, notes=["the firmware has a choice of systemd-boot of its own (bootctl)"])
    return answer


def _next():
    """Return what the boot loader starts next, as ``klp_grub.default`` has it; without an entry a note says why."""
    try:
        if os.path.exists(f"{GRUB}/grub.cfg"):
            return __utils__["klp_grub.default"](_menu(), _variables())
        for folder in LOADERS:
            if os.path.isdir(f"{folder}/entries"):
                return _loader(folder)
    except (CommandExecutionError, ValueError) as exc:
        return {"entry": None, "notes": [str(exc)]}
    return {"entry": None, "notes": [f"neither {GRUB}/grub.cfg nor entries of systemd-boot are here"]}


def _name(path):
    """Return the name of a file in /boot, of a link like ``vmlinuz`` that of the file it leads to."""
    return os.path.basename(os.path.realpath(os.path.join(BOOT, os.path.basename(path))))


def _kernel(entry):
    """Return the release of the kernel that an entry starts, and why it is not known."""
    if entry["linux"] is None:
        return None, [f"what entry {entry['title']!r} starts is not known"]
    there = __utils__["klp_boot.elsewhere"](entry)
    release = __utils__["klp_boot.kernel_of"](_name(entry["linux"]))
    if there or not release:
        return None, [there or f"the name of kernel {entry['linux']} holds no release"]
    if f"initrd-{release}" not in [_name(path) for path in entry["initrd"] if path]:
        names = ", ".join(path or "unknown" for path in entry["initrd"]) or "none"
        return release, [f"entry {entry['title']!r} starts {release} with another initrd: {names}"]
    return release, []


def _snapshot():
    """Return the name of another snapshot that would be mounted, or ``None``, and why nothing is known of it."""
    try:
        table, default = _text(MOUNTS), None
        if __utils__["klp_boot.snapshot"](None, table):
            default = _run(["btrfs", "subvolume", "get-default", "/"])
        found = __utils__["klp_boot.snapshot"](default, table) or {"state": "same"}
    except (CommandExecutionError, ValueError) as exc:
        return None, [f"which snapshot is mounted at the next start is not known: {exc}"]
    if found["state"] == "same":
        return None, []
    return found["name"], [f"would mount another snapshot, of which nothing here tells: {found['name']}"]


def _restoration():
    try:
        waiting = __salt__["root_backup.pending_restore"]()
    except CommandExecutionError as exc:
        return [str(exc)]
    return [f"would come up with backup {waiting['backup']}, which is being restored"] if waiting else []


def _unsupported(release):
    try:
        return __utils__["klp_parse.unsupported"](release, os.uname().machine)
    except ValueError as exc:
        return str(exc)


def _package(release):
    """Return ``{"package", "editions", "module", "unsupported", "error"}`` of a kernel's live patch package."""
    found = {"package": None, "editions": [], "module": None, "unsupported": _unsupported(release), "error": []}
    if found["unsupported"]:
        return found
    found["package"] = __utils__["klp_parse.package_name"](release)
    try:
        found["editions"] = __salt__["zypper.installed"]([found["package"]]).get(found["package"], [])
    except CommandExecutionError as exc:
        found["error"] = [str(exc)]
    if len(found["editions"]) == 1:
        found["module"] = __utils__["klp_parse.module_name"](found["editions"][0], release)
    return found


def _initrd(release):
    """Return ``{"value"}``, what lsinitrd says of a kernel's initrd, or ``{"error"}``; slow on a real host."""
    try:
        return {"value": __salt__["klp.initrd"](release)}
    except CommandExecutionError as exc:
        return {"error": str(exc)}


def _loaded(release, module):
    """Return the check of a kernel's initrd, and the live patch modules that it loads."""
    if module is None:
        return None, []
    said = _initrd(release)
    lines = [line.strip() for line in said.get("value", "").splitlines()]
    names = __utils__["klp_family.names"](release)
    found = __utils__["klp_parse.modules"]("\n".join(lines)) if names["dracut"] in lines else []
    return __utils__["klp_checks.initrd"](said, [module], names), sorted(set(found))


def _active():
    try:
        return __salt__["klp.status"]()["active"]
    except CommandExecutionError:
        return None


def _purge(release):
    """Return what purge-kernels does to the running kernel, and why it is not known."""
    running = os.uname().release
    parts = running.rsplit("-", 1)
    keep = __utils__["klp_sys.option"](__salt__["klp.family"]()["zypp_conf"], "main", "multiversion.kernels")
    try:
        locked = bool(__salt__["zypper.locked"]([f"kernel-{parts[-1]}"]))
    except CommandExecutionError:
        locked = False
    again = None if release is None else release == running
    return __utils__["klp_boot.purge"](os.path.exists(PURGE), keep, parts[0], again, locked)


def _facts(entry):
    """Return what ``klp_boot.judge`` has to know of an entry, or of none; the initrd is looked at last, it is slow."""
    release, unknown = _kernel(entry) if entry else (None, [])
    facts = {"kernel": release, "running": os.uname().release, "active": _active(), "purge": _purge(release)}
    if release is None:
        return dict(facts, editions=[], module=None, unknown=unknown)
    found = _package(release)
    facts.update(found, image=os.path.exists(f"{BOOT}/{_name(entry['linux'])}"), unknown=unknown + found["error"])
    return facts


def reboot_safety():
    """
    Return what would come up if this host were restarted now; changes nothing, and does not restart anything.

    Returns ``{"verdict", "entry" (title in the boot loader, or None), "kernel" (release, or None), "live_patch"
    (edition, or None), "initrd" (bool: its module is in there, or None), "purge": {"pending" (bool), "keep", "kept"
    (bool or None: the running kernel stays)}, "snapshot" (another one that would be mounted, or None), "reasons"}``.
    ``verdict`` is ``ok`` (it comes up live patched), ``failed`` (without a live patch, or with an older one than is
    active now) or ``unknown``. Starts one rpm and one lsinitrd, no zypper.

    CLI Example::

        salt '*' klp_audit.reboot_safety
    """
    chosen, (snapshot, unknown) = _next(), _snapshot()
    entry = chosen["entry"]
    facts = _facts(entry)
    unknown = unknown + _restoration() + facts["unknown"] + ([] if entry else chosen["notes"])
    check, found = _loaded(facts["kernel"], None if unknown else facts["module"])
    facts.update(unknown=unknown, notes=chosen["notes"] if entry else [], initrd=check, found=found)
    answer = {
        "entry": entry["title"] if entry else None,
        "kernel": facts["kernel"],
        "live_patch": facts["editions"][0] if len(facts["editions"]) == 1 else None,
        "initrd": {"ok": True, "failed": False}.get(check["verdict"]) if check else None,
        "purge": facts["purge"],
        "snapshot": snapshot,
    }
    return dict(answer, **__utils__["klp_boot.judge"](facts))
