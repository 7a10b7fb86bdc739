"""Runs and their backups; the texts of snapper and SUSEConnect."""

import time

import pytest

import klp_backup
import klp_backup_command as command
import klp_register
import klp_snapper
from tests.unit.loader import recorded

HEADER = "config,subvolume,number,default,active,type,pre-number,date,user,used-space,cleanup,description,userdata\n"


def run(name, finished=None, backup=None, created=None, backend="snapper"):
    fields = {"backend": backend, "backup": backup, "created": created}
    return dict({"run": name, "opened": 0, "finished": finished}, **fields)


OLD, OPEN, OTHER = run("old", finished=9), run("open"), run("other")


@pytest.mark.parametrize(
    ("runs", "wanted", "found"),
    [
        ([], "", None),
        ([OLD], "", None),
        ([OLD, OPEN], "", OPEN),
        ([OPEN, OTHER, OLD], "", OTHER),
        ([OLD, OPEN], "old", OLD),
        ([OLD, OPEN], "new", None),
    ],
)
def test_the_current_run_is_the_named_one_or_the_newest_open_one(runs, wanted, found):
    assert klp_backup.current(runs, wanted) == found


def test_a_new_run_stands_at_the_end_and_old_ones_are_forgotten():
    runs = [OPEN] + [run(str(number), finished=number) for number in range(klp_backup.KEPT + 5)]
    found = klp_backup.opened(runs, "new", "command", 77)
    new = {"run": "new", "opened": 77, "finished": None, "backend": "command", "backup": None, "created": None}
    assert found[0] == OPEN and found[1]["run"] == "5" and found[-1] == new
    assert len(found) == klp_backup.KEPT + 2


def test_runs_with_a_backup_are_remembered_longer():
    runs = [run(str(number), finished=number, backup="7") for number in range(klp_backup.MOST + 5)]
    assert len(klp_backup.opened(runs, "new", "command", 77)) == klp_backup.MOST + 1


def test_a_backup_is_found_by_its_id_or_its_run():
    old, new, other = run("a", 1, "5"), run("a", 2, "7"), run("7", 3, "8")
    runs = [old, new, other, run("b")]
    assert klp_backup.found(runs, "5") == old and klp_backup.found(runs, "a") == new
    assert klp_backup.found(runs, "7") == new and klp_backup.found(runs, "8") == other
    assert klp_backup.found(runs, "b") is None and klp_backup.found([], "5") is None


def test_a_backup_that_is_gone_is_forgotten_and_its_run_is_not():
    found = klp_backup.forgotten([OLD, run("a", 1, "5", 3)], run("a", 1, "5", 3))
    assert found == [OLD, dict(run("a", 1), deleted="5")]


def test_the_digest_of_packages_does_not_depend_on_their_order():
    one = klp_backup.digest({"b": ["2", "1"], "a": ["3"]})
    assert one == klp_backup.digest({"a": "3", "b": "1,2"}) != klp_backup.digest({"a": "3", "b": "1"})


RECORD = {"backup": "7", "run": "a", "backend": "command", "since": 50, "boot": "b1", "packages": "d"}
TRACE = {"klp_restore": "7", "klp_since": "50", "klp_packages": "d", "active": False}


@pytest.mark.parametrize(
    ("record", "trace", "boot", "runs", "stage"),
    [
        ({}, None, "b1", [], "none"),
        (dict(RECORD, stage="prepared"), None, "b1", [], "prepared"),
        (dict(RECORD, stage="prepared"), None, "b2", [], "done"),
        (dict(RECORD, stage="done"), None, "b2", [], "done"),
        (dict(RECORD, stage="done"), None, "b1", [], "done"),
        (dict(RECORD, stage="done"), None, "b2", [dict(OPEN, opened=51)], "none"),
        (dict(RECORD, stage="done"), None, "b2", [run("a", 9, "9", 51)], "none"),
        (dict(RECORD, stage="done"), None, "b2", [run("a", 9, "9", 49)], "done"),
        (dict(RECORD, stage="begun"), None, "b1", [], "begun"),
        (dict(RECORD, stage="begun"), None, "b2", [], "begun"),
        (dict(RECORD, stage="prepared", backup="8"), None, "b1", [], "none"),
        (dict(RECORD, stage="prepared", backend="snapper"), None, "b1", [], "none"),
        (dict(RECORD, stage="begun", backend="snapper"), None, "b1", [], "begun"),
        (dict(RECORD, stage="begun", backend="snapper"), TRACE, "b1", [], "prepared"),
        ({}, TRACE, "b1", [], "prepared"),
        ({}, TRACE, "b1", [dict(OPEN, opened=51)], "prepared"),
        ({}, dict(TRACE, active=True), "b1", [], "done"),
        ({}, dict(TRACE, active=True), "b1", [dict(OPEN, opened=51)], "none"),
        ({}, dict(TRACE, klp_restore="8"), "b1", [], "none"),
        ({}, dict(TRACE, klp_since="soon"), "b1", [], "none"),
    ],
)
def test_how_far_a_restoration_is(record, trace, boot, runs, stage):
    found = klp_backup.stage("7", record, trace, boot, runs)
    assert found["stage"] == stage
    assert (found["since"], found["packages"]) == ((None, None) if stage == "none" else (50, "d"))


def test_what_is_lost_is_told_in_lines():
    changes = {"b": {"old": "2", "new": "1"}, "a": {"old": None, "new": "1"}, "c": {"old": "1", "new": None}}
    assert klp_backup.told({"packages": changes, "notes": ["all"]}) == [
        "Package a: not installed becomes 1",
        "Package b: 2 becomes 1",
        "Package c: 1 becomes not installed",
        "all",
    ]
    assert klp_backup.told({"packages": None, "notes": ["all"]}) == ["all"]


