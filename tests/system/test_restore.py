"""A really bad update on btrfs: the way back is refused, confirmed, prepared, and proved after the reboot."""

import re

import pytest

from tests.functional.refusal import causes
from tests.lab.packages import KERNEL, KERNEL_LOCKS
from tests.lab.vm.packages import HARMFUL, VICTIM

AUTO = {"backend": "auto"}
FIRST, THIRD = "1-150500.9.3.1", "3-150500.2.1"
OTHER = "0123456789abcdef0123456789abcdef"
FOREIGN = ("2", "3", "4")
SEEN = "uname -r; cat /proc/version; ls /sys/kernel/livepatch"
# What changes when a snapshot is written to, and a checksum of what is in it.
LOOK = """\
cd /.snapshots/{number}
btrfs subvolume show snapshot | grep -E "UUID:|Generation:|Creation time:"
sha256sum info.xml
cd snapshot
find etc boot usr/share/lab usr/sbin/blkmapd usr/lib/sysimage -type f | sort | xargs sha256sum | sha256sum
"""


@pytest.fixture(scope="module")
def guest(boot, step):
    """A host with live patch 1, a service and snapshots of others, after a maintenance with a bad update."""
    found = boot("enabled", backup=AUTO)
    found.install_service()
    ask = found.machine.ask
    ask("snapper", "create", "-d", 'by hand, "before all"', "-c", "number", "-u", "team=storage,klp=no")
    ask("snapper", "create", "-t", "pre", "-d", "zypp(zypper)", "-c", "number", "-u", "important=yes")
    ask("snapper", "create", "-t", "post", "--pre-number", "3", "-d", "", "-c", "number")
    found.offer(HARMFUL)
    found.others = foreign(found)
    found.before = {"packages": found.packages(), "kernel": found.kernel()}
    with step("state.apply klp.patch, with a bad update"):
        found.patched = found.salt("state.apply", "klp.patch")
    return found


def foreign(guest):
    """Return what tells whether the snapshots of others are as they were, byte for byte."""
    return {number: guest.machine.ask("sh", "-c", LOOK.format(number=number)) for number in FOREIGN}


def restored(guest, step, title):
    """Apply ``klp.restore``."""
    with step(f"state.apply klp.restore, {title}"):
        return guest.salt("state.apply", "klp.restore")


def test_auto_takes_snapper_and_says_so(guest):
    assert guest.patched.failed == {}
    (run,) = guest.runs()
    said = guest.patched.comments["klp-backup"]
    assert re.search(rf"backup {run['backup']} is verified \(backend snapper: / is btrfs on ", said)
    assert [(run["backup"], run["run"])] == guest.snapshots()
    assert run["backend"] == "snapper"


def test_the_update_has_broken_the_host(guest):
    assert (guest.level(), guest.version()) == (THIRD, "lp-3")
    assert not guest.service_starts()
    assert guest.machine.run(["test", "-e", VICTIM]).returncode == 1


def test_a_backup_of_another_host_is_refused(guest, step, redeclare):
    (run,) = guest.runs()
    ask = guest.machine.ask
    ask("cp", "/etc/machine-id", "/run/machine-id")
    ask("sh", "-c", f"echo {OTHER} >/etc/machine-id")
    redeclare(guest, backup=AUTO, restore={"backup": run["backup"], "confirm": run["backup"]})
    answer = restored(guest, step, "on another host")
    ask("cp", "/run/machine-id", "/etc/machine-id")
    said = causes(answer)["klp-restored"]
    assert said.startswith(f"backup {run['backup']} was made by another host (machine id ")
    assert said.endswith(f", this one is {OTHER}")
    assert "klp-restored" not in answer.changes
    assert len(guest.snapshots()) == 1 and guest.salt("root_backup.pending_restore").data is None


