"""
Answers with faults in them, as Salt brings them to the master: each is refused in a sentence, or does no harm at all.

Every fault at every place, one at a time; and by chance (``make fuzz``) several at once.
"""

import json

import pytest
import salt.exceptions
from hypothesis import given, reject
from hypothesis import strategies as st

from _runners.klp import answers, decide, documents, planning, shape, show
from _runners.klp.campaign import Campaign
from tests import fleet
from tests.unit import foreign, wire
from tests.unit.wire import PREVIEW, SUMMARY, WORLD, planned

DUE = {"around": "klp.patch", "since": 1, "stage": "changing"}
HEALTH = dict(
    SUMMARY["health"],
    log=7,
    errors=[{"number": 8, "text": "BUG: a"}],
    tainted="0",
    services={"sshd": True, "cron": None},
    application=["it is slow"],
)
HOST = dict(SUMMARY, health=HEALTH, busy=["klp.patch, pid 7"], hooks=dict(SUMMARY["hooks"], due=DUE, after=["a.b"]))
SKIPPED = {"reason": "locked", "advisories": ["A-1"], "packages": ["a"], "more": 1}
OFFER = dict(PREVIEW, changes={"curl": "2-1", "bash": "5-1"}, skipped=[SKIPPED], seconds=60, group="web", apart=["a"])
DOCUMENT = fleet.changed(
    fleet.COVERED,
    host="h1",
    checks=[{"check": "locks", "verdict": "failed", "detail": "none"}],
    window__estimate={"last": "2026-01-01", "days": 3},
    window__limit={"max_level": 3, "reached": False},
    updates__left_out=[fleet.GLIBC],
    problems=["it is slow"],
)
RUN: dict = {
    "a": {"result": True, "comment": "", "changes": {}, "__id__": "klp-verified"},
    "b": {"result": None, "comment": ""},
}
RUN = {name: {**state, "result": bool(state["result"])} for name, state in RUN.items()}
VERIFY = {"verdict": "failed", "checks": [{"check": "locks", "verdict": "failed", "detail": "none"}]}
JOBS = [{"jid": "20260101000000000000", "fun": "state.apply"}]


def summary(value):
    """Look at a host as a campaign does: before its run, after it, and for the rest of its soak."""
    found = answers.state_summary("h1", value)
    wire.assert_kept(found)
    plan = planned(PREVIEW)
    answers.unready(found, plan["hosts"]["h1"], plan, WORLD.time, WORLD.time)
    answers.drained(found)
    for now, base in ((found["health"], HEALTH), (HEALTH, found["health"]), (found["health"], found["health"])):
        wire.assert_kept(answers.unwell(now, base, ["sshd"]))


def preview(value):
    """Plan for two hosts of which one says this: the other one has its place, and the plan can be read and used."""
    plan = planned(value)
    assert set(plan["hosts"]) | set(plan["left_out"]) == {"h1", "h2"} and "h2" in plan["hosts"]
    wire.assert_kept(plan)
    assert planning.check(json.loads(json.dumps(plan)), plan["id"]) == plan
    show.plan_text(plan)
    decide.step(Campaign(plan), WORLD.time)
    if "h1" not in plan["hosts"]:
        assert plan["left_out"]["h1"][1].isprintable()


def document(value):
    """Make the report of two hosts of which one says this; the page is slow, and has tests of its own."""
    found = {"h1": documents.document("h1", value), "h2": fleet.document("h2")}
    wire.assert_kept(found)
    foreign.report(found, shown=False)


def ended(value):
    """Judge a run that ended like this."""
    for kind in ("patch", "rollback"):
        done, why = answers.ended(kind, value)
        assert done is (why is None) and (done or (why.isprintable() and len(why) <= 400))
    answers.unbegun(value)
    answers.untouched(value)


def verdict(value):
    word, why = answers.verdict("h1", value)
    assert word in ("ok", "blocked", "reboot_needed", "unsupported", "failed", "unknown")
    assert why is None or (why.isprintable() and len(why) <= 400)


def jobs(value):
    assert answers.runs(value, JOBS[0]["jid"]) in (True, False, None)


HARM = (AssertionError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, OSError, RuntimeError)
ANSWERS = {
    "state_summary": (HOST, summary),
    "run_preview": (OFFER, preview),
    "document": (DOCUMENT, document),
    "run": ({"return": RUN, "retcode": 0, "success": True}, ended),
    "verify": (VERIFY, verdict),
    "jobs": (JOBS, jobs),
}


def say(take, value):
    """Let a host say this; a refusal is one sentence of bounded length."""
    try:
        take(wire.sent(value))
    except answers.NonsenseError as exc:
        said = str(exc)
        assert said and said.isprintable() and len(said) < 500, said[:500]


def crash(kind, path=()):
    """Return what the faults of an answer below a path harm, the first of them; ``None``: nothing."""
    value, take = ANSWERS[kind]
    for place in wire.paths(value):
        for fault in wire.faults(value, place) if place[: len(path)] == path else ():
            try:
                say(take, fault)
            except HARM as exc:
                return f"{place}: {exc!r:.200}"
    return None


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_honest_answer_is_taken(kind):
    value, take = ANSWERS[kind]
    take(wire.sent(value))


@pytest.mark.parametrize("kind", ANSWERS)
def test_no_fault_at_any_place_does_harm(kind):
    assert crash(kind) is None


@pytest.mark.parametrize("kind", ANSWERS)
@given(data=st.data())
def test_no_faults_by_chance_do_harm(kind, data):
    value, take = ANSWERS[kind]
    found = data.draw(wire.wrong(value))
    try:
        wire.sent(found)
    except salt.exceptions.SaltDeserializationError:
        reject()
    say(take, found)


PLAIN = shape.Plain()


@pytest.mark.parametrize(
    ("kind", "form", "path", "less"),
    [
        ("state_summary", answers.FORMS["state_summary"], ("health", "tainted"), PLAIN),
        ("run_preview", answers.FORMS["run_preview"], ("changes",), shape.Pairs(PLAIN, shape.NAME, 5000)),
        ("document", documents.DOCUMENT, ("time",), PLAIN),
        ("state_summary", answers.FORMS["state_summary"], ("health", "boot"), PLAIN),
        ("document", documents.DOCUMENT, ("boot",), PLAIN),
    ],
    ids=["taint-of-5000-digits", "nil-key-in-changes", "time-of-2**62", "boot-of-900-kB", "boot-of-900-kB-in-a-report"],
)
def test_without_the_form_of_a_value_its_faults_do_harm(monkeypatch, kind, form, path, less):
    """The crashes that were are found again, each as soon as nothing looks at this one value."""
    for key in path[:-1]:
        form = form.forms[key]
    takes = [(key, less.take if key == path[-1] else take) for key, take in form.takes]
    monkeypatch.setattr(form, "takes", takes)
    assert crash(kind, path)
