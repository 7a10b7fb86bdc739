"""What speaks against changing a host: pillar, restoration, family, kernel, settings, locks, repositories, tool."""

import shutil

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_live
import klp_paths
import klp_preflight
import klp_restoring
import klp_runs
import klp_sys
import zypp_solver
from tests.unit import patched
from tests.unit.conftest import LP
from tests.unit.hosts import (
    FIRST,
    KERNEL_PACKAGE,
    LATER,
    ONE,
    THIRD,
    TOOLS,
    has,
    remembers,
    rpm,
    writes,
)
from tests.unit.loader import recorded
from tests.unit.patched import CODE

host = patched.ready  # the fixture


def test_a_restoration_that_waits_for_the_reboot_stops_everything(host, programs):
    waiting = dict.fromkeys(klp_restoring.FIELDS, None)
    remembers(host, "restore", dict(waiting, backup="42", since=1, boot="b1", stage="begun"))
    text = "backup 42 is being restored, what is changed now would be lost: restart the host first"
    assert (host.salt["klp.preflight"](), programs.calls) == ([text], [])
    assert (host.salt["klp.preflight"](refresh=True), programs.calls) == ([text], [])


def test_settings_are_checked_and_have_no_secret(minion):
    minion.pillar["klp"] = {"product": {"regcode": CODE}, "locks": {"extra": ["shim"]}}
    found = minion.salt["klp.settings"]()
    assert found["problems"] == [] and CODE not in repr(found)
    assert {"kernel-default", "shim"} <= set(found["locks"]) and len(found["locks"]) == 10


def test_settings_with_problems_lock_nothing(minion, uname):
    minion.pillar["klp"] = {"levle": 1}
    found = minion.salt["klp.settings"]()
    assert found["problems"] == ["pillar klp:levle: unknown key; did you mean level?"] and found["locks"] == []
    minion.pillar.clear()
    uname("6.1.0")
    assert minion.salt["klp.settings"]()["locks"] == []


def test_a_wrong_pillar_stops_everything_that_needs_it(minion, programs):
    minion.pillar["klp"] = {"level": 0}
    for read in (klp_preflight.lock_list, klp_live.installed, zypp_solver.advisories, klp_runs.current):
        with pytest.raises(SaltInvocationError, match="pillar klp:level: wanted latest"):
            read(minion.host)
    assert programs.calls == []


def test_unlocked_kernel_packages_are_told(minion):
    minion.locked("kernel-default", "kernel-devel", "kernel-macros")
    found = klp_preflight.unlocked(minion.host)
    assert "kernel-default-base" in found and "kernel-default" not in found
    with pytest.raises(CommandExecutionError) as error:
        klp_preflight.require_locked(minion.host)
    assert str(error.value) == (f"lock the kernel packages first (zypper.add_locks), not locked: {', '.join(found)}")


def test_nothing_speaks_against_a_good_host(host, programs):
    assert host.salt["klp.preflight"]() == []
    assert {argv[0] for argv in programs.calls} == {"rpm"}
    assert host.salt["klp.preflight"](refresh=True) == []
    assert programs.started("klp") == [["klp", "status"], ["klp", "-v", "patches"]]


def test_a_host_without_the_tool_is_not_asked(host, paths, programs):
    rpm(host, {"kernel-default": KERNEL_PACKAGE})
    paths.discard("klp")
    assert host.salt["klp.preflight"](refresh=True) == []
    assert programs.started("klp") == []


@pytest.mark.parametrize("refresh", [True, False])
def test_a_wrong_pillar_is_told_line_by_line(host, programs, refresh):
    host.pillar["klp"] = {"levle": 1, "locks": {"extra": "x"}}
    first, second = host.salt["klp.preflight"](refresh=refresh)
    assert first == "pillar klp:levle: unknown key; did you mean level?"
    assert second.startswith("pillar klp:locks:extra: wanted a list") and programs.calls == []
    with pytest.raises(CommandExecutionError) as error:
        klp_preflight.require(host.host)
    assert str(error.value) == f"{first}; {second}"


