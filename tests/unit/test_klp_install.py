"""Bringing in a live patch: by its edition, while nothing moves, and seen to be taken by the kernel."""

import os

import pytest
from salt.exceptions import CommandExecutionError

import klp_install
import klp_live
import klp_paths
import klp_restoring
from tests.unit.conftest import LP
from tests.unit.hosts import (
    FIRST,
    ONE,
    SECOND,
    THIRD,
    THREE,
    TWO,
    becomes,
    dry,
    has,
    reads,
    record,
    remembers,
    repository,
    tool,
    writes,
    wrote,
)
from tests.unit.loader import recorded

NAME = f"{LP}={THREE}"
DRY = ["install", "--dry-run"]


@pytest.fixture
def host(minion):
    """A host at level 1 that level 3 comes to: the kernel takes it."""
    has(minion, ONE, THREE)
    minion.live_patch(FIRST)
    repository(minion)
    tool(minion)
    reads(minion, [*DRY, NAME], recorded("zypper/install-live-patch.xml"))
    writes(minion, ["install", NAME], then=lambda: minion.live_patch(THIRD, transition=1), changes=True)
    return minion


def again(host, edition=THREE):
    """Let the host install again what it has."""
    reads(host, [*DRY, "--force", f"{LP}={edition}"], dry("reinstall", f"{LP}={edition}"))
    takes = f"livepatch_{edition.replace('-', '_').replace('.', '_')}"
    writes(host, ["install", "--force", f"{LP}={edition}"], then=lambda: host.live_patch(takes), changes=True)


@pytest.mark.parametrize("level", ["latest", 3, THREE])
def test_an_install_brings_the_package_by_its_name_and_edition(host, level):
    assert host.salt["klp.install"](level) == {"changed": {LP: {"old": ONE, "new": THREE}}, "notes": []}
    assert wrote(host, "install") == [["install", NAME]]


def test_an_installed_live_patch_that_is_not_loaded_is_installed_again(host):
    has(host, THREE)
    again(host)
    assert host.salt["klp.install"](3) == {"changed": {}, "notes": []}
    assert wrote(host) == [["install", "--force", NAME]]


def test_an_install_without_the_tool_does_not_ask_it(host, paths, programs):
    paths.discard("klp")
    host.salt["klp.install"](3)
    assert programs.started("klp") == [] and wrote(host) == [["install", NAME]]


def test_no_second_live_patch_is_started_while_a_transition_runs(host):
    host.live_patch(THIRD, transition=1)
    with pytest.raises(CommandExecutionError, match="^a transition is still running: no second live patch is started"):
        host.salt["klp.install"](3)
    assert wrote(host) == []


@pytest.mark.parametrize("install", [klp_install.install, klp_install.install_edition])
def test_what_speaks_against_live_patching_stops_every_install(host, install):
    waiting = dict.fromkeys(klp_restoring.FIELDS, None)
    remembers(host, "restore", dict(waiting, backup="42", boot="b1", stage="begun"))
    with pytest.raises(CommandExecutionError, match="^backup 42 is being restored, .*: restart the host first$"):
        install(host.host, THREE)
    assert wrote(host) == []


@pytest.mark.parametrize("active", ["none", FIRST])
def test_a_live_patch_that_the_kernel_did_not_take_is_an_error(host, active):
    writes(host, ["install", NAME], changes=True)
    if active == "none":
        host.live_patch(FIRST, enabled=0)
    with pytest.raises(CommandExecutionError) as error:
        host.salt["klp.install"](3)
    assert f"the kernel has not taken {THIRD} (active: {active}); look at the end of /var/log/zypp" in str(error.value)


def test_a_tool_whose_answer_is_not_understood_stops_the_install(host, programs):
    programs.on(["klp", "-v", "patches"], "Segmentation fault!\n")
    with pytest.raises(CommandExecutionError, match="unknown line 'Segmentation fault!'"):
        host.salt["klp.install"](3)
    assert wrote(host) == [] and programs.started("klp") == [["klp", "-v", "patches"]]


def test_an_install_that_ends_half_way_is_noticed_and_mended(host):
    writes(host, ["install", NAME], {"retcode": 105}, changes=True)
    with pytest.raises(CommandExecutionError, match=r"exit 105 \(stopped by a signal\)"):
        host.salt["klp.install"](3)
    assert (record("begun"), host.salt["klp.package"]()["unfinished"]) == ({LP: THREE}, True)
    again(host)
    host.salt["klp.install"](3)
    assert (record("begun"), host.salt["klp.package"]()["unfinished"]) == ({}, False)
    assert wrote(host, "install") == [["install", NAME], ["install", "--force", NAME]]


def test_an_install_that_was_killed_says_by_which_signal(host):
    writes(host, ["install", NAME], {"retcode": -9})
    with pytest.raises(CommandExecutionError, match="^zypper install: was killed by signal 9: no output$"):
        host.salt["klp.install"](3)


def test_a_replaced_copy_of_the_module_is_unloaded_first(host, programs):
    """Measured: down from 3, unheld, up again: the kernel would stay where it was, the copy of 3 is loaded."""
    os.makedirs(f"{klp_paths.MODULES}/{THIRD}")
    programs.on(["rmmod", THIRD])
    host.salt["klp.install"]()
    names = [argv[0] if argv[0] != "zypper" else argv[-1] for argv in programs.calls if "--xmlout" not in argv]
    assert names.index("rmmod") < names.index(NAME)


def test_a_check_sees_what_the_dry_run_brings_before_anything_is_installed(host):
    seen = []

    def refuse(packages):
        seen.append(packages)
        raise CommandExecutionError("not shown")

    with pytest.raises(CommandExecutionError, match="^not shown$"):
        klp_install.install_edition(host.host, THREE, check=refuse)
    assert (seen, wrote(host), record("begun")) == ([{LP: THREE}], [], None)


# -- a transition that begins while zypper waits for its lock ---------------------------------------------------------


def test_no_zypper_is_started_again_once_a_transition_runs(host, programs):
    """Somebody else's zypper has the lock and brings a live patch: when it ends, the kernel moves."""
    held = {"retcode": 7, "stdout": recorded("zypper/lock-held.txt")}
    writes(host, ["install", NAME], held, then=lambda: host.live_patch(SECOND, transition=1))
    with pytest.raises(CommandExecutionError) as error:
        host.salt["klp.install"](3)
    assert str(error.value) == klp_live.MOVING
    assert wrote(host, "install") == [["install", NAME]]
    options = programs.options[[argv[-2:] for argv in programs.calls].index(["install", NAME])]
    assert options["env"]["ZYPP_LOCK_TIMEOUT"] == "0" and host.clock.slept == [2]


def test_zypper_is_started_again_while_nothing_moves(host):
    held = {"retcode": 7, "stdout": recorded("zypper/lock-held.txt")}

    def ends():
        if len(host.clock.slept) == 2:
            becomes(THIRD)
            host.changed()

    writes(host, ["install", NAME], held, held, {"retcode": 0}, then=ends)
    assert host.salt["klp.install"](3)["changed"] == {LP: {"old": ONE, "new": THREE}}
    assert wrote(host, "install") == [["install", NAME]] * 3 and host.clock.slept == [2, 2]


def test_a_held_live_patch_that_was_lost_comes_by_its_edition(host):
    has(host, TWO)
    hold = {"package": LP, "edition": TWO, "from": THREE, "since": 1, "locks": []}
    remembers(host, "hold", hold)
    again(host, TWO)
    host.salt["klp.install"]("latest")
    assert wrote(host) == [["install", "--force", f"{LP}={TWO}"]]
