"""One plan, one dry run; what cannot come along is left out by itself and named with the cure."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
import klp_updates
import zypp_plan
from tests.unit.conftest import HINTS, LP
from tests.unit.hosts import BASE, FIRST, LATER, ONE, PENDING, SECOND, THREE, TWO, reads, remembers, repository, rpm
from tests.unit.loader import recorded
from tests.unit.updates import BAD, CURE, EIGHT, REFUSED, advisory, host_with, info, planned, skipped

# -- the plan ----------------------------------------------------------------------------------------------------------


def lab(minion):
    """The lab's host ``enabled``, with locked kernel, everything pending, and what its zypper said."""
    for alias, name in (("Product-SLES", "updateinfo"), ("Module-Live-Patching", "updateinfo-live-patching")):
        folder = f"{klp_paths.RAW_METADATA}/SLE-{alias}15-SP5-Updates/repodata"
        minion.file(f"{folder}/x-updateinfo.xml", recorded(f"zypper/{name}.xml"))
    minion.file(klp_paths.NEEDREBOOT, "glibc\n")
    reads(minion, PENDING, recorded("zypper/list-updates-both-stack-pending.xml"))
    reads(minion, ["list-updates"], recorded("zypper/list-updates-locked.xml"))
    reads(minion, ["install", "--dry-run", ...], recorded("zypper/install-plan.xml"))
    rpm(minion, {**BASE, LP: ONE})


LAB = "curl kernel-firmware-all libopenssl1_1 libz1 libzypp nfs-client".split()


def test_the_plan_of_a_recorded_host_is_one_dry_run(minion, programs):
    lab(minion)
    found = klp_updates.plan(minion.host, level="latest")
    assert list(found["packages"]) == LAB and found["packages"]["libzypp"]["new"] == "17.31.20-150500.3.6.1"
    assert found["live_patch"] == {LP: {"old": ONE, "new": THREE}} and found["reload"] == {}
    assert [item[-4:] for item in found["advisories"]] == ["2990", "3210", "3242", "3300", "3310"]
    assert {item[-4:] for item in skipped(found)} == {"2871", "3410", "3500", "libc"}
    calls = [argv[3:] for argv in programs.started("zypper")]
    assert calls[:2] == [PENDING, [LATER, "list-updates"]]
    hints, dry = calls[2:]
    assert hints == [LATER, *HINTS, "installhint(reboot-needed)", "kernel"]
    editions = {**{name: change["new"] for name, change in found["packages"].items()}, LP: THREE}
    assert dry == [LATER, "install", "--dry-run", *[f"{name}={editions[name]}" for name in sorted(editions)]]
    assert found["requested"] == dry[3:]


def test_a_plan_is_asked_only_once_in_a_job(minion, programs):
    lab(minion)
    host = minion.host
    first = klp_updates.plan(host, level="latest")
    count = len(programs.calls)
    assert klp_updates.plan(host, level="latest") == first and len(programs.calls) == count
    minion.changed()
    klp_updates.plan(host, level="latest")
    assert len(programs.calls) > count


def test_nothing_pending_needs_no_more_questions(minion, programs):
    host_with(minion)
    found = planned(minion)
    assert (found["packages"], found["skipped"], found["requested"]) == ({}, [], [])
    assert len(programs.started("zypper")) == 1


def test_a_plan_obeys_the_settings_that_are_given(minion):
    host_with(minion, ["a"])
    assert skipped(klp_updates.plan(minion.host, {"exclude": ["*"]})) == {"a": zypp_plan.EXCLUDED}


def test_what_packages_bring_along_belongs_to_the_plan(minion, programs):
    host_with(minion, ["a"])
    reads(minion, ["install", "--dry-run", "a=2-1"], recorded("zypper/install-live-patch.xml"))
    assert planned(minion)["packages"] == {LP: {"old": ONE, "new": THREE}}


