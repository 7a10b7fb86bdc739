"""
Simulated hosts behind the interface of ``_runners/klp/hands.py``, with a clock that only waiting moves.

A host does what a real one was seen to do (design of ``klp.patch``: a run keeps its backup however often it is begun
again; what is installed is not installed again; only a finished run is finished), in phases between which it can be
killed. It counts what must happen once: backups and transactions of zypper; and what must not happen: clashes, runs
that reached it while one was alive.

Faults of a host, each by a keyword: ``absent`` (seconds from the start), ``queues`` (messages reach it when it is there
again), ``bad`` and ``stuck`` (text: its runs, its ways back fail), ``dies`` (phase in which its first run is cut off)
and ``down`` (seconds), ``crashes`` (phase in which the host itself restarts, each time), ``dies_back`` (as ``dies``, in
its first way back), ``loses`` (its first answer), ``loses_back`` (its first answer to a way back), ``slow_answer``
(seconds), ``nonsense`` (its answers to runs), ``says`` (to questions), ``finds`` (to is_running), ``busy`` (seconds
from the start with somebody else's states), ``conflicts`` (so many runs meet somebody else's states), ``panics``,
``oops``, ``restless`` (its transition does not end), ``ill`` (seconds after a new live patch from which on its
application is not well; a way back cures it), ``patience`` (seconds that looking at its application takes),
``hooks`` (it has hooks, and is drained by its runs), ``reboots`` (phase in which the host restarts, once), ``ails``
(seconds after its run, when its kernel goes wrong), ``refuses`` (so many runs are refused before their first change),
``behind`` (it has the live patch, and lacks an update).
"""

from __future__ import annotations

import heapq
import itertools
from typing import Any

from _runners.klp.turning import GoneError

KERNEL = "5.14.21-150500.55.7-default"
PACKAGE = "kernel-livepatch-5_14_21-150500_55_7-default"
OLDER, OLD, NEW = "1-150500.9.3.1", "2-150500.2.1", "3-150500.2.1"
PHASES = ("backup", "updates", "live patch", "verify", "finish")
START = 1_800_000_000.0


class SimHost:
    """One host: what is on it, what it does, and what goes wrong with it."""

    __slots__ = (
        "apart", "backups", "before", "boot", "clashes", "down_until", "drained", "edition", "errors", "faults",
        "group", "held", "hooks", "job", "log", "name", "other_until", "patched", "restarts", "runs", "seconds",
        "started", "transactions", "updated", "verified",
    )  # fmt: skip

    def __init__(self, name, seconds=60.0, edition=OLD, group=None, apart=(), **faults):
        self.group, self.apart = group, list(apart)
        self.hooks, self.drained = faults.pop("hooks", False), None  # since when its hook after is due
        self.name, self.seconds, self.edition, self.before = name, seconds, edition, edition
        self.faults: dict[str, Any] = faults
        self.backups: list = []  # (run, number)
        self.transactions: list = []
        self.runs: dict = {}
        self.job: tuple | None = None  # (jid, fun, sls, pillar, phase)
        self.down_until = faults.get("absent", 0.0) + START if "absent" in faults else 0.0
        self.log, self.boot, self.errors, self.held, self.updated = 100, "boot-1", [], None, False
        self.started: list = []  # (moment, jid, sls) of each run that was begun
        self.restarts = 0  # of the host itself, in the middle of a run
        self.verified: float | None = None  # when its last run ended well
        self.clashes = 0  # runs that reached it while one of the campaign was alive
        self.other_until = faults.get("busy", 0.0) + START if "busy" in faults else 0.0
        self.patched = None  # when it got a new live patch

    def up(self, now):
        """Whether the host answers."""
        return now >= self.down_until


