"""
What hosts answer, and what may be believed of it. Pure functions.

A host is not trusted beyond itself: its answer has a form, a size and a length of text, or it is no answer, and what it
says counts for this one host only.
"""

from __future__ import annotations

import re

import klp_checks
import klp_family

from . import schema

VERSION = 3  # of the documents klp_audit.state_summary and klp_audit.run_preview
MOST = 1000000  # values and characters in one answer; a host that gets 5000 packages says about 500000
DEPTH = 40  # values within values
TEXT = 300  # characters of a host's text that are kept
REASONS = 3  # failed states that a reason names
SKEW = 60  # seconds that a host's clock may be off
VERIFIED = {"patch": "klp-verified", "rollback": "klp-rollback-verified"}
REQUISITE = "One or more requisite failed"
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~:/-]{0,255}\Z")
FOREIGN = klp_family.NOT_SUSE.partition(" (")[0]  # how the sentence of such a host begins
UNLOADED = re.compile(r"'\w+' __virtual__ returned False: (.+)", re.DOTALL)
ANOTHER = "bring both to one version, for the host: salt '{}' saltutil.sync_all"
UNSYNCED = "salt-klp is not on this minion yet, run: salt '{}' saltutil.sync_all"

OPTIONAL = (str, type(None))
NUMBER = (int, type(None))
SUMMARY = {
    "version": int,
    "host": str,
    "time": int,
    "kernel": str,
    "transition": str,
    "package": str,
    "live_patch": OPTIONAL,
    "active": OPTIONAL,
    "unfinished": bool,
    "held": OPTIONAL,
    "restoring": bool,
    "run": (dict, type(None)),
    "busy": list,
    "health": dict,
}
PREVIEW = {**SUMMARY, "changes": dict, "target": OPTIONAL, "skipped": list, "refusals": list, "seconds": NUMBER}
SKIPPED = {"reason": str, "advisories": list, "packages": list, "more": int}
HEALTH = {"boot": OPTIONAL, "log": NUMBER, "errors": (list, type(None)), "tainted": OPTIONAL, "services": dict}
RUN = {"opened": int, "finished": NUMBER, "backup": OPTIONAL}


class NonsenseError(ValueError):
    """An answer that is none; the text says why, in a clause."""


class ForeignError(NonsenseError):
    """A host of another system, for which there are no live patches; the text is its own sentence."""


def text(value):
    """Return a host's text as it may be shown and kept: one line, printable, of bounded length."""
    if isinstance(value, str) and len(value) <= TEXT and value.isprintable() and " ".join(value.split()) == value:
        return value
    line = "".join(char if char.isprintable() else " " for char in str(value)[: 4 * TEXT])
    line = " ".join(line.split())
    return line if len(line) <= TEXT else line[: TEXT - 3] + "..."


def _parts(value):
    """Return the size of a value, and the values within it."""
    if isinstance(value, (str, bytes)):
        return 1 + len(value), ()
    if isinstance(value, dict):
        return 1 + len(value), (value, value.values())
    if isinstance(value, (list, tuple, set)):
        return 1 + len(value), (value,)
    # Salt's wire has no larger numbers.
    return (MOST + 1 if isinstance(value, int) and not -(2**63) <= value < 2**64 else 1), ()


def bounded(value):
    """Return a value, or raise NonsenseError if it is larger or deeper than any honest answer; never recurses."""
    level, left = [value], MOST
    for _ in range(DEPTH):
        inside: list = []
        for item in level:
            size, parts = _parts(item)
            left -= size
            if left < 0:
                raise NonsenseError(f"its answer is too large (more than {MOST} characters)")
            for part in parts:
                inside.extend(part)
        if not inside:
            return value
        level = inside
    raise NonsenseError(f"its answer is nested too deeply (more than {DEPTH} levels)")


def spoken(host, value):
    """Raise NonsenseError, or ForeignError, where Salt itself has answered: it has no such function on this host."""
    unloaded = UNLOADED.match(value) if isinstance(value, str) else None
    if unloaded:
        why = text(unloaded.group(1))
        raise ForeignError(why) if why.startswith(FOREIGN) else NonsenseError(why)
    if isinstance(value, str) and "is not available" in value:
        raise NonsenseError(UNSYNCED.format(host))


