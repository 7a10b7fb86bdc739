"""
What is wrong with this host now, and what has changed about it: the sixth file of the module ``klp_audit``.

:depends: ``rpm``
:pillar: ``klp:alarms``, ``klp:window``
"""

import time

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError

__virtualname__ = "klp_audit"

RECORD = "alarms"
OWN_LOCKS = "locks"
ERRORS = (CommandExecutionError, SaltInvocationError, ValueError)
NAMES = ("locks", "transition", "window", "inactive", "level", "taint")


def __virtual__():
    if "klp_record.read" not in __utils__:
        return False, "klp_audit: _utils/klp_record.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp_audit: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _settings():
    return __utils__["klp_pillar.settings"](__pillar__.get("klp"))


def _lost():
    """Return, sorted, the kernel packages that were locked here and are not locked any more."""
    own = set(__utils__["klp_record.read"](OWN_LOCKS, []))
    return sorted(own & set(__salt__["klp.unlocked"]()))


def _locks(_record):
    lost = _lost()
    return f"locks of kernel packages were taken away: {', '.join(lost)}" if lost else None


def _transition(record):
    """A transition is stalled when it runs for longer than pillar allows; when it began is remembered."""
    status = __salt__["klp.status"]()
    if status["transition"] == "ready":
        record["moving"] = {}
        return None
    began, now = record.get("moving", {}), time.time()
    if began.get("name") != status["active"] or not 0 <= now - began.get("since", 0):
        began = record["moving"] = {"name": status["active"], "since": int(now)}
    spent, patience = now - began["since"], _settings()["alarms"]["stalled"]
    if spent < patience:
        return None
    found = [__utils__["klp_checks.blocker_line"](item) for item in __salt__["klp.blockers"]()]
    return f"the transition runs for more than {patience} seconds, held up by: {'; '.join(found) or 'no task named'}"


def _window(_record):
    found, warn = __salt__["klp_audit.window"](), _settings()["window"]["warn"]
    if found["state"] == "expired":
        return f"the window of this kernel is over: {found['reason']}"
    if found["state"] == "open" and found["days"] <= warn:
        return f"the window of this kernel ends soon: {found['reason']}"
    return None


def _enabled():
    status = __salt__["klp.status"]()
    return status, [patch["name"] for patch in status["patches"] if patch["enabled"]]


def _inactive(_record):
    """A live patch is installed for the running kernel, and none is active."""
    package = __salt__["klp.package"]()
    if package["edition"] is None or _enabled()[1]:
        return None
    return f"live patch {package['edition']} is installed, but none is active in the kernel"


def _level(_record):
    """Another live patch is active than the one that is installed, or than what is declared."""
    package, (status, names) = __salt__["klp.package"](), _enabled()
    if package["edition"] is None or not names or status["transition"] != "ready":
        return None
    module, level = __salt__["klp.module"](package["edition"]), _settings()["level"]
    if names != [module]:
        return f"active is {', '.join(names)}, installed is live patch {package['edition']}"
    declared = level if isinstance(level, int) else None
    same = package["edition"] == level if declared is None else package["level"] == declared
    if level != "latest" and not same and not __salt__["klp.held"]():
        return f"live patch {package['edition']} is active, pillar klp:level says {level}"
    return None


def _taint(_record):
    errors = __salt__["klp.kernel_errors"]()
    return f"the kernel has had errors: {'; '.join(errors)}" if errors else None


def _look(record):
    """Return ``({alarm: sentence} of those raised, {alarm: why it cannot be told})``."""
    looks = dict(zip(NAMES, (_locks, _transition, _window, _inactive, _level, _taint)))
    raised, unknown = {}, {}
    for name, look in looks.items():
        try:
            said = look(record)
        except ERRORS as exc:
            unknown[name] = str(exc)
            continue
        if said:
            raised[name] = said
    return raised, unknown


def alarms():
    """
    Return what is wrong with this host now; changes nothing, starts no zypper.

    Returns ``{"raised": {alarm: sentence}, "unknown": {alarm: why it cannot be told}}``. Alarms are ``locks`` (a lock
    that was made here is gone), ``transition`` (stalled), ``window`` (over, or nearly), ``inactive`` (a live patch is
    installed, none is active), ``level`` (another one than installed or declared) and ``taint`` (errors of the kernel).

    CLI Example::

        salt '*' klp_audit.alarms
    """
    raised, unknown = _look(dict(__utils__["klp_record.read"](RECORD, {})))
    return {"raised": raised, "unknown": unknown}


def edges():
    """
    Return what has changed about the alarms since this was called last: what the beacon reports.

    A list of ``{"alarm", "edge": "raised", "cleared", "unknown" or "repaired", "text"}``. What cannot be told is
    reported once, and clears nothing. While a state run is at work nothing is looked at. Lost locks are set again if
    pillar ``klp:alarms:repair_locks`` says so. What was reported is in ``/var/lib/salt-klp/alarms.json``.

    CLI Example::

        salt '*' klp_audit.edges
    """
    if __salt__["klp_audit.busy"]():
        return []
    record = dict(__utils__["klp_record.read"](RECORD, {}))
    before = record.get("raised", {}), record.get("unknown", {})
    raised, unknown = _look(record)
    found = _repair() if "locks" in raised and _settings()["alarms"]["repair_locks"] else []
    if any(item["edge"] == "repaired" for item in found):
        del raised["locks"]
    raised.update({name: text for name, text in before[0].items() if name in unknown})
    found += _difference(before, raised, unknown)
    now = dict(record, raised=raised, unknown=unknown)
    if now != __utils__["klp_record.read"](RECORD, {}):
        __utils__["klp_record.write"](RECORD, now)
    return found


def _repair():
    lost = _lost()
    try:
        __salt__["zypper.add_locks"](lost)
    except ERRORS as exc:
        return [{"alarm": "locks", "edge": "unknown", "text": f"could not be repaired: {exc}"}]
    return [{"alarm": "locks", "edge": "repaired", "text": f"locked again: {', '.join(lost)}"}]


def _difference(before, raised, unknown):
    edges_ = [("raised", name, text) for name, text in raised.items() if name not in before[0]]
    edges_ += [("cleared", name, text) for name, text in before[0].items() if name not in raised]
    edges_ += [("unknown", name, text) for name, text in unknown.items() if name not in before[1]]
    return [{"alarm": name, "edge": edge, "text": text} for edge, name, text in edges_]
