"""What a state predicts is what it does: an edition is resolved once, a lock that is missing is seen, runs exclude."""

import os

import pytest

import klp_paths
import klp_preflight
import klp_runlock
from tests.unit import patched
from tests.unit.conftest import LP
from tests.unit.hosts import (
    PENDING,
    SEARCH,
    TWO,
    another_run,
    becomes,
    dry,
    has,
    lock_file,
    lock_records,
    reads,
    record,
    remembers,
    repository,
    tool,
    writes,
    wrote,
)
from tests.unit.hosts import is_free as lock_is_free
from tests.unit.loader import recorded
from tests.unit.patched import ADVISORY, DOWN, LOCK
from tests.unit.updates import updates

NINE, SEVENTEEN = "9-150500.2.1", "17-150500.2.1"
NINTH, SEVENTEENTH = "livepatch_9_150500_2_1", "livepatch_17_150500_2_1"


@pytest.fixture(autouse=True)
def own_job():
    """Each test is a job of its own."""
    yield
    klp_runlock.release()


def apply(minion, state, test=False, **kwargs):
    minion.opts["test"] = test
    return getattr(minion.states["klp"], state)("x", **kwargs)


# -- one edition -------------------------------------------------------------------------------------------------------


@pytest.fixture
def behind(minion):
    """A host whose live patch 9 is installed and not in the kernel; repositories have 17 as well."""
    has(minion, NINE, SEVENTEEN)
    minion.locked(*klp_preflight.lock_list(minion.host))
    repository(minion)
    tool(minion)
    minion.programs.on(["klp", "-v", "patches"], f"{NINTH}\n    active: 0\n")
    text = recorded("zypper/search-live-patch.xml")
    reads(minion, SEARCH, text.replace('edition="3-', 'edition="17-').replace('edition="2-', 'edition="9-'))
    reads(minion, PENDING, updates(f"{LP} {NINE} {SEVENTEEN}"))
    return minion


def brings(host, edition, module, *options):
    """Let zypper bring an edition, which the kernel takes."""
    name = f"{LP}={edition}"
    reads(host, ["install", "--dry-run", *options, name], dry("reinstall" if options else "upgrade", name))
    writes(host, ["install", *options, name], then=lambda: host.live_patch(module), changes=not options)
    return [["install", *options, name]]


LOADED = {"module": {"old": None, "new": NINTH}}


@pytest.mark.parametrize("level", ["latest", 9, NINE])
def test_an_installed_live_patch_is_loaded_and_no_newer_one_comes_with_it(behind, level):
    """Predicted is that 9 is loaded; ``install NAME`` without an edition would bring 17."""
    wanted = brings(behind, NINE, NINTH, "--force")
    predicted = apply(behind, "patched", test=True, level=level, search=False)
    assert (predicted["result"], predicted["changes"], wrote(behind)) == (None, LOADED, [])
    done = apply(behind, "patched", level=level, search=False)
    assert (done["result"], done["changes"]) == (True, LOADED)
    assert done["comment"] == f"Changed: live patch {NINE} is in the kernel as {NINTH}"
    assert wrote(behind) == wanted
    assert not any(SEVENTEEN in part for argv in behind.programs.calls for part in argv)
    assert apply(behind, "patched", level=level, search=False)["changes"] == {}


def test_the_newest_that_was_predicted_is_the_one_that_comes(behind, programs):
    wanted = brings(behind, SEVENTEEN, SEVENTEENTH)
    changes = {"live patch": {"old": NINE, "new": SEVENTEEN}, "module": {"old": None, "new": SEVENTEENTH}}
    assert apply(behind, "patched", test=True, search=True)["changes"] == changes
    done = apply(behind, "patched", search=True)
    assert (done["result"], done["changes"], wrote(behind)) == (True, changes, wanted)


def test_an_edition_that_appears_after_the_prediction_is_for_the_next_run(behind):
    """A mirror is filled while the state waits: what was resolved is installed all the same."""
    wanted = brings(behind, SEVENTEEN, SEVENTEENTH)
    later = updates(f"{LP} {NINE} 18-150500.2.1")
    reads(behind, PENDING, updates(f"{LP} {NINE} {SEVENTEEN}"), later)
    assert apply(behind, "patched", search=True)["result"] is True
    assert wrote(behind) == wanted


