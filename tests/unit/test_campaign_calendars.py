"""Maintenance windows from iCalendar files: the texts are those that SUSE Manager, Outlook and Google write."""

import datetime
import sys
import textwrap
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from salt.exceptions import CommandExecutionError

from _runners.klp import calendars, maintenance, show
from tests.simulation import campaign
from tests.simulation.hours import CHANGES, offset
from tests.simulation.world import SimHost, World

BERLIN = "Europe/Berlin"
FIRST, LAST = datetime.date(2027, 1, 1), datetime.date(2027, 12, 31)
WHAT = "pillar klp_campaign:windows:calendar: "


def at(text, zone=BERLIN, fold=0):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=fold).timestamp()


def event(*lines, name="SAP", uid="1"):
    return ["BEGIN:VEVENT", f"UID:{uid}", f"SUMMARY:{name}", *lines, "END:VEVENT"]


@pytest.fixture
def read(tmp_path):
    """Read the spans of events from a file, as ``2027-01-01 22:00`` in Berlin."""

    def make(*events, raw=None, first=FIRST, last=LAST, zone=BERLIN, name=""):
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//y//EN", *(line for one in events for line in one)]
        data = raw if raw is not None else "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()
        path = tmp_path / "windows.ics"
        path.write_bytes(data)
        windows = {"zone": zone, "open": [], "calendar": str(path), "event": name}
        spans = calendars.read(windows, first, last)
        assert spans == [list(span) for span in maintenance.merged(map(tuple, spans))]
        return spans

    return make


def shown(spans, zone=BERLIN):
    """Return spans as the clock on the wall shows them."""
    tz = zoneinfo.ZoneInfo(zone)
    return [
        " - ".join(f"{datetime.datetime.fromtimestamp(moment, tz):%Y-%m-%d %H:%M}" for moment in span) for span in spans
    ]


ONE = event(f"DTSTART;TZID={BERLIN}:20270110T220000", f"DTEND;TZID={BERLIN}:20270111T020000")


def test_events_of_all_forms(read):
    assert shown(read(ONE)) == ["2027-01-10 22:00 - 2027-01-11 02:00"]
    assert shown(read(event("DTSTART:20270110T220000Z", "DTEND:20270110T230000Z"))) == [
        "2027-01-10 23:00 - 2027-01-11 00:00"
    ]
    assert shown(read(event("DTSTART:20270110T220000", "DURATION:PT1H30M"))) == ["2027-01-10 22:00 - 2027-01-10 23:30"]
    assert shown(read(event("DTSTART;VALUE=DATE:20270110", "DTEND;VALUE=DATE:20270112"))) == [
        "2027-01-10 00:00 - 2027-01-12 00:00"
    ]
    assert shown(read(event("DTSTART;VALUE=DATE:20270110"))) == ["2027-01-10 00:00 - 2027-01-11 00:00"]
    assert shown(read(event("DTSTART;VALUE=DATE:20270110", "DURATION:P1W2D"))) == [
        "2027-01-10 00:00 - 2027-01-19 00:00"
    ]
    other = event("DTSTART;TZID=America/New_York:20270110T200000", "DTEND:20270111T030000Z")
    assert shown(read(other)) == ["2027-01-11 02:00 - 2027-01-11 04:00"]
    windows = event('DTSTART;TZID="W. Europe Standard Time":20270110T220000', "DURATION:PT1H")
    assert shown(read(windows, zone="UTC")) == ["2027-01-10 22:00 - 2027-01-10 23:00"]


WEEKLY = (f"DTSTART;TZID={BERLIN}:20270102T220000", f"DTEND;TZID={BERLIN}:20270103T020000")


