"""A host that was never enabled: one cause, and what follows from it."""

from _runners.klp import sheet
from tests.fleet import NEVER, check, document
from tests.unit.report import only, summary

LEAD = "live patching was never enabled: the live patch package lp is not installed"


def test_a_host_that_was_never_enabled_has_one_cause_and_what_follows_is_folded():
    found = only(**NEVER)
    assert (found["kind"], found["command"]) == ("unpatchable", "salt web1 state.apply klp")
    assert found["why"] == [LEAD, "1 severe CVE: fixed only in a newer kernel"]
    assert found["follows"] == [
        "kernel packages are not locked: kernel-default",
        "1 CVE: fixed by a newer live patch, 3-1.1",
        "support window unknown: no lifecycle data of live patches are installed",
        "transition: klp: command not found",
        "active: klp: command not found",
        "package: wanted one edition of lp, found none",
        "uname: uname -v has no live patch mark: #1 SMP",
        "initrd: the initrd has no dracut module kernel-livepatch",
    ]
    sheet_row = "".join(sheet.lines({}, {}, summary(document(**NEVER)))).splitlines()[1]
    assert f"{LEAD} / consequences: 8 / 1 severe CVE" in sheet_row


def test_only_what_follows_is_folded():
    taint = check("taint", "failed", "a proprietary module was loaded")
    blocked = {"transition": {"state": "in_progress", "blockers": ["x"]}}
    assert only(**{**NEVER, "checks": [*NEVER["checks"], taint]})["why"][1] == "taint: a proprietary module was loaded"
    assert only(**NEVER, **blocked)["why"][1] == "the transition is held up by 1 task: x"
    unknown = only(**{**NEVER, "verdict": "unknown", "checks": NEVER["checks"][:2]})
    assert unknown["why"] == [LEAD, "1 severe CVE: fixed only in a newer kernel"]
    assert only(**{**NEVER, "verdict": "unknown", "problems": ["rpm said 1"]})["follows"] == []
    assert only(taint__errors=["oops"], cves__pending=["CVE-2026-1000"])["follows"] == []
