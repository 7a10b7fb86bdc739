"""
What hosts answer, and what may be believed of it. Pure functions.

A host is not trusted beyond itself: its answer has a form, a size and a length of text, or it is no answer, and what it
says counts for this one host only.
"""

from __future__ import annotations

import re

import klp_checks
import klp_family

from . import schema, words
from .shape import (
    MOMENT,
    NAME,
    SENTENCE,
    SENTENCES,
    Choice,
    Const,
    Each,
    Flag,
    Maybe,
    Pairs,
    Plain,
    Record,
    ShapeError,
    Whole,
    Word,
    text,
)
from .shape import bounded as _bounded

VERSION = 3  # of the documents klp_audit.state_summary and klp_audit.run_preview
REASONS = 3  # failed states that a reason names
SKEW = 60  # seconds that a host's clock may be off
VERIFIED = {
    "patch": "klp-verified",
    "rollback": "klp-rollback-verified",
    "kernel": "klp-kernel",
    "kernel_back": "klp-kernel-back",
    "restart": "klp-restart",
}
REQUISITE = "One or more requisite failed"
FOREIGN = klp_family.NOT_SUSE.partition(" (")[0]  # how the sentence of such a host begins
UNLOADED = re.compile(r"'\w+' __virtual__ returned False: (.+)", re.DOTALL)
ANOTHER = "bring both to one version, for the host: salt '{}' saltutil.sync_all"
UNSYNCED = "salt-klp is not on this minion yet, run: salt '{}' saltutil.sync_all"
NOT_UNDERSTOOD = "its answer is not understood: {}"
DRAINED = "hook after is due since {}, it may still be drained: salt '{}' state.apply {}"
NO_BOOT = "the id of its boot is not known, so nobody could see that it has restarted"
SILENT = "it failed, and does not say why"

# What hosts answer: a line for each key. Other keys are left away.
COUNTER = Whole(0, 2**64 - 1)  # of the kernel
SECONDS = Whole(-(2**63), 2**63)
BOOT = Word(r"[A-Za-z0-9-]{1,64}", "the id of a boot")
TAINTED = Word(r"[0-9]{1,20}", "taint flags")
SERVICE = Word(r"[A-Za-z0-9_][A-Za-z0-9_.:@\\-]{0,255}", "the name of a service")
LOG = Record({"number": COUNTER, "text": SENTENCE})
HEALTH = Record(
    {
        "boot": Maybe(BOOT),
        "log": Maybe(COUNTER),
        "errors": Maybe(Each(LOG, 1000)),
        "tainted": Maybe(TAINTED),
        "services": Pairs(SERVICE, Maybe(Flag()), 1000),
        "application": Maybe(SENTENCES),
        "patience": Whole(0, 3600),
    }
)
RUN = Record({"opened": MOMENT, "finished": Maybe(MOMENT), "backup": Maybe(SENTENCE)})
SLS = Word(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "the name of an SLS")
HOOK = Each(SLS, 1000)
DUE = Record({"around": SLS, "since": MOMENT, "stage": Choice("before", "changing", "after")})
HOOKS = Record({"before": HOOK, "after": HOOK, "on_failure": HOOK, "due": Maybe(DUE)})
STAGES = ("installing", "installed", "restarting", "verified", "failed", "back", "went_back")  # of klp_change
CHANGE = Record(
    {
        "stage": Choice(*STAGES),
        "from": NAME,
        "to": NAME,
        "edition": NAME,
        "live_patch": NAME,
        "fallback": Flag(),
        "why": SENTENCES,
        "at": MOMENT,
        "boot_id": Maybe(BOOT),
    }
)
TARGET = Record(
    {
        "release": NAME,
        "edition": NAME,
        "live_patch": Maybe(NAME),
        "package": NAME,
        "fallback": Flag(),
        "window_last": Maybe(SENTENCE),
        "cves": Whole(0, 10**6),
    }
)
SUMMARY = {
    "version": Const(VERSION),
    "host": SENTENCE,
    "time": MOMENT,
    "kernel": NAME,
    "transition": Choice("ready", "in_progress", "unknown"),
    "package": NAME,
    "live_patch": Maybe(NAME),
    "active": Maybe(NAME),
    "unfinished": Flag(),
    "held": Maybe(NAME),
    "restoring": Flag(),
    "run": Maybe(RUN),
    "busy": SENTENCES,
    "health": HEALTH,
    "hooks": HOOKS,
    "kernel_change": Maybe(CHANGE),
}
SKIPPED = Record(
    {"reason": SENTENCE, "advisories": Each(SENTENCE, 2000), "packages": Each(SENTENCE, 2000), "more": Whole(0, 10**9)}
)
PREVIEW = {
    **SUMMARY,
    "changes": Pairs(NAME, NAME, 5000),
    "target": Maybe(NAME),
    "skipped": Each(SKIPPED, 10000),
    "refusals": SENTENCES,
    "seconds": Maybe(SECONDS),
    "group": Maybe(NAME),
    "apart": Each(SENTENCE, 100),
    "kernel_target": Maybe(TARGET),
}
ABSENT = {"kernel_change": None, "kernel_target": None}  # keys that hosts of before do not send
STATE = Record({"result": Flag(), "comment": SENTENCE, "__id__": Plain()}, absent={"__id__": None})
STATES = Pairs(Plain(), STATE, 100000)
JOBS = Each(Record({"jid": Plain()}, absent={"jid": None}), 10000)
CHECK = Record({"check": SENTENCE, "verdict": Choice(*klp_checks.VERDICTS, klp_checks.SKIPPED), "detail": SENTENCE})
VERIFY = Record({"verdict": Choice(*klp_checks.VERDICTS), "checks": Each(CHECK, 1000)})
FORMS = {"state_summary": Record(SUMMARY, absent=ABSENT), "run_preview": Record(PREVIEW, absent=ABSENT)}


