"""
Which host is restarted in which week: as late as its deadline lets, and never too many of a group at once. Pure.

Weeks are counted from today, not from Mondays: the first one begins today, so that no day lies between two weeks and a
plan is valid from the moment that it is made. Each has the name of the ISO week in which it begins (``isoweeks``). A
host is restarted in a week that ends on or before its deadline; one whose deadline is within the first week has that
week, until the deadline.
"""

from __future__ import annotations

import collections
import datetime

from . import isoweeks

DAYS = 7  # of a week


def capacity(share, size):
    """Return how many hosts of a group of ``size`` may be restarted in one week: at least one."""
    return max(1, size * share // 100)


def deadline(last, expired, debt, today):
    """
    Return the last day on which a host may be restarted, or ``None`` if nothing asks for that as far as is known.

    last
        last day of its window, or ``None``.
    expired
        the window is over: the host is due at once, even if its last day is unknown.
    debt
        days until its reboot debt has to be gone, or ``None`` if it has none.
    today
        ``datetime.date``.
    """
    days = [] if last is None else [last]
    days += [today] if expired and last is None else []
    days += [] if debt is None else [_after(today, debt)]
    return min(days, default=None)


def _after(day, days):
    return datetime.date.fromordinal(min(day.toordinal() + days, datetime.date.max.toordinal()))


def latest(due, today):
    """Return the number of the last week that ends by ``due``: 0 within the first one, -1 if it has passed."""
    left = (due - today).days
    return -1 if left < 0 else max(0, (left + 1) // DAYS - 1)


def propose(hosts, share, weeks, today):
    """
    Return which hosts to restart in which week, so that no deadline passes and no group has too many at once.

    hosts
        list of mappings: ``host``, ``group`` (those without one are a group), ``due`` (``datetime.date``, or ``None``
        if nothing is known that it could follow from), ``estimate`` and ``safety``, which are passed on.
    share
        percentage of a group that may be restarted in one week; one host always may.
    weeks
        how many weeks are planned; later deadlines are not in the plan.
    today
        ``datetime.date``.

    Returns ``{"share", "horizon", "today", "capacity" (per group), "weeks": [{"week", "iso" (as 2027-W03), "first",
    "last", "groups" (hosts of each), "hosts": [{"host", "group", "due", "late" (days at most), "safety"}]}], "late"
    (number), "planned" (number), "later" (how many deadlines are beyond the horizon), "unknown": [{"host",
    "group", "estimate"}]}``.
    """
    groups: dict = collections.defaultdict(list)
    for host in hosts:
        groups[host["group"]].append(host)
    room = {group: capacity(share, len(members)) for group, members in sorted(groups.items())}
    slots: dict = collections.defaultdict(list)
    for group, most in room.items():
        due = [host for host in groups[group] if host["due"] and (host["due"] - today).days < weeks * DAYS]
        for host, week in _fill(due, most, today):
            slots[week].append(_entry(host, week, today))
    planned = sum(map(len, slots.values()))
    return {
        "share": share,
        "horizon": weeks,
        "today": today.isoformat(),
        "capacity": room,
        "weeks": [_week(slots[week], week, today) for week in sorted(slots)],
        "late": sum(1 for entries in slots.values() for entry in entries if entry["late"]),
        "planned": planned,
        "later": sum(1 for host in hosts if host["due"]) - planned,
        "unknown": sorted((_unknown(host) for host in hosts if not host["due"]), key=lambda item: item["host"]),
    }


def _fill(hosts, most, today):
    """Return pairs of host and week: each as late as its deadline lets, then the others as early as there is room."""
    taken: dict = collections.Counter()
    fitting, left = _admitted(hosts, most, today)
    found, week = [], None
    for host in reversed(fitting):
        wanted = latest(host["due"], today)
        # Deadlines descend, so a week that is full now is never asked for again.
        week = wanted if week is None else min(week, wanted)
        while taken[week] >= most:
            week -= 1
        taken[week] += 1
        found.append((host, week))
    return found + _soonest(left, taken, most)


def _admitted(hosts, most, today):
    """Return the hosts that can be in time, as many as possible, and the others: the earliest deadline first."""
    fitting, left = [], []
    for host in sorted(hosts, key=lambda item: (item["due"].toordinal(), item["host"])):
        room = most * (latest(host["due"], today) + 1)
        (fitting if len(fitting) < room else left).append(host)
    return fitting, left


def _soonest(hosts, taken, most):
    """Return pairs of host and week for those that are late: in this order, in the first free places."""
    found, week = [], 0
    for host in hosts:
        while taken[week] >= most:
            week += 1
        taken[week] += 1
        found.append((host, week))
    return found


def _begin(week, today):
    return _after(today, week * DAYS)


def _entry(host, week, today):
    in_time = week <= latest(host["due"], today)
    return {
        "host": host["host"],
        "group": host["group"],
        "due": host["due"].isoformat(),
        "late": 0 if in_time else (_after(_begin(week, today), DAYS - 1) - host["due"]).days,
        "safety": host["safety"],
    }


def _week(entries, week, today):
    return {
        "week": week + 1,
        "iso": isoweeks.name(_begin(week, today)),
        "first": _begin(week, today).isoformat(),
        "last": _after(_begin(week, today), DAYS - 1).isoformat(),
        "groups": dict(sorted(collections.Counter(entry["group"] for entry in entries).items())),
        "hosts": sorted(entries, key=lambda entry: (-entry["late"], entry["due"], entry["host"])),
    }


def _unknown(host):
    return {"host": host["host"], "group": host["group"], "estimate": host["estimate"]}
