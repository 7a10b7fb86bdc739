"""A task that really holds a transition up: it is named, nothing else is started, and the same command finishes."""

import re

import pytest

from tests.functional.refusal import causes
from tests.lab.vm.packages import BLOCKABLE

FOURTH = "4-150500.2.1"
DEADLINE = 45  # seconds; the kernel itself wakes sleeping tasks after 15


@pytest.fixture(scope="module")
def guest(boot):
    """A host with live patch 1, to which live patch 4 is offered, and a unit with a task that sleeps inside vfork."""
    found = boot("enabled", transition={"timeout": DEADLINE})
    found.offer(BLOCKABLE)
    found.hold_transitions()
    return found


@pytest.fixture(scope="module")
def stalled(guest, step):
    """What ``klp.patch`` says when the transition does not end."""
    with step("state.apply klp.patch, which is held up"):
        return guest.salt("state.apply", "klp.patch")


def test_the_task_is_named_at_the_deadline(guest, stalled):
    pid = guest.show_unit("nfs-blkmap", "MainPID")
    assert stalled.rc != 0
    assert list(causes(stalled)) == ["klp-settled"]
    said = causes(stalled)["klp-settled"]
    assert said.startswith(f"the transition of the live patch did not end within {DEADLINE} seconds, held up by: ")
    assert f"process {pid} (/usr/sbin/blkmapd " in said
    ((unit, package, stack),) = re.findall(r"unit (\S+), package (\S+), stack ([^)]*)\)", said)
    assert (unit, package) == ("nfs-blkmap.service", "nfs-client")
    assert "vfork" in stack


def test_what_comes_after_it_is_not_started(guest, stalled):
    assert set(stalled.failed) == {"klp-settled", "klp-verified", "klp-finished"}
    assert [run["finished"] for run in guest.runs()] == [None]
    patches = guest.salt("klp.status").data
    assert patches["transition"] == "in_progress"
    assert len(patches["patches"]) == 2


def test_the_tool_and_the_kernel_agree_on_the_blocker(guest, stalled):
    (blocker,) = guest.salt("klp.blockers").data
    assert str(blocker["pid"]) == guest.show_unit("nfs-blkmap", "MainPID")
    assert blocker["state"] == "D (disk sleep)"
    assert any("vfork" in line for line in blocker["stack"])
    assert guest.machine.read(f"/proc/{blocker['pid']}/patch_state").strip() == "0"


def test_a_second_run_starts_nothing(guest, stalled, step, declare):
    declare(guest, transition={"timeout": 5})
    guest.salt("saltutil.refresh_pillar", "wait=True")
    before = (guest.history(), guest.packages(), guest.runs(), guest.snapshots())
    with step("state.apply klp.patch again, refused"):
        answer = guest.salt("state.apply", "klp.patch")
    assert list(causes(answer)) == ["klp-calm"]
    assert answer.changes == {}
    assert (guest.history(), guest.packages(), guest.runs(), guest.snapshots()) == before
    assert guest.salt("klp.verify").data["verdict"] == "blocked"


def test_when_the_task_is_gone_the_same_command_finishes(guest, stalled, step):
    assert guest.salt("service.stop", "nfs-blkmap").data is True
    with step("state.apply klp.patch, which finishes"):
        answer = guest.salt("state.apply", "klp.patch")
    assert answer.failed == {}
    assert answer.rc == 0
    assert (guest.level(), guest.version()) == (FOURTH, "lp-4")
    assert guest.salt("klp.verify").data["verdict"] == "ok"
    (run,) = guest.runs()
    assert run["finished"]
    assert [number for number, _ in guest.snapshots()] == [run["backup"]]
