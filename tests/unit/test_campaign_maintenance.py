"""Maintenance windows, judged by what a clock on the wall of that zone shows, minute by minute."""

import datetime
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _runners.klp import maintenance
from tests.simulation.hours import CHANGES, inside, offset

DAY, MINUTE = 86400, 60
CLOCK = st.builds(
    "{:02}:{:02}".format, st.one_of(st.integers(0, 4), st.integers(0, 23)), st.sampled_from([0, 1, 29, 30, 59])
)
CLOSES = st.one_of(CLOCK, st.just("24:00"))
WINDOW = st.one_of(
    st.fixed_dictionaries(
        {"from": CLOCK, "to": CLOSES},
        optional={"days": st.lists(st.sampled_from(maintenance.DAYS), min_size=1, max_size=7, unique=True)},
    ),
    st.fixed_dictionaries(
        {
            "from": CLOCK,
            "to": CLOSES,
            "since": st.just("2011-01-02"),
            "rrule": st.sampled_from(
                [
                    "FREQ=DAILY",
                    "FREQ=DAILY;INTERVAL=2",
                    "FREQ=WEEKLY",
                    "FREQ=MONTHLY;BYDAY=-1SU",
                    "FREQ=MONTHLY;BYDAY=2SU",
                ]
            ),
        }
    ),
).filter(lambda item: item["from"] != item["to"])


@st.composite
def rules(draw):
    """Return windows and a moment near a change of the clocks."""
    zone = draw(st.sampled_from(sorted(CHANGES)))
    change = draw(st.sampled_from(CHANGES[zone]))
    start = change - draw(st.integers(0, 3 * DAY // MINUTE)) * MINUTE
    day = datetime.datetime.fromtimestamp(change, zoneinfo.ZoneInfo(zone)).date()
    near = st.integers(-3, 5).map(lambda days: (day + datetime.timedelta(days=days)).isoformat())
    freezes = st.one_of(
        near, st.tuples(near, near).map(lambda two: dict(zip(("from", "to"), sorted(two), strict=True)))
    )
    steps = draw(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=3))  # of half hours
    spans, last = [], start
    for pause, length in steps:
        spans.append([last + 1800 * pause, last + 1800 * (pause + length)])
        last = spans[-1][1]
    return {
        "zone": zone,
        "open": draw(st.lists(WINDOW, min_size=0 if spans else 1, max_size=3)),
        "freeze": draw(st.lists(freezes, max_size=2)),
        "calendar": "/x.ics" if spans else "",
        "spans": spans,
    }, start


def plain(zone, moment):
    """Whether no clock is changed within the days around a moment: then nothing is ambiguous."""
    return offset(zone, moment - 2 * DAY) == offset(zone, moment) == offset(zone, moment + 2 * DAY)


def test_the_zones_are_those_with_the_odd_days():
    assert {zone: len(found) for zone, found in CHANGES.items() if zone != "Pacific/Apia"} == {
        "Europe/Berlin": 2,
        "America/New_York": 2,
        "Australia/Lord_Howe": 2,
        "UTC": 1,
    }
    steps = {abs(offset("Pacific/Apia", at) - offset("Pacific/Apia", at - 1800)) for at in CHANGES["Pacific/Apia"]}
    assert datetime.timedelta(days=1) in steps
    (at, _) = CHANGES["Australia/Lord_Howe"]
    assert abs(offset("Australia/Lord_Howe", at) - offset("Australia/Lord_Howe", at - 1800)).seconds == 1800


@settings(max_examples=40)
@given(rules(), st.randoms(use_true_random=False))
def test_a_window_is_open_only_when_the_wall_clock_is_inside_one(found, dice):
    given_rules, moment = found
    end, zone = moment + 5 * DAY, given_rules["zone"]
    while moment < end:
        closes = maintenance.until(given_rules, moment)
        if closes is None:
            opens = maintenance.opening(given_rules, moment)
            last = min(end, end if opens is None else opens)
            assert last > moment
            for minute in range(moment, int(last), MINUTE):
                assert not inside(given_rules, minute) or not plain(zone, minute)
            some = dice.randrange(moment, int(last))
            assert maintenance.until(given_rules, some) is None and maintenance.opening(given_rules, some) == opens
            if opens is not None:
                assert maintenance.until(given_rules, opens - 1) is None
                assert maintenance.until(given_rules, opens) is not None
        else:
            last = min(end, closes)
            assert last > moment and maintenance.opening(given_rules, moment) == moment
            assert all(inside(given_rules, minute) for minute in range(moment, int(last), MINUTE))
            assert inside(given_rules, closes - 1)
            some = dice.randrange(moment, int(last))
            assert maintenance.until(given_rules, some) == closes or closes > moment + 8 * DAY
            if closes < moment + 7 * DAY:
                assert maintenance.until(given_rules, closes) is None
                assert not inside(given_rules, closes) or not plain(zone, int(closes))
        moment = int(last)


@given(st.integers(0, 2**32))
def test_without_windows_it_is_always_open(moment):
    nothing = {"zone": "UTC", "open": []}
    assert maintenance.until(nothing, moment) == float("inf") and maintenance.opening(nothing, moment) == moment


BERLIN = "Europe/Berlin"


def at(text, zone=BERLIN, fold=0):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("window", "now", "closes", "opens"),
    [
        # The hour that there is not: 02:30 is 03:30 for what opens, 01:30 for what closes.
        (("02:30", "05:00"), at("2027-03-28T01:59"), None, at("2027-03-28T03:30")),
        (("00:30", "02:30"), at("2027-03-28T01:00"), at("2027-03-28T01:30"), None),
        # The hour that there is twice: what opens in it opens in the second, what closes in it closes in the first.
        (("02:30", "05:00"), at("2027-10-31T02:45"), None, at("2027-10-31T02:30", fold=1)),
        (("00:30", "02:30"), at("2027-10-31T02:29"), at("2027-10-31T02:30"), None),
        (("02:15", "02:45"), at("2027-10-31T02:20"), None, at("2027-11-01T02:15")),
        # Over midnight, and over the change.
        (("22:00", "06:00"), at("2027-10-30T23:00"), at("2027-10-31T06:00"), None),
        (("22:00", "06:00"), at("2027-10-31T06:00"), None, at("2027-10-31T22:00")),
    ],
)
def test_the_days_when_clocks_change(window, now, closes, opens):
    found = {"zone": BERLIN, "open": [dict(zip(("from", "to"), window, strict=True))]}
    assert maintenance.until(found, now) == closes
    assert maintenance.opening(found, now) == (now if closes else opens)


