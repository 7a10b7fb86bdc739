"""The states zypper.locked, unlocked and updated: predicted, applied, applied again."""

import os

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
from tests.unit.conftest import LP
from tests.unit.hosts import (
    ONE,
    THREE,
    dry,
    reads,
    remembers,
    rpm,
    shows,
    wrote,
)
from tests.unit.states import apply, functions

__all__ = ["functions"]


def locks_are_written(minion, functions):
    functions.set(zypp_lockfile__add=lambda _, names, lock_timeout=None: minion.locked(*names))


def test_packages_are_locked_once(minion, functions):
    locks_are_written(minion, functions)
    minion.locked("b")
    changes = {"locked": {"old": ["b"], "new": ["a", "b"]}}
    ret = apply(minion, "zypper.locked", ["b", "a"], test=True)
    assert (ret["result"], ret["changes"], functions.calls) == (None, changes, [])
    assert apply(minion, "zypper.locked", ["b", "a"])["changes"] == changes
    ret = apply(minion, "zypper.locked", ["b", "a"])
    assert (ret["result"], ret["changes"], functions.calls) == (True, {}, ["zypp_lockfile.add"])


def test_a_lock_of_one_version_does_not_count(minion, functions):
    functions.set(zypp_lockfile__add=lambda _, names, lock_timeout=None: None)
    minion.file(klp_paths.LOCKS, "type: package\nmatch_type: glob\nsolvable_name: a\nversion: > 1\n")
    ret = apply(minion, "zypper.locked", ["a"])
    assert (ret["result"], ret["comment"]) == (False, "Not locked in every version: a")


@pytest.mark.parametrize("packages", ["kernel-default", [], ["kernel-*"]])
def test_packages_that_are_no_list_of_names_are_refused(minion, packages):
    ret = apply(minion, "zypper.locked", packages)
    assert ret["result"] is False and ("wanted a list" in ret["comment"] or "not a package name" in ret["comment"])


def test_own_locks_are_removed_once(minion, functions):
    minion.locked("a")
    remembers(minion, "locks", ["a"])
    functions.set(zypp_lockfile__remove=lambda _, names: minion.locked())
    changes = {"locked": {"old": ["a"], "new": []}}
    assert apply(minion, "zypper.unlocked", ["a", "b"], test=True)["changes"] == changes
    assert apply(minion, "zypper.unlocked", ["a", "b"])["changes"] == changes
    assert apply(minion, "zypper.unlocked", ["a", "b"])["changes"] == {}
    assert functions.calls == ["zypp_lockfile.remove"]


SKIPPED = [{"item": "A-1", "kind": "advisory", "reason": "needs a kernel"}]


@pytest.fixture
def pending(functions):
    """A host with one pending update and one advisory that is left out."""
    host: dict = {"packages": {"curl": "1-1", "vim": "1-1"}, "live_patch": {}, "unfinished": {}}

    def update(_, update=None, level=None, check=None):
        host["packages"]["curl"] = "2-1"
        host.update(unfinished={})
        return {"changed": {}, "skipped": SKIPPED, "notes": ["a scriptlet failed"]}

    def plan(_, update=None, level=None):
        packages = {} if host["packages"]["curl"] == "2-1" else {"curl": {"old": "1-1", "new": "2-1"}}
        found = {"packages": packages, "live_patch": host["live_patch"] if level else {}, "reload": {}}
        return dict(found, unfinished=host["unfinished"], skipped=SKIPPED)

    functions.set(
        zypp_packages__packages=lambda _: dict(host["packages"]),
        klp_updates__plan=plan,
        klp_updates__unfinished=lambda _: host["unfinished"],
        klp_updates__update=update,
    )
    return host


def test_updates_are_installed_once_and_what_is_left_out_is_told(minion, functions, pending):
    changes, skipped = {"curl": {"old": "1-1", "new": "2-1"}}, "Skipped advisory A-1: needs a kernel"
    ret = apply(minion, "zypper.updated", test=True)
    assert (ret["result"], ret["changes"], ret["comment"]) == (
        None,
        changes,
        f"Would install 1 package; 1 left out:\n{skipped}",
    )
    assert "klp_updates.update" not in functions.calls
    ret = apply(minion, "zypper.updated")
    assert (ret["result"], ret["changes"]) == (True, changes)
    assert ret["comment"].endswith(f"\n{skipped}\na scriptlet failed")
    ret = apply(minion, "zypper.updated")
    assert (ret["result"], ret["changes"], functions.calls.count("klp_updates.update")) == (True, {}, 1)
    assert ret["comment"].endswith(skipped)


def test_an_update_that_breaks_reports_what_was_installed(minion, functions, pending):
    def breaks(_, update=None, level=None, check=None):
        pending["packages"]["curl"] = "2-1"
        raise CommandExecutionError("exit 8")

    functions.set(klp_updates__update=breaks)
    ret = apply(minion, "zypper.updated")
    assert (ret["result"], ret["comment"], list(ret["changes"])) == (False, "exit 8", ["curl"])


