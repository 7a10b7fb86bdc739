"""What kernel, rpm and the klp tool tell: status, patches, blockers, waiting, the package of the running kernel."""

import logging
import os

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_live
import klp_paths
from tests.unit.conftest import KERNEL, LP
from tests.unit.hosts import (
    BASE,
    FIRST,
    KERNEL_PACKAGE,
    LIFECYCLE,
    ONE,
    THIRD,
    THREE,
    TOOLS,
    becomes,
    has,
    remembers,
    rpm,
    tool,
)
from tests.unit.loader import recorded


def test_status_is_read_without_a_program(minion, programs):
    minion.live_patch(FIRST)
    assert minion.salt["klp.status"]() == {
        "kernel": KERNEL,
        "transition": "ready",
        "active": FIRST,
        "patches": [{"name": FIRST, "enabled": True, "transition": False}],
    }
    assert programs.calls == []


@pytest.mark.parametrize(
    ("patches", "transition", "active"),
    [
        ([], "ready", None),
        ([(FIRST, 0, 0)], "ready", None),
        ([(FIRST, 1, 0), (THIRD, 1, 0)], "ready", None),
        ([(FIRST, 1, 0), (THIRD, 1, 1)], "in_progress", THIRD),
        ([(FIRST, 0, 1)], "in_progress", FIRST),
    ],
)
def test_status_while_a_transition_runs(minion, patches, transition, active):
    for patch in patches:
        minion.live_patch(*patch)
    found = minion.salt["klp.status"]()
    assert (found["transition"], found["active"]) == (transition, active)


def test_one_query_is_for_kernel_live_patch_and_tools(minion, programs):
    has(minion, ONE, more="1-1")
    assert klp_live.installed(minion.host) == {
        "kernel-default": [KERNEL_PACKAGE],
        LP: [ONE],
        TOOLS: ["1.4-1"],
        LIFECYCLE: ["1-1"],
    }
    assert len(programs.calls) == 1


@pytest.mark.parametrize(
    ("pattern", "provided", "missing"),
    [
        ("", "", [TOOLS]),
        ("lp_sles", "patterns-x\tpattern() = other\n", [TOOLS, "pattern:lp_sles"]),
        ("lp_sles", "patterns-lp\tpattern() = lp_sles\n", [TOOLS]),
    ],
)
def test_missing_tools(minion, programs, pattern, provided, missing):
    minion.pillar["klp"] = {"tools": {"pattern": pattern}}
    rpm(minion, {"kernel-default": "1-1"})
    programs.on(["rpm", "-q", "--whatprovides", ...], provided)
    assert klp_live.missing_tools(minion.host) == missing


@pytest.mark.parametrize(
    ("editions", "edition"),
    [
        (KERNEL_PACKAGE, KERNEL_PACKAGE),
        (f"5.14.21-150500.55.12.1,{KERNEL_PACKAGE}", KERNEL_PACKAGE),
        ("5.14.21-150500.55.12.1", None),
        ("5.14.21-150500.55.7.1,5.14.21-150500.55.7.2", None),
    ],
)
def test_the_package_of_the_running_kernel_itself(minion, editions, edition):
    rpm(minion, {"kernel-default": editions})
    assert klp_live.kernel_package(minion.host) == {"release": KERNEL, "name": "kernel-default", "edition": edition}


def test_patches_are_those_of_the_tool(minion, programs):
    programs.on(["klp", "-v", "patches"], recorded("klp/lab-patches-converged.txt"))
    (found,) = minion.salt["klp.patches"]()
    assert (found["name"], found["active"], len(found["cves"])) == (THIRD, True, 4)


def test_an_answer_of_the_tool_that_nobody_knows_is_an_error(minion, programs):
    programs.on(["klp", "-v", "patches"], "what is this\n")
    with pytest.raises(CommandExecutionError, match="klp -v patches: unknown line 'what is this'"):
        minion.salt["klp.patches"]()


