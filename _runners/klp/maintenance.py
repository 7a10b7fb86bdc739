"""
Maintenance windows, the time in which hosts may be started. Pure functions of a moment; the time zone has the rules for
the days when clocks change. (The support window of a kernel is something else.)

One is given in local time. Where a clock change makes that ambiguous or impossible it opens at the later and closes at
the earlier of the possible moments: it is never open when the wall clock is outside of it. A freeze is the other way
round: it begins at the earlier and ends at the later moment.
"""

from __future__ import annotations

import bisect
import datetime
import functools
import json
import re
import zoneinfo

from . import recurrence

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z")
MIDNIGHT = "24:00"  # the end of a day
KEYS = {"days", "rrule", "since", "from", "to"}
AHEAD = 400  # days that the next opening is looked for: a rule for one day of a year has one in them
BLOCK = 32  # days whose windows are worked out together
ALWAYS = (float("-inf"), float("inf"))


def zone_problem(value):
    """Return what is wrong with the name of a time zone, or ``None``."""
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        return f"wanted a time zone that this master knows, such as Europe/Berlin, found {value!r:.60}"
    return None


def problem(value):
    """Return what is wrong with a list of maintenance windows, or ``None``."""
    if not isinstance(value, list):
        return f"wanted a list of maintenance windows, found {value!r:.60}"
    found = ((number, _window_problem(item)) for number, item in enumerate(value, 1))
    return next((f"maintenance window {number}: {wrong}" for number, wrong in found if wrong), None)


def _window_problem(item):
    if not isinstance(item, dict) or not {"from", "to"} <= set(item) <= KEYS:
        return f"wanted the keys from, to and perhaps days, or rrule and since, found {item!r:.60}"
    for key in ("from", "to"):
        good = isinstance(item[key], str) and (CLOCK.match(item[key]) or (key == "to" and item[key] == MIDNIGHT))
        if not good:
            return f"{key}: wanted a time such as '22:00' (quoted: YAML reads it as a number), found {item[key]!r:.60}"
    if item["from"] == item["to"]:
        return f"from and to are both {item['to']}"
    return _days_problem(item) if "rrule" not in item else _rule_problem(item)


def _days_problem(item):
    if "since" in item:
        return "since goes with rrule only"
    days = item.get("days", list(DAYS))
    if not isinstance(days, list) or not days or not all(isinstance(day, str) and day in DAYS for day in days):
        return f"days: wanted a list of {', '.join(DAYS)}, found {days!r:.60}"
    return None


def _rule_problem(item):
    if "days" in item:
        return "days and rrule exclude each other"
    try:
        parts = recurrence.parts(item["rrule"])
    except ValueError as exc:
        return f"rrule: {exc}"
    if "since" not in item:
        needed = recurrence.needs_since(parts)
        return f"since: wanted, the day from which on {item['rrule']:.60} is counted" if needed else None
    return _day_problem("since", item["since"])


def _day_problem(key, value):
    if isinstance(value, str) and recurrence.day(value):
        return None
    return f"{key}: wanted a day such as '2027-12-24', found {value!r:.60}"


def freeze_problem(value):
    """Return what is wrong with a list of days on which nothing is started, or ``None``."""
    if not isinstance(value, list):
        return f"wanted a list of days, found {value!r:.60}"
    for item in value:
        if isinstance(item, dict) and set(item) == {"from", "to"}:
            wrong = _day_problem("from", item["from"]) or _day_problem("to", item["to"])
            if wrong or recurrence.day(item["from"]) > recurrence.day(item["to"]):
                return wrong or f"the freeze from {item['from']} ends before it begins, on {item['to']}"
        elif not isinstance(item, str) or not recurrence.day(item):
            return f"wanted a day such as '2027-12-24', or from and to with such days, found {item!r:.60}"
    return None


def moment(day, clock, zone, latest):
    """Return the moment (seconds since 1970) of a wall clock time; of two possible ones the latest or the earliest."""
    hour, minute = map(int, clock.split(":"))
    return instant(datetime.datetime.combine(day, datetime.time(hour, minute)), zone, latest)


def instant(wall, zone, latest):
    """Return the same for a datetime without a time zone."""
    both = [wall.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1)]
    return max(both) if latest else min(both)


def _days(item, first, last):
    """Return the days from ``first`` to ``last`` on which a window opens."""
    if "rrule" in item:
        since = recurrence.day(item["since"]) if "since" in item else recurrence.FIRST
        return recurrence.days(item["rrule"], since, first, last)
    days = (first + datetime.timedelta(days=number) for number in range((last - first).days + 1))
    return [day for day in days if DAYS[day.weekday()] in item.get("days", DAYS)]


