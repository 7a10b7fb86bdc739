"""
The shape that every state of salt-klp has: read, compare, predict, act, read again, report what was seen.
"""

from salt.exceptions import CommandExecutionError, SaltInvocationError


def result(name, **fields):
    """Return a state's answer: unchanged and true, updated with ``fields``."""
    return dict({"name": name, "result": True, "changes": {}, "comment": "Already as declared"}, **fields)


def difference(old, new):
    """
    Return the changes between two readings, as Salt shows them.

    Dicts are compared key by key so that only what changed is shown; everything else as ``{"old", "new"}``.
    """
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return {"old": old, "new": new} if old != new else {}
    keys = sorted(set(old) | set(new), key=str)
    return {key: {"old": old.get(key), "new": new.get(key)} for key in keys if old.get(key) != new.get(key)}


def converge(name, test, host, read, wanted, apply, done=None, missing=None, notes=None, told=None, summary=None):
    """
    Bring what ``read`` returns to what is wanted, and report what was seen.

    name
        the state's name.
    test
        the state's own ``__opts__["test"]``. Never read it here: with ``prereq`` Salt sets it only for states.
    host
        the change is made under its lock, so that two runs exclude each other.
    read
        called without arguments before and after; returns plain data.
    wanted
        called with a reading; returns the reading that is wanted. Equal to the reading: nothing to do.
    apply
        called with the reading that is wanted to make the change: what was predicted is what is done.
    done
        called with the reading after the change; returns whether it is as declared (default: equal to wanted).
    missing
        called with a reading, returns the sentence for a state that was not reached.
    told
        called with a reading that is as declared; returns the clause that says so.
    summary
        instead of ``told``: called with the first word of the comment and the changes, returns the first line.
    notes
        called without arguments at the end; returns lines that are added to the comment (what was skipped and why).

    Returns Salt's state dict. CommandExecutionError and SaltInvocationError become result False with their text.
    """
    old = None
    try:
        old = read()
        goal = wanted(old)
        if goal == old:
            return _noted(result(name, comment=_first("Already as declared", told, old, summary, {})), notes)
        if test:
            changes = difference(old, goal)
            comment = _first("Would change", None, None, summary, changes)
            return _noted(result(name, result=None, changes=changes, comment=comment), notes)
        with host.exclusive(name):
            apply(goal)
        new = read()
        reached = done(new) if done else new == goal
        changes = difference(old, new)
        comment = _first("Changed", told, new, summary, changes) if reached else _missed(missing, new, goal)
        return _noted(result(name, result=reached, changes=changes, comment=comment), notes)
    except (CommandExecutionError, SaltInvocationError) as exc:
        return result(name, result=False, changes=_seen(old, read, test), comment=str(exc))


def _first(word, told, reading, summary, changes):
    if summary:
        return summary(word, changes)
    return f"{word}: {told(reading)}" if told else word


def _missed(missing, new, goal):
    return missing(new) if missing else f"Wanted {goal!r}, found {new!r}"


def _noted(ret, notes):
    lines = notes() if notes else []
    if lines:
        ret["comment"] = "\n".join([ret["comment"]] + lines)
    return ret


def _seen(old, read, test):
    """What changed before something went wrong: a failed run reports its changes too."""
    if old is None or test:
        return {}
    try:
        return difference(old, read())
    except CommandExecutionError:
        return {}
