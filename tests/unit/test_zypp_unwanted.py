"""What an administrator has locked stays out with its packages, unless another chosen advisory needs them."""

import pytest

import klp_pillar
import zypp_plan
import zypp_unwanted

UPDATE = klp_pillar.defaults()["update"]
UNLOCK = "locked by the administrator; unlock it with: zypper removelock -t patch L"
CURL = {"curl": {"old": "1-1", "new": "3-1"}}


def advisory(name, **more):
    found = {"id": name, "status": "needed", "category": "security", "severity": "low", "reboot": False, "stack": False}
    return dict(found, **more)


LOCKED = advisory("L", status="unwanted", severity="critical", reboot=True)


def plan(contents, updates=CURL, **update):
    others = [advisory(name) for name in contents if name != "L"]
    return zypp_plan.plan([LOCKED, *others], contents, updates, dict(UPDATE, **update))


def skipped(found):
    return {item["item"]: item["reason"] for item in found["skipped"]}


def test_a_locked_advisory_is_left_out_with_its_packages_and_named():
    found = plan({"L": {"curl": "3-1", "absent": "2-1"}})
    assert (found["packages"], found["advisories"], found["live_patches"]) == ({}, [], [])
    assert skipped(found) == {"L": UNLOCK, "curl": f"its advisory L is {UNLOCK}"}


def test_a_lock_of_another_form_has_no_command_that_takes_it_away():
    found = zypp_plan.plan([dict(LOCKED, plain=False)], {"L": {"curl": "3-1"}}, CURL, UPDATE)
    assert skipped(found)["L"] == "locked by the administrator; the lock is shown by: zypper locks"


@pytest.mark.parametrize("needed", ["3-1", "4-1"])
def test_an_advisory_that_replaces_the_locked_one_brings_its_package(needed):
    """As zypper does: it knows locks on advisories, none on what they hold."""
    updates = {"curl": {"old": "1-1", "new": needed}}
    found = plan({"L": {"curl": "3-1", "zlib": "2-1"}, "N": {"curl": needed}}, updates)
    assert found["packages"] == updates and found["advisories"] == ["N"] and skipped(found) == {"L": UNLOCK}
    told = zypp_unwanted.told(found["skipped"], found["comes"], found["packages"])
    assert told[0]["reason"] == f"{UNLOCK}; curl comes all the same, advisory N brings it"
    assert zypp_unwanted.told(found["skipped"], found["comes"], {}) == found["skipped"]


@pytest.mark.parametrize(("newest", "wanted"), [("3-1", "2-1"), ("1:3-1", "1:2-1"), ("2-1", "2-1"), ("2-5", "2-5")])
def test_an_older_advisory_brings_its_own_edition_and_not_that_of_the_locked_one(newest, wanted):
    updates = {"curl": {"old": "1-1", "new": newest}}
    found = plan({"L": {"curl": "3-1"}, "N": {"curl": "2-1"}, "M": {"curl": "1-9"}}, updates)
    assert found["packages"] == {"curl": {"old": "1-1", "new": wanted}} and skipped(found) == {"L": UNLOCK}


def test_what_the_chosen_advisory_needs_may_not_be_there_at_all():
    assert plan({"L": {"curl": "3-1"}, "N": {"curl": "2-1"}}, {})["packages"] == {}


def test_an_older_edition_than_the_locked_one_may_come():
    found = plan({"L": {"curl": "4-1"}})
    assert found["packages"] == CURL and skipped(found) == {"L": UNLOCK}


def test_an_advisory_that_is_not_chosen_brings_nothing_that_is_locked():
    found = plan({"L": {"curl": "3-1"}, "N": {"curl": "3-1"}}, exclude=["N"])
    assert found["packages"] == {} and skipped(found)["curl"] == "excluded by pillar klp:update:exclude"
    found = plan({"L": {"curl": "3-1"}, "N": {"curl": "3-1"}}, severities=["critical"])
    assert found["packages"] == {} and skipped(found)["curl"] == f"its advisory L is {UNLOCK}"


def test_what_is_locked_does_not_come_along_with_others():
    def item(name, edition, kind="package"):
        return {"name": name, "edition": edition, "kind": kind, "old": None}

    out = plan({"L": {"curl": "3-1"}}, {})["locked"]
    upgrades = [item("curl", "3-1"), item("curl", "2-1"), item("zlib", "9-1"), item("curl", "3-1", "patch")]
    summary: dict = {"upgrade": upgrades}
    summary.update(remove=[item("curl", "3-1")], install=[item("curl", "1:3-2")], nothing=False)
    assert zypp_unwanted.offending(summary, out) == [
        "install curl-1:3-2 (advisory L is locked)",
        "upgrade curl-3-1 (advisory L is locked)",
    ]
    assert zypp_unwanted.offending(summary, {}) == []