def test_the_live_patch_of_the_plan_is_predicted_and_asked_for(minion, functions, pending):
    """It comes by the same command: predicting the packages alone would be half of what is done."""
    pending["packages"][LP] = ONE
    pending["live_patch"] = {LP: {"old": ONE, "new": THREE}}
    ret = apply(minion, "zypper.updated", live_patch=3, test=True)
    assert ret["changes"] == {"curl": {"old": "1-1", "new": "2-1"}, LP: {"old": ONE, "new": THREE}}
    assert apply(minion, "zypper.updated", test=True)["changes"] == {"curl": {"old": "1-1", "new": "2-1"}}
    apply(minion, "zypper.updated", {"others": False}, live_patch=3)
    assert functions.given[functions.calls.index("klp_updates.update")][:2] == ({"others": False}, 3)


def test_what_the_plan_removes_is_predicted(minion, functions, pending):
    functions.set(
        klp_updates__plan=lambda _, update=None, level=None: {
            "packages": {"vim": {"old": "1-1", "new": None}, "curl": {"old": "1-1", "new": "2-1"}},
            "live_patch": {},
            "reload": {},
            "unfinished": {},
            "skipped": [],
        }
    )
    changes = {"curl": {"old": "1-1", "new": "2-1"}, "vim": {"old": "1-1", "new": None}}
    assert apply(minion, "zypper.updated", test=True)["changes"] == changes


def test_what_was_cut_off_is_predicted_and_mended_once(minion, functions, pending):
    pending["packages"]["curl"] = "2-1"
    pending["unfinished"] = {"curl": "2-1"}
    changes = {"unfinished": {"old": {"curl": "2-1"}, "new": None}}
    assert apply(minion, "zypper.updated", test=True)["changes"] == changes
    ret = apply(minion, "zypper.updated")
    assert (ret["result"], ret["changes"]) == (True, changes)
    assert apply(minion, "zypper.updated")["changes"] == {}


def test_what_is_still_cut_off_is_false(minion, functions, pending):
    pending["unfinished"] = {"curl": "2-1"}
    functions.set(klp_updates__update=lambda *args: {"changed": {}, "skipped": [], "notes": []})
    assert apply(minion, "zypper.updated")["result"] is False


@pytest.mark.parametrize(
    ("shown", "result"), [({"curl": "2-1"}, True), ({"curl": "2-1", "vim": "1-1"}, True), ({"vim": "1-1"}, False)]
)
def test_nothing_is_installed_that_a_campaign_has_not_shown(minion, functions, shown, result):
    """What the dry run of the real command brings is what counts, and it is compared before anything is changed."""
    shows(minion, shown)
    rpm(minion, {"curl": "1-1"}, {"curl": "2-1"})
    found: dict = {"packages": {"curl": {"old": "1-1", "new": "2-1"}}, "live_patch": {}, "reload": {}, "unfinished": {}}
    found.update(requested=["curl=2-1"], skipped=[], advisories=[], contents={})
    functions.set(klp_updates__plan=lambda _, update=None, level=None: found)
    reads(minion, ["install", "--dry-run", "curl=2-1"], dry("upgrade", "curl=2-1"))
    minion.programs.on(["zypper", "--non-interactive", "--no-refresh", "install", "curl=2-1"], changes=True)
    ret = apply(minion, "zypper.updated")
    assert (ret["result"], bool(wrote(minion, "install"))) == (result, result)
    if not result:
        said = "pending here, but not in the plan that was shown: curl 2-1; make a new plan"
        assert (ret["changes"], ret["comment"]) == ({}, said)


@pytest.mark.parametrize(("test", "result"), [(True, None), (False, False)])
def test_nothing_is_updated_without_the_locks_that_are_named(minion, functions, pending, test, result):
    minion.locked("a")
    ret = apply(minion, "zypper.updated", locked=["a", "b"], test=test)
    assert (ret["result"], ret["changes"]) == (result, {}) and ret["comment"].endswith("locked: b")
    assert functions.calls == []
    minion.locked("a", "b")
    assert apply(minion, "zypper.updated", locked=["a", "b"])["result"] is True


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize(("locked", "said"), [(["-x"], "package '-x': not a package name"), (["a"], "cannot be read")])
def test_locks_that_nobody_can_look_at_are_the_comment(minion, functions, pending, locked, said, test):
    if locked == ["a"]:
        os.makedirs(klp_paths.LOCKS)
    ret = apply(minion, "zypper.updated", locked=locked, test=test)
    assert (ret["result"], ret["changes"], functions.calls) == (False, {}, []) and said in ret["comment"]