class World:
    """All hosts, their jobs and the clock."""

    def __init__(self, hosts):
        self.time = START
        self.hosts = {host.name: host for host in hosts}
        self.returns: dict = {}  # jid -> host -> answer
        self.sent: dict = {}  # jid -> what was sent
        self.told: list = []
        self._agenda: list = []
        self._order = itertools.count()
        self._jid = itertools.count(20270101000000000000)
        self.gone_until = 0.0  # the master takes no jobs until then, and answers are lost
        self.asks = 0  # how often hosts were asked how they stand
        self.spoke: dict = {}  # host -> when it said the last time what it runs
        self.heard: dict = {}  # host -> (the last ask that named it, its health if it answered with sense)
        self.unchanged: set = set()  # (jid, host) of the runs that were refused before their first change
        self.skew = 0.0  # what the clock of the master is ahead of that of the hosts
        self.skews: set = {0.0}  # all that it ever was
        self.unsure = 0  # so many runs are taken by the master, and it does not say so

    # -- the interface of the driver -------------------------------------------------------------------------------

    def now(self):
        return self.time + self.skew

    def ticks(self):
        return self.time

    def new_jid(self):
        return str(next(self._jid))

    def tell(self, what, entry):
        self.told.append((what, entry))

    def _master(self):
        if self.time < self.gone_until:
            raise GoneError("the master does not take jobs")

    def send(self, jid, hosts, fun, arg, kwarg=None):
        self._master()
        assert jid not in self.sent, f"job {jid} was sent twice"
        self.sent[jid] = {"hosts": list(hosts), "fun": fun, "arg": arg, "kwarg": kwarg, "at": self.time}
        for name in hosts:
            host = self.hosts[name]
            if host.up(self.time):
                self._receive(host, jid, arg[0], kwarg)
            elif host.faults.get("queues"):  # asleep: the message reaches it when it wakes up
                self._at(host.down_until, self._receive, host, jid, arg[0], kwarg)
        if self.unsure:
            self.unsure -= 1
            raise GoneError("the master has not answered")

    def answers(self, jid, hosts):
        got = self.returns.get(jid, {})
        found = {name: got[name] for name in (hosts if len(hosts) < len(got) else got) if name in got and name in hosts}
        return found

    def ask(self, hosts, fun, arg, timeout):
        self._master()
        there = {name: self.hosts[name] for name in hosts if self.hosts[name].up(self.time)}
        if fun == "klp_audit.state_summary" and arg[2:] == [True]:  # a host that needs longer has not answered by then
            there = {name: host for name, host in there.items() if host.faults.get("patience", 0) <= timeout}
        self.advance(0.2 if len(there) == len(hosts) else timeout)
        said = {name: self._say(host, fun, arg) for name, host in there.items()}
        if fun == "klp_audit.state_summary":
            self._remember(hosts, there, said)
        if fun == "saltutil.is_running":
            self.spoke.update(dict.fromkeys(said, self.time))
        return said

    def _remember(self, hosts, there, said):
        """Keep what hosts have said of their health, for the judge."""
        self.asks += 1
        for name in hosts:
            sense = name in there and "says" not in there[name].faults
            self.heard[name] = (self.asks, name in there, dict(said[name]["health"]) if sense else None)

    def question(self, hosts, fun, arg, timeout):
        return Answered(self.ask(hosts, fun, arg, timeout))

    def listen(self, until, jids):
        raise AssertionError("all answers have come")

    def wait(self, seconds):
        """Let time pass, until something comes back, or so many seconds."""
        end, before = self.time + seconds, sum(map(len, self.returns.values())) if len(self.returns) < 50 else None
        while self._agenda and self._agenda[0][0] <= end:
            self._next()
            if before is not None and sum(map(len, self.returns.values())) > before:
                return
        self.time = max(self.time, end)

    def close(self):
        pass

    # -- time ------------------------------------------------------------------------------------------------------

    def _at(self, moment, call, *args):
        heapq.heappush(self._agenda, (moment, next(self._order), call, args))

    def _next(self):
        moment, _, call, args = heapq.heappop(self._agenda)
        self.time = max(self.time, moment)
        call(*args)

    def advance(self, seconds):
        """Let time pass."""
        end = self.time + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self._next()
        self.time = max(self.time, end)

    def out(self, moment, seconds):
        """The master is away so many seconds, from a moment on that is counted from now."""

        def gone():
            self.gone_until = self.time + seconds

        self._at(self.time + moment, gone)

    # -- what a host does ------------------------------------------------------------------------------------------

    def _receive(self, host, jid, sls, kwarg):
        klp = kwarg["pillar"]["klp"]
        assert host.name in klp["campaign"].get("shown", host.name), "a host that is not named refuses"
        if host.faults.get("conflicts"):
            host.faults["conflicts"] -= 1
            host.other_until = self.time + 60
        if host.job or self.time < host.other_until:
            host.clashes += bool(host.job)
            self._return(host, jid, ['The function "state.apply" is running as PID 1 and was started before'])
            return
        if self.time > klp["campaign"]["start_by"]:
            self._refuse(host, jid, "this run of a campaign was to begin earlier")
            return
        if host.faults.get("refuses"):
            host.faults["refuses"] -= 1
            self._refuse(host, jid, "klp-preflight: /boot is too full")
            return
        host.started.append((self.time, jid, sls))
        host.job = (jid, sls, klp)
        self._phase(host, jid, 0)

    def _refuse(self, host, jid, why):
        """A run ends before its first change."""
        if self.time >= self.gone_until:
            self.unchanged.add((jid, host.name))
        self._return(host, jid, state("klp-ready", False, why))

    def _phase(self, host, jid, number):
        """Do the next phase of a run, then wait; a host that dies in between does nothing more."""
        if not host.job or host.job[0] != jid:
            return
        back = host.job[1] == "klp.rollback"
        first = [sls for _, _, sls in host.started].count(host.job[1]) == 1
        if first and host.faults.get("dies_back" if back else "dies") == number:
            self.kill(host, host.faults.get("down", 90.0))
            return
        if not back and (host.faults.get("crashes") == number or (first and host.faults.get("reboots") == number)):
            host.boot, host.restarts = f"boot-{len(host.started) + 1}", host.restarts + 1
            self.kill(host, host.faults.get("down", 90.0))
            return
        steps = ROLLBACK if back else PATCH
        if number == len(steps):
            self._finish(host)
            return
        steps[number](self, host, host.job[2])
        self._at(self.time + host.seconds / len(steps), self._phase, host, jid, number + 1)

    def kill(self, host, down):
        """The minion of a host dies with its run, and comes back after so many seconds."""
        host.job = None
        host.down_until = self.time + down

    def _drain(self, host):
        if host.hooks and host.drained is None:
            host.drained = int(self.time)

    def _backup(self, host, klp):
        self._drain(host)
        run = host.runs.setdefault(klp["run"], {"opened": int(self.time), "finished": None, "backup": None})
        if run["backup"] is None:
            run["backup"] = f"vol-{len(host.backups) + 1}"
            host.backups.append((klp["run"], run["backup"]))

    def _updates(self, host, klp):
        if not host.updated:
            host.updated = True
            host.transactions.append("curl")

    def _live_patch(self, host, klp):
        level = klp["campaign"]["level"][host.name]
        if host.edition != level:
            host.edition = level
            host.transactions.append(level)
            host.patched = self.time
        if host.faults.get("panics"):
            host.boot = "boot-2"
        if host.faults.get("oops"):
            self._oops(host)

    def _oops(self, host):
        host.log += 10
        host.errors.append({"number": host.log, "text": "BUG: unable to handle page fault"})

    def _verify(self, host, klp):
        pass

    def _go_back(self, host, klp):
        level = klp["campaign"]["rollback"][host.name]
        if host.edition != level:
            self._drain(host)
            host.edition = level
            host.transactions.append(level)
            host.patched = None
        host.held = level

    def _close(self, host, klp):
        if klp["run"] in host.runs:
            host.runs[klp["run"]]["finished"] = int(self.time)

    def _finish(self, host):
        jid, sls, klp = host.job
        host.job = host.drained = None
        name = "klp-rollback-verified" if sls == "klp.rollback" else "klp-verified"
        bad = host.faults.get("bad") if sls == "klp.patch" else host.faults.get("stuck")
        bad = bad or "; ".join(ill(self, host))  # klp.verified asks the application, and only then a run is finished
        if sls == "klp.patch" and not bad:
            self._close(host, klp)
        host.verified = None if bad else self.time
        first = [one for _, _, one in host.started].count(sls) == 1
        if first and host.faults.get("loses_back" if sls == "klp.rollback" else "loses"):
            return  # its answer is lost
        if "ails" in host.faults and sls == "klp.patch":
            self._at(self.time + host.faults["ails"], self._oops, host)
        value = host.faults["nonsense"] if "nonsense" in host.faults else state(name, not bad, bad or "ok", 1)
        self._at(self.time + host.faults.get("slow_answer", 0.0), self._return, host, jid, value)

    def _return(self, host, jid, value):
        if self.time < self.gone_until:
            return
        self.returns.setdefault(jid, {})[host.name] = {"return": value, "retcode": 0, "success": True}

    def _say(self, host, fun, arg):
        if fun == "test.ping":
            return True
        if fun == "saltutil.is_running":
            if "finds" in host.faults:
                return host.faults["finds"]
            others = [{"jid": "1", "fun": "state.highstate", "pid": 2}] * (self.time < host.other_until)
            return [{"jid": host.job[0], "fun": "state.apply", "pid": 1}] if host.job else others
        assert fun == "klp_audit.state_summary", fun
        return host.faults["says"] if "says" in host.faults else state_summary(self, host, *arg)


