"""A backup is put back for the next start: confirmed, once, proved after it."""

import os

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_backup_look
import klp_paths
import klp_restore
import klp_runs
from tests.unit.backups import BACKUP, CLASSIC, COMMAND, CONFIGS, HEADER, HOST, LIST, TAGS, equip, mount, report, row
from tests.unit.hosts import record, remembers
from tests.unit.states import apply

REBOOT = "takes the place of the root volume when the host is started again: restart it"
MADE = "Everything that has been changed or made on the root volume since T1700000000 is lost"
STAYS = "The live patch that is in the kernel stays there until the host is restarted"
ROLLBACK = ["snapper", "--ambit", "classic", "-c", "root", "rollback", ...]


@pytest.fixture
def host(minion, paths, monkeypatch):
    """A host whose run r1 has a backup, by a program that can put it back."""
    paths.update(["snapper", "lvs", "lvcreate", "lvconvert", "lvchange"])
    monkeypatch.setattr("salt.utils.path.which", lambda name: f"/usr/bin/{name.rsplit('/', 1)[-1]}")
    restore = dict(COMMAND, restore=["/usr/bin/backup", "back"])
    minion.pillar["klp"] = {"run": "r1", "backup": restore, "restore": {}}
    minion.programs.on(["backup", "new"], "vol-1")
    for verb in ("check", "back"):
        minion.programs.on(["backup", verb, ...])
    equip(minion, monkeypatch)
    return minion


def made(host):
    """Make the backup of a run that ends; then packages change."""
    host.salt["root_backup.create"]()
    klp_runs.finish(host.host)
    host.clock.now += 60
    host.rpm_qa({"glibc": "2-1", "curl": "1-2"})
    host.changed()
    return host


def started_again(host, packages=None):
    host.file(klp_paths.BOOT_ID, "b2\n")
    host.rpm_qa(packages or {"glibc": "2-1", "curl": "1-1"})
    host.changed()


def stage(host, backup="vol-1"):
    return klp_restore.restoration(host.host, backup)["stage"]


def restore(host, backup="vol-1", confirm="vol-1"):
    return host.salt["root_backup.restore"](backup, confirm)


def test_nobody_can_look_into_the_backup_of_a_command(host):
    made(host)
    host.file(klp_paths.MOUNTS, mount("btrfs") + "2 1 0:31 /@/home /home rw - btrfs /dev/sda2 rw\n")
    unknown = "Which packages change is unknown: backup vol-1 of backend command cannot be looked into"
    elsewhere = "Not touched, since they are no part of it: /home"
    notes = [MADE, elsewhere, STAYS, unknown]
    assert host.salt["root_backup.losses"]("r1") == {"packages": None, "notes": notes}


def test_without_a_confirmation_nothing_is_done_and_the_next_step_is_told(host, programs):
    made(host)
    for confirm in ("", "vol-2", "yes"):
        with pytest.raises(CommandExecutionError) as error:
            restore(host, confirm=confirm)
        lines = str(error.value).splitlines()
        assert lines[:2] == ["nothing is restored without a confirmation; with backup vol-1:", MADE]
        assert lines[-1].endswith("klp:restore:confirm: vol-1 and run: salt 'sles1' state.apply klp.restore")
    assert programs.started("backup", "back") == [] and host.salt["root_backup.pending_restore"]() is None


@pytest.mark.parametrize("backup", ["vol-1", "r1"])
def test_a_backup_is_put_back_once_and_proved_after_the_restart(host, programs, backup):
    made(host)
    assert stage(host) == "none"
    answer = restore(host, backup, backup)
    assert (answer["restored"], answer["reboot"]) == ("vol-1", f"backup vol-1 {REBOOT}")
    assert answer["lost"]["notes"][0] == MADE
    assert host.salt["root_backup.pending_restore"]() == {"backup": "vol-1", "since": 1_700_000_060}
    again = restore(host, backup, backup)
    assert (again["reboot"], again["lost"]) == (f"backup vol-1 {REBOOT}", {"packages": {}, "notes": []})
    assert programs.started("backup", "back") == [["backup", "back", "vol-1"]]
    started_again(host)
    assert host.salt["root_backup.pending_restore"]() is None
    assert restore(host, backup, "")["reboot"] is None
    assert stage(host) == "done"
    host.rpm_qa({"glibc": "3-1"})
    host.changed()
    assert stage(host) == "done"
    assert len(programs.started("backup", "back")) == 1


