"""
When a gate has failed: the quarantine, and the rollback.
"""

from __future__ import annotations

from . import answers
from .clocks import Clocks
from .driving import BACK


class Returning(Clocks):
    """The part of a driver that takes hosts back."""

    def _do_quarantine(self, todo):
        self.store.ban(todo["items"], self.plan["id"], self.campaign.stopped["why"], self.hands.now())
        self._write("quarantine", **todo)

    def _do_ask_back(self, todo):
        found = self._ask_in_time(todo["hosts"])
        if found is None:
            return
        asked, got = found
        stays: dict = {}
        go = []
        for host in todo["hosts"]:
            what, why = self._back(host, got.get(host), asked)
            if what == "later":
                self.ignored[host] = self.hands.now() + self.limits["look"]
            elif what == "stays":
                stays[host] = why
            else:
                go.append(host)
        if stays:
            self._write("stays", hosts=stays)
        with self.store.gate(self.plan["id"]):
            self._wish()
            if go and not self.campaign.paused and not self.campaign.aborted:
                jid, by = self.hands.new_jid(), int(self.hands.now() + self.limits["start_within"])
                self._write("back", jid=jid, hosts=go, by=by)
                self._send(jid, BACK[self.plan["kind"]], go, by, back=True)

    def _back(self, host, got, asked):
        """Return whether a host goes back to what the plan has as ``before``: ``(stays, later or goes, why)``."""
        if isinstance(got, answers.NonsenseError):
            return "stays", str(got)
        now = self.hands.now()
        not_now = _not_now(got, asked, now)
        if not_now:
            waited = now - self.campaign.stopped["at"]
            return ("later", None) if waited <= self.limits["host_timeout"] else ("stays", not_now)
        if self.plan["kind"] == "kernel":
            return self._kernel_back(host, got)
        begun = self.campaign.hosts[host].backs  # then it is begun again, and verified, even if it has gone back
        if got["live_patch"] != self.plan["hosts"][host]["target"] and not got["unfinished"] and not begun:
            return "stays", None
        return "goes", None

    def _kernel_back(self, host, got):
        """Return the same of a host that got another kernel; one that came up with the old one has nothing to do."""
        change, begun = got["kernel_change"], self.campaign.hosts[host].backs
        there = got["kernel"] == self.plan["hosts"][host]["target"]
        armed = change is not None and change["stage"] in ("installing", "installed", "restarting")
        return ("goes", None) if begun or there or armed else ("stays", None)


def _not_now(got, asked, now):
    """Return why a host cannot go back now, which may change, or ``None``."""
    if got is None:
        return "it does not answer"
    if got["busy"]:
        return "it is busy with something else"
    return answers.clock(got, asked, now)  # it would refuse a run that was to begin earlier
