"""Clocks on the wall: when a maintenance window is open, and when a zone changes its clocks, found out by looking."""

from __future__ import annotations

import datetime
import zoneinfo

ZONES = {
    "Europe/Berlin": 2027,
    "America/New_York": 2027,
    "Australia/Lord_Howe": 2027,
    "UTC": 2027,
    "Pacific/Apia": 2011,
}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _clock(text):
    return datetime.time(int(text[:2]), int(text[3:]))


def inside(rules, moment):
    """Return whether the wall clock of the zone is inside a declared window; a window may end on the next day."""
    wall = datetime.datetime.fromtimestamp(moment, zoneinfo.ZoneInfo(rules["zone"]))
    today, yesterday = DAYS[wall.weekday()], DAYS[wall.weekday() - 1]
    for item in rules["open"]:
        opens, closes, days = _clock(item["from"]), _clock(item["to"]), item.get("days", DAYS)
        now = wall.time()
        if opens < closes:
            if today in days and opens <= now < closes:
                return True
        elif (today in days and opens <= now) or (yesterday in days and now < closes):
            return True
    return not rules["open"]


def offset(zone, moment):
    """Return what a zone's clocks are ahead of UTC."""
    return datetime.datetime.fromtimestamp(moment, zoneinfo.ZoneInfo(zone)).utcoffset()


def changes(zone, year):
    """Return the moments of a year at which the clocks of a zone change, found by looking at them every half hour."""
    first = int(datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
    moments = range(first, first + 366 * 86400, 1800)
    return [moment for moment in moments if offset(zone, moment) != offset(zone, moment - 1800)]


CHANGES = {zone: changes(zone, year) or [1_800_000_000] for zone, year in ZONES.items()}
