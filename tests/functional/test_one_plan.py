"""A run has one plan: what was shown is what is installed, and what cannot be installed is left out by itself."""

import json
import os
import sys
import time

import pytest

from klp_campaign import digest
from tests.functional.conftest import (
    ADVISORY,
    BACKUP,
    FIRST,
    LOADED,
    LOCKS,
    LP,
    SEVENTEENTH,
    THIRD,
    apply,
    is_write,
    settings,
    volumes,
    writes,
)
from tests.functional.gate import HOOK, close_gate, open_gate, start, stop_in, wait_at_gate
from tests.functional.refusal import causes, hold_zypp_lock
from tests.functional.updates import NO_WAY, UPDATED, difference
from tests.lab.host import wait_until
from tests.lab.mirror import PLACE, PUBLISH

MODULES = {FIRST: "livepatch_1_150500_9_3_1", THIRD: "livepatch_3_150500_2_1", SEVENTEENTH: "livepatch_17_150500_2_1"}
MOVING = "a transition is still running: no second live patch is started; see klp.blockers"
REBOOT = " (asks for a reboot); allow it with pillar klp:update:reboot, or"
DRAGGED = {
    "agent": f"install dbus-1-1.14-1.1{REBOOT}",
    "azure-agent": "install kernel-azure-5.14.21-150500.33.6.1;",
}
CURE = "leave it out for good with pillar klp:update:exclude: [{}]"
EXCLUDED = "excluded by pillar klp:update:exclude"
HELD_BACK = f"Skipped advisory {ADVISORY}3410: {NO_WAY}"  # needs a newer kernel than the locked one


@pytest.fixture
def locked(sles, mirror):
    """Start enabled hosts whose kernel is locked, with the old edition of some packages of the mirror."""

    def begin(*installed, **klp):
        one = sles("enabled", **klp)
        assert one.zypper("al", *LOCKS).returncode == 0
        mirror(one, *installed)
        return one

    return begin


def first_try_ended(host):
    """Tell whether a zypper that was to install something has come and gone: the next one follows two seconds later."""
    tries = [program for program in host.started("zypper") if is_write(program)]
    return bool(tries) and not os.path.exists(f"/proc/{tries[0].pid}")


def skipped(answer):
    """Return the reasons why packages were left out, by name."""
    lines = [line for line in answer.comments["klp-updates"].splitlines() if line.startswith("Skipped package ")]
    return dict(line.removeprefix("Skipped package ").split(": ", 1) for line in lines)


def open_runs(host):
    """Return the runs of a host that are not finished, with their backups."""
    return [item["backup"] for item in host.salt_call("root_backup.list").data if item["finished"] is None]


def test_what_was_shown_is_installed_although_the_mirror_moves_during_the_backup(locked):
    """A backup takes long. What it is made for is what was shown, and not what the mirror has when it ends."""
    one = locked("tool")
    one.write(BACKUP, one.read(BACKUP).replace("touch", f"{PUBLISH}\ntouch", 1), mode=0o755)
    plan = {**UPDATED, "tool": "2.0-1.1", LP: THIRD}
    shown = one.salt_call("klp_audit.run_preview").data
    assert (shown["changes"], shown["target"], shown["refusals"]) == (plan, THIRD, [])
    before = one.packages()
    campaign = {"start_by": int(time.time()) + 300, "shown": {one.name: digest(plan)}}
    answer = apply(one, "klp.patch", pillar=settings(run="campaign", campaign=campaign))
    assert (answer.rc, answer.failed) == (0, {})
    assert difference(before, one.packages()) == plan
    assert {name: change["new"] for name, change in answer.changes["klp-updates"].items()} == plan
    assert one.live_patches() == {MODULES[THIRD]: LOADED}
    one.salt.pillar(settings())
    next_plan = one.salt_call("klp_audit.run_preview").data["changes"]
    assert next_plan == {"tool": "3.0-1.1", LP: SEVENTEENTH}


