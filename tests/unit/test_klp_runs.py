"""The way back: one verified backup for a run, however often it is interrupted."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
import klp_runs
import klp_sys
from tests.unit import backups
from tests.unit.backups import COMMAND, CREATE, DAY, FIRST_RUN, HOST, VERIFY, runs
from tests.unit.hosts import another_run, remembers

host = backups.host  # the fixture


def test_the_command_makes_and_verifies_a_backup_for_a_run(host, programs):
    assert host.salt["root_backup.create"]() == {"run": FIRST_RUN, "backend": "command", "backup": "vol-1"}
    assert [argv for argv in programs.calls if argv[0] != "rpm"] == [CREATE, VERIFY + ["vol-1"]]
    for options in programs.options[1:]:
        assert options["env"] == {"LC_ALL": "C", "KLP_RUN": FIRST_RUN, "KLP_HOST": "sles1"}
        assert options["timeout"] == 1800
    assert runs(host) == [(FIRST_RUN, "vol-1", False)]


def test_an_interrupted_run_keeps_its_backup_but_verifies_it_again(host, programs):
    host.salt["root_backup.create"]()
    host.clock.now += DAY - 1
    assert klp_runs.usable(host.host) == "vol-1"
    assert host.salt["root_backup.create"]()["backup"] == "vol-1"
    assert [argv[1] for argv in programs.started("backup")] == ["new", "check", "check", "check"]


def test_an_expired_backup_is_followed_by_a_new_run(host):
    host.salt["root_backup.create"]()
    host.clock.now += DAY + 1
    assert klp_runs.usable(host.host) is None
    assert host.salt["root_backup.create"]()["backup"] == "vol-2"
    assert runs(host) == [(FIRST_RUN, "vol-1", True), ("T1700086401-0000ab", "vol-2", False)]


def test_a_finished_run_is_followed_by_a_new_one(host):
    host.salt["root_backup.create"]()
    assert klp_runs.finish(host.host) == FIRST_RUN
    assert klp_runs.finish(host.host) is None
    assert klp_runs.current(host.host) is None
    host.clock.now += 60
    assert host.salt["root_backup.create"]()["backup"] == "vol-2"


def test_with_a_run_those_end_that_were_begun_before_it(host):
    """They never came to their end; the state root_backup.finished would be false for as many runs otherwise."""
    for run in ("campaign-7", "campaign-8"):
        host.pillar["klp"]["run"] = run
        host.salt["root_backup.create"]()
    host.pillar["klp"]["run"] = "campaign-9"
    assert klp_runs.finish(host.host) is None
    host.salt["root_backup.create"]()
    assert klp_runs.finish(host.host) == "campaign-9"
    assert [finished for _, _, finished in runs(host)] == [False, False, True]
    host.pillar["klp"]["run"] = ""
    assert klp_runs.finish(host.host) == "campaign-8"
    assert [finished for _, _, finished in runs(host)] == [True, True, True]
    assert klp_runs.finish(host.host) is None


def test_a_pinned_run_goes_on_after_its_end(host):
    host.pillar["klp"]["run"] = "campaign-7"
    assert host.salt["root_backup.create"]()["run"] == "campaign-7"
    assert klp_runs.finish(host.host) == "campaign-7"
    assert klp_runs.usable(host.host) == "vol-1"


def test_an_expired_pinned_run_makes_a_new_backup_and_keeps_the_old_one_in_mind(host):
    host.pillar["klp"]["run"] = "campaign-7"
    host.salt["root_backup.create"]()
    klp_runs.finish(host.host)
    host.clock.now += 2 * DAY
    assert host.salt["root_backup.create"]() == {"run": "campaign-7", "backend": "command", "backup": "vol-2"}
    assert runs(host) == [("campaign-7", "vol-1", True), ("campaign-7", "vol-2", False)]
    assert host.salt["root_backup.verify"]("vol-1")["backup"] == "vol-1"
    assert klp_runs.finish(host.host) == "campaign-7"
    assert [finished for _, _, finished in runs(host)] == [True, True]


def test_an_open_pinned_run_makes_a_new_backup_and_keeps_the_expired_one_in_mind(host):
    """What nobody remembers is never deleted."""
    host.pillar["klp"]["run"] = "campaign-7"
    host.salt["root_backup.create"]()
    host.clock.now += 2 * DAY
    assert host.salt["root_backup.create"]()["backup"] == "vol-2"
    assert runs(host) == [("campaign-7", "vol-1", True), ("campaign-7", "vol-2", False)]
    assert klp_runs.run_record("campaign-7")["finished"] is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"retcode": 1, "stderr": "quota"}, r"^/usr/bin/backup new: exit 1: quota$"),
        ({"stdout": ""}, r"^backup: /usr/bin/backup: it printed no id$"),
        ({"stdout": "all done!"}, r"^backup: /usr/bin/backup: the last line it printed is no id: 'all done!'$"),
    ],
)
def test_a_backup_that_fails_leaves_an_open_run_without_one(host, programs, answer, message):
    programs.on(CREATE, answer)
    with pytest.raises(CommandExecutionError, match=message):
        host.salt["root_backup.create"]()
    assert runs(host) == [(FIRST_RUN, None, False)] and klp_runs.usable(host.host) is None
    programs.on(CREATE, "vol-9")
    host.clock.now += 60
    assert host.salt["root_backup.create"]() == {"run": FIRST_RUN, "backend": "command", "backup": "vol-9"}


def test_a_backup_that_cannot_be_verified_is_not_usable(host, programs):
    programs.on(VERIFY + ["vol-1"], {"retcode": 2, "stderr": "gone"})
    with pytest.raises(CommandExecutionError, match="check vol-1: exit 2: gone"):
        host.salt["root_backup.create"]()
    assert klp_runs.usable(host.host) is None
    host.clock.now += 60
    assert host.salt["root_backup.create"]()["backup"] == "vol-2"


def test_without_a_backend_nothing_is_done(host, programs):
    host.pillar["klp"] = {}
    for function in (host.salt["root_backup.create"], lambda: klp_runs.usable(host.host)):
        with pytest.raises(
            CommandExecutionError,
            match="^no backup backend is set, so nothing is installed; set pillar klp:backup:backend",
        ):
            function()
    assert programs.calls == []


def test_a_host_may_be_patched_without_a_way_back(host, programs):
    host.pillar["klp"] = {"backup": {"backend": "none"}}
    assert klp_runs.usable(host.host) == "none"
    assert host.salt["root_backup.create"]() == {"run": None, "backend": "none", "backup": "none"}
    assert programs.calls == [] and runs(host) == []


def test_another_backend_makes_its_own_backup(host, programs):
    host.salt["root_backup.create"]()
    host.pillar["klp"] = {"backup": dict(COMMAND, backend="snapper", create=[], verify=[])}
    host.clock.now += 60
    assert klp_runs.usable(host.host) is None


@pytest.mark.parametrize("backup", ["vol-1", 17])
def test_a_backup_can_be_verified_by_its_id(host, programs, backup):
    programs.on(CREATE, str(backup))
    host.salt["root_backup.create"]()
    found = host.salt["root_backup.verify"](backup)
    assert (found["run"], found["backend"], found["backup"]) == (FIRST_RUN, "command", str(backup))


def test_an_unknown_backup_is_named_with_the_known_ones(host):
    with pytest.raises(CommandExecutionError, match="^backup 'x' is not known on this host; known: none$"):
        host.salt["root_backup.verify"]("x")
    host.salt["root_backup.create"]()
    with pytest.raises(CommandExecutionError, match="known: vol-1$"):
        host.salt["root_backup.verify"]("vol-2")


def test_a_backup_of_an_unknown_backend_is_an_error(host):
    host.salt["root_backup.create"]()
    path = Path(klp_paths.RECORDS, "runs.json")
    path.write_text(path.read_text().replace('"command"', '"tape"'))
    with pytest.raises(CommandExecutionError, match="^backup vol-1: was made by the unknown backend tape$"):
        host.salt["root_backup.verify"]("vol-1")


def test_a_damaged_record_stops_the_backup(host, programs):
    host.file(f"{klp_paths.RECORDS}/runs.json", "[")
    with pytest.raises(CommandExecutionError, match="runs.json: cannot be read"):
        host.salt["root_backup.create"]()
    assert programs.calls == []


@pytest.mark.parametrize("text", ["[1]", '[{"run": "r1"}]', "[null]"])
def test_a_record_of_another_shape_stops_the_backup(host, programs, text):
    host.file(f"{klp_paths.RECORDS}/runs.json", text)
    with pytest.raises(CommandExecutionError, match="runs.json: not what salt-klp wrote; repair it or move it away$"):
        host.salt["root_backup.create"]()
    assert programs.calls == []


def test_what_is_remembered_is_plain(host):
    host.salt["root_backup.create"]()
    assert json.loads(Path(klp_paths.RECORDS, "runs.json").read_text()) == [
        {
            "run": FIRST_RUN,
            "opened": 1_700_000_000,
            "finished": None,
            "backend": "command",
            "backup": "vol-1",
            "created": 1_700_000_000,
            "host": HOST,
            "packages": hashlib.sha256(b"curl\t1-1\nglibc\t2-1\n").hexdigest(),
            "altered": {},
        }
    ]


def test_the_packages_are_written_down_before_the_backup_is_made(host, programs):
    seen = []
    programs.on(CREATE, "vol-1", then=lambda: seen.append(klp_runs.current(host.host)))
    host.salt["root_backup.create"]()
    assert (seen[0]["backup"], seen[0]["host"], len(seen[0]["packages"])) == (None, HOST, 64)


@pytest.mark.parametrize("text", [None, "", "uninitialized\n", HOST.upper(), HOST + "0", "../../etc\n"])
def test_a_host_without_a_machine_id_makes_no_backup(host, programs, text):
    os.unlink(klp_paths.MACHINE_ID)
    if text is not None:
        host.file(klp_paths.MACHINE_ID, text)
    with pytest.raises(CommandExecutionError, match="^/etc/machine-id holds no machine id: "):
        host.salt["root_backup.create"]()
    assert programs.started("backup", "new") == []


def test_what_is_proved_by_a_program_is_told(host):
    host.salt["root_backup.create"]()
    host.clock.now += 5400
    assert host.salt["root_backup.verify"]("vol-1") == {
        "run": FIRST_RUN,
        "backend": "command",
        "backup": "vol-1",
        "host": HOST,
        "created": 1_700_000_000,
        "age": 1.5,
        "packages": None,
        "files": None,
    }


def test_a_backup_of_another_host_is_refused(host):
    host.salt["root_backup.create"]()
    record(host, host="f" * 32)
    for function in ("root_backup.verify", "root_backup.delete"):
        with pytest.raises(
            CommandExecutionError, match=f"backup vol-1 was made by another host .machine id {'f' * 32}"
        ):
            host.salt[function]("vol-1")
    assert klp_runs.usable(host.host) is None


def test_a_record_of_an_older_version_is_good_enough(host):
    host.salt["root_backup.create"]()
    record(host, "host", "packages", "altered")
    assert host.salt["root_backup.verify"]("vol-1")["host"] is None


def record(minion, *without, **fields):
    """Change what a host remembers of its last run."""
    path = Path(klp_paths.RECORDS, "runs.json")
    runs_ = json.loads(path.read_text())
    runs_[-1].update(fields)
    for name in without:
        del runs_[-1][name]
    path.write_text(json.dumps(runs_))


# -- what a run leaves behind ------------------------------------------------------------------------------------------


def ended(run, opened, finished=None, backup=None):
    return {"run": run, "opened": opened, "finished": finished, "backend": "none", "backup": backup, "created": None}


def test_a_run_is_known_by_its_id(minion):
    remembers(minion, "runs", [ended("a", 10, 20), ended("7", 30), ended("a", 50, 90, "vol-3")])
    assert klp_runs.run_record("a") == {"opened": 50, "finished": 90, "backup": "vol-3"}
    assert klp_runs.run_record("b") is None


def test_an_id_of_digits_is_a_number_on_the_command_line(minion):
    remembers(minion, "runs", [ended("123456789012", 30)])
    assert klp_runs.run_record(123456789012) == {"opened": 30, "finished": None, "backup": None}


def test_a_host_without_runs_knows_none(minion):
    assert klp_runs.run_record("a") is None and klp_runs.duration() is None


def test_the_last_finished_run_tells_how_long_runs_take(minion):
    remembers(minion, "runs", [ended("a", 10, 20), ended("b", 50, 90), ended("c", 100)])
    assert klp_runs.duration() == 40


def test_a_damaged_record_is_no_reason_against_a_guess_of_the_duration_only(minion):
    minion.file(f"{klp_paths.RECORDS}/runs.json", "[")
    assert klp_runs.duration() is None
    with pytest.raises(CommandExecutionError, match="runs.json: cannot be read"):
        klp_runs.run_record("a")


# -- who may change backups --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args"), [("create", []), ("delete", ["vol-1"]), ("prune", []), ("restore", ["vol-1", "vol-1"])]
)
def test_nothing_is_changed_while_another_run_changes_this_host(host, programs, name, args):
    host.salt["root_backup.create"]()
    programs.calls.clear()
    with another_run("klp.patch"), pytest.raises(CommandExecutionError, match="^process 4711 is changing this host"):
        host.salt[f"root_backup.{name}"](*args)
    assert programs.calls == []


def test_a_backup_can_be_looked_at_meanwhile(host):
    host.salt["root_backup.create"]()
    with another_run("klp.patch"):
        assert host.salt["root_backup.verify"]("vol-1")["backup"] == "vol-1"
        assert len(host.salt["root_backup.list"]()) == 1 and host.salt["root_backup.pending_restore"]() is None


def test_a_transactional_host_has_snapshots_of_its_own(host, programs, monkeypatch):
    host.salt["root_backup.create"]()
    programs.calls.clear()
    monkeypatch.setattr(klp_sys, "read_only", lambda path: True)
    for function in (host.salt["root_backup.create"], lambda: host.salt["root_backup.restore"]("vol-1", "vol-1")):
        with pytest.raises(CommandExecutionError, match="^/usr is read-only: "):
            function()
    assert programs.calls == []
