"""Runs that are killed: the same command again finishes the work, with one backup and no step done twice."""

import os
import signal

import pytest

from tests.functional.conftest import BACKUP, FIRST, LOADED, LOCKS, LP, THIRD, VERIFY, apply, snapshot, volumes, writes
from tests.functional.gate import GATE, HOOK, close_gate, kill, open_gate, pid_of, start, stop_in, wait_at_gate
from tests.functional.refusal import causes
from tests.lab.host import wait_until

MODULE_3 = "livepatch_3_150500_2_1"
UPDATES = ["curl", "libopenssl1_1", "libz1", "libzypp", "nfs-client"]
CURL = "curl=8.0.1-150400.5.26.1"


def finishes(host, sls="klp.patch"):
    """Apply the same SLS again: it ends well, the host is as wanted, and there is one backup of one finished run."""
    answer = apply(host, sls)
    assert answer.failed == {}
    assert host.editions(LP) == [THIRD]
    assert host.live_patches() == {MODULE_3: LOADED}
    assert len(volumes(host)) == 1
    assert [item["finished"] is not None for item in host.salt_call("root_backup.list").data] == [True]
    if sls == "klp.patch":
        pending = host.salt_call("zypper.pending").data["packages"]
        assert pending == {}
    return answer


def packages_check(host):
    """Return what klp.verify says about packages that were cut off."""
    (check,) = [item for item in host.salt_call("klp.verify").data["checks"] if item["check"] == "packages"]
    return check["verdict"], check["detail"]


def mended(answer, before="klp-updates", state="klp-newest"):
    """The killed zypper left out what comes after the package itself (the initrd): it was brought in again."""
    assert answer.changes.keys() == {before, state, "klp-finished"}
    assert answer.changes[state] == {"unfinished": {"old": True, "new": None}}


def test_kill_of_the_minion_in_the_middle_of_the_live_patch(sles):
    one = sles("enabled", zypper={"lock_timeout": 3})
    close_gate(one)
    stop_in(one, HOOK)
    run = start(one)
    wait_at_gate(one)
    kill(run)

    # zypper goes on alone: the next run does not start a second one, and names who it waits for.
    zypper = pid_of(one, "zypper")
    before = snapshot(one)
    answer = apply(one, "klp.patch")
    assert answer.rc != 0
    assert causes(answer) == {
        "klp-repositories": "zypper refresh: the zypp lock is still held after 3 seconds, by process "
        f"{zypper} (/usr/bin/zypper); wait until it ends, or look at it with: ps -fp {zypper}"
    }
    assert snapshot(one) == before

    handle = open_gate(one)
    wait_until(lambda: not pid_of(one, "zypper"), 60, "the end of zypper")
    os.close(handle)
    assert writes(one) == []
    answer = finishes(one)
    mended(answer)
    assert sorted(answer.changes["klp-updates"]) == UPDATES  # the zypper ended when it had nobody to tell more to
    assert [args[:2] for args in writes(one)] == [("install", CURL), ("install", "--force")]


def test_same_command_waits_for_the_zypper_that_was_left_behind(sles):
    one = sles("enabled", zypper={"lock_timeout": 120})
    close_gate(one)
    stop_in(one, HOOK)
    run = start(one)
    wait_at_gate(one)
    kill(run)
    again = start(one)
    wait_until(lambda: one.count("zypper"), 60, "the next run to ask for the lock")
    handle = open_gate(one)
    assert again.wait(timeout=300) == 0
    os.close(handle)
    assert [args[:2] for args in writes(one)] == [("install", CURL), ("install", "--force")]
    assert finishes(one).changes == {}


def test_kill_of_zypper_in_the_middle_of_the_live_patch(sles):
    one = sles("enabled", zypper={"lock_timeout": 10})
    close_gate(one)
    stop_in(one, HOOK)
    run = start(one)
    wait_at_gate(one)
    os.kill(pid_of(one, "zypper"), signal.SIGKILL)
    assert run.wait(timeout=300) != 0
    assert one.live_patches() == {"livepatch_1_150500_9_3_1": LOADED}

    # rpm goes on alone with its lock; the next run waits for it.
    again = start(one)
    wait_until(lambda: one.count("zypper"), 60, "the next run to begin")
    handle = open_gate(one)
    assert again.wait(timeout=300) == 0
    os.close(handle)
    assert finishes(one).changes == {}


@pytest.mark.parametrize("victim", ["salt-call", "zypper"])
def test_kill_in_the_middle_of_the_updates(sles, victim):
    one = sles("enabled", zypper={"lock_timeout": 120})
    history = one.path("/var/log/zypp/history")
    run = start(one)
    wait_until(lambda: history.exists() and "|install|libzypp|" in history.read_text(), 120, "the first package")
    if victim == "salt-call":
        kill(run)
    else:
        zypper = pid_of(one, "zypper")
        if zypper:
            os.kill(zypper, signal.SIGKILL)
        run.wait(timeout=300)
    finishes(one)
    for name in UPDATES:
        assert len(one.packages()[name]) == 1


