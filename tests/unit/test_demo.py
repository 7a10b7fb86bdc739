"""The pure parts of the demonstration: records out of what jobs returned, the judgement on them, and the table."""

import copy
import io
from typing import Any

import pytest
from rich.console import Console

from demo import report, show

KERNEL = "5.14.21-150500.55.7-default"
PATCH = "kernel-livepatch-5_14_21-150500_55_7-default"
BLOCKED = (
    "the transition of the live patch did not end within 5 seconds, held up by: process 4711 (/usr/sbin/blkmapd; unit "
    "unknown, package nfs-client); no other change was started"
)
UPDATES = """\
Changed
installed, but a scriptlet failed: nfs-client-2.1.1-150500.22.3.1.x86_64
Skipped advisory SUSE-2023-2871: needs kernel-default, and the kernel stays as it is
Skipped package glibc: asks for a reboot; allow it with pillar klp:update:reboot"""
SKIPPED = [
    {
        "kind": "advisory",
        "item": "SUSE-2023-2871",
        "reason": "needs kernel-default, and the kernel stays as it is",
    },
    {
        "kind": "package",
        "item": "glibc",
        "reason": "asks for a reboot; allow it with pillar klp:update:reboot",
    },
]


def run_of(**states):
    """Return a state run as Salt does: ``klp_updates=(result, comment, changes)``."""
    return {
        f"x_|-{name}": {
            "__id__": name.replace("_", "-"),
            "__run_num__": number,
            "result": result,
            "comment": comment,
            "changes": changes,
        }
        for number, (name, (result, comment, changes)) in enumerate(states.items())
    }


def maintenance(settled=(True, "Already as declared", {})):
    states = {"klp_updates": (True, UPDATES, {"curl": {"old": "1", "new": "2"}}), "klp_settled": settled}
    if settled[0] is False:
        states["klp_finished"] = (False, "One or more requisite failed: klp.settle.klp-settled", {})
    return run_of(**states)


def cost(sls, calls, retcode=0, seconds=2.5):
    return {"sls": sls, "retcode": retcode, "zypper_calls": calls, "seconds": seconds}


def facts(verdict="ok", edition="3-150500.2.1", packages=None, backups=("vol-1",), transition="ready"):
    checks = [{"check": "transition", "verdict": "ok", "detail": "ready"}]
    if verdict == "blocked":
        checks = [{"check": "transition", "verdict": "blocked", "detail": "held up by: process 4711"}]
    return {
        "klp.status": {"kernel": KERNEL, "transition": transition},
        "klp.package": {"name": PATCH, "edition": edition, "level": 3},
        "zypper.packages": packages or {},
        "klp.verify": {"verdict": verdict, "kernel": KERNEL, "live_patch": edition, "checks": checks, "cves": []},
        "zypper.locks": [{"package": "kernel-default", "version": None}, {"package": "curl", "version": "= 1"}],
        "root_backup.list": [{"run": "r", "backup": backup} for backup in backups],
    }


def record(host, before, after, runs, returned):
    return {"host": host, **report.outcome(after, report.begin(before), runs, returned)}


@pytest.fixture
def records():
    """What a good demonstration finds."""
    old, new = {"curl": "1", "libz1": "1"}, {"curl": "2", "libz1": "1", PATCH: "3-150500.2.1"}
    calls = [cost("klp", 0), cost("klp.patch", 5)]
    ready = record("ready", facts(packages=new), facts(packages=new, backups=()), copy.deepcopy(calls), maintenance())
    fresh = record("fresh", facts(edition=None, packages=old), facts(packages=new), calls, maintenance())
    stopped = maintenance(settled=(False, BLOCKED, {}))
    stuck = facts("blocked", packages=new, transition="in_progress")
    runs = [cost("klp", 1), cost("klp.patch", 5, retcode=2)]
    held = record("held", facts(edition="1-150500.9.3.1", packages=old), stuck, runs, stopped)
    later = report.outcome(facts(packages=new), report.begin(stuck), [cost("klp.patch", 2)], maintenance())
    return copy.deepcopy([ready, fresh, {**held, "after_release": later}])


