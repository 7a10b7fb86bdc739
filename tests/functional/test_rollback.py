"""The way back to an earlier live patch: down, held there while everything else goes on, let go, up again."""

import json
import os
import signal

import pytest

from tests.functional.conftest import FIRST, LOADED, LP, SECOND, THIRD, apply, settings, snapshot, writes
from tests.functional.gate import HOOK, close_gate, kill, open_gate, pid_of, start, stop_in, wait_at_gate
from tests.functional.refusal import causes, refused
from tests.lab.host import wait_until

MODULES = {FIRST: "livepatch_1_150500_9_3_1", SECOND: "livepatch_2_150500_2_1", THIRD: "livepatch_3_150500_2_1"}
BRINGS_3 = "SUSE-SLE-Module-Live-Patching-15-SP5-2023-3179"
BRINGS_2 = "SUSE-SLE-Module-Live-Patching-15-SP5-2023-3001"
WARNING = "4,99,5,-;WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2\n DEVICE=+x:y;\n"
FOREIGN = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: vim\n\n"


def at(host, edition):
    """Tell whether a host has this live patch, installed and taken by the kernel, and no other."""
    return host.editions(LP) == [edition] and host.live_patches() == {MODULES[edition]: LOADED}


def change(old, new, held=None):
    """Return what the state says of a way back."""
    return {
        "live patch": {"old": old, "new": new},
        "module": {"old": MODULES[old], "new": MODULES[new]},
        "held at": {"old": held, "new": new},
    }


def locks_of(*levels):
    """Return the locks of a hold: newer editions, and the advisories that bring them."""
    return [f"{LP}>{levels[0]}", *(f"patch:{name}" for name in levels[1:])]


def down(host, level):
    """Let the pillar say where to go back to, and apply it."""
    host.salt.pillar(settings(rollback={"level": level}))
    return apply(host, "klp.rollback")


def test_down_held_and_up_again(sles):
    """Two maintenance runs keep the level while other updates arrive; after klp.unhold the newest comes back."""
    one = sles("enabled")
    assert apply(one, "klp.patch").failed == {} and at(one, THIRD)
    one.write("/etc/zypp/locks", one.locks() + FOREIGN)
    before = one.locks()

    predicted = apply(one, "klp.rollback", test=True)
    assert predicted.changes == {"klp-rolled-back": change(THIRD, SECOND)}
    assert (at(one, THIRD), one.locks()) == (True, before)
    answer = apply(one, "klp.rollback")
    assert (answer.failed, answer.changes) == ({}, predicted.changes)
    assert at(one, SECOND)
    assert f"held at {SECOND}" in answer.comments["klp-rolled-back"]
    assert one.salt_call("klp.held").data["locks"] == locks_of(SECOND, BRINGS_3)
    again = apply(one, "klp.rollback")
    assert (again.failed, again.changes, one.count("zypper")) == ({}, {}, 0)

    for _ in range(2):
        assert one.zypper("install", "--force", "--oldpackage", "libz1=1.2.13-150500.2.3").returncode == 0
        kept = apply(one, "klp.patch")
        assert kept.failed == {}
        assert set(kept.changes["klp-updates"]) == {"libz1"}
        assert "klp-newest" not in kept.changes
        assert at(one, SECOND)
    assert one.zypper("update").returncode == 0 and at(one, SECOND)

    freed = one.salt_call("klp.unhold").data
    assert freed == {"edition": SECOND, "locks": locks_of(SECOND, BRINGS_3), "notes": []}
    assert one.locks() == before
    up = apply(one, "klp.patch")
    assert up.failed == {}
    assert up.changes["klp-updates"] == {LP: {"old": SECOND, "new": THIRD}}
    assert at(one, THIRD)
    assert one.salt_call("klp.unhold").data["notes"] == ["no live patch is held on this host"]


def test_further_down_and_never_below_the_first(sles):
    one = sles("converged")
    answer = down(one, 1)
    assert (answer.failed, answer.changes) == ({}, {"klp-rolled-back": change(THIRD, FIRST)})
    assert at(one, FIRST)
    assert one.salt_call("klp.held").data["locks"] == locks_of(FIRST, BRINGS_2, BRINGS_3)
    assert one.salt_call("klp.unhold").data["edition"] == FIRST
    first = f"live patch {FIRST} is the first one of this kernel, there is none before it; "
    one.salt.pillar(settings())
    refused(one, "klp.rollback", {"klp-rolled-back": first + "klp.disable takes live patching away"})
    one.salt.pillar(settings(rollback={"level": 0}))
    wrong = "pillar klp:rollback:level: wanted previous, a number from 1 or an edition such as 3-150500.2.1, found 0"
    refused(one, "klp.rollback", {"klp-ready": wrong})