# -- what cannot come along --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EIGHT)
@pytest.mark.parametrize("kind", [*BAD, *REFUSED])
def test_one_bad_package_of_eight_does_not_hold_up_the_others(minion, kind, name):
    solver = host_with(minion, EIGHT, bad={name: kind})
    found = planned(minion, exclude=["never"])
    why = (BAD[kind][1] if kind in BAD else REFUSED[kind][2]).format(name)
    why += "; allow it with pillar klp:update:reboot, or" if kind == "reboot" else ";"
    assert sorted(found["packages"]) == [item for item in EIGHT if item != name]
    assert found["skipped"] == [{"item": name, "kind": "package", "reason": f"{why} {CURE.format(name)}"}]
    assert found["requested"] == [f"{item}=2-1" for item in EIGHT if item != name]
    assert len(solver.tried) <= 2 * 3 + 1


def test_where_all_is_clean_one_dry_run_is_all(minion):
    solver = host_with(minion, EIGHT)
    assert sorted(planned(minion)["packages"]) == EIGHT
    assert solver.tried == [[f"{name}=2-1" for name in EIGHT]]


def test_several_bad_packages_are_found_together(minion):
    solver = host_with(minion, EIGHT, bad={"p2": "kernel", "p3": "solver", "p7": "vendor"})
    found = planned(minion)
    assert sorted(found["packages"]) == ["p1", "p4", "p5", "p6", "p8"] and set(skipped(found)) == {"p2", "p3", "p7"}
    assert len(solver.tried) <= 2 * 3 * 3 + 1


def test_where_every_package_is_bad_nothing_is_requested(minion):
    host_with(minion, EIGHT, bad=dict.fromkeys(EIGHT, "kernel"))
    found = planned(minion)
    assert found["requested"] == [] and set(skipped(found)) == set(EIGHT)


def test_what_was_refused_is_not_asked_again_in_the_same_job(minion):
    solver = host_with(minion, EIGHT, bad={"p4": "solver"})
    host = minion.host
    klp_updates.plan(host)
    count = len(solver.tried)
    remembers(minion, "runs", [1])  # the plan is made anew, the questions are answered
    klp_updates.plan(host)
    assert len(solver.tried) == count


def test_a_reboot_may_be_allowed(minion):
    solver = host_with(minion, ["a"], bad={"a": "reboot"})
    assert sorted(planned(minion, reboot=True)["packages"]) == ["a", "glibc"] and len(solver.tried) == 1


def test_a_licence_may_be_agreed_to(minion):
    solver = host_with(minion, ["a"])
    planned(minion, licenses=True)
    assert minion.programs.calls[-1][-3:] == ["--dry-run", "--auto-agree-with-licenses", "a=2-1"]
    assert len(solver.tried) == 1


def test_an_advisory_all_of_whose_packages_are_dropped_is_left_out_too(minion):
    host_with(minion, ["a", "b", "c"], [advisory("A-1"), advisory("B-1")], bad={"a": "kernel"})
    info(minion, A_1=["a"], B_1=["a", "b"])
    found = planned(minion)
    assert found["advisories"] == ["B-1"]
    assert skipped(found)["A-1"] == skipped(found)["a"] == f"would install kernel-default-5-1; {CURE.format('a')}"


@pytest.mark.parametrize(
    ("code", "text", "message"),
    [
        (4, recorded("zypper/install-rpm-broken.xml"), "Target initialization failed"),
        (106, recorded("zypper/list-updates-repository-skipped.xml"), "Skipping repository 'gone'"),
        (7, recorded("zypper/lock-held.xml"), "the zypp lock is still held"),
        (0, "<stream/>", "no install summary"),
    ],
)
def test_a_host_that_cannot_answer_is_no_fault_of_its_packages(minion, code, text, message):
    solver = host_with(minion, EIGHT)
    reads(minion, ["install", ...], {"retcode": code, "stdout": text})
    with pytest.raises(CommandExecutionError, match=message):
        planned(minion)
    assert len(solver.tried) == 1


# -- names that are excluded -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["p4", "p4*", "*4"])
def test_nothing_is_asked_about_a_package_that_is_excluded(minion, programs, pattern):
    solver = host_with(minion, EIGHT, bad={"p4": "solver"})
    found = planned(minion, exclude=["X-*", pattern])
    assert sorted(found["packages"]) == [name for name in EIGHT if name != "p4"]
    assert skipped(found) == {"p4": "excluded by pillar klp:update:exclude"}
    assert len(solver.tried) == 1 and not any("p4=2-1" in argv for argv in programs.calls)