def test_what_drags_in_what_is_forbidden_is_left_out_by_itself(locked):
    """The rest is installed, the message names what comes along, and the cure that it names is one."""
    one = locked("tool", *DRAGGED)
    before = one.packages()
    predicted = apply(one, "klp.patch", test=True)
    answer = apply(one, "klp.patch")
    assert (answer.rc, answer.failed) == (0, {})
    assert difference(before, one.packages()) == {**UPDATED, "tool": "2.0-1.1", LP: THIRD}
    assert set(predicted.changes["klp-updates"]) == set(answer.changes["klp-updates"]) == {*UPDATED, "tool", LP}
    reasons = {name: f"would {brings} {CURE.format(name)}" for name, brings in DRAGGED.items()}
    assert {name: skipped(answer)[name] for name in DRAGGED} == reasons
    assert skipped(predicted) == skipped(answer)
    assert HELD_BACK in answer.comments["klp-updates"].splitlines()
    one.salt.pillar(settings(update={"exclude": [*DRAGGED, "dkms-agent"]}))
    cured = apply(one, "klp.patch")
    assert (cured.failed, cured.changes) == ({}, {})
    assert {name: skipped(cured)[name] for name in DRAGGED} == dict.fromkeys(DRAGGED, EXCLUDED)
    assert f"Skipped advisory {ADVISORY}3410: {EXCLUDED}" in cured.comments["klp-updates"].splitlines()
    assert "would " not in cured.comments["klp-updates"] and HELD_BACK not in cured.comments["klp-updates"]


def broken_script(host):
    """Nothing: the new edition of ``broken`` has a %pre that fails."""


def missing_file(host):
    """The mirror names an RPM that it has not got any more."""
    (rpm,) = host.path(f"{PLACE}/x86_64").glob("tool-2.0-*.rpm")
    rpm.unlink()


@pytest.mark.parametrize(
    ("name", "spoil", "states"),
    [("broken", broken_script, ["klp-updates", "klp-verified"]), ("tool", missing_file, ["klp-updates"])],
)
def test_the_live_patch_comes_although_an_update_fails(locked, name, spoil, states):
    """After a script that fails the other packages are in, but zypper has stopped before their last scripts."""
    one = locked(name)
    spoil(one)
    answer = apply(one, "klp.patch")
    assert answer.rc != 0
    reason = causes(answer)["klp-updates"]
    assert list(causes(answer)) == states
    assert reason.startswith("zypper install: exit 8 (") and f"{name}-2.0-1.1" in reason
    assert answer.results["klp-newest"] is True
    assert THIRD in answer.comments["klp-newest"]
    assert (one.editions(LP), one.live_patches()) == ([THIRD], {MODULES[THIRD]: LOADED})
    assert one.editions(name) == ["1.0-1.1"]
    assert open_runs(one) == ["vol-1"]
    one.salt.pillar(settings(update={"exclude": [name]}))
    again = apply(one, "klp.patch")
    assert (again.rc, again.failed) == (0, {})
    assert (open_runs(one), len(volumes(one))) == ([], 1)
    assert {item: one.editions(item)[-1] for item in UPDATED} == UPDATED


def test_nothing_is_installed_once_a_transition_has_begun_while_zypper_waited(sles):
    one = sles("enabled", zypper={"lock_timeout": 120}, transition={"timeout": 1})
    assert one.zypper("al", *LOCKS).returncode == 0
    close_gate(one)
    stop_in(one, BACKUP)
    before = one.packages()
    run = start(one)
    wait_at_gate(one)
    holder = hold_zypp_lock(one)
    handle = open_gate(one)
    wait_until(lambda: first_try_ended(one), 60, "the end of the first try to install")
    one.load(MODULES[FIRST], 1, 1)
    holder.kill()
    assert run.wait(timeout=300) != 0
    os.close(handle)
    assert one.packages() == before
    assert [program for program in one.started("rpm") if "-U" in program.argv] == []
    again = apply(one, "klp.patch")
    assert list(causes(again)) == ["klp-calm"]
    one.finish_transition()
    assert apply(one, "klp.patch").failed == {}
    assert (one.editions(LP), len(volumes(one))) == ([THIRD], 1)


