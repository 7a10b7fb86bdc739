"""The one document of a host against its schema, and the grain made from it."""

import importlib
import json
import os
import stat
from unittest.mock import create_autospec

import jsonschema
import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_checks
import klp_paths
from tests.unit import loader
from tests.unit.conftest import KERNEL, LP
from tests.unit.documented import (
    AVAILABLE,
    CHANGE,
    CHECKS,
    CVES,
    DOCUMENT,
    EDITION,
    MODULE,
    SAFE,
    TARGET,
    THIRD,
    UPDATES,
    WINDOW,
)
from tests.unit.loader import ROOT

SCHEMA = json.loads((ROOT / "docs" / "reference" / "host.schema.json").read_text())


@pytest.fixture
def host(minion, monkeypatch):
    """A host whose readings are given: what they are made from has tests of its own."""
    answers: dict = {
        "klp_live.kernel_package": {"release": KERNEL, "name": "kernel-default", "edition": EDITION},
        "klp_live.waiting_kernel": None,
        "klp_health.kernel_errors": [],
        "klp_verify.verify": {"verdict": "reboot_needed", "checks": CHECKS},
        "klp_live.status": {"kernel": KERNEL, "transition": "ready", "active": MODULE, "patches": []},
        "klp_live.blockers": [],
        "klp_live.package": {"name": LP, "edition": THIRD, "level": 3, "unfinished": False},
        "klp_hold.held": None,
        "klp_level.available": AVAILABLE,
        "klp_retracted.of": {"retracted": False, "advisories": [], "read": True, "reason": None},
        "klp_preflight.unlocked": [],
        "klp_target.summary": TARGET,
        "klp_change.summary": CHANGE,
        "klp_window.window": WINDOW,
        "klp_window.lifecycle": {"lines": [], "unknown": []},
        "klp_reboot.reboot_safety": SAFE,
        "klp_audit_cves.cves": CVES,
        "klp_document_updates.updates": UPDATES,
        "zypp_packages.needs_rebooting": True,
    }
    minion.answers = answers

    def answer(name):
        def given(*args):
            found = minion.answers[name]
            if isinstance(found, Exception):
                raise found
            return found

        return given

    for name in answers:
        module, function = name.split(".")
        module = importlib.import_module(module)
        monkeypatch.setattr(module, function, create_autospec(getattr(module, function), side_effect=answer(name)))
    return minion


def fails(minion, name, error=CommandExecutionError, text="it does not answer"):
    minion.answers[name] = error(text)


def document(minion):
    found = json.loads(json.dumps(minion.salt["klp_audit.host"]()))
    jsonschema.validate(found, SCHEMA, format_checker=jsonschema.FormatChecker())
    return found


def grain(minion, monkeypatch):
    module = loader.load("_grains", "klp")
    monkeypatch.setattr(module, "DOCUMENT", f"{klp_paths.RECORDS}/host.json")
    monkeypatch.setattr(module, "LIVEPATCH", klp_paths.LIVEPATCH)
    monkeypatch.setattr(module, "BOOT", klp_paths.BOOT_ID)
    return module.klp()


def test_the_document_has_everything_of_its_schema(host):
    assert document(host) == DOCUMENT
    assert host.programs.calls == []


def test_the_document_is_kept_for_the_grain_and_nobody_else(host):
    document(host)
    assert stat.S_IMODE(os.stat(f"{klp_paths.RECORDS}/host.json").st_mode) == 0o600


def test_the_newest_live_patch_is_asked_once(host):
    document(host)
    fails(host, "klp_level.available")
    assert document(host)["live_patch"]["newest"] == "4-1.1"
    host.changed()
    found = document(host)
    assert found["live_patch"]["newest"] is None
    assert found["problems"] == ["newest live patch: it does not answer"]


