"""
The end of live patching on a host.

It goes from the least to the most: packages first, then the hold of a live patch, the locks of the kernel last, so that
nothing can bring a kernel while packages are being removed, and the same command finishes what was cut off.

No backup is made here. Nothing is installed and nothing of the system changes but the packages of live patching, and
``state.apply klp`` undoes it. It makes a backup before it installs them again.
"""

import os
import re

from salt.exceptions import CommandExecutionError

import klp_family
import klp_hold
import klp_initrd
import klp_live
import klp_parse
import klp_paths
import klp_preflight
import klp_state
import klp_sys
import zypp_lockfile
import zypp_packages
import zypp_plan
import zypp_write

FREE = "ordinary patching (zypper patch) may bring a new kernel from now on; it runs after a reboot"
LOCKED = "still locked, by others or because pillar klp:disable:locks is false: {}; ordinary patching leaves them alone"
UNSEEN = "whether a live patch is loaded is not known: {} is not there"
ACTIVATED = (
    "the product {} stays activated and may bring a live patch with the next kernel; to give it back: SUSEConnect "
    "--de-register --product NAME/VERSION/ARCH, as SUSEConnect --list-extensions shows it"
)


def _patches():
    """Return the live patches in sysfs; a kernel that offers no live patching has none."""
    return klp_sys.live_patches() if os.path.isdir(klp_paths.LIVEPATCH) else []


def leftovers(host, check=False):
    """
    Return what of live patching is on this host and is taken away by ``disable``, as pillar ``klp:disable`` says.

    check
        also raise what ``disable`` would raise; starts zypper where packages are to be removed.

    Returns ``{"packages": {name: edition}, "locks": [names], "held" (edition or None)}``: the packages of ``klp:tools``
    and the patterns, live patch packages of every kernel, locks of ours on kernel packages and on those of
    ``klp:locks:extra``. The hold of a live patch goes with the live patch packages.
    """
    wanted, installed = host.settings, zypp_packages.packages(host)
    names = _tools(host, host.tools) if wanted["disable"]["tools"] else []
    names += _live_patches(installed) if wanted["disable"]["live_patches"] else []
    found = {
        "packages": {name: installed[name] for name in sorted(names) if name in installed},
        "locks": _locks(wanted["locks"]["extra"])[0] if wanted["disable"]["locks"] else [],
        "held": _held() if wanted["disable"]["live_patches"] else None,
    }
    if check and any(found.values()):
        _refuse(host)
        if found["packages"]:
            zypp_write.removal(host, list(found["packages"]))
    return found


def _tools(host, tools):
    """Return the tools and the pattern: that of pillar, and SUSE's own, which cannot stay without the tools."""
    patterns = sorted({tools["pattern"], host.family["pattern"]} - {""})
    return tools["packages"] + [
        name for item in patterns for name in zypp_packages.providers(host, f"pattern() = {item}")
    ]


def _live_patches(packages):
    ours, brings = zypp_plan.live_patch_package, zypp_plan.metapackage
    return [name for name in packages if ours(name) or brings(name)]


def _locks(extra):
    """Return our locks: those of live patching, and those that somebody else's states made by ``zypper.locked``."""
    recorded = zypp_lockfile.recorded()
    names = zypp_lockfile.own(recorded) if recorded else []
    kernel = [name for name in names if zypp_plan.kernel_package(name) or name in extra]
    return kernel, [name for name in names if name not in kernel]


def _held():
    """Return the edition that the live patch is held at, or ``None``."""
    found = klp_hold.held()
    return found["edition"] if found else None


def _refuse(host):
    """Raise on a host of a family that is not live patched here, and while a transition runs."""
    refused = klp_family.refused(host.family, klp_sys.read_only(klp_paths.USR))
    if refused:
        raise CommandExecutionError(refused)
    if any(patch["transition"] for patch in _patches()):
        raise CommandExecutionError("a transition is still running: nothing is taken away; see klp.blockers")


def disable(host):
    """
    End live patching: remove the packages, end a hold, take our locks away, as pillar says.

    The live patch that is loaded stays in the kernel until the next restart. Locks of others stay.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``; ``locked`` and ``held`` stand among the names
    of the packages. Raises CommandExecutionError before anything is changed while a transition runs, and if anything
    but these packages would go.
    """
    before = leftovers(host)
    if not any(before.values()):
        forget_gone_locks(host)
        return {"changed": {}, "notes": still_loaded(host)}
    _refuse(host)
    fixes, notes = _fixes(host, before["packages"]), []
    if before["packages"]:
        notes += zypp_write.remove(host, list(before["packages"]))["notes"]
    if before["held"]:
        notes += klp_hold.unhold(host)["notes"]
    if before["locks"]:
        zypp_lockfile.remove(host, before["locks"])
    forget_gone_locks(host)
    flat = [dict(found["packages"], locked=found["locks"], held=found["held"]) for found in (before, leftovers(host))]
    changed = klp_state.difference(*flat)
    return {"changed": changed, "notes": notes + _stays(host, fixes, before["packages"]) + _afterwards(host)}


