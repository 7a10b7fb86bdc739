"""What hosts answer: nothing that one says can do more than fail this one host."""

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _runners.klp import answers, shape
from tests.simulation.world import KERNEL, NEW, OLD, PACKAGE, SimHost, World, run_preview, state, state_summary
from tests.unit.wire import JSON, damaged

WORLD = World([SimHost("h1")])
GOOD = state_summary(WORLD, WORLD.hosts["h1"], services=["sshd"], application=True)
PLANNED = run_preview(WORLD, WORLD.hosts["h1"])
unclear = "its answer is not understood: {}".format
DEEP: list = []
for _ in range(100000):
    DEEP = [DEEP]
HUGE = [
    DEEP,
    {"a": DEEP},
    {"return": DEEP},
    ["x"] * 10**6,
    "x" * 10**7,
    {"return": "x" * 10**7},
    10**6000,
    -(10**6000),
    {"return": {"a": 10**6000}},
    [[[["x" * 100] * 50] * 50] * 50],
    {str(n) * 80: n for n in range(5000)},
]


SKIPPED = {"reason": "asks for a reboot", "advisories": ["SUSE-1"], "packages": ["glibc"], "more": 0}


def test_an_honest_answer_is_taken_as_it_is():
    assert answers.state_summary("h1", GOOD) == GOOD
    assert answers.run_preview("h1", PLANNED) == PLANNED
    assert answers.run_preview("h1", dict(PLANNED, skipped=[SKIPPED]))["skipped"] == [SKIPPED]
    ran = dict(GOOD, run={"opened": 1, "finished": None, "backup": "vol-1"}, live_patch=None, held="2-1")
    assert answers.state_summary("h1", ran) == ran


def test_what_was_not_asked_for_is_left_away():
    assert answers.state_summary("h1", dict(GOOD, more={"a": 1}, **{"": 2})) == GOOD


@given(st.one_of(JSON, damaged(GOOD), damaged(PLANNED)))
def test_of_a_host_that_says_anything_nothing_but_nonsense_comes(value):
    for reader in (answers.state_summary, answers.run_preview):
        try:
            found = reader("h1", value)
        except answers.NonsenseError as exc:
            assert str(exc).isprintable() and len(str(exc)) < 500
        else:
            assert found["host"] == "h1" and found["version"] == answers.VERSION and isinstance(found["busy"], list)
            assert answers.unwell(found["health"], GOOD["health"], ["sshd"]) is not None
            host = {"kernel": KERNEL, "before": OLD, "target": NEW}
            why = answers.unready(found, host, {"settings": {"drift": "refuse"}}, 0, 10**10)
            assert why is None or why.isprintable()


@pytest.mark.parametrize("number", range(len(HUGE)))
def test_what_is_huge_is_nonsense(number):
    value = HUGE[number]
    for reader in (answers.state_summary, answers.run_preview):
        with pytest.raises(answers.NonsenseError, match="too large|too deeply"):
            reader("h1", value)
    for kind in ("patch", "rollback"):
        done, why = answers.ended(kind, value)
        assert not done and why.startswith(unclear("it is "))
    assert answers.verdict("h1", value)[0] == "unknown"
    assert answers.unbegun(value) in (True, False)