def test_ids_of_advisories_are_excluded_as_well(minion):
    host_with(minion, ["a", "b"], [advisory("A-1"), advisory("B-1")])
    info(minion, A_1=["a"], B_1=["b"])
    found = planned(minion, exclude=["A-*"])
    assert list(found["packages"]) == ["b"] and found["advisories"] == ["B-1"]
    assert skipped(found) == dict.fromkeys(["A-1", "a"], "excluded by pillar klp:update:exclude")


# -- the live patch in the same command --------------------------------------------------------------------------------


@pytest.fixture
def live(minion):
    """A host with the live patches 1, 2 and 3 in a repository; 1 is installed and loaded."""
    repository(minion)
    minion.live_patch(FIRST)
    return minion


def test_the_live_patch_comes_by_the_same_command(live):
    solver = host_with(live, ["a"])
    found = klp_updates.plan(live.host, level=2)
    assert found["requested"] == ["a=2-1", f"{LP}={TWO}"] and found["live_patch"] == {LP: {"old": ONE, "new": TWO}}
    assert list(found["packages"]) == ["a"] and len(solver.tried) == 1


def test_packages_that_do_not_go_with_the_live_patch_are_left_out(live):
    host_with(live, ["a", "b"], apart=["a", LP])
    found = klp_updates.plan(live.host, level=2)
    assert found["requested"] == ["b=2-1", f"{LP}={TWO}"] and set(skipped(found)) == {"a"}


@pytest.mark.parametrize("packages", [["a", "b"], []])
@pytest.mark.parametrize("kind", ["kernel", "solver"])
def test_a_live_patch_that_cannot_be_installed_is_left_to_its_own_state(live, packages, kind):
    host_with(live, packages, bad={LP: kind})
    found = klp_updates.plan(live.host, level=2)
    assert found["live_patch"] == {} and found["skipped"] == [] and list(found["packages"]) == packages


def test_without_a_level_the_live_patch_is_not_looked_at(live, programs):
    host_with(live, ["a"])
    found = klp_updates.plan(live.host)
    assert (found["live_patch"], found["reload"]) == ({}, {})
    assert not any("search" in argv and LP in argv for argv in programs.calls)


@pytest.mark.parametrize(
    ("module", "begun", "level", "again"),
    [
        (FIRST, {}, 1, False),
        (None, {}, 1, True),
        (SECOND, {}, 1, True),
        (FIRST, {LP: ONE}, 1, True),
        (None, {}, 2, False),
    ],
)
def test_a_live_patch_that_is_not_loaded_or_was_cut_off_comes_again(minion, module, begun, level, again):
    repository(minion)
    solver = host_with(minion, [])
    remembers(minion, "begun", begun)
    if module:
        minion.live_patch(module)
    found = klp_updates.plan(minion.host, level=level)
    same = {LP: {"old": ONE, "new": ONE}}
    assert found["reload"] == (same if again else {}) and found["unfinished"] == {}
    assert klp_updates.changes(found) == (same if again else found["live_patch"])
    assert bool(solver.tried) == (level == 2)


def test_a_live_patch_that_is_loaded_meanwhile_is_seen_although_the_plan_is_kept(live):
    host_with(live, [])
    host = live.host
    assert klp_updates.plan(host, level=1)["reload"] == {}
    live.file(f"{klp_paths.LIVEPATCH}/{FIRST}/enabled", "0\n")
    assert klp_updates.plan(host, level=1)["reload"] == {LP: {"old": ONE, "new": ONE}}


def test_changes_are_all_that_a_run_installs():
    change = {"old": "1-1", "new": "2-1"}
    found = {"packages": {"a": change, "gone": {"old": "1-1", "new": None}}, "unfinished": {"c": "1-1"}}
    found.update(live_patch={LP: change}, reload={})
    again = {"c": {"old": "1-1", "new": "1-1"}}
    assert klp_updates.changes(found) == {"a": change, "gone": {"old": "1-1", "new": None}, LP: change, **again}
    found.update(live_patch={}, reload={LP: {"old": ONE, "new": ONE}})
    assert klp_updates.changes(found)[LP] == {"old": ONE, "new": ONE}
