"""``state.apply klp.disable``: predicted, done once, finished after a kill, refused where it would take more away."""

import json
import os
import signal
import xml.etree.ElementTree as ElementTree

import pytest

from tests.functional.conftest import (
    KERNEL,
    KERNEL_EDITION,
    LOADED,
    LOCKS,
    LP,
    NEW_KERNEL_EDITION,
    SECOND,
    THIRD,
    TOOLS,
    apply,
    settings,
    snapshot,
    volumes,
    writes,
)
from tests.functional.gate import HOOK, close_gate, kill, open_gate, pid_of, start, stop_in, wait_at_gate
from tests.functional.refusal import causes, refused
from tests.lab import packages, specs
from tests.lab.host import wait_until

STATE = "klp-disabled"
FILE, RECORDS = "/etc/zypp/locks", "/var/lib/salt-klp"
MODULE = "livepatch_3_150500_2_1"
TOOLS_EDITION, PATTERN = "1.4-150500.1.1", "patterns-lp-lp_sles"
METAPACKAGE = "kernel-default-livepatch"
CVES = "CVE-2023-1077, CVE-2023-1281, CVE-2023-2002, CVE-2023-3090"
NOTHING_LEFT = "nothing is left of live patching that pillar klp:disable takes away"
STAYS = f"{MODULE} stays in the kernel until the next reboot; it fixes {CVES}"
STAYS_LATER = f"{MODULE} stays in the kernel until the next reboot; what it fixes is not known: its package is gone"
CLEAN = f"a reboot into {KERNEL} comes up without a live patch: its initrd holds none"
FREE = "ordinary patching (zypper patch) may bring a new kernel from now on; it runs after a reboot"
RECORD = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: {}\n\n"
FOREIGN = "# of the storage team\n\ntype: package\nmatch_type: exact\nsolvable_name: nfs-client\nversion: > 3\n\n"
DATA, DATA_EDITION = packages.LIFECYCLE_DATA, "1-150500.10.2.1"
GONE = {
    LP: {"old": THIRD, "new": None},
    TOOLS: {"old": TOOLS_EDITION, "new": None},
    DATA: {"old": DATA_EDITION, "new": None},
}
UNLOCKED = {"locked": {"old": LOCKS, "new": []}}


@pytest.fixture
def converged(sles):
    """Start hosts on which ``state.apply klp`` has nothing left to do, with locks that are ours."""

    def begin(**klp):
        one = sles("converged", **klp)
        one.write(FILE, "")
        assert one.salt_call("zypper.add_locks", LOCKS).data == LOCKS
        return one

    return begin


def disable(host, **kwargs):
    """Apply klp.disable; return the changes and the comment of its one state."""
    answer = apply(host, "klp.disable", **kwargs)
    assert answer.failed == {}
    assert answer.rc == 0
    return answer.changes.get(STATE, {}), answer.comments[STATE].splitlines()


def planned(host, *command):
    """Return what zypper would install or update, as editions by name."""
    root = ElementTree.fromstring(host.zypper("--xmlout", *command, "--dry-run", count=False).stdout)  # noqa: S314 - our own zypper
    return {item.get("name"): item.get("edition") for item in root.iter("solvable") if item.get("type") == "package"}


def nothing_to_do(host, lines=(STAYS_LATER, CLEAN)):
    """Apply klp.disable once more, with and without test=True: no change and no zypper."""
    before = snapshot(host)
    for test in (True, None):
        assert disable(host, test=test) == ({}, [f"Already as declared: {NOTHING_LEFT}", *lines])
        assert host.count("zypper") == 0
    assert snapshot(host) == before