def test_no_live_patch_in_the_repositories_is_none(host):
    host.answers["klp_level.available"] = []
    assert document(host)["live_patch"]["newest"] is None


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("klp_live.kernel_package", "kernel package"),
        ("klp_health.kernel_errors", "errors of the kernel"),
        ("klp_verify.verify", "verification"),
        ("klp_live.status", "kernel"),
        ("klp_live.blockers", "blockers"),
        ("klp_live.package", "live patch package"),
        ("klp_hold.held", "held"),
        ("klp_preflight.unlocked", "locks"),
        ("klp_window.window", "window"),
        ("klp_window.lifecycle", "lifecycle data"),
        ("klp_reboot.reboot_safety", "reboot safety"),
        ("klp_audit_cves.cves", "CVEs"),
        ("zypp_packages.needs_rebooting", "reboot"),
    ],
)
@pytest.mark.parametrize("error", [CommandExecutionError, SaltInvocationError, ValueError])
def test_what_cannot_be_found_out_is_said_and_never_guessed(host, name, what, error):
    fails(host, name, error)
    found = document(host)
    assert f"{what}: it does not answer" in found["problems"]
    unknown = {
        "klp_verify.verify": found["verdict"] == "unknown",
        "klp_window.window": found["window"]["state"] == "unknown",
        "klp_reboot.reboot_safety": found["reboot"]["verdict"] == "unknown",
        "klp_audit_cves.cves": found["cves"]["reason"] == "CVEs: it does not answer",
        "klp_preflight.unlocked": found["locks"]["missing"] is None,
        "klp_live.status": found["transition"]["state"] == "unknown",
        "zypp_packages.needs_rebooting": found["reboot"]["needed"] is None,
        "klp_live.package": found["live_patch"]["edition"] is None,
    }
    assert unknown.get(name, True)


def test_errors_of_the_kernel_make_the_verdict_worse(host):
    host.answers["klp_health.kernel_errors"] = ["taint D: the kernel died before (oops or BUG)"]
    found = document(host)
    assert found["verdict"] == "failed"
    dead = {"check": "errors", "verdict": "failed", "detail": "taint D: the kernel died before (oops or BUG)"}
    assert found["checks"] == [DOCUMENT["checks"][0], dead]


def test_a_kernel_without_live_patches_stays_unsupported(host):
    host.answers["klp_verify.verify"] = {"verdict": "unsupported", "checks": [dict(CHECKS[0], verdict="unsupported")]}
    assert document(host)["verdict"] == "unsupported"


def test_blockers_and_the_hold_are_told(host):
    task = {"pid": 7, "command": "sleep", "comm": "sleep", "unit": None, "package": None, "state": "S", "stack": []}
    host.answers["klp_live.blockers"] = [task]
    host.answers["klp_live.status"] = dict(host.answers["klp_live.status"], transition="in_progress")
    host.answers["klp_hold.held"] = {"package": LP, "edition": "2-1.1"}
    found = document(host)
    assert found["transition"]["state"] == "in_progress"
    assert found["transition"]["blockers"][0].startswith("process 7 (sleep;")
    assert found["live_patch"]["held"] == "2-1.1"


def test_unknown_lines_of_the_lifecycle_data_are_problems(host):
    host.answers["klp_window.lifecycle"] = {"lines": [], "unknown": ["f:1: what"]}
    assert document(host)["problems"] == ["f:1: what"]


def test_the_group_comes_from_the_pillar_and_a_wrong_pillar_is_a_problem(host):
    host.pillar["klp"] = {"group": "web"}
    assert document(host)["group"] == "web"
    host.pillar["klp"] = {"group": "a b"}
    found = document(host)
    assert (found["group"], found["problems"][0][:21]) == ("", "pillar: pillar klp:gr")


def test_a_host_without_files_is_unknown_and_not_empty(host):
    os.unlink(klp_paths.OS_RELEASE)
    host.file(klp_paths.TAINTED, "what\n")
    os.unlink(klp_paths.BOOT_ID)
    found = document(host)
    assert (found["os"], found["taint"]["value"], found["boot"]) == ("unknown-unknown", None, None)


def test_a_document_that_cannot_be_written_is_still_returned(host):
    host.file(klp_paths.RECORDS, "a file in the way")
    assert any(line.startswith("record: ") for line in document(host)["problems"])


def test_the_grain_tells_the_document_and_starts_nothing(host, monkeypatch):
    document(host)
    host.live_patch(MODULE)
    assert grain(host, monkeypatch) == {
        "klp": {
            "kernel": KERNEL,
            "active": MODULE,
            "transition": "ready",
            "time": 1700000000,
            "verdict": "reboot_needed",
            "level": 3,
            "window": "open",
            "window_last": "2024-07-18",
            "pending_cves": 1,
            "reboot_cves": 1,
            "retracted": False,
            "pending_updates": 0,
            "left_out_updates": 1,
            "updates_known": False,
            "stale": False,
        }
    }


