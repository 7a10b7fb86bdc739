"""What is deleted and what has to stay, and what an unremembered or damaged backup leads to."""

import json

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
import klp_runs
from tests.unit.backups import (
    CLASSIC,
    CONFIGS,
    CREATE,
    DAY,
    FIRST_RUN,
    HEADER,
    HOST,
    LIST,
    VERIFY,
    host,
    mount,
    report,
    row,
    runs,
)
from tests.unit.hosts import remembers

__all__ = ["host"]


def drops(host, keep):
    """Give a host a program that deletes backups, and say how many it keeps."""
    host.pillar["klp"]["backup"].update(delete=["/usr/bin/backup", "drop"], keep=keep)
    host.programs.on(["backup", "drop", ...])


def finished(host, number):
    """Make the backups of some finished runs."""
    host.programs.on(CREATE, *[f"vol-{count}" for count in range(1, number + 1)])
    for _ in range(number):
        host.salt["root_backup.create"]()
        klp_runs.finish(host.host)
        host.clock.now += 60


def test_without_a_program_for_it_no_backup_of_a_command_is_deleted(host, programs):
    host.pillar["klp"]["backup"]["keep"] = 1
    finished(host, 2)
    assert host.salt["root_backup.prune"]() == {"deleted": [], "notes": []}
    with pytest.raises(CommandExecutionError, match="^pillar klp:backup:delete names no program$"):
        host.salt["root_backup.delete"]("vol-1")
    assert [item[1] for item in runs(host)] == ["vol-1", "vol-2"]


def restoring(host, backup):
    """Let a backup wait for a restart."""
    found = {"backup": backup, "run": "r", "backend": "command", "since": 1, "boot": "b1", "packages": None}
    remembers(host, "restore", dict(found, stage="prepared"))


def of_another_machine(host, number):
    """Let a backup be of another machine, as after a host was cloned."""
    found = host.salt["root_backup.list"]()
    found[number]["host"] = "f" * 32
    remembers(host, "runs", found)


@pytest.fixture
def old(host, programs):
    """Five backups of finished runs, two of which are to be kept."""
    drops(host, 5)
    finished(host, 5)
    host.pillar["klp"]["backup"]["keep"] = 2
    return host


def test_older_backups_are_deleted_and_forgotten(old, programs):
    assert old.salt["root_backup.prune"]() == {"deleted": ["vol-3", "vol-2", "vol-1"], "notes": []}
    assert [item[1] for item in runs(old)] == [None, None, None, "vol-4", "vol-5"]
    assert [item.get("deleted") for item in old.salt["root_backup.list"]()][:3] == ["vol-1", "vol-2", "vol-3"]
    assert old.salt["root_backup.prune"]() == {"deleted": [], "notes": []}
    assert len(programs.started("backup", "drop")) == 3


def test_a_bad_backup_does_not_count(old, programs):
    programs.on(["backup", "check", "vol-5"], {"retcode": 1})
    assert old.salt["root_backup.prune"]()["deleted"] == ["vol-2", "vol-1"]
    programs.on(["backup", "check", ...], {"retcode": 1})
    assert old.salt["root_backup.prune"]() == {"deleted": [], "notes": []}


def test_a_deletion_that_fails_is_told_and_tried_again(old, programs):
    programs.on(["backup", "drop", "vol-2"], {"retcode": 1, "stderr": "busy"}, "")
    answer = old.salt["root_backup.prune"]()
    assert answer["deleted"] == ["vol-3", "vol-1"] and len(answer["notes"]) == 1
    assert answer["notes"][0].startswith("Backup vol-2 of run T1700000060-0000ab could not be deleted: ")
    old.pillar["klp"]["backup"]["keep"] = 1
    assert old.salt["root_backup.prune"]() == {"deleted": ["vol-4", "vol-2"], "notes": []}


def test_what_waits_for_a_restart_or_is_of_others_is_not_deleted(old):
    restoring(old, "vol-3")
    of_another_machine(old, 1)
    assert old.salt["root_backup.prune"]()["deleted"] == ["vol-1"]
    with pytest.raises(CommandExecutionError, match="^backup vol-3 is being restored: restart the host first$"):
        old.salt["root_backup.delete"]("vol-3")


def test_a_backup_is_deleted_by_its_id(old, programs):
    assert old.salt["root_backup.delete"]("vol-1") == {"backup": "vol-1", "deleted": True}
    assert programs.calls[-1] == ["backup", "drop", "vol-1"]
    with pytest.raises(CommandExecutionError, match="^backup 'vol-1' is not known on this host; known: vol-2"):
        old.salt["root_backup.delete"]("vol-1")
    with pytest.raises(CommandExecutionError, match="is not known"):
        old.salt["root_backup.delete"]("T1700000060-0000ab")


