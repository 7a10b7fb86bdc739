"""The module zypper: entry points that check their arguments, take the run lock, and look before they change."""

import json
import sys
import threading

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_preflight
import klp_updates
import zypp_lockfile
import zypp_packages
import zypp_solver
from tests.unit import loader
from tests.unit.conftest import LP
from tests.unit.hosts import BASE, ONE, has, reads, record, repository, rpm, writes, wrote
from tests.unit.loader import recorded
from tests.unit.updates import EIGHT, REFUSED, advisory, host_with, info

CHANGES = [
    ("zypper.update", ()),
    ("zypper.install", (["a=2-1"],)),
    ("zypper.remove", (["a"],)),
    ("zypper.add_locks", (["a"],)),
    ("zypper.remove_locks", (["a"],)),
]


def test_settings_that_are_given_are_checked(minion, programs):
    has(minion, ONE)
    minion.locked(*klp_preflight.lock_list(minion.host))
    for name in ("zypper.pending", "zypper.update"):
        with pytest.raises(SaltInvocationError, match="klp:update:rebot: unknown key; did you mean reboot"):
            minion.salt[name]({"rebot": True})
    assert programs.started("zypper") == []


def test_a_name_that_is_an_option_reaches_no_program(minion, programs):
    calls = {
        "a package name": [
            minion.salt["zypper.dry_run"],
            minion.salt["zypper.install"],
            minion.salt["zypper.remove"],
            lambda names: minion.salt["zypper.editions"](names[0]),
            lambda names: zypp_packages.installed(minion.host, names),
            zypp_lockfile.locked,
        ],
        "NAME, NAME>EDITION or patch:ID": [
            minion.salt["zypper.add_locks"],
            minion.salt["zypper.remove_locks"],
            zypp_lockfile.missing,
        ],
        "the id of an advisory": [
            lambda names: zypp_solver.advisory_editions(minion.host, [{"id": names[0], "repository": None}])
        ],
    }
    for what, functions in calls.items():
        for function in functions:
            with pytest.raises(SaltInvocationError, match=f"'--root=/': not {what}"):
                function(["--root=/"])
    assert programs.calls == []


def test_what_is_pending_is_told_without_what_only_the_update_needs(minion):
    host_with(minion, ["a", "b"], [advisory("A-1")], bad={"b": "solver"})
    info(minion, A_1=["a"])
    assert minion.salt["zypper.pending"]() == {
        "advisories": ["A-1"],
        "packages": {"a": {"old": "1-1", "new": "2-1"}},
        "unfinished": {},
        "skipped": [
            {
                "item": "b",
                "kind": "package",
                "reason": f"{REFUSED['solver'][2]}; leave it out for good with pillar klp:update:exclude: [b]",
            }
        ],
    }
    assert json.dumps(minion.salt["zypper.pending"]({"exclude": ["a"]}))


def test_an_update_leaves_the_live_patch_to_others(minion):
    repository(minion)
    host_with(minion, EIGHT)
    minion.locked(*klp_preflight.lock_list(minion.host))
    writes(minion, ["install", ...], changes=True)
    found = minion.salt["zypper.update"]()
    assert sorted(found["changed"]) == EIGHT and (found["skipped"], found["notes"]) == ([], [])
    assert wrote(minion) == [["install", *[f"{name}=2-1" for name in EIGHT]]]


def test_nothing_is_updated_while_the_kernel_is_not_locked(minion, programs):
    has(minion, ONE)
    minion.locked(*klp_preflight.lock_list(minion.host)[1:])
    with pytest.raises(CommandExecutionError) as error:
        minion.salt["zypper.update"]()
    missing = klp_preflight.lock_list(minion.host)[0]
    assert str(error.value) == f"lock the kernel packages first (zypper.add_locks), not locked: {missing}"
    assert programs.started("zypper") == []


def test_nothing_is_updated_on_a_host_that_is_not_live_patched(minion, programs):
    rpm(minion, {**BASE, "kernel-default": "5.14.21-150500.55.9.1"})
    with pytest.raises(CommandExecutionError, match="the package of the running kernel .* is not installed"):
        minion.salt["zypper.update"]()
    assert programs.started("zypper") == []


@pytest.fixture
def another_run(minion):
    """Another job of the minion, in a thread of its own, that changes the host for as long as the test takes."""
    begun, over = threading.Event(), threading.Event()

    def job():
        with minion.host.exclusive("another run"):
            begun.set()
            over.wait(60)

    thread = threading.Thread(target=job)
    thread.start()
    assert begun.wait(60)
    yield
    over.set()
    thread.join()


@pytest.mark.parametrize(("name", "args"), CHANGES)
def test_two_changes_at_once_exclude_each_other(minion, programs, another_run, name, args):
    with pytest.raises(
        CommandExecutionError, match="is changing this host .another run, since .*only one run at a time"
    ):
        minion.salt[name](*args)
    assert programs.calls == []


def test_locks_of_the_host_are_shown(minion, programs):
    minion.locked("a")
    (lock,) = minion.salt["zypper.locks"]()
    assert (lock["package"], lock["type"], lock["line"]) == ("a", "package", 2) and programs.calls == []


def test_what_is_installed_may_be_older_by_the_word_of_the_caller(minion):
    has(minion, "3-150500.2.1", "2-150500.2.1")
    name = f"{LP}=2-150500.2.1"
    reads(minion, ["install", "--oldpackage", "--dry-run", name], recorded("zypper/downgrade-live-patch.xml"))
    writes(minion, ["install", "--oldpackage", name], changes=True)
    changed = {LP: {"old": "3-150500.2.1", "new": "2-150500.2.1"}}
    assert minion.salt["zypper.install"]([name], older=True) == {"changed": changed, "notes": []}
    assert record("begun") == {}


def test_the_plan_is_that_of_the_module_and_of_the_state(minion):
    host_with(minion, EIGHT)
    shown = minion.salt["zypper.pending"]()
    assert shown["packages"] == klp_updates.plan(minion.host)["packages"]


@pytest.mark.parametrize("program", ["zypper", "rpm"])
def test_the_module_is_loaded_where_zypper_and_rpm_are(minion, paths, monkeypatch, program):
    module = minion.modules["zypper"]
    assert module.__virtual__() is True
    paths.discard(program)
    assert module.__virtual__() == (False, f"command {program} not found on this SUSE host: install it")
    monkeypatch.setattr(module, "PROBLEM", "salt-klp: half of it")
    assert module.__virtual__() == (False, "salt-klp: half of it")


@pytest.mark.parametrize(
    ("path", "cure"),
    [
        ("/var/cache/salt/minion/extmods/modules/zypper.py", "run saltutil.sync_all"),
        ("/usr/lib/python3/site-packages/saltext/klp/modules/zypper.py", "install salt-klp again with pip"),
    ],
)
def test_a_module_that_came_without_its_utils_says_what_to_do(minion, monkeypatch, path, cure):
    monkeypatch.setitem(sys.modules, "zypp_write", None)
    source = loader.ROOT / "_modules" / "zypper.py"
    names = {"__file__": path, "__name__": "zypper"}
    exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), names)  # noqa: S102 - as if it were there
    loaded, why = names["__virtual__"]()
    assert loaded is False and why.startswith("salt-klp: import of zypp_write halted") and why.endswith(f": {cure}")