KNOWN: dict = {**UPDATES, "reason": None, "repositories": [{"alias": "Updates", "time": 1, "frozen": False}]}


@pytest.mark.parametrize(
    ("updates", "numbers"),
    [
        (KNOWN, (0, 1, True)),
        ({**KNOWN, "pending": {**UPDATES["pending"], "critical": 1, "important": 2, "low": 4}}, (3, 1, True)),
        ({**KNOWN, "left_out": [{**UPDATES["left_out"][0], "kernel": True}]}, (0, 0, True)),
        ({**KNOWN, "left_out": [{**UPDATES["left_out"][0], "severity": "low"}]}, (0, 0, True)),
        ({**KNOWN, "repositories": []}, (0, 1, False)),
        (
            {**KNOWN, "repositories": [*KNOWN["repositories"], {**KNOWN["repositories"][0], "frozen": True}]},
            (0, 1, False),
        ),
        ({**KNOWN, "repositories": [{**KNOWN["repositories"][0], "frozen": None}]}, (0, 1, False)),
    ],
)
def test_the_grain_counts_severe_updates_and_says_whether_that_can_be_trusted(host, monkeypatch, updates, numbers):
    host.answers["klp_document_updates.updates"] = updates
    document(host)
    host.live_patch(MODULE)
    found = grain(host, monkeypatch)["klp"]
    assert tuple(found[key] for key in ("pending_updates", "left_out_updates", "updates_known")) == numbers


@pytest.mark.parametrize("change", ["boot", "kernel", "active", "transition"])
def test_a_grain_of_before_is_stale(host, monkeypatch, change, uname):
    document(host)
    host.live_patch(MODULE)
    if change == "boot":
        host.file(klp_paths.BOOT_ID, "b2\n")
    elif change == "kernel":
        uname("5.14.21-150500.55.12-default")
    elif change == "active":
        host.live_patch(MODULE, 0)
    else:
        host.live_patch("livepatch_4_1", 1, 1)
    found = grain(host, monkeypatch)["klp"]
    assert (found["stale"], found["verdict"]) == (True, "unknown")
    assert found["transition"] == ("in_progress" if change == "transition" else "ready")


@pytest.mark.parametrize("text", [None, "", "{", "[]", "7", '{"boot": 1}', "[" * 100000])
def test_a_grain_without_a_document_knows_the_kernel_only(host, monkeypatch, text):
    if text is not None:
        host.file(f"{klp_paths.RECORDS}/host.json", text)
    found = grain(host, monkeypatch)["klp"]
    assert found == {"kernel": KERNEL, "active": None, "transition": "ready", "verdict": "unknown", "stale": True}


def test_where_there_is_no_live_patching_there_is_no_grain(host, monkeypatch):
    os.rmdir(klp_paths.LIVEPATCH)
    assert grain(host, monkeypatch) == {}


@pytest.mark.parametrize("verdict", [word for word in klp_checks.VERDICTS if word != "ok"])
def test_with_any_verdict_but_ok_the_job_has_failed(host, verdict):
    host.answers["klp_verify.verify"] = {"verdict": verdict, "checks": [dict(CHECKS[0], verdict=verdict)]}
    assert document(host)["verdict"] == verdict and host.context["retcode"] == 1


def test_with_the_verdict_ok_the_job_has_not_failed(host):
    host.answers["klp_verify.verify"] = {"verdict": "ok", "checks": CHECKS[:2]}
    assert document(host)["verdict"] == "ok" and host.context["retcode"] == 0


def test_a_host_that_nobody_can_verify_has_failed(host):
    fails(host, "klp_verify.verify")
    found = document(host)
    assert (found["verdict"], host.context["retcode"]) == ("unknown", 1)
    said = "verification: it does not answer"
    assert found["checks"] == [{"check": "verification", "verdict": "unknown", "detail": said}]


@pytest.mark.parametrize(
    ("flag", "kernel", "needed"), [(False, "kernel-default-6-1", True), (False, None, False), (True, None, True)]
)
def test_a_kernel_that_waits_needs_a_restart_where_there_is_no_flag(host, flag, kernel, needed):
    host.answers.update({"zypp_packages.needs_rebooting": flag, "klp_live.waiting_kernel": kernel})
    assert host.salt["klp_audit.host"]()["reboot"]["needed"] is needed
