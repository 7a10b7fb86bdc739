"""Snapshots of ours are made, found, deleted and put back; those of others are left alone."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_snapper
from tests.unit.backups import CONFIGS, HEADER, LIST, row

HOST, OTHER = "a" * 32, "b" * 32
TOKEN = {"klp_restore": "5", "klp_since": 77, "klp_boot": "b1"}


def ours(number, run="r1", host=HOST):
    return row(number, klp_run=run, klp_host=host, important="yes")


def job(known=(), config="root", version=(0, 8, 6), **more):
    return dict({"run": "r1", "host": HOST, "known": list(known), "config": config, "version": version}, **more)


class Snapper:
    """Answers like snapper and keeps what it was asked."""

    def __init__(self, *rows, configs="root,/\n", created="6\n"):
        self.calls, self.rows, self.configs, self.created = [], list(rows), configs, created

    def __call__(self, argv, ok=(0,)):
        self.calls.append(argv)
        if argv[-2] == "delete":
            self.rows = [text for text in self.rows if not text.startswith(f"{argv[-1]},") or ",yes," in text]
            return {"retcode": 0, "stdout": "", "stderr": ""}
        word = argv[-2] if argv[-1] == "--disable-used-space" else argv[-1]
        answers = {"list": HEADER + "".join(self.rows), "list-configs": "config,subvolume\n" + self.configs}
        return {"retcode": 0, "stdout": answers.get(word, self.created), "stderr": ""}


def test_a_snapshot_carries_its_run_and_its_host():
    call = Snapper()
    assert klp_snapper.create(call, job()) == "6"
    userdata = f"klp_run=r1,klp_host={HOST},important=yes"
    create = ["snapper", "-c", "root", "create", "-t", "single", "-p", "-d", "salt-klp r1", "-u", userdata]
    assert call.calls == [create]


def test_the_configuration_of_the_root_volume_is_usable():
    assert klp_snapper.usable_here(Snapper(), job()) is None


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ("", "snapper has no configuration root: make it with: snapper -c root create-config /"),
        ("home,/home\n", "snapper has no configuration root: make it with: snapper -c root create-config /"),
        ("root,/home\n", "snapper's configuration root is of /home, not of /: set pillar klp:backup:config"),
        ("system,/\n", "snapper has no configuration root of /, but system: set pillar klp:backup:config to system"),
    ],
)
def test_a_configuration_of_something_else_is_refused_with_the_next_command(configs, message):
    call = Snapper(configs=configs)
    assert klp_snapper.usable_here(call, job()) == message
    assert call.calls == [CONFIGS]


@pytest.mark.parametrize("text", ["", "done\n", "-1", "6; reboot", "6\n7", "../6"])
def test_what_is_no_number_is_no_snapshot(text):
    with pytest.raises(CommandExecutionError, match="^backup: snapper create: wanted the number of a snapshot, found "):
        klp_snapper.create(Snapper(created=text), job())


@pytest.mark.parametrize("text", ["", "# | Config", "config\n", "x" * 200_000])
def test_an_unknown_list_of_configurations_is_an_error(text):
    with pytest.raises(ValueError, match="^snapper list-configs: "):
        klp_snapper.configurations(text)


def test_an_unknown_list_of_snapshots_is_an_error():
    with pytest.raises(CommandExecutionError, match="^backup: snapper list: no column number in 'huh'$"):
        klp_snapper.there(lambda argv: {"stdout": "huh"}, job(), "5")


@pytest.mark.parametrize(
    ("rows", "known", "found"),
    [
        ((), (), None),
        ((ours(4),), (), "4"),
        ((ours(4), ours(5)), (), "5"),
        ((ours(4),), ("4",), None),
        ((ours(4), ours(6)), ("4", "vol-1"), "6"),
        ((ours(4, run="r2"), ours(5, host=OTHER), row(6, klp_run="r1", klp_restore="5")), (), None),
        ((row(4, klp_run="r1"),), (), "4"),
    ],
)
def test_what_was_made_but_not_remembered_is_found(rows, known, found):
    assert klp_snapper.find(Snapper(*rows), job(known)) == found


def test_a_snapshot_that_is_there_is_verified():
    for rows in (ours(5), row(5, klp_run="r1")):
        klp_snapper.verify(Snapper(rows), job(), "5")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((), "^backup 5: snapper has no such snapshot of run r1$"),
        ((ours(5, run="r2"),), "^backup 5: snapper has no such snapshot of run r1$"),
        ((ours(5, host=OTHER),), f"^backup 5 was made by another host .machine id {OTHER}., this one is {HOST}$"),
    ],
)
def test_a_snapshot_of_something_else_is_refused(rows, message):
    with pytest.raises(CommandExecutionError, match=message):
        klp_snapper.verify(Snapper(*rows), job(), "5")


@pytest.mark.parametrize(
    ("rows", "whose"),
    [((), "gone"), ((ours(5),), "ours"), ((row(5),), "foreign"), ((ours(5, host=OTHER),), "foreign")],
)
def test_whose_a_snapshot_is(rows, whose):
    assert klp_snapper.there(Snapper(*rows), job(), "5") == whose


def test_a_snapshot_is_deleted_by_its_number():
    call = Snapper()
    klp_snapper.delete(call, job(), "5")
    assert call.calls == [["snapper", "-c", "root", "delete", "5"], LIST]


def test_a_snapshot_that_snapper_keeps_in_spite_of_exit_0_is_told():
    """Measured: it does not delete what is mounted or comes next, and says so with exit code 0."""
    with pytest.raises(CommandExecutionError, match="^backup 5: snapper has not deleted it: no output$"):
        klp_snapper.delete(Snapper(row(5, active="yes")), job(), "5")


@pytest.mark.parametrize("backup", ["-5", "5-9", "../5", "", "5 6"])
def test_what_is_no_number_reaches_no_program(backup):
    call = Snapper()
    for function in (klp_snapper.delete, klp_snapper.mounting):
        with pytest.raises(CommandExecutionError, match="is not the number of a snapshot$"):
            function(call, job(), backup)
    assert call.calls == []


def test_a_snapshot_is_looked_at_read_only():
    argv = ["mount", "-o", "bind,ro,nosuid,nodev,noexec", "/.snapshots/5/snapshot"]
    assert klp_snapper.mounting(None, job(), "5") == argv


def test_a_snapshot_is_put_back_by_a_rollback():
    call = Snapper(ours(5))
    klp_snapper.restore(call, job(), "5", TOKEN)
    userdata = "klp_boot=b1,klp_restore=5,klp_since=77,important=yes"
    rollback = ["snapper", "--ambit", "classic", "-c", "root", "rollback", "-d", "salt-klp restore 5", "-u", userdata]
    assert call.calls == [LIST, rollback + ["5"]]


def test_what_a_killed_rollback_left_is_taken_away_first():
    mine = {"klp_restore": "5", "klp_since": "77", "klp_boot": "another"}
    rows = (ours(5), row(6, **mine), row(7, default="yes", **mine), row(8, active="yes", **mine))
    call = Snapper(*rows, row(9, klp_restore="5", klp_since="70"), row(10))
    klp_snapper.restore(call, job(), "5", TOKEN)
    assert [argv for argv in call.calls if "delete" in argv] == [["snapper", "-c", "root", "delete", "6"]]


@pytest.mark.parametrize(
    ("rows", "trace"),
    [
        ((), None),
        ((row(7, default="yes"),), None),
        ((row(6, klp_restore="5"),), None),
        ((row(7, default="yes", klp_restore="5"),), {"klp_restore": "5", "active": False}),
        ((row(7, default="yes", active="yes", klp_restore="5"),), {"klp_restore": "5", "active": True}),
    ],
)
def test_the_default_subvolume_tells_of_a_restoration(rows, trace):
    assert klp_snapper.trace(Snapper(*rows), job()) == trace


# -- what SLES 12, 15 and 15 SP1 have ----------------------------------------------------------------------------------

OLD, MIDDLE = (0, 5, 6), (0, 8, 3)
USERDATA = f"important=yes, klp_host={HOST}, klp_run=r1"
OLD_TABLE = f"""\
Type   | # | Pre # | Date                     | User | Cleanup | Description  | Userdata
-------+---+-------+--------------------------+------+---------+--------------+---------
single | 0 |       |                          | root |         | current      |
pre    | 3 |       | Mon Jan  1 10:00:00 2024 | root | number  | zypp(zypper) | important=yes
post   | 4 | 3     | Mon Jan  1 10:00:09 2024 | root | number  |              |
single | 5 |       | Mon Jan  1 11:00:00 2024 | root |         | a | b        | {USERDATA}
"""
MIDDLE_TABLE = f"""\
 # | Type   | Pre # | Date                     | User | Cleanup | Description | Userdata
