"""What was begun and not seen to end: recorded, found again where it is installed, forgotten at the end."""

import os

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
import zypp_begun
from tests.unit.hosts import record, remembers, rpm


def test_without_a_record_nothing_was_begun_and_rpm_is_not_asked(minion, programs):
    assert zypp_begun.unfinished(minion.host) == {} and zypp_begun.recorded("a") is None
    zypp_begun.end(["a"])
    zypp_begun.begin({})
    assert programs.calls == [] and record("begun") is None


def test_what_was_begun_before_stays(minion):
    zypp_begun.begin({"a": "1-1", "b": "1-1"})
    zypp_begun.begin({"b": "2-1"})
    assert record("begun") == {"a": "1-1", "b": "2-1"} and zypp_begun.recorded("b") == "2-1"
    zypp_begun.end(["b", "c"])
    assert record("begun") == {"a": "1-1"}


def test_a_record_that_does_not_change_is_not_written_again(minion):
    zypp_begun.begin({"a": "1-1"})
    path = f"{klp_paths.RECORDS}/begun.json"
    before = os.stat(path).st_ino
    zypp_begun.begin({"a": "1-1"})
    zypp_begun.end(["b"])
    assert os.stat(path).st_ino == before


@pytest.mark.parametrize(
    ("begun", "installed", "unfinished"),
    [
        ({"a": "2-1"}, {"a": "2-1"}, {"a": "2-1"}),
        ({"a": "2-1"}, {"a": "1-1,2-1"}, {"a": "2-1"}),
        ({"a": "2-1"}, {"a": "1-1"}, {}),
        ({"a": "2-1"}, {"a": "1-1,3-1"}, {}),
        ({"a": "2-1"}, {}, {}),
        ({"a": "1:2-1"}, {"a": "2-1"}, {"a": "1:2-1"}),
        ({"b": "1-1", "a": "2-1", "c": "1-1"}, {"a": "2-1", "b": "1-1"}, {"a": "2-1", "b": "1-1"}),
    ],
)
def test_what_was_begun_and_is_installed_is_unfinished(minion, programs, begun, installed, unfinished):
    rpm(minion, installed)
    remembers(minion, "begun", begun)
    found = zypp_begun.unfinished(minion.host)
    assert found == unfinished and list(found) == sorted(found) and len(programs.calls) == 1


@pytest.mark.parametrize(
    "value",
    [
        ["a"],
        "a",
        {"a": 1},
        {"a": None},
        {"a": ["1-1"]},
        {"a": ""},
        {"": "1-1"},
        {"a": "-1"},
        {"--root=/": "1-1"},
        {"a=1-1": "1-1"},
        {"pattern:a": "1-1"},
        {"a b": "1-1"},
    ],
)
def test_a_record_of_another_form_is_an_error_that_names_the_file(minion, programs, value):
    remembers(minion, "begun", value)
    wanted = f"{klp_paths.RECORDS}/begun.json: not what salt-klp wrote; repair it or move it away"
    for call in (
        lambda: zypp_begun.unfinished(minion.host),
        lambda: zypp_begun.recorded("a"),
        lambda: zypp_begun.begin({"b": "1-1"}),
        lambda: zypp_begun.end(["a"]),
    ):
        with pytest.raises(CommandExecutionError) as error:
            call()
        assert str(error.value) == wanted
    assert programs.calls == [] and record("begun") == value


def test_a_record_that_is_no_json_is_an_error_that_names_the_file(minion):
    minion.file(f"{klp_paths.RECORDS}/begun.json", '{"a": ')
    with pytest.raises(CommandExecutionError, match="begun.json: cannot be read .*; repair it or move it away$"):
        zypp_begun.unfinished(minion.host)
