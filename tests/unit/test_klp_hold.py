"""A host that went back is held: by a record and locks, until it is unheld; everybody who asks is told."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_checks
import klp_hold
import klp_level
import klp_paths
import klp_rollback
import klp_verify
from tests.unit import patched
from tests.unit.conftest import LP
from tests.unit.hosts import (
    ONE,
    THREE,
    TWO,
    has,
    lock_file,
    lock_records,
    record,
    remembers,
)
from tests.unit.patched import ADVISORY, LOCK, held_at

host = patched.third  # the fixture


def test_an_unheld_host_has_neither_our_locks_nor_the_record(host):
    host.salt["klp.downgrade"]()
    assert host.salt["klp.unhold"]() == {"edition": TWO, "locks": [LOCK, ADVISORY], "notes": []}
    assert (host.salt["klp.held"](), record("locks"), lock_file()) == (None, [], "")
    nothing = {"edition": None, "locks": [], "notes": ["no live patch is held on this host"]}
    assert host.salt["klp.unhold"]() == nothing


def test_a_hold_without_locks_is_ended(host, programs):
    held_at(host)
    assert host.salt["klp.unhold"]() == {"edition": TWO, "locks": [], "notes": []}
    assert (host.salt["klp.held"](), programs.calls) == (None, [])


def test_what_others_hold_is_told(host):
    held_at(host)
    host.file(klp_paths.LOCKS, lock_records(f"{LP}>{ONE}"))
    found = host.salt["klp.unhold"]()
    assert (found["locks"], len(found["notes"])) == ([], 1)
    assert found["notes"][0].startswith("still there: lock in line 2 of /etc/zypp/locks")


def test_nothing_is_held_on_other_hosts(host, programs):
    assert (host.salt["klp.held"](), host.salt["klp.hold"](), klp_hold.missing_locks(host.host)) == (None, [], [])
    assert programs.calls == []


def test_a_hold_of_another_kernel_does_not_count(host):
    held_at(host, package=LP.replace("55_7", "55_12"))
    assert klp_level.resolve(host.host, 3) == THREE
    assert klp_rollback.resolve(host.host) == TWO


def test_a_new_advisory_is_held_too(host):
    held_at(host, locks=[LOCK])
    remembers(host, "locks", [LOCK])
    host.file(klp_paths.LOCKS, lock_records(LOCK))
    assert klp_hold.missing_locks(host.host) == [ADVISORY]
    assert host.salt["klp.hold"]() == [ADVISORY]
    assert record("hold")["locks"] == [LOCK, ADVISORY]


@pytest.mark.parametrize(
    ("locks", "missing"),
    [([LOCK, ADVISORY], []), ([LOCK], [ADVISORY]), ([ADVISORY], [LOCK]), ([], [LOCK, ADVISORY])],
)
@pytest.mark.parametrize("recorded", [[LOCK, ADVISORY], [ADVISORY]])
def test_each_recorded_lock_is_looked_for_and_so_is_the_one_on_newer_editions(host, programs, recorded, locks, missing):
    held_at(host, locks=recorded)
    host.file(klp_paths.LOCKS, lock_records(*locks))
    assert (klp_hold.recorded_missing(host.salt["klp.held"]()), programs.calls) == (missing, [])


def test_a_recorded_lock_that_is_gone_and_not_needed_any_more_is_forgotten(host):
    """An advisory was replaced by another one: without this the state would miss its lock for ever."""
    held_at(host, locks=[LOCK, "patch:SUSE-2023-1"])
    host.file(klp_paths.LOCKS, lock_records(LOCK))
    assert klp_hold.recorded_missing(record("hold")) == ["patch:SUSE-2023-1"]
    assert host.salt["klp.hold"]() == [ADVISORY]
    assert record("hold")["locks"] == [LOCK, ADVISORY]
    assert klp_hold.recorded_missing(record("hold")) == []


@pytest.mark.parametrize(
    ("packages", "locked"),
    [
        ({LP: THREE, f"{LP}-debuginfo": THREE, "kernel-livepatch-5_14_21-150500_55_28-default": "14-150500.2.1"}, True),
        ({LP: THREE, "kernel-livepatch-SLE15-SP5_Update_1-debugsource": THREE}, True),
        ({LP: TWO, "kernel-livepatch-5_14_21-150500_55_28-default": "14-150500.2.1"}, False),  # at what is held
        ({LP: ONE}, False),
        ({"kernel-livepatch-5_14_21-150500_55_28-default": "14-150500.2.1"}, False),  # of other kernels
        ({LP: THREE, "curl": "1-1"}, False),
    ],
)
def test_an_advisory_of_several_kernels_is_locked_where_it_brings_a_newer_one_of_the_held(
    host, monkeypatch, packages, locked
):
    """SUSE-SU-2024:3670-1 holds levels 14, 12, 12 and 11 of four kernels, with debuginfo and debugsource."""
    held_at(host)
    monkeypatch.setattr(klp_hold.zypp_solver, "advisories", lambda host: ["of the update repositories"])
    monkeypatch.setattr(klp_hold.zypp_solver, "advisory_editions", lambda host, needed: {"B-1": packages})
    assert klp_hold.missing_locks(host.host) == [LOCK] + (["patch:B-1"] if locked else [])


def test_a_damaged_record_is_an_error(host):
    remembers(host, "hold", {"edition": "2"})
    with pytest.raises(CommandExecutionError, match="hold.json: not what salt-klp wrote"):
        host.salt["klp.held"]()


def test_what_is_above_the_held_level_is_refused_with_the_way_out(host):
    has(host, TWO)
    held_at(host)
    with pytest.raises(CommandExecutionError) as error:
        klp_level.resolve(host.host, 3)
    assert str(error.value) == (
        f"live patch {THREE} is held back: this host went back from {THREE} to {TWO}; "
        "let newer ones come with: salt sles1 klp.unhold"
    )


def test_verify_tells_of_the_hold(host):
    held_at(host)
    hold = host.salt["klp.held"]()
    good, wrong = klp_checks.held(TWO, False, hold, []), klp_checks.held(THREE, True, hold, [])
    open_ = klp_checks.held(TWO, False, hold, [LOCK])
    assert [item["verdict"] for item in (good, wrong, open_)] == ["ok", "failed", "failed"]
    assert f"but {THREE} is installed; run klp.rollback or klp.unhold" in wrong["detail"]
    assert f"not locked: {LOCK}; run klp.hold or klp.unhold" in open_["detail"]
    look = klp_verify._held
    assert look({"edition": TWO}, hold) == open_ and look({"edition": THREE}, hold) == wrong
    host.file(klp_paths.LOCKS, lock_records(LOCK))
    assert [look({"edition": edition}, hold)["verdict"] for edition in (ONE, TWO, None)] == ["ok"] * 3