def test_other_packages_after_the_restart_are_an_error(host):
    restore(made(host))
    started_again(host, {"glibc": "2-1", "curl": "1-2"})
    with pytest.raises(
        CommandExecutionError, match="^backup vol-1 was to be restored and the host was started since, but"
    ):
        stage(host)


def test_the_same_backup_can_be_put_back_again_after_a_new_run(host, programs):
    restore(made(host))
    started_again(host)
    assert stage(host) == "done"
    host.pillar["klp"]["run"] = "r2"
    host.clock.now += 60
    programs.on(["backup", "new"], "vol-2")
    host.salt["root_backup.create"]()
    assert stage(host) == "none"
    assert restore(host)["lost"]["notes"]
    assert len(programs.started("backup", "back")) == 2


def test_a_program_that_fails_leaves_nothing_begun(host, programs):
    made(host)
    programs.on(["backup", "back", ...], {"retcode": 1, "stderr": "quota"})
    with pytest.raises(CommandExecutionError, match="back vol-1: exit 1: quota$"):
        restore(host)
    assert host.salt["root_backup.pending_restore"]() is None and stage(host) == "none"


def test_without_a_program_for_it_the_way_by_hand_is_told(host):
    del host.pillar["klp"]["backup"]["restore"]
    with pytest.raises(CommandExecutionError, match="klp:backup:restore names none that puts it back: stop the host"):
        restore(made(host))


def test_a_backup_that_is_not_good_is_not_put_back(host, programs):
    made(host)
    programs.on(["backup", "check", ...], {"retcode": 1, "stderr": "incomplete"})
    with pytest.raises(CommandExecutionError, match="check vol-1: exit 1: incomplete$"):
        restore(host)


def test_only_one_backup_is_put_back_at_a_time(host, programs):
    restore(made(host))
    host.pillar["klp"]["run"] = "r2"
    programs.on(["backup", "new"], "vol-2")
    host.salt["root_backup.create"]()
    with pytest.raises(CommandExecutionError, match="^backup vol-1 is being restored: restart the host first$"):
        restore(host, "vol-2", "vol-2")


@pytest.mark.parametrize("pid", ["77", "78\n"])
def test_nothing_is_put_back_while_zypper_runs(host, pid):
    made(host)
    host.file(klp_paths.ZYPP_PID, pid)
    host.file(f"{klp_paths.PROC}/77/comm", "zypper\n")
    if pid == "77":
        with pytest.raises(
            CommandExecutionError, match=r"^nothing is restored now: process 77 \(zypper\) holds the zypp"
        ):
            restore(host)
    else:
        assert restore(host)["restored"] == "vol-1"


def test_nothing_is_put_back_while_a_transition_runs(host):
    host.live_patch("livepatch_3", transition=1)
    with pytest.raises(
        CommandExecutionError, match="^nothing is restored now: a transition of the live patch is running"
    ):
        restore(made(host))


def test_a_kernel_without_live_patching_is_no_obstacle(host):
    os.rmdir(klp_paths.LIVEPATCH)
    assert restore(made(host))["restored"] == "vol-1"


def test_an_unknown_backup_is_named_with_the_known_ones(host):
    with pytest.raises(CommandExecutionError, match="^backup 'x' is not known on this host; known: none$"):
        restore(host, "x", "x")
    with pytest.raises(CommandExecutionError, match="^backup 'x' is not known on this host; known: vol-1$"):
        restore(made(host), "x", "x")
    with pytest.raises(
        SaltInvocationError, match="^no backup is named in pillar klp:restore:backup; see: salt 'sles1' "
    ):
        restore(host, "", "")


@pytest.mark.parametrize("text", ["[]", '{"backup": "vol-1"}', "{"])
def test_a_damaged_record_is_an_error(host, text):
    host.file(f"{klp_paths.RECORDS}/restore.json", text)
    for function in (host.salt["root_backup.pending_restore"], lambda: stage(host)):
        with pytest.raises(CommandExecutionError, match="restore.json: .*repair it or move it away$"):
            function()


def test_a_host_without_a_backup_has_nothing_to_restore(host):
    host.pillar["klp"]["backup"] = {"backend": "none"}
    assert stage(host) == "none"


