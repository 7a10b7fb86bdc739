"""The proposed restarts by calendar week: none lost, none twice, none later than proposed; and as iCalendar."""

import collections
import datetime
import sys

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _runners.klp import agenda, due, fleet, isoweeks, reboots
from tests.fleet import NOW, SETTINGS, TODAY, day, document
from tests.unit.report import HOSTILE, HOSTS, SHARE, WEEKS
from tests.unit.targets import TARGET

DATES = st.dates(datetime.date(2026, 1, 1), datetime.date(2032, 12, 31))  # W53, and years that begin in any week


def proposed(pairs, share, weeks, today):
    hosts = [
        {
            "host": f"h{number:03}",
            "group": group,
            "due": None if days is None else today + datetime.timedelta(days),
            "estimate": None,
            "safety": "ok",
        }
        for number, (group, days) in enumerate(pairs)
    ]
    return reboots.propose(hosts, share, weeks, today)


@given(HOSTS, SHARE, WEEKS, DATES)
def test_each_proposed_week_is_one_calendar_week_and_never_a_later_one(pairs, share, weeks, today):
    found = proposed(pairs, share, weeks, today)
    names = [week["iso"] for week in found["weeks"]]
    assert len(set(names)) == len(names), "two proposed weeks would be planned as one"
    for week in found["weeks"]:
        first, last = (datetime.date.fromisoformat(week[key]) for key in ("first", "last"))
        monday = isoweeks.monday(week["iso"])
        assert monday <= first <= monday + datetime.timedelta(6) <= last
        assert isoweeks.problem(week["iso"], today) is None
        assert monday <= isoweeks.monday(isoweeks.last(found))
        for row in week["hosts"]:
            # Whoever restarts in this calendar week is in time, but for those whose deadline is within these days.
            limit = datetime.date.fromisoformat(row["due"])
            assert row["late"] or week["week"] == 1 or monday + datetime.timedelta(6) <= limit


@given(HOSTS, SHARE, WEEKS, DATES)
def test_every_proposed_host_is_taken_in_exactly_one_week(pairs, share, weeks, today):
    found = proposed(pairs, share, weeks, today)
    rows = [{"host": f"h{number:03}", "age": 0} for number in range(len(pairs))]
    hosts = [row["host"] for row in rows]
    summary = {"reboots": found, "hosts": rows, "settings": {"old": 24}}
    taken: dict = collections.Counter()
    week = isoweeks.monday(isoweeks.name(today))
    while week <= isoweeks.monday(isoweeks.last(found)):
        one = due.Due(isoweeks.name(week), summary)
        assert one.problem() is None
        taken.update(one.take(hosts, {})[0])
        assert set(one.found["unknown"]) == {row["host"] for row in found["unknown"]}
        week += datetime.timedelta(7)
    assert due.Due(isoweeks.name(week), summary).problem()
    assert taken == collections.Counter(row["host"] for week in found["weeks"] for row in week["hosts"])


@given(DATES)
def test_a_calendar_week_has_a_name_and_that_name_its_days(one):
    week = isoweeks.name(one)
    assert isoweeks.monday(week) <= one <= isoweeks.monday(week) + datetime.timedelta(6)


def test_a_calendar_week_in_words():
    assert isoweeks.name(datetime.date(2027, 1, 3)) == "2026-W53"
    assert isoweeks.span("2027-W03") == "2027-01-18 to 2027-01-24"


WRONG = ["2027-W60", "2027-W53", "2027-W00", "next", "2027-W3", "2027-03", "", 202703, True, ["2027-W03"], "2027-W03\n"]


@pytest.mark.parametrize("week", WRONG)
def test_what_is_no_week_is_refused(week):
    said = isoweeks.problem(week, TODAY)
    assert said.startswith("week: wanted an ISO week such as 2026-W48, found ")


def test_a_week_in_the_past_is_refused():
    assert isoweeks.problem("2026-W48", TODAY) is None
    assert isoweeks.problem("2026-W47", TODAY) == (
        "week: 2026-W47 has passed; what is late is proposed for 2026-W48, this week, or later"
    )


# -- iCalendar -----------------------------------------------------------------------------------------------------


def summary(*found, now=NOW, **settings):
    return fleet.summary({item["host"]: item for item in found}, {}, {**SETTINGS, **settings}, now)


