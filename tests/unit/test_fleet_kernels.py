"""What the report tells of the next kernel of each host, and of what became of the last restarts."""

import csv
import io

import pytest

from _runners.klp import changes, fleet, metrics, page, reporting, sheet
from tests.fleet import NONE, NOW, SETTINGS, day
from tests.unit.report import HOSTILE, embedded, samples, section
from tests.unit.targets import CHANGE, NEW, OLD, TARGET, changed, document


def summary(*found):
    return fleet.summary({item["host"]: item for item in found}, {"lost": "no answer"}, SETTINGS, NOW)


def row(*found):
    return summary(*found)["hosts"][1]  # after the silent one


def cells(*found):
    documents = {item["host"]: item for item in found}
    text = "".join(sheet.lines(documents, {"lost": "no answer"}, summary(*found)))
    return {line["host"]: line for line in csv.DictReader(io.StringIO(text, newline=""))}


def test_a_row_tells_the_next_kernel_and_what_it_brings():
    found = row(document("web1", kernel_target=TARGET))
    assert found["target"] == {
        "release": NEW,
        "runs": False,
        "edition": "5.14.21-150500.55.99.1",
        "live_patch": "1-150500.2.1",
        "window_last": day(400),
        "estimated": False,
        "gained": 225,
        "cves": {"critical": 1, "important": 0, "moderate": 0, "low": 2, "unspecified": 0},
        "problem": None,
    }
    assert found["kind"] == "covered" and row(document("web1"))["target"] is None


SAID = [
    ({}, {}, f"next {NEW}, until {day(400)} (+225 days), closes 3 CVEs: 1 critical, 2 low"),
    ({"cves": NONE}, {}, f"next {NEW}, until {day(400)} (+225 days), closes 0 CVEs"),
    ({"cves": None}, {}, f"next {NEW}, until {day(400)} (+225 days), unknown which CVEs it closes"),
    ({"estimated": True, "window_last": day(100)}, {}, "estimated until 2027-03-07 (-75 days)"),
    ({"window_last": None}, {}, f"next {NEW}, its window is not known, closes"),
    ({"window_last": "2027-99-99"}, {}, "its window is not known"),
    ({}, {"window__state": "unknown", "window__last": None}, f"until {day(400)}, closes"),
    ({"problem": "no kernel qualifies"}, {}, "no next kernel: no kernel qualifies"),
    ({"release": OLD, "cves": NONE}, {}, "no other kernel is better than the running one"),
    ({"release": None}, {}, "no next kernel: no reason is told"),
]


@pytest.mark.parametrize(("more", "window", "said"), SAID)
def test_a_next_kernel_in_a_line(more, window, said):
    assert said in changes.target_text(row(document("web1", kernel_target={**TARGET, **more}, **window))["target"])


def test_a_host_that_can_get_no_kernel_says_why_and_that_makes_no_kind():
    found = row(document("web1", kernel_target={**TARGET, "problem": "kmp nvidia has no build for it"}))
    assert (found["kind"], found["why"]) == ("covered", ["no next kernel: kmp nvidia has no build for it"])


RUN = "state.apply klp.kernel"
MEANS = [
    ("verified", "covered", []),
    ("went_back", "covered", []),
    ("installed", "reboot", [f"kernel {NEW} is installed, and waits for the restart"]),
    ("restarting", "reboot", [f"it restarts with kernel {NEW}, and nobody has verified that yet"]),
    ("back", "reboot", [f"it goes back to kernel {OLD} with its next restart"]),
    ("failed", "failed", [f"change to kernel {NEW}: failed (2026-11-24 12:00:00 UTC): it came up with the old kernel"]),
    ("installing", "unknown", [f"change to kernel {NEW}: not finished (2026-11-24 12:00:00 UTC); finish it: {RUN}"]),
]  # fmt: skip


@pytest.mark.parametrize(("stage", "kind", "why"), MEANS)
def test_how_far_a_change_has_come_decides_what_a_host_is(stage, kind, why):
    more = ["it came up with the old kernel"] if stage == "failed" else []
    found = row(changed("web1", stage, why=more))
    assert (found["kind"], found["why"]) == (kind, why)


