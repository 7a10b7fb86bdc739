"""
Weeks as people write them in Europe (ISO 8601): Monday to Sunday, such as 2027-W03. Pure functions.

The proposal of restarts counts its weeks from today (``reboots``). Such a week of seven days begins in exactly one ISO
week, and no two of them begin in the same one; so a proposed restart belongs to the ISO week in which its week begins:
none is lost between two, and none is in both. That ISO week ends on or before the last day that was proposed, so who is
in time stays in time.
"""

from __future__ import annotations

import datetime
import re

from . import schema

FORM = re.compile(r"([0-9]{4})-W([0-9]{2})\Z", re.ASCII)
DAYS = 7


def name(day):
    """Return the ISO week of a day, as ``2027-W03``."""
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"


def monday(week):
    """Return the first day of an ISO week, or ``None`` if there is no such week."""
    match = FORM.match(week) if isinstance(week, str) else None
    try:
        return match and datetime.date.fromisocalendar(int(match.group(1)), int(match.group(2)), 1)
    except ValueError:
        return None


def span(week):
    """Return the days of an ISO week in words: from Monday to Sunday."""
    first = monday(week)
    return f"{first.isoformat()} to {(first + datetime.timedelta(DAYS - 1)).isoformat()}"


def problem(week, today):
    """Return what is wrong with a week of which the proposed restarts are wanted, or ``None``."""
    first = monday(week)
    if first is None:
        return f"week: wanted an ISO week such as {name(today)}, found {schema.show(week)}"
    if first < monday(name(today)):
        return f"week: {week} has passed; what is late is proposed for {name(today)}, this week, or later"
    return None


def last(proposed):
    """Return the last ISO week of a proposal of restarts: that of its horizon, or that of who is very late."""
    ahead = max([proposed["horizon"], *(week["week"] for week in proposed["weeks"])])
    first = monday(name(datetime.date.fromisoformat(proposed["today"])))
    return name(first + datetime.timedelta(DAYS * (ahead - 1)))
