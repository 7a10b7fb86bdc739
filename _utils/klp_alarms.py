"""
What is wrong with this host now, and what has changed about it since it was looked at last. Waits for nothing.
"""

import time

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_checks
import klp_health
import klp_hold
import klp_live
import klp_preflight
import klp_record
import klp_retracted
import klp_summary
import klp_window
import zypp_lockfile
from klp_words import count

RECORD = "alarms"
SECONDS = 1.0  # that a look may take: a beacon runs in the main loop of the minion
ERRORS = (CommandExecutionError, SaltInvocationError, ValueError)
NAMES = ("locks", "transition", "window", "inactive", "level", "taint", "live_patch_retracted")


def _lost(host):
    """Return, sorted, the kernel packages that were locked here and are not locked any more."""
    own = set(zypp_lockfile.recorded())
    return sorted(own & set(klp_preflight.unlocked(host)))


def _locks(host, _record):
    lost = _lost(host)
    return f"locks of kernel packages were taken away: {', '.join(lost)}" if lost else None


def _transition(host, record):
    """A transition is stalled when it runs for longer than pillar allows; when it began is remembered."""
    status = klp_live.status(host)
    if status["transition"] == "ready":
        record["moving"] = {}
        return None
    began, now = record.get("moving", {}), time.time()
    if began.get("name") != status["active"] or not 0 <= now - began.get("since", 0):
        began = record["moving"] = {"name": status["active"], "since": int(now)}
    spent, patience = now - began["since"], host.settings["alarms"]["stalled"]
    if spent < patience:
        return None
    found = [klp_checks.blocker_line(item) for item in klp_live.blockers(host)]
    names = "; ".join(found) or "no task named"
    return f"the transition runs for more than {count(patience, 'second')}, held up by: {names}"


def _window(host, _record):
    found, warn = klp_window.window(host), host.settings["window"]["warn"]
    if found["state"] == "expired":
        return f"the window of this kernel is over: {found['reason']}"
    if found["state"] == "open" and found["days"] <= warn:
        return f"the window of this kernel ends soon: {found['reason']}"
    return None


def _enabled(host):
    status = klp_live.status(host)
    return status, [patch["name"] for patch in status["patches"] if patch["enabled"]]


def _inactive(host, _record):
    """A live patch is installed for the running kernel, and none is active."""
    package = klp_live.package(host)
    if package["edition"] is None or _enabled(host)[1]:
        return None
    return f"live patch {package['edition']} is installed, but none is active in the kernel"


def _level(host, _record):
    """Another live patch is active than the one that is installed, or than what is declared."""
    package, (status, names) = klp_live.package(host), _enabled(host)
    if package["edition"] is None or not names or status["transition"] != "ready":
        return None
    module, level = host.module(package["edition"]), host.settings["level"]
    if names != [module]:
        return f"active is {', '.join(names)}, installed is live patch {package['edition']}"
    declared = level if isinstance(level, int) else None
    same = package["edition"] == level if declared is None else package["level"] == declared
    if level != "latest" and not same and not klp_hold.held():
        return f"live patch {package['edition']} is active, pillar klp:level says {level}"
    return None


def _taint(host, _record):
    errors = klp_health.kernel_errors()
    return f"the kernel has had errors: {'; '.join(errors)}" if errors else None


def _retracted(host, _record):
    """The live patch that is installed was withdrawn by its vendor; only what is read at once is looked at."""
    edition = klp_live.package(host)["edition"]
    if edition is None:
        return None
    found = klp_retracted.of(host, edition, quick=True)
    if found["reason"]:
        raise CommandExecutionError(found["reason"])
    leave = f"salt {host.id} state.apply klp.rollback"
    said = klp_retracted.withdrawn(edition, found["advisories"])
    return f"{said}; leave it with: {leave}" if found["retracted"] else None


def _look(host, record):
    """Return ``({alarm: sentence} of those raised, {alarm: why it cannot be told})``."""
    looks = dict(zip(NAMES, (_locks, _transition, _window, _inactive, _level, _taint, _retracted)))
    raised, unknown = {}, {}
    for name, look in looks.items():
        try:
            said = look(host, record)
        except ERRORS as exc:
            unknown[name] = str(exc)
            continue
        if said:
            raised[name] = said
    return raised, unknown


def alarms(host):
    """
    Return what is wrong with this host now; changes nothing, starts no zypper.

    Returns ``{"raised": {alarm: sentence}, "unknown": {alarm: why it cannot be told}}``. Alarms are ``locks`` (a lock
    that was made here is gone), ``transition`` (stalled), ``window`` (over, or nearly), ``inactive`` (a live patch is
    installed, none is active), ``level`` (another one than installed or declared), ``taint`` (errors of the kernel) and
    ``live_patch_retracted`` (the vendor has withdrawn the live patch that is installed).
    """
    raised, unknown = _look(host, dict(klp_record.read(RECORD, {})))
    return {"raised": raised, "unknown": unknown}


def events(host):
    """
    Return what has changed about the alarms since this was called last: what the beacon reports.

    A list of ``{"alarm", "edge": "raised", "cleared", "unknown" or "repaired", "text"}``. What cannot be told, within
    SECONDS, is reported once and clears nothing. While a state run is at work nothing is looked at.
    """
    if klp_summary.busy(host):
        return []
    record = dict(klp_record.read(RECORD, {}))
    before = record.get("raised", {}), record.get("unknown", {})
    with host.limited(SECONDS):
        raised, unknown = _look(host, record)
    if "locks" not in raised and "locks" not in unknown:
        record["repair"] = None  # others have locked again what could not be repaired
    repair = "locks" in raised and host.settings["alarms"]["repair_locks"]
    found = _repair(host, record) if repair else []
    if any(item["edge"] == "repaired" for item in found):
        del raised["locks"]
    raised.update({name: text for name, text in before[0].items() if name in unknown})
    found += _difference(before, raised, unknown)
    now = dict(record, raised=raised, unknown=unknown)
    if now != klp_record.read(RECORD, {}):
        klp_record.write(RECORD, now)
    return found


def _repair(host, record):
    """Lock again what was unlocked, without waiting for zypp's lock; a failure is told once, and tried again later."""
    lost = _lost(host)
    try:
        zypp_lockfile.add(host, lost, lock_timeout=0)
    except ERRORS as exc:
        told, record["repair"] = record.get("repair"), "failed"
        return [] if told else [{"alarm": "locks", "edge": "unknown", "text": f"could not be repaired: {exc}"}]
    record["repair"] = None
    return [{"alarm": "locks", "edge": "repaired", "text": f"locked again: {', '.join(lost)}"}]


def _difference(before, raised, unknown):
    found = [("raised", name, text) for name, text in raised.items() if name not in before[0]]
    found += [("cleared", name, text) for name, text in before[0].items() if name not in raised]
    found += [("unknown", name, text) for name, text in unknown.items() if name not in before[1]]
    return [{"alarm": name, "edge": edge, "text": text} for edge, name, text in found]