class NonsenseError(ValueError):
    """An answer that is none; the text says why, in a clause."""

    def __init__(self, why):
        super().__init__(why or SILENT)  # no reason at all would look like a success


class ForeignError(NonsenseError):
    """A host of another system, for which there are no live patches; the text is its own sentence."""


def bounded(value):
    """Return a value, or raise NonsenseError if it is larger or deeper than any honest answer; never recurses."""
    return taken(_bounded, value)


def taken(take, value):
    """Return a value of a host as ``take`` of a form returns it, or raise NonsenseError."""
    try:
        return take(value)
    except ShapeError as exc:
        raise NonsenseError(NOT_UNDERSTOOD.format(exc)) from exc


def spoken(host, value):
    """Raise NonsenseError, or ForeignError, where Salt itself has answered: it has no such function on this host."""
    unloaded = UNLOADED.match(value) if isinstance(value, str) else None
    if unloaded:
        why = text(unloaded.group(1))
        raise ForeignError(why) if why.startswith(FOREIGN) else NonsenseError(why)
    if isinstance(value, str) and "is not available" in value:
        raise NonsenseError(UNSYNCED.format(host))


def _document(host, value, form):
    bounded(value)
    spoken(host, value)
    if isinstance(value, str):
        raise NonsenseError(text(value))
    found = value if isinstance(value, dict) else {}
    whose, version = found.get("host"), found.get("version")
    if isinstance(whose, str) and whose != host:
        raise NonsenseError(f"its answer is of another host: {text(whose)}")
    if isinstance(version, int) and not isinstance(version, bool) and version != VERSION:
        raise NonsenseError(f"its answer has version {version}, wanted {VERSION}; {ANOTHER.format(host)}")
    return taken(FORMS[form].take, value)


def state_summary(host, value):
    """
    Return what ``klp_audit.state_summary`` of a host answered, in its form.

    Raises NonsenseError with a clause that says what is wrong with it, also for another host's answer.
    """
    return _document(host, value, "state_summary")


def run_preview(host, value):
    """Return what ``klp_audit.run_preview`` of a host answered, as ``state_summary`` does."""
    found = _document(host, value, "run_preview")
    if found["seconds"] is not None and not schema.whole(found["seconds"], 0, 10**7):
        found["seconds"] = None
    return found


def clock(found, asked, now):
    """Return what is wrong with the clock of a host that was asked then and has answered by now, or ``None``."""
    if asked - SKEW <= found["time"] <= now + SKEW:
        return None
    return f"its clock is off by more than {SKEW} seconds; set it right first (chronyc makestep)"