def test_without_a_confirmation_it_tells_what_would_be_lost(guest, step, redeclare):
    (run,) = guest.runs()
    redeclare(guest, backup=AUTO, restore={"backup": run["run"]})
    answer = restored(guest, step, "without a confirmation")
    assert answer.rc != 0
    said = causes(answer)["klp-restored"]
    assert said.startswith("nothing is restored without a confirmation; ")
    assert "Package zypper-log: 1.14.61-150500.99.1 becomes 1.14.61-150500.1.1" in said
    assert f"Package kernel-livepatch-5_14_21-150500_55_7-default: {THIRD} becomes {FIRST}" in said
    assert guest.salt("root_backup.pending_restore").data is None
    assert "@/.snapshots/1/snapshot" in guest.machine.ask("btrfs", "subvolume", "get-default", "/")
    assert foreign(guest) == guest.others


def test_confirmed_it_waits_for_a_reboot_and_nothing_is_patched(guest, step, redeclare):
    (run,) = guest.runs()
    redeclare(guest, backup=AUTO, restore={"backup": run["run"], "confirm": run["run"]})
    answer = restored(guest, step, "confirmed")
    assert answer.results["klp-restored"] is True
    assert answer.changes["klp-restored"] == {"restored": {"old": None, "new": run["backup"]}}
    assert "A reboot is needed" in answer.comments["klp-restored"]
    assert guest.salt("root_backup.pending_restore").data["backup"] == run["backup"]
    before = (guest.history(), guest.packages(), guest.runs(), guest.machine.ask("snapper", "--csvout", "list"))
    again = restored(guest, step, "confirmed, again")
    assert "klp-restored" not in again.changes
    with step("state.apply klp.patch, refused"):
        refused = guest.salt("state.apply", "klp.patch")
    assert "restore" in str(causes(refused)) and refused.changes == {}
    after = (guest.history(), guest.packages(), guest.runs(), guest.machine.ask("snapper", "--csvout", "list"))
    assert after == before
    assert guest.version() == "lp-3"
    assert foreign(guest) == guest.others


def test_after_the_reboot_the_host_is_as_it_was(guest, step):
    begun = len(guest.machine.console())
    with step("salt sles1 system.reboot, until the minion answers"):
        guest.rebooted()
    guest.salt("cmd.run", SEEN)
    assert guest.packages() == guest.before["packages"]
    assert guest.machine.run(["rpm", "--verifydb"]).returncode == 0
    assert guest.service_starts()
    # The initrd is as old as the rest of the root volume, and so is the live patch that it loads.
    assert "lab: the initrd loads livepatch-1_150500_9_3_1.ko" in guest.machine.console()[begun:]
    assert (guest.level(), guest.version()) == (FIRST, "")
    assert guest.kernel()["uname"] == KERNEL and guest.kernel()["boot"] != guest.before["kernel"]["boot"]
    assert foreign(guest) == guest.others


def test_once_restored_there_is_nothing_to_do_but_to_verify(guest, step):
    answer = restored(guest, step, "after the reboot")
    assert answer.failed == {} and answer.rc == 0
    assert answer.changes == {}
    assert "is in force" in answer.comments["klp-restored"]
    assert f"{len(KERNEL_LOCKS)} packages locked" in answer.comments["klp-restored-locks"]
    assert f"live patch {FIRST}" in answer.comments["klp-restored-verified"]
    assert guest.salt("root_backup.pending_restore").data is None
    assert foreign(guest) == guest.others


def test_without_the_bad_update_it_is_patched_again(guest, step, redeclare):
    redeclare(guest, backup=AUTO)
    guest.offer(HARMFUL, "--disable")
    with step("state.apply klp.patch, without the bad update"):
        answer = guest.salt("state.apply", "klp.patch")
    assert answer.failed == {} and answer.rc == 0
    assert (guest.level(), guest.version()) == (THIRD, "lp-3")
    assert guest.service_starts()
    assert [run["backup"] for run in guest.runs()] == [number for number, _ in guest.snapshots()]
    assert foreign(guest) == guest.others
