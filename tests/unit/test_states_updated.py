"""The state ``zypper.updated`` down to the programs: what is predicted is what is done, and what is left is named."""

import pytest

import klp_updates
from tests.unit.conftest import LP
from tests.unit.hosts import (
    BASE,
    FIRST,
    ONE,
    PENDING,
    TWO,
    reads,
    record,
    remembers,
    repository,
    rpm,
    shows,
    writes,
    wrote,
)
from tests.unit.loader import recorded
from tests.unit.updates import CURE, EIGHT, host_with, package


def updated(minion, test=False, **kwargs):
    minion.opts["test"] = test
    return minion.states["zypper"].updated("klp-updates", **kwargs)


def test_what_is_predicted_is_what_is_done_with_one_dry_run(minion):
    repository(minion)
    minion.live_patch(FIRST)
    solver = host_with(minion, EIGHT, **{LP: TWO})
    writes(minion, ["install", ...], changes=True)
    predicted = updated(minion, test=True, live_patch=2)
    done = updated(minion, live_patch=2)
    assert (predicted["result"], done["result"]) == (None, True)
    assert predicted["changes"] == done["changes"]
    assert done["changes"] == {**dict.fromkeys(EIGHT, {"old": "1-1", "new": "2-1"}), LP: {"old": ONE, "new": TWO}}
    assert len(solver.tried) == 1 and len(wrote(minion, "install")) == 1
    reads(minion, PENDING, "<stream><update-list/></stream>")
    assert updated(minion)["changes"] == {}


def test_what_is_left_out_is_named_before_and_after(minion):
    host_with(minion, ["a", "b"], bad={"b": "vendor"}, b="1-1")
    writes(minion, ["install", ...], changes=True)
    line = f"Skipped package b: would change the vendor of b-2-1; {CURE.format('b')}"
    assert updated(minion, test=True)["comment"].splitlines() == ["Would install 1 package; 1 left out:", line]
    assert updated(minion)["comment"].splitlines() == ["Installed 1 package; 1 left out:", line]


@pytest.mark.parametrize(
    ("shown", "result"), [({"a": "2-1"}, True), ({"a": "3-1"}, False), ({"b": "2-1"}, False), (None, True)]
)
def test_only_what_a_campaign_has_shown_is_installed(minion, shown, result):
    if shown:
        shows(minion, shown)
    host_with(minion, ["a"])
    writes(minion, ["install", "a=2-1"], changes=True)
    ret = updated(minion)
    assert ret["result"] is result and len(wrote(minion, "install")) == int(result)
    if not result:
        assert ret["comment"].startswith("pending here, but not in the plan that was shown: a 2-1")


def test_what_was_cut_off_is_predicted_mended_and_named(minion):
    host_with(minion)
    rpm(minion, {**BASE, "slow": "1-1,2-1"}, {**BASE, "slow": "2-1"})
    remembers(minion, "begun", {"slow": "2-1"})
    reads(minion, ["install", "--dry-run", "--force", "slow=2-1"], recorded("zypper/install-twice.xml"))
    writes(minion, ["install", "--force", "slow=2-1"], changes=True)
    predicted, done = updated(minion, test=True), updated(minion)
    change = {"slow": {"old": "1-1,2-1", "new": "2-1"}, "unfinished": {"old": {"slow": "2-1"}, "new": None}}
    assert predicted["changes"] == done["changes"] == change and done["result"] is True
    assert "installed again, since it was cut off before: slow=2-1" in done["comment"].splitlines()
    assert record("begun") == {} and updated(minion)["changes"] == {}


def test_what_cannot_be_mended_fails_the_state_after_everything_else_is_done(minion):
    host_with(minion, ["a"])
    rpm(minion, *[{**BASE, "a": edition, "slow": "2-1"} for edition in ("1-1", "2-1", "2-1")])
    reads(minion, PENDING, f"<stream><update-list>{package('a')}</update-list></stream>")
    remembers(minion, "begun", {"slow": "2-1"})
    reads(minion, ["install", "--dry-run", "--force", "slow=2-1"], recorded("zypper/install-not-in-a-repository.xml"))
    writes(minion, ["install", "--force", "slow=2-1"])
    writes(minion, ["install", "a=2-1"], changes=True)
    ret = updated(minion)
    assert ret["result"] is False and ret["changes"] == {"a": {"old": "1-1", "new": "2-1"}}
    assert ret["comment"].splitlines() == [
        "Not installed to its end: slow",
        f"cut off before and not installed again: slow=2-1: {klp_updates.LOST}",
    ]


def test_the_epoch_of_a_package_is_not_predicted_as_a_change(minion):
    host_with(minion)
    rpm(minion, {**BASE, "ep": "1-1"}, {**BASE, "ep": "2-1"})
    reads(minion, PENDING, f"<stream><update-list>{package('ep', '1:2-1')}</update-list></stream>")
    writes(minion, ["install", "ep=1:2-1"], changes=True)
    assert updated(minion, test=True)["changes"] == updated(minion)["changes"] == {"ep": {"old": "1-1", "new": "2-1"}}
