"""The module klp: what is active, what holds it up, which edition a level means, what install refuses."""

import logging

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

from tests.unit.conftest import KERNEL, LP
from tests.unit.loader import recorded

READ = ["zypper", "--non-interactive", "--xmlout"]
WRITE = ["zypper", "--non-interactive"]
SEARCH = READ + ["search", "--details", "--match-exact", "--type", "package", LP]
DRY = READ + ["install", "--dry-run"]
TOOLS = "kernel-livepatch-tools"
FIRST, THIRD = "livepatch_1_150500_9_3_1", "livepatch_3_150500_2_1"
ONE, TWO, THREE = "1-150500.9.3.1", "2-150500.2.1", "3-150500.2.1"
HERE = {"kernel-default": "5.14.21-150500.55.7.1", TOOLS: "1.4-1"}


def has(minion, *editions, **more):
    """Say which live patches are installed, one edition for each change of packages."""
    minion.rpm_q(
        ["kernel-default", LP, TOOLS],
        *[dict(HERE, **({LP: edition} if edition else {}), **more) for edition in editions],
    )


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


def test_rpms_are_kernel_live_patch_and_tools(minion):
    has(minion, ONE)
    assert minion.salt["klp.rpms"]() == {"kernel-default": [HERE["kernel-default"]], LP: [ONE], TOOLS: ["1.4-1"]}


@pytest.mark.parametrize(
    ("pattern", "provided", "missing"),
    [("", None, [TOOLS]), ("lp_sles", False, [TOOLS, "pattern:lp_sles"]), ("lp_sles", True, [TOOLS])],
)
def test_missing_tools(minion, pattern, provided, missing):
    minion.pillar["klp"] = {"tools": {"pattern": pattern}}
    minion.salt["zypper.provided"] = lambda name: provided
    minion.rpm_q(["kernel-default", LP, TOOLS], {"kernel-default": "1-1"})
    assert minion.salt["klp.tools_missing"]() == missing


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
    minion.write("proc/1234/comm", "agent\n")
    minion.write("proc/1234/status", "State:\tS (sleeping)\n")
    minion.write("proc/1234/cgroup", "0::/system.slice/dkms-agent.service\n")
    (minion.root / "proc/1234/exe").symlink_to("/usr/lib/dkms/agent")
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
    assert "the transition still runs, 15 of at most 300 seconds" in caplog.text


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
        "nothing else was started; end or restart these and run the same command again"
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
def test_the_package_of_the_running_kernel(minion, edition, level):
    has(minion, edition)
    wanted = {"name": LP, "edition": edition, "level": level, "unfinished": False}
    assert minion.salt["klp.package"]() == wanted


def test_two_packages_of_one_kernel_are_an_unfinished_installation_of_the_newer(minion):
    has(minion, f"{THREE},{ONE}")
    assert minion.salt["klp.package"]() == {"name": LP, "edition": THREE, "level": 3, "unfinished": True}


@pytest.mark.parametrize(("begun", "unfinished"), [(THREE, True), (ONE, False)])
def test_an_installation_that_was_not_seen_to_end_is_unfinished(minion, begun, unfinished):
    has(minion, THREE)
    minion.utils["klp_record.write"]("unfinished", {"edition": begun})
    assert minion.salt["klp.package"]()["unfinished"] is unfinished


def test_a_kernel_of_another_form_is_an_error(minion, uname):
    uname("6.1.0")
    with pytest.raises(CommandExecutionError, match="kernel release '6.1.0' is not of the form"):
        minion.salt["klp.package"]()


def test_available_editions_are_newest_first(minion, programs):
    has(minion, ONE)
    text = recorded("zypper/search-live-patch.xml").replace(TWO, "10-150500.2.1")
    programs.on(SEARCH, text)
    assert [item["level"] for item in minion.salt["klp.available"]()] == [10, 3, 1]


TARGETS = [
    # installed, level, search, dry run, target
    (THREE, 3, True, None, THREE),
    (THREE, THREE, True, None, THREE),
    (ONE, 2, True, None, TWO),
    (ONE, THREE, True, None, THREE),
    (None, 2, True, None, TWO),
    (None, "latest", True, None, THREE),
    (None, "latest", False, None, THREE),
    (ONE, "latest", False, None, ONE),
    (ONE, "latest", True, "install-live-patch.xml", THREE),
    (ONE, "latest", True, "update-nothing.xml", ONE),
    (ONE, "latest", True, "install-kernel.xml", ONE),
]


@pytest.mark.parametrize(("installed", "level", "search", "dry_run", "target"), TARGETS)
def test_the_edition_that_a_level_means(minion, programs, installed, level, search, dry_run, target):
    has(minion, installed)
    programs.on(SEARCH, recorded("zypper/search-live-patch.xml"))
    if dry_run:
        programs.on(DRY + [LP], recorded(f"zypper/{dry_run}"))
    assert minion.salt["klp.target"](level, search) == target


@pytest.mark.parametrize("level", [0, True, None, "newest", "3", 1000, [3], "3-1\n"])
def test_a_level_of_another_form_is_the_mistake_of_the_caller(minion, programs, level):
    with pytest.raises(SaltInvocationError, match="level: wanted latest, a number from 1 or an edition"):
        minion.salt["klp.target"](level)
    assert programs.calls == []