def _typed(value, form, what):
    if not isinstance(value, dict):
        raise NonsenseError(f"its answer is no document: {text(value)}")
    for key, kind in form.items():
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if key not in value:
            raise NonsenseError(f"{what} lacks {key}")
        if not isinstance(value[key], kinds) or (isinstance(value[key], bool) and bool not in kinds):
            raise NonsenseError(f"{what} has an unknown {key}: {text(value[key])}")
    return value


def _words(pairs, what):
    for word in pairs:
        if word is not None and not (isinstance(word, str) and WORD.match(word)):
            raise NonsenseError(f"{what} has an unknown word: {text(word)}")


def _document(host, value, form):
    bounded(value)
    spoken(host, value)
    if isinstance(value, str):
        raise NonsenseError(text(value))
    whose = value.get("host") if isinstance(value, dict) else None
    if isinstance(whose, str) and whose != host:
        raise NonsenseError(f"its answer is of another host: {text(whose)}")
    found = _typed(value, form, "its answer")
    if found["version"] != VERSION:
        raise NonsenseError(f"its answer has version {found['version']}, wanted {VERSION}; {ANOTHER.format(host)}")
    _words([found[key] for key in ("kernel", "package", "live_patch", "active", "held")], "its answer")
    if found["run"] is not None:
        _typed(found["run"], RUN, "its run")
    _healthy(found["health"])
    return found


def _healthy(found):
    _typed(found, HEALTH, "its health")
    for item in found["errors"] or []:
        _typed(item, {"number": int, "text": str}, "its kernel log")
    for name, runs in found["services"].items():
        if not isinstance(name, str) or not isinstance(runs, (bool, type(None))):
            raise NonsenseError(f"its services are not understood: {text(name)}")


def state_summary(host, value):
    """
    Return what ``klp_audit.state_summary`` of a host answered, checked.

    Raises NonsenseError with a clause that says what is wrong with it, also for another host's answer.
    """
    return _document(host, value, SUMMARY)


def run_preview(host, value):
    """Return what ``klp_audit.run_preview`` of a host answered, checked as by ``state_summary``."""
    found = _document(host, value, PREVIEW)
    _words([found["target"], *found["changes"], *found["changes"].values()], "its plan")
    for item in found["skipped"]:
        _typed(item, SKIPPED, "what it leaves out")
        if not all(isinstance(name, str) for name in item["advisories"] + item["packages"]):
            raise NonsenseError("what it leaves out is not understood")
    if not all(isinstance(item, str) for item in found["refusals"]):
        raise NonsenseError("its refusals are not understood")
    if found["seconds"] is not None and not schema.whole(found["seconds"], 0, 10**7):
        found = dict(found, seconds=None)
    return found


def clock(found, asked, now):
    """Return what is wrong with the clock of a host that was asked then and has answered by now, or ``None``."""
    if asked - SKEW <= found["time"] <= now + SKEW:
        return None
    return f"its clock is off by more than {SKEW} seconds; set it right first (chronyc makestep)"


def unready(found, host, plan, asked, now):
    """
    Return why a host may not be started now although it answers, or ``None``.

    found
        checked answer of ``klp_audit.state_summary``.
    host
        ``{"kernel", "before", "target"}`` as the plan has them.
    plan
        the plan; its settings say whether the host may have drifted.
    """
    off = clock(found, asked, now)
    if off:
        return off
    if found["restoring"]:
        return "a backup is being restored there: restart the host first"
    if found["kernel"] != host["kernel"]:
        return f"it runs kernel {found['kernel']} now, the plan was made with {host['kernel']}; make a new plan"
    known = found["run"] or found["live_patch"] in (host["before"], host["target"])
    if not known and plan["settings"]["drift"] == "refuse":
        current = found["live_patch"] or "none"
        return f"its live patch is {current} now, the plan was made with {host['before'] or 'none'}; make a new plan"
    return None


