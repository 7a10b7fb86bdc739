"""The way back to an earlier live patch: what a level means, what refuses it, and that the host is held there."""

import os
import stat

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_health
import klp_hold
import klp_level
import klp_paths
import klp_rollback
from tests.unit import patched
from tests.unit.conftest import LP
from tests.unit.hosts import (
    FIRST,
    ONE,
    SEARCH,
    SECOND,
    THIRD,
    THREE,
    TWO,
    becomes,
    dry,
    has,
    lock_file,
    lock_records,
    reads,
    record,
    remembers,
    writes,
    wrote,
)
from tests.unit.loader import recorded
from tests.unit.patched import ADVISORY, DOWN, DRY, LOCK, NAME, held_at

host = patched.third  # the fixture


def again(host, edition=TWO, name=SECOND):
    """Let the host install again an edition, by the same dry run."""
    reads(host, [*DRY, "--force", f"{LP}={edition}"], dry("reinstall", f"{LP}={edition}"))
    writes(host, [*DOWN, "--force", f"{LP}={edition}"], then=lambda: becomes(name), changes=True)


def test_the_level_before_is_installed_and_held(host):
    done = host.salt["klp.downgrade"]()
    assert done == {
        "changed": {LP: {"old": THREE, "new": TWO}},
        "notes": [f"held at {TWO}, newer ones come after: salt sles1 klp.unhold"],
    }
    hold = {"package": LP, "edition": TWO, "from": THREE, "since": 1_700_000_000, "locks": [LOCK, ADVISORY]}
    assert host.salt["klp.held"]() == hold
    assert klp_hold.missing_locks(host.host) == []
    assert stat.S_IMODE(os.stat(f"{klp_paths.RECORDS}/hold.json").st_mode) == 0o600
    assert wrote(host, *DOWN) == [[*DOWN, NAME]]
    assert klp_level.resolve(host.host, "latest") == TWO
    assert host.salt["klp.downgrade"]() == {"changed": {}, "notes": done["notes"]}
    assert len(wrote(host, *DOWN)) == 1


def test_the_record_is_there_before_the_package_changes(host):
    seen = []

    def look():
        seen.append((record("hold"), record("begun")))

    writes(host, [*DOWN, NAME], {"retcode": 8, "stdout": "stopped"}, then=look)
    with pytest.raises(CommandExecutionError, match="zypper install: exit 8"):
        host.salt["klp.downgrade"]()
    (hold, begun) = seen[0]
    assert (hold["edition"], hold["from"], begun) == (TWO, THREE, {LP: TWO})
    with pytest.raises(CommandExecutionError) as error:
        klp_level.resolve(host.host, "latest")
    assert str(error.value) == (
        f"going back from {THREE} to {TWO} was begun and is not finished; finish it with: salt sles1 klp.downgrade, "
        "or stay with: salt sles1 klp.unhold"
    )


def test_an_interrupted_way_back_installs_again(host):
    """Both editions are known to rpm after a kill: the scriptlets run again, and the older one is forced in."""
    has(host, f"{THREE},{TWO}", TWO)
    held_at(host)
    again(host)
    host.salt["klp.downgrade"]()
    assert wrote(host, *DOWN) == [[*DOWN, "--force", NAME]]
    assert record("hold")["from"] == THREE


def test_one_step_at_a_time_lifts_the_lock_of_the_step_before(host):
    has(host, TWO, ONE)
    becomes(SECOND)
    held_at(host, locks=[LOCK, ADVISORY])
    remembers(host, "locks", [LOCK, ADVISORY])
    host.file(klp_paths.LOCKS, lock_records(LOCK, ADVISORY))
    reads(host, [*DRY, f"{LP}={ONE}"], dry("downgrade", f"{LP}={ONE}"))
    writes(host, [*DOWN, f"{LP}={ONE}"], then=lambda: becomes(FIRST), changes=True)
    host.salt["klp.downgrade"](1)
    hold = record("hold")
    assert (hold["edition"], hold["from"], hold["since"]) == (ONE, THREE, 1_700_000_000)
    assert hold["locks"] == [f"{LP}>{ONE}", ADVISORY]
    assert lock_file() == lock_records(ADVISORY, f"{LP}>{ONE}")


def test_a_hold_without_a_way_down(host):
    """The level that is installed may be held as it is; the locks are all that changes."""
    host.salt["klp.downgrade"](3)
    assert (record("hold")["edition"], wrote(host, *DOWN)) == (THREE, [])


