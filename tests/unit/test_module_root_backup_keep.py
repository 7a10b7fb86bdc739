"""What is deleted and what has to stay, and what an unremembered or damaged backup leads to."""

import json

import pytest
from salt.exceptions import CommandExecutionError

from tests.unit.test_klp_snapper import CONFIGS, HEADER, LIST, row
from tests.unit.test_module_root_backup import CREATE, FIRST_RUN, HOST, host, runs

__all__ = ["host"]


def finished(host, number):
    """Make the backups of some finished runs."""
    host.programs.on(CREATE, *[f"vol-{count}" for count in range(1, number + 1)])
    for _ in range(number):
        host.salt["root_backup.create"]()
        host.salt["root_backup.finish"]()
        host.clock.now += 60


def test_without_a_program_for_it_no_backup_of_a_command_is_deleted(host, programs):
    host.pillar["klp"]["backup"]["keep"] = 1
    finished(host, 2)
    assert host.salt["root_backup.prune"]() == {"deleted": [], "notes": []}
    with pytest.raises(CommandExecutionError, match="^pillar klp:backup:delete names no program$"):
        host.salt["root_backup.delete"]("vol-1")
    assert [item[1] for item in runs(host)] == ["vol-1", "vol-2"]


@pytest.fixture
def old(host, programs):
    """Five backups of finished runs, two of which are to be kept."""
    host.pillar["klp"]["backup"].update(delete=["/usr/bin/backup", "drop"], keep=2)
    programs.on(["backup", "drop", ...])
    finished(host, 5)
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
    old.salt["root_backup.pending_restore"] = lambda: {"backup": "vol-3", "since": 1}
    path = old.root / "record" / "runs.json"
    runs_ = json.loads(path.read_text())
    runs_[1]["host"] = "f" * 32
    path.write_text(json.dumps(runs_))
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
    host.pillar["klp"] = {"run": "r1", "backup": {"backend": "snapper", "keep": 1}}
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
    assert snapper.salt["root_backup.current"]()["altered"] == {"/usr/bin/mine": "d"}
    snapper.salt["root_backup.verify"]("5")
    assert snapper.looked[1]["altered"] == {"/usr/bin/mine": "d"}


def test_a_snapshot_with_the_wrong_content_is_no_way_back(snapper, programs):
    programs.on(LIST, HEADER, HEADER + ours(5))
    snapper.proof = CommandExecutionError("file /x is missing")
    with pytest.raises(CommandExecutionError, match="^backup 5: file /x is missing$"):
        snapper.salt["root_backup.create"]()
    assert snapper.salt["root_backup.usable"]() is None


@pytest.fixture
def two(snapper, programs):
    """A host with the snapshots of two finished runs, one of which is to be kept."""
    programs.on(LIST, HEADER, HEADER + ours(5))
    for run, number in (("r1", 5), ("r2", 6)):
        snapper.pillar["klp"]["run"] = run
        programs.on(["snapper", "-c", "root", "create", ...], f"{number}\n")
        snapper.salt["root_backup.create"]()
        snapper.salt["root_backup.finish"]()
        programs.on(LIST, HEADER + ours(5), HEADER + ours(5) + ours(6, "r2"))
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
