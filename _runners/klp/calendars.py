"""
Maintenance windows from an iCalendar file (RFC 5545), as SUSE Manager and calendar servers export it.

The file is read once, when a plan is made. What its events say is worked out for as long as the campaign may take, and
stands in the plan as spans of time. Of the library ``icalendar`` only the lines are used: what it makes of an unknown
time zone or a broken date is a time without a zone, or an error much later.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import math
import re
import shutil
import sys
import zoneinfo

from salt.exceptions import CommandExecutionError

from . import maintenance, recurrence

LARGEST = 4 * 1024 * 1024  # bytes of a file
MOST = 20000  # spans that it may have
LONGEST = 31  # days of one event
NAMED = 5  # names of events that a message has
TIME = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z?))?\Z")
DURATION = re.compile(
    r"\+?P(?:([0-9]{1,3})W)?(?:([0-9]{1,3})D)?(?:T(?:([0-9]{1,4})H)?(?:([0-9]{1,4})M)?(?:[0-9]{1,5}S)?)?\Z"
)
WHAT = "pillar klp_campaign:windows:calendar"
UTC = datetime.timezone.utc


class EventError(ValueError):
    """Something of an event is not understood: then nothing of the file is used."""


class When:
    """A date or a time of an event: ``wall`` (datetime without a zone), ``zone``, and whether it is a whole ``day``."""

    def __init__(self, wall, zone, day):
        self.wall, self.zone, self.day = wall, zone, day

    def moment(self, latest):
        return maintenance.instant(self.wall, self.zone, latest)


def prepared(settings, now):
    """
    Return settings whose ``windows`` have the ``spans`` of their calendar.

    Raises CommandExecutionError where it cannot be read, and where no maintenance window opens in time.
    """
    windows = dict(settings["windows"], spans=[])
    if windows["calendar"]:
        days = max(maintenance.AHEAD, 366 + math.ceil(settings["limits"]["duration"] / 24))
        first = datetime.datetime.fromtimestamp(now, UTC).date() - datetime.timedelta(days=1)
        windows["spans"] = read(windows, first, first + datetime.timedelta(days=days))
    if maintenance.opening(windows, now) is None:
        raise CommandExecutionError(
            f"no plan: no maintenance window opens within {maintenance.AHEAD} days; look at pillar klp_campaign:windows"
        )
    return dict(settings, windows=windows)


def read(windows, first, last):
    """Return the spans of time that the events of a file mean from one day to another, merged."""
    path, zone = windows["calendar"], zoneinfo.ZoneInfo(windows["zone"])
    events = _events(_lines(path), path)
    names = sorted({name(event) for event in events})
    chosen = [event for event in events if windows["event"] in ("", name(event)) and not _cancelled(event)]
    if not chosen:
        found = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        called = f" called {windows['event']!r}" if windows["event"] else ""
        raise CommandExecutionError(f"{WHAT}: {path} has no event{called}; it has: {found or 'none'}")
    spans: list = []
    for event in chosen:
        try:
            spans += itertools.islice(occurrences(event, events, zone, first, last), MOST + 1)
        except ValueError as exc:
            raise CommandExecutionError(f"{WHAT}: {path}, event {name(event)!r}: {exc}") from exc
        if len(spans) > MOST:
            raise CommandExecutionError(f"{WHAT}: {path} has more than {MOST} maintenance windows in {last - first}")
    return [list(span) for span in maintenance.merged(spans)]


def missing(what):
    """Return the error that says how the library comes to this master; ``what`` needs it."""
    own = f"zypper install python{sys.version_info[0]}{sys.version_info[1]}-icalendar"
    command = "salt-pip install icalendar" if shutil.which("salt-pip") else own
    return CommandExecutionError(f"{what}: the Python of this master has no icalendar: {command}")


def _library():
    try:
        from icalendar import parser
    except ImportError as exc:
        raise missing(WHAT) from exc
    return parser


def _lines(path):
    """Return the lines of a file as ``(name, parameters, value)``."""
    try:
        with open(path, "rb") as handle:
            data = handle.read(LARGEST + 1)
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise CommandExecutionError(f"{WHAT}: {path} cannot be read ({why})") from exc
    if len(data) > LARGEST:
        raise CommandExecutionError(f"{WHAT}: {path} is larger than {LARGEST} bytes")
    try:
        lines = _library().Contentlines.from_ical(data.decode("utf-8-sig"))
        return [(key.upper(), dict(given), value) for key, given, value in (line.parts() for line in lines if line)]
    except (ValueError, TypeError) as exc:
        raise CommandExecutionError(f"{WHAT}: {path} is no iCalendar file ({exc!s:.200})") from exc


def _events(lines, path):
    """Return the events of a file, ``{name: [(parameters, value)]}``; alarms and other things in them are left out."""
    found, open_, event = [], [], {}  # type: list, list, dict
    for key, given, value in lines:
        if key == "BEGIN":
            open_.append(value.upper())
            event = {} if open_ == ["VCALENDAR", "VEVENT"] else event
        elif key == "END":
            if not open_ or open_.pop() != value.upper():
                raise CommandExecutionError(f"{WHAT}: {path} is no iCalendar file (END:{value:.40} has no beginning)")
            if open_ == ["VCALENDAR"] and value.upper() == "VEVENT":
                found.append(event)
        elif open_ == ["VCALENDAR", "VEVENT"]:
            event.setdefault(key, []).append((given, value))
    if open_ or not lines:
        raise CommandExecutionError(f"{WHAT}: {path} is no iCalendar file (it ends too early)")
    return found


def name(event):
    """Return the name of an event, its summary."""
    return event.get("SUMMARY", [({}, "")])[0][1]


def _cancelled(event):
    return event.get("STATUS", [({}, "")])[0][1].upper() == "CANCELLED"


def when(zone, given, value):
    """Return the date or time of a property (its parameters and value); one without a time zone is one of ``zone``."""
    match = TIME.match(value)
    day = recurrence.day(match.group(1)) if match else None
    if not match or day is None or (str(given.get("VALUE")).upper() == "DATE") != (match.group(2) is None):
        raise EventError(f"wanted a day or a time such as 20271224T220000, found {value!r:.40}")
    if match.group(2) is None:
        return When(datetime.datetime.combine(day, datetime.time()), zone, True)
    clock = match.group(2)
    hour, minute, second = int(clock[:2]), int(clock[2:4]), min(59, int(clock[4:]))  # 60: a leap second
    try:
        wall = datetime.datetime.combine(day, datetime.time(hour, minute, second))
    except ValueError as exc:
        raise EventError(f"{value!r:.40} is no time") from exc
    if match.group(3):
        return When(wall, UTC, False)
    return When(wall, _zone(str(given["TZID"])) if "TZID" in given else zone, False)


def _zone(text):
    """Return the time zone of a name, also one that Windows has for it."""
    if maintenance.zone_problem(text) is None:
        return zoneinfo.ZoneInfo(text)
    with contextlib.suppress(ImportError):
        from icalendar.timezone import windows_to_olson

        if text in windows_to_olson.WINDOWS_TO_OLSON:
            return zoneinfo.ZoneInfo(windows_to_olson.WINDOWS_TO_OLSON[text])
    raise EventError(f"this master does not know its time zone {text!r:.60}")


def _lasts(event, begins, zone):
    """Return how long an event lasts, on the clock of the wall, and whether that is said as a duration."""
    if "DTEND" in event:
        ends = when(zone, *event["DTEND"][0])
        if ends.day != begins.day or str(ends.zone) != str(begins.zone):
            if ends.day or begins.day:
                raise EventError("it begins with a day and ends with a time, or the other way round")
            wall = datetime.datetime.fromtimestamp(ends.moment(False), begins.zone).replace(tzinfo=None)
            ends = When(wall, begins.zone, False)
        spent, said = ends.wall - begins.wall, False
    elif "DURATION" in event:
        match = DURATION.match(event["DURATION"][0][1])
        if not match or not any(match.groups()):
            raise EventError(f"wanted a duration such as PT4H, found {event['DURATION'][0][1]!r:.40}")
        weeks, days, hours, minutes = (int(part or 0) for part in match.groups())
        spent, said = datetime.timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes), True
    else:
        spent, said = datetime.timedelta(days=1 if begins.day else 0), False
    if not datetime.timedelta() < spent <= datetime.timedelta(days=LONGEST):
        raise EventError(f"it lasts {spent}; wanted an end after its beginning, at most {LONGEST} days later")
    return spent, said


def occurrences(event, events, zone, first, last):
    """Yield the spans of time of an event; one that was moved stands in the file as an event of its own."""
    if "DTSTART" not in event:
        raise EventError("it has no DTSTART")
    begins = when(zone, *event["DTSTART"][0])
    spent, said = _lasts(event, begins, zone)
    left_out = _listed(event, "EXDATE", zone)
    gone = {item.moment(False) for item in left_out} | _moved(event, events, zone)
    days = {item.wall.date() for item in left_out if item.day}  # of a series with times some calendars leave out days
    for wall in sorted(_walls(event, begins, zone, first - spent, last)):
        one = When(wall, begins.zone, begins.day)
        if one.moment(False) in gone or wall.date() in days:
            continue
        opens, closes = one.moment(True), maintenance.instant(wall + spent, begins.zone, False)
        if said:  # so many hours by a clock that nobody changes
            closes = min(closes, one.moment(False) + spent.total_seconds())
        if opens < closes:
            yield opens, closes


def _listed(event, key, zone):
    """Return the dates of properties that may be there several times and have several dates each."""
    return [when(zone, given, part) for given, value in event.get(key, []) for part in value.split(",")]


def _moved(event, events, zone):
    """Return the moments of a series for which other events stand."""
    if "RECURRENCE-ID" in event or "UID" not in event:
        return set()
    others = [other for other in events if "RECURRENCE-ID" in other and other.get("UID") == event["UID"]]
    if any("RANGE" in other["RECURRENCE-ID"][0][0] for other in others):
        raise EventError("RANGE of its RECURRENCE-ID is not known here")
    return {when(zone, *other["RECURRENCE-ID"][0]).moment(False) for other in others}


def _walls(event, begins, zone, first, last):
    """Return when an event begins on the clock of the wall, as often as it does from ``first`` to ``last``."""
    if "EXRULE" in event or len(event.get("RRULE", [])) > 1:
        raise EventError("more than one RRULE, and EXRULE, are not known here")
    found = set() if "RRULE" in event else {begins.wall}
    for item in _listed(event, "RDATE", zone):
        if str(item.zone) != str(begins.zone) or item.day != begins.day:
            raise EventError("its RDATE is of another time zone or kind than its DTSTART")
        found.add(item.wall)
    for _, rule in event.get("RRULE", []):
        until, text = _until(rule, begins)
        days = recurrence.days(text, begins.wall.date(), first, last, until and until.date())
        walls = (datetime.datetime.combine(day, begins.wall.time()) for day in days)
        found |= {wall for wall in walls if until is None or wall <= until}
    return {wall for wall in found if first <= wall.date() <= last}


def _until(rule, begins):
    """Return the last time that a rule has, on the clock of the wall, and the rule as ``recurrence`` takes it."""
    parts = recurrence.parts(rule)
    value = parts.get("UNTIL")
    if value is None:
        return None, rule
    if "T" not in value:
        return datetime.datetime.combine(recurrence.day(value), datetime.time(23, 59, 59)), rule
    ends = when(begins.zone, {}, value)
    moment = datetime.datetime.fromtimestamp(ends.moment(True), begins.zone)
    return moment.replace(tzinfo=None), rule
