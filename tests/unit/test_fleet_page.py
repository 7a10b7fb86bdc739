"""The page of a fleet: it needs nothing else, and no string of a host is more than text in it."""

import base64
import datetime
import hashlib
import re
from pathlib import Path

import pytest

from _runners.klp import fleet, kinds, page
from tests.fleet import GLIBC, KERNEL_ITSELF, NEVER, NOW, SETTINGS, TODAY, day, document, documents, summary_of_each
from tests.unit.report import HOSTILE, TAGS, Reader, embedded, hostile, section, summary


def test_the_page_needs_nothing_else():
    text = page.html(summary_of_each())
    found = Reader(text)
    # A title within a picture is its tooltip.
    assert set(found.tags) <= TAGS and found.tags.count("script") == 2 and found.tags.count("style") == 1
    assert not re.search(r"https?:|url\(|@import|src=", text)
    assert {value for _, name, value in found.attributes if name == "href"} <= {f"#{name}" for name in found.ids}
    assert len(found.ids) == len(set(found.ids))
    assert not [name for _, name, _ in found.attributes if name.startswith("on") or name == "style"]


def test_the_page_lets_only_its_own_style_and_script():
    text = page.html(summary_of_each())
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    for name, (inside,) in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy


def test_everybody_has_a_place():
    text = page.html(summary_of_each())
    attention = section(text, "attention")
    for host in ("lost1", "old1", "hana1", "build1", "db2", "db1", "web2", "edge1", "mail1", "mail2", "mail3"):
        assert f">{host}<" in attention
    assert ">web1<" not in attention and "salt hana1 klp.blockers" in attention
    for kind, (label, words, _) in page.WORDS.items():
        assert label in section(text, "totals") and words in section(text, "totals"), kind
    windows = section(text, "windows")
    assert "expired 2026-08-24" in windows and "unknown; estimate 2027-06-30" in windows
    assert "no dates known" in windows and "until 2026-12-27, 30 days" in windows
    assert "1 too late" in section(text, "restarts") and "klp_audit.reboot_safety" in section(text, "restarts")
    assert "CVE-2026-31431" in section(text, "cves") and "lost1" in section(text, "silent")
    assert "27 Nov 2026, 12:00 UTC" in text and "11 of 12" in text and "10 minutes" in text


def test_the_embedded_data_have_all_hosts():
    found = embedded(page.html(summary_of_each()))
    rows = {row["host"]: row for row in found["hosts"]}
    assert list(rows) == [
        *("lost1", "old1", "hana1", "build1", "db2", "db1", "web2", "mail1", "mail2", "edge1", "mail3", "web1")
    ]
    assert rows["lost1"]["updates"] is None and rows["mail1"]["updates"] == [4, 2, 0, 0]
    assert rows["mail2"]["updates"] == [0, 0, 1, 0]
    assert found["words"][rows["hana1"]["command"]] == "klp.blockers" and rows["web1"]["command"] == ""
    assert found["reasons"][rows["lost1"]["why"][0]] == "The minion did not answer within 60 seconds."
    marks = {row["cve"]: {host: row["marks"][rows[host]["profile"]] for host in rows if host != "lost1"}
             for row in found["cves"]}  # fmt: skip
    assert marks["CVE-2026-31431"]["db1"] == "R" and marks["CVE-2026-31431"]["web2"] == "P"
    assert marks["CVE-2026-31431"]["web1"] == "." and marks["CVE-2026-31431"]["old1"] == "-"
    assert marks["CVE-2026-22871"]["edge1"] == "?" and marks["CVE-2026-23100"]["web1"] == "F"
    assert rows["db2"]["week"] == "2026-W48" and rows["edge1"]["week"] is None


def test_what_follows_from_a_host_that_was_never_enabled_is_folded():
    text = page.html(summary(document("new1", **NEVER)))
    (row,) = embedded(text)["hosts"]
    assert len(row["follows"]) == 8 and "Consequences: 8" in section(text, "attention")
    assert section(text, "attention").count("<details>") == 1 and "klp: command not found" in text
    assert "<details>" not in section(page.html(summary_of_each()), "attention")