def test_what_became_of_the_last_restarts_is_told_the_worst_first():
    found = summary(
        changed("a", "verified"),
        changed("b", "verified", at=NOW - 57 * 86400),
        changed("c", "failed", at=NOW - 90 * 86400, why=["it came up with the old kernel"]),
        changed("d", "installed"),
        changed("e", "went_back", at=NOW - 60),
        document("f"),
    )
    assert [(item["host"], item["stage"]) for item in found["changes"]["hosts"]] == [
        ("c", "failed"),
        ("d", "installed"),
        ("e", "went_back"),
        ("a", "verified"),
    ]
    said = "changes of kernels: 1 failed, 1 waits for its restart, 1 went back, 1 verified"
    assert said in reporting.text(found, [])
    html = section(page.html(found), "restarts")
    assert "1 failed" in html and "it came up with the old kernel" in html and f"<code>{NEW}</code>" in html
    assert "What became of" not in page.html(summary(document("f"))) and "changes of" not in reporting.text(
        summary(), []
    )


def test_the_page_has_the_next_kernel_of_each_host():
    found = embedded(page.html(summary(document("a", kernel_target=TARGET), changed("b", "verified"), document("c"))))
    told = {item["host"]: [found["reasons"][number] for number in item["next"]] for item in found["hosts"]}
    assert told["a"] == [f"next {NEW}, until {day(400)} (+225 days), closes 3 CVEs: 1 critical, 2 low"]
    assert told["b"] == [f"change to kernel {NEW}: verified (2026-11-24 12:00:00 UTC)"]
    assert told["c"] == told["lost"] == []


def test_the_table_has_columns_for_both():
    found = cells(
        document("a", kernel_target=TARGET, window__last=day(30)),
        changed("b", "failed", why=["panic", "old kernel"]),
        document(
            "c", kernel_target={**TARGET, **dict.fromkeys(("window_last", "cves", "release")), "problem": "no room"}
        ),
    )
    keys = ("kernel", "window_last", "window_estimated", "days_gained", "cves_severe", "cves_others", "problem")
    assert [found["a"][f"target_{key}"] for key in keys] == [NEW, day(400), "no", "370", "1", "2", ""]
    assert [found["b"][f"target_{key}"] for key in keys] == [""] * 7
    assert [found["c"][f"target_{key}"] for key in keys] == ["", "", "", "", "", "", "no room"]
    assert (found["a"]["restart_week"], found["b"]["restart_week"]) == ("2026-W51", "2027-W18")
    assert found["lost"]["restart_week"] == ""
    columns = ("change", "change_kernel", "change_at", "change_why")
    assert [found["b"][key] for key in columns] == ["failed", NEW, "2026-11-24T12:00:00Z", "panic / old kernel"]
    assert [found["lost"][key] for key in columns] == [""] * 4


def test_metrics_tell_both_and_nothing_that_is_not_known():
    documents = {
        "a": document("a", kernel_target=TARGET),
        "b": changed("b", "installed"),
        "c": document("c", kernel_target={**TARGET, "cves": None, "window_last": None}),
    }
    found = samples("".join(metrics.lines(documents, {}, summary(*documents.values()))))
    closed = {tuple(dict(labels).values()): value for labels, value in found["salt_klp_kernel_target_cves"].items()}
    assert closed == {("a", "critical"): 1, ("a", "important"): 0, ("a", "moderate"): 0, ("a", "low"): 2,
                      ("a", "unspecified"): 0}  # fmt: skip
    (end,) = found["salt_klp_kernel_target_window_end_timestamp_seconds"].items()
    assert end == ((("host", "a"),), 1830384000)
    assert found["salt_klp_kernel_change"] == {(("host", "b"), ("stage", "installed")): 1}
    assert found["salt_klp_kernel_change_timestamp_seconds"] == {(("host", "b"),): CHANGE["at"]}
    bare = "".join(metrics.lines({"d": document("d")}, {}, summary(document("d"))))
    assert "kernel_target" not in bare and "kernel_change" not in bare


@pytest.mark.parametrize("text", HOSTILE)
def test_what_hosts_write_about_kernels_is_text(text):
    host = document("a", kernel_target={**TARGET, "problem": text}, kernel_change={**CHANGE, "stage": "failed",
                                                                                  "why": [text]})  # fmt: skip
    found = page.html(summary(host))
    assert "<script>alert" not in found and "<img" not in found
    for cell in cells(host)["a"].values():
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
