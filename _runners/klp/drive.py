"""
Driving a campaign: look at what hosts answered, decide one step, write it down, do it.

A Driver remembers nothing that matters: it can be killed at any moment, and the next one goes on from the journal.
``hands`` is what reaches the hosts (``hands.Hands``, or a simulation with the same methods).
"""

from __future__ import annotations

import collections

from . import answers, decide
from . import campaign as states
from . import planning as plans

SUMMARY, RUNNING = "klp_audit.state_summary", "saltutil.is_running"
SLS = {"patch": "klp.patch", "rollback": "klp.rollback"}
MISSES = 2  # how often a host has to say that it does not run a job, before that is believed
EDGE = 5  # seconds between two such looks at the least
BANNED = "live patch {} is in quarantine since campaign {}; see salt-run klp.quarantined, and make a new plan"
RESTARTED = "it restarted in the middle of its run (another boot id)"
REST = 3  # after a look: so many times its duration until the next one, since hosts that are dead make it long


class Driver:
    """The one process that drives a campaign."""

    def __init__(self, store, plan, journal, hands, say=lambda line: None):
        self.store, self.plan, self.journal, self.hands, self.say = store, plan, journal, hands, say
        self.campaign = states.replay(plan, journal.entries)
        self.limits = plan["settings"]["limits"]
        self.ignored: dict = {}  # host -> when it may be asked again
        self.busy: dict = {}  # host -> since when it is busy with something else
        self.misses: collections.Counter = collections.Counter()
        self.alive: set = set()  # hosts that said the last time that they run
        self.heard: dict = {}  # host -> when it answered the last time that it was asked whether it runs
        self.next_look = 0.0  # when hosts are asked again whether they run
        self.quiet: set = set()  # jids of which nobody runs any more

    # -- steps -------------------------------------------------------------------------------------------------

    def step(self):
        """
        Do the next step.

        Returns how many seconds may pass before the next one (0: none), or ``None`` where there is nothing more to do
        now: the campaign is over, or it is paused and no host runs.
        """
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
        limit = self.limits["look"] if self.campaign.jobs else decide.NAP
        return max(0.01, min(todo["until"] - now, limit))

    def _write(self, what, **fields):
        entry = self.journal.append({"what": what, "at": int(self.hands.now()), **fields})
        self.campaign.apply(entry)
        self.hands.tell(what, entry)
        self.say(entry)

    def _wish(self):
        wish = self.store.wished(self.plan["id"])
        if wish and wish["number"] > self.campaign.wish and not self.campaign.over:
            self._write(wish["want"], by=wish["by"], number=wish["number"])

    # -- the beginning of runs -----------------------------------------------------------------------------------

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

    def _send(self, jid, sls, hosts, by, back=False):
        for host in hosts:  # what was known of an earlier job of theirs
            self.misses.pop(host, None)
            self.alive.discard(host)
        pillar = plans.pillar(self.plan, hosts[0], self.plan["id"], by, back)
        self.hands.send(jid, hosts, "state.apply", [sls], {"pillar": {"klp": pillar}})

    def _ask(self, hosts, services=()):
        """Ask hosts how they stand: ``{host: checked answer, or the NonsenseError}`` of those that answer."""
        run = "" if services else self.plan["id"]
        got = self.hands.ask(hosts, SUMMARY, [run, list(services)], self.plan["settings"]["presence"]["timeout"])
        found = {}
        for host in hosts:
            if host in got:
                try:
                    found[host] = answers.state_summary(host, got[host])
                except answers.NonsenseError as exc:
                    found[host] = exc
        return found

    def _do_ask(self, todo):
        asked, got = self.hands.now(), self._ask(todo["hosts"])
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
            return "refused", f"it was busy with {answers.text(got['busy'][0])} for {int(now - since)} seconds"
        self.busy.pop(host, None)
        wrong = answers.unready(got, self.plan["hosts"][host], self.plan, asked, now)
        base = {key: got["health"][key] for key in ("boot", "log", "tainted")}
        return ("refused", wrong) if wrong else ("ready", base)

    # -- looking at runs -----------------------------------------------------------------------------------------

    def _look(self):
        now, jobs = self.hands.now(), list(self.campaign.jobs.values())
        due = now >= self.next_look
        for job in jobs:
            if due or job.jid not in self.quiet:
                self._take(job)
        # Who is ready is started first: a look may take so long that what they said is no longer true.
        if due and not (self.campaign.wave and self.campaign.wave.ready):
            self.next_look = now + max(EDGE, self.limits["look"])
            self._look_after([job for job in jobs if now - job.at >= max(EDGE, self.limits["look"])])
            spent = self.hands.now() - now
            self.next_look = max(self.next_look, self.hands.now() + REST * spent)

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
        """Take the answers that have come; each is judged by itself, and counts for its own host only."""
        kind = "rollback" if job.back else self.plan["kind"]
        got = self.hands.answers(job.jid, job.hosts)
        hosts = {host: answers.ended(kind, value)[1] for host, value in got.items() if host in job.hosts}
        again = [host for host in hosts if answers.unbegun(got[host]) and self._may_try(host, job)]
        if again and job.back:
            self._again(again)
        elif again:
            self._write("unbegun", hosts={host: hosts[host] for host in again})
        ended = {host: hosts[host] for host in hosts if host not in again}
        if ended:
            self._ended(job, ended, [host for host in ended if ended[host] and answers.untouched(got[host])])

    def _may_try(self, host, job):
        """Return whether a run that could not begin is tried again; ways back have the limit of ``_again``."""
        item = self.campaign.hosts[host]
        stopped = self.campaign.stopped or item.met >= self.limits["attempts"]
        return self._runs(host, job) and (job.back or not stopped)

    def _ended(self, job, hosts, untouched=()):
        for host in hosts:
            self.misses.pop(host, None)
            self.alive.discard(host)
        more = {"untouched": list(untouched)} if untouched and not job.back else {}
        self._write("returned" if job.back else "ended", jid=job.jid, hosts=hosts, **more)

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
        fates: dict = {"done": {}, "unsent": {}, "cut": {}, "busy": {}}
        for host, got in found.items():
            what, why = self._fate(host, got, job)
            fates[what][host] = why
        for host in (*fates["unsent"], *fates["cut"]):
            self.misses.pop(host, None)
        if fates["done"]:
            self._ended(job, fates["done"])
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
        if job.back:
            return "cut", None
        if self._restarted(host, got):
            return "done", RESTARTED
        if got["run"] and got["run"]["finished"] is not None:
            return "done", None
        return "unsent" if got["run"] is None and self._may_try(host, job) else "cut", None

    def _restarted(self, host, got):
        """Return whether a host was started again since its run was begun, where that is a failure."""
        base = self.campaign.hosts[host].base
        boot = base["boot"] if base and self.plan["settings"]["on_restart"] == "fail" else None
        return boot is not None and got["health"]["boot"] != boot

    def _again(self, hosts):
        worn = {host for host in hosts if self.campaign.hosts[host].backs >= self.limits["attempts"]}
        why = f"cut off {self.limits['attempts']} times"
        if self.campaign.aborted:
            worn, why = set(hosts), f"cut off, and aborted by {self.campaign.aborted['by']}"
        if worn:
            self._write("stays", hosts={host: why for host in hosts if host in worn})
        if len(worn) < len(hosts):
            self._write("again", hosts=[host for host in hosts if host not in worn])

    def _deadline(self, job, hosts):
        now, limit = self.hands.now(), self.limits["host_timeout"]
        hosts = [host for host in hosts if now - self.campaign.hosts[host].since > limit]
        still = f"it has not ended within {limit} seconds and still runs"
        overdue = {host: still for host in hosts if host in self.alive}
        silent = {host: f"no answer within {limit} seconds" for host in hosts if host not in self.alive}
        for what, found in (("overdue", overdue), ("unreachable", silent)):
            if found:
                self._write("stays" if job.back else what, hosts=found)

    # -- watching a wave -----------------------------------------------------------------------------------------

    def _do_check(self, todo):
        bad = self._watched(todo["hosts"], todo["last"])
        looked = [] if todo["last"] else todo["hosts"]
        self._write("checked", wave=todo["wave"], hosts=bad, looked=looked, last=todo["last"])

    def _do_look(self, todo):
        self._write("looked", hosts=self._watched(todo["hosts"], True))

    def _watched(self, hosts, last):
        """Return what is wrong with patched hosts, ``{host: [stage, why]}``; the silent ones are asked twice."""
        services, found, bad = self.plan["settings"]["soak"]["services"], {}, {}
        for first in range(0, len(hosts), decide.ASK):
            part = hosts[first : first + decide.ASK]
            found.update(self._ask(part, services))
            silent = [host for host in part if host not in found]
            found.update(self._ask(silent, services) if silent else {})
        for host in hosts:
            why = self._unwell(host, found.get(host), services, last)
            if why:
                stage = states.UNREACHABLE if host not in found else states.FAILED
                bad[host] = [stage, f"after its run: {why}"]
        return bad

    def _unwell(self, host, got, services, last):
        if got is None:
            return "it does not answer any more"
        if isinstance(got, answers.NonsenseError):
            return str(got)
        wrong = answers.unwell(got["health"], self.campaign.hosts[host].base, services)
        if last and got["transition"] != "ready":
            wrong.append("the transition of the live patch has not ended")
        return "; ".join(wrong)

    # -- when a gate has failed ----------------------------------------------------------------------------------

    def _do_quarantine(self, todo):
        self.store.ban(todo["items"], self.plan["id"], self.campaign.stopped["why"], self.hands.now())
        self._write("quarantine", **todo)

    def _do_ask_back(self, todo):
        got, stays, go = self._ask(todo["hosts"]), {}, collections.defaultdict(list)
        for host in todo["hosts"]:
            what, value = self._back(host, got.get(host))
            if what == "later":
                self.ignored[host] = self.hands.now() + self.limits["look"]
            elif what == "stays":
                stays[host] = value
            else:
                go[value].append(host)
        if stays:
            self._write("stays", hosts=stays)
        with self.store.gate(self.plan["id"]):
            self._wish()
            for hosts in [] if self.campaign.paused or self.campaign.aborted else go.values():
                jid, by = self.hands.new_jid(), int(self.hands.now() + self.limits["start_within"])
                self._write("back", jid=jid, hosts=hosts, by=by)
                self._send(jid, SLS["rollback"], hosts, by, back=True)

    def _back(self, host, got):
        """Return whether a host goes back: ``(stays, why)``, ``(later, None)`` or ``(goes, to which live patch)``."""
        planned, waited = self.plan["hosts"][host], self.hands.now() - self.campaign.stopped["at"]
        if got is None or (not isinstance(got, answers.NonsenseError) and got["busy"]):
            if waited <= self.limits["host_timeout"]:
                return "later", None
            return "stays", "it does not answer" if got is None else "it is busy with something else"
        if isinstance(got, answers.NonsenseError):
            return "stays", str(got)
        begun = self.campaign.hosts[host].backs  # then it is begun again, and verified, even if it has gone back
        if got["live_patch"] != planned["target"] and not got["unfinished"] and not begun:
            return "stays", None
        return "goes", planned["before"]
