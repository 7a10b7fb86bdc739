"""
The proposed restarts as a calendar (iCalendar, RFC 5545): one event for each week and group, with its hosts.

An event is that of its ISO week and group, whatever changes in it: its UID stays, so a calendar that has subscribed to
the file shows the last report, and one that imports it again has no event twice. Pure but for the library.
"""

from __future__ import annotations

import datetime

from klp_digest import digest

from . import calendars, changes, isoweeks
from .words import count

WHAT = "pillar klp_report:formats: icalendar"
PRODUCT = "-//salt-klp//restarts//EN"
LENGTH = 16  # characters of the digest in a UID
EPOCH = 1577836800  # 2020-01-01: revisions are minutes since then, so that they fit into 32 bits


def library():
    """Return the library that writes. Raises CommandExecutionError with the command that installs it."""
    try:
        import icalendar
    except ImportError as exc:
        raise calendars.missing(WHAT) from exc
    return icalendar


def text(summary, master):
    """
    Return the calendar of a fleet.

    summary
        as ``fleet.summary`` makes it; its strings are one printable line each, and the library escapes the rest.
    master
        id of the master: two masters have different events.
    """
    ical = library()
    found = ical.Calendar()
    found.add("prodid", PRODUCT)
    found.add("version", "2.0")
    found.add("calscale", "GREGORIAN")
    found.add("method", "PUBLISH")
    found.add("x-wr-calname", "Proposed restarts (salt-klp)")
    rows = {row["host"]: row for row in summary["hosts"]}
    for week in summary["reboots"]["weeks"]:
        for group in week["groups"]:
            hosts = [item for item in week["hosts"] if item["group"] == group]
            found.add_component(_event(ical, summary["made"], master, week["iso"], group, hosts, rows))
    return found.to_ical().decode()


def _event(ical, made, master, iso, group, hosts, rows):
    event, first = ical.Event(), isoweeks.monday(iso)
    stamp = datetime.datetime.fromtimestamp(made, datetime.timezone.utc)
    event.add("uid", f"{iso}-{digest([master, group])[:LENGTH]}@salt-klp")
    event.add("dtstamp", stamp)
    event.add("last-modified", stamp)
    event.add("sequence", max(0, made - EPOCH) // 60)
    event.add("dtstart", first)
    event.add("dtend", first + datetime.timedelta(isoweeks.DAYS))
    event.add("transp", "TRANSPARENT")
    event.add("summary", f"Restart {count(len(hosts), 'host')} of {group}" if group else _without(hosts))
    lines = [_line(item, rows[item["host"]]) for item in hosts]
    lines += ["", f"Plan it with: salt-run klp.plan kernel week={iso}"]
    event.add("description", "\n".join(lines))
    return event


def _without(hosts):
    return f"Restart {count(len(hosts), 'host')} without a group"


def _line(item, row):
    """Return what an event says of one host."""
    late = f", {count(item['late'], 'day')} late at most" if item["late"] else ""
    safety = "" if item["safety"] == "ok" else "; look first: klp_audit.reboot_safety"
    target = changes.target_text(row["target"])
    return f"{item['host']}: by {item['due']}{late}{safety}{f'; {target}' if target else ''}"
