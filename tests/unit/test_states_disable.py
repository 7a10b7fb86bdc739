"""The state klp.disabled: predicted, applied, applied again; refusals become its comment."""

import pytest
from salt.exceptions import CommandExecutionError

LP = "kernel-livepatch-5_14_21-150500_55_7-default"
CHANGES = {
    LP: {"old": "3-1", "new": None},
    "locked": {"old": ["kernel-default"], "new": []},
    "held": {"old": "3-1", "new": None},
}
LEFT = "nothing is left of live patching that pillar klp:disable takes away"


@pytest.fixture
def host(minion):
    """A host that is disabled by ``klp.disable``; ``refusal`` is what a check raises."""
    state: dict = {"refusal": None, "stuck": False, "calls": 0}
    state["found"] = {"packages": {LP: "3-1"}, "locks": ["kernel-default"], "held": "3-1"}

    def remains(check=False):
        if check and state["refusal"]:
            raise CommandExecutionError(state["refusal"])
        return state["found"]

    def disable():
        state["calls"] += 1
        if not state["stuck"]:
            state["found"] = {"packages": {}, "locks": [], "held": None}
        return {"changed": {}, "notes": ["one", "two"]}

    minion.salt.update({"klp.remains": remains, "klp.disable": disable, "klp.aftermath": lambda: ["it stays"]})
    return state


def apply(minion, test=False):
    minion.opts["test"] = test
    return minion.states["klp_disable"].disabled("id")


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


def test_the_file_shares_the_name_of_the_state_module(minion):
    module = minion.states["klp_disable"]
    assert module.__virtual__() == "klp"
    del minion.salt["klp.disable"]
    assert "run saltutil.sync_all" in module.__virtual__()[1]
