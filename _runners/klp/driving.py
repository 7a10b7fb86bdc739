"""
What all parts of a driver share: the plan, the journal, the hands, and what it has seen of the hosts.
"""

from __future__ import annotations

import collections

from . import answers
from . import campaign as states
from . import planning as plans
from .turning import RefusedError

SUMMARY = "klp_audit.state_summary"
SLS = {"patch": "klp.patch", "rollback": "klp.rollback", "kernel": "klp.kernel"}
BACK: dict = {"patch": "klp.rollback", "kernel": "klp.kernel_back"}  # the SLS of a rollback


class Base:
    """
    A campaign that is being driven.

    It remembers nothing that matters: it can be killed at any moment, and the next one goes on from the journal.
    """

    def __init__(self, store, plan, journal, hands, say=lambda line: None):
        self.store, self.plan, self.journal, self.hands, self.say = store, plan, journal, hands, say
        self.campaign = states.replay(plan, journal.entries)
        self.limits = plan["settings"]["limits"]
        self.ignored: dict = {}  # host -> when it may be asked again
        self.busy: dict = {}  # host -> since when it is busy with something else
        self.misses: collections.Counter = collections.Counter()
        self.alive: set = set()  # hosts that said the last time that they run
        self.heard: dict = {}  # host -> when it answered the last time that it was asked whether it runs
        self.muted: dict = {}  # host -> when it is asked again how its run has left it
        self.next_wait = 0.0  # when hosts are asked again that wait for a restart by others
        self.next_look = 0.0  # when hosts are asked again whether they run
        self.quiet: set = set()  # jids of which nobody runs any more
        self.clock: tuple | None = None  # (now, ticks) of the last step

    def _write(self, what, **fields):
        entry = self.journal.append({"what": what, "at": int(self.hands.now()), **fields})
        self.campaign.apply(entry)
        self.hands.tell(what, entry)
        self.say(entry)

    def _wished(self):
        """Return a pause or abort request that was not read yet."""
        wish = self.store.wished(self.plan["id"])
        return wish if wish and wish["number"] > self.campaign.wish and not self.campaign.over else None

    def _wish(self):
        wish = self._wished()
        if wish:
            self._write(wish["want"], by=wish["by"], number=wish["number"], master=wish.get("master"))

    def taken_up(self, by, master):
        """Write down who lets a campaign go on that was interrupted; a wish that nobody has read yet says it itself."""
        found = self.campaign
        if found.begun and not (found.over or found.paused or self._wished()):
            self._write("resume", by=by, number=found.wish, master=master)

    def _send(self, jid, sls, hosts, by, back=False, boots=None):
        for host in hosts:  # what was known of an earlier job of theirs
            self.misses.pop(host, None)
            self.alive.discard(host)
        pillar = plans.pillar(self.plan, hosts, self.plan["id"], by, back, boots)
        try:
            self.hands.send(jid, hosts, "state.apply", [sls], {"pillar": {"klp": pillar}})
        except RefusedError:
            if boots is not None:
                why = dict.fromkeys(hosts, "Salt has refused the job")
                self._write("unrestarted", hosts=why, **({"way": "back"} if back else {}))
            elif back:
                self._write("again", hosts=hosts)
            else:
                self._write("unsent", hosts=hosts, denied=True)
            raise

    def _ask(self, hosts, well=False):
        """
        Ask hosts how they stand: ``{host: checked answer, or the NonsenseError}`` of those that answer.

        well
            whether to look at services and application as well, for which the hosts may need longer.
        """
        arg, timeout = [self.plan["id"], [], False], self.plan["settings"]["presence"]["timeout"]
        if well:
            arg = ["", self.plan["settings"]["soak"]["services"], True]
            patience = max((self._patience(host) for host in hosts), default=0)
            # A host that is gone is not given the time that commands of others may take.
            there = self.hands.ask(hosts, "test.ping", [], timeout) if patience else hosts
            hosts, timeout = [host for host in hosts if host in there], timeout + patience
        got = self.hands.ask(hosts, SUMMARY, arg, timeout) if hosts else {}
        found = {}
        for host in hosts:
            if host in got:
                try:
                    found[host] = answers.state_summary(host, got[host])
                except answers.NonsenseError as exc:
                    found[host] = exc
        return found

    def _patience(self, host):
        """Return how many seconds a host needs for the commands of its pillar at most, as it said at its start."""
        base = self.campaign.hosts[host].base
        return base.get("patience", 0) if base else 0
