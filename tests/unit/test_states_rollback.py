"""The states klp.rolled_back, held, settled and verified."""

import os

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
from tests.unit.conftest import LP
from tests.unit.hosts import (
    FIRST,
    ONE,
    THIRD,
    THREE,
    TWO,
    becomes,
    lock_records,
    remembers,
)
from tests.unit.states import apply, functions, raising

__all__ = ["functions"]


@pytest.fixture
def back(minion, functions):
    """A host at level 3 that ``klp_rollback.downgrade_to`` brings back to level 2, and holds there."""
    host = {"edition": THREE, "unfinished": False}
    minion.live_patch(THIRD)

    def downgrade(_, edition, force=False):
        host.update(edition=edition, unfinished=False)
        becomes("livepatch_2_150500_2_1")
        minion.file(klp_paths.LOCKS, lock_records(f"{LP}>{edition}"))
        remembers(minion, "hold", {"package": LP, "edition": edition, "from": THREE, "since": 1, "locks": []})
        return {"changed": {}, "notes": [f"held at {edition}"]}

    functions.set(
        klp_live__package=lambda _: dict(host, name=LP, level=None),
        klp_rollback__resolve=lambda _, level="previous": TWO,
        klp_rollback__downgrade_to=downgrade,
    )
    return host


BACK = {
    "live patch": {"old": THREE, "new": TWO},
    "module": {"old": THIRD, "new": "livepatch_2_150500_2_1"},
    "held at": {"old": None, "new": TWO},
}


def test_a_host_goes_back_once_to_the_edition_that_was_predicted(minion, functions, back):
    ret = apply(minion, "klp.rolled_back", test=True)
    assert (ret["result"], ret["changes"], "klp_rollback.downgrade_to" in functions.calls) == (None, BACK, False)
    resolved = iter([TWO, ONE])
    functions.set(klp_rollback__resolve=lambda _, level: next(resolved))
    ret = apply(minion, "klp.rolled_back", force=True)
    assert (ret["result"], ret["changes"]) == (True, BACK)
    assert ret["comment"] == f"Changed: live patch {TWO} is in the kernel, newer ones are held back\nheld at {TWO}"
    assert functions.given[functions.calls.index("klp_rollback.downgrade_to")] == (TWO, True)
    functions.set(klp_rollback__resolve=lambda _, level: TWO)
    for test in (True, False):
        assert apply(minion, "klp.rolled_back", test=test)["changes"] == {}
    assert functions.calls.count("klp_rollback.downgrade_to") == 1


@pytest.mark.parametrize("missing", ["the lock on newer editions", "a lock that was recorded"])
def test_a_host_whose_hold_has_lost_a_lock_is_not_held(minion, back, missing):
    apply(minion, "klp.rolled_back")
    if missing == "a lock that was recorded":
        hold = {"package": LP, "edition": TWO, "from": THREE, "since": 1, "locks": ["patch:SUSE-1"]}
        remembers(minion, "hold", hold)
    else:
        os.unlink(klp_paths.LOCKS)
    assert apply(minion, "klp.rolled_back", test=True)["changes"] == {"held at": {"old": None, "new": TWO}}


def test_a_way_back_that_was_cut_off_is_gone_on_with(minion, back):
    apply(minion, "klp.rolled_back")
    back["unfinished"] = True
    assert apply(minion, "klp.rolled_back", test=True)["changes"] == {"unfinished": {"old": True, "new": None}}


def test_the_locks_of_a_hold_are_renewed_once(minion, functions):
    missing = ["patch:SUSE-1"]
    functions.set(klp_hold__missing_locks=lambda _: list(missing), klp_hold__hold=lambda _: missing.clear())
    changes = {"missing locks": {"old": ["patch:SUSE-1"], "new": []}}
    assert apply(minion, "klp.held", test=True)["changes"] == changes and missing
    ret = apply(minion, "klp.held")
    assert (ret["result"], ret["changes"]) == (True, changes)
    assert apply(minion, "klp.held")["changes"] == {}
    assert functions.calls.count("klp_hold.hold") == 1


def test_a_transition_is_waited_for(minion, functions):
    minion.live_patch(FIRST, transition=1)
    seen = []

    def wait(_, timeout=None):
        seen.append(timeout)
        minion.live_patch(FIRST)

    functions.set(klp_live__wait=wait)
    changes = {"transition": {"old": "in_progress", "new": "ready"}}
    assert apply(minion, "klp.settled", 60, test=True)["changes"] == changes and seen == []
    ret = apply(minion, "klp.settled", 60)
    assert (ret["result"], ret["changes"], seen) == (True, changes, [60])
    assert apply(minion, "klp.settled")["changes"] == {} and seen == [60]


def test_a_transition_that_does_not_end_is_false(minion, functions):
    minion.live_patch(FIRST, transition=1)
    functions.set(klp_live__wait=raising(CommandExecutionError("held up by: process 7")))
    ret = apply(minion, "klp.settled")
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, {}, "held up by: process 7")


CHECKS = [
    {"check": "reboot", "verdict": "reboot_needed", "detail": "flag"},
    {"check": "a", "verdict": "ok", "detail": ""},
]


@pytest.mark.parametrize(
    ("verdict", "result", "result_of_test"),
    [
        ("ok", True, True),
        ("reboot_needed", True, True),
        ("failed", False, None),
        ("blocked", False, None),
        ("unknown", False, None),
        ("unsupported", False, None),
    ],
)
def test_a_verification_is_judged_by_its_verdict(minion, functions, verdict, result, result_of_test):
    found = {"verdict": verdict, "kernel": "6.4", "live_patch": None, "cves": [], "checks": CHECKS}
    functions.set(klp_verify__verify=lambda _, wait=0: found)
    ret = apply(minion, "klp.verified")
    assert (ret["result"], ret["changes"]) == (result, {})
    assert ret["comment"] == f"{verdict}: 6.4 with live patch none\nreboot: reboot_needed: flag"
    assert apply(minion, "klp.verified", test=True)["result"] is result_of_test


def test_where_a_host_is_held_is_told_though_nothing_is_wrong(minion, functions):
    checks = [{"check": "held", "verdict": "ok", "detail": "held at 2-1.1"}]
    found = {"verdict": "ok", "kernel": "6.4", "live_patch": "2-1.1", "cves": [], "checks": checks}
    functions.set(klp_verify__verify=lambda _, wait=0: found)
    assert apply(minion, "klp.verified")["comment"] == "ok: 6.4 with live patch 2-1.1\nheld at 2-1.1"


def test_a_verification_that_cannot_be_done_is_unknown(minion, functions):
    functions.set(klp_verify__verify=raising(CommandExecutionError("no sysfs")))
    ret = apply(minion, "klp.verified")
    assert (ret["result"], ret["comment"]) == (False, "unknown: no sysfs")
