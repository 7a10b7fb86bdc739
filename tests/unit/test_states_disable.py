"""The state klp.disabled: predicted, applied, applied again; refusals become its comment."""

import pytest
from salt.exceptions import CommandExecutionError

from tests.unit.states import Functions
from tests.unit.states import apply as apply_state

LP = "kernel-livepatch-5_14_21-150500_55_7-default"
CHANGES = {
    LP: {"old": "3-1", "new": None},
    "locked": {"old": ["kernel-default"], "new": []},
    "held": {"old": "3-1", "new": None},
}
LEFT = "nothing is left of live patching that pillar klp:disable takes away"


@pytest.fixture
def host(minion, monkeypatch):
    """A host that is disabled by ``klp_disable.disable``; ``refusal`` is what a check raises."""
    state: dict = {"refusal": None, "stuck": False, "calls": 0}
    state["found"] = {"packages": {LP: "3-1"}, "locks": ["kernel-default"], "held": "3-1"}

    def leftovers(_, check=False):
        if check and state["refusal"]:
            raise CommandExecutionError(state["refusal"])
        return state["found"]

    def disable(_):
        state["calls"] += 1
        if not state["stuck"]:
            state["found"] = {"packages": {}, "locks": [], "held": None}
        return {"changed": {}, "notes": ["one", "two"]}

    Functions(monkeypatch).set(
        klp_disable__leftovers=leftovers,
        klp_disable__disable=disable,
        klp_disable__still_loaded=lambda _: ["it stays"],
    )
    return state


def apply(minion, test=False):
    return apply_state(minion, "klp.disabled", test=test)


def test_a_host_is_disabled_once(minion, host):
    ret = apply(minion, test=True)
    assert (ret["result"], ret["changes"], host["calls"]) == (None, CHANGES, 0)
    ret = apply(minion)
    assert (ret["result"], ret["changes"], host["calls"]) == (True, CHANGES, 1)
    assert ret["comment"] == f"Changed: {LEFT}\none\ntwo"
    for test in (True, False):
        ret = apply(minion, test=test)
        assert (ret["result"], ret["changes"], host["calls"]) == (True, {}, 1)
        assert ret["comment"] == f"Already as declared: {LEFT}\nit stays"


@pytest.mark.parametrize("test", [True, False])
def test_a_refusal_is_told_in_test_mode_too(minion, host, test):
    host["refusal"] = "a transition is still running"
    ret = apply(minion, test=test)
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, {}, "a transition is still running")
    assert host["calls"] == 0


def test_what_is_still_there_is_named(minion, host):
    host["stuck"] = True
    ret = apply(minion)
    assert (ret["result"], ret["changes"]) == (False, {})
    assert ret["comment"] == f"Still there: {LP}, kernel-default\none\ntwo"
