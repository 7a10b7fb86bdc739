"""
The end of live patching on a host: another file of the module ``klp``.

It goes from the least to the most: packages first, then the hold of a live patch, the locks of the kernel last, so that
nothing can bring a kernel while packages are being removed, and the same command finishes what was cut off.

No backup is made here. Nothing is installed and nothing of the system changes but the packages of live patching, and
the way back is not a backup of the root volume but ``state.apply klp``, which makes one before it installs them again.

:depends: ``zypper``, ``rpm``; ``klp`` for what the live patch fixes, ``lsinitrd`` for what the next boot loads
:pillar: ``klp:disable``, ``klp:tools``, ``klp:locks`` (see ``docs/reference/pillar.md``)
"""

import os
import re

import salt.utils.path
from salt.exceptions import CommandExecutionError

__virtualname__ = "klp"

SYSFS = "/sys/kernel/livepatch"
BOOT = "/boot"
PRODUCTS = "/etc/products.d"
OWN_LOCKS = "locks"  # record of klp_record: what zypper.add_locks has locked

FREE = "ordinary patching (zypper patch) may bring a new kernel from now on; it runs after a reboot"
LOCKED = "still locked, by others or because pillar klp:disable:locks is false: {}; ordinary patching leaves them alone"
ACTIVATED = (
    "the product {} stays activated and may bring a live patch with the next kernel; to give it back: SUSEConnect "
    "--de-register --product NAME/VERSION/ARCH, as SUSEConnect --list-extensions shows it"
)


def __virtual__():
    if "klp_checks.verdict" not in __utils__:
        return False, "klp: _utils/klp_checks.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _settings():
    return __utils__["klp_pillar.settings"](__pillar__.get("klp"))


def _status():
    """Return ``klp.status``; a kernel that offers no live patching has no live patch and no transition."""
    if not os.path.isdir(SYSFS):
        return {"transition": "ready", "patches": []}
    return __salt__["klp.status"]()


def remains(check=False):
    """
    Return what of live patching is on this host and is taken away by ``klp.disable``, as pillar ``klp:disable`` says.

    check
        also raise what ``klp.disable`` would raise; starts zypper where packages are to be removed.

    Returns ``{"packages": {name: edition}, "locks": [names], "held" (edition or None)}``: the packages of ``klp:tools``
    and the pattern, live patch packages of every kernel, locks of ours on kernel packages and on those of
    ``klp:locks:extra``. The hold of a live patch goes with the live patch packages.

    CLI Example::

        salt '*' klp.remains check=True
    """
    wanted, there = _settings(), __salt__["zypper.packages"]()
    names = _tools(__salt__["klp.tools"]()) if wanted["disable"]["tools"] else []
    names += _live_patches(there) if wanted["disable"]["live_patches"] else []
    found = {
        "packages": {name: there[name] for name in sorted(names) if name in there},
        "locks": _locks(wanted["locks"]["extra"])[0] if wanted["disable"]["locks"] else [],
        "held": _held() if wanted["disable"]["live_patches"] else None,
    }
    if check and any(found.values()):
        _refuse()
        if found["packages"]:
            __salt__["zypper.removal"](list(found["packages"]))
    return found


def _tools(tools):
    pattern = tools["pattern"]
    return tools["packages"] + (__salt__["zypper.providers"](f"pattern() = {pattern}") if pattern else [])


def _live_patches(packages):
    ours, brings = __utils__["zypp_plan.live_patch_package"], __utils__["zypp_plan.metapackage"]
    return [name for name in packages if ours(name) or brings(name)]


def _locks(extra):
    """Return our locks: those of live patching, and those that somebody else's states made by ``zypper.locked``."""
    recorded = __utils__["klp_record.read"](OWN_LOCKS, [])
    there = __salt__["zypper.own_locks"](recorded) if recorded else []
    kernel = [name for name in there if __utils__["zypp_plan.kernel_package"](name) or name in extra]
    return kernel, [name for name in there if name not in kernel]


def _held():
    """Return the edition that the live patch is held at, where the file that holds live patches is there."""
    found = __salt__["klp.held"]() if "klp.release" in __salt__ else None
    return found["edition"] if found else None


def _refuse():
    """Raise on a host of a family that is not live patched here, and while a transition runs."""
    refused = __salt__["klp.family"]()["refused"]
    if refused:
        raise CommandExecutionError(refused)
    if _status()["transition"] != "ready":
        raise CommandExecutionError("a transition is still running: nothing is taken away; see klp.blockers")


