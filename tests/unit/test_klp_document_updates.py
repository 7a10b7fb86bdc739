"""Updates in the document of a host, as far as unit tests go: a plan that is recorded, and what can go wrong."""

import json

import jsonschema
import pytest
from salt.exceptions import CommandExecutionError

import klp_document_updates
import klp_paths
import klp_restarts
import klp_updates
import zypp_packages
import zypp_plan
import zypp_solver
from tests.unit.conftest import LP
from tests.unit.hosts import ONE, THREE, TWO, has, record, remembers
from tests.unit.loader import ROOT

SCHEMA = json.loads((ROOT / "docs" / "reference" / "host.schema.json").read_text())
NOW = 1_700_000_000
NONE = dict.fromkeys(("critical", "important", "moderate", "low", "unspecified"), 0)


def advisory(ident, severity="important", category="security"):
    return {"id": ident, "severity": severity, "category": category, "status": "needed"}


def skipped(item, reason, kind="advisory"):
    return {"item": item, "kind": kind, "reason": reason}


PLAN: dict = {
    "advisories": ["A-curl", "A-half", "A-other"],
    "live_patches": ["A-lp2", "A-lp3", "A-foreign"],
    "packages": {"curl": {"old": "1-1", "new": "2-1"}, "half": {"old": "1-1", "new": "2-1"}, "gone": {"new": None}},
    "live_patch": {LP: {"old": ONE, "new": TWO}},
    "reload": {},
    "skipped": [
        skipped("A-kernel", "needs kernel-default"),
        skipped("A-locked", "locked by the administrator"),
        skipped("dbus-1", "asks for a reboot", "package"),
    ],
    "contents": {
        "A-curl": {"curl": "2-1", "absent": "2-1"},
        "A-half": {"half": "2-1", "dbus-1": "2-1"},
        "A-other": {"stuck": "2-1"},
        "A-kernel": {"kernel-default": "2-1"},
        "A-lp2": {LP: TWO},
        "A-lp3": {LP: THREE},
        "A-foreign": {"kernel-livepatch-5_14_21-150500_55_12-default": "2-1"},
    },
}
INSTALLED = {
    "curl": "1-1",
    "half": "1-1",
    "dbus-1": "1-1",
    "stuck": "1-1",
    "kernel-default": "1-1",
    LP: ONE,
    "gone": "1",
}
FOREIGN = "kernel-livepatch-5_14_21-150500_55_12-default"


def test_what_is_still_needed_after_a_plan_is_left_out():
    assert klp_document_updates.left_out(PLAN, {**INSTALLED, FOREIGN: "1-1"}) == {
        "A-kernel": "needs kernel-default",
        "A-locked": "locked by the administrator",
        "A-half": "dbus-1 asks for a reboot",
        "A-other": zypp_plan.STILL_NEEDED,
        "A-lp3": klp_document_updates.OTHER_LEVEL,
        "A-foreign": klp_document_updates.OTHER_LEVEL,
    }


@pytest.fixture
def planned(minion, monkeypatch):
    """A host with this plan, and advisories of all kinds; ``plans`` counts how often it was made."""
    minion.plans, minion.problem = [], None
    listed = [advisory("A-curl"), advisory("A-half", "critical"), advisory("A-other", "moderate"), advisory("A-lp2")]
    listed += [advisory("A-lp3"), advisory("A-kernel", "strange"), advisory("A-soft", category="recommended")]

    def plan(host, update=None, level=None):
        minion.plans.append(level)
        if minion.problem and level is not None:
            raise CommandExecutionError(minion.problem)
        return PLAN if level else dict(PLAN, live_patch={})

    monkeypatch.setattr(klp_updates, "plan", plan)
    monkeypatch.setattr(zypp_solver, "advisories", lambda host: listed)
    monkeypatch.setattr(zypp_solver, "unwanted", lambda host: [advisory("A-locked")])
    monkeypatch.setattr(zypp_packages, "packages", lambda host: INSTALLED)
    monkeypatch.setattr(klp_restarts, "packages", lambda host: ["dbus-1-2-1"])
    monkeypatch.setattr(klp_restarts, "services", lambda: ["sshd.service"])
    return minion


def updates(minion):
    found = json.loads(json.dumps(klp_document_updates.updates(minion.host)))
    jsonschema.validate(found, SCHEMA["properties"]["updates"])
    return found


def left(found):
    return {item["id"]: item["severity"] for item in found["left_out"]}


def test_pending_and_left_out_are_told_by_severity(planned):
    found = updates(planned)
    assert found["pending"] == {**NONE, "important": 2}
    assert left(found) == {
        "A-half": "critical",
        "A-kernel": "unspecified",
        "A-locked": "important",
        "A-lp3": "important",
        "A-other": "moderate",
    }
    assert [item["id"] for item in found["left_out"] if item["kernel"]] == ["A-kernel"]
    assert found["restart"] == {"host": ["dbus-1-2-1"], "services": ["sshd.service"]}
    assert (found["repositories"], found["reason"]) == ([], None)


