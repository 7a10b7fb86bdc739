"""What many documents say together: each host has one kind, the worst one, and no text of a host breaks out."""

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _runners.klp import fleet, kinds
from tests.fleet import (
    NO_LIVE_PATCH,
    NOW,
    SETTINGS,
    check,
    day,
    document,
    documents,
    one_of_each,
    summary_of_each,
)
from tests.unit.report import HOSTILE, VALIDATOR, hostile, only, summary


def test_simulated_documents_are_valid():
    for found in [*one_of_each()[0].values(), *documents(300).values()]:
        VALIDATOR.validate(found)
        listed = [cve for state in kinds.STATES for cve in found["cves"][state]]
        assert len(listed) == len(set(listed)) and set(found["cves"]["severity"]) >= set(listed)


def test_one_of_each_is_one_of_each():
    found = summary_of_each()
    assert [(row["host"], row["kind"]) for row in found["hosts"]] == [
        ("lost1", "silent"),
        ("old1", "unpatchable"),
        ("hana1", "stalled"),
        ("build1", "unlocked"),
        ("db2", "expired"),
        ("db1", "reboot"),
        ("web2", "pending"),
        ("mail1", "updates"),
        ("mail2", "left_out"),
        ("edge1", "unclear"),
        ("mail3", "unknown"),
        ("web1", "covered"),
    ]
    assert [row["command"] for row in found["hosts"]] == [
        "salt lost1 test.ping",
        "salt old1 klp.verify",
        "salt hana1 klp.blockers",
        "salt build1 state.apply klp",
        "salt db2 klp_audit.reboot_safety",
        "salt db1 klp_audit.reboot_safety",
        "salt web2 state.apply klp.patch",
        "salt mail1 state.apply klp.patch",
        "salt mail2 klp.pending",
        "salt edge1 klp_audit.window",
        "salt mail3 zypper.refresh",
        "",
    ]
    assert found["silent"] == {"lost1": "The minion did not answer within 60 seconds."}
    assert found["totals"]["hosts"] == 12 and found["totals"]["answered"] == 11
    assert found["totals"]["reboot_debt"] == 2 and found["totals"]["updates"] == {"pending": 1, "left_out": 1}
    assert found["totals"]["cves"] == {"fixed_live": 2, "unknown": 1, "pending": 2, "reboot": 3}
    assert found["totals"]["verdicts"] == {"blocked": 1, "failed": 1, "ok": 7, "reboot_needed": 1, "unsupported": 1}
    assert json.loads(json.dumps(found)) == found


LOCKS = check("locks", "failed", "a")
CASES = [
    ("covered", None, {}),
    ("covered", None, {"cves__reboot": ["CVE-2026-1000"], "cves__severity": {"CVE-2026-1000": "low"}}),
    ("unpatchable", "no live patch is made", {"live_patch": NO_LIVE_PATCH}),
    ("unpatchable", "lp is not installed", {"live_patch": {**NO_LIVE_PATCH, "package": "lp"}}),
    ("unpatchable", "no live patching: flavour", {"verdict": "unsupported",
                                                  "checks": [check("kernel", "unsupported", "flavour")]}),
    ("unclear", "lifecycle", {"live_patch": NO_LIVE_PATCH, "verdict": "unknown", "problems": ["rpm said 1"],
                              "window__state": "unknown", "window__reason": "no lifecycle data"}),
    ("unknown", "rpm said 1", {"live_patch": NO_LIVE_PATCH, "verdict": "unknown", "problems": ["rpm said 1"]}),
    ("stalled", "by 4 tasks: a, b, c and 1 more", {"transition": {"state": "in_progress", "blockers": list("abcd")}}),
    ("stalled", "blocked: transition: why", {"verdict": "blocked", "checks": [check("transition", "blocked", "why")]}),
    ("covered", None, {"transition": {"state": "in_progress", "blockers": []}}),
    ("failed", "the kernel reports: oops", {"taint__errors": ["oops"]}),
    ("failed", "not active", {"live_patch__active": None}),
    ("failed", "level 4 is not", {"live_patch__level": 4}),
    ("failed", "no reason", {"verdict": "failed"}),
    ("failed", "initrd: b", {"verdict": "failed", "checks": [LOCKS, check("initrd", "failed", "b")],
                             "locks__missing": ["k"]}),
    ("unlocked", "not locked: k", {"verdict": "failed", "checks": [LOCKS], "locks__missing": ["k"]}),
    ("unlocked", "not locked: k", {"verdict": "failed", "checks": [LOCKS, check("initrd", "unknown", "b")],
                                   "locks__missing": ["k"]}),
    ("expired", "any more since 2026-11-20", {"window__state": "expired", "window__last": day(-7)}),
    ("expired", "any more", {"window__state": "expired", "window__last": None}),
    ("expired", "since 2026-11-26", {"window__last": day(-1)}),
    ("reboot", "1 severe CVE:", {"cves__reboot": ["CVE-2026-1000"], "cves__severity": {"CVE-2026-1000": "critical"}}),
    ("reboot", "asks for a reboot", {"reboot__needed": True}),
    ("reboot", "a reboot is needed: why", {"verdict": "reboot_needed",
                                           "checks": [check("reboot", "reboot_needed", "why")]}),
    ("pending", "1 CVE: fixed by a newer live patch", {"cves__pending": ["CVE-2026-1000"]}),
    ("pending", "newer live patch is available, 10-1.1", {"live_patch__newest": "10-1.1"}),
    ("pending", "it is held at 5-1.1", {"live_patch__newest": "6-1.1", "live_patch__held": "5-1.1"}),
    ("covered", None, {"live_patch__newest": "5-150500.1.9"}),
    ("unclear", "window unknown: no line", {"window__state": "unknown", "window__reason": "no line"}),
    ("unclear", "window unknown", {"window__last": "2026-99-99"}),
    ("expiring", "end in 1 day, on 2026-11-28", {"window__last": day(1)}),
    ("expiring", "end in 60 days", {"window__last": day(60)}),
    ("covered", None, {"window__last": day(61)}),
    ("expiring", "has the last live patch", {"window__limit": {"max_level": 5, "reached": True}}),
    ("covered", None, {"window__limit": {"max_level": 9, "reached": False}}),
    ("unknown", "status unknown", {"cves__unknown": ["CVE-2026-1000"]}),
    ("unknown", "of unknown severity", {"cves__reboot": ["CVE-2026-1000"]}),
    ("unknown", "CVEs are unknown: stale", {"cves__reason": "stale"}),
    ("unknown", "whether its kernel is locked", {"locks__missing": None}),
    ("unknown", "the transition is unknown", {"transition__state": "unknown"}),
    ("unknown", "unclear: initrd: x", {"verdict": "unknown", "checks": [check("initrd", "unknown", "x")]}),
    ("unknown", "48 hours old", {"time": NOW - 48 * 3600}),
    ("unknown", "ahead", {"time": NOW + 4000}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "why", "changes"), CASES)
