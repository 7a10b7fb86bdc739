"""
Restarts, of campaigns of kind ``kernel``: how their runs end, who is restarted, and who has come back.

What a host says of itself counts (its boot id, its change of kernel), and not that a job was given: a restart that was
written down and never sent is asked for again, and one that somebody else has done is seen as well.
"""

from __future__ import annotations

from typing import Any

from . import answers, decide, restarts, stages
from .clocks import Clocks
from .turns import LOST
from .words import count

MISSES = 2  # how often a host has to say that its restart has not begun, before that is believed
LATE = "it has not come back within {} after its restart was asked for"
STAYED = "it answers, and has not restarted within {}"
ASIDE = "its restart is due, and it is {} for {}"
TWICE = "it waits for another restart, and a campaign restarts a host once"


class Restarting(Clocks):
    """The part of a driver that restarts hosts."""

    _take_all: Any

    # -- the ends of runs ------------------------------------------------------------------------------------------

    def _kernel_ended(self, job, got):
        """
        Write down how runs have ended (``{host: (its answer, why)}``), as the hosts say what they are now.

        Returns whether any was asked (bool).
        """
        now = self.hands.now()
        asked = [host for host in got if self.muted.get(host, 0) <= now]
        said = self._ask(asked) if asked else {}
        ended, installed = {}, {}
        for host in asked:
            end, why = self._kernel_end(host, said.get(host), got[host][1], job.back)
            if end == "later":
                self.muted[host] = self.hands.now() + self.limits["look"]
            elif end == "installed":
                installed[host] = why
            else:
                ended[host] = why
        if installed:
            self._installed(job, installed)
        if ended:
            untouched = [host for host in ended if ended[host] and answers.untouched(got[host][0])]
            self._ended(job, ended, untouched)
        return bool(asked)

    def _kernel_end(self, host, said, why, back):
        """Return how a run has ended: ``(installed, the boot id)``, or ``(ended or later, why or None)``."""
        if said is None:
            return ("ended", why) if why else ("later", None)
        if isinstance(said, answers.NonsenseError):
            return "ended", why or str(said)
        change = said["kernel_change"] or {"stage": "not known", "why": []}
        stage, reasons = change["stage"], answers.text("; ".join(change["why"]))
        if why or stage == "failed":
            return "ended", (reasons if stage == "failed" else "") or why or "its new kernel has failed"
        planned, item = self.plan["hosts"][host], self.campaign.hosts[host]
        boot = change.get("boot_id") or said["health"]["boot"]  # of the start in which that was done
        if back:
            there = stage == "went_back" or (stage == "back" and said["kernel"] == planned["before"])
            if not there and stage == "back" and not item.turned:
                return "installed", boot
            return "ended", None if there else f"its change of kernel is {stage} after its rollback"
        if stage == "verified" and said["kernel"] == planned["target"]:
            return "ended", None
        if stage == "installed":
            return ("ended", TWICE) if item.turned else ("installed", boot)
        return "ended", f"it runs kernel {said['kernel']}, and its change of kernel is {stage} after its run"

    def _installed(self, job, hosts):
        self._forget(hosts)
        self._write("installed", jid=job.jid, hosts=hosts, **({"way": "back"} if job.back else {}))

    def _has_ended(self, host, got, job):
        """Return whether a run that gave no answer has done all of its part, as the host says."""
        change = got["kernel_change"]
        if change is None or change["to"] != self.plan["hosts"][host]["target"]:
            return False
        turned = self.campaign.hosts[host].turned
        if job.back:
            return change["stage"] == "went_back" or (change["stage"] == "back" and not turned)
        if turned:  # what it has verified; until then it is only started
            return change["stage"] in ("verified", "failed")
        return change["stage"] in ("installed", "verified", "failed")

    def _ended(self, job, hosts, untouched=()):
        for host in hosts:
            self.misses.pop(host, None)
            self.alive.discard(host)
        more = {"untouched": list(untouched)} if untouched and not job.back else {}
        self._write("returned" if job.back else "ended", jid=job.jid, hosts=hosts, **more)

    # -- asking for restarts ---------------------------------------------------------------------------------------

    def _do_ask_restart(self, todo):
        way = {"way": "back"} if todo["way"] else {}
        found = self._ask_in_time(todo["hosts"])
        if found is None:
            return
        asked, got = found
        news: dict = {"restarted": {}, "failed": {}, "unreachable": {}}
        go = {}
        for host in todo["hosts"]:
            what, value = self._due(host, got.get(host), asked, bool(way))
            if what == "later":
                self.ignored[host] = self.hands.now() + self.limits["look"]
            elif what == "go":
                go[host] = value
            else:
                news[what][host] = value
        for what, hosts in news.items():
            if hosts:
                self._fate_written(what, hosts, way)
        self._take_all()
        if go and (way or not self._held()):
            self._order(go, way)

    def _held(self):
        """Return whether nobody may be restarted, as is known since the hosts were asked (bool)."""
        found = self.campaign
        return any(decide.exceeded(found, wave) for wave in found.reached) or bool(decide.silent(found))

    def _fate_written(self, what, hosts, way):
        """Write down what has become of hosts; those that roll back and are not well stay."""
        self._forget(hosts)
        if what == "restarted":
            self._write("restarted", hosts=hosts, **way)
        else:
            self._write("stays" if way else what, hosts=hosts)

    def _forget(self, hosts):
        for host in hosts:
            for known in (self.misses, self.busy, self.muted, self.ignored):
                known.pop(host, None)

    def _order(self, hosts, way):
        """Restart hosts, ``{host: boot id}``: written down first, and then sent."""
        with self.store.gate(self.plan["id"]):
            self._wish()
            held = self.campaign.paused or self.campaign.aborted or (self.campaign.stopped and not way)
            now = self.hands.now()
            by = restarts.by(self.campaign, now)
            if held or by < now or not restarts.opened(self.campaign, now):
                return
            jid = self.hands.new_jid()
            self._write("restart", jid=jid, hosts=hosts, by=by, **way)
            self._send(jid, "klp.restart", list(hosts), by, back=bool(way), boots=hosts)

    def _due(self, host, got, asked, back):
        """Return what becomes of a host whose restart is due (go, restarted, failed, unreachable, later), and why."""
        now = self.hands.now()
        aside = self._aside(got, asked, now)
        if aside:
            since, limit = self.busy.setdefault(host, now), 60 * self.limits["restart"]
            if now - since <= limit:
                return "later", None
            return "unreachable" if got is None else "failed", ASIDE.format(
                aside, count(int((now - since) // 60), "minute")
            )
        self.busy.pop(host, None)
        boot = got["health"]["boot"]
        if boot != self.campaign.hosts[host].boot:
            return "restarted", _base(got)
        stage = got["kernel_change"]["stage"] if got["kernel_change"] else "not known"
        if stage == ("back" if back else "installed"):
            return "go", boot
        if stage == "restarting":
            return self._going(host, now)
        return "failed", f"its change of kernel is {stage}, and its restart was due"

    def _going(self, host, now):
        """An order that was believed lost has reached the host after all: it is waited for."""
        since = self.busy.setdefault(host, now)
        if now - since <= 60 * self.limits["restart"]:
            return "later", None
        return "failed", STAYED.format(count(self.limits["restart"], "minute"))

    def _aside(self, got, asked, now):
        """Return why nothing can be done with a host just now, which may change, or ``None``."""
        if got is None:
            return "silent"
        if isinstance(got, answers.NonsenseError):
            return f"not understood ({got})"
        if got["busy"]:
            return f"busy with {answers.text(got['busy'][0])}"
        if answers.clock(got, asked, now):
            return "off with its clock"
        return None if got["health"]["boot"] else "without a boot id"

    def _do_verify(self, todo):
        """Nobody is started by this: whoever was restarted is verified, also after a pause or abort request."""
        jid = self.hands.new_jid()
        self._write("verify", jid=jid, hosts=todo["hosts"], by=todo["by"])
        self._send(jid, "klp.kernel", todo["hosts"], todo["by"])

    # -- coming back -----------------------------------------------------------------------------------------------

    def _look_at_restarts(self):
        """Ask the hosts that are to come back whether they have; those that wait for others are asked less often."""
        found, now = self.campaign, self.hands.now()
        hosts = found.going
        if now >= self.next_wait:
            self.next_wait = now + decide.NAP
            hosts += found.placed(LOST) + found.placed(stages.INSTALLED) + found.placed(stages.BACK_INSTALLED)
        for first in range(0, len(hosts), decide.ASK):
            self._look_at_some(hosts[first : first + decide.ASK])

    def _look_at_some(self, hosts):
        asked, got = self.hands.now(), self._ask(hosts)
        said: dict = {}
        for jid in {self.campaign.hosts[host].jid for host in hosts}:
            said.update(self.hands.answers(jid, [host for host in hosts if self.campaign.hosts[host].jid == jid]))
        news: dict = {}
        for host in hosts:
            item = self.campaign.hosts[host]
            back = item.back in (stages.BACK_INSTALLED, stages.BACK_RESTARTING)
            going = item.back == stages.BACK_RESTARTING if back else item.stage == stages.RESTARTING
            what, value = self._come_back(host, got.get(host), asked)
            if what is None and going:
                what, value = self._gone(host, got.get(host), said.get(host), asked)
            if what:
                news.setdefault((what, back), {})[host] = value
        for (what, back), found in news.items():
            if what == "restarted" and back and self.campaign.aborted:
                who = self.campaign.aborted["by"]
                what, found = "stays", dict.fromkeys(found, f"restarted, and not verified: aborted by {who}")
            if what == "unrestarted":
                self._forget(found)
                self._write(what, hosts=found, **({"way": "back"} if back else {}))
            else:
                self._fate_written(what, found, {"way": "back"} if back else {})

    def _come_back(self, host, got, asked):
        """Return ``(restarted, its health)`` of a host that answers with another boot id, or ``(None, None)``."""
        item = self.campaign.hosts[host]
        if self._aside(got, asked, self.hands.now()):
            return None, None
        return ("restarted", _base(got)) if got["health"]["boot"] != item.boot else (None, None)

    def _gone(self, host, got, answer, asked):
        """Return what has become of a host whose restart was asked for and that has not come back, with the reason."""
        now, item, minutes = self.hands.now(), self.campaign.hosts[host], self.limits["restart"]
        sense = got is not None and not isinstance(got, answers.NonsenseError)
        if sense and got["health"]["boot"] == item.boot and not got["busy"]:
            stage = got["kernel_change"]["stage"] if got["kernel_change"] else None
            why = answers.ended("restart", answer)[1] if answer is not None else None
            if why and answers.unbegun(answer):
                return "unrestarted", why
            if why:
                return "failed", f"its restart: {why}"
            self.misses[host] += answer is None and stage != "restarting"
            if self.misses[host] >= MISSES:
                return "unrestarted", "its restart had not begun"
        if now - item.since <= 60 * minutes:
            return None, None
        if sense and got["health"]["boot"] == item.boot:
            return "failed", STAYED.format(count(minutes, "minute"))
        aside = self._aside(got, asked, now) if got is not None else None
        spent = count(minutes, "minute")
        return ("failed", ASIDE.format(aside, spent)) if aside else ("unreachable", LATE.format(spent))


def _base(got):
    """Return the health that a host is compared with later."""
    return {key: got["health"][key] for key in ("boot", "log", "tainted", "patience")}
