"""
The state of a campaign, made from its plan and its journal and from nothing else.

``Campaign(plan)`` is a campaign of which nothing has been done; ``apply(entry)`` takes the next entry of the journal.
Each entry costs as much as it names hosts, so that a campaign over many hosts stays linear.
"""

from __future__ import annotations

import collections

from .apart import Apart
from .stages import (
    ABSENT,
    ACTIVE,
    BACK,
    BACK_INSTALLED,
    BACK_RESTARTING,
    BACK_RUNNING,
    BACK_WAITING,
    BETWEEN,  # noqa: F401 - for those that import this file
    FAILED,
    INSTALLED,
    READY,
    REFUSED,
    RUNNING,
    SPARED,
    STAGES,  # noqa: F401 - for those that import this file
    STAYS,
    UNFINISHED,
    UNREACHABLE,
    VERIFIED,
    WAITING,
    Host,
    Job,
    Wave,
)
from .turns import Turns

LATE = "late"  # name of the wave of those that did not answer at their turn


class Campaign(Turns):
    """What has been done of a plan, entry by entry."""

    def __init__(self, plan):
        self.plan, self.id = plan, plan["id"]
        self.waves = [
            Wave(number, wave["name"], wave["hosts"], wave["soak"]) for number, wave in enumerate(plan["waves"])
        ]
        self.hosts = {host: Host(number) for number, wave in enumerate(plan["waves"]) for host in wave["hosts"]}
        self.current = 0
        self.jobs: dict = {}  # jid -> Job, of which somebody has not answered
        self.begun = self.paused = self.stopped = self.aborted = self.over = None
        self.result = None
        self.late_until = None
        self.looked = None  # when all hosts were looked at a last time
        self.off = None  # since when the master's clock is seen to be off
        self.quarantined: list = []
        self.back_queue: collections.OrderedDict = collections.OrderedDict()
        self.back_counts: collections.Counter = collections.Counter()
        self.places: dict = {}  # of kind kernel: for each stage between two runs the hosts that are there
        self.numbered = self.wish = 0
        self.at = plan["created"]
        self.apart = Apart(self)

    # -- what the decisions ask ------------------------------------------------------------------------------

    @property
    def wave(self):
        """The wave whose turn it is, or ``None`` after the last one."""
        return self.waves[self.current] if self.current < len(self.waves) else None

    @property
    def reached(self):
        """The waves whose turn has come."""
        return self.waves[: self.current + 1]

    @property
    def started(self):
        """How many hosts run that were started, or are being restarted."""
        return sum(wave.counts[stage] for wave in self.reached for stage in ACTIVE)

    @property
    def armed(self):
        """How many hosts the campaign is to restart that are installed: each has its place until it was verified."""
        return len(self.placed(INSTALLED)) if self.plan["settings"].get("reboot") else 0

    @property
    def silent(self):
        """How many of those do not answer."""
        return sum(wave.silent for wave in self.reached)

    @property
    def running(self):
        """How many hosts run, rollbacks included."""
        return self.started + self.back_counts[BACK_RUNNING] + self.back_counts[BACK_RESTARTING]

    def counts(self):
        """Return how many hosts are where."""
        return sum((wave.counts for wave in self.waves), collections.Counter())

    def verified(self, wave):
        """Return the verified hosts of a wave."""
        late = wave.number >= len(self.plan["waves"])
        hosts = self.hosts if late else self.plan["waves"][wave.number]["hosts"]
        return [host for host in hosts if self.hosts[host].wave == wave.number and self.hosts[host].stage == VERIFIED]

    def absent(self):
        """Return the hosts that did not answer at their turn."""
        return [host for host, item in self.hosts.items() if item.stage == ABSENT]

    # -- entries -----------------------------------------------------------------------------------------------

    def apply(self, entry):
        """Take the next entry of the journal."""
        self.numbered, self.at = entry["n"], entry["at"]
        getattr(self, "_on_" + entry["what"])(entry)
        self.apart.apply(entry)

    def _move(self, host, stage, why=None):
        item = self.hosts[host]
        wave = self.waves[item.wave]
        wave.counts[item.stage] -= 1
        wave.counts[stage] += 1
        if item.stage == READY:
            del wave.ready[host]
        if item.stage == WAITING:
            del wave.queue[host]
            wave.cut.pop(host, None)
        item.stage, item.why = stage, why
        if stage == READY:
            wave.ready[host] = self.at
        if stage == WAITING:  # those that had their turn have it again first of all
            wave.queue[host] = None
            wave.queue.move_to_end(host, last=False)
            if item.attempt:
                wave.cut[host] = None
        if stage not in UNFINISHED:
            item.ended = self.at
        self._remark_silence(item, wave, False)
        self._place(host)
        for hosts in wave.looks:
            hosts.pop(host, None)
        if stage == VERIFIED and wave.looks:
            wave.looks[0][host] = self.at
            wave.checked = False

    def _remark_silence(self, item, wave, silent):
        wave.silent += silent - item.silent
        item.silent = silent

    def _on_begin(self, entry):
        self.begun = entry["at"]

    def _on_clock(self, entry):
        """The clock of the master has jumped: what is counted from an earlier moment is counted on as before."""
        by = entry["by"]
        for name in ("begun", "late_until"):
            if getattr(self, name) is not None:
                setattr(self, name, getattr(self, name) + by)
        if self.stopped:
            self.stopped["at"] += by
        for item in (*self.hosts.values(), *self.jobs.values(), *self.waves):
            item.shift(by)
        for wave in self.reached:
            for host in list(wave.ready):
                self._move(host, WAITING)

    def _on_off(self, entry):
        """Most hosts have another time than the master: nobody is started until that is put right."""
        self.off = entry["at"]

    def _on_open(self, entry):
        self.waves[entry["wave"]].opened = entry["at"]

    def _on_ready(self, entry):
        self.off = None
        for host, base in entry["hosts"].items():
            item = self.hosts[host]
            item.base = item.base if item.attempt and item.base else base
            self._move(host, READY)

    def _on_waiting(self, entry):
        """Hosts that were ready have to be asked again: too much time has passed."""
        for host in reversed(entry["hosts"]):
            self._move(host, WAITING)

    def _on_start(self, entry):
        for host in entry["hosts"]:
            self._move(host, RUNNING)
            item = self.hosts[host]
            item.jid, item.since, item.touched = entry["jid"], entry["at"], True
            item.started = item.started or entry["at"]
            item.attempt += 1
        self.jobs[entry["jid"]] = Job(entry["jid"], entry["hosts"], entry["at"], False)

    def _answered(self, host, jid):
        job = self.jobs.get(jid)
        if job:
            job.hosts.pop(host, None)
            if not job.hosts:
                del self.jobs[jid]

    def _on_ended(self, entry):
        for host, why in entry["hosts"].items():
            self._answered(host, entry["jid"])
            self._move(host, FAILED if why else VERIFIED, why)
        for host in entry.get("untouched", ()):  # an earlier run may have changed something all the same
            item = self.hosts[host]
            item.touched = item.attempt > 1 or item.met > 0

    def _on_lost(self, entry):
        """Runs that were cut off on their hosts are begun again."""
        for host in reversed(entry["hosts"]):
            self._answered(host, self.hosts[host].jid)
            self._once_more(host, "its run was cut off")

    def _on_unsent(self, entry):
        """
        Runs that have not begun on their hosts, as when the master died with the order: they do not count.

        ``denied``: Salt has refused the job, so nobody has ever got it.
        """
        for host in reversed(entry["hosts"]):
            item = self.hosts[host]
            self._answered(host, item.jid)
            if not item.turned:
                item.attempt, item.met = item.attempt - 1, item.met + (not entry.get("denied"))
                item.touched = item.attempt > 0 or item.met > 0
            self._once_more(host, "its run had not begun")

    def _on_unbegun(self, entry):
        """Runs that could not begin are tried again, and do not count as runs."""
        for host, why in reversed(entry["hosts"].items()):
            item = self.hosts[host]
            self._answered(host, item.jid)
            if not item.turned:
                item.attempt, item.met = item.attempt - 1, item.met + 1
                item.touched = item.attempt > 0
            self._once_more(host, why)

    def _on_absent(self, entry):
        for host, why in entry["hosts"].items():
            self._move(host, ABSENT, why)

    def _on_refused(self, entry):
        for host, why in entry["hosts"].items():
            self._move(host, REFUSED, why)

    def _on_spared(self, entry):
        for host, why in entry["hosts"].items():
            self._move(host, SPARED, why)

    def _on_unreachable(self, entry):
        """The job stays, here and below: the host may answer late."""
        for host, why in entry["hosts"].items():
            self._move(host, UNREACHABLE, why)

    def _on_overdue(self, entry):
        for host, why in entry["hosts"].items():
            self._move(host, FAILED, why)

    _on_failed = _on_overdue

    def _on_patched(self, entry):
        self.waves[entry["wave"]].patched = entry["at"]

    def _on_silent(self, entry):
        """Hosts that run and have not answered for too long: they count as failed until they speak."""
        for host in entry["hosts"]:
            self._remark_silence(self.hosts[host], self.waves[self.hosts[host].wave], True)

    def _on_spoke(self, entry):
        for host in entry["hosts"]:
            self._remark_silence(self.hosts[host], self.waves[self.hosts[host].wave], False)

    def _on_checked(self, entry):
        """Verified hosts were looked at, all of the wave in the end; ``hosts`` are those that are not well."""
        wave = self.waves[entry["wave"]]
        wave.looked, wave.checked = self.at, entry["last"]
        for host in self.verified(wave) if entry["last"] else entry["looked"]:
            self._looked(wave, host, entry["last"])
        self._unwell(entry)

    def _looked(self, wave, host, last):
        self.hosts[host].looked = self.at
        for number, hosts in enumerate(wave.looks):
            if host in hosts:
                ended = hosts.pop(host)
                if number + 1 < len(wave.looks) and not last:
                    wave.looks[number + 1][host] = ended
                return

    def _on_looked(self, entry):
        """All hosts that were patched were looked at a last time."""
        self.looked = self.at
        self._unwell(entry)

    def _unwell(self, entry):
        for host, (stage, why) in entry["hosts"].items():
            self._move(host, stage, why)

    def _on_passed(self, entry):
        self.waves[entry["wave"]].closed = entry["at"]
        self.current = entry["wave"] + 1

    def _on_late(self, entry):
        """The hosts that did not answer at their turn become the last wave."""
        self.late_until = entry["until"]
        wave = Wave(len(self.waves), LATE, entry["hosts"], self.plan["waves"][-1]["soak"])
        for host in entry["hosts"]:
            item = self.hosts[host]
            self.waves[item.wave].counts[item.stage] -= 1
            item.wave, item.stage, item.why, item.ended = wave.number, WAITING, None, None
            if item.attempt:
                wave.cut[host] = None
        self.waves.append(wave)

    def _on_gate(self, entry):
        self.stopped = {key: entry[key] for key in ("why", "wave", "at", "suspects")}
        for host in entry.get("back", ()):
            self.hosts[host].back = BACK_WAITING
            self.back_queue[host] = None
            self.back_counts[BACK_WAITING] += 1
            self._place(host)

    def _on_quarantine(self, entry):
        self.quarantined += entry["items"]

    def _back(self, host, state):
        self.back_counts[self.hosts[host].back] -= 1
        self.back_counts[state] += 1
        self.hosts[host].back = state
        if state == BACK_WAITING:
            self.back_queue[host] = None
        else:
            self.back_queue.pop(host, None)
        self._place(host)

    def _on_back(self, entry):
        for host in entry["hosts"]:
            self._back(host, BACK_RUNNING)
            item = self.hosts[host]
            item.jid, item.since = entry["jid"], entry["at"]
            if not item.backs:
                item.boot, item.orders, item.turned = None, 0, False
            item.backs += 1
        self.jobs[entry["jid"]] = Job(entry["jid"], entry["hosts"], entry["at"], True)

    def _remark(self, host, why):
        """Say one thing more of a host; why it failed stays."""
        self.hosts[host].why = "; ".join(filter(None, (self.hosts[host].why, why)))

    def _on_returned(self, entry):
        for host, why in entry["hosts"].items():
            self._answered(host, entry["jid"])
            self._back(host, STAYS if why else BACK)
            if why:
                self._remark(host, f"going back: {why}")

    def _on_stays(self, entry):
        for host, why in entry["hosts"].items():
            self._answered(host, self.hosts[host].jid)
            self._back(host, STAYS)
            if why:
                self._remark(host, f"going back: {why}")

    def _on_again(self, entry):
        """Rollbacks that were cut off are begun again."""
        for host in entry["hosts"]:
            self._answered(host, self.hosts[host].jid)
            self._back(host, BACK_WAITING)

    def _on_pause(self, entry):
        self.wish, self.paused = entry["number"], {"by": entry["by"], "at": entry["at"]}

    def _on_resume(self, entry):
        self.wish, self.paused = entry["number"], None

    def _on_abort(self, entry):
        self.wish, self.aborted = entry["number"], {"by": entry["by"], "at": entry["at"]}
        for host in [*self.back_queue, *self.placed(BACK_INSTALLED)]:
            self._back(host, STAYS)
            self._remark(host, f"going back: aborted by {entry['by']}")
        if not self.stopped:
            self.stopped = {"why": f"aborted by {entry['by']}", "wave": None, "at": entry["at"], "suspects": []}

    def _on_end(self, entry):
        self.over, self.result = entry["at"], entry["result"]
        self.jobs = {}


def replay(plan, entries):
    """Return the campaign of a plan after these entries of its journal."""
    campaign = Campaign(plan)
    for entry in entries:
        campaign.apply(entry)
    return campaign
