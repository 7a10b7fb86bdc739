"""
Driving a campaign: look at what hosts answered, decide one step, write it down, do it.

A Driver remembers nothing that matters: it can be killed at any moment, and the next one goes on from the journal.
``hands`` is what reaches the hosts (``hands.Hands``, or a simulation with the same methods).
"""

from __future__ import annotations

from . import answers, decide
from .driving import SLS
from .looking import Looking
from .returning import Returning
from .watching import Watching
from .words import count

BANNED = "live patch {} is in quarantine since campaign {}; see salt-run klp.quarantined, and make a new plan"


class Driver(Looking, Watching, Returning):
    """The one process that drives a campaign."""

    def step(self):
        """
        Do the next step.

        Returns how many seconds may pass before the next one (0: none), or ``None`` where there is nothing more to do
        now: the campaign is over, or it is paused and no host runs.
        """
        self._watch_clock()
        if self.campaign.begun:  # its first entry says who has approved it, whatever somebody wants by now
            self._wish()
        self._look()
        now = self.hands.now()
        todo = decide.step(self.campaign, now, self.ignored)
        if todo is None:
            return None
        what = todo.pop("do")
        if what == "wait":
            return self._wait(todo, now)
        handler = getattr(self, "_do_" + what, None)
        if handler:
            handler(todo)
        else:
            self._write(what, **todo)
        return 0

    def _wait(self, todo, now):
        if self.campaign.paused and not self.campaign.running:
            return None
        # Not only those that run: a host that was given up may answer late.
        limit = self.limits["look"] if self.campaign.jobs or self.campaign.going else decide.NAP
        return max(0.01, min(todo["until"] - now, limit))

    def _do_begin(self, todo):
        """The first entry says who has approved which hash."""
        self._write("begin", **todo, **self.store.approval(self.plan["id"]))
        self.store.started(self.plan["id"])

    def _do_start(self, todo):
        with self.store.gate(self.plan["id"]):
            self._wish()
            if self.campaign.paused or self.campaign.stopped:
                return
            banned = self._banned(todo["hosts"])
            if banned:
                self._write("refused", hosts=banned)
                return
            jid = self.hands.new_jid()
            self._write("start", jid=jid, **todo)
            self._send(jid, SLS[self.plan["kind"]], todo["hosts"], todo["by"])

    def _banned(self, hosts):
        """Return the hosts that would get a live patch that is in quarantine by now, ``{host: why}``."""
        if self.plan["kind"] != "patch":
            return {}
        found = {(item["package"], item["edition"]): item["campaign"] for item in self.store.quarantine()}
        planned = {host: self.plan["hosts"][host] for host in hosts}
        return {
            host: BANNED.format(item["target"], found[item["package"], item["target"]])
            for host, item in planned.items()
            if decide.changed(item) and (item["package"], item["target"]) in found
        }

    def _do_ask(self, todo):
        found = self._ask_in_time(todo["hosts"])
        if found is None:
            return
        asked, got = found
        news: dict = {"absent": {}, "refused": {}, "ready": {}}
        for host in todo["hosts"]:
            what, value = self._judge(host, got.get(host), asked)
            if what == "later":
                self.ignored[host] = self.hands.now() + self.limits["look"]
            else:
                news[what][host] = value
        for what, hosts in news.items():
            if hosts:
                self._write(what, hosts=hosts)

    def _judge(self, host, got, asked):
        """Return what becomes of a host that was asked: ``(absent, refused, ready or later, why or its health)``."""
        now = self.hands.now()
        if got is None:
            late = self.campaign.late_until is not None and now < self.campaign.late_until
            return "later" if late else "absent", "it did not answer when it was its turn"
        if isinstance(got, answers.NonsenseError):
            return "refused", str(got)
        if got["busy"]:
            since = self.busy.setdefault(host, now)
            if now - since <= self.limits["host_timeout"]:
                return "later", None
            return "refused", f"it was busy with {answers.text(got['busy'][0])} for {count(int(now - since), 'second')}"
        self.busy.pop(host, None)
        wrong = answers.unready(got, self.plan["hosts"][host], self.plan, asked, now)
        base = {key: got["health"][key] for key in ("boot", "log", "tainted", "patience")}
        return ("refused", wrong) if wrong else ("ready", base)