def is_master(off, said):
    """Return whether the clock of the master is off, where ``off`` of the ``said`` hosts have another time."""
    return said > 1 and 2 * off > said


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
    if plan.get("kind") == "kernel" and found["health"]["boot"] is None:
        return NO_BOOT
    if plan.get("kind") == "kernel" and found["kernel"] == host["target"]:
        return None  # somebody has restarted it: its run verifies it
    if found["kernel"] != host["kernel"]:
        return f"it runs kernel {found['kernel']} now, the plan was made with {host['kernel']}; make a new plan"
    known = found["run"] or found["live_patch"] in (host["before"], host["target"]) or plan.get("kind") == "kernel"
    if not known and plan["settings"]["drift"] == "refuse":
        current = found["live_patch"] or "none"
        return f"its live patch is {current} now, the plan was made with {host['before'] or 'none'}; make a new plan"
    return None


def drained(found):
    """
    Return that a host may still be drained by a run that was cut off, a clause with the next command, or ``None``.

    found
        checked answer of ``klp_audit.state_summary``. While a run is going on, its end is waited for.
    """
    due = found["hooks"]["due"]
    if due is None or found["busy"]:
        return None
    return DRAINED.format(words.moment(due["since"]), found["host"], due["around"])


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
        new = klp_checks.flags(int(found["tainted"]) & ~int(base["tainted"]) & ERRORS)
        wrong.append(f"the kernel is tainted by an error, taint {new}")
    state = {True: None, False: "does not run", None: "is unknown"}
    wrong += [
        f"service {name} {state[found['services'].get(name)]}" for name in services if not found["services"].get(name)
    ]
    application = ["nothing is known of its application"] if found["application"] is None else found["application"]
    return wrong + [text(item) for item in application[:REASONS]]


ERRORS = sum(1 << bit for bit, _, _ in klp_checks.ERRORS)


def worse(now, before):
    """Return whether taint flags have come that errors of the kernel set; drivers and live patches set others."""
    return bool(now & ~before & ERRORS)


def ended(kind, value):
    """
    Return how a run of a host has ended: ``(verified (bool), why (text or None))``.

    kind
        one of VERIFIED.
    value
        what the job cache has of the host: ``{"return", "retcode", "success"}``.
    """
    try:
        return _states(kind, _returned(bounded(value)))
    except NonsenseError as exc:
        return False, str(exc)


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
        return False, text("; ".join(states)) or SILENT
    if not isinstance(states, dict) or not states:
        raise NonsenseError(NOT_UNDERSTOOD.format(text(states) or SILENT))
    found = list(taken(STATES.take, states).values())
    failed = [item for item in found if not item["result"]]
    if not failed:
        good = any(item["__id__"] == VERIFIED[kind] for item in found)
        return (True, None) if good else (False, f"the state {VERIFIED[kind]} is missing in its answer")
    own = [item for item in failed if not item["comment"].startswith(REQUISITE)] or failed
    return False, text("; ".join(filter(None, (item["comment"] for item in own[:REASONS])))) or SILENT


def untouched(value):
    """Return whether a run that failed says that it changed nothing at all: it was refused before its first change."""
    states = value.get("return") if isinstance(value, dict) else None
    if not isinstance(states, dict) or not states:
        return False
    return all(isinstance(item, dict) and item.get("changes") == {} for item in states.values())


def runs(value, jid):
    """Return whether a host runs a job, as its ``saltutil.is_running`` tells; ``None``: it does not tell."""
    try:
        return any(item["jid"] == jid for item in taken(JOBS.take, value))
    except NonsenseError:
        return None


def verdict(host, value):
    """Return what ``klp.verify`` of a host says: ``(verdict, reason or None)``; nonsense is ``unknown``."""
    try:
        bounded(value)
        spoken(host, value)
        found = taken(VERIFY.take, value)
    except ForeignError as exc:
        return klp_checks.UNSUPPORTED, str(exc)
    except NonsenseError as exc:
        return klp_checks.UNKNOWN, str(exc)
    checks = [item for item in found["checks"] if item["verdict"] == found["verdict"]]
    reason = "; ".join(f"{item['check']}: {item['detail']}" for item in checks)
    return found["verdict"], text(reason) if reason and found["verdict"] != klp_checks.OK else None