def events(text):
    """Return the events of a calendar as the library reads them, ``{summary: event}``."""
    calendar = icalendar.Calendar.from_ical(text)
    assert (calendar["version"], calendar["method"], str(calendar["prodid"])) == ("2.0", "PUBLISH", agenda.PRODUCT)
    found = {str(event["summary"]): event for event in calendar.walk("VEVENT")}
    assert len(found) == text.count("BEGIN:VEVENT\r\n")
    assert not any(getattr(part, "errors", None) for part in calendar.walk())
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    return found


def test_a_calendar_has_an_event_for_each_week_and_group():
    text = agenda.text(
        summary(
            document("web1", window__last=day(20), kernel_target=TARGET),
            document("web2", window__last=day(20), reboot__verdict="unknown", kernel_target=None),
            document("db1", group="db", window__last=day(20)),
            document("lone", group="", kernel_target=None, window__last=day(-3), window__state="expired"),
            document("later", window__last=day(900)),
            share=100,
        ),
        "master",
    )
    found = events(text)
    assert set(found) == {"Restart 2 hosts of web", "Restart 1 host of db", "Restart 1 host without a group"}
    web = found["Restart 2 hosts of web"]
    # 27 Nov 2026 is a Friday: the last seven days that end by 17 Dec begin on 11 Dec, in week 50.
    assert (web.decoded("dtstart"), web.decoded("dtend")) == (datetime.date(2026, 12, 7), datetime.date(2026, 12, 14))
    brings = "next 5.14.21-150500.55.99-default, until 2028-01-01 (+380 days), closes 3 CVEs: 1 critical, 2 low"
    assert str(web["description"]).split("\n") == [
        f"web1: by 2026-12-17; {brings}",
        "web2: by 2026-12-17; look first: klp_audit.reboot_safety",
        "",
        "Plan it with: salt-run klp.plan kernel week=2026-W50",
    ]
    assert web.decoded("dtstamp") == datetime.datetime(2026, 11, 27, 12, tzinfo=datetime.timezone.utc)
    assert str(web["transp"]) == "TRANSPARENT" and int(web["sequence"]) < 2**31
    lone = found["Restart 1 host without a group"]
    assert str(lone["description"]).startswith("lone: by 2026-11-24, 9 days late at most\n")


def test_an_event_stays_the_same_one_and_says_that_it_is_newer():
    def made(now, *more, master="master"):
        hosts = [document("web1", window__last=day(30)), *more]
        return events(agenda.text(summary(*hosts, now=now, share=100), master))

    first = made(NOW)["Restart 1 host of web"]
    later = made(NOW + 86400, document("web2", window__last=day(30)))["Restart 2 hosts of web"]
    assert first["uid"] == later["uid"] and int(first["sequence"]) < int(later["sequence"])
    assert first.decoded("dtstart") == later.decoded("dtstart")
    other = made(NOW, master="other")["Restart 1 host of web"]
    assert other["uid"] != first["uid"]
    groups = events(agenda.text(summary(*[document(f"a{n}", group=f"g{n}", window__last=day(30)) for n in "12"]), "m"))
    assert len({str(event["uid"]) for event in groups.values()}) == 2


@pytest.mark.parametrize("text", [*HOSTILE, "a\\nEND:VEVENT", "x;y,z:\\", "\r\nEND:VCALENDAR\r\nBEGIN:VCALENDAR"])
def test_what_hosts_write_is_text_in_a_calendar(text):
    """As many events as there are groups, with no property that this product did not write."""
    host = document(text, group=text, window__last=day(9), kernel_target={**TARGET, "release": None, "problem": text})
    (event,) = events(agenda.text(summary(host), text)).values()
    assert set(event) == {
        *("UID", "DTSTAMP", "LAST-MODIFIED", "SEQUENCE", "DTSTART", "DTEND", "TRANSP", "SUMMARY", "DESCRIPTION")
    }
    first, empty, last = str(event["description"]).split("\n")
    assert empty == "" and last == "Plan it with: salt-run klp.plan kernel week=2026-W48" and "by 2026-12-06" in first


def test_a_fleet_without_restarts_is_an_empty_calendar():
    assert events(agenda.text(summary(document("a", window__last=day(900))), "m")) == {}


def test_a_master_without_the_library_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "icalendar", None)
    with pytest.raises(
        agenda.calendars.CommandExecutionError, match="klp_report:formats: icalendar: the Python of this"
    ):
        agenda.library()