def test_two_runs_exclude_each_other_and_the_second_names_the_first(sles):
    one = sles("enabled", zypper={"lock_timeout": 3})
    assert one.zypper("al", *LOCKS).returncode == 0
    close_gate(one)
    stop_in(one, HOOK)
    run = start(one)
    wait_at_gate(one)
    said = f"process {run.pid} is changing this host (a run of the formula klp, since "
    end = f"), and only one run at a time may do so; wait until it ends, or look at it with: ps -fp {run.pid}"
    second = one.salt_call("state.apply", "klp.patch", concurrent=True)
    (reason,) = causes(second).values()
    assert list(causes(second)) == ["klp-ready"]
    assert reason.startswith(said) and reason.endswith(end)
    by_hand = one.salt_call("klp.install", "latest")
    assert by_hand.rc != 0
    assert said in by_hand.stderr and by_hand.stderr.strip().endswith(end)
    assert len(writes(one)) == 1
    handle = open_gate(one)
    assert run.wait(timeout=300) == 0
    os.close(handle)
    assert (one.editions(LP), len(volumes(one))) == ([THIRD], 1)


def test_functions_by_themselves_are_refused_while_a_transition_runs(locked):
    one = locked("tool")
    one.load(MODULES[FIRST], 1, 1)
    before = one.packages()
    for words in (("zypper.install", ["tool=2.0"]), ("zypper.update",), ("klp.install", "latest")):
        answer = one.salt_call(*words)
        assert answer.rc != 0
        assert answer.stderr.strip() == f"Error running '{words[0]}': {MOVING}"
    assert (one.packages(), writes(one)) == (before, [])


ALARMS = """\
import json, time
import salt.client, salt.config
opts = salt.config.minion_config("/etc/salt/minion")
opts["file_client"] = "local"
caller = salt.client.Caller(mopts=opts)
caller.cmd("klp.version")
answers = []
for _ in range(2):
    begun = time.monotonic()
    found = caller.cmd("klp_audit.alarm_events")
    answers.append([time.monotonic() - begun, [[item["alarm"], item["edge"], item["text"]] for item in found]])
print(json.dumps(answers))
"""


def test_a_repair_that_has_to_wait_is_told_once_and_holds_nothing_up(sles):
    """A beacon runs in the main loop of the minion: it does not wait for somebody else's zypper."""
    one = sles("enabled", alarms={"repair_locks": True})
    assert apply(one, "klp").failed == {}
    one.salt_call("klp_audit.alarm_events")  # the window of the lab's kernel is over
    one.write("/etc/zypp/locks", "")
    holder = hold_zypp_lock(one)
    done = one.run([sys.executable, "-c", ALARMS])
    (first, edges), (second, more) = json.loads(done.stdout.splitlines()[-1])
    print(f"first look {first:.2f} s, second {second:.2f} s")
    assert max(first, second) < 1.5
    assert [(alarm, edge) for alarm, edge, _ in edges] == [("locks", "unknown"), ("locks", "raised")]
    assert (
        f"could not be repaired: zypper addlock: the zypp lock is still held after 0 seconds, by process {holder.pid}"
        in edges[0][2]
    )
    assert more == []
    holder.kill()
    wait_until(lambda: holder.poll() is not None, 30, "the end of the holder")
    assert [(item["alarm"], item["edge"]) for item in one.salt_call("klp_audit.alarm_events").data] == [
        ("locks", "repaired"),
        ("locks", "cleared"),
    ]


CREATE = '#!/bin/sh\necho "vol-$KLP_RUN $KLP_RUN 1" >>/var/lib/volumes\necho "vol-$KLP_RUN"\n'
DELETE = "/usr/local/sbin/volume-delete"
DELETE_SCRIPT = '#!/bin/sh\nsed -i "/^$1 /d" /var/lib/volumes\n'


def test_runs_that_never_end_do_not_keep_more_backups_than_pillar_says(sles):
    one = sles("enabled", update={"categories": [], "severities": [], "others": False})
    one.write(BACKUP, CREATE, mode=0o755)
    one.write(DELETE, DELETE_SCRIPT, mode=0o755)
    one.faults(post_exit=3)
    for number in range(6):
        backup = {**settings()["klp"]["backup"], "keep": 2, "delete": [DELETE]}
        one.salt.pillar(settings(run=f"run-{number}", backup=backup))
        assert apply(one, "klp.patch").rc != 0
    assert [run for _, run, _ in volumes(one)] == ["run-4", "run-5"]
    found = one.salt_call("root_backup.list").data
    assert [item["run"] for item in found if item["backup"]] == ["run-4", "run-5"]