def snapper(host, *rows):
    host.programs.on(LIST, HEADER + "".join(rows))


@pytest.fixture
def snapshot(host, programs, monkeypatch):
    """A host whose run r1 has snapshot 5, and an older curl in it."""
    host.pillar["klp"]["backup"] = {"backend": "snapper"}
    programs.on(["snapper", "--version"], "snapper 0.8.15\n")
    programs.on(CONFIGS, "config,subvolume\nroot,/\n")
    programs.on(["snapper", "-c", "root", "create", ...], "5\n")
    mine = row(5, klp_run="r1", klp_host=HOST)
    programs.on(LIST, HEADER, HEADER + mine)
    programs.on(ROLLBACK, then=lambda: snapper(host, mine, row(7, "yes", klp_restore="5", klp_since="1700000060")))
    monkeypatch.setattr(klp_backup_look, "look", lambda call, argv, reader: reader("/place"))
    monkeypatch.setattr(klp_backup_look, "packages", lambda call, point: {"glibc": ["2-1"], "curl": ["1-1"]})
    return made(host)


def test_a_snapshot_says_which_packages_go_back(snapshot):
    assert snapshot.salt["root_backup.losses"]("5")["packages"] == {"curl": {"old": "1-2", "new": "1-1"}}
    (found,) = snapshot.salt["root_backup.list"]()
    assert snapshot.looked[1] == {"host": HOST, "packages": found["packages"], "altered": {}}


def test_a_snapshot_is_put_back_and_the_record_need_not_survive(snapshot, programs):
    assert restore(snapshot, "5", "5")["restored"] == "5" and stage(snapshot, "5") == "prepared"
    os.unlink(f"{klp_paths.RECORDS}/restore.json")
    assert stage(snapshot, "5") == "prepared"
    snapper(snapshot, row(7, "yes", "yes", klp_restore="5", klp_since="1700000060", klp_packages="f" * 64))
    with pytest.raises(CommandExecutionError, match="was it started from another volume or snapshot"):
        stage(snapshot, "5")
    snapper(snapshot, row(7, "yes", "yes", klp_restore="5", klp_since="1700000060"))
    assert stage(snapshot, "5") == "done"
    assert record("restore")["stage"] == "done"
    assert len(programs.started(*ROLLBACK[:-1])) == 1


def test_a_rollback_that_was_killed_is_gone_on_with(snapshot, programs):
    programs.on(
        ROLLBACK, {"retcode": 1, "stderr": "io"}, then=lambda: snapper(snapshot, row(5, klp_run="r1", klp_host=HOST))
    )
    with pytest.raises(CommandExecutionError, match="rollback .*: exit 1: io$"):
        restore(snapshot, "5", "5")
    assert stage(snapshot, "5") == "none"


def test_a_rollback_that_failed_after_it_was_done_stays_pending(snapshot, programs):
    mine = row(5, klp_run="r1", klp_host=HOST)
    default = row(7, "yes", klp_restore="5", klp_since="1700000060")
    programs.on(ROLLBACK, {"retcode": 1, "stderr": "io"}, then=lambda: snapper(snapshot, mine, default))
    with pytest.raises(CommandExecutionError, match="rollback .*: exit 1: io$"):
        restore(snapshot, "5", "5")
    assert snapshot.salt["root_backup.pending_restore"]()["backup"] == "5" and stage(snapshot, "5") == "prepared"


def test_a_restoration_that_was_begun_goes_on_under_its_first_time(snapshot, programs):
    begun = {"backup": "5", "run": "r1", "backend": "snapper", "since": 1_700_000_050, "boot": "b1", "packages": None}
    remembers(snapshot, "restore", dict(begun, stage="begun"))
    assert snapshot.salt["root_backup.pending_restore"]() == {"backup": "5", "since": 1_700_000_050}
    restore(snapshot, "5", "5")
    assert "klp_since=1700000050" in programs.started(*ROLLBACK[:-1])[0][-2]


def test_an_old_record_has_no_packages_to_prove(snapshot, programs):
    (found,) = record("runs")
    del found["packages"]
    remembers(snapshot, "runs", [found])
    restore(snapshot, "5", "5")
    userdata = programs.started(*ROLLBACK[:-1])[0][-2]
    assert "klp_packages" not in userdata and "klp_restore_run=r1" in userdata


