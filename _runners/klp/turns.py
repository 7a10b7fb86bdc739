"""
The entries of a journal about restarts, of campaigns of kind ``kernel``.

A host is *installed* when its next start is one of the new kernel, *restarting* from the moment that its restart is
written down, *restarted* when it answers with the id of another boot; then it runs once more, which verifies it. An
entry with ``way`` is about the rollback, in which it goes on as one that waits for its rollback.
"""

from __future__ import annotations

import collections
from typing import Any

from .stages import (
    BACK_INSTALLED,
    BACK_RESTARTING,
    BACK_RUNNING,
    BACK_WAITING,
    INSTALLED,
    RESTARTED,
    RESTARTING,
    RUNNING,
    UNREACHABLE,
    WAITING,
    Job,
)

LOST = "lost"  # the place of a host that has not come back from its restart in time, and may still do


class Turns:
    """The part of a campaign that knows of restarts."""

    plan: dict
    hosts: dict
    jobs: dict
    places: dict
    back_counts: collections.Counter
    _move: Any
    _back: Any
    _answered: Any

    def placed(self, stage):
        """Return the hosts that are at a stage between two runs."""
        return list(self.places.get(stage, ()))

    def _place(self, host):
        """Keep up the lists of the hosts that are between two runs."""
        if self.plan["kind"] != "kernel":
            return
        item = self.hosts[host]
        lost = item.stage == UNREACHABLE and item.boot and not item.turned
        stage = item.back or (LOST if lost else item.stage)
        if item.back == BACK_WAITING and item.stage in (RESTARTING, RESTARTED):
            stage = item.stage  # it was under way when the gate failed, and goes back when that has ended
        for place in (INSTALLED, RESTARTING, RESTARTED, LOST, BACK_INSTALLED, BACK_RESTARTING):
            if place == stage:
                self.places.setdefault(place, {})[host] = None
            else:
                self.places.get(place, {}).pop(host, None)

    def _once_more(self, host, why):
        """A run that was begun has to be begun again: the one that verifies at once, the others in their turn."""
        if not self.hosts[host].turned:
            self._move(host, WAITING, why)
            return
        self._move(host, RESTARTED, why)

    def _step(self, host, entry, forward, back, why=None):
        if entry.get("way") == "back":
            self._back(host, back)
        else:
            self._move(host, forward, why)

    def _on_installed(self, entry):
        """
        Runs have ended well, and their hosts wait for a restart; of a rollback: the old kernel is the default.

        ``hosts`` has the boot id that each has until then.
        """
        for host, boot in entry["hosts"].items():
            self._answered(host, entry["jid"])
            item = self.hosts[host]
            item.since, item.boot = entry["at"], boot
            self._step(host, entry, INSTALLED, BACK_INSTALLED)

    def _on_restart(self, entry):
        """The restart of hosts is about to be asked for; ``hosts`` has the boot id that each has until then."""
        for host, boot in entry["hosts"].items():
            item = self.hosts[host]
            item.jid, item.since, item.boot = entry["jid"], entry["at"], boot
            item.orders += 1
            self._step(host, entry, RESTARTING, BACK_RESTARTING)

    def _on_unrestarted(self, entry):
        """The restart of hosts has not begun, as when the master died with the order: it is asked for again."""
        for host, why in entry["hosts"].items():
            self._step(host, entry, INSTALLED, BACK_INSTALLED, why)

    def _on_restarted(self, entry):
        """Hosts answer with another boot id, whoever has restarted them; ``hosts`` has their health from now on."""
        for host, base in entry["hosts"].items():
            item = self.hosts[host]
            item.base, item.since, item.turned = base, entry["at"], True
            self._step(host, entry, RESTARTED, BACK_WAITING)

    def _on_verify(self, entry):
        """Hosts that were restarted run once more, which verifies them."""
        for host in entry["hosts"]:
            item = self.hosts[host]
            item.jid, item.since = entry["jid"], entry["at"]
            item.verifies += 1
            self._move(host, RUNNING)
        self.jobs[entry["jid"]] = Job(entry["jid"], entry["hosts"], entry["at"], False)

    @property
    def going(self):
        """The hosts whose restart was asked for."""
        return self.placed(RESTARTING) + self.placed(BACK_RESTARTING)

    @property
    def back_running(self):
        """How many hosts roll back just now."""
        return self.back_counts[BACK_RUNNING] + self.back_counts[BACK_RESTARTING]
