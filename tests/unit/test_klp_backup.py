"""Runs and their backups; the texts of snapper and SUSEConnect."""

import pytest

from tests.unit.loader import load, recorded

klp_backup, klp_register = load("_utils", "klp_backup"), load("_utils", "klp_register")
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
    assert klp_backup.printed_id(text) == found


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_no_line_is_no_id(text):
    with pytest.raises(ValueError, match="^it printed no id$"):
        klp_backup.printed_id(text)


@pytest.mark.parametrize("text", ["two words", "-y", "id\ndone!", "a" * 257, "a;b", "$(a)", "ä"])
def test_an_id_is_one_word(text):
    with pytest.raises(ValueError, match="^the last line it printed is no id: "):
        klp_backup.printed_id(text)


def test_snapshots_are_found_by_their_userdata():
    (found,) = klp_backup.snapshots(recorded("snapper/list.csv"))
    assert (found["id"], found["description"]) == ("1", "salt-klp test-run")
    assert found["userdata"] == {"klp_run": "test-run", "important": "yes"}
    assert found["date"].startswith("2026-11-22 ")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (HEADER, []),
        (
            "number,date,userdata\n0,,\n3,d,a=b=c\n",
            [{"id": "3", "date": "d", "userdata": {"a": "b=c"}, "description": ""}],
        ),
        (
            'number,date,userdata\n3,d,"a=1, b = 2, c"\n',
            [{"id": "3", "date": "d", "userdata": {"a": "1", "b": "2"}, "description": ""}],
        ),
        ("number,date,userdata\n3\n", [{"id": "3", "date": None, "userdata": {}, "description": ""}]),
    ],
)
def test_other_lists_of_snapshots(text, found):
    assert klp_backup.snapshots(text) == found


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
        klp_backup.snapshots(text)


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