def test_what_is_as_large_as_an_honest_answer_can_be_is_taken():
    changes = {f"python311-some-package-{number}": f"20.26.{number}-150500.24.3.{number}" for number in range(5000)}
    assert answers.run_preview("h1", dict(PLANNED, changes=changes))["changes"] == changes
    updated = {
        "result": True,
        "comment": "x",
        "changes": {name: {"old": new, "new": new} for name, new in changes.items()},
    }
    assert answers.ended("patch", {"return": dict(STATES, update=updated)}) == (True, None)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, unclear("wanted a mapping of certain keys, found None")),
        (
            "'klp_audit.state_summary' is not available.",
            "salt-klp is not on this minion yet, run: salt 'h1' saltutil.sync_all",
        ),
        ("Traceback (most\nrecent  call last):", "Traceback (most recent call last):"),
        ({}, unclear("version: it is missing")),
        (
            dict(GOOD, version=1),
            "its answer has version 1, wanted 3; bring both to one version, for the host: salt 'h1' ",
        ),
        ("'klp_audit' __virtual__ returned False: not a SUSE host (debian 12)", "not a SUSE host (debian 12)"),
        (dict(GOOD, version=True), unclear("version: wanted 3, found True")),
        (dict(GOOD, host="h2\x1b[2J"), "its answer is of another host: h2 [2J"),
        (
            dict(GOOD, time="now"),
            unclear("time: wanted a whole number from 0 to 253402300799, found now"),
        ),
        (dict(GOOD, kernel="a b"), unclear("kernel: wanted a name or an edition, found a b")),
        (
            dict(GOOD, live_patch="3-1\n"),
            unclear("live_patch: wanted a name or an edition, found '3-1\\n'"),
        ),
        (dict(GOOD, run={}), unclear("run:opened: it is missing")),
        (
            dict(GOOD, run={"opened": 1, "finished": "no", "backup": None}),
            unclear("run:finished: wanted a whole number from 0 to "),
        ),
        (
            dict(GOOD, health=dict(GOOD["health"], errors=[1])),
            unclear("health:errors:1: wanted a mapping of certain keys, found 1"),
        ),
        (
            dict(GOOD, health=dict(GOOD["health"], errors=[{"number": 1}])),
            unclear("health:errors:1:text: it is missing"),
        ),
        (
            dict(GOOD, health=dict(GOOD["health"], services={"sshd": "yes"})),
            unclear("health:services:sshd: wanted true or false, found yes"),
        ),
        (
            dict(GOOD, health=dict(GOOD["health"], services={1: True})),
            unclear("health:services: a key: wanted the name of a service, found 1"),
        ),
        (
            dict(GOOD, health=dict(GOOD["health"], application=["ill", 1])),
            unclear("health:application:2: wanted a text, found 1"),
        ),
        (
            dict(GOOD, health=dict(GOOD["health"], patience=10**9)),
            unclear("health:patience: wanted a whole number from 0 to 3600, found 1000000000"),
        ),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(value, why):
    with pytest.raises(answers.NonsenseError) as found:
        answers.state_summary("h1", value)
    assert str(found.value).startswith(why)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"target": "3 1"}, "target: wanted a name or an edition, found 3 1"),
        ({"changes": {"curl": ""}}, "changes:curl: wanted a name or an edition, found ''"),
        ({"changes": {"-curl": "1"}}, "changes: a key: wanted a name or an edition, found -curl"),
        ({"changes": {"curl": ["1"]}}, "changes:curl: wanted a name or an edition, found a list of 1 value"),
        ({"refusals": [1]}, "refusals:1: wanted a text, found 1"),
        ({"refusals": "no"}, "refusals: wanted a list of at most 20000 values, found no"),
        ({"skipped": None}, "skipped: wanted a list of at most 10000 values, found None"),
        ({"skipped": ["glibc"]}, "skipped:1: wanted a mapping of certain keys, found glibc"),
        (
            {"skipped": [{**SKIPPED, "more": "2"}]},
            "skipped:1:more: wanted a whole number from 0 to 1000000000, found 2",
        ),
        ({"skipped": [{**SKIPPED, "packages": [7]}]}, "skipped:1:packages:1: wanted a text, found 7"),
    ],
)
def test_what_is_wrong_with_a_preview_is_said(more, why):
    with pytest.raises(answers.NonsenseError, match="^its answer is not understood: " + re.escape(why)):
        answers.run_preview("h1", dict(PLANNED, **more))


@pytest.mark.parametrize(("seconds", "found"), [(-1, None), (10**7 + 1, None), (0, 0), (10**7, 10**7), (None, None)])
def test_a_duration_that_cannot_be_is_not_known(seconds, found):
    assert answers.run_preview("h1", dict(PLANNED, seconds=seconds))["seconds"] == found


@given(st.one_of(JSON, st.text()))
@example("\x1b[31m\u202e\u2028\ud800\0" * 500)
@example(" \n\t " * 1000)
def test_text_is_one_printable_bounded_line(value):
    found = answers.text(value)
    assert found.isprintable() and len(found) <= shape.TEXT and found == found.strip() and "  " not in found
    assert answers.text(found) == found


PLAN: dict = {"settings": {"drift": "refuse"}}
HOST = {"kernel": KERNEL, "before": OLD, "target": NEW}
RUN = {"opened": 1, "finished": None, "backup": None}


@pytest.mark.parametrize(
    ("more", "drift", "why"),
    [
        ({}, "refuse", None),
        ({"live_patch": NEW}, "refuse", None),
        (
            {"live_patch": "4-1"},
            "refuse",
            "its live patch is 4-1 now, the plan was made with 2-150500.2.1; make a new plan",
        ),
        ({"live_patch": None}, "refuse", "its live patch is none now"),
        ({"live_patch": "4-1"}, "follow", None),
        ({"live_patch": "4-1", "run": RUN}, "refuse", None),
        ({"restoring": True}, "follow", "a backup is being restored there: restart the host first"),
        (
            {"kernel": "6.4.0-1-default"},
            "follow",
            f"it runs kernel 6.4.0-1-default now, the plan was made with {KERNEL}",
        ),
        ({"time": GOOD["time"] - 61}, "follow", "its clock is off by more than 60 seconds; set it right first"),
        ({"time": GOOD["time"] + 63}, "follow", "its clock is off by more than 60 seconds"),
        ({"time": GOOD["time"] + 62}, "follow", None),
    ],
)
def test_who_may_be_started(more, drift, why):
    now = GOOD["time"]
    found = answers.unready(dict(GOOD, **more), HOST, {"settings": {"drift": drift}}, now, now + 2)
    assert found == why or (why and found.startswith(why))


BASE = {"boot": "boot-1", "log": 100, "tainted": "32768"}