def test_a_host_has_the_first_kind_that_applies(kind, why, changes):
    found = only(**changes)
    assert found["kind"] == kind and found["rank"] == list(kinds.KINDS).index(kind)
    assert why is None or why in "; ".join(found["why"])
    assert bool(found["command"]) == (kind != "covered")


def test_every_kind_has_a_case():
    assert {kind for kind, _, _ in CASES} | {"silent", "updates", "left_out"} == set(kinds.KINDS)


def test_a_worse_kind_wins_and_all_reasons_are_told():
    found = only(taint__errors=["oops"], locks__missing=["k"], window__state="expired", cves__pending=["CVE-2026-1000"])
    assert found["kind"] == "failed" and len(found["why"]) == 4


def test_what_makes_no_kind_is_told_as_well():
    mild = {"CVE-2026-1000": "moderate", "CVE-2026-1001": "low"}
    found = only(cves__reboot=list(mild), cves__severity=mild, reboot__verdict="failed", reboot__reasons=["no initrd"])
    assert found["kind"] == "covered"
    assert found["why"] == [
        "2 CVEs of low or moderate severity: fixed only in a newer kernel",
        "it would not come up live patched: no initrd",
    ]


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("state.apply klp", {"live_patch": {**NO_LIVE_PATCH, "package": "lp"}}),
        ("klp.held", {"live_patch__newest": "6-1.1", "live_patch__held": "5-1.1"}),
    ],
)
def test_the_command_fits_the_case(words, changes):
    assert only(**changes)["command"] == f"salt web1 {words}"


def test_days_are_counted_from_today_and_not_from_the_day_of_the_document():
    found = only(window__last=day(100), window__days=140, time=NOW - 40 * 86400)
    assert found["window"] == {"state": "open", "last": day(100), "days": 100, "estimate": None}
    broken = only(window__state="unknown", window__last=None, window__estimate={"last": "2026-02-30", "days": 3})
    assert broken["window"]["estimate"] is None


def test_hosts_that_are_the_same_are_kept_once():
    same = [document(f"web{number}", time=NOW - number) for number in range(1, 6)]
    other = document("db1", cves__pending=["CVE-2026-23100"], cves__severity={"CVE-2026-23100": "critical"})
    untold = document("db2", cves__fixed_live=[], cves__reason="no repositories")
    found = summary(*same, other, untold)
    assert [(row["hosts"], row["known"]) for row in found["profiles"]] == [(1, True), (1, False), (5, True)]
    assert found["profiles"][2]["names"] == ["web1", "web2", "web3"]
    assert {row["profile"] for row in found["hosts"] if row["host"].startswith("web")} == {2}
    assert found["cves"] == [
        {
            "cve": "CVE-2026-23100",
            "severity": "critical",
            "counts": {"fixed_live": 5, "unknown": 0, "pending": 1, "reboot": 0},
            "marks": "P-F",
        },
        {
            "cve": "CVE-2026-21999",
            "severity": "moderate",
            "counts": {"fixed_live": 6, "unknown": 0, "pending": 0, "reboot": 0},
            "marks": "F-F",
        },
    ]