def test_what_is_left_out_has_a_table_of_its_own():
    found = section(page.html(summary_of_each()), "left-out")
    assert GLIBC["id"] in found and GLIBC["reason"] in found and "since 2026-11-18" in found and "mail2" in found
    assert KERNEL_ITSELF["id"] not in found
    assert "No host that answered" in section(page.html(summary(document("a"))), "left-out")
    many = [document(f"a{number}", updates__left_out=[GLIBC]) for number in range(5)]
    assert "a0, a1, a2 and 2 more" in section(page.html(summary(*many)), "left-out")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_hosts_write_is_text(text):
    found = page.html(hostile(text))
    clean = Reader(found)
    plain = Reader(page.html(hostile("harmless")))
    assert set(clean.tags) <= {*plain.tags, "em"} and clean.tags.count("script") == 2
    assert not [name for _, name, _ in clean.attributes if name.startswith("on") or name == "src"]
    assert "<script>alert" not in found and "<img" not in found
    assert all(char.isprintable() or char == "\n" for char in found)
    assert any(kinds.clean(text)[:200] in row["host"] for row in embedded(found)["hosts"])
    found.encode()


def test_words_and_letters_are_there_for_every_kind_and_state():
    assert list(page.WORDS) == list(kinds.KINDS) and set(page.MARKS) == set(kinds.STATES)


def test_an_empty_fleet_has_a_page():
    text = page.html(fleet.summary({}, {}, SETTINGS, NOW))
    Reader(text)
    for words in ("No host needs attention", "No host has told", "No restart is needed", "No host lists a CVE"):
        assert words in text
    assert "All hosts answered" in text and "oldest answer" not in text


def test_long_lists_say_how_much_more_there_is(monkeypatch):
    for name in ("ROWS", "CVES", "LANES", "WEEKS", "NAMED", "FEW"):
        monkeypatch.setattr(page, name, 2)
    found = documents(400, seed=3)
    silent = {f"gone{number}": "No answer." for number in range(5)}
    text = page.html(fleet.summary(found, silent, SETTINGS, NOW))
    Reader(text)
    for name in ("attention", "windows", "restarts", "cves", "silent"):
        assert re.search(r"And [\d,]+ more", section(text, name)), name
    assert section(text, "silent").count("<tr>") == 3
    assert re.search(r"and \d+ more</div>", section(text, "restarts"))


def test_a_fleet_of_thousands_is_one_small_page():
    text = page.html(fleet.summary(documents(3000), {}, SETTINGS, NOW))
    assert len(text) < 1_500_000 and section(text, "attention").count("<tr>") == page.ROWS + 1


def test_hosts_that_disagree_on_a_window_are_told():
    text = page.html(summary(document("a"), document("b", window__last=day(20))))
    assert "hosts disagree" in section(text, "windows")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-9, "less than 2 minutes"), (119, "less than 2 minutes"), (120, "2 minutes"), (7200, "2 hours"),
     (172799, "47 hours"), (172800, "2 days"), (86400 * 4000, "4,000 days")],
)  # fmt: skip
def test_ages_are_in_words(seconds, words):
    assert page._span(seconds) == words


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ({"state": "expired", "last": None}, "expired"),
        ({"state": "expired", "last": "2026-01-01"}, "expired 2026-01-01"),
        ({"state": "unknown", "last": None, "estimate": None}, "unknown"),
    ],
)
def test_windows_are_in_words(window, words):
    assert page._window(window) == words


@pytest.mark.parametrize(
    ("first", "last"), [("0001-01-01", "9999-12-31"), (None, "2027-01-01"), ("2026-01-01", "2025-01-01"), (None, None)]
)
def test_every_bar_stays_on_the_line(first, last):
    window = {"first": first, "last": last, "state": "open", "estimate": None, "days": 1}
    scale = page._Scale([window], TODAY)
    bar = page._bar(window, scale)
    if last is None:
        assert bar is None
        return
    begin, width = float(bar["at"][:-1]), float(bar["width"][:-1])
    assert 0 <= begin <= 100 and width >= 0 and begin + width <= 100.01


@pytest.mark.parametrize("days", [1, 100, 400, 729])
def test_the_line_has_a_bounded_number_of_ticks(days):
    window = {"first": day(-days), "last": day(days), "estimate": None}
    scale = page._Scale([window], TODAY)
    found = scale.ticks()
    assert 1 <= len(found) <= page.TICKS + 1
    assert [tick["minor"] for tick in found] == [bool(index % 2) for index in range(len(found))]
    assert 0 < float(scale.at(TODAY)[:-1]) < 100
    assert scale.at(datetime.date(1, 1, 1)) == "0.000%"


def test_the_levels_that_most_hosts_have_are_named():
    assert page._levels({"5": 1, "12": 9}) == "12, 5"
    assert page._levels({str(number): number for number in range(1, 8)}) == "7, 6, 5, 4 and 3 more"


def test_salt_sends_every_part_of_the_page():
    folder = Path(page.__file__).parent
    assert not [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