def test_the_plan_is_made_again_only_when_something_has_changed(planned):
    updates(planned)
    updates(planned)
    assert planned.plans == ["latest"]
    planned.changed()
    updates(planned)
    planned.locked("curl")
    updates(planned)
    planned.pillar["klp"] = {"update": {"reboot": True}}
    updates(planned)
    remembers(planned, "hold", {"package": LP, "edition": ONE, "from": TWO, "since": 1, "locks": []})
    updates(planned)
    assert planned.plans == ["latest"] * 5


def test_what_a_hold_locks_is_left_out_and_not_pending(planned, monkeypatch):
    monkeypatch.setattr(zypp_solver, "unwanted", lambda host: [advisory("A-locked"), advisory("A-held")])
    locks = ["patch:A-held", "patch:A-gone", f"{LP}>{ONE}"]
    remembers(planned, "hold", {"package": LP, "edition": ONE, "from": TWO, "since": 1, "locks": locks})
    found = updates(planned)
    assert found["pending"] == {**NONE, "important": 2}
    reasons = {item["id"]: item["reason"] for item in found["left_out"]}
    assert reasons["A-held"].startswith(f"this host went back to live patch {ONE} and is held there; let newer")
    assert reasons["A-locked"] == "locked by the administrator"


def test_first_sight_is_remembered_and_forgotten(planned):
    remembers(planned, "left-out", {"A-half": 5, "A-old": 4})
    assert {item["id"]: item["since"] for item in updates(planned)["left_out"]} == {
        "A-half": 5,
        "A-kernel": NOW,
        "A-locked": NOW,
        "A-lp3": NOW,
        "A-other": NOW,
    }
    assert set(record("left-out")) == {"A-half", "A-kernel", "A-locked", "A-lp3", "A-other"}
    planned.clock.now += 9
    assert {item["since"] for item in updates(planned)["left_out"]} == {5, NOW}


def test_first_sights_are_bounded(planned, monkeypatch):
    monkeypatch.setattr(klp_document_updates, "REMEMBERED", 1)
    assert [item["since"] for item in updates(planned)["left_out"]] == [NOW, None, None, None, None]
    assert len(record("left-out")) == 1


def test_a_damaged_record_is_named_and_nothing_is_guessed(planned):
    planned.file(f"{klp_paths.RECORDS}/left-out.json", "{")
    found = updates(planned)
    assert "left-out.json: cannot be read" in found["reason"]
    assert {item["since"] for item in found["left_out"]} == {None} and len(found["left_out"]) == 5


def test_without_a_live_patch_to_plan_the_rest_is_planned(planned):
    planned.problem = "no live patch package for the running kernel"
    found = updates(planned)
    assert found["reason"] == planned.problem and planned.plans == ["latest", None]
    assert found["pending"] == {**NONE, "important": 1}
    assert left(found)["A-lp2"] == "important"
    assert updates(planned)["reason"] == planned.problem


def test_what_cannot_be_found_out_is_said(planned, monkeypatch):
    def fails(*args, **kwargs):
        raise CommandExecutionError("it does not answer")

    monkeypatch.setattr(klp_updates, "plan", fails)
    monkeypatch.setattr(klp_restarts, "packages", fails)
    monkeypatch.setattr(klp_restarts, "services", lambda: None)
    found = updates(planned)
    assert found["pending"] == NONE and found["left_out"] == []
    assert found["restart"] == {"host": None, "services": None}
    assert found["reason"].count("it does not answer") == 2


def test_a_wrong_pillar_is_said(planned):
    planned.pillar["klp"] = {"update": {"reboot": "what"}}
    assert "pillar klp:update:reboot" in updates(planned)["reason"]


def test_repositories_are_told_with_their_age(planned):
    has(planned, ONE)
    planned.file(f"{klp_paths.REPOSITORIES}/a.repo", "[a]\n[b]\n[c]\nenabled=0\n")
    text = "<repomd><data type='updateinfo'><timestamp>{}</timestamp></data></repomd>"
    planned.file(f"{klp_paths.RAW_METADATA}/a/repodata/repomd.xml", text.format(NOW - 31 * 86400))
    found = updates(planned)
    assert found["repositories"] == [
        {"alias": "a", "time": NOW - 31 * 86400, "frozen": True},
        {"alias": "b", "time": None, "frozen": None},
    ]
    assert found["reason"] == "metadata of repository b cannot be read: look with: zypper refresh"
    planned.pillar["klp"] = {"update": {"metadata_age": 31}}
    assert updates(planned)["repositories"][0]["frozen"] is False


def test_a_host_without_an_answer_has_no_updates_and_a_reason(minion):
    for program in ("zypper", "rpm"):
        minion.programs.on([program, ...], {"retcode": 1, "stderr": "error: no database"})
    found = updates(minion)
    assert found["pending"] == NONE and "no database" in found["reason"]
    assert found["restart"] == {"host": None, "services": None}
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
