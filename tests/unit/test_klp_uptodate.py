"""Has an SLS nothing to change here? Then it needs no backup either."""

import pytest
from salt.exceptions import SaltInvocationError

import klp_preflight
import klp_uptodate
from tests.unit.conftest import LP
from tests.unit.hosts import BASE, FIRST, ONE, PENDING, THREE, TOOLS, has, reads, remembers, repository, rpm
from tests.unit.updates import Solver, package

NOTHING = "<stream><update-list/></stream>"


@pytest.fixture
def host(minion):
    """A host with locked kernel, tools, and the live patch 1 in the kernel; nothing is pending."""
    repository(minion)
    has(minion, ONE)
    minion.live_patch(FIRST)
    minion.locked(*klp_preflight.lock_list(minion.host))
    reads(minion, PENDING, NOTHING)
    Solver(minion)
    return minion


@pytest.mark.parametrize("sls", ["klp", "klp.patch"])
def test_a_host_where_nothing_is_left_is_up_to_date(host, sls):
    assert klp_uptodate.up_to_date(host.host, sls) is True


def test_the_steady_state_asks_no_zypper(host, programs):
    klp_uptodate.up_to_date(host.host, "klp")
    assert programs.started("zypper") == []


def no_tools(minion):
    rpm(minion, {**BASE, TOOLS: "", LP: ONE})


def no_live_patch(minion):
    has(minion, None)


def not_loaded(minion):
    minion.live_patch(FIRST, enabled=0)


def another_level(minion):
    minion.pillar["klp"] = {"level": 2}


def cut_off(minion):
    remembers(minion, "begun", {LP: ONE})


def tools_cut_off(minion):
    remembers(minion, "begun", {TOOLS: BASE[TOOLS]})


def a_package_is_pending(minion):
    reads(minion, PENDING, f"<stream><update-list>{package('a')}</update-list></stream>")


def a_live_patch_is_pending(minion):
    reads(minion, PENDING, f"<stream><update-list>{package(LP, THREE)}</update-list></stream>")


def a_lock_is_missing(minion):
    minion.locked("kernel-default")


def a_package_was_cut_off(minion):
    rpm(minion, {**BASE, LP: ONE, "a": "1-1"})
    remembers(minion, "begun", {"a": "1-1"})


CHANGES = [
    # what is different, and whether the steady state and the maintenance run have something to change
    (no_tools, True, False),
    (no_live_patch, True, True),
    (not_loaded, True, True),
    (another_level, True, True),
    (cut_off, True, True),
    (tools_cut_off, True, True),
    (a_package_is_pending, False, True),
    (a_live_patch_is_pending, False, True),
    (a_lock_is_missing, False, True),
    (a_package_was_cut_off, False, True),
]


@pytest.mark.parametrize(("change", "steady", "run"), CHANGES, ids=[row[0].__name__ for row in CHANGES])
def test_a_host_with_something_to_change_is_not_up_to_date(host, change, steady, run):
    change(host)
    assert klp_uptodate.up_to_date(host.host, "klp") is not steady
    assert klp_uptodate.up_to_date(host.host, "klp.patch") is not run


def test_without_the_locks_the_maintenance_run_looks_no_further(host, programs):
    a_lock_is_missing(host)
    klp_uptodate.up_to_date(host.host, "klp.patch")
    assert programs.calls == []


def test_what_is_left_out_is_nothing_to_change(host):
    a_package_is_pending(host)
    host.pillar["klp"] = {"update": {"exclude": ["a"]}}
    assert klp_uptodate.up_to_date(host.host, "klp.patch") is True


@pytest.mark.parametrize("sls", ["", "klp.enable", None])
def test_another_sls_is_a_mistake_of_the_caller(minion, sls):
    with pytest.raises(
        SaltInvocationError, match="^sls: wanted klp, klp.patch, klp.rollback, klp.kernel or klp.restart, found "
    ):
        klp_uptodate.up_to_date(minion.host, sls)


def test_a_plan_that_cannot_be_made_is_told_by_the_state_that_carries_it_out(host):
    """The live patch may come all the same, so the backup is needed."""
    reads(host, PENDING, {"retcode": 4, "stdout": "<stream/>"})
    assert klp_uptodate.up_to_date(host.host, "klp.patch") is False