def stalled(minion):
    """A transition that a process of the package dkms-agent holds up, and one that is gone by now."""
    minion.live_patch(FIRST)
    minion.live_patch(THIRD, transition=1)
    minion.file(f"{klp_paths.PROC}/1234/comm", "agent\n")
    minion.file(f"{klp_paths.PROC}/1234/status", "State:\tS (sleeping)\n")
    minion.file(f"{klp_paths.PROC}/1234/cgroup", "0::/system.slice/dkms-agent.service\n")
    os.symlink("/usr/lib/dkms/agent", f"{klp_paths.PROC}/1234/exe")
    minion.programs.on(["klp", "-v", "blocking"], recorded("klp/blocking-stacks.txt"))
    minion.programs.on(["rpm", "-qf", "--qf", "%{NAME}\\n", "/usr/lib/dkms/agent"], "dkms-agent\n")


def test_nothing_blocks_while_no_transition_runs(minion, programs):
    minion.live_patch(FIRST)
    assert minion.salt["klp.blockers"]() == [] and programs.calls == []


def test_blockers_are_named_with_unit_and_package(minion):
    stalled(minion)
    first, second = minion.salt["klp.blockers"]()
    assert {key: first[key] for key in ("pid", "unit", "package", "comm", "state")} == {
        "pid": 1234,
        "unit": "dkms-agent.service",
        "package": "dkms-agent",
        "comm": "agent",
        "state": "S (sleeping)",
    }
    assert len(first["stack"]) == 2
    assert second["pid"] == 4711 and second["command"] == "[kworker/u8:2]" and second["package"] is None


def test_a_blocker_that_belongs_to_no_package_has_none(minion, programs):
    stalled(minion)
    programs.on(["rpm", "-qf", ...], {"retcode": 1, "stdout": "file is not owned by any package"})
    assert minion.salt["klp.blockers"]()[0]["package"] is None


def test_at_most_twenty_blockers_are_looked_at(minion, programs):
    stalled(minion)
    programs.on(["klp", "-v", "blocking"], "".join(f"{pid}\n" for pid in range(90000, 90100)))
    assert len(minion.salt["klp.blockers"]()) == 20


def test_waiting_ends_with_the_transition(minion, caplog):
    caplog.set_level(logging.INFO)
    minion.live_patch(THIRD, transition=1)
    clock, sleep = minion.clock, minion.clock.sleep

    def ends(seconds):
        sleep(seconds)
        if len(clock.slept) == 40:
            minion.live_patch(THIRD)

    clock.sleep = ends
    assert minion.salt["klp.wait"]() == {"transition": "ready", "seconds": 20.0}
    assert "the transition still runs, 15 s of at most 300 s" in caplog.text


@pytest.mark.parametrize("given", ["10", True, -1, [3]])
def test_a_deadline_is_a_number_of_seconds(minion, given):
    with pytest.raises(SaltInvocationError, match="^timeout: wanted seconds, found "):
        minion.salt["klp.wait"](timeout=given)


@pytest.mark.parametrize(("given", "pillar", "seconds"), [(None, 10, 10), (3, 10, 3), (0, 10, 0)])
def test_waiting_has_a_deadline_and_names_the_blockers(minion, given, pillar, seconds):
    stalled(minion)
    minion.pillar["klp"] = {"transition": {"timeout": pillar}}
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["klp.wait"](timeout=given)
    assert str(error.value) == (
        f"the transition of the live patch did not end within {seconds} seconds, held up by: "
        "process 1234 (/usr/lib/dkms/agent --watch; unit dkms-agent.service, package dkms-agent, stack "
        "msleep_interruptible < agent_wait); "
        "process 4711 ([kworker/u8:2]; unit unknown, package unknown, stack unknown); "
        "no other change was started; stop or restart these tasks, then run the same command again"
    )
    assert sum(minion.clock.slept) == seconds


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"stdout": recorded("klp/blocking-none.txt")}, "held up by: no task that klp could name;"),
        ({"retcode": 1, "stderr": "broken"}, "held up by: klp -v blocking: exit 1: broken;"),
    ],
)
def test_a_deadline_without_blockers_says_so(minion, programs, answer, said):
    minion.live_patch(THIRD, transition=1)
    programs.on(["klp", "-v", "blocking"], answer)
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["klp.wait"](timeout=1)
    assert said in str(error.value)