def test_step_by_step_down(sles):
    """A second step has to lift the lock of the first one: zypper refuses to go down below it."""
    one = sles("converged")
    assert down(one, "previous").failed == {} and at(one, SECOND)
    answer = down(one, FIRST)
    assert (answer.failed, answer.changes) == ({}, {"klp-rolled-back": change(SECOND, FIRST, SECOND)})
    assert at(one, FIRST)
    hold = one.salt_call("klp.held").data
    assert (hold["edition"], hold["from"]) == (FIRST, THIRD)
    assert one.salt_call("zypper.remove_locks", locks_of(SECOND)).data == []
    assert apply(one, "klp.patch").failed == {} and at(one, FIRST)


def test_a_level_that_no_repository_has(sles):
    one = sles("converged", rollback={"level": "2-150500.1.1"})
    there = ", ".join([THIRD, SECOND, FIRST])
    text = f"live patch level 2-150500.1.1 of {LP} is in no repository; there are: {there}"
    refused(one, "klp.rollback", {"klp-rolled-back": text})
    text = f"live patch level 9 of {LP} is in no repository; there are: {there}"
    one.salt.pillar(settings(rollback={"level": 9}))
    refused(one, "klp.rollback", {"klp-rolled-back": text})
    one.repo("SLE-Module-Live-Patching15-SP5-Pool", on=False)
    one.repo("SLE-Module-Live-Patching15-SP5-Updates", on=False)
    one.salt.pillar(settings())
    text = f"no repository has a live patch below the installed {THIRD}; has: {THIRD}"
    refused(one, "klp.rollback", {"klp-rolled-back": text})


def test_a_level_above_the_installed(sles):
    one = sles("enabled", rollback={"level": 2})
    never = "klp.downgrade never goes forward; klp.install and klp.patch do"
    text = f"live patch {SECOND} is above the installed {FIRST}: {never}"
    refused(one, "klp.rollback", {"klp-rolled-back": text})


def test_a_host_without_a_live_patch(sles):
    one = sles("fresh")
    refused(one, "klp.rollback", {"klp-rolled-back": f"{LP} is not installed: there is nothing to go back from"})


def test_while_a_transition_runs(sles):
    one = sles("converged")
    one.load(MODULES[THIRD], enabled=1, transition=1)
    text = "a transition is still running: no second live patch is started; see klp.blockers"
    refused(one, "klp.rollback", {"klp-rolled-back": text})


@pytest.mark.parametrize(
    ("tainted", "log", "reason"),
    [
        ("512", "", "taint W: the kernel issued a warning"),
        ("32896", "", "taint D: the kernel died before (oops or BUG)"),
        (
            "32768",
            WARNING,
            "kernel log: WARNING: CPU",
        ),
        ("many", "", "/proc/sys/kernel/tainted says 'many"),
    ],
)
def test_a_kernel_that_has_had_errors(sles, tainted, log, reason):
    one = sles("converged")
    one.write("/proc/sys/kernel/tainted", f"{tainted}\n")
    one.write("/dev/kmsg", one.read("/dev/kmsg") + log)
    before = snapshot(one)
    answer = apply(one, "klp.rollback")
    (text,) = causes(answer).values()
    assert text.startswith("the kernel has had errors since it was started") and reason in text
    assert text.endswith("; plan a reboot, or force it with pillar klp:rollback:force")
    assert (answer.rc != 0, snapshot(one), writes(one)) == (True, before, [])
    forced = one.salt_call("klp.downgrade", force=True)
    assert f"went on in spite of: {reason}" in "\n".join(forced.data["notes"])
    assert at(one, SECOND)


def test_a_higher_level_in_the_pillar_is_refused_until_klp_unhold(sles):
    one = sles("converged")
    assert down(one, 2).failed == {}
    one.salt.pillar(settings(level=3))
    text = (
        f"live patch {THIRD} is held back: this host went back from {THIRD} to {SECOND}; "
        "let newer ones come with: salt sles1 klp.unhold"
    )
    refused(one, "klp.patch", {"klp-repositories": text})
    one.salt_call("klp.unhold")
    assert apply(one, "klp.patch").failed == {} and at(one, THIRD)


