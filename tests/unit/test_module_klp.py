"""The module klp: where it is loaded, what its entry points hand over, who may change the host, what is pending."""

import importlib.util
import inspect
import sys

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_paths
import klp_preflight
import klp_version
from tests.unit import loader
from tests.unit.conftest import LP
from tests.unit.hosts import (
    FIRST,
    ONE,
    PENDING,
    THREE,
    TOOLS,
    another_run,
    dry,
    has,
    reads,
    remembers,
    repository,
    tool,
    wrote,
)
from tests.unit.loader import recorded
from tests.unit.updates import updates

WRITES = ["enable", "install", "downgrade", "hold", "unhold", "disable"]


# -- the loader --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["klp", "klp_audit", "zypper"])
def test_a_module_is_loaded_where_zypper_is(minion, paths, name):
    assert minion.modules[name].__virtual__() is True
    paths.discard("zypper")
    problem = "command zypper not found on this SUSE host: install it"
    assert minion.modules[name].__virtual__() == (False, problem)


@pytest.mark.parametrize("zypper", [True, False])
@pytest.mark.parametrize(
    "file", [(kind, name) for kind in ("modules", "states") for name in ("klp", "zypper", "root_backup")]
)
def test_on_a_host_of_others_every_file_says_so(minion, paths, file, zypper):
    """Debian has a package of zypper, too."""
    minion.file(klp_paths.OS_RELEASE, recorded("family/debian-12.os-release"))
    if not zypper:
        paths.discard("zypper")
    kind, name = file
    loaded, problem = getattr(minion, kind)[name].__virtual__()
    assert loaded is False and problem.startswith("not a SUSE host (debian 12): ")


FILES = [("_modules", name) for name in loader.MODULES] + [("_states", name) for name in loader.STATES]


@pytest.mark.parametrize(("folder", "name"), FILES)
@pytest.mark.parametrize("missing", ["klp_fresh", "klp_version"])
def test_a_file_whose_utils_are_missing_says_what_to_do(minion, monkeypatch, folder, name, missing):
    """The first sync of a new release brought the modules only, or the utils were cleared from the cache."""
    monkeypatch.setitem(sys.modules, missing, None)
    found, sentence = loader.load(folder, name, **minion.names).__virtual__()
    assert found is False and "\n" not in sentence
    assert sentence.startswith(f"salt-klp: import of {missing} halted;")
    on_master = name == "klp_campaign"  # which loads what is installed, and nothing that is synced
    assert sentence.endswith("make install, or its RPM" if on_master else "saltutil.sync_all")


def test_a_file_that_pip_brought_is_not_mended_by_a_sync(tmp_path, monkeypatch):
    """What pip has installed lies in saltext/klp, and Salt does not sync it."""
    path = tmp_path / "saltext" / "klp" / "modules" / "klp.py"
    path.parent.mkdir(parents=True)
    path.symlink_to(loader.ROOT / "_modules" / "klp.py")
    spec = importlib.util.spec_from_file_location("unit_pip_klp", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "klp_host", None)
    spec.loader.exec_module(module)
    assert module.__virtual__()[1].endswith(": install salt-klp again with pip")


@pytest.mark.parametrize(("folder", "name"), FILES)
def test_a_file_of_another_version_says_what_to_do(minion, monkeypatch, folder, name):
    monkeypatch.setattr(klp_version, "VERSION", "9.9.9")
    module = loader.load(folder, name, **minion.names)
    said = f"salt-klp: module of version {module.VERSION}, utils of version 9.9.9: run saltutil.sync_all"
    assert module.__virtual__() == (False, said)


def test_the_version_is_told(minion):
    assert minion.salt["klp.version"]() == klp_version.VERSION == minion.modules["klp"].VERSION


# -- who may change the host -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITES)
def test_nothing_is_changed_while_another_run_changes_this_host(minion, programs, name):
    with another_run("klp.patch"), pytest.raises(CommandExecutionError, match="^process 4711 is changing this host"):
        minion.salt[f"klp.{name}"]()
    assert programs.calls == []


def test_readings_need_no_lock(minion):
    has(minion, ONE)
    minion.live_patch(FIRST)
    with another_run("klp.patch"):
        assert minion.salt["klp.status"]()["active"] == FIRST
        assert minion.salt["klp.package"]()["edition"] == ONE
        assert minion.salt["klp.held"]() is None


def test_every_entry_point_is_either_a_reading_or_takes_the_lock(minion):
    functions = loader.functions(minion.modules["klp"], "klp")
    locked = [name for name, function in functions.items() if "host.exclusive(" in inspect.getsource(function)]
    assert sorted(locked) == sorted(f"klp.{name}" for name in WRITES)


# -- what is pending ---------------------------------------------------------------------------------------------------


@pytest.fixture
def host(minion):
    """A host with nothing to do: locked, at the newest level, and the kernel has taken it."""
    has(minion, ONE, curl="1-1")
    minion.pillar["klp"] = {"update": {"others": True}}
    minion.locked(*klp_preflight.lock_list(minion.host))
    minion.live_patch(FIRST)
    repository(minion)
    tool(minion)
    reads(minion, PENDING, updates())
    return minion


NOTHING: dict = {"packages": {}, "locks": [], "unfinished": {}, "skipped": []}


def test_nothing_is_pending_on_a_host_that_is_as_declared(host):
    assert host.salt["klp.pending"]() == NOTHING and wrote(host) == []


def test_updates_and_the_newest_live_patch_are_pending(host):
    reads(host, PENDING, updates("curl 1-1 2-1", f"{LP} {ONE} {THREE}"))
    for names in ([f"{LP}={THREE}"], ["curl=2-1"], ["curl=2-1", f"{LP}={THREE}"]):
        reads(host, ["install", "--dry-run", *names], dry("upgrade", *names))
    found = host.salt["klp.pending"]()["packages"]
    assert {name: change["new"] for name, change in found.items()} == {"curl": "2-1", LP: THREE}
    assert found[LP]["old"] == ONE and wrote(host) == []


def test_locks_that_are_missing_are_pending(host):
    names = klp_preflight.lock_list(host.host)
    host.locked(*names[1:])
    assert host.salt["klp.pending"]() == dict(NOTHING, locks=[names[0]])


def test_a_live_patch_that_is_not_loaded_is_pending(host):
    host.live_patch(FIRST, enabled=0)
    assert host.salt["klp.pending"]()["packages"] == {LP: {"old": ONE, "new": ONE}}


def test_what_was_cut_off_is_pending(host):
    remembers(host, "begun", {LP: ONE, TOOLS: "1.4-1"})
    found = host.salt["klp.pending"]()
    assert (found["packages"], found["unfinished"]) == ({LP: {"old": ONE, "new": ONE}}, {TOOLS: "1.4-1"})


def test_a_wrong_pillar_is_the_mistake_of_the_caller(host, programs):
    host.pillar["klp"] = {"level": 0}
    with pytest.raises(SaltInvocationError, match="pillar klp:level"):
        host.salt["klp.pending"]()
    assert programs.calls == []


# -- what entry points hand over ---------------------------------------------------------------------------------------


def test_a_deadline_is_handed_over(minion):
    minion.live_patch(FIRST, transition=1)
    minion.programs.on(["klp", "-v", "blocking"], recorded("klp/blocking-none.txt"))
    with pytest.raises(CommandExecutionError, match="did not end within 7 seconds"):
        minion.salt["klp.wait"](7)
