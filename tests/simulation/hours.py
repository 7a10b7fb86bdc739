"""When maintenance windows are open, as the clock on the wall of a time zone says, and when such clocks are changed."""

from __future__ import annotations

import datetime
import functools
import zoneinfo

from dateutil import rrule

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


@functools.lru_cache(maxsize=4096)
def _by_rule(text, since, day):
    """Return whether a day is one of a rule, as dateutil says that is given all of it."""
    begin = datetime.datetime.fromisoformat(since or "1970-01-01")
    noon = datetime.datetime.combine(day, datetime.time(12))
    return rrule.rrulestr(text, dtstart=begin).before(noon, inc=True) == noon.replace(hour=0)


def _opens_on(item, day):
    if "rrule" in item:
        return _by_rule(item["rrule"], item.get("since"), day)
    return DAYS[day.weekday()] in item.get("days", DAYS)


def _frozen(rules, day):
    for item in rules.get("freeze", ()):
        first, last = (item["from"], item["to"]) if isinstance(item, dict) else (item, item)
        if first <= day.isoformat() <= last:
            return True
    return False


def inside(rules, moment):
    """Return whether the wall clock of the zone is inside a declared window; a window may end on the next day."""
    wall = datetime.datetime.fromtimestamp(moment, zoneinfo.ZoneInfo(rules["zone"]))
    today, now = wall.date(), wall.time()
    yesterday = today - datetime.timedelta(days=1)
    if _frozen(rules, today):
        return False
    for item in rules["open"]:
        opens, midnight = _clock(item["from"]), item["to"] == "24:00"
        closes = datetime.time.max if midnight else _clock(item["to"])
        if opens < closes:
            if opens <= now and (now < closes or midnight) and _opens_on(item, today):
                return True
        elif (opens <= now and _opens_on(item, today)) or (now < closes and _opens_on(item, yesterday)):
            return True
    if any(begin <= moment < end for begin, end in rules.get("spans", ())):
        return True
    return not rules["open"] and not rules.get("calendar")


def offset(zone, moment):
    """Return what a zone's clocks are ahead of UTC."""
    return datetime.datetime.fromtimestamp(moment, zoneinfo.ZoneInfo(zone)).utcoffset()


def changes(zone, year):
    """Return the moments of a year at which the clocks of a zone change, found by looking at them every half hour."""
    first = int(datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
    moments = range(first, first + 366 * 86400, 1800)
    return [moment for moment in moments if offset(zone, moment) != offset(zone, moment - 1800)]


CHANGES = {zone: changes(zone, year) or [1_800_000_000] for zone, year in ZONES.items()}