def test_only_one_run_is_changed():
    assert klp_backup.changed([OLD, OPEN], "open", backup="7") == [OLD, run("open", backup="7")]
    assert OPEN["backup"] is None


HOUR = 3600


@pytest.mark.parametrize(
    ("item", "backend", "answer"),
    [
        (None, "snapper", False),
        (OPEN, "snapper", False),
        (run("a", backup="7", created=100 * HOUR), "snapper", True),
        (run("a", backup="7", created=100 * HOUR), "command", False),
        (run("a", backup="7", created=76 * HOUR), "snapper", True),
        (run("a", backup="7", created=76 * HOUR - 1), "snapper", False),
        (run("a", backup="7", created=101 * HOUR), "snapper", False),
    ],
)
def test_a_backup_is_usable_if_it_is_young_and_of_the_backend(item, backend, answer):
    assert klp_backup.usable(item, backend, 100 * HOUR, 24) is answer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("42\n", "42"),
        ("creating\n\n  vol-0a1b2c@2023.1  \n\n", "vol-0a1b2c@2023.1"),
        ("projects/p/snapshots/s=1", "projects/p/snapshots/s=1"),
        ("a" * 256, "a" * 256),
    ],
)
def test_the_id_is_the_last_line(text, found):
    assert command.printed_id(text) == found


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_no_line_is_no_id(text):
    with pytest.raises(ValueError, match="^it printed no id$"):
        command.printed_id(text)


@pytest.mark.parametrize("text", ["two words", "-y", "id\ndone!", "a" * 257, "a;b", "$(a)", "ä"])
def test_an_id_is_one_word(text):
    with pytest.raises(ValueError, match="^the last line it printed is no id: "):
        command.printed_id(text)


def snapshot(userdata, date="d", default=False, active=False):
    fields = {"id": "3", "date": date, "userdata": userdata, "description": ""}
    return dict(fields, default=default, active=active)


def test_snapshots_are_found_by_their_userdata():
    (found,) = klp_snapper.snapshots(recorded("snapper/list.csv"))
    assert (found["id"], found["description"]) == ("1", "salt-klp test-run")
    assert found["userdata"] == {"klp_run": "test-run", "important": "yes"}
    assert found["date"].startswith("2026-11-22 ")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (HEADER, []),
        (
            "number,date,userdata\n0,,\n3,d,a=b=c\n",
            [snapshot({"a": "b=c"})],
        ),
        (
            'number,date,userdata\n3,d,"a=1, b = 2, c"\n',
            [snapshot({"a": "1", "b": "2"})],
        ),
        ("number,date,userdata\n3\n", [snapshot({}, date=None)]),
        ("number,date,userdata,default,active\n3,d,,yes,no\n", [snapshot({}, default=True)]),
        ("number,date,userdata,default,active\n3,d,,no,yes\n", [snapshot({}, active=True)]),
    ],
)
def test_other_lists_of_snapshots(text, found):
    assert klp_snapper.snapshots(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column number in ''"),
        ("# | Type\n--+---\n", "no column number in '# | Type'"),
        (HEADER.replace("userdata", "data"), "no column userdata"),
        ('x","number,date,userdata\n1,2,3\n', "no column number"),
        ("number,date,userdata\n" + "a" * 200_000, "not CSV"),
    ],
)
def test_a_list_of_another_form_is_named(text, message):
    with pytest.raises(ValueError, match=f"^snapper list: {message}"):
        klp_snapper.snapshots(text)


def test_products_are_read_without_registration_codes():
    found = klp_register.products(recorded("SUSEConnect/status.json"))
    assert found == {"SLES": {"version": "15.5", "arch": "x86_64", "registered": True}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SECRET", "the answer is not JSON"),
        ('{"a": "SECRET"}', "the answer is not a list of products"),
        ('["SECRET"]', "the answer is not a list of products"),
        ('[{"identifier": "SECRET"}]', "a product without identifier, version, arch or status"),
        ('[{"identifier": "SLES", "version": 15, "arch": "a", "status": "SECRET"}]', "a product without identifier"),
    ],
)
def test_an_unknown_status_is_an_error_that_quotes_nothing(text, message):
    with pytest.raises(ValueError, match=message) as error:
        klp_register.products(text)
    assert "SECRET" not in str(error.value)


def product(registered=True, version="15.5", arch="x86_64"):
    return {"version": version, "arch": arch, "registered": registered}


NAME = "sle-module-live-patching"


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        ({}, None),
        ({"SLES": product(False)}, None),
        ({"SLES": product()}, f"{NAME}/15.5/x86_64"),
        ({"SLES": product(), NAME: product()}, None),
        ({"SLES": product(), NAME: product(False)}, f"{NAME}/15.5/x86_64"),
        ({"PackageHub": product(version="1"), "SLES_SAP": product(arch="ppc64le")}, f"{NAME}/15.5/ppc64le"),
        ({"openSUSE": product(version="15.6")}, f"{NAME}/15.6/x86_64"),
    ],
)
def test_the_product_to_activate_follows_the_base_product(found, missing):
    assert klp_register.missing(found, NAME) == missing


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1700000000, "2023-11-14 22:13:20 +0000"),
        (None, None),
        ("soon", "no time: 'soon'"),
        (1e300, "no time: 1e+300"),
        (10**30, "no time: 1000000000000000000000000000000"),
    ],
)
def test_times_are_shown_as_people_read_them_too(monkeypatch, seconds, text):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    run = {"opened": seconds, "created": None, "finished": 0}
    assert klp_backup.when(run) == {"opened": text, "created": None, "finished": "1970-01-01 00:00:00 +0000"}
    monkeypatch.undo()
    time.tzset()