@pytest.mark.parametrize("level", [TWO, 2])
def test_a_live_patch_that_the_kernel_lost_is_brought_in_again(host, level):
    has(host, TWO)
    held_at(host)
    again(host)
    assert host.salt["klp.downgrade"](level)["changed"] == {}
    assert wrote(host, *DOWN) == [[*DOWN, "--force", NAME]]


LEVELS = [
    # installed, held, level, edition
    (THREE, None, "previous", TWO),
    (THREE, None, 1, ONE),
    (THREE, None, TWO, TWO),
    (THREE, None, 3, THREE),
    (TWO, TWO, "previous", TWO),
    (TWO, TWO, 2, TWO),
    (TWO, TWO, 1, ONE),
    (THREE, TWO, "previous", TWO),
    (THREE, TWO, 2, TWO),
    (ONE, TWO, "previous", ONE),  # a restored root volume is older than where the host was held
]


@pytest.mark.parametrize(("installed", "held", "level", "edition"), LEVELS)
def test_what_a_level_means_on_the_way_back(host, installed, held, level, edition):
    has(host, installed)
    if held:
        held_at(host, held)
    assert klp_rollback.resolve(host.host, level) == edition


REFUSED = [
    # installed, level, text
    (None, "previous", f"{LP} is not installed: there is nothing to go back from"),
    (ONE, "previous", f"live patch {ONE} is the first one of this kernel, there is none before it; klp.disable takes"),
    (ONE, 2, f"live patch {TWO} is above the installed {ONE}: klp.downgrade never goes forward; klp.install and"),
    (THREE, 9, f"live patch level 9 of {LP} is in no repository; there are: {THREE}, {TWO}, {ONE}"),
]


@pytest.mark.parametrize(("installed", "level", "text"), REFUSED)
def test_what_refuses_a_level(host, installed, level, text):
    has(host, installed)
    with pytest.raises(CommandExecutionError) as error:
        host.salt["klp.downgrade"](level)
    assert str(error.value).startswith(text)
    assert (record("hold"), wrote(host)) == (None, [])


@pytest.mark.parametrize(
    ("file", "editions"), [("search-live-patch.xml", f"4-150500.2.1, {THREE}, {THREE}"), ("search-nothing.xml", "none")]
)
def test_no_repository_has_the_level_before(host, file, editions):
    reads(host, SEARCH, recorded(f"zypper/{file}").replace(TWO, THREE).replace(ONE, "4-150500.2.1"))
    with pytest.raises(CommandExecutionError) as error:
        klp_rollback.resolve(host.host)
    said = f"no repository has a live patch below the installed {THREE}; has: {editions}"
    assert str(error.value) == said


@pytest.mark.parametrize("level", [0, "latest", None, True, "2-1\n"])
def test_a_level_of_another_form_is_the_mistake_of_the_caller(host, programs, level):
    with pytest.raises(SaltInvocationError, match="level: wanted previous, a number from 1 or an edition"):
        klp_rollback.resolve(host.host, level)
    assert programs.calls == []


def test_what_is_held_above_the_installed_is_no_way_back(host):
    has(host, ONE)
    held_at(host)
    with pytest.raises(CommandExecutionError, match=f"live patch {TWO} is above the installed {ONE}"):
        klp_rollback.resolve(host.host, 2)


def test_force_is_yes_or_no(host):
    with pytest.raises(SaltInvocationError, match="force: wanted true or false, found 'yes'"):
        host.salt["klp.downgrade"](force="yes")


def refused(host, match):
    with pytest.raises(CommandExecutionError, match=match):
        host.salt["klp.downgrade"]()
    assert (record("hold"), wrote(host)) == (None, [])


def test_what_speaks_against_live_patching_comes_first(host):
    host.file(klp_paths.LOCKS, lock_records(LP))
    refused(host, f"lock in line 2 of /etc/zypp/locks .* freezes {LP}")


def test_no_way_back_while_a_transition_runs(host):
    host.live_patch(THIRD, transition=1)
    refused(host, "a transition is still running: no second live patch is started; see klp.blockers")


def test_a_kernel_that_had_errors_is_left_alone_unless_forced(host):
    host.file(klp_paths.TAINTED, "512\n")
    refused(host, "the kernel has had errors since it was started.*taint W.*pillar klp:rollback:force")
    host.pillar["klp"] = {"rollback": {"force": True}}
    notes = host.salt["klp.downgrade"]()["notes"]
    assert notes[0] == "went on in spite of: taint W: the kernel issued a warning"


