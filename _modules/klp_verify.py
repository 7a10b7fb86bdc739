"""
Is this host live patched as declared? The third file of the module ``klp``.

:depends: ``klp``, ``rpm``; ``lsinitrd`` for the check of the initrd
:pillar: ``klp:verify``
"""

import os

import salt.utils.path
from salt.exceptions import CommandExecutionError

__virtualname__ = "klp"

TAINTED = "/proc/sys/kernel/tainted"
LOOKS = 3  # how often the sources are asked while the kernel moves


def __virtual__():
    if "klp_checks.verdict" not in __utils__:
        return False, "klp: _utils/klp_checks.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _run(argv, timeout=60):
    return __utils__["klp_cmd.run"](__salt__["cmd.run_all"], argv, timeout=timeout)["stdout"]


def _told(reader, argv):
    """Return ``{"value"}`` of what a program said, or ``{"error"}`` with the reason why that is not known."""
    try:
        return {"value": __utils__[reader](_run(argv))}
    except (CommandExecutionError, ValueError) as exc:
        return {"error": str(exc)}


def _modules(name):
    return __utils__["klp_parse.modules"](_run(["rpm", "-ql", name]))


def _initrd(release, wanted):
    if not wanted:
        return {"skipped": "pillar klp:verify:initrd is false"}
    if not salt.utils.path.which("lsinitrd"):
        return {"skipped": "this host has no lsinitrd"}
    try:
        return {"value": initrd(release)}
    except CommandExecutionError as exc:
        return {"error": str(exc)}


def initrd(release):
    """
    Return the list of an initrd (text of lsinitrd, which is slow); kept until the file changes.

    release
        of the kernel, as ``uname -r`` has it.

    CLI Example::

        salt '*' klp.initrd 5.14.21-150500.55.7-default
    """
    path = f"/boot/initrd-{__utils__['klp_parse.kernel'](release)['release']}"
    world = [path, [list(item) for item in __utils__["klp_sys.fingerprint"]([path])]]
    name = f"initrd-{release}"
    there = __utils__["klp_record.recall"](name, world)
    if there:
        return there["answer"]
    return __utils__["klp_record.remember"](name, world, _run(["lsinitrd", path], timeout=300))


def sources():
    """
    Return what the kernel and the klp tool say of one moment.

    Returns ``{"sysfs": [as klp.status has it], "transition", "patches"}``, the last two ``{"value"}`` or ``{"error"}``.
    The kernel is read before and after the tool is asked, and both are asked again where it has moved in between, as
    it does when somebody else's rpm loads a live patch just then.

    CLI Example::

        salt '*' klp.sources
    """
    tool = __salt__["klp.family"]()["tool"]
    for _ in range(LOOKS):
        found = {
            "sysfs": __salt__["klp.status"]()["patches"],
            "transition": _told("klp_parse.transition", [tool, "status"]),
            "patches": _told("klp_parse.patches", [tool, "-v", "patches"]),
        }
        if __salt__["klp.status"]()["patches"] == found["sysfs"]:
            break
    return found


def verify():
    """
    Compare what rpm, sysfs and the klp tool say about this host, and what a reboot would find.

    Returns ``{"verdict", "kernel", "live_patch" (edition or None), "cves" (list), "checks": [{"check", "verdict",
    "detail"}]}``. ``verdict`` is ``ok``, ``blocked``, ``reboot_needed``, ``unsupported``, ``failed`` or ``unknown``.
    Source: the checks of SUSE's kernel QA (openQA, lib/klp.pm).

    CLI Example::

        salt '*' klp.verify
    """
    uname, answer = os.uname(), {"kernel": os.uname().release, "live_patch": None, "cves": [], "checks": []}
    try:
        unsupported = __salt__["klp.refusal"]()
    except CommandExecutionError as exc:
        unsupported = str(exc)
    if unsupported:
        checks = [__utils__["klp_checks.check"]("kernel", "unsupported", unsupported)]
        return dict(answer, verdict="unsupported", checks=checks)
    package, said = __salt__["klp.package"](), sources()
    checks = _checks(uname, package, said)
    told = [cve for patch in said["patches"].get("value", []) if patch["active"] for cve in patch["cves"]]
    verdict = __utils__["klp_checks.verdict"](checks)
    return dict(answer, verdict=verdict, live_patch=package["edition"], cves=sorted(told), checks=checks)


def _checks(uname, package, said):
    wanted = __utils__["klp_pillar.settings"](__pillar__.get("klp"))["verify"]
    kernel = __utils__["klp_parse.kernel"](uname.release)
    sysfs, editions = said["sysfs"], __salt__["klp.rpms"]().get(package["name"], [])
    modules = _modules(package["name"]) if editions else []
    kernels = __salt__["klp.rpms"]().get(f"kernel-{kernel['flavour']}", [])
    judge = {
        name: __utils__[f"klp_checks.{name}"]
        for name in ("transition", "active", "package", "kernel", "locks", "uname", "taint", "initrd", "reboot")
    }
    hold, names = __salt__["klp.held"](), __utils__["klp_family.names"](uname.release)
    return [
        judge["transition"](sysfs, said["transition"], __salt__["klp.blockers"]()),
        judge["active"](sysfs, said["patches"]),
        judge["package"](sysfs, said["patches"], package["name"], editions, modules),
        judge["kernel"](uname.release, kernels, kernel["flavour"], kernel["version"]),
        judge["locks"](__salt__["klp.unlocked"]()),
        judge["uname"](uname.version),
        judge["taint"](__utils__["klp_sys.text"](TAINTED), wanted["unsigned_modules"]),
        judge["initrd"](_initrd(uname.release, wanted["initrd"]), modules, names),
        judge["reboot"](__salt__["zypper.needs_rebooting"](), __salt__["root_backup.pending_restore"]()),
    ] + ([_held(package, hold)] if hold and hold["package"] == package["name"] else [])


def _held(package, hold):
    missing, age = (
        __salt__["zypper.missing_locks"]([f"{hold['package']}>{hold['edition']}"]),
        __utils__["klp_parse.age"],
    )
    above = package["edition"] is not None and age(package["edition"]) > age(hold["edition"])
    return __utils__["klp_checks.held"](package["edition"], above, hold, missing)
