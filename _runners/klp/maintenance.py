"""
Maintenance windows, the time in which hosts may be started. Pure functions of a moment; the time zone has the rules for
the days when clocks change. (The support window of a kernel is something else.)

One is given in local time. Where a clock change makes that ambiguous or impossible it opens at the later and closes at
the earlier of the possible moments: it is never open when the wall clock is outside of it.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z")
KEYS = {"days", "from", "to"}
AHEAD = 9  # days that the next opening is looked for


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
        return f"wanted the keys from, to and perhaps days, found {item!r:.60}"
    for key in ("from", "to"):
        if not isinstance(item[key], str) or not CLOCK.match(item[key]):
            return f"{key}: wanted a time such as '22:00' (quoted: YAML reads it as a number), found {item[key]!r:.60}"
    if item["from"] == item["to"]:
        return f"from and to are both {item['to']}"
    days = item.get("days", list(DAYS))
    if not isinstance(days, list) or not days or not all(isinstance(day, str) and day in DAYS for day in days):
        return f"days: wanted a list of {', '.join(DAYS)}, found {days!r:.60}"
    return None


def _moment(day, clock, zone, latest):
    """Return the moment (seconds since 1970) of a wall clock time; of two possible ones the latest or the earliest."""
    hour, minute = map(int, clock.split(":"))
    local = datetime.datetime.combine(day, datetime.time(hour, minute), tzinfo=zone)
    both = [local.replace(fold=fold).timestamp() for fold in (0, 1)]
    return max(both) if latest else min(both)


def _spans(windows, day):
    """Return the maintenance windows that open on a day, ``(first moment, first moment after it)``."""
    zone = zoneinfo.ZoneInfo(windows["zone"])
    for item in windows["open"]:
        if DAYS[day.weekday()] in item.get("days", DAYS):
            last = day + datetime.timedelta(days=item["to"] < item["from"])
            opens, closes = _moment(day, item["from"], zone, True), _moment(last, item["to"], zone, False)
            if opens < closes:
                yield opens, closes


def until(windows, now):
    """
    Return when the maintenance windows that are open now close (seconds since 1970).

    ``None``: none is open; infinite: there are none.

    windows
        ``{"zone", "open": [{"days", "from", "to"}]}``.
    now
        seconds since 1970.

    Those that touch or overlap are one.
    """
    if not windows["open"]:
        return float("inf")
    today = datetime.datetime.fromtimestamp(now, zoneinfo.ZoneInfo(windows["zone"])).date()
    days = [today + datetime.timedelta(days=offset) for offset in range(-2, AHEAD)]
    spans, end = sorted(span for day in days for span in _spans(windows, day)), None
    for opens, closes in spans:
        if opens <= (now if end is None else end) < closes:
            end = closes
    return end


def opening(windows, now):
    """Return when the next one opens (seconds since 1970): ``now`` if one is open, ``None``: not within 9 days."""
    if until(windows, now) is not None:
        return now
    today = datetime.datetime.fromtimestamp(now, zoneinfo.ZoneInfo(windows["zone"])).date()
    days = [today + datetime.timedelta(days=offset) for offset in range(-2, AHEAD)]
    return min((span[0] for day in days for span in _spans(windows, day) if span[0] > now), default=None)


def local(windows, now):
    """Return a moment as the people of that time zone write it."""
    zone = zoneinfo.ZoneInfo(windows["zone"])
    return datetime.datetime.fromtimestamp(now, zone).strftime("%Y-%m-%d %H:%M %Z")
