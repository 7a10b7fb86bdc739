"""Recurrence rules: the same days as dateutil finds from the first day on, wherever one begins to ask."""

import datetime
import time

import pytest
from dateutil import rrule
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from _runners.klp import recurrence

DAY = datetime.date
WEEKDAYS = list(recurrence.WEEKDAYS)


def numbers(least, most, size=3):
    values = st.integers(least, most).filter(bool)
    return st.lists(values, min_size=1, max_size=size, unique=True).map(lambda found: ",".join(map(str, found)))


def ordinals():
    """Return days such as SU, 3SU and -1FR."""
    items = st.builds("{}{}".format, st.sampled_from(["", 1, 2, 3, 4, 5, -1, -2]), st.sampled_from(WEEKDAYS))
    return st.lists(items, min_size=1, max_size=3, unique=True).map(",".join)


SOME_DAYS = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=4, unique=True).map(",".join)
COMMON = {"INTERVAL": st.integers(1, 5), "WKST": st.sampled_from(["MO", "SU"]), "BYMONTH": numbers(1, 12)}
PARTS = {
    "DAILY": {"BYDAY": SOME_DAYS, "BYMONTHDAY": numbers(-31, 31)},
    "WEEKLY": {"BYDAY": SOME_DAYS},
    "MONTHLY": {"BYDAY": ordinals(), "BYMONTHDAY": numbers(-31, 31), "BYSETPOS": numbers(-3, 3, 1)},
    "YEARLY": {"BYDAY": ordinals(), "BYMONTHDAY": numbers(-31, 31), "BYYEARDAY": numbers(-366, 366)},
}


@st.composite
def rules(draw):
    """Return a rule that means something, with the day on which it begins."""
    frequency = draw(st.sampled_from(sorted(PARTS)))
    chosen = draw(st.fixed_dictionaries({}, optional={**COMMON, **PARTS[frequency]}))
    if "BYSETPOS" in chosen:
        assume("BYDAY" in chosen or "BYMONTHDAY" in chosen)
    end = draw(st.sampled_from(["", "", ";COUNT=7", ";UNTIL=20280301", ";UNTIL=20280301T120000Z"]))
    text = f"FREQ={frequency}" + "".join(f";{key}={value}" for key, value in chosen.items()) + end
    return text, draw(st.dates(DAY(2020, 1, 1), DAY(2028, 1, 1)))


@settings(max_examples=300)
@given(rules(), st.dates(DAY(2019, 6, 1), DAY(2028, 6, 1)), st.integers(0, 100))
def test_the_days_are_those_of_the_whole_rule(rule, first, length):
    text, since = rule
    last = first + datetime.timedelta(days=length)
    # dateutil from the first day on, at midnight; UNTIL without a time of day, as that of the rule is somebody else's.
    every = rrule.rrulestr(
        text.replace("T120000Z", ""), dtstart=datetime.datetime.combine(since, datetime.time()), ignoretz=True
    )
    wanted = [
        item.date()
        for item in every.between(
            datetime.datetime.combine(first, datetime.time()),
            datetime.datetime.combine(last, datetime.time()),
            inc=True,
        )
    ]
    assert recurrence.days(text, since, first, last) == wanted


@pytest.mark.parametrize(
    "text",
    ["FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=9"],
)
def test_a_rule_that_never_matches_is_over_soon(text):
    begun = time.monotonic()
    assert recurrence.days(text, recurrence.FIRST, DAY(2027, 1, 1), DAY(2027, 2, 1)) == []
    assert time.monotonic() - begun < 20, "dateutil looks at UNTIL only when a rule matches"


def test_rules_that_people_write():
    found = recurrence.days("RRULE:freq=monthly;byday=3su", recurrence.FIRST, DAY(2027, 1, 1), DAY(2027, 3, 31))
    assert found == [DAY(2027, 1, 17), DAY(2027, 2, 21), DAY(2027, 3, 21)]
    found = recurrence.days("FREQ=MONTHLY;BYDAY=-1FR", recurrence.FIRST, DAY(2027, 12, 1), DAY(2028, 1, 31))
    assert found == [DAY(2027, 12, 31), DAY(2028, 1, 28)]
    found = recurrence.days("FREQ=WEEKLY;INTERVAL=2;BYDAY=SA", DAY(2027, 1, 2), DAY(2027, 1, 1), DAY(2027, 2, 1))
    assert found == [DAY(2027, 1, 2), DAY(2027, 1, 16), DAY(2027, 1, 30)]
    found = recurrence.days("FREQ=YEARLY", DAY(2024, 2, 29), DAY(2027, 1, 1), DAY(2028, 12, 31))
    assert found == [DAY(2028, 2, 29)], "the day of a leap year is there in leap years"


