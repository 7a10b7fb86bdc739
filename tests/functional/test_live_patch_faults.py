"""Live patches that the kernel does not take, transitions that do not end, and a klp tool that nobody understands."""

import time

import pytest

from tests.functional.conftest import FIRST, LOADED, LP, THIRD, apply, volumes, writes
from tests.functional.refusal import causes, named, refused

MODULE_1, MODULE_3 = "livepatch_1_150500_9_3_1", "livepatch_3_150500_2_1"
NOT_TAKEN = (
    f"live patch {THIRD} is installed, but the kernel has not taken {MODULE_3} (active: {MODULE_1}); "
    "look at the end of /var/log/zypp/history and at: dmesg | grep livepatch"
)
HUH, EMPTY, BROKEN = {"stdout": "huh\n"}, {"stdout": ""}, {"stderr": "Error: no\n", "rc": 2}


def stalled(seconds, names):
    """Return the reason for a run that is held up."""
    within = "1 second" if seconds == 1 else f"{seconds} seconds"
    return (
        f"the transition of the live patch did not end within {within}, held up by: {names}; "
        "no other change was started; stop or restart these tasks, then run the same command again"
    )


def test_live_patch_whose_script_failed_is_not_installed(sles):
    one = sles("enabled")
    one.faults(post_exit=3)
    answer = apply(one, "klp.patch")
    assert causes(answer) == {"klp-newest": NOT_TAKEN}
    assert answer.rc != 0
    assert one.live_patches() == {MODULE_1: LOADED}
    assert one.editions(LP) == [THIRD]
    assert causes(apply(one, "klp.patch")) == {"klp-newest": NOT_TAKEN}
    one.faults()
    answer = apply(one, "klp.patch")
    assert answer.failed == {}
    assert list(answer.changes) == ["klp-newest", "klp-finished"]
    assert one.live_patches() == {MODULE_3: LOADED}
    assert len(volumes(one)) == 1
    assert [args[:2] for args in writes(one)] == [("install", "--force")]


def test_transition_that_does_not_end(sles):
    one = sles("enabled", transition={"timeout": 2})
    blocker = one.popen(["/usr/sbin/blkmapd"])
    one.faults(transition="stay", blockers=[blocker.pid])
    reason = stalled(2, named(blocker))
    answer = apply(one, "klp.patch")
    assert causes(answer) == {"klp-settled": reason}
    assert answer.rc != 0
    assert blocker.poll() is None

    # A second run refuses before it does anything, in time.
    started = time.monotonic()
    refused(one, "klp.patch", {"klp-calm": reason})
    assert 2 <= time.monotonic() - started < 30
    refused(one, "klp", {"klp-settled": reason})
    assert one.salt_call("klp.verify").data["verdict"] == "blocked"

    one.faults(release_on_exit=True)
    one.run(["kill", str(blocker.pid)])
    blocker.wait(timeout=30)
    one.faults()
    one.finish_transition()
    answer = apply(one, "klp.patch")
    assert answer.failed == {}
    assert list(answer.changes) == ["klp-finished"]
    assert one.live_patches() == {MODULE_3: LOADED}
    assert len(volumes(one)) == 1


def test_transition_that_ends_in_time_is_waited_for(sles):
    one = sles("enabled", transition={"timeout": 60})
    one.faults(transition_seconds=3)
    answer = apply(one, "klp.patch")
    assert answer.failed == {}
    assert answer.changes["klp-settled"] == {"transition": {"old": "in_progress", "new": "ready"}}


@pytest.mark.parametrize(
    "fault, names",
    [
        (HUH, "klp -v blocking: unknown line 'huh'"),
        (EMPTY, "no task that klp could name"),
        (BROKEN, "klp -v blocking: exit 2: Error: no"),
    ],
)
def test_unknown_answer_about_blockers_is_quoted(sles, fault, names):
    one = sles("enabled", transition={"timeout": 1})
    one.faults(transition="stay", klp_blocking=fault)
    answer = apply(one, "klp.patch")
    assert causes(answer) == {"klp-settled": stalled(1, names)}
    assert answer.rc != 0
    refused(one, "klp.patch", {"klp-calm": stalled(1, names)})


@pytest.mark.parametrize(
    "fault, reason",
    [
        ({"klp_status": HUH}, "klp status: unknown answer 'huh'"),
        ({"klp_status": EMPTY}, "klp status: unknown answer ''"),
        ({"klp_status": BROKEN}, "klp status: exit 2: Error: no"),
        ({"klp_status": {"stdout": "in_progress\n"}}, "klp status says in_progress, but no transition in sysfs"),
        ({"klp_patches": HUH}, "klp -v patches: 'huh' does not say whether it is active"),
        ({"klp_patches": {"stdout": "huh huh\n"}}, "klp -v patches: unknown line 'huh huh'"),
        (
            {"klp_patches": {"stdout": f"{MODULE_1}\n    active: maybe\n"}},
            f"klp -v patches: unknown value 'maybe' of active for '{MODULE_1}'",
        ),
        ({"klp_patches": EMPTY}, f"sysfs says {MODULE_1} is active, klp says none"),
        ({"klp_patches": BROKEN}, "klp -v patches: exit 2: Error: no"),
    ],
)
def test_klp_tool_that_nobody_understands(sles, fault, reason):
    one = sles("enabled")
    one.faults(**fault)
    refused(one, "klp.patch", {"klp-repositories": reason})


@pytest.mark.parametrize("value", ["2\n", "", "yes\n"])
def test_kernel_that_nobody_understands(sles, value):
    one = sles("enabled")
    one.write(f"/sys/kernel/livepatch/{MODULE_1}/enabled", value)
    before = one.packages()
    answer = apply(one, "klp.patch")
    reason = f"/sys/kernel/livepatch/{MODULE_1}/enabled: unknown value {value.strip()!r}"
    assert causes(answer) == {"klp-ready": reason}
    assert answer.rc != 0
    assert one.packages() == before


@pytest.mark.parametrize("sls", ["klp", "klp.patch"])
def test_kernel_without_live_patching(sles, sls):
    one = sles("fresh")
    one.salt.sync()
    one.path("/sys/kernel/livepatch").rmdir()
    before = one.packages()
    answer = apply(one, sls)
    reason = (
        "/sys/kernel/livepatch: No such file or directory; nothing is known of live patches in this kernel: it offers "
        "none, or /sys is not mounted"
    )
    assert causes(answer) == {"klp-ready": reason}
    assert answer.rc != 0
    assert (one.packages(), one.locks(), volumes(one)) == (before, "", [])


def test_two_editions_of_the_live_patch_are_mended(sles):
    one = sles("enabled")
    rpm = f"{one.lab.repos}/SLE-Module-Live-Patching15-SP5-Updates/x86_64/{LP}-{THIRD}.x86_64.rpm"
    done = one.run(["rpm", "-i", "--force", "--nodeps", "--noscripts", "--justdb", rpm])
    assert one.editions(LP) == [FIRST, THIRD], done.stderr
    found = one.salt_call("klp.verify").data
    assert found["verdict"] == "failed"
    checks = {item["check"]: (item["verdict"], item["detail"]) for item in found["checks"]}
    assert checks["package"] == ("failed", f"wanted one edition of {LP}, found {FIRST}, {THIRD}")
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert answer.changes["klp-level"]["unfinished"] == {"old": True, "new": None}
    assert one.editions(LP) == [THIRD]
    assert one.live_patches() == {MODULE_3: LOADED}
    assert len(volumes(one)) == 1
