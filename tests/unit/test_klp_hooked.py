"""Hooks are run where their time has come, and what has begun is known to the next run."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_change
import klp_hooks
import klp_nested
import klp_paths
import klp_rollback
import klp_runlock
import klp_runs
import klp_uptodate
import klp_verify
from tests.unit.hosts import ONE, THREE, another_run, has, record, remembers
from tests.unit.kernels import CHANGE

HOOKS = {"before": "site.drain", "after": ["site.undrain", "site.check"], "on_failure": ["site.alarm"]}
LATE = {"around": "klp.patch", "run": "c1", "since": 1_600_000_000, "stage": "changing", "after": ["old.undrain"]}
CHANGED = {"sls": "site.drain", "id": "drained", "result": True, "changes": {"a": 1}, "comment": "gone\nout"}
QUIET = dict(CHANGED, id="told", changes={}, comment="nothing to say")
BAD = dict(CHANGED, id="told", result=False, comment="the load balancer says no")


class Hooked:
    """A host with hooks; ``ran`` has what was run, each with what the record said then."""

    def __init__(self, minion):
        self.minion, self.ran, self.answer, self.idle = minion, [], {"problems": [], "states": [CHANGED, QUIET]}, False
        self.wrong: dict = {}

    def run(self, host, sls, test):
        self.ran.append((sls, test, (record("hooks") or {}).get("stage")))
        return self.answer

    def problems(self, host, sls):
        return self.wrong.get(sls[0], [])

    def __call__(self, hook, around="klp.patch", test=False):
        self.minion.opts["test"] = test
        return self.minion.states["klp"].hooked(f"hook-{hook}", hook, around)


@pytest.fixture
def hooked(minion, monkeypatch):
    found = Hooked(minion)
    minion.pillar["klp"] = {"hooks": HOOKS, "run": "c7"}
    monkeypatch.setattr(klp_nested, "run", found.run)
    monkeypatch.setattr(klp_nested, "problems", found.problems)
    monkeypatch.setattr(klp_uptodate, "up_to_date", lambda host, sls: found.idle)
    monkeypatch.setattr(klp_runs, "open_run", lambda host: "c7")
    yield found
    klp_runlock.release()


def failed(sls="klp.update", result=False):
    return {f"x_|-{sls}": {"__sls__": sls, "result": result}}


# -- their time --------------------------------------------------------------------------------------------------------


def test_what_has_begun_is_written_down_before_it_begins(hooked):
    assert record("hooks") is None
    before = hooked("before")
    assert before["changes"] == {"ran": ["site.drain"], "states": {"drained": {"a": 1}}}
    assert (before["result"], before["name"]) == (True, "hook-before")
    assert before["comment"].split("\n") == [
        "Ran hook before: site.drain",
        "drained (site.drain): ok: gone",
        "out",
        "told (site.drain): ok: nothing to say",
    ]
    there = {"around": "klp.patch", "run": "c7", "since": 1_700_000_000, "after": ["site.undrain", "site.check"]}
    assert record("hooks") == dict(there, stage="changing")
    after = hooked("after")
    assert (after["result"], after["comment"].split("\n")[0]) == (True, "Ran hook after: site.undrain, site.check")
    assert record("hooks") == {}
    sls = ["site.undrain", "site.check"]
    assert hooked.ran == [(["site.drain"], False, "before"), (sls, False, "after")]
    quiet = {"result": True, "changes": {}}
    assert hooked("after") == dict(quiet, name="hook-after", comment="no hook is due")
    assert hooked("on_failure") == dict(quiet, name="hook-on_failure", comment="nothing has failed")


def test_nothing_is_run_where_nothing_will_change(hooked):
    hooked.idle = True
    for test in (True, False):
        for hook, why in (
            ("before", "nothing will change, no hook is run before"),
            ("after", "no hook is due"),
            ("on_failure", "no hook has run"),
        ):
            found = hooked(hook, test=test)
            assert (found["result"], found["changes"], found["comment"]) == (True, {}, why)
    assert hooked.ran == [] and record("hooks") is None


@pytest.mark.parametrize("around", ["klp.patch", "klp.rollback"])
def test_a_prediction_writes_nothing_down(hooked, around):
    for hook, first in (("before", "site.drain"), ("after", "site.undrain, site.check")):
        found = hooked(hook, around, test=True)
        assert (found["result"], found["comment"].split("\n")[0]) == (None, f"Would run hook {hook}: {first}")
    hooked.minion.states["klp"].__running__.update(failed())
    assert hooked("on_failure", around, test=True)["result"] is None
    assert [test for _, test, _ in hooked.ran] == [True] * 3 and record("hooks") is None


def test_one_decision_is_made_in_a_job(hooked, monkeypatch):
    asked = []

    def up_to_date(host, sls):
        asked.append(sls)
        return True

    monkeypatch.setattr(klp_uptodate, "up_to_date", up_to_date)
    host = hooked.minion.host
    assert [klp_uptodate.decided(host, sls) for sls in ("klp", "klp.patch", "klp")] == [True] * 3
    assert asked == ["klp", "klp.patch"]


def test_what_is_due_is_run_although_nothing_will_change(hooked):
    remembers(hooked.minion, "hooks", LATE)
    hooked.idle = True
    since = "nothing will change, no hook is run before; hook after is due since T1600000000 and comes at the end"
    assert hooked("before")["comment"] == since
    assert hooked("after", test=True)["result"] is None and record("hooks") == LATE
    assert hooked("after")["result"] is True
    assert hooked.ran[-1] == (["site.undrain", "site.check"], False, "after") and record("hooks") == {}


def test_a_second_try_keeps_the_time_of_the_first(hooked):
    remembers(hooked.minion, "hooks", LATE)
    hooked("before", "klp.rollback")
    now = dict(LATE, around="klp.rollback", run="c7", after=["site.undrain", "site.check"])
    assert record("hooks") == now


def test_what_was_due_is_run_where_the_pillar_has_no_hooks_any_more(hooked):
    remembers(hooked.minion, "hooks", LATE)
    del hooked.minion.pillar["klp"]["hooks"]
    assert hooked("after")["changes"]["ran"] == ["old.undrain"] and record("hooks") == {}


def test_a_hook_of_the_pillar_that_is_no_more_is_not_run(hooked):
    remembers(hooked.minion, "hooks", LATE)
    hooked.minion.pillar["klp"]["hooks"] = {"before": "site.drain"}
    found = hooked("after")
    assert (found["changes"], found["comment"]) == ({}, "no SLS in pillar klp:hooks:after")
    assert hooked.ran == [] and record("hooks") == {}


def test_before_is_there_for_after_alone(hooked):
    hooked.minion.pillar["klp"]["hooks"] = {"after": "site.undrain"}
    assert hooked("before")["comment"] == "no SLS in pillar klp:hooks:before"
    assert hooked("after")["changes"]["ran"] == ["site.undrain"]


# -- failures ----------------------------------------------------------------------------------------------------------


def test_a_failure_of_before_leaves_after_due(hooked):
    hooked.answer["states"] = [CHANGED, BAD]
    found = hooked("before")
    assert found["result"] is False
    assert found["comment"].split("\n")[0] == "hook before failed: site.drain: nothing is changed by this run"
    assert found["comment"].endswith("told (site.drain): FAILED: the load balancer says no")
    assert record("hooks")["stage"] == "before"
    hooked.answer["states"] = [CHANGED]
    assert hooked("after")["result"] is True and record("hooks") == {}


def test_a_failure_of_after_leaves_it_due(hooked):
    hooked("before")
    hooked.answer = {"problems": ["Rendering SLS failed"], "states": []}
    found = hooked("after")
    said = "hook after failed: site.undrain, site.check\npillar klp:hooks:after: Rendering SLS failed"
    assert (found["result"], found["comment"]) == (False, said)
    assert record("hooks")["stage"] == "after"
    assert hooked("after", test=True)["result"] is False


@pytest.mark.parametrize(
    ("running", "ran"),
    [
        (failed(), True),
        (failed("klp"), True),
        (failed(result=True), False),
        (failed("site.other"), False),
        (failed("klpx.other"), False),
    ],
)
def test_only_a_failure_of_the_formula_is_one(hooked, running, ran):
    hooked("before")
    hooked("after")
    hooked.minion.states["klp"].__running__.update(running)
    assert bool(hooked("on_failure")["changes"]) is ran
    assert (hooked.ran[-1][0] == ["site.alarm"]) is ran


def test_hooks_that_cannot_be_run_are_told_before_anything_is_begun(hooked):
    hooked.wrong = {"site.undrain": ["it is not there"], "site.alarm": ["Rendering SLS failed"]}
    found = hooked("before")
    why = "pillar klp:hooks:after: it is not there; pillar klp:hooks:on_failure: Rendering SLS failed"
    assert (found["result"], found["comment"]) == (False, f"{why}: nothing was changed")
    assert record("hooks") is None and hooked.ran == []


def test_failhard_would_take_after_away(hooked):
    host = hooked.minion.host
    for opts, problems in ((None, []), ({"failhard": False}, []), ({"failhard": True}, [klp_hooks.FAILHARD])):
        host.opts = opts
        assert klp_hooks.problems(host) == problems
    hooked.minion.pillar["klp"]["hooks"] = {}
    assert klp_hooks.problems(host) == []


def test_a_word_that_is_no_hook_is_a_mistake_of_the_caller(hooked):
    assert hooked("later")["comment"] == "hook: wanted before, after, on_failure, found 'later'"


# -- what is due -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"after": "site.undrain"},
        {"after": [1]},
        {"since": "now"},
        {"since": -1},
        {"since": 2**40},
        {"stage": "later"},
        {"around": None},
        {"run": 7},
    ],
)
def test_a_damaged_record_is_never_nothing(hooked, change):
    remembers(hooked.minion, "hooks", dict(LATE, **change))
    with pytest.raises(CommandExecutionError, match="hooks.json: not what salt-klp wrote; repair it or move it away"):
        klp_hooks.due()
    for hook in ("before", "after"):
        assert hooked(hook)["result"] is False
    assert klp_hooks.wanted(hooked.minion.host) is True and hooked.ran == []
    (check,) = klp_hooks.checks(hooked.minion.host)
    assert (check["verdict"], "hooks.json" in check["detail"]) == ("unknown", True)


def test_hooks_are_wanted_where_some_are_declared_or_one_is_due(hooked):
    minion = hooked.minion
    assert klp_hooks.wanted(minion.host) is True
    minion.pillar["klp"] = {}
    assert klp_hooks.wanted(minion.host) is False
    for due in (LATE, {"around": 1}):
        remembers(minion, "hooks", due)
        assert klp_hooks.wanted(minion.host) is True


def test_the_master_is_told_which_hooks_there_are_and_which_is_due(hooked):
    lists = {"before": ["site.drain"], "after": ["site.undrain", "site.check"], "on_failure": ["site.alarm"]}
    assert klp_hooks.summary(hooked.minion.host) == dict(lists, due=None)
    remembers(hooked.minion, "hooks", LATE)
    late = {"around": "klp.patch", "since": 1_600_000_000, "stage": "changing"}
    assert klp_hooks.summary(hooked.minion.host)["due"] == late


def test_a_host_that_may_be_drained_is_not_verified(hooked, monkeypatch):
    minion = hooked.minion
    has(minion, ONE)
    monkeypatch.setattr(klp_verify, "_kernel_checks", lambda *args: [])
    monkeypatch.setattr(klp_verify, "_package_checks", lambda *args: [])
    sources: dict = {"patches": {"value": []}}
    monkeypatch.setattr(klp_verify.klp_live, "sources", lambda host: sources)
    assert minion.salt["klp.verify"]()["verdict"] == "ok"
    remembers(minion, "hooks", LATE)
    found = minion.salt["klp.verify"]()
    said = (
        "hook after of klp.patch is due since T1600000000 (seen last: changing), this host may still be drained; "
        "run: salt sles1 state.apply klp.patch"
    )
    assert found["checks"] == [{"check": "hooks", "verdict": "failed", "detail": said}]
    klp_runlock.take("klp.patch")  # in the run itself, and beside another one, it will come
    assert minion.salt["klp.verify"]()["verdict"] == "ok"


# -- the way back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "idle"),
    [({}, True), ({"held at": None}, False), ({"unfinished": True}, None), ({"live patch": THREE}, None)],
)
def test_a_way_back_with_nothing_to_do_needs_no_hook(minion, monkeypatch, now, idle):
    end, asked = {"live patch": ONE, "module": "m1", "held at": ONE}, []
    monkeypatch.setattr(klp_rollback, "goal", lambda host, level: end)
    monkeypatch.setattr(klp_rollback, "standing", lambda host: dict(end, **now))
    monkeypatch.setattr(klp_rollback, "_permitted", lambda host, force: asked.append(force))
    assert klp_uptodate.up_to_date(minion.host, "klp.rollback") is (idle is True)
    assert asked == ([False] if idle is None else [])


def test_a_run_has_one_id_however_often_it_is_opened(minion):
    minion.pillar["klp"] = {"backup": {"backend": "none"}, "run": "c7"}
    assert klp_runs.open_run(minion.host) == klp_runs.open_run(minion.host) == "c7"
    assert [(item["run"], item["finished"]) for item in record("runs")] == [("c7", None)]
    minion.pillar["klp"]["run"] = "c8"
    assert klp_runs.open_run(minion.host) == "c8"


# -- who has the lock --------------------------------------------------------------------------------------------------


def test_a_look_at_the_lock_refuses_nobody(minion):
    assert klp_runlock.busy() is False
    with another_run("klp.patch"):
        assert klp_runlock.busy() is False  # the kernel of this test does not tell
        minion.file(f"{klp_paths.PROC}/locks", open("/proc/locks", encoding="ascii").read())
        assert klp_runlock.busy() is True
    minion.file(f"{klp_paths.PROC}/locks", open("/proc/locks", encoding="ascii").read())
    assert klp_runlock.busy() is False
    klp_runlock.take("klp.patch")
    assert klp_runlock.busy() is True
    klp_runlock.release()


@pytest.mark.parametrize(("stage", "around"), [("installed", "klp.kernel"), ("back", "klp.kernel_back")])
def test_after_a_restart_the_hook_comes_with_the_sls_that_verifies(hooked, stage, around):
    klp_change.remember(CHANGE, stage)
    hooked("before", "klp.restart")
    assert record("hooks")["around"] == around
