"""The yearly kernel, started by a real GRUB: one that panics is left by itself, one that is well is kept."""

import pytest

from tests.functional.refusal import causes
from tests.lab.packages import KERNEL, NEW_KERNEL, NEW_LIVE_PATCH

from .yearly import (
    EDITION,
    IN_INITRD,
    LEVEL,
    OLD_EDITION,
    PILLAR,
    change,
    locks,
    next_start,
    panics,
    prepared,
    restarted,
    stage,
    standing,
)

RETRY = 'pillar={"klp": {"kernel": {"retry": true}}}'
# An application that does not run on the new kernel.
SICK = {"commands": [{"run": ["/bin/sh", "-c", f"[ $(uname -r) != {NEW_KERNEL} ]"], "name": "shop"}], "wait": 0}


@pytest.fixture(scope="module")
def guest(boot, step):
    """A live-patched host that boots by GRUB; its new kernel will panic when it starts."""
    found = prepared(boot, step)
    found.before = {"kernel": found.kernel(), "build": found.machine.ask("uname", "-v")}
    panics(found)
    return found


def test_it_is_installed_beside_the_running_one(guest, step):
    assert guest.before["kernel"]["uname"] == KERNEL
    answer = change(guest, step, "installs")
    assert answer.failed == {} and answer.rc == 0
    assert answer.comments["klp-kernel"].startswith(f"reboot_needed: {NEW_KERNEL} with live patch {LEVEL} is installed")
    assert {f"kernel-default-{EDITION}.x86_64", f"kernel-default-{OLD_EDITION}.x86_64"} <= set(guest.packages())
    assert f"{NEW_LIVE_PATCH}-{LEVEL}.x86_64" in guest.packages()
    assert guest.kernel() == guest.before["kernel"]
    assert next_start(guest) == {"saved_entry": KERNEL, "next_entry": NEW_KERNEL}
    assert locks(guest) == guest.locks


def test_nothing_fights_or_undoes_it(guest, step):
    before = standing(guest)
    for sls in ("klp", "klp.kernel", "klp.patch"):
        answer = change(guest, step, "in between", sls=sls)
        assert answer.failed == {} and answer.rc == 0, sls
        assert standing(guest) == before, sls
    assert guest.version() == "lp-3"


def test_a_kernel_that_panics_is_left_by_itself(guest, step):
    console = restarted(guest, step, "restart, panic and restart")
    panic = console.index(f"lab: kernel {NEW_KERNEL} panics")
    assert "Kernel panic - not syncing" in console[panic:]
    assert "lab: root file system mounted" not in console[:panic]
    assert IN_INITRD.format("3_150500_2_1") in console[panic:]
    assert (guest.kernel()["uname"], guest.version()) == (KERNEL, "lp-3")
    assert next_start(guest) == {"saved_entry": KERNEL}  # GRUB has consumed next_entry
    assert locks(guest) == guest.locks


def test_the_verdict_says_why(guest, step):
    answer = change(guest, step, "after the panic")
    assert list(causes(answer)) == ["klp-kernel"] and answer.rc != 0
    assert f"kernel {NEW_KERNEL} was started once and did not come up" in answer.failed["klp-kernel"]
    assert f"This host runs kernel {KERNEL} again, which is the default" in answer.failed["klp-kernel"]
    assert stage(guest) == "failed"


def test_tried_again_grub_starts_it_once_and_it_is_live_patched_at_once(guest, step, redeclare):
    panics(guest, yes=False)
    redeclare(guest, **PILLAR, health=SICK)
    answer = change(guest, step, "tries again", RETRY)
    assert answer.failed == {} and answer.rc == 0
    assert next_start(guest) == {"saved_entry": KERNEL, "next_entry": NEW_KERNEL}
    console = restarted(guest, step, "restart to the new kernel")
    assert IN_INITRD.format("2_150500_2_1") in console
    assert (guest.kernel()["uname"], guest.version()) == (NEW_KERNEL, "lp-2")
    assert guest.machine.ask("uname", "-v") != guest.before["build"]  # another kernel, not another name
    assert next_start(guest) == {"saved_entry": KERNEL}


def test_a_kernel_on_which_the_application_is_ill_does_not_become_the_default(guest, step):
    answer = change(guest, step, "is ill")
    assert list(causes(answer)) == ["klp-kernel"] and answer.rc != 0
    assert "shop" in answer.failed["klp-kernel"]
    assert f"The next start is kernel {KERNEL} again" in answer.failed["klp-kernel"]
    assert (stage(guest), next_start(guest)) == ("failed", {"saved_entry": KERNEL})
    assert locks(guest) == guest.locks


def test_the_next_start_is_the_old_kernel(guest, step):
    console = restarted(guest, step, "restart, as it was failed")
    assert IN_INITRD.format("3_150500_2_1") in console
    assert (guest.kernel()["uname"], guest.version()) == (KERNEL, "lp-3")
    assert next_start(guest) == {"saved_entry": KERNEL}
    assert locks(guest) == guest.locks


def test_a_campaign_restarts_it_once(guest, step, redeclare):
    redeclare(guest, **PILLAR)
    answer = change(guest, step, "tries again, well", RETRY)
    assert answer.failed == {} and next_start(guest) == {"saved_entry": KERNEL, "next_entry": NEW_KERNEL}
    first = guest.machine.read("/proc/sys/kernel/random/boot_id").strip()
    redeclare(guest, **PILLAR, campaign={"boot_id": {guest.name: first}})
    answer = guest.restarted_by(lambda: change(guest, step, "of the campaign", sls="klp.restart"))
    assert answer.failed == {}
    assert (guest.kernel()["uname"], guest.version(), stage(guest)) == (NEW_KERNEL, "lp-2", "restarting")
    again = change(guest, step, "of the campaign, again", sls="klp.restart")
    assert "not restarted" in causes(again)["klp-restart"]
    redeclare(guest, **PILLAR)


def test_once_it_is_well_it_becomes_the_default(guest, step):
    answer = change(guest, step, "verifies")
    assert answer.failed == {} and answer.rc == 0
    assert "was verified and is the default" in answer.comments["klp-kernel"]
    assert stage(guest) == "verified"
    assert locks(guest) == guest.locks
    assert guest.salt("klp.verify").data["verdict"] == "ok"


def test_it_stays_the_default(guest, step):
    console = restarted(guest, step, "restart again")
    assert IN_INITRD.format("2_150500_2_1") in console
    assert (guest.kernel()["uname"], guest.version()) == (NEW_KERNEL, "lp-2")


def test_the_way_back_is_one_restart(guest, step):
    answer = change(guest, step, "goes back", sls="klp.kernel_back")
    assert answer.failed == {} and answer.rc == 0
    assert (stage(guest), next_start(guest)) == ("back", {"saved_entry": KERNEL})
    assert locks(guest) == guest.locks
    console = restarted(guest, step, "restart to the old kernel")
    assert IN_INITRD.format("3_150500_2_1") in console
    assert (guest.kernel()["uname"], guest.version()) == (KERNEL, "lp-3")
    answer = change(guest, step, "went back", sls="klp.kernel_back")
    assert answer.failed == {} and answer.rc == 0
    assert (stage(guest), locks(guest)) == ("went_back", guest.locks)
    assert guest.salt("klp.verify").data["verdict"] == "ok"
