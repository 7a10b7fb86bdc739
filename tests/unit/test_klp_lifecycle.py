"""Lifecycle data: lines, patterns, dates, and the window that follows from them."""

import datetime
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import klp_lifecycle as lifecycle
from tests.unit.loader import recorded

NAME = "kernel-livepatch-5_14_21-150500_55_7-default"
TODAY = datetime.date(2024, 7, 1)
BUILT = 1687766400  # 2023-06-26


def lines(text):
    found, unknown = lifecycle.read(text, "data")
    assert unknown == []
    return found


def window(text, edition="3-150500.2.1", level=3, built=BUILT, today=TODAY, limit=0):
    package = {"name": NAME, "edition": edition, "level": level}
    return lifecycle.window(lines(text), package, built, today, limit)


def test_a_published_file_is_read():
    found = lines(recorded("lifecycle/sle-live-patching.lifecycle"))
    assert [(item["name"], item["version"], item["source"]) for item in found][:2] == [
        ("kgraft-patch-3_12_32-33-default", "*", "data:4"),
        ("kgraft-patch-3_12_32-33-xen", "*", "data:5"),
    ]
    assert found[3] == {
        "name": "kgraft-patch-3_12_51-52_39-default",
        "version": "*",
        "date": datetime.date(2017, 1, 22),
        "successor": None,
        "source": "data:7",
    }


@pytest.mark.parametrize(
    ("line", "date", "successor"),
    [
        (f"{NAME},*,2024-07-18", datetime.date(2024, 7, 18), None),
        (f"  {NAME} , * , 2024-07-18 , other ", datetime.date(2024, 7, 18), "other"),
        (f"{NAME},,2024/07/18,", datetime.date(2024, 7, 18), None),
        (f"{NAME},*,18 Jul 2024", datetime.date(2024, 7, 18), None),
        (f"{NAME},*,2024-07-18T00:00:00Z", datetime.date(2024, 7, 18), None),
        (f"{NAME},*,,{NAME}-next", None, f"{NAME}-next"),
    ],
)
def test_dates_and_successors(line, date, successor):
    (found,) = lines(line)
    assert (found["date"], found["successor"], found["version"]) == (date, successor, "*")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a,b", "not name,version,date[,successor]: 'a,b'"),
        (",*,2024-01-01", "not name,version,date[,successor]: ',*,2024-01-01'"),
        ("a,*,2024-01-01,b,c", "not name,version,date[,successor]: 'a,*,2024-01-01,b,c'"),
        ("a,*,soon", "unknown date 'soon'"),
        ("/(a+)+/,*,2024-01-01", "regular expression '(a+)+' is too complicated"),
        ("/((a+))*b/,*,2024-01-01", "regular expression '((a+))*b' is too complicated"),
        ("/" + "a?" * 30 + "/,*,2024-01-01", "is too complicated"),
        ("/(a)\\1/,*,2024-01-01", "is too complicated"),
        ("/(/,*,2024-01-01", "regular expression '(':"),
    ],
)
def test_a_line_that_nobody_understands_is_named_and_left_out(line, said):
    found, unknown = lifecycle.read(f"# x\n{line}\n{NAME},*,2024-07-18\n", "file")
    assert [item["source"] for item in found if "damaged" not in item] == ["file:3"]
    assert len(unknown) == 1 and unknown[0].startswith("file:2: ") and said in unknown[0]


@pytest.mark.parametrize(
    ("name", "version", "hit"),
    [
        (NAME, "*", True),
        (NAME, "3-150500.2.1", True),
        (NAME, "3-*", True),
        (NAME, "3", False),
        (NAME, "2-*", False),
        ("kernel-livepatch-*-default", "*", True),
        ("kernel-livepatch-*", "*", True),
        ("livepatch-*", "*", False),
        ("kernel.livepatch-*", "*", False),
        (NAME + "x", "*", False),
        ("/livepatch-5_14/", "*", True),
        ("/^livepatch-5_14/", "*", False),
        ("/55_(7|12)-default$/", "*", True),
        ("//", "*", False),
    ],
)
def test_names_and_versions_match_as_zypper_lifecycle_has_them(name, version, hit):
    found = lifecycle.matching(lines(f"{name},{version},2024-07-18"), NAME, "3-150500.2.1")
    assert (found is not None) is hit


def test_without_an_edition_only_lines_for_every_version_match():
    assert lifecycle.matching(lines(f"{NAME},3-*,2024-07-18"), NAME, None) is None
    assert lifecycle.matching(lines(f"{NAME},*,2024-07-18"), NAME, None)


def test_a_later_line_goes_over_an_earlier_one():
    found = window(f"kernel-livepatch-*,*,2025-01-01\n{NAME},*,2024-07-18\nother,*,2030-01-01\n")
    assert (found["last"], found["source"]) == ("2024-07-18", "data:2")


@pytest.mark.parametrize(
    ("today", "state", "days"),
    [("2024-07-17", "open", 1), ("2024-07-18", "open", 0), ("2024-07-19", "expired", -1)],
)
def test_the_last_day_still_counts(today, state, days):
    found = window(f"{NAME},*,2024-07-18", today=datetime.date.fromisoformat(today))
    assert (found["state"], found["days"], found["last"]) == (state, days, "2024-07-18")
    assert (found["first"], found["estimate"], found["limit"]) == ("2023-06-26", None, None)
    word = "live patches were made until" if state == "expired" else "live patches are made until"
    assert found["reason"] == f"{word} 2024-07-18"


def test_no_line_is_unknown_with_an_estimate_that_is_no_verdict():
    found = window("other,*,2024-07-18")
    assert found == {
        "state": "unknown",
        "first": "2023-06-26",
        "last": None,
        "days": None,
        "estimate": {"last": "2024-06-25", "days": -6},
        "limit": None,
        "source": None,
        "reason": "the lifecycle data have no line for this kernel yet",
    }
    assert window("", built=None)["estimate"] is None


def test_an_empty_date_is_unknown_and_names_the_successor():
    assert window(f"{NAME},*,,next")["reason"] == "data:1 names no date, but a successor, next"
    found = window(f"{NAME},*,2030-01-01\n{NAME},*,")
    assert (found["state"], found["source"]) == ("unknown", "data:2")
    assert found["reason"] == "data:2 names no date, but an end that nobody has set yet"


@pytest.mark.parametrize(
    ("level", "state", "reached"), [(11, "open", False), (12, "expired", True), (None, "open", False)]
)
def test_a_declared_limit_of_levels_ends_the_window(level, state, reached):
    found = window(f"{NAME},*,2024-07-18", level=level, limit=12)
    assert (found["state"], found["limit"]) == (state, {"max_level": 12, "reached": reached})
    if reached:
        assert found["reason"] == "live patch level 12 has reached klp:window:max_level (12)"


@given(st.text(max_size=300) | st.from_regex(r"(/[a-c?*+(){|}.]{0,30}/,\*,2024-01-01\n){0,5}", fullmatch=True))
def test_no_text_does_harm(text):
    found, unknown = lifecycle.read(text, "f")
    assert all(isinstance(item, str) for item in unknown)
    answer = lifecycle.matching(found, "a" * 64, "1-1")
    assert answer is None or answer in found


@given(st.from_regex(r"[a-z*]{1,20}", fullmatch=True), st.from_regex(r"[a-z]{0,20}", fullmatch=True))
def test_globs_are_anchored(pattern, name):
    wanted = re.compile(".*".join(map(re.escape, pattern.split("*"))) + r"\Z")
    found = lifecycle.matching(lines(f"{pattern},*,2024-01-01"), name, None)
    assert (found is not None) == bool(wanted.match(name))