def test_series_with_exceptions(read):
    rule = "RRULE:FREQ=WEEKLY;BYDAY=SA;UNTIL=20270123T210000Z"
    days = [text[:10] for text in shown(read(event(*WEEKLY, rule)))]
    assert days == ["2027-01-02", "2027-01-09", "2027-01-16", "2027-01-23"], (
        "22:00 in Berlin is 21:00 UTC: the last one"
    )
    shorter = rule.replace("T21", "T20")
    assert len(read(event(*WEEKLY, shorter))) == 3
    left_out = [f"EXDATE;TZID={BERLIN}:20270109T220000,20270116T220000", "EXDATE:20270123T210000Z"]
    assert shown(read(event(*WEEKLY, rule, *left_out))) == ["2027-01-02 22:00 - 2027-01-03 02:00"]
    days = [text[:10] for text in shown(read(event(*WEEKLY, rule, "EXDATE;VALUE=DATE:20270109")))]
    assert days == ["2027-01-02", "2027-01-16", "2027-01-23"], "a day that is left out of a series with times"
    more = read(event(*WEEKLY, "RRULE:FREQ=WEEKLY;COUNT=2", f"RDATE;TZID={BERLIN}:20270105T220000"))
    assert [text[:10] for text in shown(more)] == ["2027-01-02", "2027-01-05", "2027-01-09"]
    assert len(read(event(*WEEKLY, "RRULE:FREQ=WEEKLY;BYDAY=SA;UNTIL=20270116"))) == 3
    assert len(read(event(*WEEKLY, "RRULE:FREQ=WEEKLY;BYDAY=SA;UNTIL=20270116T220000"))) == 3
    assert len(read(event(*WEEKLY, "RRULE:FREQ=WEEKLY"))) == 52
    monthly = [WEEKLY[0].replace("0102", "0117"), "DURATION:PT2H", "RRULE:FREQ=MONTHLY;BYDAY=3SU"]
    assert shown(read(event(*monthly)))[:2] == [
        "2027-01-17 22:00 - 2027-01-18 00:00",
        "2027-02-21 22:00 - 2027-02-22 00:00",
    ]


def test_one_of_a_series_that_was_moved_or_cancelled(read):
    series = event(*WEEKLY, "RRULE:FREQ=WEEKLY;COUNT=3")
    place = f"RECURRENCE-ID;TZID={BERLIN}:20270109T220000"
    moved = event(place, f"DTSTART;TZID={BERLIN}:20270110T220000", "DURATION:PT1H")
    assert shown(read(series, moved)) == [
        "2027-01-02 22:00 - 2027-01-03 02:00",
        "2027-01-10 22:00 - 2027-01-10 23:00",
        "2027-01-16 22:00 - 2027-01-17 02:00",
    ]
    cancelled = event(place, *WEEKLY, "STATUS:CANCELLED")
    assert [text[:10] for text in shown(read(series, cancelled))] == ["2027-01-02", "2027-01-16"]
    assert len(read(series, event(place, *WEEKLY, "STATUS:CANCELLED", uid="2"))) == 3, "that of another series"
    alone = event("DTSTART:20270801T000000Z", "DURATION:PT1H", "STATUS:Cancelled", uid="3")
    assert len(read(ONE, alone)) == 1 and read(ONE, alone) == read(ONE)
    renamed = event(place, f"DTSTART;TZID={BERLIN}:20270110T220000", "DURATION:PT1H", name="not any more")
    assert [text[:10] for text in shown(read(series, renamed, name="SAP"))] == ["2027-01-02", "2027-01-16"]
    with pytest.raises(CommandExecutionError, match="RANGE of its RECURRENCE-ID is not known here"):
        read(series, event("RECURRENCE-ID;RANGE=THISANDFUTURE:20270109T210000Z", *WEEKLY))


def test_only_events_of_a_name(read):
    """SUSE Manager has calendars for several schedules: events count whose summary is the name of the schedule."""
    other = event("DTSTART:20270301T000000Z", "DURATION:PT1H", name="Web, and more".replace(",", "\\,"), uid="2")
    assert len(read(ONE, other)) == 2
    assert shown(read(ONE, other, name="SAP")) == ["2027-01-10 22:00 - 2027-01-11 02:00"]
    assert len(read(ONE, other, name="Web, and more")) == 1
    with pytest.raises(CommandExecutionError) as caught:
        read(ONE, other, name="sap")
    assert str(caught.value).endswith("windows.ics has no event called 'sap'; it has: SAP, Web, and more")
    many = [event("DTSTART:20270301T000000Z", "DURATION:PT1H", name=f"n{number}") for number in range(8)]
    with pytest.raises(CommandExecutionError, match="it has: n0, n1, n2, n3, n4 and 3 more"):
        read(*many, name="n")


