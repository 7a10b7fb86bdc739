"""
If this host were restarted now, what would come up? Reads only.

Source: the sources of ``klp_grub`` and ``klp_boot``, lsinitrd(1), btrfs-subvolume(8).
"""

import glob
import os

from salt.exceptions import CommandExecutionError

import klp_boot
import klp_checks
import klp_family
import klp_grub
import klp_initrd
import klp_live
import klp_menu
import klp_parse
import klp_paths
import klp_restoring
import klp_sys
import zypp_lockfile
import zypp_packages


def _loader(folder):
    files = {os.path.basename(path): klp_menu.text(path) for path in glob.glob(f"{folder}/entries/*.conf")}
    answer = klp_boot.loader_default(klp_menu.text(f"{folder}/loader.conf"), files)
    if any(glob.glob(pattern) for pattern in klp_paths.LOADER_CHOICES):
        answer.update(entry=None, notes=["the firmware has a choice of systemd-boot of its own (bootctl)"])
    return answer


def _next(host):
    """Return what the boot loader starts next, as ``klp_grub.default`` has it; without an entry a note says why."""
    try:
        if os.path.exists(f"{klp_paths.GRUB}/grub.cfg"):
            return klp_grub.default(klp_menu.menu(), klp_menu.variables(host))
        for folder in klp_paths.LOADERS:
            if os.path.isdir(f"{folder}/entries"):
                return _loader(folder)
    except (CommandExecutionError, ValueError) as exc:
        return {"entry": None, "notes": [str(exc)]}
    return {"entry": None, "notes": [f"neither {klp_paths.GRUB}/grub.cfg nor entries of systemd-boot are here"]}


def _snapshot(host):
    """Return the name of another snapshot that would be mounted, or ``None``, and why nothing is known of it."""
    try:
        table, default = klp_menu.text(klp_paths.MOUNTS), None
        if klp_boot.snapshot(None, table):
            default = host.run(["btrfs", "subvolume", "get-default", "/"])["stdout"]
        found = klp_boot.snapshot(default, table) or {"state": "same"}
    except (CommandExecutionError, ValueError) as exc:
        return None, [f"which snapshot is mounted at the next start is not known: {exc}"]
    if found["state"] == "same":
        return None, []
    return found["name"], [f"would mount another snapshot, of which nothing here tells: {found['name']}"]


def _restoration(host):
    try:
        waiting = klp_restoring.pending()
    except CommandExecutionError as exc:
        return [str(exc)]
    return [f"would come up with backup {waiting['backup']}, which is being restored"] if waiting else []


def _unsupported(release):
    try:
        return klp_parse.unsupported(release, os.uname().machine)
    except ValueError as exc:
        return str(exc)


def _package(host, release):
    """Return ``{"package", "editions", "module", "unsupported", "error"}`` of a kernel's live patch package."""
    found = {"package": None, "editions": [], "module": None, "unsupported": _unsupported(release), "error": []}
    if found["unsupported"]:
        return found
    found["package"] = klp_parse.package_name(release)
    try:
        found["editions"] = zypp_packages.installed(host, [found["package"]]).get(found["package"], [])
    except CommandExecutionError as exc:
        found["error"] = [str(exc)]
    if len(found["editions"]) == 1:
        found["module"] = klp_parse.module_name(found["editions"][0], release)
    return found


def _initrd(host, release):
    """Return ``{"value"}``, what lsinitrd says of a kernel's initrd, or ``{"error"}``; slow on a real host."""
    try:
        return {"value": klp_initrd.text(host, release)}
    except CommandExecutionError as exc:
        return {"error": str(exc)}


def _loaded(host, release, module):
    """Return the check of a kernel's initrd, and the live patch modules that it loads."""
    if module is None:
        return None, []
    said = _initrd(host, release)
    lines = [line.strip() for line in said.get("value", "").splitlines()]
    names = klp_family.names(release)
    found = klp_parse.modules("\n".join(lines)) if names["dracut"] in lines else []
    return klp_checks.initrd(said, [module], names), sorted(set(found))


def _active(host):
    try:
        return klp_live.status(host)["active"]
    except CommandExecutionError:
        return None


def _purge(host, release):
    """Return what purge-kernels does to the running kernel, and why it is not known."""
    running = os.uname().release
    parts = running.rsplit("-", 1)
    keep = klp_sys.option(host.family["zypp_conf"], "main", "multiversion.kernels")
    try:
        locked = bool(zypp_lockfile.locked([f"kernel-{parts[-1]}"]))
    except CommandExecutionError:
        locked = False
    again = None if release is None else release == running
    return klp_boot.purge(os.path.exists(klp_paths.PURGE), keep, parts[0], again, locked)


def _facts(host, entry):
    """Return what ``klp_boot.judge`` has to know of an entry, or of none; the initrd is looked at last, it is slow."""
    release, unknown = klp_menu.kernel(entry) if entry else (None, [])
    facts = {"kernel": release, "running": os.uname().release, "active": _active(host), "purge": _purge(host, release)}
    if release is None:
        return dict(facts, editions=[], module=None, unknown=unknown)
    found = _package(host, release)
    image = os.path.exists(f"{klp_paths.BOOT}/{klp_menu.name(entry['linux'])}")
    facts.update(found, image=image, unknown=unknown + found["error"])
    return facts


def reboot_safety(host):
    """
    Return what would come up if this host were restarted now; changes nothing, and does not restart anything.

    Returns ``{"verdict", "entry" (title in the boot loader, or None), "kernel" (release, or None), "live_patch"
    (edition, or None), "initrd" (bool: its module is in there, or None), "purge": {"pending" (bool), "keep", "kept"
    (bool or None: the running kernel stays)}, "snapshot" (another one that would be mounted, or None), "reasons"}``.
    ``verdict`` is ``ok`` (it comes up live patched), ``failed`` (without a live patch, or with an older one than is
    active now) or ``unknown``. Starts one rpm and one lsinitrd, no zypper.
    """
    chosen, (snapshot, unknown) = _next(host), _snapshot(host)
    entry = chosen["entry"]
    facts = _facts(host, entry)
    unknown = unknown + _restoration(host) + facts["unknown"] + ([] if entry else chosen["notes"])
    check, found = _loaded(host, facts["kernel"], None if unknown else facts["module"])
    facts.update(unknown=unknown, notes=chosen["notes"] if entry else [], initrd=check, found=found)
    answer = {
        "entry": entry["title"] if entry else None,
        "kernel": facts["kernel"],
        "live_patch": facts["editions"][0] if len(facts["editions"]) == 1 else None,
        "initrd": {"ok": True, "failed": False}.get(check["verdict"]) if check else None,
        "purge": facts["purge"],
        "snapshot": snapshot,
    }
    return dict(answer, **klp_boot.judge(facts))