def test_no_live_patch_is_brought_twice_while_zypper_waits(behind):
    """Somebody else's zypper has the lock and starts a transition: nothing is started again."""
    held = {"retcode": 7, "stdout": recorded("zypper/lock-held.txt")}
    wanted = brings(behind, NINE, NINTH, "--force")
    writes(behind, wanted[0], held, then=lambda: behind.live_patch(SEVENTEENTH, transition=1))
    found = apply(behind, "patched")
    assert found["result"] is False and found["comment"].startswith("a transition is still running: no second live")
    assert wrote(behind) == wanted


# -- locks of a hold ---------------------------------------------------------------------------------------------------

host = patched.third  # the fixture


@pytest.mark.parametrize("missing", [[LOCK], [ADVISORY], [LOCK, ADVISORY]])
def test_a_lock_of_a_hold_that_is_missing_is_seen_and_added(host, missing):
    assert apply(host, "rolled_back")["result"] is True
    assert sorted(record("hold")["locks"]) == sorted([LOCK, ADVISORY])
    host.file(klp_paths.LOCKS, lock_records(*[lock for lock in (LOCK, ADVISORY) if lock not in missing]))
    changes = {"held at": {"old": None, "new": TWO}}
    before = len(wrote(host, "addlock"))
    predicted = apply(host, "rolled_back", test=True)
    assert (predicted["result"], predicted["changes"]) == (None, changes)
    done = apply(host, "rolled_back")
    assert (done["result"], done["changes"]) == (True, changes)
    assert len(wrote(host, "addlock")) - before == len(missing) and len(wrote(host, *DOWN)) == 1
    assert sorted(lock_file()) == sorted(lock_records(LOCK, ADVISORY))
    assert apply(host, "rolled_back")["changes"] == {}


def test_a_lock_that_is_not_needed_any_more_is_no_endless_failure(host):
    """Its advisory was replaced by another one, and somebody took the lock away."""
    assert apply(host, "rolled_back")["result"] is True
    remembers(host, "hold", dict(record("hold"), locks=[LOCK, ADVISORY, "patch:SUSE-2023-1"]))
    done = apply(host, "rolled_back")
    assert (done["result"], done["changes"]) == (True, {"held at": {"old": None, "new": TWO}})
    assert apply(host, "rolled_back")["changes"] == {}


# -- the record of our locks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("test", "left"), [(True, ["kernel-default"]), (False, [])])
def test_the_state_mends_the_record_after_a_kill(minion, test, left):
    host = patched.Host(minion)
    host.end()
    remembers(minion, "locks", ["kernel-default"])  # zypper had taken it away, the record was not reached
    found = apply(minion, "disabled", test=test)
    assert (found["result"], found["changes"], record("locks")) == (True, {}, left)


# -- one run at a time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["ready", "patched"])
def test_a_state_is_refused_while_another_run_changes_this_host(behind, state):
    brings(behind, NINE, NINTH, "--force")
    with another_run("klp.install"):
        found = apply(behind, state)
        assert (found["result"], found["changes"]) == (False, {})
        assert found["comment"].startswith("process 4711 is changing this host (klp.install, since ")
        assert apply(behind, "patched", test=True)["result"] is None
    assert wrote(behind) == []
    becomes(NINTH)
    assert apply(behind, "patched")["result"] is True


@pytest.mark.parametrize(("cli", "kept"), [("salt-call", True), ("/usr/bin/salt-call", True), ("salt-minion", False)])
def test_a_run_of_salt_call_keeps_others_off_to_its_end(behind, cli, kept):
    """Salt refuses a second state run by itself, and a job of a running minion may last longer than its run."""
    behind.opts["__cli"] = cli
    behind.live_patch(NINTH)
    assert apply(behind, "ready")["result"] is True
    assert lock_is_free() is not kept
    assert apply(behind, "patched")["result"] is True


def test_a_prediction_takes_no_lock(behind):
    behind.opts["__cli"] = "salt-call"
    assert apply(behind, "ready", test=True)["result"] is True
    assert not os.path.exists(klp_paths.RUN)
