"""A host that went back is held: by a record and locks, until a release; everybody who asks is told."""

import json

import pytest
from salt.exceptions import CommandExecutionError

from tests.unit import test_module_klp_rollback as rollback
from tests.unit.conftest import LP
from tests.unit.loader import recorded
from tests.unit.test_module_klp import ONE, READ, SEARCH, THREE, TWO, WRITE, has
from tests.unit.test_module_klp_rollback import ADVISORY, LOCK, SECOND, becomes, held_at, lock_records, record

host = rollback.host  # the fixture


def test_a_release_takes_our_locks_and_the_record(host):
    host.salt["klp.downgrade"]()
    assert host.salt["klp.release"]() == {"released": TWO, "locks": [LOCK, ADVISORY], "notes": []}
    assert (host.salt["klp.held"](), record(host, "locks"), (host.root / "locks").read_text()) == (None, [], "")
    assert host.salt["klp.release"]()["notes"] == ["no live patch is held on this host"]


def test_a_release_tells_what_others_hold(host):
    held_at(host)
    host.write("locks", lock_records(f"{LP}>{ONE}"))
    found = host.salt["klp.release"]()
    assert (found["locks"], len(found["notes"])) == ([], 1)
    assert found["notes"][0].startswith("still there: lock in line 2 of /etc/zypp/locks")


def test_nothing_is_held_on_other_hosts(host, programs):
    assert (host.salt["klp.held"](), host.salt["klp.hold"](), host.salt["klp.unheld"]()) == (None, [], [])
    assert programs.calls == []


def test_a_hold_of_another_kernel_does_not_count(host):
    held_at(host, package=LP.replace("55_7", "55_12"))
    assert host.salt["klp.target"](3) == THREE
    assert host.salt["klp.earlier"]() == TWO


def test_a_new_advisory_is_held_too(host):
    held_at(host, locks=[LOCK])
    host.write("record/locks.json", json.dumps([LOCK]))
    host.write("locks", lock_records(LOCK))
    assert host.salt["klp.unheld"]() == [ADVISORY]
    assert host.salt["klp.hold"]() == [ADVISORY]
    assert record(host)["locks"] == [LOCK, ADVISORY]


def test_a_damaged_record_is_an_error(host):
    host.write("record/hold.json", '{"edition": "2"}')
    with pytest.raises(CommandExecutionError, match="hold.json: not what salt-klp wrote"):
        host.salt["klp.held"]()


def test_what_is_above_the_held_level_is_refused_with_the_release(host):
    has(host, TWO)
    host.changed()
    held_at(host)
    with pytest.raises(CommandExecutionError) as error:
        host.salt["klp.target"](3)
    assert str(error.value) == (
        f"live patch {THREE} is held back: this host went back from {THREE} to {TWO}; "
        "give newer ones free with: salt sles1 klp.release"
    )


def test_a_held_live_patch_that_was_lost_comes_by_its_edition(host, programs):
    has(host, TWO)
    host.rpm_qa({LP: TWO})
    held_at(host, locks=[LOCK])
    host.write("locks", lock_records(LOCK))
    programs.on(["klp", "-v", "patches"], recorded("klp/lab-patches.txt"))
    programs.on(READ + ["install", "--dry-run", f"{LP}={TWO}"], recorded("zypper/install-nothing.xml"))
    brought = WRITE + ["install", "--force", f"{LP}={TWO}"]
    programs.on(brought, then=lambda: becomes(host, SECOND), changes=True)
    host.salt["klp.install"]("latest")
    assert brought in programs.calls


def test_verify_tells_of_the_hold(host):
    held_at(host)
    judge = host.util_modules["klp_checks"].held
    hold = host.salt["klp.held"]()
    good, wrong = judge(TWO, False, hold, []), judge(THREE, True, hold, [])
    open_ = judge(TWO, False, hold, [LOCK])
    assert [item["verdict"] for item in (good, wrong, open_)] == ["ok", "failed", "failed"]
    assert f"but {THREE} is installed; run klp.rollback or klp.release" in wrong["detail"]
    assert f"not locked: {LOCK}; run klp.hold or klp.release" in open_["detail"]
    look = host.modules["klp_verify"]._held
    assert look({"edition": TWO}, hold) == open_ and look({"edition": THREE}, hold) == wrong
    host.write("locks", lock_records(LOCK))
    assert [look({"edition": edition}, hold)["verdict"] for edition in (ONE, TWO, None)] == ["ok"] * 3


def test_the_audit_names_what_is_held_away(host):
    has(host, TWO)
    host.changed()
    becomes(host, SECOND)
    held_at(host, locks=[LOCK])
    host.write("locks", lock_records("vim", LOCK))
    found = host.salt["klp_audit.level"]()
    assert found["locks"] == [f"lock in line 8 of /etc/zypp/locks ({LP}; version > {TWO})"]
    assert (found["edition"], found["module"], found["newest"], found["held_away"]) == (TWO, SECOND, THREE, [THREE])
    assert found["held"]["edition"] == TWO
    (host.root / "record" / "hold.json").unlink()
    host.programs.on(SEARCH, recorded("zypper/search-nothing.xml"))
    host.changed()
    found = host.salt["klp_audit.level"]()
    assert (found["held"], found["held_away"], found["newest"]) == (None, [], None)
