"""The state klp.ready: what speaks against a run, and who else may change the host meanwhile."""

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

from tests.unit.hosts import (
    another_run,
    shows,
)
from tests.unit.states import apply, functions, raising

__all__ = ["functions"]


def obstacles(functions, problems, refresh=False):
    """Say what speaks against a host; a run that refreshes is asked another question than one that does not."""
    name = "klp_preflight__maintenance_problems" if refresh else "klp_preflight__problems"
    functions.set(**{name: problems})


def shown_is_not(minion, functions, changes):
    """Let a campaign have shown a plan, and the plan of now be another one."""
    shows(minion, {"curl": "1-1"})
    plan = {"packages": changes, "live_patch": {}, "reload": {}, "unfinished": {}, "skipped": []}
    functions.set(klp_updates__plan=lambda host, update=None, level=None: plan)


def test_a_host_is_ready_if_nothing_speaks_against_it(minion, functions):
    obstacles(functions, lambda host: [], refresh=True)
    ret = apply(minion, "klp.ready", refresh=True)
    assert ret == {
        "name": "id",
        "result": True,
        "changes": {},
        "comment": "Nothing speaks against live patching this host",
    }
    assert functions.calls == ["klp_preflight.maintenance_problems"]


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize("refresh", [True, False])
@pytest.mark.parametrize(
    ("problems", "comment"),
    [
        (lambda host: ["one", "two"], "one\ntwo"),
        (raising(CommandExecutionError("no repositories")), "no repositories"),
        (raising(SaltInvocationError("pillar klp: wrong")), "pillar klp: wrong"),
    ],
)
def test_what_speaks_against_a_host_is_told_in_test_mode_too(minion, functions, problems, comment, refresh, test):
    obstacles(functions, problems, refresh)
    ret = apply(minion, "klp.ready", refresh=refresh, test=test)
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, {}, comment)


@pytest.mark.parametrize("test", [True, False])
def test_a_run_of_a_campaign_that_comes_too_late_is_refused(minion, functions, test):
    obstacles(functions, lambda host: [])
    functions.set(klp_campaign__late=lambda host: "too late", klp_campaign__unshown=lambda host, packages: "unshown")
    ret = apply(minion, "klp.ready", test=test)
    assert (ret["result"], ret["changes"], ret["comment"]) == (False, {}, "too late")
    assert functions.calls == ["klp_preflight.problems", "klp_campaign.late"]


@pytest.mark.parametrize("test", [True, False])
def test_what_a_campaign_has_not_shown_is_refused(minion, functions, test):
    obstacles(functions, lambda host: [], refresh=True)
    shown_is_not(minion, functions, {"curl": {"old": "1-0", "new": "2-1"}, "gone": {"old": "1-1", "new": None}})
    ret = apply(minion, "klp.ready", refresh=True, test=test)
    assert (ret["result"], ret["changes"]) == (False, {})
    assert ret["comment"] == "pending here, but not in the plan that was shown: curl 2-1; make a new plan"
    shown_is_not(minion, functions, {"curl": {"old": "1-0", "new": "1-1"}})
    assert apply(minion, "klp.ready", refresh=True, test=test)["result"] is True


@pytest.mark.parametrize("refresh", [True, False])
def test_what_speaks_against_a_host_is_told_line_by_line_whatever_a_campaign_says(minion, functions, refresh):
    """With a wrong pillar the campaign's part of it cannot be read either: all that is wrong is told all the same."""
    minion.pillar["klp"] = {"levle": 1, "campaign": {"start_by": "soon"}}
    comment = apply(minion, "klp.ready", refresh=refresh)["comment"]
    assert [line.split(": ")[0] for line in comment.split("\n")] == ["pillar klp:levle", "pillar klp:campaign:start_by"]
    obstacles(functions, lambda host: ["one"], refresh)
    functions.set(klp_campaign__late=lambda host: "late", klp_campaign__unshown=lambda host, packages: "unshown")
    assert apply(minion, "klp.ready", refresh=refresh)["comment"] == "one"


@pytest.mark.parametrize("refresh", [True, False])
def test_pending_packages_that_cannot_be_told_are_no_go_ahead(minion, functions, refresh):
    error = CommandExecutionError("refused, because it would install kernel-default")
    obstacles(functions, lambda host: [], refresh)
    shown_is_not(minion, functions, {})
    functions.set(klp_campaign__late=raising(error), klp_updates__plan=raising(error))
    ret = apply(minion, "klp.ready", refresh=refresh)
    assert (ret["result"], ret["comment"]) == (False, str(error))


BUSY = "process 4711 is changing this host (klp.patch, since "


def test_a_host_that_another_run_changes_is_not_ready(minion, functions):
    obstacles(functions, lambda host: [])
    with another_run("klp.patch"):
        ret = apply(minion, "klp.ready")
        assert (ret["result"], ret["changes"]) == (False, {}) and ret["comment"].startswith(BUSY)
        assert apply(minion, "klp.ready", test=True)["result"] is True


def test_from_klp_ready_on_no_other_run_changes_the_host(minion, functions):
    minion.opts["__cli"] = "salt-call"
    obstacles(functions, lambda host: [])
    apply(minion, "klp.ready", test=True)
    with another_run("klp.patch"):
        pass
    for _ in range(2):  # klp.patch has this state twice
        assert apply(minion, "klp.ready")["result"] is True
        with pytest.raises(BlockingIOError), another_run("klp.patch"):
            pass


@pytest.mark.parametrize("cli", [{}, {"__cli": "salt-minion"}])
def test_a_job_of_a_running_minion_only_looks_whether_another_run_changes_the_host(minion, functions, cli):
    """Its process or thread may live on when the job is over, and would keep every other run off."""
    minion.opts.update(cli)
    obstacles(functions, lambda host: [])
    assert apply(minion, "klp.ready")["result"] is True
    with another_run("klp.patch"):
        assert apply(minion, "klp.ready")["comment"].startswith(BUSY)


def test_a_state_changes_nothing_while_another_run_does(minion, functions):
    functions.set(zypp_lockfile__add=raising(AssertionError("added")))
    with another_run("klp.patch"):
        ret = apply(minion, "zypper.locked", ["a"])
        assert (ret["result"], ret["changes"]) == (False, {}) and ret["comment"].startswith(BUSY)
        assert apply(minion, "zypper.locked", ["a"], test=True)["result"] is None