@pytest.mark.parametrize(
    ("more", "base", "wrong"),
    [
        ({}, {}, []),
        ({"boot": "boot-2"}, {}, ["it was started again"]),
        ({"boot": "boot-2"}, {"boot": None}, []),
        ({"errors": None}, {}, ["its kernel log cannot be read"]),
        ({"log": None}, {}, ["its kernel log cannot be read"]),
        (
            {"errors": [{"number": 100, "text": "old"}, {"number": 101, "text": "BUG:\nnew"}]},
            {},
            ["kernel log: BUG: new"],
        ),
        ({"errors": [{"number": n, "text": "x" * 999} for n in range(101, 121)]}, {}, 3),
        ({"errors": [{"number": 1, "text": "known"}]}, {"log": None}, ["kernel log: known"]),
        ({"tainted": None}, {}, ["its taint flags are unknown"]),
        ({"tainted": "\u0661 "}, {}, ["its taint flags are unknown"]),
        (
            {"tainted": "32896"},
            {},
            ["the kernel is tainted by an error, taint 128 (D: the kernel died before (oops or BUG))"],
        ),
        ({"tainted": "32896"}, {"tainted": None}, []),
        ({"tainted": "36864"}, {}, []),  # an out-of-tree module is no error of the kernel
        ({"services": {"sshd": False}}, {}, ["service sshd does not run"]),
        ({"services": {"sshd": None}}, {}, ["service sshd is unknown"]),
        ({"services": {}}, {}, ["service sshd is unknown"]),
        ({"application": ["command shop: exit 1\x1b[2J"]}, {}, ["command shop: exit 1 [2J"]),
        ({"application": ["x" * 999] * 200}, {}, 3),
        ({"application": None}, {}, ["nothing is known of its application"]),
    ],
)
def test_what_has_become_of_a_host(more, base, wrong):
    found = answers.unwell(dict(GOOD["health"], **more), dict(BASE, **base), ["sshd"])
    assert found == wrong or (len(found) == wrong and max(map(len, found)) < 400)


STATES = {**state("klp-backup", True, "ok"), **state("klp-verified", True, "ok")}


@pytest.mark.parametrize(
    ("kind", "states", "found"),
    [
        ("patch", STATES, (True, None)),
        ("rollback", STATES, (False, "the state klp-rollback-verified is missing in its answer")),
        ("rollback", state("klp-rollback-verified", True, "ok"), (True, None)),
        ("patch", {**STATES, **state("klp-update", False, "zypper: exit 4")}, (False, "zypper: exit 4")),
        (
            "patch",
            {**state("a", False, "One or more requisite failed: b"), **state("b", False, "why\nit failed")},
            (False, "why it failed"),
        ),
        ("patch", state("a", False, "One or more requisite failed: b"), (False, "One or more requisite failed: b")),
        ("patch", ["Rendering SLS failed", "twice"], (False, "Rendering SLS failed; twice")),
        ("patch", [], (False, "it failed, and does not say why")),
        ("patch", {}, (False, unclear("{}"))),
        ("patch", "Traceback", (False, unclear("Traceback"))),
        ("patch", [1], (False, unclear("[1]"))),
        (
            "patch",
            {"a": {"result": None, "comment": ""}},
            (False, unclear("a:result: wanted true or false, found None")),
        ),
        ("patch", {"a": {"result": True}}, (False, unclear("a:comment: it is missing"))),
        (
            "patch",
            {"a": None},
            (False, unclear("a: wanted a mapping of certain keys, found None")),
        ),
    ],
)
def test_how_a_run_has_ended(kind, states, found):
    for value in (states, {"return": states, "retcode": 0, "success": True}):
        got = answers.ended(kind, value)
        assert got == found or (not got[0] and found[1] and got[1].startswith(found[1]))


@given(
    st.one_of(JSON, JSON.map(lambda value: {"return": value}), damaged(STATES)), st.sampled_from(["patch", "rollback"])
)
def test_how_a_run_has_ended_is_known_of_anything(value, kind):
    done, why = answers.ended(kind, value)
    assert done is (why is None)
    assert why is None or (why.isprintable() and 0 < len(why) < 500)
    assert not (done and answers.unbegun(value))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (["The function is running"], True),
        ([], False),
        ({}, False),
        ("x", False),
        ([1], False),
        (None, False),
        (["a", 1], False),
    ],
)
def test_a_run_that_salt_did_not_begin(value, found):
    assert answers.unbegun(value) is found and answers.unbegun({"return": value, "retcode": 1}) is found


def test_the_flags_that_errors_set():
    assert answers.worse(512, 0) and answers.worse(1 << 14, 512) and not answers.worse(512, 512)
    assert not answers.worse((1 << 15) | (1 << 12) | 1, 0) and math.log2(answers.ERRORS) < 15 and PACKAGE


@pytest.mark.parametrize(
    ("value", "untouched"),
    [
        ({"return": state("klp-repositories", False, "not in the plan")}, True),
        ({"return": {**state("a", True, "ok", 1), **state("b", False, "no")}}, False),
        ({"return": ["a sentence of Salt"]}, False),
        ({"return": {}}, False),
        ({"return": {"a": 1}}, False),
        ({"return": {"a": {"result": False}}}, False),
        ("nonsense", False),
    ],
)
def test_only_a_whole_answer_without_changes_says_that_nothing_was_changed(value, untouched):
    assert answers.untouched(value) is untouched
