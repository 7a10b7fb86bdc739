"""
Looking at runs: the answers that have come, and what has become of the hosts that gave none.
"""

from __future__ import annotations

from . import answers, decide
from . import campaign as states
from .restarting import Restarting
from .words import count

RUNNING = "saltutil.is_running"
MISSES = 2  # how often a host has to say that it does not run a job, before that is believed
EDGE = 5  # seconds between two such looks at the least
RESTARTED = "it restarted in the middle of its run (another boot id)"
TURNS = 5  # so often at most answers are taken that have come while others were taken
REST = 3  # after a look: so many times its duration until the next one, since hosts that are dead make it long


class Looking(Restarting):
    """The part of a driver that looks at runs."""

    def _look(self):
        now, jobs = self.hands.now(), list(self.campaign.jobs.values())
        due = now >= self.next_look
        self._take_all(due)
        # Who is ready is started first: a look may take so long that what they said is no longer true.
        if due and not (self.campaign.wave and self.campaign.wave.ready):
            self.next_look = now + max(EDGE, self.limits["look"])
            self._look_after([job for job in jobs if now - job.at >= max(EDGE, self.limits["look"])])
            self._look_at_restarts()
            spent = self.hands.now() - now
            self.next_look = max(self.next_look, self.hands.now() + REST * spent)

    def _take_all(self, due=False):
        """Take the answers to all jobs; while hosts were asked for that, others may have answered."""
        for _ in range(TURNS):
            jobs = [job for job in self.campaign.jobs.values() if due or job.jid not in self.quiet]
            if not any([self._take(job) for job in jobs]):  # noqa: C419 - each of them
                return

    def _look_after(self, jobs):
        """Ask all hosts that run and have not answered; those that were given up may still answer late."""
        asked, begun = {}, self.hands.now()
        for job in jobs:
            hosts = [host for host in job.hosts if self._runs(host, job)]
            asked.update(dict.fromkeys(hosts, job))
            if not hosts:
                self.quiet.add(job.jid)
        for first in range(0, len(asked), decide.ASK):
            self._inquire(dict(list(asked.items())[first : first + decide.ASK]))
        self._listen([host for host, job in asked.items() if not job.back and self._runs(host, job)], begun)

    def _listen(self, hosts, begun):
        """Write down which of the hosts that run are silent for too long, and which have spoken in this look."""
        now, items = self.hands.now(), self.campaign.hosts
        spoke = [host for host in hosts if items[host].silent and self.heard.get(host, 0) >= begun]
        limit = now - 60 * self.limits["silent"]
        silent = [
            host for host in hosts if not items[host].silent and max(self.heard.get(host, 0), items[host].since) < limit
        ]
        for what, found in (("spoke", spoke), ("silent", silent)):
            if found:
                self._write(what, hosts=found)

    def _runs(self, host, job):
        item = self.campaign.hosts[host]
        return (item.back if job.back else item.stage) == (states.BACK_RUNNING if job.back else states.RUNNING)

    def _take(self, job):
        """
        Take the answers that have come; each is judged by itself, and counts for its own host only.

        Returns whether hosts were asked for that (bool), which takes time.
        """
        kernel = self.plan["kind"] == "kernel"
        kind = ("kernel_back" if kernel else "rollback") if job.back else self.plan["kind"]
        got = self.hands.answers(job.jid, job.hosts)
        hosts = {host: answers.ended(kind, value)[1] for host, value in got.items() if host in job.hosts}
        again = [host for host in hosts if answers.unbegun(got[host]) and self._may_try(host, job)]
        if again and job.back:
            self._again(again)
        elif again:
            self._write("unbegun", hosts={host: hosts[host] for host in again})
        ended = {host: hosts[host] for host in hosts if host not in again}
        if ended and kernel:
            return self._kernel_ended(job, {host: (got[host], why) for host, why in ended.items()})
        if ended:
            self._ended(job, ended, [host for host in ended if ended[host] and answers.untouched(got[host])])
        return False

    def _may_try(self, host, job):
        """Return whether a run that could not begin is tried again; rollbacks have the limit of ``_again``."""
        item = self.campaign.hosts[host]
        stopped = self.campaign.stopped or item.met >= self.limits["attempts"]
        return self._runs(host, job) and (job.back or not stopped)

    def _inquire(self, asked):
        """Ask hosts (``{host: its job}``) whether they run it, and find out what has become of those that do not."""
        got = self.hands.ask(list(asked), RUNNING, ["state.*"], self.plan["settings"]["presence"]["timeout"])
        denied = set()
        for host, job in asked.items():
            runs = answers.runs(got.get(host), job.jid)
            self.alive.discard(host)
            if host in got:
                self.heard[host] = self.hands.now()
            if runs:
                self.alive.add(host)
                self.misses.pop(host, None)
            elif runs is False:
                denied.add(host)
                self.misses[host] += 1
        jobs = {job.jid: job for job in asked.values()}
        for job in jobs.values():
            self._take(job)
        lost = {host for host, job in asked.items() if self.misses[host] >= MISSES and host in job.hosts}
        self._lost({host: asked[host] for host in asked if host in lost})
        for job in jobs.values():  # those that denied it for the first time are asked again before they are given up
            hosts = [host for host in job.hosts if asked.get(host) is job and (host not in denied or host in lost)]
            self._deadline(job, [host for host in hosts if self._runs(host, job)])

    def _lost(self, lost):
        """Hosts that do not run their job and gave no answer: they have ended and nobody heard it, or were cut off."""
        found = self._ask(list(lost)) if lost else {}
        for job in {lost[host].jid: lost[host] for host in found}.values():
            self._take(job)  # the answer may have come meanwhile
            self._settle(job, {host: found[host] for host in found if lost[host] is job and host in job.hosts})

    def _settle(self, job, found):
        fates: dict = {"done": {}, "unsent": {}, "cut": {}, "busy": {}, "installed": {}}
        for host, got in found.items():
            what, why = self._fate(host, got, job)
            fates[what][host] = why
        for host in (*fates["unsent"], *fates["cut"]):
            self.misses.pop(host, None)
        if fates["done"]:
            self._ended(job, fates["done"])
        if fates["installed"]:
            self._installed(job, fates["installed"])
        if fates["unsent"]:
            self._write("unsent", hosts=list(fates["unsent"]))
        if fates["cut"] and job.back:
            self._again(list(fates["cut"]))
        elif fates["cut"]:
            self._write("lost", hosts=list(fates["cut"]))

    def _fate(self, host, got, job):
        """Return what has become of the run of a host that gave no answer: ``(done, unsent, cut or busy, why)``."""
        if isinstance(got, answers.NonsenseError):
            return "done", str(got)
        if got["busy"]:
            return "busy", None
        if self.plan["kind"] == "kernel" and self._has_ended(host, got, job):
            end, why = self._kernel_end(host, got, None, job.back)
            return ("installed" if end == "installed" else "done"), why
        if job.back:
            return "cut", None
        if self._restarted(host, got):
            late = answers.drained(got)
            return "done", f"{RESTARTED}; {late}" if late else RESTARTED
        kernel = self.plan["kind"] == "kernel"  # its runs are judged by its change of kernel alone
        if got["run"] and got["run"]["finished"] is not None and not kernel:
            return "done", None
        return "unsent" if got["run"] is None and self._may_try(host, job) else "cut", None

    def _restarted(self, host, got):
        """Return whether a host was started again since its run was begun, where that is a failure."""
        base = self.campaign.hosts[host].base
        boot = base["boot"] if base and self.plan["settings"]["on_restart"] == "fail" else None
        return boot is not None and got["health"]["boot"] != boot

    def _again(self, hosts):
        worn = {host for host in hosts if self.campaign.hosts[host].backs >= self.limits["attempts"]}
        why = f"cut off {count(self.limits['attempts'], 'time')}"
        if self.campaign.aborted:
            worn, why = set(hosts), f"cut off, and aborted by {self.campaign.aborted['by']}"
        if worn:
            self._write("stays", hosts={host: why for host in hosts if host in worn})
        if len(worn) < len(hosts):
            self._write("again", hosts=[host for host in hosts if host not in worn])

    def _deadline(self, job, hosts):
        now, limit = self.hands.now(), self.limits["host_timeout"]
        hosts = [host for host in hosts if now - self.campaign.hosts[host].since > limit]
        still = f"it has not ended within {count(limit, 'second')} and still runs"
        overdue = {host: still for host in hosts if host in self.alive}
        silent = {host: f"no answer within {count(limit, 'second')}" for host in hosts if host not in self.alive}
        for what, found in (("overdue", overdue), ("unreachable", silent)):
            if found:
                self._write("stays" if job.back else what, hosts=found)