def disable():
    """
    End live patching: remove the packages, give a held live patch free, take our locks away, as pillar says.

    The live patch that is loaded stays in the kernel until the next reboot. Locks of others stay. No backup is made:
    ``state.apply klp`` brings everything back.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``; ``locked`` and ``held`` stand among the names
    of the packages. Raises CommandExecutionError before anything is changed while a transition runs, and if anything
    but these packages would go.

    CLI Example::

        salt '*' klp.disable
    """
    before = remains()
    if not any(before.values()):
        return {"changed": {}, "notes": aftermath()}
    _refuse()
    fixes, notes = _fixes(before["packages"]), []
    if before["packages"]:
        notes += __salt__["zypper.remove"](list(before["packages"]))["notes"]
    if before["held"]:
        notes += __salt__["klp.release"]()["notes"]
    if before["locks"]:
        __salt__["zypper.remove_locks"](before["locks"])
    flat = [dict(found["packages"], locked=found["locks"], held=found["held"]) for found in (before, remains())]
    changed = __utils__["klp_state.difference"](*flat)
    return {"changed": changed, "notes": notes + _stays(fixes, before["packages"]) + _afterwards()}


def aftermath():
    """
    Return what stays of live patching until the next reboot, and what that will bring: a list of sentences.

    Empty where no live patch is loaded, and where its package is still installed.

    CLI Example::

        salt '*' klp.aftermath
    """
    return _stays({"error": "its package is gone"}, {})


def _fixes(packages):
    """Return ``{"value": {live patch: [CVEs]}}`` of klp, which reads them in the package, or ``{"error": reason}``."""
    if os.uname().release not in _kernels(packages):
        return {"error": "its package is gone"}
    tool = __salt__["klp.family"]()["tool"]
    if not salt.utils.path.which(tool):
        return {"error": f"{tool} is not installed"}
    try:
        return {"value": {patch["name"]: patch["cves"] for patch in __salt__["klp.patches"]()}}
    except CommandExecutionError as exc:
        return {"error": str(exc)}


def _stays(fixes, removed):
    """Return the sentences on what is loaded now, and on what a reboot loads into the kernels concerned."""
    running, covered = os.uname().release, _kernels(__salt__["zypper.packages"]())
    loaded = [patch["name"] for patch in _status()["patches"] if patch["enabled"] and running not in covered]
    kernels = (_kernels(removed) | ({running} if loaded else set())) - covered
    booted = [kernel for kernel in sorted(kernels) if kernel == running or os.path.exists(_initrd(kernel))]
    return [_loaded(name, fixes) for name in loaded] + [_boot(kernel) for kernel in booted]


def _kernels(names):
    """Return the kernels (as ``uname -r`` has them) of the live patch packages among some packages."""
    ours = __utils__["zypp_plan.live_patch_package"]
    return {__utils__["zypp_plan.kernel_of"](name) for name in names if ours(name)}


def _loaded(name, fixes):
    stays = f"{name} stays in the kernel until the next reboot"
    if "error" in fixes or name not in fixes["value"]:
        return f"{stays}; what it fixes is not known: {fixes.get('error', 'klp does not name it')}"
    return f"{stays}; it fixes {', '.join(sorted(fixes['value'][name])) or 'no CVE'}"


def _initrd(kernel):
    return f"{BOOT}/initrd-{kernel}"


def _boot(kernel):
    """Return the sentence on what a reboot into a kernel loads; only its initrd can tell."""
    path = _initrd(kernel)
    found = _in_initrd(path)
    if "error" in found:
        return f"whether a reboot into {kernel} loads a live patch is not known: {found['error']}"
    if found["value"]:
        again = f"a reboot into {kernel} loads {', '.join(found['value'])} again, its initrd still holds it"
        return f"{again}; make a new one with: dracut --force {path} {kernel}"
    return f"a reboot into {kernel} comes up without a live patch: its initrd holds none"


def _in_initrd(path):
    """Return ``{"value": [live patches]}`` in an initrd, or ``{"error"}`` with the reason why that is not known."""
    if not _settings()["verify"]["initrd"]:
        return {"error": "pillar klp:verify:initrd is false"}
    if not salt.utils.path.which("lsinitrd"):
        return {"error": "this host has no lsinitrd"}
    try:
        text = __utils__["klp_cmd.run"](__salt__["cmd.run_all"], ["lsinitrd", path], timeout=300)["stdout"]
    except CommandExecutionError as exc:
        return {"error": str(exc)}
    if "dracut modules:" not in text:
        return {"error": f"lsinitrd {path}: names no dracut modules: {text.strip()[-300:]!r}"}
    return {"value": sorted(set(__utils__["klp_parse.modules"](text)))}


def _afterwards():
    """Return the sentences on how this host is patched from now on."""
    wanted, kernel = _settings(), __salt__["klp.settings"]()["locks"]
    locked = __salt__["zypper.locked"](kernel) if kernel else []
    other = [name for name in _locks(wanted["locks"]["extra"])[1] if re.match(r"[\w.+-]+\Z", name)]
    product = __salt__["klp.product"]()
    told = [LOCKED.format(", ".join(locked)) if locked else FREE]
    if other:
        told.append(f"locks made here on other packages stay: {', '.join(other)}; zypper.remove_locks takes them away")
    if product and os.path.exists(f"{PRODUCTS}/{product}.prod"):
        told.append(ACTIVATED.format(product))
    return told