def test_host_is_disabled_once_and_patched_the_ordinary_way_then(converged):
    one = converged()
    before = snapshot(one)
    assert NEW_KERNEL_EDITION not in planned(one, "up").values()
    changes, lines = disable(one, test=True)
    assert (changes, lines) == ({**GONE, **UNLOCKED}, ["Would change"])
    assert (snapshot(one), writes(one)) == (before, [])

    assert disable(one) == ({**GONE, **UNLOCKED}, [f"Changed: {NOTHING_LEFT}", STAYS, CLEAN, FREE])
    assert writes(one) == [("remove", LP, TOOLS, DATA)]
    assert writes(one, "removelock")[-2:] == [("remove", LP, TOOLS, DATA), ("removelock", *LOCKS)]
    after = snapshot(one)
    assert {name: before["packages"][name] for name in before["packages"] if name not in after["packages"]} == {
        LP: [THIRD],
        TOOLS: [TOOLS_EDITION],
        DATA: [DATA_EDITION],
    }
    assert one.editions("kernel-default") == [KERNEL_EDITION]
    assert (one.locks(), one.live_patches(), volumes(one)) == ("", {MODULE: LOADED}, before["volumes"])
    nothing_to_do(one)

    # The kernel comes as on any host, and nothing else of live patching with it.
    assert planned(one, "up")["kernel-default"] == NEW_KERNEL_EDITION
    found = planned(one, "patch", "--with-interactive")
    assert found["kernel-default"] == NEW_KERNEL_EDITION
    assert [name for name in found if "livepatch" in name] == []

    # After a reboot nothing is loaded, and that is all.
    one.reboot()
    assert one.live_patches() == {}
    nothing_to_do(one, lines=())

    # The way back.
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert one.live_patches() == {MODULE: LOADED}
    assert one.editions("kernel-default") == [KERNEL_EDITION]
    assert answer.changes["klp-locks"] == {"locked": {"old": [], "new": LOCKS}}
    assert apply(one, "klp").changes == {}


def test_function_alone_says_what_it_did(converged):
    one = converged()
    answer = one.salt_call("klp.disable")
    assert (answer.rc, answer.data) == (0, {"changed": {**GONE, **UNLOCKED}, "notes": [STAYS, CLEAN, FREE]})
    answer = one.salt_call("klp.disable")
    assert (answer.rc, answer.data) == (0, {"changed": {}, "notes": [STAYS_LATER, CLEAN]})
    nothing_to_do(one)


def test_host_that_was_never_enabled_has_nothing_to_do(sles):
    one = sles("fresh")
    nothing_to_do(one, lines=())
    assert not one.exists(RECORDS)


def test_kernel_without_live_patching_can_be_disabled(converged):
    one = converged()
    one.reboot()
    one.run(["umount", "/sys/kernel/livepatch"], count=False)
    one.run(["rm", "-rf", "/sys/kernel/livepatch"], count=False)
    changes, lines = disable(one)
    unseen = "whether a live patch is loaded is not known: /sys/kernel/livepatch is not there"
    assert (changes, lines[1:]) == ({**GONE, **UNLOCKED}, [unseen, CLEAN, FREE])


# -- what pillar says --------------------------------------------------------------------------------------------------


def test_pillar_that_takes_nothing_away(converged):
    one = converged(disable={"tools": False, "live_patches": False, "locks": False})
    nothing_to_do(one, lines=())


def test_locks_alone(converged):
    one = converged(disable={"tools": False, "live_patches": False})
    before = one.packages()
    assert disable(one) == (UNLOCKED, [f"Changed: {NOTHING_LEFT}", FREE])
    assert (one.packages(), one.locks(), one.count("rpm", caller="zypper")) == (before, "", 0)
    nothing_to_do(one, lines=())


def test_live_patches_alone(converged):
    one = converged(disable={"tools": False, "locks": False})
    one.zypper("in", "--no-recommends", f"{METAPACKAGE}=5.14.21-150500.55.7.1")
    locks = one.locks()
    still = "still locked, by others or because pillar klp:disable:locks is false: "
    changes, lines = disable(one)
    assert changes == {
        LP: {"old": THIRD, "new": None},
        METAPACKAGE: {"old": "5.14.21-150500.55.7.1", "new": None},
    }
    assert lines[1:] == [STAYS, CLEAN, f"{still}{', '.join(LOCKS)}; ordinary patching leaves them alone"]
    assert (one.locks(), one.editions(TOOLS)) == (locks, [TOOLS_EDITION])
    nothing_to_do(one)


def test_tools_alone(sles):
    one = sles("fresh", disable={"live_patches": False, "locks": False})
    one.zypper("al", *LOCKS)
    one.zypper("in", "--no-recommends", TOOLS)
    locks = one.locks()
    changes, _ = disable(one)
    assert changes == {TOOLS: {"old": TOOLS_EDITION, "new": None}}
    assert one.locks() == locks


def test_tools_that_a_live_patch_needs_are_not_taken_alone(converged):
    one = converged(disable={"live_patches": False})
    refused(one, "klp.disable", {STATE: more(f"remove {LP}-{THIRD}")})


