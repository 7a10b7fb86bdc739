"""Whose lock it is: an administrator's is told, that of a hold is our own."""

import klp_locked
import klp_paths
from tests.unit.conftest import LP
from tests.unit.hosts import ONE, PENDING, TWO, lock_records, reads, remembers

ROW = '<update kind="patch" name="{}" status="{}" category="security" severity="low"/>'


def pending(minion, **advisories):
    rows = "".join(ROW.format(name.replace("_", "-"), status) for name, status in advisories.items())
    reads(minion, PENDING, f"<stream><update-list>{rows}</update-list></stream>")


def test_locks_of_an_administrator_are_told_and_those_of_a_hold_are_not(minion):
    pending(minion, A_1="needed", B_1="unwanted", C_1="unwanted", D_1="unwanted", E_1="not-needed")
    locks = [f"{LP}>{ONE}", "patch:C-1"]
    remembers(minion, "hold", {"package": LP, "edition": ONE, "from": TWO, "since": 1, "locks": locks})
    minion.file(klp_paths.LOCKS, lock_records("patch:B-1", "patch:C-1"))
    found = klp_locked.advisories(minion.host)
    assert [(item["id"], item["plain"]) for item in found] == [("B-1", True), ("D-1", False)]


def test_without_locks_nothing_more_is_asked(minion, programs):
    pending(minion, A_1="needed")
    assert klp_locked.advisories(minion.host) == [] and len(programs.calls) == 1