def test_after_a_merge_the_tags_of_the_root_volume_tell(host, programs):
    host.pillar["klp"]["backup"] = {"backend": "lvm"}
    host.file(klp_paths.MOUNTS, mount("xfs", CLASSIC["source"], CLASSIC["device"]))
    programs.on(["lvs", ...], report("classic", klp=None, root={"lv_tags": TAGS[0]}))
    assert stage(host, BACKUP) == "none"
    started_again(host)
    assert stage(host, BACKUP) == "done"
    assert restore(host, BACKUP, "") == {"restored": BACKUP, "reboot": None, "lost": {"packages": {}, "notes": []}}


def test_after_a_merge_the_run_is_known_though_its_backup_was_forgotten(host, programs):
    """Measured: the records are those of the moment before the snapshot, its run is open and has no backup yet."""
    host.pillar["klp"] = {"backup": {"backend": "lvm"}}
    run = {"run": "r1", "opened": 1, "finished": None, "backend": "lvm", "backup": None, "created": None}
    remembers(host, "runs", [run])
    host.file(klp_paths.MOUNTS, mount("xfs", CLASSIC["source"], CLASSIC["device"]))
    tags = f"{TAGS[0]},klp_restore_run=r1"
    programs.on(["lvs", ...], report("classic", klp=None, root={"lv_tags": tags}))
    started_again(host)
    assert klp_restore.restoration(host.host, "r1")["backup"] == BACKUP
    assert (stage(host, "r1"), stage(host, "r2")) == ("done", "none")
    assert restore(host, "r1", "r1")["reboot"] is None


def test_a_logical_volume_is_backed_up(host, programs):
    host.pillar["klp"] = {"run": "20231114T221320Z-0000ab", "backup": {"backend": "lvm"}}
    host.file(klp_paths.MOUNTS, mount("xfs", CLASSIC["source"], CLASSIC["device"]))
    without = report("classic", klp=None)
    programs.on(["lvs", ...], without, without, without, report("classic"))
    programs.on(["lvcreate", ...])
    assert host.salt["root_backup.create"]()["backup"] == BACKUP
    assert host.salt["root_backup.verify"](BACKUP)["files"] == 7


@pytest.mark.parametrize("confirm", ["", "vol-1"])
def test_the_state_predicts_what_would_be_lost(host, confirm):
    ret = apply(made(host), "root_backup.restored", "vol-1", confirm, test=True)
    assert (ret["result"], ret["changes"]) == (None, {"restored": {"old": None, "new": "vol-1"}})
    needs = "It needs pillar klp:restore:confirm: vol-1"
    assert MADE in ret["comment"] and ret["comment"].endswith(needs) is not bool(confirm)


def test_the_state_is_false_without_a_confirmation(host):
    ret = apply(made(host), "root_backup.restored", "vol-1")
    assert (ret["result"], ret["changes"]) == (False, {})
    assert ret["comment"].startswith("nothing is restored without a confirmation; with backup vol-1:\n")


def test_the_state_puts_a_backup_back_once(host):
    waits = "A reboot is needed: until then the running system stays as it is"
    ret = apply(made(host), "root_backup.restored", "vol-1", "vol-1")
    assert (ret["result"], ret["changes"]) == (True, {"restored": {"old": None, "new": "vol-1"}})
    assert ret["comment"].startswith("Changed: backup vol-1 takes the place of") and ret["comment"].endswith(waits)
    for test in (True, False):
        ret = apply(host, "root_backup.restored", "vol-1", "vol-1", test=test)
        assert (ret["result"], ret["changes"]) == (True, {}) and ret["comment"].endswith(waits)
    started_again(host)
    ret = apply(host, "root_backup.restored", "vol-1", "vol-1")
    assert (ret["result"], ret["changes"]) == (True, {})
    in_force = "backup vol-1 is in force, the packages of this host are those of the backup"
    assert ret["comment"] == f"Already as declared: {in_force}"


@pytest.mark.parametrize("test", [True, False])
def test_the_state_names_no_backup(host, test):
    ret = apply(host, "root_backup.restored", "", test=test)
    assert ret["result"] is False and ret["comment"].startswith("no backup is named")
