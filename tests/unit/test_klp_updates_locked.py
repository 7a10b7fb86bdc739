"""What asks for a reboot, and what an administrator has locked, in the plan of a run."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
import klp_updates
from tests.unit.conftest import LP
from tests.unit.hosts import FIRST, ONE, PENDING, THREE, TWO, lock_records, reads, repository
from tests.unit.updates import BAD, CURE, OTHER, advisory, host_with, info, package, planned, skipped

REBOOT = "asks for a reboot (provides installhint(reboot-needed)); allow it with pillar klp:update:reboot"
UNLOCK = "locked by the administrator; unlock it with: zypper removelock -t patch L-1"


def hint_calls(minion):
    return [argv for argv in minion.programs.calls if "--provides" in argv]


def test_a_package_whose_new_edition_first_asks_for_a_reboot_is_left_out(minion):
    solver = host_with(minion, ["a", "b"])
    minion.asks_for_reboot("a=2-1", "b=1-1")
    found = planned(minion)
    assert found["requested"] == ["b=2-1"] and skipped(found) == {"a": REBOOT}
    assert len(solver.tried) == 1 and len(hint_calls(minion)) == 1


def test_what_asks_for_a_reboot_comes_where_pillar_allows_it_and_is_not_looked_for(minion):
    host_with(minion, ["a"])
    minion.asks_for_reboot("a=2-1")
    assert list(planned(minion, reboot=True)["packages"]) == ["a"] and hint_calls(minion) == []


@pytest.mark.parametrize("settings", [{"exclude": ["a"]}, {"others": False}])
def test_where_nothing_is_left_to_install_hints_are_not_looked_for(minion, settings):
    host_with(minion, ["a"])
    assert planned(minion, **settings)["requested"] == [] and hint_calls(minion) == []


def test_what_is_named_in_a_file_needs_no_question(minion):
    host_with(minion, ["glibc"])
    assert skipped(planned(minion))["glibc"].startswith(f"asks for a reboot (named in {klp_paths.NEEDREBOOT})")
    assert hint_calls(minion) == []


def test_a_live_patch_that_asks_for_a_reboot_is_left_to_its_own_state(minion):
    repository(minion)
    minion.live_patch(FIRST)
    host_with(minion, ["a"])
    minion.asks_for_reboot(f"{LP}={TWO}")
    found = klp_updates.plan(minion.host, level=2)
    assert found["requested"] == ["a=2-1"] and found["live_patch"] == {}


# -- what an administrator has locked ----------------------------------------------------------------------------------


def locked_host(minion, packages, **more):
    """A host with package z, which the locked advisory L-1 brings, and some of which others speak."""
    rows = [advisory("L-1").replace('"needed"', '"unwanted"'), *[advisory(f"{name.upper()}-1") for name in packages]]
    minion.file(klp_paths.LOCKS, lock_records("patch:L-1"))
    return host_with(minion, sorted({*packages, "z"}), rows, **more)


def test_a_locked_advisory_stays_out_with_its_packages(minion):
    locked_host(minion, ["a"])
    info(minion, A_1=["a"], L_1=["z"])
    found = planned(minion)
    assert found["requested"] == ["a=2-1"] and found["advisories"] == ["A-1"]
    assert skipped(found) == {"L-1": UNLOCK, "z": f"its advisory L-1 is {UNLOCK}"}


def test_a_package_that_drags_in_what_is_locked_is_left_out_too(minion, monkeypatch):
    monkeypatch.setitem(BAD, "drags", (OTHER.format("z"), ""))
    locked_host(minion, ["a", "b"], bad={"a": "drags"})
    info(minion, A_1=["a"], B_1=["b"], L_1=["z"])
    found = planned(minion)
    assert found["requested"] == ["b=2-1"]
    assert skipped(found)["a"] == f"would upgrade z-2-1 (advisory L-1 is locked); {CURE.format('a')}"


def test_what_a_chosen_advisory_needs_comes_although_another_one_is_locked(minion):
    locked_host(minion, ["z"])
    info(minion, L_1=["z"], Z_1=["z"])
    found = planned(minion)
    assert found["requested"] == ["z=2-1"]
    assert skipped(found) == {"L-1": f"{UNLOCK}; z comes all the same, advisory Z-1 brings it"}


@pytest.fixture
def live(minion):
    """A host with the live patch 1, and 2 and 3 in a repository; an administrator has locked the advisory of 3."""
    repository(minion)
    minion.live_patch(FIRST)
    locked_host(minion, ["a"], **{LP: ONE})
    row = f'<update kind="package" name="{LP}" edition="{THREE}" edition-old="{ONE}"/>'
    rows = [advisory("L-1").replace('"needed"', '"unwanted"'), package("a"), row]
    reads(minion, PENDING, f"<stream><update-list>{''.join(rows)}</update-list></stream>")
    text = f"Name        : L-1\nConflicts   : [1]\n    {LP} < {THREE}\n    z < 2-1\n"
    reads(minion, ["info", "--type", "patch", "L-1"], text, xml=False)
    return minion


def test_latest_is_the_newest_live_patch_whose_advisory_is_not_locked(live):
    found = klp_updates.plan(live.host, level="latest")
    assert found["live_patch"] == {LP: {"old": ONE, "new": TWO}}
    assert skipped(found)["L-1"] == UNLOCK and found["requested"] == ["a=2-1", f"{LP}={TWO}"]


def test_a_live_patch_of_a_locked_advisory_is_refused_with_the_command_that_unlocks(live):
    with pytest.raises(CommandExecutionError) as error:
        klp_updates.plan(live.host, level=3)
    assert str(error.value) == f"live patch {THREE} is not installed: its advisory is {UNLOCK}"


def test_where_all_newer_live_patches_are_locked_the_installed_one_stays(live):
    parts = [
        f"Name        : {name}\nConflicts   : [1]\n    {LP} < {new}\n" for name, new in (("L-1", THREE), ("L-2", TWO))
    ]
    rows = [advisory(name).replace('"needed"', '"unwanted"') for name in ("L-1", "L-2")]
    row = f'<update kind="package" name="{LP}" edition="{THREE}" edition-old="{ONE}"/>'
    reads(live, PENDING, f"<stream><update-list>{''.join([*rows, row])}</update-list></stream>")
    reads(live, ["info", "--type", "patch", "L-1", "L-2"], "".join(parts), xml=False)
    assert klp_updates.plan(live.host, level="latest")["live_patch"] == {}
