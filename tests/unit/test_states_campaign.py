"""The states of orchestrations: what they ask of the runner klp, and what they make of its answers."""

import pytest

from tests.unit.loader import load

PLAN = {"id": "0123456789ab", "waves": [{"name": "canary", "hosts": ["web1"]}, {"name": "rest", "hosts": []}]}
WAVE = {"name": "canary", "hosts": 1, "opened": 5, "verified": 1}


class Orchestration:
    """The state module on a master whose runner answers as scripted."""

    def __init__(self):
        self.calls: list = []
        self.answers: dict = {}
        self.pillar: dict = {}
        self.opts = {"test": False, "user": "anna"}
        names = {"__opts__": self.opts, "__pillar__": self.pillar, "__salt__": {"saltutil.runner": self.runner}}
        self.module = load("_states", "klp_campaign", **names)

    def runner(self, name, kwarg, **published):
        # Salt's runner state.orchestrate puts the person into the option user (salt/runners/state.py).
        assert published == {"__pub_user": "anna"}
        self.calls.append((name, kwarg))
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def apply(self, name, test=False):
        self.opts["test"] = test
        return getattr(self.module, name)("x")


@pytest.fixture
def master():
    return Orchestration()


def done(retcode, text="text", **keys):
    return {"retcode": retcode, "text": text, **keys}


def test_a_campaign_that_is_done(master):
    master.answers["klp.run"] = done(0, campaign={"waves": [WAVE, dict(WAVE, name="rest", opened=None)]})
    master.pillar["klp_campaign"] = {"approve": False}
    assert master.apply("patched") == {
        "name": "x",
        "result": True,
        "changes": {"canary": {"old": "1 host", "new": "1 verified"}},
        "comment": "text",
    }
    asked = {"kind": "patch", "pillar": {"klp_campaign": {"approve": False}}}
    assert master.calls == [("klp.run", asked)]


@pytest.mark.parametrize(("state", "kind"), [("rolled_back", "rollback"), ("kernel_changed", "kernel")])
@pytest.mark.parametrize("retcode", [1, 2, 3, 4, 5, 7])
def test_whatever_else_is_a_failure(master, retcode, state, kind):
    master.answers["klp.run"] = done(retcode)
    assert master.apply(state)["result"] is False
    assert master.calls[0][1]["kind"] == kind


def test_a_plan_that_waits_says_how_to_run_it(master):
    master.answers["klp.run"] = done(8, plan=PLAN)
    found = master.apply("patched")
    assert found["result"] is False
    assert found["comment"].splitlines()[-1] == (
        'Here: salt-run state.orchestrate klp.orch.patch pillar=\'{"klp_campaign": {"plan": "0123456789ab"}}\''
    )


def test_the_prediction_is_the_plan(master):
    master.answers["klp.plan"] = done(0, plan=PLAN)
    found = master.apply("patched", test=True)
    assert (found["result"], found["changes"]) == (None, {"canary": {"old": None, "new": "1 host"}})
    master.answers["klp.plan"] = done(0, plan={"waves": []})
    assert master.apply("patched", test=True)["result"] is True
    master.answers["klp.plan"] = done(1, "refused: no")
    assert master.apply("patched", test=True) == {"name": "x", "result": False, "changes": {}, "comment": "refused: no"}


@pytest.mark.parametrize(("retcode", "result"), [(8, None), (0, True)])
def test_the_prediction_of_a_plan_that_was_shown_is_how_it_stands(master, retcode, result):
    master.pillar["klp_campaign"] = {"plan": "0123456789ab"}
    master.answers["klp.status"] = done(retcode)
    assert master.apply("patched", test=True)["result"] is result
    assert master.calls == [("klp.status", {"campaign": "0123456789ab"})]


@pytest.mark.parametrize("state", ["patched", "audited"])
def test_a_master_without_the_runner_says_what_to_do(master, state):
    master.answers = {}
    assert master.apply(state)["comment"] == master.module.MISSING
    master.answers = dict.fromkeys(("klp.run", "klp.audit"), "a traceback")
    assert "answered: a traceback" in master.apply(state)["comment"]


def test_the_audit(master):
    master.answers["klp.audit"] = done(0)
    assert master.apply("audited")["result"] is True
    master.answers["klp.audit"] = done(2)
    assert master.apply("audited")["result"] is False


def test_it_loads_on_masters_only():
    loaded, reason = load("_states", "klp_campaign", __salt__={}).__virtual__()
    assert loaded is False and reason.endswith("campaigns are declared on a master")
    assert load("_states", "klp_campaign", __salt__={"saltutil.runner": 1}).__virtual__() is True