def test_a_record_holds_what_happened_to_a_host(records):
    fresh = records[1]
    assert fresh == {
        "host": "fresh",
        "verdict": "ok",
        "kernel_before": KERNEL,
        "kernel_after": KERNEL,
        "live_patch_before": None,
        "live_patch_after": "3-150500.2.1",
        "transition": "ready",
        "blocker": None,
        "failures": [],
        "locks": ["kernel-default"],
        "backup_id": "vol-1",
        "updated": {"curl": {"old": "1", "new": "2"}, PATCH: {"old": None, "new": "3-150500.2.1"}},
        "skipped": SKIPPED,
        "zypper_calls": 5,
        "seconds": 5.0,
        "runs": [cost("klp", 0), cost("klp.patch", 5)],
    }


def test_a_blocked_run_has_its_reason_and_not_what_follows_from_it(records):
    held = records[2]
    assert (held["verdict"], held["blocker"]) == ("blocked", "held up by: process 4711")
    assert held["failures"] == [BLOCKED]
    assert held["after_release"]["verdict"] == "ok"


@pytest.mark.parametrize(
    ("found", "returned", "verdict"),
    [
        pytest.param("ok", maintenance(), "ok", id="good"),
        pytest.param("ok", maintenance(settled=(False, "no", {})), "failed", id="a state failed"),
        pytest.param("ok", ["Rendering SLS failed"], "failed", id="nothing was run"),
        pytest.param("reboot_needed", {}, "failed", id="an empty run"),
        pytest.param("unknown", maintenance(), "unknown", id="unknown stays unknown"),
        pytest.param("blocked", maintenance(settled=(False, "no", {})), "blocked", id="blocked stays blocked"),
    ],
)
def test_no_failed_run_is_good(found, returned, verdict):
    assert report.verdict({"verdict": found}, returned) == verdict


@pytest.mark.parametrize(
    ("returned", "said"), [(["one", "two"], ["one", "two"]), ("no such function", ["no such function"]), ({}, [])]
)
def test_an_answer_that_is_no_state_run_is_quoted(returned, said):
    assert report.failures(returned) == said
    assert report.states(returned) == {}
    assert report.skipped(returned) == []


WHY = f"important advisory left out (since 2026-11-28): {report.GLIBC}: asks for a reboot"
FLEET: dict[str, Any] = {
    "retcode": 2,
    "hosts": [{"host": name, "why": [WHY]} for name in ("ready", "fresh", "held")],
    "left_out": [{"id": report.GLIBC, "hosts": 3}],
}


def test_the_report_on_the_fleet_has_to_name_what_is_left_out():
    assert report.fleet_problems(FLEET) == []
    hosts = [*FLEET["hosts"][:1], {"host": "fresh", "why": []}]
    assert report.fleet_problems({"retcode": 0, "hosts": hosts, "left_out": []}) == [
        "klp.report: its exit code is 0, although glibc is left out",
        f"klp.report: fresh: the advisory {report.GLIBC} is not named as left out: ",
        f"klp.report: held: the advisory {report.GLIBC} is not named as left out: no row",
        f"klp.report: {report.GLIBC} is left out on 0 hosts",
    ]


def test_the_report_on_the_fleet_is_shown_without_its_files():
    text = io.StringIO()
    said = f"3 hosts, 0 covered\n  held: left_out: {WHY}\n      salt held klp.pending\nwritten:\n  /x/report.html"
    show.Show(Console(file=text, width=200)).fleet(said, 2)
    assert text.getvalue().splitlines() == [
        *said.splitlines()[:3],
        "exit code 2; the page is build/demo/report/report.html",
    ]


def test_a_good_demonstration_has_no_problems(records):
    assert report.problems(records) == []


def test_no_host_may_be_missing(records):
    assert report.problems(records[:2]) == ["held: no record"]


