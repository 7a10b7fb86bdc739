"""Pillar klp:health in the states: asked before the first change, and at the end of a run."""

import pytest

import klp_checks
from tests.unit.conftest import LP
from tests.unit.hosts import FIRST, ONE, THIRD, THREE, becomes, remembers
from tests.unit.states import apply, functions

__all__ = ["functions"]
ILL = "command shop: exit 1: no route"


@pytest.fixture
def app(minion, functions):
    """A host at level 1 with a newer live patch; its application says what is in ``app``."""
    said: dict = {"ill": [], "asked": 0, "waited": [], "edition": ONE, "changes": True}
    minion.pillar["klp"] = {"health": {"commands": [{"run": ["shop"]}], "wait": 7}, "backup": {"backend": "none"}}

    def ill(_):
        said["asked"] += 1
        return list(said["ill"])

    def verify(_, wait=0):
        said["waited"].append(wait)
        checks = [klp_checks.check("health", "failed" if said["ill"] else "ok", "; ".join(said["ill"]))]
        verdict = klp_checks.verdict(checks)
        return {"verdict": verdict, "kernel": "6.4", "live_patch": ONE, "cves": [], "checks": checks}

    def install(_, edition, check=None):
        said["edition"] = edition
        becomes(THIRD)
        return {"notes": []}

    functions.set(
        klp_preflight__maintenance_problems=lambda _: [],
        klp_preflight__problems=lambda _: [],
        klp_uptodate__up_to_date=lambda _, sls: not said["changes"],
        klp_health__ill=ill,
        klp_verify__verify=verify,
        klp_enable__goal=lambda _, level, search=False: {"edition": THREE, "module": THIRD, "product": None},
        klp_live__package=lambda _: {"name": LP, "edition": said["edition"], "level": 1, "unfinished": False},
        klp_install__install_edition=install,
    )
    minion.live_patch(FIRST)
    return said


@pytest.mark.parametrize("test", [True, False])
def test_a_run_is_refused_before_its_first_change_if_the_application_is_ill(minion, app, test):
    app["ill"] = [ILL]
    ret = apply(minion, "klp.ready", refresh=True, test=test)
    assert (ret["result"], ret["changes"]) == (False, {})
    assert ret["comment"].startswith(f"not healthy before: {ILL}; make the application well first")


@pytest.mark.parametrize("test", [True, False])
def test_where_nothing_changes_an_ill_application_is_told_at_the_end_only(minion, app, test):
    app["ill"], app["changes"] = [ILL], False
    assert apply(minion, "klp.ready", refresh=True, test=test)["result"] is True and app["asked"] == 0


def test_no_live_patch_comes_to_a_host_that_is_ill(minion, functions, app):
    app["ill"] = [ILL]
    ret = apply(minion, "klp.patched")
    assert (ret["result"], ret["changes"]) == (False, {}) and ret["comment"].startswith(f"not healthy before: {ILL}")
    assert "klp_install.install_edition" not in functions.calls
    app["edition"] = THREE
    becomes(THIRD)
    assert apply(minion, "klp.patched")["result"] is True and app["asked"] == 1


def test_a_run_asks_once_and_then_goes_on(minion, app):
    assert apply(minion, "klp.ready", refresh=True)["result"] is True
    app["ill"] = [ILL]  # by what the run has installed so far
    assert apply(minion, "klp.patched")["result"] is True and app["asked"] == 1


def test_an_application_that_is_ill_afterwards_fails_the_run(minion, app):
    app["ill"] = [ILL]
    ret = apply(minion, "klp.verified")
    assert (ret["result"], ret["changes"]) == (False, {})
    assert ret["comment"].splitlines()[1:] == [f"health: failed: {ILL}"] and app["waited"] == [7]
    assert apply(minion, "klp.verified", test=True)["result"] is None and app["waited"] == [7, 0]


def test_only_a_run_that_was_cut_off_goes_on_with_an_ill_application(minion, app):
    """One that came to its verification has failed there, and the next one is refused."""
    run = {"run": "c1", "opened": int(minion.clock.now), "finished": None, "backend": "none", "backup": None}
    remembers(minion, "runs", [dict(run, created=0)])
    app["ill"] = [ILL]
    assert apply(minion, "klp.ready", refresh=True)["result"] is True
    minion.context.clear()  # the next job
    assert apply(minion, "klp.verified")["result"] is False
    assert apply(minion, "klp.ready", refresh=True)["result"] is False
    app["ill"] = []
    assert apply(minion, "klp.ready", refresh=True)["result"] is True
    minion.context.clear()
    app["ill"] = [ILL]
    assert apply(minion, "klp.ready", refresh=True)["result"] is True
