"""
The states at the begin and at the end of a run: nothing speaks against it, and the host is live patched as declared.
"""

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_campaign
import klp_checks
import klp_health
import klp_preflight
import klp_runlock
import klp_runs
import klp_state
import klp_updates
import klp_uptodate
import klp_verify

ERRORS = (CommandExecutionError, SaltInvocationError)


def ready(host, name, refresh, opts):
    """
    Return the state dict of klp.ready.

    refresh
        whether a maintenance run is to begin.
    opts
        ``__opts__`` of the state.
    """
    try:
        if not opts["test"]:
            _keep_others_off(opts)
        problems = klp_preflight.maintenance_problems(host) if refresh else klp_preflight.problems(host)
        problems = problems or [item for item in [_unshown(host) if refresh else klp_campaign.late(host)] if item]
        problems = problems or (_begin(host, opts["test"]) if refresh else [])
    except ERRORS as exc:
        problems = [str(exc)]
    if problems:
        return klp_state.result(name, result=False, comment="\n".join(problems))
    return klp_state.result(name, comment="Nothing speaks against live patching this host")


def _keep_others_off(opts):
    """
    Take the lock of this host to the end of this run; a job of a running minion only looks whether it is free.

    Such a job may be over for half a minute when its process or thread ends (measured on 3007). Salt refuses a second
    state run by itself, and each change takes the lock.
    """
    taken = klp_runlock.take("a run of the formula klp")
    if taken and "salt-call" not in opts.get("__cli", ""):
        klp_runlock.release()


def _begin(host, test):
    """Return why the maintenance run may not begin to change something: the application of this host is not well."""
    problems = klp_health.before(host, lambda: klp_uptodate.up_to_date(host, "klp.patch"))
    if not problems and not test:
        klp_runs.judge(host, False)
    return problems


def _unshown(host):
    """Return what the plan of a campaign has not shown; only a campaign's plan is worth asking the repositories for."""
    if not host.settings["campaign"]["shown"]:
        return None
    changes = klp_updates.changes(klp_updates.plan(host, level=host.settings["level"]))
    pending = {key: change["new"] for key, change in changes.items() if change["new"]}
    return klp_campaign.unshown(host, pending, whole=True)


def verified(host, name, test):
    """Return the state dict of klp.verified."""
    try:
        found = klp_verify.verify(host, wait=0 if test else host.settings["health"]["wait"])
        if not test:
            klp_runs.judge(host, True)
    except ERRORS as exc:
        return klp_state.result(name, result=False, comment=f"unknown: {exc}")
    good = found["verdict"] in klp_checks.GOOD
    when = "before this run: " if test and not good else ""
    lines = [f"{when}{found['verdict']}: {found['kernel']} with live patch {found['live_patch'] or 'none'}"]
    lines += klp_checks.summary(found["checks"])
    lines += klp_checks.told(found["checks"])
    return klp_state.result(name, result=good if good or not test else None, comment="\n".join(lines))