PROBLEMS: list[tuple[str, dict[str, Any], str]] = [
    ("ready", {"updated": {"curl": {}}}, "ready: it was converged, but changed: curl"),
    ("ready", {"kernel_after": "6"}, "ready: the kernel became 6"),
    ("fresh", {"updated": {"kernel-default": {}}}, "fresh: kernel packages were touched: kernel-default"),
    ("fresh", {"locks": []}, "fresh: kernel-default is not locked"),
    ("fresh", {"backup_id": None}, "fresh: it has no backup"),
    ("fresh", {"updated": {}}, "fresh: nothing was updated"),
    ("fresh", {"skipped": []}, "fresh: nothing is told of what was left out"),
    ("fresh", {"verdict": "failed", "failures": ["no"]}, "fresh: the verdict is failed, wanted ok: no"),
    ("fresh", {"transition": "in_progress"}, "fresh: a transition is running"),
    ("fresh", {"live_patch_after": "2-1"}, "fresh: the live patch is 2-1, wanted 3-150500.2.1"),
    ("held", {"verdict": "ok"}, "held: the verdict is ok, wanted blocked"),
    ("held", {"failures": []}, "held: the blocker was not named: no failure"),
    ("held", {"backup_id": "vol-9"}, "held: the second run made a second backup"),
    ("held", {"after_release": None}, "held: it was not tried again"),
]


@pytest.mark.parametrize(("host", "wrong", "sentence"), PROBLEMS, ids=[f"{p[0]}-{next(iter(p[1]))}" for p in PROBLEMS])
def test_what_is_not_as_it_should_be_is_said(records, host, wrong, sentence):
    for item in records:
        item.update(wrong if item["host"] == host else {})
    assert report.problems(records) == [sentence]


def test_too_many_calls_of_zypper_and_a_wrong_exit_code_are_said(records):
    ready, fresh, held = records
    ready["runs"][0]["zypper_calls"] = 1
    fresh["runs"][1]["zypper_calls"] = 7
    held["runs"][-1]["retcode"] = 0
    held["after_release"]["updated"] = {"curl": {}}
    assert report.problems([ready, fresh, held]) == [
        "ready: it was converged, but state.apply klp called zypper",
        "fresh: klp.patch called zypper 7 times",
        "held: the exit code of the run that was blocked is 0",
        "held: the second run changed again: curl",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"open run": {"old": "r", "new": None}}, ""),
        ({"backup": {"old": None, "new": "vol-1"}}, "backup vol-1"),
        ({"locked": {"old": [], "new": ["a", "b"]}}, "2 packages locked"),
        ({"live patch": {"old": None, "new": "3-1"}, "module": {"old": None, "new": "m"}}, "live patch 3-1"),
        ({"missing tools": {"old": ["a"], "new": []}, "lp": {"old": None, "new": "3-1"}}, "lp 3-1"),
        ({name: {"old": "1", "new": "2"} for name in "abc"}, "3 packages: a, b, c"),
        (dict.fromkeys(["a", PATCH, "b"], {"old": None, "new": "3-1"}), "live patch 3-1, 2 packages: a, b"),
    ],
)
def test_a_change_is_told_in_a_few_words(changes, words):
    assert show.change(changes) == words


def shown(records, width):
    text = io.StringIO()
    screen = show.Show(Console(file=text, width=width))
    screen.table(records)
    screen.left_out(records)
    for item in records:
        screen.way_on(item)
    return text.getvalue()


def test_the_end_names_every_host_the_blocker_and_what_was_left_out(records):
    text = shown(records, 130)
    rows = [line.split() for line in text.splitlines() if line.startswith("| ")]
    cells = {line[1]: line for line in rows}
    assert KERNEL in " ".join(cells["ready"])
    assert "BLOCKED" in " ".join(cells["held"])
    assert "Left out on ready, fresh, held:" in text
    assert "package glibc" in text
    assert BLOCKED in text
    assert "next: salt 'held' state.apply klp.patch" in text


def test_a_narrow_table_folds_and_loses_nothing(records):
    text = shown(records, 80)
    assert max(map(len, text.split("Left out")[0].splitlines())) <= 80
    assert "BLOCKED" in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