def test_windows_that_touch_or_overlap_are_one():
    open_ = [{"from": "22:00", "to": "23:00"}, {"from": "23:00", "to": "01:00"}, {"from": "00:30", "to": "02:00"}]
    found = {"zone": "UTC", "open": open_}
    assert maintenance.until(found, at("2027-05-05T22:30", "UTC")) == at("2027-05-06T02:00", "UTC")
    assert maintenance.until(found, at("2027-05-06T02:00", "UTC")) is None


def test_a_window_that_does_not_come_within_days_is_not_waited_for():
    found = {"zone": "Pacific/Apia", "open": [{"days": ["fri"], "from": "10:00", "to": "11:00"}]}
    now = at("2011-12-23T11:00", "Pacific/Apia")  # the next Friday is the day that Samoa did not have
    assert maintenance.opening(found, now) == at("2012-01-06T10:00", "Pacific/Apia")
    found["freeze"] = [{"from": "2011-12-24", "to": "2013-03-01"}]
    assert maintenance.opening(found, now) is None
    assert maintenance.opening(found, now + 60 * DAY) == at("2013-03-08T10:00", "Pacific/Apia")


def test_windows_of_rules():
    third = {"rrule": "FREQ=MONTHLY;BYDAY=3SU", "from": "08:00", "to": "24:00"}
    found = {"zone": BERLIN, "open": [third], "freeze": ["2027-02-21", {"from": "2027-03-20", "to": "2027-03-21"}]}
    assert maintenance.opening(found, at("2027-01-01T00:00")) == at("2027-01-17T08:00")
    assert maintenance.until(found, at("2027-01-17T23:59")) == at("2027-01-18T00:00")
    assert maintenance.until(found, at("2027-01-18T00:00")) is None
    assert maintenance.opening(found, at("2027-01-18T00:00")) == at("2027-04-18T08:00"), "two are frozen"
    leap = {"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "from": "08:00", "to": "09:00"}
    assert maintenance.opening(dict(found, open=[leap]), at("2027-01-26T00:00")) == at("2028-02-29T08:00")
    assert maintenance.opening(dict(found, open=[leap]), at("2027-01-15T00:00")) is None, "more than 400 days"


def test_a_freeze_closes_what_is_open():
    found = {"zone": BERLIN, "open": [], "freeze": [{"from": "2027-03-28", "to": "2027-03-28"}]}
    assert maintenance.until(found, at("2027-03-27T12:00")) == at("2027-03-28T00:00")
    assert maintenance.until(found, at("2027-03-28T12:00")) is None
    assert maintenance.opening(found, at("2027-03-28T12:00")) == at("2027-03-29T00:00")
    assert maintenance.until(found, at("2027-03-29T00:00")) == float("inf")
    night = {"zone": BERLIN, "open": [{"from": "22:00", "to": "06:00"}], "freeze": ["2027-12-24"]}
    assert maintenance.until(night, at("2027-12-23T23:00")) == at("2027-12-24T00:00")
    assert maintenance.opening(night, at("2027-12-24T01:00")) == at("2027-12-25T00:00"), "what opened on the 24th"


def test_a_day_without_end():
    found = {"zone": BERLIN, "open": [{"from": "00:00", "to": "24:00"}], "freeze": ["2027-06-01"]}
    now = at("2027-04-05T12:00")
    assert maintenance.until(found, now) == at("2027-06-01T00:00"), "over the edges of blocks"
    found = dict(found, freeze=[])
    assert maintenance.until(found, now) == at("2027-10-31T00:00") or maintenance.until(found, now) > now + 300 * DAY


def test_spans_of_a_calendar_and_windows_are_one():
    spans = [[at("2027-05-05T20:00"), at("2027-05-05T22:00")], [at("2027-05-06T01:00"), at("2027-05-06T03:00")]]
    found = {"zone": BERLIN, "open": [{"from": "22:00", "to": "01:00"}], "calendar": "/x.ics", "spans": spans}
    assert maintenance.until(found, at("2027-05-05T20:30")) == at("2027-05-06T03:00")
    assert maintenance.opening(dict(found, open=[]), at("2027-05-05T22:00")) == at("2027-05-06T01:00")
    assert maintenance.opening(dict(found, open=[]), at("2027-05-06T03:00")) is None
    assert maintenance.opening(found, at("2027-04-01T12:00")) == at("2027-04-01T22:00")
    far = dict(found, open=[{"days": ["wed"], "from": "22:00", "to": "23:00"}])
    assert maintenance.opening(far, at("2027-05-05T23:00")) == at("2027-05-06T01:00")


def test_a_moment_is_written_as_people_there_write_it():
    assert maintenance.local({"zone": BERLIN}, 1_800_000_000) == "2027-01-15 09:00 CET"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"])
def test_zones_that_there_are(zone):
    assert maintenance.zone_problem(zone) is None


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", None, 5, ["UTC"], "\0", "\ud800"]
)
def test_zones_that_there_are_not(zone):
    assert maintenance.zone_problem(zone).startswith(
        "wanted a time zone that this master knows, such as Europe/Berlin, found "
    )