def test_pattern_of_the_family_goes_with_the_tools(converged):
    """SUSE's guide installs it, and it cannot stay without the tools; pillar klp:tools:pattern is empty."""
    one = converged()
    one.zypper("in", "--no-recommends", PATTERN)
    gone = {**GONE, PATTERN: {"old": "15.1.0-3.3.1", "new": None}, **UNLOCKED}
    assert disable(one, test=True)[0] == gone
    assert disable(one)[0] == gone
    nothing_to_do(one)


def test_live_patches_of_other_kernels_go_too(converged):
    one = converged()
    one.zypper("rl", *LOCKS)
    one.zypper("in", "--no-recommends", packages.NEW_LIVE_PATCH)
    one.zypper("al", *LOCKS)
    kernels = [NEW_KERNEL_EDITION, KERNEL_EDITION]
    assert one.editions("kernel-default") == kernels
    changes, lines = disable(one)
    assert changes == {**GONE, packages.NEW_LIVE_PATCH: {"old": "1-150500.11.3.2", "new": None}, **UNLOCKED}
    assert [line for line in lines if "reboot into" in line] == [CLEAN.replace(KERNEL, packages.NEW_KERNEL), CLEAN]
    assert one.editions("kernel-default") == kernels


def test_live_patch_that_is_held_is_given_free(converged):
    one = converged()
    one.zypper("in", "--oldpackage", f"{LP}={SECOND}")
    version, advisory = f"{LP}>{SECOND}", "patch:SUSE-SLE-Module-Live-Patching-15-SP5-2023-3179"
    one.salt_call("zypper.add_locks", [version, advisory])
    hold = {"package": LP, "edition": SECOND, "from": THIRD, "since": 1, "locks": [version, advisory]}
    one.write(f"{RECORDS}/hold.json", json.dumps(hold))
    gone = {**GONE, LP: {"old": SECOND, "new": None}, **UNLOCKED, "held": {"old": SECOND, "new": None}}
    assert disable(one, test=True)[0] == gone
    assert disable(one)[0] == gone
    assert (one.locks(), json.loads(one.read(f"{RECORDS}/hold.json"))) == ("", {})
    nothing_to_do(one, lines=(STAYS_LATER.replace(MODULE, "livepatch_2_150500_2_1"), CLEAN))


# -- what is not ours --------------------------------------------------------------------------------------------------


def test_locks_of_others_stay_byte_for_byte(converged):
    one = converged()
    ours = one.locks()
    one.write(FILE, FOREIGN + ours + RECORD.format("glibc"))
    answer = one.salt_call("zypper.add_locks", ["curl"])
    assert answer.rc == 0
    kept = one.locks().replace(ours, "")
    changes, lines = disable(one)
    assert changes == {**GONE, **UNLOCKED}
    assert sorted(one.locks().split("\n\n\n")) == sorted(kept.split("\n\n\n"))
    assert lines[-1] == "locks made here on other packages stay: curl; zypper.remove_locks takes them away"
    nothing_to_do(one)


def test_kernel_lock_of_somebody_else_stays_and_is_told(sles):
    one = sles("converged")
    locks = one.locks()
    changes, lines = disable(one)
    assert changes == GONE
    assert one.locks() == locks
    assert lines[-1].startswith("still locked, by others or because ")
    nothing_to_do(one)


def test_lock_on_a_tool_is_named(converged):
    one = converged()
    one.write(FILE, one.locks() + RECORD.format(TOOLS))
    line = one.locks().count("\n", 0, one.locks().index(f"solvable_name: {TOOLS}")) - 2
    text = (
        f"zypper remove: lock in line {line} of /etc/zypp/locks ({TOOLS}) keeps {TOOLS}; remove it or make it narrower"
    )
    refused(one, "klp.disable", {STATE: text})
    refused(one, "klp.disable", {STATE: text}, test=True)


def more(*what):
    """Return the reason for a removal that would take something else with it."""
    return (
        f"zypper remove: refused before anything was removed, because it would also {', '.join(what)}; remove by hand "
        "first what is not needed any more, or keep what it needs (pillar klp:disable)"
    )


