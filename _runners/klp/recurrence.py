"""
Recurrence rules of calendars (RFC 5545, RRULE), of which only days are used: the time of day stands beside the rule.

A rule comes from a pillar or from somebody's calendar. It is checked here first, so that ``dateutil`` is given none
that it would try to match until the year 9999, and it is only asked for the days between two days.
"""

from __future__ import annotations

import datetime
import itertools
import re

FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
LENGTH = 500  # characters of a rule
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
BYDAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)\Z")
NUMBER = re.compile(r"[+-]?[0-9]{1,5}\Z")
UNTIL = re.compile(r"([0-9]{8})(T[0-9]{6}Z?)?\Z")
# Part -> its largest number, whether it may be negative, and the frequencies that it goes with (RFC 5545, 3.3.10).
NUMBERS: dict = {
    "INTERVAL": (1000, False, FREQUENCIES),
    "COUNT": (10000, False, FREQUENCIES),
    "BYMONTH": (12, False, FREQUENCIES),
    "BYMONTHDAY": (31, True, ("DAILY", "MONTHLY", "YEARLY")),
    "BYYEARDAY": (366, True, ("YEARLY",)),
    "BYWEEKNO": (53, True, ("YEARLY",)),
    "BYSETPOS": (366, True, FREQUENCIES),
}
SINGLE = ("INTERVAL", "COUNT")
PARTS = ("FREQ", "UNTIL", "BYDAY", "WKST", *NUMBERS)
CHOOSE = ("BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO")  # without one of them the day is that of the first time
YEARS = (1970, 2100)
FIRST = datetime.date(1970, 1, 1)  # from which on a rule is counted that needs no first day
ERAS = 19 * 400  # years


def parts(text):
    """Return the parts of a rule, ``{name: text}``; raises ValueError with what is wrong with it."""
    if not isinstance(text, str) or len(text) > LENGTH:
        raise ValueError(f"wanted a rule such as FREQ=MONTHLY;BYDAY=3SU, found {text!r:.60}")
    found: dict = {}
    for part in text.upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        if not equals or name not in PARTS or name in found:
            raise ValueError(
                f"{part!r:.40}: wanted parts such as FREQ=MONTHLY, each once, separated by semicolons; known here: "
                f"{', '.join(PARTS)}"
            )
        found[name] = value
    if found.get("FREQ") not in FREQUENCIES:
        raise ValueError(f"FREQ: wanted one of {', '.join(FREQUENCIES)}, found {found.get('FREQ')!r:.40}")
    for name, value in found.items():
        wrong = _part_problem(name, value, found)
        if wrong:
            raise ValueError(f"{name}: {wrong}")
    return found


def _part_problem(name, value, found):
    """Return what is wrong with one part of a rule, or ``None``."""
    if name in NUMBERS:
        most, negative, frequencies = NUMBERS[name]
        values = [value] if name in SINGLE else value.split(",")
        if not all(NUMBER.match(item) and (-most if negative else 1) <= int(item) <= most for item in values):
            return f"wanted a number up to {most}, found {value!r:.40}"
        if not all(int(item) for item in values):
            return "0 is no such number"
        if found["FREQ"] not in frequencies:
            return f"does not go with FREQ={found['FREQ']}"
        alone = name == "BYSETPOS" and not any(key in found for key in (*CHOOSE, "BYMONTH"))
        return "wanted beside another part that begins with BY" if alone else None
    if name == "BYDAY":
        return _days_problem(value, found)
    if name == "WKST":
        return None if value in WEEKDAYS else f"wanted one of {', '.join(WEEKDAYS)}, found {value!r:.40}"
    if name == "UNTIL":
        match = UNTIL.match(value)
        if not match or day(match.group(1)) is None:
            return f"wanted a day such as 20271231, found {value!r:.40}"
        return "and COUNT exclude each other" if "COUNT" in found else None
    return None