def test_what_stands_around_the_events_does_not_count(read):
    zone = ["BEGIN:VTIMEZONE", f"TZID:{BERLIN}", "BEGIN:STANDARD", "DTSTART:19700101T000000"]
    zone += ["RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU", "END:STANDARD", "END:VTIMEZONE"]
    alarm = ["BEGIN:VALARM", "DTSTART:20200101T000000Z", "DURATION:PT9H", "END:VALARM"]
    todo = ["BEGIN:VTODO", "DTSTART:20270801T000000Z", "END:VTODO"]
    inner = [*ONE[:-1], *alarm, ONE[-1]]
    assert shown(read(zone, todo, inner)) == ["2027-01-10 22:00 - 2027-01-11 02:00"]
    folded = (
        b"\xef\xbb\xbfBEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;TZID=Europe/\n Berlin:20270110T2\n 20000\nDURATION:PT1H\n"
    )
    assert shown(read(raw=folded + b"END:VEVENT\nEND:VCALENDAR\n")) == ["2027-01-10 22:00 - 2027-01-10 23:00"]


def test_a_calendar_keeps_to_the_days_that_are_asked_for(read):
    rule = event(*WEEKLY, "RRULE:FREQ=WEEKLY")
    few = read(rule, first=datetime.date(2027, 3, 7), last=datetime.date(2027, 3, 20))
    assert [text[:10] for text in shown(few)] == ["2027-03-13", "2027-03-20"]
    assert read(ONE, first=datetime.date(2027, 3, 7)) == []
    long = event("DTSTART;VALUE=DATE:20270301", "DTEND;VALUE=DATE:20270320")
    assert shown(read(long, first=datetime.date(2027, 3, 7))) == ["2027-03-01 00:00 - 2027-03-20 00:00"]


@pytest.mark.parametrize(
    ("begins", "ends", "spans"),
    [
        # The hour that there is not: it opens at the later, closes at the earlier moment.
        ("20270328T023000", "20270328T050000", [(at("2027-03-28T03:30"), at("2027-03-28T05:00"))]),
        ("20270328T003000", "20270328T023000", [(at("2027-03-28T00:30"), at("2027-03-28T01:30"))]),
        # The hour that there is twice.
        ("20271031T023000", "20271031T050000", [(at("2027-10-31T02:30", fold=1), at("2027-10-31T05:00"))]),
        ("20271031T003000", "20271031T023000", [(at("2027-10-31T00:30"), at("2027-10-31T02:30"))]),
        ("20271031T021500", "20271031T024500", []),
    ],
)
def test_the_days_when_clocks_change(read, begins, ends, spans):
    found = read(event(f"DTSTART;TZID={BERLIN}:{begins}", f"DTEND;TZID={BERLIN}:{ends}"))
    assert [tuple(span) for span in found] == spans


def test_a_duration_is_one_of_a_clock_that_nobody_changes(read):
    autumn = read(event(f"DTSTART;TZID={BERLIN}:20271031T010000", "DURATION:PT4H"))
    assert shown(autumn) == ["2027-10-31 01:00 - 2027-10-31 04:00"], "at 05:00 on the wall five hours have passed"
    spring = read(event(f"DTSTART;TZID={BERLIN}:20270328T010000", "DURATION:PT4H"))
    assert shown(spring) == ["2027-03-28 01:00 - 2027-03-28 05:00"], "at 06:00 the wall says that it is over"


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(set(CHANGES) - {"Pacific/Apia"})),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(1, 600),
)
def test_a_series_is_open_only_while_the_wall_clock_is_inside_of_it(tmp_path_factory, zone, hour, minute, length):
    change = CHANGES[zone][-1]
    day = datetime.datetime.fromtimestamp(change, zoneinfo.ZoneInfo(zone)).date() - datetime.timedelta(days=3)
    begin = datetime.datetime.combine(day, datetime.time(hour, minute))
    lines = event(
        f"DTSTART;TZID={zone}:{begin:%Y%m%dT%H%M%S}",
        f"DTEND;TZID={zone}:{begin + datetime.timedelta(minutes=length):%Y%m%dT%H%M%S}",
        "RRULE:FREQ=DAILY;COUNT=6",
    )
    path = tmp_path_factory.mktemp("ics") / "x.ics"
    path.write_text("\r\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR", ""]))
    windows = {"zone": zone, "open": [], "calendar": str(path), "event": ""}
    spans = calendars.read(windows, day, day + datetime.timedelta(days=9))
    walls = [begin + datetime.timedelta(days=number) for number in range(6)]
    for opens, closes in spans:
        for moment in range(int(opens), int(closes), 60):
            wall = datetime.datetime.fromtimestamp(moment, zoneinfo.ZoneInfo(zone)).replace(tzinfo=None)
            assert any(one <= wall < one + datetime.timedelta(minutes=length) for one in walls), wall
    plain = [one for one in walls if offset(zone, one.timestamp() - 200000) == offset(zone, one.timestamp() + 200000)]
    assert len(spans) >= len(plain) - 1