---+--------+-------+--------------------------+------+---------+-------------+---------
0  | single |       |                          | root |         | current     |
4- | single |       | Mon Jan  1 10:00:00 2024 | root |         | now         |
5  | single |       | Mon Jan  1 11:00:00 2024 | root |         | text        | {USERDATA}
7+ | single |       | Mon Jan  1 12:00:00 2024 | root |         | comes next  | klp_restore=5
8* | single |       | Mon Jan  1 12:00:00 2024 | root |         | both        |
"""
PLAIN = ["snapper", "--table-style", "0"]
BTRFS = ["btrfs", "subvolume", "get-default", "/"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("snapper 0.5.6\nflags btrfs\n", (0, 5, 6)),
        ("snapper 0.8.15\nlibsnapper 5.2.0\n", (0, 8, 15)),
        ("snapper 1.2", (1, 2, 0)),
    ],
)
def test_the_version_is_read(text, found):
    assert klp_snapper.version(text) == found


@pytest.mark.parametrize("text", ["", "huh", "snapper", "snapper x.y", "snapper -1.2", "libsnapper 0.8.6"])
def test_an_unknown_version_is_an_error(text):
    with pytest.raises(ValueError, match="^snapper --version: wanted snapper NUMBER, found "):
        klp_snapper.version(text)


class Tables:
    """Answers as an old snapper does, and as btrfs."""

    def __init__(self, table, configs="Config | Subvolume\n-------+----------\nroot   | /\n", default=""):
        self.calls, self.table, self.configs, self.default = [], table, configs, default

    def __call__(self, argv, ok=(0,)):
        self.calls.append(argv)
        answers = {"list-configs": self.configs, "list": self.table, "--disable-used-space": self.table}
        return {"retcode": 0, "stdout": answers.get(argv[-1], self.default), "stderr": ""}


def test_a_snapper_without_csv_is_read_by_its_table():
    call = Tables(OLD_TABLE)
    klp_snapper.verify(call, job(version=OLD), "5")
    assert klp_snapper.usable_here(call, job(version=OLD)) is None
    assert klp_snapper.there(call, job(version=OLD), "3") == "foreign"
    assert klp_snapper.find(call, job(version=OLD)) == "5"
    assert call.calls[0] == [*PLAIN, "-c", "root", "list"]
    assert call.calls[1] == [*PLAIN, "list-configs"]
    found = {item["id"]: item for item in klp_snapper.snapshots(OLD_TABLE, machine=False)}
    assert list(found) == ["3", "4", "5"]
    assert found["5"]["description"] == "a|b"
    assert found["3"]["userdata"] == {"important": "yes"} and found["4"]["userdata"] == {}


def test_the_space_of_snapshots_is_never_computed():
    call = Tables(MIDDLE_TABLE)
    klp_snapper.verify(call, job(version=MIDDLE), "5")
    assert call.calls == [[*PLAIN, "-c", "root", "list", "--disable-used-space"]]


def test_the_table_marks_the_default_and_the_active_snapshot():
    marks = {item["id"]: (item["default"], item["active"]) for item in klp_snapper.snapshots(MIDDLE_TABLE, False)}
    assert marks == {"4": (False, True), "5": (False, False), "7": (True, False), "8": (True, True)}
    assert klp_snapper.trace(Tables(MIDDLE_TABLE), job(version=MIDDLE)) == {"klp_restore": "5", "active": False}


def test_what_an_old_snapper_does_not_mark_is_known_from_btrfs():
    mine = "klp_restore=5, klp_since=77"
    table = OLD_TABLE + f"single | 6 | | | root | | x | {mine}\nsingle | 7 | | | root | | x | {mine}\n"
    call = Tables(table, default="ID 270 gen 9 top level 267 path @/.snapshots/7/snapshot\n")
    work = job(version=OLD, root={"subvolume": "/@/.snapshots/4/snapshot"})
    assert klp_snapper.trace(call, work) == {"klp_restore": "5", "klp_since": "77", "active": False}
    active = job(version=OLD, root={"subvolume": "/@/.snapshots/7/snapshot"})
    assert klp_snapper.trace(call, active)["active"] is True
    assert klp_snapper.trace(Tables(table, default="ID 5 (FS_TREE)\n"), work) is None
    call.calls.clear()
    call.table = OLD_TABLE
    klp_snapper.restore(call, work, "5", TOKEN)
    assert call.calls[:2] == [[*PLAIN, "-c", "root", "list"], BTRFS]
    assert call.calls[2][:4] == ["snapper", "-c", "root", "rollback"]  # --ambit came later, classic it was always


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "^snapper list: no column number in ''$"),
        ("huh", "^snapper list: no column number in 'huh'$"),
        ("# | Date | Userdata", "^snapper list: not its table: "),
        ("# | Date | Userdata\nx | y | z", "^snapper list: not its table: "),
        ("# | Date | Userdata\n--+--+--\n1 | 2", "^snapper list: unknown line '1 . 2'$"),
        ("# | Date | Userdata\n--+--+--\n1 | 2 | 3 | 4", "^snapper list: unknown line "),
    ],
)
def test_an_unknown_table_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        klp_snapper.snapshots(text, machine=False)