def test_the_backup_of_an_open_run_stays(host):
    host.salt["root_backup.create"]()
    with pytest.raises(CommandExecutionError, match=f"^backup vol-1 is of run {FIRST_RUN}, which is not finished$"):
        host.salt["root_backup.delete"]("vol-1")


def test_the_last_good_backup_stays(old, programs):
    programs.on(["backup", "check", ...], {"retcode": 1})
    programs.on(["backup", "check", "vol-2"])
    with pytest.raises(CommandExecutionError, match="^backup vol-2 is the last good one of this host: it stays$"):
        old.salt["root_backup.delete"]("vol-2")
    assert old.salt["root_backup.delete"]("vol-5")["deleted"] is True


def ours(number, run="r1", **more):
    return row(number, klp_run=run, klp_host=HOST, **more)


@pytest.fixture
def snapper(host, programs):
    """A host with snapper and a run that is named by the pillar."""
    host.pillar["klp"] = {"run": "r1", "backup": {"backend": "snapper"}}
    programs.on(CONFIGS, "config,subvolume\nroot,/\n")
    programs.on(["snapper", "-c", "root", "create", ...], "5\n")
    programs.on(["snapper", "-c", "root", "delete", ...])
    return host


def test_a_snapshot_is_made_looked_into_and_remembered(snapper, programs):
    programs.on(LIST, HEADER, HEADER + ours(5))
    assert snapper.salt["root_backup.create"]() == {"run": "r1", "backend": "snapper", "backup": "5"}
    (item,) = snapper.salt["root_backup.list"]()
    argv = ["mount", "-o", "bind,ro,nosuid,nodev,noexec", "/.snapshots/5/snapshot"]
    assert snapper.looked == (argv, {"host": HOST, "packages": item["packages"], "altered": {}})
    found = snapper.salt["root_backup.verify"](5)
    assert (found["packages"], found["files"]) == (2, 7)


def test_a_snapshot_that_was_made_but_not_remembered_is_found(snapper, programs):
    programs.on(LIST, HEADER + ours(4))
    assert snapper.salt["root_backup.create"]()["backup"] == "4"
    assert programs.started("snapper", "-c", "root", "create") == []


def test_files_that_were_changed_by_hand_are_remembered(snapper, programs):
    programs.on(LIST, HEADER, HEADER + ours(5))
    snapper.proof["altered"] = {"/usr/bin/mine": "d"}
    snapper.salt["root_backup.create"]()
    assert klp_runs.current(snapper.host)["altered"] == {"/usr/bin/mine": "d"}
    snapper.salt["root_backup.verify"]("5")
    assert snapper.looked[1]["altered"] == {"/usr/bin/mine": "d"}


def test_a_snapshot_with_the_wrong_content_is_no_way_back(snapper, programs):
    programs.on(LIST, HEADER, HEADER + ours(5))
    snapper.proof = CommandExecutionError("file /x is missing")
    with pytest.raises(CommandExecutionError, match="^backup 5: file /x is missing$"):
        snapper.salt["root_backup.create"]()
    assert klp_runs.usable(snapper.host) is None


@pytest.fixture
def two(snapper, programs):
    """A host with the snapshots of two finished runs, one of which is to be kept."""
    programs.on(LIST, HEADER, HEADER + ours(5))
    for run, number in (("r1", 5), ("r2", 6)):
        snapper.pillar["klp"]["run"] = run
        programs.on(["snapper", "-c", "root", "create", ...], f"{number}\n")
        snapper.salt["root_backup.create"]()
        klp_runs.finish(snapper.host)
        programs.on(LIST, HEADER + ours(5), HEADER + ours(5) + ours(6, "r2"))
    snapper.pillar["klp"]["backup"]["keep"] = 1
    return snapper


@pytest.mark.parametrize(
    ("first", "answer", "deleted"),
    [
        (ours(5), ["5"], [["snapper", "-c", "root", "delete", "5"]]),
        ("", [], []),
        (row(5, user="mine"), [], []),
        (ours(5, "r9"), [], []),
    ],
)
def test_what_is_not_ours_is_forgotten_and_left_alone(two, programs, first, answer, deleted):
    programs.on(LIST, HEADER + first + ours(6, "r2"))
    delete = ["snapper", "-c", "root", "delete", "5"]
    programs.on(delete, then=lambda: programs.on(LIST, HEADER + ours(6, "r2")))
    assert two.salt["root_backup.prune"]() == {"deleted": answer, "notes": []}
    assert programs.started("snapper", "-c", "root", "delete") == deleted
    assert [item[1] for item in runs(two)] == [None, "6"]