@pytest.mark.parametrize(("edition", "level"), [(None, None), (THREE, 3)])
def test_the_live_patch_package_of_the_running_kernel(minion, edition, level):
    has(minion, edition)
    wanted = {"name": LP, "edition": edition, "level": level, "unfinished": False}
    assert minion.salt["klp.package"]() == wanted


def test_two_packages_of_one_kernel_are_an_unfinished_installation_of_the_newer(minion):
    has(minion, f"{THREE},{ONE}")
    assert minion.salt["klp.package"]() == {"name": LP, "edition": THREE, "level": 3, "unfinished": True}


@pytest.mark.parametrize(("begun", "unfinished"), [({LP: THREE}, True), ({LP: ONE}, False), ({TOOLS: THREE}, False)])
def test_an_installation_that_was_not_seen_to_end_is_unfinished(minion, begun, unfinished):
    has(minion, THREE)
    remembers(minion, "begun", begun)
    assert minion.salt["klp.package"]()["unfinished"] is unfinished


def test_a_kernel_of_another_form_is_an_error(minion, uname):
    uname("6.1.0")
    with pytest.raises(CommandExecutionError, match="kernel release '6.1.0' is not of the form"):
        minion.salt["klp.package"]()


@pytest.mark.parametrize("editions", ["three-1", f"three-1,{ONE}"])
def test_an_edition_of_another_form_is_an_error(minion, editions):
    has(minion, editions)
    with pytest.raises(CommandExecutionError, match="live patch edition 'three-1' does not begin with a level number"):
        minion.salt["klp.package"]()


def test_a_transition_refuses_a_second_one(minion):
    minion.live_patch(FIRST)
    klp_live.refuse_transition()
    minion.live_patch(THIRD, transition=1)
    with pytest.raises(CommandExecutionError) as error:
        klp_live.refuse_transition()
    assert str(error.value) == ("a transition is still running: no second live patch is started; see klp.blockers")


def test_a_kernel_without_live_patching_has_no_transition(minion):
    os.rmdir(klp_paths.LIVEPATCH)
    klp_live.refuse_transition()
    with pytest.raises(
        CommandExecutionError,
        match="nothing is known of live patches in this kernel",
    ):
        minion.salt["klp.status"]()


def test_sources_that_speak_of_two_moments_are_asked_again(minion, programs):
    """Measured: somebody else's rpm loaded a live patch between the reading of sysfs and the answer of the tool."""
    minion.live_patch(FIRST)
    tool(minion)
    programs.on(["klp", "-v", "patches"], recorded("klp/lab-patches-converged.txt"), then=lambda: becomes(THIRD))
    found = klp_live.sources(minion.host)
    assert [patch["name"] for patch in found["sysfs"]] == [THIRD]
    assert [patch["name"] for patch in found["patches"]["value"] if patch["active"]] == [THIRD]
    assert programs.calls.count(["klp", "-v", "patches"]) == 2


def test_a_kernel_that_never_rests_is_looked_at_three_times(minion, programs):
    names = iter("abcdefg")
    minion.live_patch(FIRST)
    tool(minion)
    programs.on(["klp", "status"], "ready\n", then=lambda: becomes(next(names)))
    klp_live.sources(minion.host)
    assert programs.calls.count(["klp", "status"]) == 3


@pytest.mark.parametrize(
    ("kernels", "waits"),
    [
        (KERNEL_PACKAGE, None),
        (f"{KERNEL_PACKAGE},5.14.21-150500.55.1.1", None),
        (f"{KERNEL_PACKAGE},5.14.21-150500.55.12.1", "kernel-default-5.14.21-150500.55.12.1"),
        ("5.14.21-150500.55.12.1,5.14.21-150500.55.9.1,5.14.21-150500.55.1.1", "kernel-default-5.14.21-150500.55.12.1"),
        ("5.14.21-150500.55.1.1", None),
        ("", None),
    ],
)
def test_a_newer_kernel_that_is_installed_waits_for_a_restart(minion, kernels, waits):
    rpm(minion, {**BASE, "kernel-default": kernels})
    assert klp_live.waiting_kernel(minion.host) == waits