RRULE = "RRULE:FREQ=HOURLY"
BEGINS = f"DTSTART;TZID={BERLIN}:20270110T220000"
WRONG = [
    (["DURATION:PT1H"], "it has no DTSTART"),
    ([BEGINS], "it lasts 0:00:00; wanted an end after its beginning, at most 31 days later"),
    ([BEGINS, f"DTEND;TZID={BERLIN}:20270110T210000"], "it lasts -1 day, 23:00:00; wanted an end after its beginning"),
    ([BEGINS, f"DTEND;TZID={BERLIN}:20270310T210000"], "it lasts 58 days, 23:00:00; wanted an end"),
    ([BEGINS, "DTEND;VALUE=DATE:20270111"], "it begins with a day and ends with a time, or the other way round"),
    ([BEGINS, "DURATION:P"], "wanted a duration such as PT4H, found 'P'"),
    ([BEGINS, "DURATION:PT0H"], "it lasts 0:00:00"),
    ([BEGINS, "DURATION:-PT1H"], "wanted a duration such as PT4H, found '-PT1H'"),
    ([BEGINS, "DURATION:PT1H", RRULE], "FREQ: wanted one of DAILY, WEEKLY, MONTHLY, YEARLY, found 'HOURLY'"),
    ([BEGINS, "DURATION:PT1H", "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"], "more than one RRULE, and EXRULE, are not"),
    ([BEGINS, "DURATION:PT1H", "EXRULE:FREQ=DAILY"], "more than one RRULE, and EXRULE, are not known here"),
    ([BEGINS, "DURATION:PT1H", "RDATE;VALUE=DATE:20270301"], "its RDATE is of another time zone or kind"),
    ([BEGINS, "DURATION:PT1H", "RDATE;VALUE=PERIOD:20270301T000000Z/PT1H"], "wanted a day or a time such as"),
    ([BEGINS, "DURATION:PT1H", "EXDATE:soon"], "wanted a day or a time such as 20271224T220000, found 'soon'"),
    (["DTSTART:20270110", "DURATION:PT1H"], "wanted a day or a time such as 20271224T220000, found '20270110'"),
    (["DTSTART;VALUE=DATE:20270230", "DURATION:P1D"], "wanted a day or a time"),
    (["DTSTART:20270110T256000Z", "DURATION:PT1H"], "'20270110T256000Z' is no time"),
    (["DTSTART;TZID=Mars/Olympus:20270110T220000", "DURATION:PT1H"], "this master does not know its time zone 'Mars/"),
    (["DTSTART;TZID=/etc/passwd:20270110T220000", "DURATION:PT1H"], "this master does not know its time zone '/etc"),
]


@pytest.mark.parametrize(("lines", "why"), WRONG, ids=[why[:30] for _, why in WRONG])
def test_what_is_not_understood_of_an_event_refuses_the_whole_file(read, lines, why):
    with pytest.raises(CommandExecutionError) as caught:
        read(ONE, event(*lines, name="Second"))
    text = str(caught.value)
    assert text.startswith(WHAT) and "event 'Second': " + why in text


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "is no iCalendar file (it ends too early)"),
        (b"<html></html>", "is no iCalendar file ("),
        (b"\xff\xfe\x00", "is no iCalendar file ("),
        (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "is no iCalendar file (it ends too early)"),
        (b"BEGIN:VCALENDAR\nEND:VEVENT\n", "is no iCalendar file (END:VEVENT has no beginning)"),
        (b"BEGIN:VCALENDAR\nEND:VCALENDAR\n", "has no event; it has: none"),
        (b"X" * (calendars.LARGEST + 1), "is larger than 4194304 bytes"),
    ],
)
def test_what_is_no_calendar_is_refused(read, raw, why):
    with pytest.raises(CommandExecutionError) as caught:
        read(raw=raw)
    assert str(caught.value).startswith(WHAT) and why in str(caught.value)


def test_too_many_events_are_refused(read, monkeypatch):
    monkeypatch.setattr(calendars, "MOST", 20)
    with pytest.raises(CommandExecutionError, match=r"has more than 20 maintenance windows in 364 days"):
        read(event(*WEEKLY, "RRULE:FREQ=WEEKLY"))