EVENING, THIRD = {"from": "20:00", "to": "22:00"}, {"rrule": "FREQ=MONTHLY;BYDAY=3SU"}
WRONG = [
    ("22:00", "wanted a list of maintenance windows, found '22:00'"),
    (["x"], "maintenance window 1: wanted the keys from, to and perhaps days, or rrule and since, found 'x'"),
    ([{"from": "22:00"}], "maintenance window 1: wanted the keys from, to and perhaps days"),
    (
        [{"from": "22:00", "to": "23:00", "day": "mon"}],
        "maintenance window 1: wanted the keys from, to and perhaps days",
    ),
    (
        [{"from": 1320, "to": "23:00"}],
        "maintenance window 1: from: wanted a time such as '22:00' (quoted: YAML reads it as a number), found 1320",
    ),
    ([{"from": "24:00", "to": "22:00"}], "maintenance window 1: from: wanted a time such as '22:00'"),
    ([{"from": "22:00", "to": "24:01"}], "maintenance window 1: to: wanted a time such as '22:00'"),
    ([{**EVENING, "since": "2027-01-01"}], "maintenance window 1: since goes with rrule only"),
    ([{**EVENING, **THIRD, "days": ["sun"]}], "maintenance window 1: days and rrule exclude each other"),
    ([{**EVENING, "rrule": "FREQ=HOURLY"}], "maintenance window 1: rrule: FREQ: wanted one of DAILY, WEEKLY, MONTHLY"),
    (
        [{**EVENING, "rrule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU"}],
        "maintenance window 1: since: wanted, the day from which on FREQ=WEEKLY;INTERVAL=2;BYDAY=SU is counted",
    ),
    (
        [{**EVENING, **THIRD, "since": "1.1.27"}],
        "maintenance window 1: since: wanted a day such as '2027-12-24', found",
    ),
    ([{"from": "22:00", "to": "2:00"}], "maintenance window 1: to: wanted a time"),
    ([{"from": "22:00\n", "to": "23:00"}], "maintenance window 1: from: wanted a time"),
    (
        [{"from": "22:00", "to": "23:00"}, {"from": "22:00", "to": "22:00"}],
        "maintenance window 2: from and to are both 22:00",
    ),
    (
        [{"from": "22:00", "to": "23:00", "days": []}],
        "maintenance window 1: days: wanted a list of mon, tue, wed, thu, fri, sat, sun, found []",
    ),
    ([{"from": "22:00", "to": "23:00", "days": "mon"}], "maintenance window 1: days: wanted a list of mon"),
    ([{"from": "22:00", "to": "23:00", "days": ["monday"]}], "maintenance window 1: days: wanted a list of mon"),
    ([{"from": "22:00", "to": "23:00", "days": [["mon"]]}], "maintenance window 1: days: wanted a list of mon"),
]