def test_a_kernel_log_that_cannot_be_read_is_no_go_ahead(host):
    os.unlink(klp_paths.KMSG)
    assert klp_health.kernel_errors()[0].startswith("the kernel log cannot be read (")


@pytest.mark.parametrize("hold", [False, True])
def test_a_dry_run_with_more_in_it_is_refused(host, hold):
    reads(host, [*DRY, NAME], dry("downgrade", NAME, "curl=1-1"))
    lock = f"{LP}>{THREE}"
    if hold:
        held_at(host, THREE, locks=[lock])
        remembers(host, "locks", [lock])
        host.file(klp_paths.LOCKS, lock_records(lock))
    with pytest.raises(CommandExecutionError, match="would also downgrade curl-1-1: nothing was changed"):
        host.salt["klp.downgrade"](TWO)
    assert wrote(host, *DOWN) == []
    assert (record("hold") or {}).get("edition") == (THREE if hold else None)
    assert wrote(host, "removelock") == ([["removelock", lock]] if hold else [])
    assert lock_file() == (lock_records(lock) if hold else "")  # the advisory brings nothing above what is held


def test_a_dry_run_that_fails_leaves_the_host_held_as_it_was(host):
    reads(host, [*DRY, NAME], {"retcode": 4, "stdout": "problem"})
    refused(host, "zypper install: exit 4")


def test_an_edition_that_stays_is_an_error(host):
    has(host, THREE, f"{THREE},{TWO}")
    with pytest.raises(CommandExecutionError, match=f"wanted {LP}={TWO}, {THREE} is still installed"):
        host.salt["klp.downgrade"]()


def test_a_replaced_copy_of_the_module_is_unloaded_first(host, programs):
    os.makedirs(f"{klp_paths.MODULES}/{SECOND}")
    programs.on(["rmmod", SECOND], {"retcode": 1, "stderr": "in use"})
    host.salt["klp.downgrade"]()
    names = [argv[0] if argv[0] != "zypper" else argv[-1] for argv in programs.calls if "--xmlout" not in argv]
    assert names.index("rmmod") < names.index(NAME)


def test_a_module_that_is_in_force_is_not_unloaded(host, programs):
    os.makedirs(f"{klp_paths.MODULES}/{SECOND}")
    host.live_patch(SECOND, enabled=0)
    writes(host, [*DOWN, NAME], then=lambda: host.live_patch(SECOND), changes=True)
    host.salt["klp.downgrade"]()
    assert programs.started("rmmod") == []


def test_the_state_goes_back_once(host):
    state = host.states["klp"]
    host.opts["test"] = True
    predicted = state.rolled_back("x")
    assert (predicted["result"], wrote(host)) == (None, [])
    host.opts["test"] = False
    done = state.rolled_back("x")
    assert (done["result"], done["changes"]) == (True, predicted["changes"])
    assert done["changes"] == {
        "live patch": {"old": THREE, "new": TWO},
        "module": {"old": THIRD, "new": SECOND},
        "held at": {"old": None, "new": TWO},
    }
    assert f"Changed: live patch {TWO} is in the kernel, newer ones are held back" in done["comment"]
    again = state.rolled_back("x")
    assert (again["result"], again["changes"]) == (True, {})
    held = state.held("y")
    assert (held["result"], held["changes"]) == (True, {})


def test_the_state_goes_on_where_a_kill_stopped_it(host):
    has(host, f"{THREE},{TWO}", TWO)
    held_at(host)
    again(host)
    done = host.states["klp"].rolled_back("x")
    assert done["result"] is True
    assert done["changes"]["unfinished"] == {"old": True, "new": None}


def test_names_of_another_form_are_told(host):
    assert host.host.module(TWO) == SECOND
    has(host, TWO)
    reads(host, SEARCH, recorded("zypper/search-live-patch.xml").replace(THREE, "three-1"))
    with pytest.raises(CommandExecutionError, match="live patch edition 'three-1' does not begin with a level number"):
        klp_level.find(host.host, 2)
    held_at(host, "two-1")
    with pytest.raises(CommandExecutionError, match="live patch edition 'two-1'"):
        klp_rollback.resolve(host.host, 1)


def test_a_kernel_without_live_patches_has_no_way_back(host, programs, uname):
    uname(machine="aarch64")
    refused(host, "flavour default on aarch64")
    assert programs.calls == []
