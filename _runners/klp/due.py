"""
Which hosts a plan takes that is made for a week of the proposed restarts, and what is said of the others. Pure.
"""

from __future__ import annotations

from . import isoweeks, show
from .words import count

TARGET = "pillar klp_campaign:target"
BEYOND = "week: {} is beyond what is proposed; the last week is {}, see pillar klp_report:weeks"
KIND = "week is for plans of kind kernel: nothing else restarts a host, found kind {}"


class Due:
    """The restarts of one ISO week; ``summary`` is that of the report, of the fleet as it stands now."""

    key = "week"

    def __init__(self, week, summary):
        self.week, self.proposed = week, summary["reboots"]
        self.rows = {row["host"]: row for row in summary["hosts"]}
        self.old = 3600 * summary["settings"]["old"]
        self.planned = {row["host"]: item["iso"] for item in self.proposed["weeks"] for row in item["hosts"]}
        self.undated = {row["host"] for row in self.proposed["unknown"]}
        self.found: dict = {}

    def problem(self):
        """Return why no plan can be made for this week, or ``None``."""
        last = isoweeks.last(self.proposed)
        if isoweeks.monday(self.week) > isoweeks.monday(last):
            return BEYOND.format(self.week, last)
        return None

    def take(self, hosts, strange):
        """
        Return those of a campaign's hosts that are proposed for this week: ``(hosts, strange)``.

        hosts, strange
            ids, and ``{host that is left out beforehand: why}``, as ``Commands._members`` has them.
        """
        mine = [*hosts, *strange]
        wanted = {host for host, week in self.planned.items() if week == self.week}
        chosen = [host for host in hosts if host in wanted]
        self.found = {
            "week": self.week,
            "proposed": len(wanted),
            "hosts": chosen,
            "elsewhere": sorted(wanted - set(mine)),
            "unknown": {host: why for host, why in ((host, self._unknown(host)) for host in sorted(mine)) if why},
            "old": [host for host in chosen if self.rows[host]["age"] >= self.old],
        }
        return chosen, {host: why for host, why in strange.items() if host in wanted}

    def _unknown(self, host):
        """Return why it is unknown when a host has to restart, or ``None``."""
        if host in self.undated:
            return "no deadline is known"
        if host not in self.rows:
            return "it is not in the report, see pillar klp_report:target"
        row = self.rows[host]
        return "no document" if row["age"] is None else None

    def text(self):
        """Return what is said of the week before the plan."""
        found = self.found
        proposed = f"{count(found['proposed'], 'restart')} proposed, {len(found['hosts'])} of them for this campaign"
        lines = [f"{self.week} ({isoweeks.span(self.week)}): {proposed}"]
        if found["elsewhere"]:
            lines.append(f"not in {TARGET}: {show.names(found['elsewhere'])}")
        for why, hosts in show.reasons(found["unknown"]).items():
            lines.append(f"not in the plan, as their week is unknown ({why}): {show.names(hosts)}")
        if found["old"]:
            hours = self.old // 3600
            lines.append(f"what they say is older than {count(hours, 'hour')}: {show.names(found['old'])}")
        return "\n".join(lines)