@pytest.mark.parametrize(
    ("kernel", "sentence"),
    [
        ({"release": "5.14.21-150500.33.3-azure"}, "there are no live patches for the flavour azure"),
        ({"machine": "aarch64"}, "there are no live patches for the flavour default on aarch64"),
    ],
)
def test_a_kernel_without_live_patches_is_an_obstacle(host, uname, kernel, sentence):
    uname(**kernel)
    (found,) = host.salt["klp.preflight"]()
    assert sentence in found


def test_a_kernel_without_live_patching_is_an_error(host):
    shutil.rmtree(klp_paths.LIVEPATCH)
    with pytest.raises(
        CommandExecutionError,
        match="nothing is known of live patches in this kernel",
    ):
        host.salt["klp.preflight"]()


def test_a_running_kernel_that_is_not_installed_is_an_obstacle(host):
    rpm(host, {"kernel-default": "5.14.21-150500.55.12.1"})
    (found,) = host.salt["klp.preflight"](refresh=True)
    assert found == (
        "the package of the running kernel 5.14.21-150500.55.7-default is not installed "
        "(kernel-default: 5.14.21-150500.55.12.1); reboot into an installed kernel first"
    )
    rpm(host, {})
    assert "(kernel-default: none)" in host.salt["klp.preflight"]()[0]


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("latest,latest-1,running", True),
        ("5.14.21-150500.55.7", True),
        ("", True),
        ("latest, latest-1", False),
        ("5.14.21-150500.55.12", False),
    ],
)
def test_settings_that_let_the_running_kernel_be_purged_are_an_obstacle(host, value, good):
    host.write("etc/zypp/zypp.conf", f"[main]\nmultiversion.kernels = {value}\n")
    found = host.salt["klp.preflight"]()
    assert found == [] if good else "lets purge-kernels remove the running kernel; add running to it" in found[0]


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (
            f"type: package\nmatch_type: glob\nsolvable_name: {LP}\n",
            f"({LP}) freezes {LP}; remove it or make it narrower",
        ),
        (
            "type: package\nmatch_type: glob\nsolvable_name: kernel-*\nversion: > 1\n",
            f"(kernel-*; version > 1) freezes {LP}",
        ),
        ("type: package\n", "(every package) freezes"),
        (f"type: package\nsolvable_name: {TOOLS}\n", f"freezes {TOOLS}"),
    ],
)
def test_a_lock_that_freezes_the_live_patch_is_an_obstacle(host, record, sentence):
    host.file(klp_paths.LOCKS, record)
    found = host.salt["klp.preflight"]()
    assert sentence in found[0] and found[0].startswith("lock in line 1 of ")


def test_a_read_only_usr_is_an_obstacle(host, monkeypatch):
    monkeypatch.setattr(klp_sys, "read_only", lambda path: path == klp_paths.USR)
    (found,) = host.salt["klp.preflight"]()
    assert found.startswith("/usr is read-only: packages of a transactional host change in a new snapshot")
    assert "LIVEPATCH_KERNEL='always'" in found and "transactional-update pkg install -t pattern lp_sles" in found


def test_a_repository_that_cannot_be_read_is_an_error(host):
    writes(host, ["refresh"], {"retcode": 4, "stdout": recorded("zypper/refresh-broken.txt")})
    with pytest.raises(CommandExecutionError, match="repository gone cannot be read"):
        host.salt["klp.preflight"](refresh=True)


def test_a_level_that_no_repository_has_speaks_against_a_run(host, programs):
    host.pillar["klp"] = {"level": 9}
    problem, *first = host.salt["klp.preflight"](refresh=True)
    assert problem.startswith("live patch level 9 of ") and " is in no repository; there are: " in problem
    assert first == []
    refresh, search = [argv for argv in programs.calls if argv[0] == "zypper"]
    assert (refresh[-1], LATER in refresh, LATER in search) == ("refresh", False, True)