def test_kill_of_rpm_in_a_script_of_a_package_that_it_has_installed(sles, mirror):
    """The package is in, and its script has run, but nobody saw it end: it is installed again, and the script runs."""
    one = sles("enabled", zypper={"lock_timeout": 120})
    assert one.zypper("al", *LOCKS).returncode == 0
    mirror(one, "slow")
    close_gate(one)
    run = start(one)
    wait_at_gate(one)
    os.kill(pid_of(one, "rpm"), signal.SIGKILL)
    handle = open_gate(one)
    assert run.wait(timeout=300) != 0
    os.close(handle)
    wait_until(lambda: one.exists("/var/lib/slow"), 30, "the end of the script")
    verdict, detail = packages_check(one)
    assert verdict == "failed" and detail.startswith("installation was cut off: ")
    assert "slow 2.0-1.1; run klp.patch again, it installs them anew" in detail
    assert one.salt_call("zypper.pending").data["unfinished"]["slow"] == "2.0-1.1"
    answer = finishes(one)
    (told,) = [line for line in answer.comments["klp-updates"].splitlines() if line.startswith("installed again, ")]
    assert told.startswith("installed again, since it was cut off before: ") and "slow=2.0-1.1" in told
    assert (one.editions("slow"), one.read("/var/lib/slow")) == (["2.0-1.1"], "ran\nran\n")
    assert packages_check(one) == ("ok", "none was cut off")


@pytest.mark.parametrize("program", [VERIFY, BACKUP])
def test_kill_during_the_backup(sles, program):
    one = sles("enabled")
    assert one.zypper("al", *LOCKS).returncode == 0
    close_gate(one)
    stop_in(one, program)
    before = one.packages()
    run = start(one)
    script = wait_at_gate(one)
    kill(run)
    os.kill(script, signal.SIGKILL)
    one.path(GATE).unlink()
    assert one.packages() == before
    finishes(one)


def test_kill_right_after_the_backup(sles):
    one = sles("enabled")
    record = one.path("/var/lib/salt-klp/runs.json")
    run = start(one)
    wait_until(lambda: record.exists() and '"vol-1"' in record.read_text(), 120, "the backup")
    kill(run)
    wait_until(lambda: not pid_of(one, "zypper"), 120, "the end of zypper")
    finishes(one)


def test_kill_while_the_host_is_enabled(sles):
    one = sles("fresh", zypper={"lock_timeout": 120})
    close_gate(one)
    stop_in(one, HOOK)
    run = start(one, "klp")
    wait_at_gate(one)
    kill(run)
    handle = open_gate(one)
    wait_until(lambda: not pid_of(one, "zypper"), 60, "the end of zypper")
    os.close(handle)
    mended(finishes(one, "klp"), "klp-enabled", "klp-level")


def test_kill_while_the_transition_is_waited_for(sles):
    one = sles("enabled", transition={"timeout": 300})
    one.faults(transition="stay")
    run = start(one)
    wait_until(lambda: MODULE_3 in one.live_patches(), 120, "the transition")
    kill(run)
    wait_until(lambda: not pid_of(one, "zypper"), 60, "the end of zypper")
    one.faults()
    one.finish_transition()
    finishes(one)


def test_reboot_in_the_middle_of_a_run(sles):
    one = sles("enabled")
    close_gate(one)
    stop_in(one, HOOK)
    start(one)
    wait_at_gate(one)
    one.reboot()
    assert one.live_patches() == {"livepatch_1_150500_9_3_1": LOADED}
    assert one.editions(LP) == [FIRST, THIRD]  # rpm had put in the new one and not yet taken out the old one
    finishes(one)


# -- full disks --------------------------------------------------------------------------------------------------------


def fill(host, folder, size="4k"):
    """Mount a small file system and fill it."""
    host.path(folder).mkdir(mode=0o700, exist_ok=True)
    assert host.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder]).returncode == 0
    host.run(["sh", "-c", f"cat /dev/zero >{folder}/full"])


def test_disk_that_is_too_full_to_remember_a_backup(sles):
    one = sles("enabled")
    assert one.zypper("al", *LOCKS).returncode == 0
    before = one.packages()
    fill(one, "/var/lib/salt-klp")
    answer = apply(one, "klp.patch")
    assert causes(answer) == {
        "klp-backup": "/var/lib/salt-klp/runs.json: cannot be written (No space left on device)",
    }
    assert answer.rc != 0
    assert volumes(one) == []
    assert one.packages() == before
    assert one.run(["umount", "/var/lib/salt-klp"]).returncode == 0
    finishes(one)


def test_disk_that_is_too_full_to_remember_a_lock(sles):
    one = sles("enabled")
    fill(one, "/var/lib/salt-klp")
    answer = apply(one, "klp.patch")
    assert causes(answer) == {
        "klp-locks": "/var/lib/salt-klp/locks.json: cannot be written (No space left on device)",
    }
    assert one.locks() == ""
    assert one.editions(LP) == [FIRST]


def test_disk_that_is_too_full_for_an_update(sles):
    one = sles("enabled")
    fill(one, "/usr/share/lab")
    answer = apply(one, "klp.patch")
    assert list(causes(answer)) == ["klp-updates"]
    assert "/usr/share/lab" in causes(answer)["klp-updates"]
    assert answer.rc != 0
    assert one.run(["umount", "/usr/share/lab"]).returncode == 0
    finishes(one)