def test_package_of_another_vendor_that_needs_the_tools_is_named(converged, tmp_path):
    agent = packages.Package("acme-agent", "1.0", "7.1", [f"Requires: {TOOLS}"])
    specs.build_all([packages.Spec("acme", "acme", 1689588000, [agent])], tmp_path / "work", tmp_path, tmp_path)
    one = converged()
    (rpm,) = tmp_path.glob("acme/**/acme-agent*.rpm")
    one.path("/root/agent.rpm").write_bytes(rpm.read_bytes())
    assert one.run(["rpm", "-i", "/root/agent.rpm"], count=False).returncode == 0
    for test in (True, None):
        refused(one, "klp.disable", {STATE: more("remove acme-agent-1.0-7.1")}, test=test)
    assert one.run(["rpm", "-e", "acme-agent"], count=False).returncode == 0
    assert disable(one)[0] == {**GONE, **UNLOCKED}


def test_kernel_is_never_removed(converged):
    one = converged()
    one.zypper("rl", *LOCKS)
    before = snapshot(one)
    also = [f"remove kernel-default-{KERNEL_EDITION}", f"remove {LP}-{THIRD}", f"remove {TOOLS}-{TOOLS_EDITION}"]
    answer = one.salt_call("zypper.remove", ["kernel-default"])
    assert answer.rc != 0
    assert more(*also) in answer.stdout + answer.stderr
    assert snapshot(one) == before


# -- refused and interrupted -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", [True, None])
def test_transition_that_runs_refuses(converged, test):
    one = converged()
    one.load(MODULE, 1, 1)
    text = "a transition is still running: nothing is taken away; see klp.blockers"
    refused(one, "klp.disable", {STATE: text}, test=test)


def test_wrong_pillar_refuses(converged):
    one = converged()
    one.salt.pillar(settings(disable={"locks": "no"}))
    refused(one, "klp.disable", {STATE: "pillar klp:disable:locks: wanted true or false, found 'no'"})


def test_wrong_pillar_refuses_before_anything_is_started(sles):
    one = sles("converged", disable={"tool": True})
    refused(one, "klp.disable", {STATE: "pillar klp:disable:tool: unknown key; did you mean tools?"})
    assert (one.count("rpm"), one.count("zypper")) == (0, 0)


@pytest.mark.parametrize("victim", ["salt-call", "zypper"])
def test_kill_in_the_middle_of_the_removal(converged, victim):
    one = converged(zypper={"lock_timeout": 120})
    close_gate(one)
    stop_in(one, HOOK)
    run = start(one, "klp.disable")
    wait_at_gate(one)
    if victim == "salt-call":
        kill(run)
    else:
        os.kill(pid_of(one, "zypper"), signal.SIGKILL)
        assert run.wait(timeout=300) != 0
    assert len(one.locks().split("solvable_name:")) == len(LOCKS) + 1
    again = start(one, "klp.disable")
    wait_until(lambda: one.count("zypper"), 60, "the next run to begin")
    handle = open_gate(one)
    assert again.wait(timeout=300) == 0
    os.close(handle)
    assert (one.locks(), one.editions(LP), one.editions(TOOLS)) == ("", [], [])
    nothing_to_do(one)


def test_kill_between_packages_and_locks(converged):
    one = converged(zypper={"lock_timeout": 120})
    one.write("/usr/local/bin/zypper", LOCKED_OUT, mode=0o755)
    answer = apply(one, "klp.disable")
    assert answer.rc != 0
    assert "zypper removelock: was killed by signal 9" in causes(answer)[STATE]
    assert answer.changes == {STATE: GONE}
    assert one.locks().count("solvable_name:") == len(LOCKS)
    one.path("/usr/local/bin/zypper").unlink()
    changes, lines = disable(one)
    assert (changes, lines[1:]) == (UNLOCKED, [STAYS_LATER, CLEAN, FREE])
    assert one.locks() == ""
    nothing_to_do(one)


# A zypper that is killed when it is to take a lock away.
LOCKED_OUT = """\
#!/bin/sh
case "$*" in *removelock*) kill -9 $$ ;; esac
exec /usr/bin/zypper "$@"
"""


def test_initrd_that_still_holds_the_live_patch_is_told(converged):
    """A live patch package need not write the initrd anew when it goes: only the initrd can tell."""
    one = converged()
    path = f"/boot/initrd-{KERNEL}"
    initrd = one.read(path)
    disable(one)
    one.write(path, initrd)
    again = f"a reboot into {KERNEL} loads {MODULE} again, its initrd still holds it"
    lines = (STAYS_LATER, f"{again}; make a new one with: dracut --force {path} {KERNEL}")
    nothing_to_do(one, lines)
    one.reboot()
    assert one.live_patches() == {MODULE: LOADED}
    nothing_to_do(one, lines)
