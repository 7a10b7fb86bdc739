"""What is shown on each layout of LVM: snapshots that are proved, a lack of room, a bad update, and the way back."""

import json
import re

import pytest

from tests.functional.refusal import causes
from tests.lab.host import wait_until
from tests.lab.packages import KERNEL
from tests.lab.vm.packages import HARMFUL, VICTIM

from .guest import PATIENCE

THIRD = "3-150500.2.1"
# Left out is what LVM itself changes: how full a snapshot is and, where a thin origin was merged, its origin.
COLUMNS = "lv_name,lv_uuid,lv_size,lv_time,lv_tags,lv_attr"
SUM = "sha256sum </dev/system/{name}"
# A thin snapshot is not active unless it is asked for.
SUM_THIN = (
    f"lvchange --activate y --ignoreactivationskip system/{{name}} && {SUM} && lvchange --activate n system/{{name}}"
)


def rows(guest, columns=COLUMNS):
    """Return the logical volumes of the host, hidden ones as well, with names in brackets."""
    argv = ["lvs", "--all", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", columns, "system"]
    return {row["lv_name"]: row for row in json.loads(guest.machine.ask(*argv))["report"][0]["lv"]}


def ours(guest):
    """Return the names of the volumes that salt-klp has made."""
    return [name for name in rows(guest) if name.strip("[]").startswith("klp_")]


def merged(guest):
    """Tell whether the merge, which goes on in the background, has ended."""
    return not [name for name, row in rows(guest).items() if row["lv_attr"][0] in "OS"]


def fill(guest, layout):
    """Make a volume of somebody else that leaves no room for a snapshot."""
    ask = guest.machine.ask
    if layout == "thin":
        ask("lvcreate", "--thin", "--virtualsize", "1G", "--name", "data", "system/pool")
        ask("dd", "if=/dev/zero", "of=/dev/system/data", "bs=1M", "count=450", "conv=fsync")
    else:
        ask("lvcreate", "--yes", "--wipesignatures", "n", "--extents", "100%FREE", "--name", "data", "system")


class Volumes:
    """The story of one host, in the order of its tests."""

    layout = ""
    keep = 1  # how many backups
    named_by = ""  # what the pillar names: the backup or its run
    # What to say when there is no room for a snapshot.
    no_room = ""
    # How somebody else makes a volume, and snapshots of it and of the root volume.
    create: tuple[str, ...] = ()
    by_hand: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @pytest.fixture(scope="class")
    @classmethod
    def guest(cls, boot):
        """A host with live patch 1, a service, and volumes and snapshots of others."""
        found = boot(cls.layout, backup=cls.pillar())
        ask = found.machine.ask
        ask("lvcreate", "--yes", "--name", "foreign", *cls.create)
        ask("dd", "if=/dev/urandom", "of=/dev/system/foreign", "bs=1M", "count=40", "conv=fsync")
        for origin, options in zip(("foreign", "root"), cls.by_hand, strict=True):
            name = f"{origin}_by_hand"
            ask("lvcreate", "--snapshot", *options, "--addtag", "owner=storage", "--name", name, f"system/{origin}")
        found.install_service()
        found.others = cls.foreign(found, "root_by_hand")
        return found

    @classmethod
    def pillar(cls):
        """Return what the pillar says of backups."""
        return {"backend": "auto", "keep": cls.keep}

    @classmethod
    def foreign(cls, guest, *more):
        """Return what tells whether the volumes of others are as they were; ``more`` are read as well (slow)."""
        lines = {name: row for name, row in rows(guest).items() if name.startswith(("foreign", "root_by"))}
        sums = {}
        for name in ("foreign", "foreign_by_hand", *more):
            text = SUM_THIN if cls.layout == "thin" and name != "foreign" else SUM
            sums[name] = guest.machine.ask("sh", "-c", text.format(name=name))
        return lines, sums

    def unchanged(self, guest, *more):
        """Tell whether nothing of others has changed."""
        lines, sums = self.foreign(guest, *more)
        return lines == guest.others[0] and sums.items() <= guest.others[1].items()

    def test_without_room_nothing_is_started(self, guest, step):
        fill(guest, self.layout)
        before = (guest.history(), guest.packages(), rows(guest))
        with step("state.apply klp.patch, without room for a backup"):
            answer = guest.salt("state.apply", "klp.patch")
        assert answer.rc != 0
        assert list(causes(answer)) == ["klp-backup"]
        assert re.fullmatch(self.no_room, causes(answer)["klp-backup"])
        assert answer.changes == {}
        assert (guest.history(), guest.packages(), rows(guest)) == before
        guest.machine.ask("lvremove", "--yes", "system/data")

    def test_auto_takes_lvm_and_the_snapshot_is_proved(self, guest, step):
        before = guest.packages()
        with step("state.apply klp.patch"):
            answer = guest.salt("state.apply", "klp.patch")
        assert answer.failed == {} and answer.rc == 0
        assert (guest.level(), guest.version()) == (THIRD, "lp-3")
        run = guest.runs()[-1]
        assert f"backup {run['backup']} is verified (backend lvm: / is " in answer.comments["klp-backup"]
        assert [f"system/{name}" for name in ours(guest)] == [run["backup"]]
        tags = rows(guest)[run["backup"].split("/")[1]]["lv_tags"]
        assert tags == f"klp_host={guest.machine.read('/etc/machine-id').strip()},klp_run={run['run']}"
        with step("root_backup.verify"):
            proved = guest.salt("root_backup.verify", run["backup"]).data
        assert (proved["backend"], proved["packages"]) == ("lvm", len(before))
        assert proved["files"] > 0
        assert "/run/salt-klp" not in guest.machine.read("/proc/mounts")
        assert self.unchanged(guest)

    def test_the_next_run_deletes_what_is_too_old_and_only_that(self, guest, step):
        (guest.old,) = ours(guest)
        guest.offer(HARMFUL)
        guest.before = guest.packages()
        with step("state.apply klp.patch, with a bad update"):
            answer = guest.salt("state.apply", "klp.patch")
        assert answer.failed == {} and answer.rc == 0
        new = guest.runs()[-1]["backup"].split("/")[1]
        assert new != guest.old
        assert ours(guest) == [guest.old, new][-self.keep :]
        assert not guest.service_starts()
        assert guest.machine.run(["test", "-e", VICTIM]).returncode == 1
        refused = guest.salt("root_backup.delete", "system/root_by_hand")
        assert refused.rc != 0 and "is not known on this host" in str(refused.data)
        assert self.unchanged(guest)

    def test_the_restoration_is_confirmed_and_waits_for_a_reboot(self, guest, step, redeclare):
        run = guest.runs()[-1]
        wanted = run[self.named_by]
        redeclare(guest, backup=self.pillar(), restore={"backup": wanted})
        with step("state.apply klp.restore, without a confirmation"):
            refused = guest.salt("state.apply", "klp.restore")
        assert "Package zypper-log: 1.14.61-150500.99.1 becomes " in causes(refused)["klp-restored"]
        assert merged(guest)
        redeclare(guest, backup=self.pillar(), restore={"backup": wanted, "confirm": wanted})
        with step("state.apply klp.restore, confirmed"):
            answer = guest.salt("state.apply", "klp.restore")
        assert answer.results["klp-restored"] is True
        assert "A reboot is needed" in answer.comments["klp-restored"]
        assert not merged(guest) and f"[{run['backup'].split('/')[1]}]" in ours(guest)
        assert guest.salt("root_backup.pending_restore").data["backup"] == run["backup"]
        before = (guest.history(), guest.packages(), rows(guest))
        with step("state.apply klp.patch, refused"):
            refused = guest.salt("state.apply", "klp.patch")
        assert refused.rc != 0 and refused.changes == {}
        assert "restore" in str(causes(refused))
        assert (guest.history(), guest.packages(), rows(guest)) == before
        assert self.unchanged(guest)

    def test_after_the_reboot_the_root_is_the_old_one(self, guest, step):
        boot = guest.kernel()["boot"]
        with step("salt sles1 system.reboot, until the minion answers"):
            guest.rebooted()
        assert guest.packages() == guest.before
        assert guest.machine.run(["rpm", "--verifydb"]).returncode == 0
        assert guest.service_starts()
        assert guest.kernel()["uname"] == KERNEL and guest.kernel()["boot"] != boot
        assert (guest.level(), guest.version()) == (THIRD, "lp-3")
        with step("the end of the merge"):
            wait_until(lambda: merged(guest), PATIENCE, "the merge to end")
        assert ours(guest) == [guest.old][: self.keep - 1]
        assert self.unchanged(guest, "root_by_hand")

    def test_once_restored_there_is_nothing_to_do(self, guest, step):
        with step("state.apply klp.restore, after the reboot"):
            answer = guest.salt("state.apply", "klp.restore")
        assert answer.failed == {} and answer.rc == 0
        assert answer.changes == {}
        assert "is in force" in answer.comments["klp-restored"]
        assert guest.salt("root_backup.pending_restore").data is None
        assert guest.salt("klp.verify").data["verdict"] == "ok"

    def test_without_the_bad_update_patching_goes_on(self, guest, step, redeclare):
        redeclare(guest, backup=self.pillar())
        guest.offer(HARMFUL, "--disable")
        with step("state.apply klp.patch, without the bad update"):
            answer = guest.salt("state.apply", "klp.patch")
        assert answer.failed == {} and answer.rc == 0
        assert guest.packages() == guest.before and guest.service_starts()
        assert all(run["finished"] for run in guest.runs())
        assert self.unchanged(guest)

    def test_a_backup_from_before_can_still_be_deleted(self, guest):
        """The restored records know it; LVM does not call it a snapshot of the root volume once that was merged."""
        done = guest.salt("root_backup.delete", f"system/{guest.old}")
        assert done.data == {"backup": f"system/{guest.old}", "deleted": self.keep > 1}
        assert ours(guest) == [] and self.unchanged(guest)
