"""Live patch levels: what pillar ``klp:level`` brings, never goes back from, and refuses with the reason."""

import pytest

from tests.functional.conftest import (
    FIRST,
    KERNEL_EDITION,
    LOADED,
    LP,
    NEW_KERNEL,
    NEW_KERNEL_EDITION,
    SECOND,
    THIRD,
    apply,
    settings,
    snapshot,
    volumes,
    writes,
)
from tests.functional.updates import ONLY_LIVE_PATCH

MODULES = {FIRST: "livepatch_1_150500_9_3_1", SECOND: "livepatch_2_150500_2_1", THIRD: "livepatch_3_150500_2_1"}
NEW_LP = "kernel-livepatch-5_14_21-150500_55_12-default"


def at(host, edition):
    """Tell whether a host has this live patch, installed and taken by the kernel, and no other."""
    return host.editions(LP) == [edition] and host.live_patches() == {MODULES[edition]: LOADED}


def refused(host, sls, text):
    """Apply an SLS that is refused for this reason, with test=True and for real, before anything is installed."""
    before = snapshot(host)
    for test in (True, None):
        answer = apply(host, sls, test=test)
        assert answer.rc != 0
        assert text in answer.failed.values()
        after = snapshot(host)
        assert (after["packages"], after["live patches"]) == (before["packages"], before["live patches"])
        assert writes(host) == []


@pytest.mark.parametrize("level", [2, SECOND, 1, FIRST], ids=str)
def test_fresh_host_gets_exactly_the_level(sles, level):
    edition = {1: FIRST, 2: SECOND}.get(level, level)
    one = sles("fresh", level=level)
    predicted = apply(one, "klp", test=True)
    assert predicted.changes["klp-enabled"][LP] == {"old": None, "new": edition}
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert at(one, edition)
    again = apply(one, "klp")
    assert (again.changes, one.count("zypper")) == ({}, 0)


def test_level_is_kept_by_maintenance_runs(sles):
    one = sles("fresh", level=2)
    assert apply(one, "klp").failed == {}
    answer = apply(one, "klp.patch")
    assert answer.failed == {}
    assert answer.changes["klp-updates"]
    assert "klp-newest" not in answer.changes
    assert at(one, SECOND)


@pytest.mark.parametrize("sls", ["klp", "klp.patch"])
def test_from_level_to_level(sles, sls):
    """A maintenance run brings the live patch with the updates; the state of the live patch itself is then content."""
    state, acts = {"klp": ("klp-level", "klp-level"), "klp.patch": ("klp-newest", "klp-updates")}[sls]
    one = sles("enabled", update=ONLY_LIVE_PATCH, level=1)
    assert apply(one, "klp").failed == {}
    assert at(one, FIRST)
    for number, (level, old, new) in enumerate([(2, FIRST, SECOND), (THIRD, SECOND, THIRD)], 1):
        one.salt.pillar(settings(update=ONLY_LIVE_PATCH, level=level))
        change = {"live patch": {"old": old, "new": new}, "module": {"old": MODULES[old], "new": MODULES[new]}}
        predicted = apply(one, sls, test=True)
        assert predicted.changes[state] == change
        assert at(one, old)
        answer = apply(one, sls)
        assert answer.failed == {}
        assert answer.changes[acts] == (change if acts == state else {LP: {"old": old, "new": new}})
        assert at(one, new)
        assert len(volumes(one)) == number
        assert apply(one, sls).changes == {}
    assert len(volumes(one)) == 2
    assert one.editions("kernel-default") == [KERNEL_EDITION]


def test_latest_is_looked_for_in_a_maintenance_run_only(sles):
    one = sles("fresh", level=2, update=ONLY_LIVE_PATCH)
    assert apply(one, "klp").failed == {}
    one.salt.pillar(settings(update=ONLY_LIVE_PATCH))
    answer = apply(one, "klp")
    assert (answer.failed, answer.changes, one.count("zypper")) == ({}, {}, 0)
    assert at(one, SECOND)
    assert apply(one, "klp.patch").failed == {}
    assert at(one, THIRD)


@pytest.mark.parametrize("golden", ["fresh", "enabled"])
@pytest.mark.parametrize("level", [99, "4-150500.2.1"], ids=str)
def test_level_that_no_repository_has(sles, golden, level):
    one = sles(golden, level=level)
    there = f"{THIRD}, {SECOND}, {FIRST}"
    refused(one, "klp", f"live patch level {level} of {LP} is in no repository; there are: {there}")


def test_level_below_the_installed_one(sles):
    text = (
        f"live patch level 2 is below the installed {THIRD}: klp.install never goes back; "
        "to go back: salt sles1 klp.downgrade 2"
    )
    refused(sles("converged", level=2), "klp", text)


def test_second_kernel_gets_the_live_patch_of_its_own(sles):
    """The running kernel decides, not the newest installed one."""
    one = sles("enabled", kernel=NEW_KERNEL)
    one.zypper("in", f"kernel-default={NEW_KERNEL_EDITION}")
    assert one.editions("kernel-default") == [NEW_KERNEL_EDITION, KERNEL_EDITION]
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert answer.changes["klp-enabled"] == {NEW_LP: {"old": None, "new": "1-150500.11.3.2"}}
    assert one.live_patches() == {"livepatch_1_150500_11_3_2": LOADED}
    assert one.editions(LP) == [FIRST]
    assert one.editions("kernel-default") == [NEW_KERNEL_EDITION, KERNEL_EDITION]
    assert apply(one, "klp").changes == {}


def test_kernel_whose_live_patch_no_repository_has(sles):
    one = sles("fresh", kernel=NEW_KERNEL)
    one.zypper("in", f"kernel-default={NEW_KERNEL_EDITION}")
    one.repo("SLE-Module-Live-Patching15-SP5-Updates", on=False)
    text = (
        f"no live patch package for the running kernel: {NEW_LP} is in no repository. Either the live patching "
        "product is not registered, or SUSE makes no more live patches for this kernel; look with: zypper search "
        f"{NEW_LP}"
    )
    refused(one, "klp", text)


def test_live_patch_that_rpm_has_but_the_kernel_has_not(sles):
    """zypper would say "Nothing to do" with exit code 0. The kernel has to take this one, and no newer one comes."""
    one = sles("enabled")
    one.unload(MODULES[FIRST])
    assert one.live_patches() == {}
    change = {"module": {"old": None, "new": MODULES[FIRST]}}
    assert apply(one, "klp", test=True).changes["klp-level"] == change
    answer = apply(one, "klp")
    assert (answer.failed, answer.changes["klp-level"]) == ({}, change)
    assert at(one, FIRST)
    assert len(volumes(one)) == 1