def _days_problem(value, found):
    matches = [BYDAY.match(item) for item in value.split(",")]
    numbers = [int(match.group(1)) for match in matches if match and match.group(1)]
    if not all(matches) or not all(0 < abs(number) <= 53 for number in numbers):
        return f"wanted days such as SU, 3SU (the third) or -1FR (the last), found {value!r:.40}"
    if numbers and (found["FREQ"] not in ("MONTHLY", "YEARLY") or "BYWEEKNO" in found):
        return "a number before a day goes with FREQ=MONTHLY and FREQ=YEARLY only, and not with BYWEEKNO"
    return None


def day(text):
    """Return the day of ``YYYYMMDD`` or ``YYYY-MM-DD``, ``None`` where it is none, or not of our time."""
    try:
        found = datetime.datetime.strptime(text.replace("-", ""), "%Y%m%d").date()
    except ValueError:
        return None
    return found if YEARS[0] <= found.year < YEARS[1] else None


def needs_since(found):
    """Return whether the parts of a rule mean something only with the day on which it begins."""
    bare = found["FREQ"] != "DAILY" and not any(key in found for key in CHOOSE)
    return bare or "COUNT" in found or int(found.get("INTERVAL", 1)) > 1


def days(text, since, first, last, until=None):
    """
    Return the days of a rule from ``first`` to ``last``, a sorted list.

    text
        the rule, one that ``parts`` takes.
    since
        the day on which it begins; it is one of them only if the rule matches it.
    until
        its last day, where that is not what its own UNTIL says.
    """
    from dateutil import rrule  # the schema of the pillar is read by tools that have no Salt, and so not this library

    found = parts(text)
    own = UNTIL.match(found["UNTIL"]) if "UNTIL" in found else None
    stop = min(last, until or (day(own.group(1)) if own else last) or last)
    count = int(found.pop("COUNT", 0))
    found.pop("UNTIL", None)
    _explicit(found, since)
    start = since if count else _start(found, since, first)
    if stop < start:
        return []
    whole = ";".join(f"{name}={value}" for name, value in found.items()) + f";UNTIL={_later(stop):%Y%m%d}T000000"
    every = rrule.rrulestr(whole, dtstart=datetime.datetime.combine(_later(start), datetime.time()))
    found_days = (item.date().replace(year=item.year - ERAS) for item in itertools.islice(every, count or None))
    return [item for item in found_days if item >= first]


def _later(date):
    """
    Return the same day in another era: after 400 years the calendar repeats itself, weekdays and all.

    ``dateutil`` looks at UNTIL only when a rule matches. For one that never does it goes on to the year 9999, which is
    less than 400 years away then.
    """
    return date.replace(year=date.year + ERAS)


def _explicit(found, since):
    """Write into a rule what its first day says, since it may be asked from a later day on."""
    if any(key in found for key in CHOOSE):
        return
    if found["FREQ"] == "WEEKLY":
        found["BYDAY"] = WEEKDAYS[since.weekday()]
    elif found["FREQ"] != "DAILY":
        found["BYMONTHDAY"] = str(since.day)
        if found["FREQ"] == "YEARLY":
            found.setdefault("BYMONTH", str(since.month))


def _start(found, since, first):
    """Return a day not long before ``first`` from which on a rule has the same days as from ``since`` on."""
    every, frequency = int(found.get("INTERVAL", 1)), found["FREQ"]
    if frequency in ("DAILY", "WEEKLY"):
        length = every * (7 if frequency == "WEEKLY" else 1)
        return since + datetime.timedelta(days=max(0, (first - since).days // length - 1) * length)
    if frequency == "MONTHLY":
        months = 12 * (first.year - since.year) + first.month - since.month
        skipped = max(0, months // every - 1) * every
        year, month = divmod(12 * since.year + since.month - 1 + skipped, 12)
        return since if not skipped else datetime.date(year, month + 1, 1)
    skipped = max(0, (first.year - since.year) // every - 1) * every
    return since if not skipped else datetime.date(since.year + skipped, 1, 1)
