"""
The hooks of a run: SLS of the administrator's own before its first change, after it, and where it failed.

What has begun is written down before the first state of ``before`` runs, and forgotten when ``after`` has succeeded: a
host whose run is killed in between is not left drained, the next run of ``klp.patch`` or ``klp.rollback`` does it.
"""

import time

from salt.exceptions import CommandExecutionError

import klp_checks
import klp_nested
import klp_record
import klp_runlock

RECORD = "hooks"
HOOKS = ("before", "after", "on_failure")
STAGES = ("before", "changing", "after")  # of a run that has hooks
FAILHARD = (
    "failhard is set in the configuration of the minion or the master: after a failure no hook after could be run; "
    "set failhard: False, or take pillar klp:hooks away"
)
DUE = "hook after of {} is due since {} (seen last: {}), this host may still be drained; run: salt {} state.apply {}"


def declared(host):
    """Return pillar ``klp:hooks``, ``{"before", "after", "on_failure"}``: lists of SLS."""
    return host.check()[0]["hooks"]


def due():
    """
    Return the run whose hook ``after`` has still to be run on this host, or ``None``.

    ``{"around" (its SLS), "run" (its id or None), "since" (seconds since 1970), "stage" (before, changing or after:
    where it was seen last), "after" (its SLS then)}``. A damaged record is an error that names it.
    """
    found = klp_record.read(RECORD, {})
    if found and not _written(found):
        raise CommandExecutionError(f"{klp_record.path(RECORD)}: not what salt-klp wrote; repair it or move it away")
    return found or None


def _written(found):
    """Return whether a record is one that ``remember`` has written."""
    sls = found.get("after")
    good = isinstance(sls, list) and all(isinstance(name, str) for name in sls)
    since = found.get("since")
    good = good and isinstance(since, int) and 0 <= since < 2**33 and found.get("stage") in STAGES
    return good and isinstance(found.get("around"), str) and isinstance(found.get("run"), (str, type(None)))


def since(there):
    """Return when the run that is due has begun, as text in the time of this host."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(there["since"]))


def checks(host):
    """Return what ``klp.verify`` says of it: nothing where none is due, and while a run is going on."""
    try:
        there = due()
    except CommandExecutionError as exc:
        return [klp_checks.check(RECORD, klp_checks.UNKNOWN, str(exc))]
    if not there or klp_runlock.busy():
        return []
    detail = DUE.format(there["around"], since(there), there["stage"], host.id, there["around"])
    return [klp_checks.check(RECORD, klp_checks.FAILED, detail)]


def wanted(host):
    """Return whether a run has anything to do with hooks (bool): some are declared, or one is due."""
    try:
        return any(declared(host).values()) or due() is not None
    except CommandExecutionError:
        return True  # the state says what is wrong


def summary(host):
    """Return what a campaign of the master is told: ``{"before", "after", "on_failure", "due"}``."""
    there = due()
    return dict(declared(host), due={key: there[key] for key in ("around", "since", "stage")} if there else None)


def problems(host):
    """Return why the hooks of this host cannot be run, one sentence each; nothing is run."""
    found, hooks = [], declared(host)
    if any(hooks.values()) and (host.opts or {}).get("failhard"):
        found.append(FAILHARD)
    for hook, sls in sorted(hooks.items()):
        found += [sentence(hook, problem) for problem in (klp_nested.problems(host, sls) if sls else [])]
    return found


def sentence(hook, problem):
    """Return what is wrong with a hook, with the key of the pillar that names it."""
    return f"pillar klp:hooks:{hook}: {problem}"


def remember(there):
    """Write down what is due, to the disk; an empty dict: nothing is."""
    klp_record.write(RECORD, there)