def test_all_that_speaks_against_a_host_is_told_at_once(host, programs):
    """The window of the kernel is looked at beside the rest; no zypper is started for what is lost already."""
    host.pillar["klp"] = {"window": {"refuse": ["unknown"]}}
    programs.on(["rpm", "-q", "--qf", "%{BUILDTIME}\\n", ...], "1690000000")
    host.write("etc/zypp/zypp.conf", "[main]\nmultiversion.kernels = latest\n")
    purge, window = host.salt["klp.preflight"](refresh=True)
    assert "lets purge-kernels remove the running kernel" in purge and "pillar klp:window:refuse says to stop" in window
    assert programs.started("zypper") == []
    assert host.salt["klp.preflight"]() == [purge]


@pytest.mark.parametrize(
    ("status", "patches", "sentence"),
    [
        ("ready", recorded("klp/lab-patches-converged.txt"), f"sysfs says {FIRST} is active, klp says {THIRD}"),
        ("in_progress", recorded("klp/lab-patches.txt"), "klp status says in_progress, but no transition in sysfs"),
    ],
)
def test_a_tool_that_contradicts_the_kernel_is_an_obstacle(host, programs, status, patches, sentence):
    programs.on(["klp", "status"], status)
    programs.on(["klp", "-v", "patches"], patches)
    assert host.salt["klp.preflight"](refresh=True) == [sentence]


@pytest.mark.parametrize("argv", [["klp", "status"], ["klp", "-v", "patches"]])
def test_a_tool_that_is_not_understood_is_an_obstacle(host, programs, argv):
    programs.on(argv, "what is this")
    (problem,) = host.salt["klp.preflight"](refresh=True)
    assert "what is this" in problem


# -- what a live patch needs that has yet to come ----------------------------------------------------------------------


def never(host):
    host.file(klp_paths.LIVEPATCHING, "LIVEPATCH_KERNEL=never\n")


def test_what_keeps_a_live_patch_out_stops_what_has_to_bring_one(host):
    never(host)
    assert host.salt["klp.preflight"]() == []
    assert host.salt["klp.preflight"](refresh=True)[0].startswith("LIVEPATCH_KERNEL is never in ")
    with pytest.raises(CommandExecutionError, match="^LIVEPATCH_KERNEL is never in "):
        klp_preflight.require(host.host)


@pytest.mark.parametrize(
    "change",
    [
        lambda host: has(host, None),
        lambda host: host.live_patch(FIRST, enabled=0),
        lambda host: remembers(host, "begun", {LP: ONE}),
    ],
    ids=["not installed", "not loaded", "cut off"],
)
def test_it_stops_the_steady_state_where_none_is_in_the_kernel(host, change):
    never(host)
    change(host)
    assert len(host.salt["klp.preflight"]()) == 1


def test_a_backend_that_cannot_work_is_found_out_before_the_locks(host):
    """Where the kernel is locked already nothing is changed before the backup, and it may not be needed."""
    host.pillar["klp"] = {"backup": {"backend": "command", "create": ["/opt/none"], "verify": ["/opt/none"]}}
    host.file(klp_paths.MACHINE_ID, "a" * 32)
    host.file(klp_paths.LOCKS, "")
    assert host.salt["klp.preflight"](refresh=True) == ["/opt/none: command not found"]
    host.locked(*klp_preflight.lock_list(host.host))
    assert host.salt["klp.preflight"](refresh=True) == []


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (None, None),
        ("5.14.21-150500.33.6-azure", "flavour azure"),
        ("6.1.0", "not of the form VERSION-RELEASE-FLAVOUR"),
    ],
)
def test_the_settings_say_whether_the_host_is_live_patched(host, uname, kernel, said):
    if kernel:
        uname(kernel)
    found = host.salt["klp.settings"]()["unsupported"]
    assert found is None if said is None else said in found
