"""
Has an SLS of this formula nothing to change on this host? Then it needs no backup either.
"""

import logging

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_change_plan
import klp_change_restart
import klp_enable
import klp_live
import klp_preflight
import klp_rollback
import klp_updates

log = logging.getLogger(__name__)


def up_to_date(host, sls):
    """
    Return whether an SLS has nothing to change here (bool); looks no further than the first change.

    sls
        ``klp`` (steady state) or ``klp.patch`` (maintenance run), ``klp.rollback`` (rollback), ``klp.kernel`` (a
        new kernel is to be installed) or ``klp.restart``.
    """
    if sls == "klp":
        at_level = _at_level(host)  # asked first: where there is no such live patch, that is said before a backup
        return at_level and not klp_enable.missing_tools(host) and not klp_enable.unfinished_tools(host)
    if sls == "klp.rollback":
        return klp_rollback.nothing_to_do(host)
    if sls == "klp.patch":
        if klp_preflight.unlocked(host):
            return False
        return not _pending(host)
    if sls == klp_change_plan.SLS:
        return klp_change_plan.idle(host)
    if sls == klp_change_restart.SLS:
        return klp_change_restart.refusal(host) is not None
    raise SaltInvocationError(f"sls: wanted klp, klp.patch, klp.rollback, klp.kernel or klp.restart, found {sls!r}")


def decided(host, sls):
    """Return what ``up_to_date`` said the first time in this job: hooks and backup go by one decision."""
    if sls not in host.decided:
        host.decided[sls] = up_to_date(host, sls)
    return host.decided[sls]


def _pending(host):
    """
    Return whether a maintenance run changes something (bool).

    A plan that cannot be made is told by the state that carries it out, and the live patch may come without it: a
    backup is needed.
    """
    try:
        return bool(klp_updates.changes(klp_updates.plan(host, level=host.settings["level"])))
    except CommandExecutionError as exc:
        log.warning("salt-klp: what a run would change is not known: %s", exc)
        return True


def _at_level(host):
    package = klp_live.package(host)
    goal = klp_enable.goal(host, host.settings["level"])
    installed = package["edition"] is not None and package["edition"] == goal["edition"]
    return installed and klp_live.status(host)["active"] == goal["module"] and not package["unfinished"]