def unwell(found, base, services):
    """
    Return what has become of a host since it was started, a list of clauses; an empty one: it is well.

    found, base
        ``health`` of then and of its start, both checked; ``base`` may lack what was not known.
    services
        names that have to run.
    """
    wrong = []
    if base["boot"] and found["boot"] != base["boot"]:
        wrong.append("it was started again")
    elif found["errors"] is None or found["log"] is None:
        wrong.append("its kernel log cannot be read")
    else:
        news = [item["text"] for item in found["errors"] if item["number"] > (base["log"] or 0)]
        wrong += [f"kernel log: {text(item)}" for item in news[:REASONS]]
    if not (found["tainted"] or "").isdecimal():
        wrong.append("its taint flags are unknown")
    elif (base["tainted"] or "").isdecimal() and worse(int(found["tainted"]), int(base["tainted"])):
        wrong.append(f"the kernel is tainted by an error ({found['tainted']}, before: {base['tainted']})")
    state = {True: None, False: "does not run", None: "is unknown"}
    wrong += [
        f"service {name} {state[found['services'].get(name)]}" for name in services if not found["services"].get(name)
    ]
    return wrong


ERRORS = sum(1 << bit for bit in (4, 5, 7, 9, 14))  # admin-guide/tainted-kernels: flags that errors of the kernel set


def worse(now, before):
    """Return whether taint flags have come that errors of the kernel set; drivers and live patches set others."""
    return bool(now & ~before & ERRORS)


def ended(kind, value):
    """
    Return how a run of a host has ended: ``(verified (bool), why (text or None))``.

    kind
        ``patch`` or ``rollback``.
    value
        what the job cache has of the host: ``{"return", "retcode", "success"}``.
    """
    try:
        return _states(kind, _returned(bounded(value)))
    except NonsenseError as exc:
        return False, f"its answer is not understood: {exc}"


def _returned(value):
    return value["return"] if isinstance(value, dict) and "return" in value else value


def unbegun(value):
    """
    Return whether a run has not begun (bool), and so nothing was changed: Salt itself has answered, with sentences.

    So it does where it runs other states just then, and where it cannot read its pillar or the files.
    """
    states = _returned(value)
    return isinstance(states, list) and bool(states) and all(isinstance(item, str) for item in states)


def _states(kind, states):
    if isinstance(states, list) and all(isinstance(item, str) for item in states):
        return False, text("; ".join(states) or "an empty answer")
    if not isinstance(states, dict) or not states:
        raise NonsenseError(text(states))
    found = [_typed(item, {"result": bool, "comment": str}, "a state") for item in states.values()]
    failed = [item for item in found if not item["result"]]
    if not failed:
        good = any(item.get("__id__") == VERIFIED[kind] for item in found)
        return (True, None) if good else (False, f"the state {VERIFIED[kind]} is missing in its answer")
    own = [item for item in failed if not item["comment"].startswith(REQUISITE)] or failed
    return False, text("; ".join(item["comment"] for item in own[:REASONS]))


def untouched(value):
    """Return whether a run that failed says that it changed nothing at all: it was refused before its first change."""
    states = value.get("return") if isinstance(value, dict) else None
    if not isinstance(states, dict) or not states:
        return False
    return all(isinstance(item, dict) and item.get("changes") == {} for item in states.values())


def runs(value, jid):
    """Return whether a host runs a job, as its ``saltutil.is_running`` tells; ``None``: it does not tell."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    return any(item.get("jid") == jid for item in value)


def verdict(host, value):
    """Return what ``klp.verify`` of a host says: ``(verdict, reason or None)``; nonsense is ``unknown``."""
    try:
        bounded(value)
        spoken(host, value)
        found = _typed(value, {"verdict": str, "checks": list}, "its answer")
    except ForeignError as exc:
        return klp_checks.UNSUPPORTED, str(exc)
    except NonsenseError as exc:
        return klp_checks.UNKNOWN, str(exc)
    if found["verdict"] not in klp_checks.VERDICTS:
        return klp_checks.UNKNOWN, f"an unknown verdict: {text(found['verdict'])}"
    checks = [item for item in found["checks"] if isinstance(item, dict) and item.get("verdict") == found["verdict"]]
    reason = "; ".join(f"{item.get('check')}: {item.get('detail')}" for item in checks)
    return found["verdict"], text(reason) if reason and found["verdict"] != klp_checks.OK else None