@pytest.mark.parametrize(("value", "problem"), WRONG)
def test_wrong_windows_are_named(value, problem):
    assert maintenance.problem(value).startswith(problem)


@pytest.mark.parametrize(
    "value",
    [
        [],
        [{"from": "22:00", "to": "02:00"}],
        [{"from": "00:00", "to": "23:59", "days": ["sun"]}],
        [{"from": "00:00", "to": "24:00"}],
        [{**EVENING, **THIRD}],
        [{**EVENING, "rrule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU", "since": "2027-01-03"}],
    ],
)
def test_right_windows_pass(value):
    assert maintenance.problem(value) is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("2027-12-24", "wanted a list of days, found '2027-12-24'"),
        (["24.12."], "wanted a day such as '2027-12-24', or from and to with such days, found '24.12.'"),
        ([datetime.date(2027, 12, 24)], "wanted a day such as '2027-12-24', or from and to"),
        ([{"from": "2027-12-24"}], "wanted a day such as '2027-12-24', or from and to"),
        ([{"from": "2027-12-24", "to": 5}], "to: wanted a day such as '2027-12-24', found 5"),
        ([{"from": "x", "to": "2027-12-24"}], "from: wanted a day such as '2027-12-24', found 'x'"),
        (
            ["2027-12-24", {"from": "2027-12-24", "to": "2027-12-23"}],
            "the freeze from 2027-12-24 ends before it begins, on 2027-12-23",
        ),
    ],
)
def test_wrong_freezes_are_named(value, why):
    assert maintenance.freeze_problem(value).startswith(why)


def test_right_freezes_pass():
    assert maintenance.freeze_problem(["2027-12-24", {"from": "2027-12-31", "to": "2028-01-02"}]) is None