def test_a_calendar_that_cannot_be_read_is_named(tmp_path):
    windows = {"zone": BERLIN, "open": [], "calendar": str(tmp_path / "none.ics"), "event": ""}
    with pytest.raises(CommandExecutionError, match=r"none.ics cannot be read \(No such file or directory\)"):
        calendars.read(windows, FIRST, LAST)
    with pytest.raises(CommandExecutionError, match=r"cannot be read \(Is a directory\)"):
        calendars.read(dict(windows, calendar=str(tmp_path)), FIRST, LAST)


@pytest.mark.parametrize(
    ("pip", "command"), [("/usr/bin/salt-pip", "salt-pip install icalendar"), (None, "zypper install")]
)
def test_without_the_library_the_command_that_installs_it_is_named(read, monkeypatch, pip, command):
    monkeypatch.setitem(sys.modules, "icalendar", None)
    monkeypatch.setattr(calendars.shutil, "which", lambda name: pip)
    with pytest.raises(CommandExecutionError) as caught:
        read(ONE)
    assert str(caught.value).startswith(f"{WHAT}the Python of this master has no icalendar: {command}")


def test_names_of_windows_need_a_library_that_has_them(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "icalendar.timezone", None)
    assert len(read(ONE)) == 1
    with pytest.raises(
        CommandExecutionError, match="this master does not know its time zone 'W. Europe Standard Time'"
    ):
        read(event('DTSTART;TZID="W. Europe Standard Time":20270110T220000', "DURATION:PT1H"))


# -- at the time of the plan --------------------------------------------------------------------------------------

NOW = 1_800_000_000  # 2027-01-15


def prepared(hours=336, **windows):
    found = {"zone": BERLIN, "open": [], "calendar": "", "event": "", "freeze": [], **windows}
    return calendars.prepared({"limits": {"duration": hours}, "windows": found}, NOW)["windows"]


def test_a_plan_has_the_spans_of_its_calendar(tmp_path):
    path = tmp_path / "x.ics"
    path.write_text("\r\n".join(["BEGIN:VCALENDAR", *event(*WEEKLY, "RRULE:FREQ=WEEKLY"), "END:VCALENDAR", ""]))
    windows = prepared(calendar=str(path))
    assert windows["spans"][0] == [at("2027-01-16T22:00"), at("2027-01-17T02:00")]
    assert 400 * 86400 - 7 * 86400 < windows["spans"][-1][0] - NOW < 400 * 86400
    assert windows["spans"][-1][0] < prepared(calendar=str(path), hours=8760)["spans"][-1][0] < NOW + 731 * 86400
    assert prepared()["spans"] == []


@pytest.mark.parametrize(
    "windows",
    [
        {"open": [{"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "from": "10:00", "to": "11:00"}]},
        {"open": [{"rrule": "FREQ=DAILY;UNTIL=20261231", "from": "10:00", "to": "11:00"}]},
        {"freeze": [{"from": "2027-01-01", "to": "2029-01-01"}]},
    ],
)
def test_a_plan_without_any_opening_is_refused(windows):
    with pytest.raises(CommandExecutionError) as caught:
        prepared(**windows)
    assert str(caught.value) == (
        "no plan: no maintenance window opens within 400 days; look at pillar klp_campaign:windows"
    )


def test_a_plan_shows_the_next_maintenance_windows():
    world = World([SimHost("h1"), SimHost("h2")])
    third = {"rrule": "FREQ=MONTHLY;BYDAY=3SU", "from": "22:00", "to": "24:00"}
    windows = {"zone": "Europe/Berlin", "open": [third], "freeze": ["2027-02-21"]}
    found = show.plan_text(campaign.plan(world, windows=windows))
    assert (
        textwrap.dedent("""
        hosts are started in maintenance windows only, the next ones:
          2027-01-17 22:00 CET - 2027-01-18 00:00 CET
          2027-03-21 22:00 CET - 2027-03-22 00:00 CET
          2027-04-18 22:00 CEST - 2027-04-19 00:00 CEST
    """)
        in found
    )
    frozen = show.plan_text(campaign.plan(world, windows={"freeze": ["2027-01-15", "2027-01-17"]}))
    assert "  2027-01-16 00:00 UTC - 2027-01-17 00:00 UTC\n  2027-01-18 00:00 UTC - open end\n" in frozen
    past = {"open": [{"rrule": "FREQ=DAILY;UNTIL=20261231", "from": "10:00", "to": "11:00"}]}
    for never in ({}, past):
        assert "maintenance windows" not in show.plan_text(campaign.plan(world, windows=never))
