"""
When a gate has failed: the quarantine, and the way back.
"""

from __future__ import annotations

from . import answers
from .driving import SLS, Base


class Returning(Base):
    """The part of a driver that takes hosts back."""

    def _do_quarantine(self, todo):
        self.store.ban(todo["items"], self.plan["id"], self.campaign.stopped["why"], self.hands.now())
        self._write("quarantine", **todo)

    def _do_ask_back(self, todo):
        got, stays, go = self._ask(todo["hosts"]), {}, []
        for host in todo["hosts"]:
            what, why = self._back(host, got.get(host))
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
                self._send(jid, SLS["rollback"], go, by, back=True)

    def _back(self, host, got):
        """Return whether a host goes back to what the plan has as ``before``: ``(stays, later or goes, why)``."""
        waited = self.hands.now() - self.campaign.stopped["at"]
        if got is None or (not isinstance(got, answers.NonsenseError) and got["busy"]):
            if waited <= self.limits["host_timeout"]:
                return "later", None
            return "stays", "it does not answer" if got is None else "it is busy with something else"
        if isinstance(got, answers.NonsenseError):
            return "stays", str(got)
        begun = self.campaign.hosts[host].backs  # then it is begun again, and verified, even if it has gone back
        if got["live_patch"] != self.plan["hosts"][host]["target"] and not got["unfinished"] and not begun:
            return "stays", None
        return "goes", None