@functools.lru_cache(maxsize=512)
def _block(text, number):
    """Return the windows that open on the days of a block, ``[(first moment, first moment after it)]``."""
    rules = json.loads(text)
    zone, first = zoneinfo.ZoneInfo(rules["zone"]), datetime.date.fromordinal(number * BLOCK)
    found = []
    for item in rules["open"]:
        midnight = item["to"] == MIDNIGHT
        for day in _days(item, first, first + datetime.timedelta(days=BLOCK - 1)):
            last = day + datetime.timedelta(days=midnight or item["to"] < item["from"])
            opens = moment(day, item["from"], zone, True)
            closes = moment(last, "00:00" if midnight else item["to"], zone, False)
            if opens < closes:
                found.append((opens, closes))
    return found


@functools.lru_cache(maxsize=64)
def _freezes(text):
    """Return the times in which nothing is started, merged."""
    rules, found = json.loads(text), []
    zone = zoneinfo.ZoneInfo(rules["zone"])
    for item in rules["freeze"]:
        first, last = (item["from"], item["to"]) if isinstance(item, dict) else (item, item)
        after = recurrence.day(last) + datetime.timedelta(days=1)
        found.append((moment(recurrence.day(first), "00:00", zone, False), moment(after, "00:00", zone, True)))
    return merged(found)


def merged(spans):
    """Return spans of time sorted, those that touch or overlap as one."""
    found: list = []
    for opens, closes in sorted(spans):
        if found and opens <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], closes))
        else:
            found.append((opens, closes))
    return found


def _without(spans, freezes):
    """Return what is left of spans when others are taken out; both are merged."""
    found = []
    for opens, closes in spans:
        for begins, ends in freezes:
            if begins < closes and ends > opens:
                found.append((opens, begins))
                opens = ends
        found.append((opens, closes))
    return [(opens, closes) for opens, closes in found if opens < closes]


class _Rules:
    """Windows as they are worked out around a moment."""

    def __init__(self, windows, now):
        self.zone = zoneinfo.ZoneInfo(windows["zone"])
        self.always = not windows["open"] and not windows.get("calendar")
        self.text = json.dumps({key: windows.get(key, []) for key in ("zone", "open", "freeze")}, sort_keys=True)
        self.spans = windows.get("spans", [])
        # One that opened on the day before yesterday, where the zone has skipped a day, may be open still.
        day = datetime.datetime.fromtimestamp(now, self.zone).date() - datetime.timedelta(days=2)
        self.first = day.toordinal() // BLOCK
        self.most = self.first + AHEAD // BLOCK + 2

    def edge(self, number):
        """Return the first moment in which a window can open that is of a later block."""
        return moment(datetime.date.fromordinal((number + 1) * BLOCK), "00:00", self.zone, False)

    def open(self, first, last, now):
        """Return what is open in some blocks, from ``now`` on."""
        if self.always:
            return _without([ALWAYS], _freezes(self.text))
        found = [span for number in range(first, last + 1) for span in _block(self.text, number)]
        end = bisect.bisect_left(self.spans, [self.edge(last)])
        begin = max(0, bisect.bisect_right(self.spans, [now]) - 1)
        return _without(merged([*found, *map(tuple, self.spans[begin:end])]), _freezes(self.text))


def until(windows, now):
    """
    Return when the maintenance windows that are open now close (seconds since 1970).

    ``None``: none is open; infinite: there are none.

    windows
        ``{"zone", "open": [{"days" or "rrule" and "since", "from", "to"}], "calendar", "spans", "freeze"}``, of which
        the last three may be missing; ``spans`` (sorted, apart from each other) are what ``calendars`` has read.
    now
        seconds since 1970.

    Those that touch or overlap are one.
    """
    rules = _Rules(windows, now)
    last, end = rules.first, None
    while last < rules.most:
        last += 1
        spans = rules.open(rules.first, last, now)
        end = next((closes for opens, closes in spans if opens <= now < closes), None)
        if end is None or rules.always or end < rules.edge(last):
            break
    return end


def opening(windows, now):
    """Return when the next one opens (seconds since 1970): ``now`` if one is open, ``None``: not within AHEAD days."""
    if until(windows, now) is not None:
        return now
    rules = _Rules(windows, now)
    for number in range(rules.first, rules.most):
        found = next((opens for opens, _ in rules.open(number, number, now) if opens > now), None)
        if found is not None:
            return found if found <= now + 86400 * AHEAD else None
    return None


def ahead(windows, now, count):
    """Return the next maintenance windows, at most so many, one that is open now included: ``[(opens, closes)]``."""
    found: list = []
    while len(found) < count:
        opens = opening(windows, now)
        if opens is None:
            break
        now = until(windows, opens)
        found.append((opens, now))
        if now == float("inf"):
            break
    return found


def local(windows, now):
    """Return a moment as the people of that time zone write it."""
    zone = zoneinfo.ZoneInfo(windows["zone"])
    return datetime.datetime.fromtimestamp(now, zone).strftime("%Y-%m-%d %H:%M %Z")