def forget_gone_locks(host):
    """
    Forget locks that are recorded as made here and are gone; a kill may have come between zypper and the record.

    Otherwise a lock that somebody else makes later would be taken for one of ours.
    """
    recorded = zypp_lockfile.recorded()
    if host.settings["disable"]["locks"] and recorded and zypp_lockfile.own(recorded) != recorded:
        with host.exclusive("klp.disable"):
            zypp_lockfile.forget_absent()


def still_loaded(host):
    """
    Return what stays of live patching until the next restart, and what that will bring: a list of sentences.

    Empty where no live patch is loaded, and where its package is still installed.
    """
    return _stays(host, {"error": "its package is gone"}, {})


def _fixes(host, packages):
    """Return ``{"value": {live patch: [CVEs]}}`` of klp, which reads them in the package, or ``{"error": reason}``."""
    if os.uname().release not in _kernels(packages):
        return {"error": "its package is gone"}
    tool = host.family["tool"]
    if not klp_live.tool_is_there(host):
        return {"error": f"{tool} is not installed"}
    try:
        return {"value": {patch["name"]: patch["cves"] for patch in klp_live.patches(host)}}
    except CommandExecutionError as exc:
        return {"error": str(exc)}


def _stays(host, fixes, removed):
    """Return the sentences on what is loaded now, and on what a reboot loads into the kernels concerned."""
    running, covered = os.uname().release, _kernels(zypp_packages.packages(host))
    loaded = [patch["name"] for patch in _patches() if patch["enabled"] and running not in covered]
    kernels = (_kernels(removed) | ({running} if loaded else set())) - covered
    booted = [kernel for kernel in sorted(kernels) if kernel == running or os.path.exists(klp_initrd.path(kernel))]
    unseen = [] if os.path.isdir(klp_paths.LIVEPATCH) else [UNSEEN.format(klp_paths.LIVEPATCH)]
    return unseen + [_loaded(name, fixes) for name in loaded] + [_boot(host, kernel) for kernel in booted]


def _kernels(names):
    """Return the kernels (as ``uname -r`` has them) of the live patch packages among some packages."""
    ours = zypp_plan.live_patch_package
    return {zypp_plan.kernel_of(name) for name in names if ours(name)}


def _loaded(name, fixes):
    stays = f"{name} stays in the kernel until the next reboot"
    if "error" in fixes or name not in fixes["value"]:
        return f"{stays}; what it fixes is not known: {fixes.get('error', 'klp does not name it')}"
    return f"{stays}; it fixes {', '.join(sorted(fixes['value'][name])) or 'no CVE'}"


def _boot(host, kernel):
    """Return the sentence on what a reboot into a kernel loads; only its initrd can tell."""
    path, found = klp_initrd.path(kernel), _in_initrd(host, kernel)
    if "error" in found:
        return f"whether a reboot into {kernel} loads a live patch is not known: {found['error']}"
    if found["value"]:
        again = f"a reboot into {kernel} loads {', '.join(found['value'])} again, its initrd still holds it"
        return f"{again}; make a new one with: dracut --force {path} {kernel}"
    return f"a reboot into {kernel} comes up without a live patch: its initrd holds none"


def _in_initrd(host, kernel):
    """Return ``{"value": [live patches]}`` in an initrd, or ``{"error"}`` with the reason why that is not known."""
    found = klp_initrd.answer(host, kernel)
    if "value" not in found:
        return {"error": found.get("skipped") or found["error"]}
    text = found["value"]
    if "dracut modules:" not in text:
        said = f"lsinitrd {klp_initrd.path(kernel)}: names no dracut modules: {text.strip()[-300:]!r}"
        return {"error": said}
    return {"value": sorted(set(klp_parse.modules(text)))}


def _afterwards(host):
    """Return the sentences on how this host is patched from now on."""
    wanted, kernel = host.settings, klp_preflight.settings(host)["locks"]
    locked = zypp_lockfile.locked(kernel) if kernel else []
    other = [name for name in _locks(wanted["locks"]["extra"])[1] if re.match(r"[\w.+-]+\Z", name)]
    product = host.product
    told = [LOCKED.format(", ".join(locked)) if locked else FREE]
    if other:
        told.append(f"locks made here on other packages stay: {', '.join(other)}; zypper.remove_locks takes them away")
    if product and os.path.exists(f"{klp_paths.PRODUCTS}/{product}.prod"):
        told.append(ACTIVATED.format(product))
    return told
