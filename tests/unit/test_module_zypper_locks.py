"""Package locks: read from their file, written by zypper, only our own are taken away."""

import json

import pytest
from salt.exceptions import CommandExecutionError

WRITE = ["zypper", "--non-interactive"]


def adds(minion, *names):
    """Let zypper write these locks."""
    minion.programs.on(
        WRITE + ["addlock", *names], "Specified lock has been successfully added.", then=lambda: minion.locked(*names)
    )


def test_no_file_is_no_lock(minion, programs):
    assert minion.salt["zypper.locks"]() == [] and programs.calls == []


def test_locks_are_read_without_zypper(minion, programs):
    minion.locked("kernel-default", "curl")
    assert [lock["package"] for lock in minion.salt["zypper.locks"]()] == ["kernel-default", "curl"]
    assert minion.salt["zypper.locked"](["vim", "curl"]) == ["curl"] and programs.calls == []


def test_carriage_returns_of_the_file_are_not_lost(minion):
    minion.locked("curl")
    minion.write("locks", (minion.root / "locks").read_text().replace("\n", "\r\n"))
    assert minion.salt["zypper.locked"](["curl"]) == []


@pytest.mark.parametrize("damage", ["bytes", "folder"])
def test_a_file_that_cannot_be_read_is_an_error(minion, damage):
    path = minion.root / "locks"
    path.mkdir() if damage == "folder" else path.write_bytes(b"type: \xff\n")
    with pytest.raises(CommandExecutionError, match="cannot be read .*; no lock counts until it is repaired"):
        minion.salt["zypper.locks"]()


def test_only_missing_locks_are_added_by_one_call(minion, programs):
    minion.locked("curl")
    programs.on(WRITE + ["addlock", "a", "b"], then=lambda: minion.locked("curl", "a", "b"))
    assert minion.salt["zypper.add_locks"](["curl", "b", "a"]) == ["a", "b"]
    assert minion.salt["zypper.add_locks"](["curl", "b", "a"]) == []
    assert len(programs.calls) == 1
    assert minion.salt["zypper.own_locks"](["curl", "a", "b"]) == ["a", "b"]


def test_a_lock_without_effect_is_an_error(minion, programs):
    programs.on(WRITE + ["addlock", "a", "b"], then=lambda: minion.locked("a"))
    with pytest.raises(CommandExecutionError, match="^zypper addlock: no effect on b; look at "):
        minion.salt["zypper.add_locks"](["a", "b"])


def test_an_interrupted_call_still_remembers_whose_lock_it_is(minion, programs):
    programs.on(WRITE + ["addlock", "a"], {"retcode": 7}, then=lambda: minion.locked("a"))
    with pytest.raises(CommandExecutionError, match="the zypp lock is still held"):
        minion.salt["zypper.add_locks"](["a"])
    assert minion.salt["zypper.own_locks"](["a"]) == ["a"]


def test_only_own_locks_are_removed(minion, programs):
    adds(minion, "a", "b")
    minion.salt["zypper.add_locks"](["a", "b"])
    minion.locked("a", "b", "foreign")
    programs.on(WRITE + ["removelock", "a"], then=lambda: minion.locked("b", "foreign"))
    assert minion.salt["zypper.remove_locks"](["a", "foreign"]) == ["a"]
    assert minion.salt["zypper.remove_locks"](["a", "foreign"]) == []
    assert json.loads((minion.root / "record" / "locks.json").read_text()) == ["b"]
    assert len(programs.started(*WRITE, "removelock")) == 1


def test_an_own_lock_that_somebody_changed_is_no_longer_ours(minion, programs):
    adds(minion, "a")
    minion.salt["zypper.add_locks"](["a"])
    minion.write("locks", "type: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: a\nversion: > 1\n")
    assert minion.salt["zypper.own_locks"](["a"]) == []
    assert minion.salt["zypper.remove_locks"](["a"]) == []
    assert programs.started(*WRITE, "removelock") == []


def test_a_lock_that_stays_is_an_error_and_remembered(minion, programs):
    adds(minion, "a")
    minion.salt["zypper.add_locks"](["a"])
    programs.on(WRITE + ["removelock", "a"], "No lock has been removed.")
    with pytest.raises(CommandExecutionError, match="^zypper removelock: no effect on a; look at "):
        minion.salt["zypper.remove_locks"](["a"])
    assert minion.salt["zypper.own_locks"](["a"]) == ["a"]