class Answered:
    """A question whose answers have come: the time of the world has passed meanwhile."""

    def __init__(self, found):
        self.found = found

    def over(self):
        return True


PATCH = (World._backup, World._updates, World._live_patch, World._verify)
ROLLBACK = (World._go_back, World._verify)


def state(name, result, comment, changed=0):
    """Return an answer of state.apply with one state."""
    return {
        f"klp_|-{name}_|-{name}_|-x": {
            "__id__": name,
            "result": result,
            "comment": comment,
            "changes": {"x": 1} if changed else {},
        }
    }


def ill(world, host):
    """Return what is not well of the application of a simulated host."""
    since = host.faults.get("ill")
    sick = since is not None and host.patched is not None and world.time >= host.patched + since
    return ["command shop: exit 1: no answer"] if sick else []


def state_summary(world, host, run="", services=(), application=False):
    """Return what klp_audit.state_summary of a simulated host says."""
    return {
        "version": 3,
        "host": host.name,
        "time": int(world.time),
        "kernel": KERNEL,
        "transition": "in_progress" if host.faults.get("restless") else "ready",
        "package": PACKAGE,
        "live_patch": host.edition,
        "active": None,
        "unfinished": False,
        "held": host.held,
        "restoring": False,
        "run": host.runs.get(run),
        "busy": [f"state.apply {host.job[0]}"] if host.job else ["state.highstate 1"] * (world.time < host.other_until),
        "health": {
            "boot": host.boot,
            "log": host.log,
            "errors": list(host.errors),
            "tainted": "32768",
            "services": dict.fromkeys(services, True),
            "application": ill(world, host) if application else None,
            "patience": host.faults.get("patience", 0),
        },
        "hooks": {
            "before": ["site.drain"] if host.hooks else [],
            "after": ["site.undrain"] if host.hooks else [],
            "on_failure": [],
            "due": host.drained and {"around": "klp.patch", "since": host.drained, "stage": "changing"},
        },
        "kernel_change": None,
    }


def run_preview(world, host):
    """Return what klp_audit.run_preview of a simulated host says."""
    changes = {"curl": "8.0-1", PACKAGE: NEW} if host.edition != NEW else {}
    changes = {"curl": "8.0-1"} if host.faults.get("behind") and not host.updated else changes
    said = state_summary(world, host)
    more = {"group": host.group, "apart": host.apart, "seconds": int(host.seconds), "kernel_target": None}
    return dict(said, changes=changes, target=NEW, skipped=[], refusals=[], **more)