def test_a_snapshot_of_somebody_else_is_not_deleted_by_its_number(two, programs):
    programs.on(LIST, HEADER + row(5, user="mine") + ours(6, "r2"))
    with pytest.raises(
        CommandExecutionError, match="^backup 5: what snapper has .* is not of run r1 .* it is left alone$"
    ):
        two.salt["root_backup.delete"]("5")
    programs.on(LIST, HEADER + ours(6, "r2"))
    assert two.salt["root_backup.delete"]("5") == {"backup": "5", "deleted": False}
    assert programs.started("snapper", "-c", "root", "delete") == []


# -- runs that never come to their end ---------------------------------------------------------------------------------


def left(host):
    return [item["backup"] for item in host.salt["root_backup.list"]() if item["backup"]]


@pytest.mark.parametrize("pinned", ["", "campaign-{}", "campaign"], ids=["own runs", "campaigns", "one campaign"])
def test_backups_of_runs_that_never_end_do_not_pile_up(host, programs, pinned):
    drops(host, 2)
    programs.on(CREATE, *[f"vol-{number}" for number in range(1, 7)])
    for number in range(1, 7):
        host.pillar["klp"]["run"] = pinned.format(number)
        assert host.salt["root_backup.create"]()["backup"] == f"vol-{number}"
        host.clock.now += DAY + 1
    assert left(host) == ["vol-5", "vol-6"]
    assert [argv[2] for argv in programs.started("backup", "drop")] == ["vol-1", "vol-2", "vol-3", "vol-4"]


def test_one_backup_is_kept_and_it_is_that_of_the_current_run(host, programs):
    drops(host, 1)
    for run in ("a", "b", "c"):
        host.pillar["klp"]["run"] = run
        host.salt["root_backup.create"]()
    assert left(host) == ["vol-3"]


def test_a_kept_run_that_is_taken_up_again_makes_no_further_backup(host, programs):
    drops(host, 2)
    for run in ("a", "b", "a"):
        host.pillar["klp"]["run"] = run
        host.salt["root_backup.create"]()
    assert left(host) == ["vol-1", "vol-2"] and len(programs.started(*CREATE)) == 2


def test_the_backup_of_the_current_run_stays_though_it_is_old(host):
    drops(host, 5)
    for run in ("a", "b", "c", "d"):
        host.pillar["klp"]["run"] = run
        host.programs.on(CREATE, f"vol-{run}")
        host.salt["root_backup.create"]()
    host.pillar["klp"].update(run="b", backup=dict(host.pillar["klp"]["backup"], keep=2))
    assert host.salt["root_backup.prune"]() == {"deleted": ["vol-c", "vol-a"], "notes": []}
    assert left(host) == ["vol-b", "vol-d"]


def test_the_last_good_backup_is_not_deleted_for_a_current_one_that_is_bad(host, programs):
    drops(host, 1)
    host.salt["root_backup.create"]()
    host.clock.now += DAY + 1
    programs.on(VERIFY + ["vol-2"], {"retcode": 1, "stderr": "incomplete"})
    with pytest.raises(CommandExecutionError, match="incomplete"):
        host.salt["root_backup.create"]()
    assert klp_runs.current(host.host)["backup"] == "vol-2"
    assert host.salt["root_backup.prune"]() == {"deleted": [], "notes": []} and left(host) == ["vol-1", "vol-2"]


def test_what_cannot_be_deleted_does_not_stop_a_run(host, programs, caplog):
    drops(host, 1)
    host.salt["root_backup.create"]()
    host.clock.now += DAY + 1
    programs.on(["backup", "drop", "vol-1"], {"retcode": 1, "stderr": "busy"})
    assert host.salt["root_backup.create"]()["backup"] == "vol-2"
    assert "Backup vol-1 of run T1700000000-0000ab could not be deleted: " in caplog.text
    assert left(host) == ["vol-1", "vol-2"]


def test_with_a_damaged_record_of_a_restoration_nothing_is_deleted(old):
    old.file(f"{klp_paths.RECORDS}/restore.json", "{")
    answer = old.salt["root_backup.prune"]()
    assert answer["deleted"] == [] and len(answer["notes"]) == 3 and "restore.json" in answer["notes"][0]


# -- snapshots of LVM that ran full ------------------------------------------------------------------------------------

FULL = {"data_percent": "100.00", "lv_attr": "swi-I-s---"}