def test_cves_are_sorted_by_severity_then_state_then_age():
    severity = {"CVE-2025-9999": "important", "CVE-2026-1000": "low", "CVE-2026-10000": "low", "CVE-2024-7777": "low"}
    found = summary(
        document(
            cves__fixed_live=["CVE-2026-1000", "CVE-2025-9999"],
            cves__pending=["CVE-2026-10000", "CVE-2026-9998", "CVE-2026-9999"],
            cves__reboot=["CVE-2024-7777"],
            cves__severity=severity,
        )
    )
    assert [row["cve"] for row in found["cves"]] == [
        "CVE-2025-9999",
        "CVE-2024-7777",
        "CVE-2026-10000",
        "CVE-2026-1000",
        "CVE-2026-9999",
        "CVE-2026-9998",
    ]


def test_a_kernel_tells_the_worst_window_of_its_hosts():
    found = summary(
        document("a", window__last=day(90)),
        document("b", window__last=day(80), live_patch__level=None),
        document("c", kernel="old", window__state="expired", window__last=day(-9), live_patch__level=12),
        document("d", kernel="odd", window__state="unknown", window__estimate={"last": day(5), "days": 5}),
    )["kernels"]
    assert [(row["kernel"][:3], row["hosts"], row["window"]["state"], row["agreed"]) for row in found] == [
        ("old", 1, "expired", True),
        ("odd", 1, "unknown", True),
        ("5.1", 2, "open", False),
    ]
    assert found[2]["window"]["last"] == day(80) and found[2]["levels"] == {"5": 1, "unknown": 1}


def test_an_empty_fleet_has_a_summary():
    found = fleet.summary({}, {}, SETTINGS, NOW)
    assert found["hosts"] == found["kernels"] == found["cves"] == [] and found["totals"]["hosts"] == 0
    assert found["totals"]["ages"] == {"oldest": None, "host": None, "median": None, "old": 0}
    assert set(found) == {
        "version", "made", "settings", "totals", "hosts", "kernels", "profiles", "cves", "left_out", "changes",
        "reboots", "silent",
    }  # fmt: skip


def test_a_moment_may_have_fractions():
    found = fleet.summary({"a": document("a", time=NOW - 72 * 3600)}, {}, SETTINGS, NOW + 0.75)
    assert found["made"] == NOW and found["hosts"][0]["why"] == ["its document is 72 hours old"]


def test_ages_are_told():
    found = summary(document("a", time=NOW - 60), document("b", time=NOW - 49 * 3600))["totals"]["ages"]
    assert found == {"oldest": 49 * 3600, "host": "b", "median": 49 * 3600, "old": 1}


def test_expired_hosts_and_debt_are_due_and_estimates_are_not():
    found = summary_of_each()["reboots"]
    late = [row["host"] for week in found["weeks"] for row in week["hosts"] if row["late"]]
    assert late == ["db2"] and found["weeks"][0]["week"] == 1
    assert [row["host"] for row in found["unknown"]] == ["edge1", "old1"]
    due = {row["host"]: row["due"] for week in found["weeks"] for row in week["hosts"]}
    assert due["db1"] == day(30) and due["web1"] == day(175)


def strings(found):
    """Yield every string of a summary, keys too."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield key
            yield from strings(value)
    elif isinstance(found, list):
        for value in found:
            yield from strings(value)
    elif isinstance(found, str):
        yield found


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_string_of_a_host_is_more_than_a_printable_line(text):
    found = list(strings(hostile(text)))
    assert all(line.isprintable() and len(line) <= 400 + 5200 * line.startswith("salt ") for line in found)
    json.dumps(found, ensure_ascii=False).encode()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_command_is_three_or_four_words_for_a_shell(text):
    for row in hostile(text)["hosts"]:
        words = shlex.split(row["command"])
        assert not words or (words[0] == "salt" and len(words) in (3, 4) and row["host"][:250] in words[1])
        assert bool(words) == (text.isprintable() and row["kind"] != "covered")


@given(st.text(min_size=1))
def test_a_command_has_exactly_one_host(host):
    found = kinds.command(host, "klp.verify")
    if not host.isprintable():
        assert found == ""
        return
    words = [word for word in shlex.split(found) if word != "--" or host == "--"]
    assert words[0] == "salt" and words[-1] == "klp.verify"
    if not set(host) & set("*?["):
        assert words[-2] == host


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("web1", "salt web1 klp.verify"),
        ("web 1", "salt 'web 1' klp.verify"),
        ("web*", "salt 'web[*]' klp.verify"),
        ("-rf", "salt -- -rf klp.verify"),
        ("a\nb", ""),
    ],
)
def test_a_host_is_named_and_not_a_pattern(host, found):
    assert kinds.command(host, "klp.verify") == found