@pytest.mark.parametrize(
    ("repositories", "there", "message"),
    [
        ("", "search-nothing.xml", "no enabled repositories in /etc/zypp/repos.d"),
        ("[a]\n", "search-nothing.xml", f"no live patch package for the running kernel: {LP} is in no repository"),
        (
            "[a]\n",
            "search-live-patch.xml",
            f"live patch level 9 of {LP} is in no repository; there are: {THREE}, {TWO}, {ONE}",
        ),
    ],
)
def test_a_level_that_is_nowhere_says_what_there_is(minion, programs, repositories, there, message):
    has(minion, None)
    minion.write("repos.d/a.repo", repositories)
    programs.on(SEARCH, recorded(f"zypper/{there}"))
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["klp.target"](9)
    assert str(error.value).startswith(message)


def installs(minion, argv, then=None):
    """Let zypper install, and the kernel take the live patch."""
    minion.rpm_qa({LP: ONE}, {LP: THREE})
    minion.programs.on(["klp", "-v", "patches"], recorded("klp/lab-patches.txt"))
    minion.programs.on(SEARCH, recorded("zypper/search-live-patch.xml"))
    minion.programs.on(DRY + argv[-1:], recorded("zypper/install-live-patch.xml"))
    minion.programs.on(WRITE + argv, then=then, changes=True)


@pytest.mark.parametrize(("level", "name"), [("latest", LP), (3, f"{LP}={THREE}"), (THREE, f"{LP}={THREE}")])
def test_an_install_brings_the_package_by_its_own_name(minion, level, name):
    has(minion, ONE)
    minion.live_patch(FIRST)
    installs(minion, ["install", name], then=lambda: minion.live_patch(THIRD, transition=1))
    minion.programs.on(DRY + [LP], recorded("zypper/install-live-patch.xml"))
    assert minion.salt["klp.install"](level) == {"changed": {LP: {"old": ONE, "new": THREE}}, "notes": []}


def test_an_installed_live_patch_that_is_not_loaded_is_installed_again(minion):
    has(minion, THREE)
    installs(minion, ["install", "--force", f"{LP}={THREE}"], then=lambda: minion.live_patch(THIRD))
    minion.rpm_qa({LP: THREE})
    assert minion.salt["klp.install"](3) == {"changed": {}, "notes": []}


def test_an_install_without_the_tool_does_not_ask_it(minion, paths, programs):
    paths.discard("klp")
    has(minion, ONE)
    installs(minion, ["install", f"{LP}={THREE}"], then=lambda: minion.live_patch(THIRD))
    minion.salt["klp.install"](3)
    assert programs.started("klp") == []


def test_no_second_live_patch_is_started_while_a_transition_runs(minion, programs):
    has(minion, ONE)
    minion.live_patch(THIRD, transition=1)
    installs(minion, ["install", f"{LP}={THREE}"])
    with pytest.raises(CommandExecutionError, match="^a transition is still running: no second live patch is started"):
        minion.salt["klp.install"](3)
    assert programs.started(*WRITE, "install") == []


@pytest.mark.parametrize("function", ["klp.install", "klp.target", "klp.goal"])
def test_no_way_leads_back(minion, programs, function):
    has(minion, THREE)
    minion.live_patch(THIRD)
    installs(minion, ["install", f"{LP}={ONE}"])
    with pytest.raises(CommandExecutionError) as error:
        minion.salt[function](1)
    assert str(error.value) == (
        f"live patch level 1 is below the installed {THREE}: klp.install never goes back; "
        "to go back: salt sles1 klp.downgrade 1"
    )
    assert programs.started(*WRITE, "install") == []


@pytest.mark.parametrize(("before", "active"), [([], "none"), ([FIRST], FIRST)])
def test_a_live_patch_that_the_kernel_did_not_take_is_an_error(minion, before, active):
    has(minion, ONE)
    for name in before:
        minion.live_patch(name)
    installs(minion, ["install", f"{LP}={THREE}"])
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["klp.install"](3)
    assert f"the kernel has not taken {THIRD} (active: {active}); look at the end of /var/log/zypp" in str(error.value)


def test_a_tool_whose_answer_nobody_knows_stops_the_install(minion, programs):
    programs.on(["klp", "-v", "patches"], "Segmentation fault!\n")
    with pytest.raises(CommandExecutionError, match="unknown line 'Segmentation fault!'"):
        minion.salt["klp.install"](3)
    assert programs.calls == [["klp", "-v", "patches"]]


def test_an_install_that_ends_half_way_is_noticed_and_mended(minion, programs):
    has(minion, ONE, THREE)
    minion.live_patch(THIRD)
    installs(minion, ["install", f"{LP}={THREE}"])
    programs.on(WRITE + ["install", f"{LP}={THREE}"], {"retcode": 105}, changes=True)
    with pytest.raises(CommandExecutionError, match=r"exit 105 \(stopped by a signal\)"):
        minion.salt["klp.install"](3)
    assert minion.salt["klp.package"]()["unfinished"] is True
    programs.on(WRITE + ["install", "--force", f"{LP}={THREE}"], changes=True)
    minion.salt["klp.install"](3)
    assert minion.salt["klp.package"]()["unfinished"] is False