class Volumes:
    """Answers like lvs about a root volume and its snapshots; lvcreate and lvremove change them."""

    def __init__(self, host):
        self.host, self.programs = host, host.programs
        self.root, sample = (json.loads(report("classic", swap=None))["report"][0]["lv"][number] for number in (1, 0))
        self.sample = sample
        self.snapshots: dict = {}
        self.programs.script.insert(0, (["lvs", ...], self, None, False))
        self.programs.on(["lvcreate", ...], then=self.create)
        self.programs.on(["lvremove", ...], then=lambda: self.snapshots.pop(self.programs.calls[-1][-1]))

    def __next__(self):
        return {"stdout": json.dumps({"report": [{"lv": [self.root, *self.snapshots.values()]}]})}

    def create(self):
        argv = self.programs.calls[-1]
        tags = [argv[place + 1] for place, part in enumerate(argv) if part == "--addtag"]
        self.add(argv[argv.index("--name") + 1], ",".join(tags))

    def add(self, name, tags, **fields):
        row_ = dict(self.sample, lv_name=name, lv_path=f"/dev/system/{name}", lv_tags=tags)
        self.snapshots[f"system/{name}"] = dict(row_, **fields)


@pytest.fixture
def lvm(host, monkeypatch):
    """A host on a logical volume."""
    host.pillar["klp"] = {"backup": {"backend": "lvm", "keep": 2}}
    host.file(klp_paths.MOUNTS, mount("xfs", CLASSIC["source"], CLASSIC["device"]))
    host.volumes = Volumes(host)
    return host


def taken(lvm, *names):
    """Make the backup of one run after the other; none of them comes to its end."""
    for name in names:
        lvm.pillar["klp"]["run"] = name
        lvm.salt["root_backup.create"]()


def filled(lvm, *names, **fields):
    for name in names:
        lvm.volumes.snapshots[f"system/klp_{name}"].update(FULL, **fields)


def test_all_snapshots_that_ran_full_are_deleted_before_a_new_one_is_made(lvm, programs):
    names = [f"run{number}" for number in range(12)]
    for name in names:
        taken(lvm, name)
        filled(lvm, name)
    assert len(lvm.volumes.snapshots) == 1  # each new run takes the full one before it away
    lvm.volumes.snapshots.clear()
    remembers(lvm, "runs", [])
    lvm.pillar["klp"]["backup"]["keep"] = 20
    taken(lvm, *names)
    filled(lvm, *names)
    programs.calls.clear()
    taken(lvm, "next")
    changes = [argv for argv in programs.calls if argv[0] in ("lvcreate", "lvremove")]
    assert [argv[-1] for argv in changes] == [f"system/klp_{name}" for name in reversed(names)] + ["system/root"]
    assert list(lvm.volumes.snapshots) == ["system/klp_next"] and left(lvm) == ["system/klp_next"]


def test_a_run_whose_own_snapshot_ran_full_gets_a_new_one_in_its_place(lvm):
    taken(lvm, "run")
    filled(lvm, "run")
    taken(lvm, "run")
    assert list(lvm.volumes.snapshots) == ["system/klp_run"] and left(lvm) == ["system/klp_run"]
    assert lvm.volumes.snapshots["system/klp_run"]["lv_attr"] == "swi-a-s---"


def test_a_full_snapshot_of_others_or_of_another_machine_or_in_a_restoration_stays(lvm, programs):
    lvm.pillar["klp"]["backup"]["keep"] = 20
    taken(lvm, "others", "cloned", "restored", "gone", "full")
    filled(lvm, "others", lv_tags="mine")
    filled(lvm, "cloned", "restored", "full")
    of_another_machine(lvm, 1)
    restoring(lvm, "system/klp_restored")
    del lvm.volumes.snapshots["system/klp_gone"]
    assert lvm.salt["root_backup.prune"]() == {"deleted": [], "notes": []}  # the full one is that of the current run
    lvm.pillar["klp"]["run"] = "next"
    assert lvm.salt["root_backup.prune"]() == {"deleted": ["system/klp_full"], "notes": []}
    assert list(lvm.volumes.snapshots) == [f"system/klp_{name}" for name in ("others", "cloned", "restored")]


def test_an_lvs_that_does_not_answer_deletes_nothing(lvm, programs):
    lvm.pillar["klp"]["backup"]["keep"] = 20
    taken(lvm, "a")
    filled(lvm, "a")
    lvm.pillar["klp"]["run"] = "b"
    programs.on(["lvs", ...], {"retcode": 5, "stderr": "no lock"})
    assert lvm.salt["root_backup.prune"]() == {"deleted": [], "notes": []}
    assert left(lvm) == ["system/klp_a"]
