"""
What speaks against changing this host now. It is looked at before anything is changed.
"""

from salt.exceptions import CommandExecutionError

import klp_arrival
import klp_checks
import klp_family
import klp_hold
import klp_hooks
import klp_kernel
import klp_level
import klp_live
import klp_pillar
import klp_restoring
import klp_runs
import klp_sources
import klp_sys
import klp_window
import zypp_lockfile
import zypp_locks
import zypp_plan
import zypp_solver

NEVER_ENABLED = (
    "never enabled, and klp.patch activates no product of live patches; first run: salt '{}' state.apply klp"
)


def settings(host):
    """
    Return the checked pillar without its secrets: ``{"settings", "problems": [sentences], "locks": [packages],
    "unsupported" (sentence or None), "hooked" (bool: hooks are declared, or one is due)}``.

    With problems the wrong values are the defaults, and of an unknown kernel there is nothing to lock.
    """
    found, problems = host.check()
    try:
        locks = [] if problems else lock_list(host)
    except CommandExecutionError:
        locks = []
    shown = klp_family.resolved(klp_pillar.public(found), host.family)
    found = {"settings": shown, "problems": problems, "locks": locks, "unsupported": unsupported(host)}
    return dict(found, hooked=klp_hooks.wanted(host))


def unsupported(host):
    """Return why this host is not live patched at all, one sentence, or ``None``."""
    try:
        return host.unsupported_reason()
    except CommandExecutionError as exc:
        return str(exc)


def lock_list(host):
    """Return the packages that have to be locked here: kernel packages of the running flavour, and the pillar's."""
    return zypp_plan.lock_list(host.kernel["flavour"], host.settings["locks"]["extra"], host.family)


def unlocked(host):
    """Return, sorted, those of ``lock_list`` that are not locked in every version."""
    wanted = lock_list(host)
    return sorted(set(wanted) - set(zypp_lockfile.locked(wanted)))


def require(host):
    """Raise CommandExecutionError with what speaks against live patching this host."""
    found = _hopeless(host) or _mendable(host) + klp_arrival.problems(host)
    if found:
        raise CommandExecutionError("; ".join(found))


def require_locked(host):
    """Raise CommandExecutionError where kernel packages are not locked: a pattern or an update may bring a kernel."""
    missing = unlocked(host)
    if missing:
        names = ", ".join(missing)
        raise CommandExecutionError(f"lock the kernel packages first (zypper.add_locks), not locked: {names}")


def problems(host):
    """
    Return what speaks against live patching this host, one sentence each; an empty list is the go-ahead. No zypper.

    Pillar, a restoration that waits for a restart, the family, a read-only /usr, flavour and architecture, the kernel's
    live patching, the package of the running kernel, the settings of purge-kernels, locks that freeze the live patch;
    where a live patch has yet to come: what would keep it out of the kernel or of the initrd.
    """
    return _hopeless(host) or _mendable(host) + ([] if _settled(host) else klp_arrival.problems(host))


def _settled(host):
    """Return whether a live patch is installed and in the kernel (bool): nothing has to come for the steady state."""
    package = klp_live.package(host)
    edition = None if package["unfinished"] else package["edition"]
    return edition is not None and klp_live.status(host)["active"] == host.module(edition)


def _hopeless(host):
    """What stops everything else: of such a host nothing more is looked at."""
    wrong = host.check()[1]
    if wrong:
        return list(wrong)
    waiting = klp_restoring.pending()
    if waiting:
        return [
            f"backup {waiting['backup']} is being restored, what is changed now would be lost: restart the host first"
        ]
    refused = host.unsupported_reason()  # raises for a release of unknown form
    return [refused] if refused else []


def _mendable(host, enabling=True):
    klp_live.status(host)  # raises where the kernel offers no live patching
    return _kernel_problems(host, enabling) + _purge_problems(host) + _lock_problems(host)


def maintenance_problems(host):
    """
    Return what speaks against a maintenance run: ``problems``, and more that takes longer to find out.

    Whether the SLS of pillar ``klp:hooks`` can be rendered; the support window as pillar ``klp:window:refuse`` says;
    where locks come first, whether a backup can be made after them; repositories, which are refreshed; whether these
    hold updates and live patches at all; whether they have the live patch that pillar ``klp:level`` wants; whether the
    klp tool is understood and agrees with the kernel. Raises CommandExecutionError where that cannot be found out.
    """
    found = _hopeless(host) or _mendable(host, enabling=False) + klp_arrival.problems(host) + klp_window.problems(host)
    found = found or (klp_runs.problems(host) if unlocked(host) else []) or klp_hooks.problems(host)
    if found:
        return found
    zypp_solver.refresh(host)
    found = klp_sources.problems(host) or _nowhere(host)
    if found:
        return found + ([] if klp_sources.updates_problem(host) else first_steps(host))
    return _tool_problems(host) if klp_live.tool_is_there(host) else []


def _nowhere(host):
    """Return why no repository has the live patch that pillar ``klp:level`` wants, as a list of one sentence."""
    try:
        klp_level.resolve(host, host.settings["level"], search=False)
    except CommandExecutionError as exc:
        return [str(exc)]
    return []


def first_steps(host):
    """Return what has to be run before a maintenance run, as a list of one sentence, where no live patch ever came."""
    return [] if klp_live.package(host)["edition"] else [NEVER_ENABLED.format(host.id)]


def _tool_problems(host):
    """The klp tool has to be understood, and to agree with the kernel, before anything is changed."""
    said = klp_live.sources(host)
    checks = [
        klp_checks.transition(said["sysfs"], said["transition"], []),
        klp_checks.active(said["sysfs"], said["patches"]),
    ]
    return [item["detail"] for item in checks if item["verdict"] == "unknown"]


def _kernel_problems(host, enabling):
    kernel = host.kernel
    name = f"kernel-{kernel['flavour']}"
    editions = klp_live.installed(host).get(name, [])
    if klp_checks.running_installed(editions, kernel["version"]):
        return []
    if klp_kernel.base(host):
        allowed = enabling and host.settings["tools"]["kernel"]
        return [] if allowed else [klp_kernel.refusal(host)]
    found = ", ".join(editions) or "none"
    running = f"the package of the running kernel {kernel['release']} is not installed"
    return [f"{running} ({name}: {found}); reboot into an installed kernel first"]


def _purge_problems(host):
    """purge-kernels may remove the running kernel if the settings do not name it."""
    keep = klp_sys.option(host.family["zypp_conf"], "main", "multiversion.kernels")
    tokens = [token.strip() for token in (keep or "").split(",") if token.strip()]
    if not tokens or "running" in tokens or any(token.startswith(host.kernel["version"]) for token in tokens):
        return []
    return [f"zypp.conf: multiversion.kernels = {keep} lets purge-kernels remove the running kernel; add running to it"]


def _lock_problems(host):
    """A lock of somebody else may freeze what has to be installed."""
    names = [host.live_patch_package] + host.tools["packages"]
    ours = (klp_hold.held() or {"locks": []})["locks"]
    return [
        f"{zypp_locks.describe(lock)} freezes {name}; remove it or make it narrower"
        for lock in zypp_lockfile.locks()
        if not any(zypp_locks.plain(lock, item) for item in ours)
        for name in names
        if zypp_locks.touches(lock, name)
    ]