def test_locks_of_others_stay_and_are_named(sles):
    """Somebody else holds newer ones back already: that lock is not ours, stays, and is named."""
    one = sles("converged")
    lock = f"\ntype: package\nversion: > {SECOND}\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: {LP}\n\n"
    one.write("/etc/zypp/locks", one.locks() + lock)
    text = causes(apply(one, "klp.rollback"))["klp-ready"]
    assert f"freezes {LP}; remove it or make it narrower" in text
    assert at(one, THIRD) and lock in one.locks()


def test_an_advisory_that_comes_later_is_held_back_too(sles):
    one = sles("converged", rollback={"level": 1})
    one.repo("SLE-Module-Live-Patching15-SP5-Updates", on=False)
    assert one.zypper("install", "--oldpackage", f"{LP}={FIRST}").returncode == 0
    assert apply(one, "klp.rollback").failed == {}
    assert one.salt_call("klp.held").data["locks"] == locks_of(FIRST)
    one.repo("SLE-Module-Live-Patching15-SP5-Updates")
    answer = apply(one, "klp.patch")
    assert answer.failed == {}
    assert answer.changes["klp-held"]["missing locks"]["old"] == sorted([f"patch:{BRINGS_2}", f"patch:{BRINGS_3}"])
    assert at(one, FIRST)
    assert one.zypper("patch", "--dry-run").stdout.count("kernel-livepatch") == 0
    assert apply(one, "klp.patch").changes == {}


@pytest.mark.parametrize("victim", ["salt-call", "zypper"])
def test_a_way_back_that_is_killed_in_the_middle(sles, victim):
    """The same command finishes, and goes down one level only."""
    one = sles("converged", zypper={"lock_timeout": 120})
    close_gate(one)
    stop_in(one, HOOK)
    run = start(one, "klp.rollback")
    wait_at_gate(one)
    if victim == "zypper":
        os.kill(pid_of(one, "zypper"), signal.SIGKILL)
        assert run.wait(timeout=300) != 0
    else:
        kill(run)
    assert one.live_patches() == {MODULES[THIRD]: LOADED}
    handle = open_gate(one)
    wait_until(lambda: not pid_of(one, "zypper") and not pid_of(one, "rpm"), 60, "the end of what was left behind")
    os.close(handle)

    answer = apply(one, "klp.rollback")
    assert answer.failed == {}
    assert at(one, SECOND)
    assert one.salt_call("klp.held").data["locks"] == locks_of(SECOND, BRINGS_3)
    assert one.salt_call("klp.package").data["unfinished"] is False
    assert apply(one, "klp.rollback").changes == {}


def test_killed_before_anything_was_installed(sles):
    """The record is there, the lower level is not: a maintenance run does not guess which of the two is wanted."""
    one = sles("converged")
    record = {"package": LP, "edition": SECOND, "from": THIRD, "since": 1, "locks": []}
    one.write("/var/lib/salt-klp/hold.json", json.dumps(record), mode=0o600)
    text = (
        f"going back from {THIRD} to {SECOND} was begun and is not finished; finish it with: salt sles1 klp.downgrade, "
        "or stay with: salt sles1 klp.unhold"
    )
    refused(one, "klp.patch", {"klp-repositories": text})
    assert apply(one, "klp.rollback").failed == {} and at(one, SECOND)


def test_a_root_volume_that_was_put_back_is_held_again(sles):
    """Its locks and its live patch are older than the record of the hold, which is not on every root volume."""
    one = sles("converged")
    before = one.locks()
    assert apply(one, "klp.rollback").failed == {}
    one.write("/etc/zypp/locks", before)
    assert one.zypper("install", "--oldpackage", f"{LP}={FIRST}").returncode == 0
    found = {item["check"]: item for item in one.salt_call("klp.verify").data["checks"]}["held"]
    assert found["verdict"] == "failed" and f"but not locked: {LP}>{SECOND}" in found["detail"]
    answer = apply(one, "klp.patch")
    assert answer.failed == {}
    assert at(one, SECOND)
    assert one.salt_call("zypper.add_locks", locks_of(SECOND, BRINGS_3)).data == []
