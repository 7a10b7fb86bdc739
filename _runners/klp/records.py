"""
The forms of what is read back from the master's disk: a plan and the quarantine. Pure functions.

A hash says that a plan is what was written, not that this program can use it.
"""

from __future__ import annotations

from . import schema
from .shape import (
    MOMENT,
    NAME,
    SENTENCE,
    Choice,
    Each,
    Flag,
    Form,
    Line,
    Maybe,
    Pairs,
    Record,
    ShapeError,
    Whole,
    Word,
    shown,
)

MOST = 1_000_000  # hosts of a plan
HOST = Word(schema.HOST.pattern.removesuffix(r"\Z"), "the id of a minion")
HOSTS = Each(HOST, MOST)
TEXTS = Each(SENTENCE, 20000)
NUMBER = Whole(0, 2**53)
DIGEST = Word(r"[0-9a-f]{12}", "the beginning of a hash")


class Own(Form):
    """What a function finds nothing wrong with; it returns a sentence, or ``None``."""

    def __init__(self, check):
        self.check = check

    def take(self, value):
        problem = self.check(value)
        if problem:
            raise ShapeError(problem)
        return value


def _level_problem(value):
    good = schema.whole(value, 1, 999) or (isinstance(value, str) and NAME.match(value))
    return None if good else f"wanted a level or an edition, found {shown(value)}"


def _setting(spec):
    """Return the form of a value of the pillar schema, as ``schema.settings`` fills it."""
    if "keys" in spec:
        return Record({key: _setting(inner) for key, inner in spec["keys"].items()})
    if spec["type"] == "own":
        return Own(spec["check"])
    if spec["type"] == "int":
        return Whole(spec["least"], spec["most"])
    if spec["type"] == "list":
        return Each(Line(), MOST)
    if spec["type"] == "str":
        return Choice(*spec["choices"]) if "choices" in spec else Line()
    return {"bool": Flag(), "level": Own(_level_problem)}[spec["type"]]


_WAVE = {key: Own(check) for key, check in schema.WAVE.items()}
_FILLED = Record({**_WAVE, "name": NAME, "hosts": HOSTS, "target": Line()})
_WINDOWS = Record(
    # What the calendar of the maintenance windows said when the plan was made.
    {**_setting(schema.SCHEMA["windows"]).forms, "spans": Each(Each(NUMBER, 2), 20000)},
    absent={"spans": []},
)
_LIMITS = Record(_setting(schema.SCHEMA["limits"]).forms, absent={"restart": 30})
SETTINGS = Record(
    {
        **_setting({"keys": schema.SCHEMA}).forms,
        "waves": Each(_FILLED, 10000),
        "windows": _WINDOWS,
        "limits": _LIMITS,
    },
    absent={"reboot": False},  # of plans that were made before there were campaigns of kind kernel
)
HOOKS = ("before", "after", "on_failure")
PLAN = Record(
    {
        "kind": Choice("patch", "rollback", "kernel"),
        "created": MOMENT,
        "master": SENTENCE,
        "by": Maybe(SENTENCE),
        "settings": SETTINGS,
        "seed": DIGEST,
        "waves": Each(
            Record(
                {
                    **{key: _WAVE[key] for key in ("batch", "soak", "failed", "unreachable")},
                    "name": NAME,
                    "hosts": HOSTS,
                    "groups": Pairs(SENTENCE, NUMBER, MOST),
                    "seconds": NUMBER,
                }
            ),
            10000,
        ),
        "offers": Pairs(
            DIGEST,
            Record({"package": NAME, "target": Maybe(NAME), "changes": Pairs(NAME, NAME, 5000)}),
            MOST,
        ),
        "hosts": Pairs(
            HOST,
            Record(
                {
                    "kernel": NAME,
                    "package": NAME,
                    "before": Maybe(NAME),
                    "target": Maybe(NAME),
                    "offer": DIGEST,
                    "seconds": Maybe(NUMBER),
                    "note": Maybe(SENTENCE),
                    "group": Maybe(NAME),
                    "apart": TEXTS,
                }
            ),
            MOST,
        ),
        "left_out": Pairs(SENTENCE, Each(SENTENCE, 2), MOST),
        "skipped": Each(
            Record({"reason": SENTENCE, "advisories": TEXTS, "packages": TEXTS, "more": NUMBER, "hosts": HOSTS}), MOST
        ),
        "hooks": Each(Record({**dict.fromkeys(HOOKS, TEXTS), "hosts": HOSTS}), MOST),
        "unclear": HOSTS,
    }
)
QUARANTINE = Each(
    Record({"package": NAME, "edition": NAME, "campaign": SENTENCE, "since": MOMENT, "why": SENTENCE}), 100000
)


def plan_problem(plan):
    """Return what is wrong with a plan, a sentence that begins with the path of the value, or ``None``."""
    try:
        PLAN.take(plan)
        _fit(plan)
    except ShapeError as exc:
        return str(exc)
    return None


def _fit(plan):
    """Raise ShapeError where parts of a plan do not fit: a host in two waves or in none, an offer that there is not."""
    if len(plan["waves"]) != len(plan["settings"]["waves"]):
        raise ShapeError("wanted as many as there are in settings:waves", "waves")
    taken = [host for wave in plan["waves"] for host in wave["hosts"]]
    if sorted(taken) != sorted(plan["hosts"]):
        raise ShapeError("wanted each host of the plan once", "waves")
    for host, item in plan["hosts"].items():
        if item["offer"] not in plan["offers"]:
            raise ShapeError("wanted one of offers", "hosts", host, "offer")


def quarantine_problem(items):
    """Return what is wrong with a quarantine, a sentence that begins with the path of the value, or ``None``."""
    try:
        QUARANTINE.take(items)
    except ShapeError as exc:
        return str(exc)
    return None
