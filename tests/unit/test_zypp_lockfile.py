"""Package locks: read from their file, written by zypper, only our own are taken away."""

import os

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_paths
import zypp_lockfile
from tests.unit.hosts import lock_file, record, remembers

WRITE = ["zypper", "--non-interactive"]

HEAD = "match_type: glob\ncase_sensitive: on\nsolvable_name: "
THREE_KINDS = f"type: package\n{HEAD}a\n\ntype: package\nversion: > 1-1\n{HEAD}b\n\ntype: patch\n{HEAD}X-1\n"


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
    assert zypp_lockfile.locked(["vim", "curl"]) == ["curl"] and programs.calls == []


def test_carriage_returns_of_the_file_are_not_lost(minion):
    minion.locked("curl")
    minion.file(klp_paths.LOCKS, lock_file().replace("\n", "\r\n"))
    assert zypp_lockfile.locked(["curl"]) == []


@pytest.mark.parametrize("damage", ["bytes", "folder"])
def test_a_file_that_cannot_be_read_is_an_error(minion, damage):
    os.makedirs(os.path.dirname(klp_paths.LOCKS), exist_ok=True)
    if damage == "folder":
        os.mkdir(klp_paths.LOCKS)
    else:
        with open(klp_paths.LOCKS, "wb") as handle:
            handle.write(b"type: \xff\n")
    with pytest.raises(CommandExecutionError, match="cannot be read .*; no lock counts until it is repaired"):
        minion.salt["zypper.locks"]()


def test_only_missing_locks_are_added_by_one_call(minion, programs):
    minion.locked("curl")
    programs.on(WRITE + ["addlock", "a", "b"], then=lambda: minion.locked("curl", "a", "b"))
    assert minion.salt["zypper.add_locks"](["curl", "b", "a"]) == ["a", "b"]
    assert minion.salt["zypper.add_locks"](["curl", "b", "a"]) == []
    assert len(programs.calls) == 1
    assert zypp_lockfile.own(["curl", "a", "b"]) == ["a", "b"]


def test_a_lock_without_effect_is_an_error(minion, programs):
    programs.on(WRITE + ["addlock", "a", "b"], then=lambda: minion.locked("a"))
    with pytest.raises(CommandExecutionError, match="^zypper addlock: no effect on b; look at "):
        minion.salt["zypper.add_locks"](["a", "b"])


def test_an_interrupted_call_still_remembers_whose_lock_it_is(minion, programs):
    programs.on(WRITE + ["addlock", "a"], {"retcode": 7}, then=lambda: minion.locked("a"))
    with pytest.raises(CommandExecutionError, match="the zypp lock is still held"):
        minion.salt["zypper.add_locks"](["a"])
    assert zypp_lockfile.own(["a"]) == ["a"]


def test_only_own_locks_are_removed(minion, programs):
    adds(minion, "a", "b")
    minion.salt["zypper.add_locks"](["a", "b"])
    minion.locked("a", "b", "foreign")
    programs.on(WRITE + ["removelock", "a"], then=lambda: minion.locked("b", "foreign"))
    assert minion.salt["zypper.remove_locks"](["a", "foreign"]) == ["a"]
    assert minion.salt["zypper.remove_locks"](["a", "foreign"]) == []
    assert record("locks") == ["b"]
    assert len(programs.started(*WRITE, "removelock")) == 1


def test_an_own_lock_that_somebody_changed_is_no_longer_ours(minion, programs):
    adds(minion, "a")
    minion.salt["zypper.add_locks"](["a"])
    minion.file(
        klp_paths.LOCKS, "type: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: a\nversion: > 1\n"
    )
    assert zypp_lockfile.own(["a"]) == []
    assert minion.salt["zypper.remove_locks"](["a"]) == []
    assert programs.started(*WRITE, "removelock") == []


def test_a_lock_that_stays_is_an_error_and_remembered(minion, programs):
    adds(minion, "a")
    minion.salt["zypper.add_locks"](["a"])
    programs.on(WRITE + ["removelock", "a"], "No lock has been removed.")
    with pytest.raises(CommandExecutionError, match="^zypper removelock: no effect on a; look at "):
        minion.salt["zypper.remove_locks"](["a"])
    assert zypp_lockfile.own(["a"]) == ["a"]


def test_locks_of_packages_and_of_advisories_are_added_by_a_call_each(minion, programs):
    programs.on(WRITE + ["addlock", "a", "b>1-1"])
    programs.on(WRITE + ["addlock", "--type", "patch", "X-1"], then=lambda: minion.file(klp_paths.LOCKS, THREE_KINDS))
    assert minion.salt["zypper.add_locks"](["b>1-1", "patch:X-1", "a"]) == ["a", "b>1-1", "patch:X-1"]
    assert zypp_lockfile.missing(["a", "b>1-1", "b>1-2", "patch:X-1", "X-1"]) == ["X-1", "b>1-2"]


def test_what_is_recorded_and_not_there_is_forgotten(minion):
    remembers(minion, "locks", ["a", "b"])
    minion.locked("b", "c")
    zypp_lockfile.forget_absent()
    assert zypp_lockfile.recorded() == ["b"]


def test_the_patience_with_the_zypp_lock_can_be_said(minion, programs):
    adds(minion, "a")
    zypp_lockfile.add(minion.host, ["a"], lock_timeout=3)
    assert programs.options[0]["env"]["ZYPP_LOCK_TIMEOUT"] == "3"


@pytest.mark.parametrize("name", ["--root=/", "kernel-*", "a b", "a>", "patch:-x"])
def test_what_is_no_lock_reaches_no_program(minion, programs, name):
    for call in (zypp_lockfile.missing, zypp_lockfile.own):
        with pytest.raises(SaltInvocationError, match="not NAME, NAME>EDITION or patch:ID"):
            call([name])
    for function in ("zypper.add_locks", "zypper.remove_locks"):
        with pytest.raises(SaltInvocationError, match="not NAME, NAME>EDITION or patch:ID"):
            minion.salt[function]([name])
    with pytest.raises(SaltInvocationError, match="not a package name"):
        zypp_lockfile.locked([name])
    assert programs.calls == []