WRONG = {
    5: "wanted a rule such as FREQ=MONTHLY;BYDAY=3SU, found 5",
    "": "'': wanted parts such as FREQ=MONTHLY",
    "every sunday": "'EVERY SUNDAY': wanted parts such as FREQ=MONTHLY",
    "BYDAY=SU": "FREQ: wanted one of DAILY, WEEKLY, MONTHLY, YEARLY, found None",
    "FREQ=HOURLY": "FREQ: wanted one of DAILY, WEEKLY, MONTHLY, YEARLY, found 'HOURLY'",
    "FREQ=DAILY;FREQ=DAILY": "'FREQ=DAILY': wanted parts",
    "FREQ=DAILY;BYHOUR=3": "'BYHOUR=3': wanted parts",
    "FREQ=DAILY;INTERVAL=0": "INTERVAL: wanted a number up to 1000, found '0'",
    "FREQ=DAILY;BYMONTHDAY=0": "BYMONTHDAY: 0 is no such number",
    "FREQ=DAILY;INTERVAL=2,3": "INTERVAL: wanted a number up to 1000, found '2,3'",
    "FREQ=DAILY;INTERVAL=-2": "INTERVAL: wanted a number up to 1000, found '-2'",
    "FREQ=DAILY;INTERVAL=999999": "INTERVAL: wanted a number up to 1000, found '999999'",
    "FREQ=DAILY;COUNT=3;UNTIL=20270101": "UNTIL: and COUNT exclude each other",
    "FREQ=DAILY;UNTIL=20271301": "UNTIL: wanted a day such as 20271231, found '20271301'",
    "FREQ=DAILY;UNTIL=soon": "UNTIL: wanted a day such as 20271231, found 'SOON'",
    "FREQ=WEEKLY;BYMONTHDAY=3": "BYMONTHDAY: does not go with FREQ=WEEKLY",
    "FREQ=WEEKLY;BYDAY=3SU": "BYDAY: a number before a day goes with FREQ=MONTHLY and FREQ=YEARLY only",
    "FREQ=YEARLY;BYWEEKNO=3;BYDAY=3SU": "BYDAY: a number before a day goes with",
    "FREQ=MONTHLY;BYDAY=SUN": "BYDAY: wanted days such as SU, 3SU (the third) or -1FR (the last), found 'SUN'",
    "FREQ=MONTHLY;BYDAY=54SU": "BYDAY: wanted days",
    "FREQ=MONTHLY;BYDAY=0SU": "BYDAY: wanted days",
    "FREQ=MONTHLY;BYSETPOS=1": "BYSETPOS: wanted beside another part that begins with BY",
    "FREQ=MONTHLY;WKST=XX": "WKST: wanted one of MO, TU, WE, TH, FR, SA, SU, found 'XX'",
    "FREQ=DAILY;" + "X" * 600: "wanted a rule such as",
}


@pytest.mark.parametrize(("text", "why"), WRONG.items())
def test_wrong_rules_are_named(text, why):
    with pytest.raises(ValueError) as caught:
        recurrence.parts(text)
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("FREQ=DAILY", False),
        ("FREQ=WEEKLY;BYDAY=SU", False),
        ("FREQ=WEEKLY", True),
        ("FREQ=MONTHLY", True),
        ("FREQ=YEARLY;BYMONTH=3", True),
        ("FREQ=DAILY;INTERVAL=2", True),
        ("FREQ=DAILY;COUNT=3", True),
        ("FREQ=MONTHLY;BYDAY=3SU;INTERVAL=1", False),
    ],
)
def test_which_rules_need_a_first_day(text, needed):
    assert recurrence.needs_since(recurrence.parts(text)) is needed


@pytest.mark.parametrize("text", ["", "2027", "20270230", "1969-12-31", "2100-01-01", "20270101T", "2027-1-1x"])
def test_what_is_no_day(text):
    assert recurrence.day(text) is None
