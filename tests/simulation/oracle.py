"""
What must hold of every campaign, found out by other means than the engine's: from its journal, and from what the
simulated hosts truly do.
"""

from __future__ import annotations

import collections
import math
from typing import Any

from tests.simulation.afterwards import SKEW
from tests.simulation.hours import inside
from tests.simulation.kin import Kin
from tests.simulation.world import PACKAGE

ENDS = ("verified", "failed", "refused", "unreachable", "absent", "spared")


def most(share, total):
    """Return how many hosts of a wave a number or a percentage means, at least one."""
    if isinstance(share, str):
        return max(1, min(total, math.ceil(total * int(share.rstrip("%")) / 100)))
    return max(1, min(share, total))


class Watcher:
    """Takes each entry of a journal the moment it is written, before it has an effect."""

    def __init__(self, plan, world):
        self.plan, self.world = plan, world
        self.waves = [list(wave["hosts"]) for wave in plan["waves"]]
        self.totals = [len(hosts) for hosts in self.waves]
        self.stage = {host: "waiting" for hosts in self.waves for host in hosts}
        self.wave = -1  # the one that was opened last
        self.passed = -1
        self.starts: dict = dict.fromkeys(self.stage, 0)
        self.touched: set = set()  # hosts that may have got something
        self.met: collections.Counter = collections.Counter()  # runs that had not begun
        self.free = set(self.stage)  # hosts that may be started: never, or their run was cut off
        self.paused: Any = None
        self.stopped: Any = None
        self.over = self.ban = self.gone = None
        self.back: dict = {}
        self.entries: list = []
        self.silent: set = set()  # hosts that run and do not answer
        self.owed: set = set()  # hosts whose wave has passed before they had ended
        self.looks: dict = {host: [] for host in self.stage}  # when it was looked at
        self.since: dict = {}  # when it was verified
        self.boots: dict = {}  # boot id when it was asked before its first run
        self.kin = Kin(self)  # those that are kept apart
        self.logs: dict = {}  # last number of its kernel log then
        self.jids: dict = {}  # of its last run
        self.asks = world.asks  # how often hosts had been asked before this entry
        self.last = False  # whether all hosts were looked at a last time

    def __call__(self, entry):
        assert self.over is None, f"after the end: {entry}"
        self.entries.append(entry)
        getattr(self, "_" + entry["what"], lambda entry: None)(entry)
        self.asks = self.world.asks

    def spec(self, key, number):
        """Return a key of a wave."""
        return self.plan["waves"][min(number, len(self.plan["waves"]) - 1)][key]

    def quiet(self, number):
        """Return the hosts of a wave that run and are silent."""
        return {host for host in self.waves[number] if self.stage[host] == "running"} & self.silent

    def _in_turn(self, number, hosts):
        assert number == self.wave or (number < self.wave and set(hosts) <= self.owed), (
            "it is not the turn of this wave"
        )

    def _open(self, entry):
        assert not self.stopped
        assert entry["wave"] == self.wave + 1 == self.passed + 1, "a wave has begun before the one before it has passed"
        self.wave += 1

    def _ready(self, entry):
        for host in entry["hosts"]:
            if not self.starts[host] or host not in self.boots:
                self.boots[host], self.logs[host] = self.world.hosts[host].boot, self.world.hosts[host].log
        self._set(entry["hosts"], "ready")

    def _clock(self, entry):
        """The master's clock has jumped: times are counted on, and who was ready is asked again."""
        by = entry["by"]
        self.since = {host: at + by for host, at in self.since.items()}
        self.looks = {host: [at + by for at in moments] for host, moments in self.looks.items()}
        self._set([host for host, stage in self.stage.items() if stage == "ready"], "waiting")

    def _waiting(self, entry):
        self._set(entry["hosts"], "waiting")

    def _set(self, hosts, stage):
        for host in hosts:
            self.stage[host] = stage

    def _start(self, entry):
        hosts, number = entry["hosts"], entry["wave"]
        assert not self.stopped, "a host is started after the campaign was stopped"
        assert not self.paused, "a host is started while the campaign is paused"
        assert inside(self.plan["settings"]["windows"], self.world.now()), "a host is started outside of the windows"
        self._in_turn(number, hosts)
        assert abs(self.world.skew) <= SKEW, "a host is started, and most hosts have another time than the master"
        assert set(hosts) <= set(self.waves[number])
        assert not self.exceeded(), "a host is started after a limit was exceeded"
        for one in range(self.wave + 1):
            quiet = self.quiet(one)
            assert not quiet or self.failed(one)[0] + len(quiet) <= 0, (
                "a host is started, and silent ones may have failed"
            )
        assert entry["at"] <= entry["by"] <= entry["at"] + self.plan["settings"]["limits"]["start_within"]
        self.kin.start(hosts)
        self._in_time(entry)
        unread = self._unread()
        assert not unread, f"hosts are started before the answer of {unread[0]} is read"
        self.jids.update(dict.fromkeys(hosts, entry["jid"]))
        for host in hosts:
            if self.starts[host] and self.plan["settings"]["on_restart"] == "fail":
                assert self.world.hosts[host].boot == self.boots[host], f"{host} has restarted and is begun again"
            assert host in self.free, f"{host} is started again, and its run was not cut off"
            assert not self.world.hosts[host].job, f"{host} is started while its run is alive"
            self.free.discard(host)
            self.touched.add(host)
            self.starts[host] += 1
            assert self.starts[host] <= self.plan["settings"]["limits"]["attempts"]
        self._set(hosts, "running")
        there = {host for host, stage in self.stage.items() if stage == "running"} - self.silent
        assert len(there) <= most(self.spec("batch", number), len(self.waves[number])), (
            "more hosts run than the batch has"
        )

    def _unread(self):
        running = [host for host, stage in self.stage.items() if stage == "running"]
        return [host for host in running if host in self.world.returns.get(self.jids[host], ())]

    def _in_time(self, entry):
        """A host that begins at the last moment allowed begins in the window as well."""
        rules = self.plan["settings"]["windows"]
        late = [at for at in (*range(entry["at"], entry["by"], 15), entry["by"] - 1) if not inside(rules, at)]
        assert not late or entry["by"] <= entry["at"], f"hosts may begin at {late[0]}, when no window is open"

    def _spared(self, entry):
        for host in entry["hosts"]:
            assert self.stage[host] in ("waiting", "ready") and host not in self.touched
        self.kin.spared(entry["hosts"])
        self._set(entry["hosts"], "spared")

    def _lost(self, entry):
        if entry["what"] == "lost" and self.plan["settings"]["on_restart"] == "fail":
            for host in entry["hosts"]:
                assert self.world.hosts[host].boot == self.boots[host], f"{host} has restarted and is begun again"
        self._set(entry["hosts"], "waiting")
        self.free.update(entry["hosts"])

    def _unbegun(self, entry):
        self._lost(entry)
        for host in entry["hosts"]:
            self.starts[host] -= 1
            self.met[host] += 1
            if entry["what"] == "unbegun" and not self.starts[host]:  # Salt itself has said so
                self.touched.discard(host)

    _unsent = _unbegun

    def _ended(self, entry):
        for host, why in entry["hosts"].items():
            assert self.starts[host], f"{host} has ended and was never started"
            self.stage[host] = "failed" if why else "verified"
            self.since[host] = entry["at"]
            if host in (one for hosts in self.waves[: self.passed + 1] for one in hosts):
                self.owed.add(host)  # it was given up, and has answered late
        refused = {host for host, why in entry["hosts"].items() if why and (entry["jid"], host) in self.world.unchanged}
        assert set(entry.get("untouched", ())) == refused, "a run that was refused before its first change says so"
        for host in refused:
            if self.starts[host] == 1 and not self.met[host]:
                self.touched.discard(host)

    def _silent(self, entry):
        patience = 60 * self.plan["settings"]["limits"]["silent"]
        for host in entry["hosts"]:
            begun = max(at for at, _, _ in self.world.hosts[host].started) if self.world.hosts[host].started else 0
            begun = max(begun, self.world.spoke.get(host, 0))
            assert self.stage[host] == "running" and self.world.time - begun >= patience - 1
        self.silent |= set(entry["hosts"])

    def _spoke(self, entry):
        assert set(entry["hosts"]) <= self.silent
        self.silent -= set(entry["hosts"])

    def _checked(self, entry):
        number, soak = entry["wave"], self.spec("soak", entry["wave"])
        hosts = [host for host in self.waves[number] if self.stage[host] == "verified"]
        self._in_turn(number, entry["looked"])
        assert soak, "nobody is to be looked at"
        left = {host for host in self.waves[number] if self.stage[host] not in ENDS}
        assert not entry["last"] or (number == self.wave and left <= self.quiet(number))
        for host in hosts if entry["last"] else entry["looked"]:
            assert host in hosts, "only a host that was verified can be looked at"
            done = len(self.looks[host])
            if done < len(soak):
                assert entry["at"] >= self.since[host] + 60 * soak[done] - 1, "a host is looked at too early"
            else:
                assert entry["last"], "a host is looked at too often"
            self.looks[host].append(entry["at"])
        self._seen(hosts if entry["last"] else entry["looked"], entry)
        self._bad(entry)

    def _seen(self, hosts, entry):
        """Each of these hosts was asked for this entry, and what is wrong with it is what it has said."""
        wrong = {}
        for host in hosts:
            number, answered, health = self.world.heard.get(host, (0, False, None))
            assert number > self.asks, f"{host} counts as looked at, and nobody has asked it"
            if not answered:
                wrong[host] = "unreachable"
            elif self._ill(host, health) or (entry.get("last", True) and self.world.hosts[host].faults.get("restless")):
                wrong[host] = "failed"
        assert {host: stage for host, (stage, _) in entry["hosts"].items()} == wrong

    def _ill(self, host, health):
        if health is None or health["boot"] != self.boots[host]:
            return True
        return bool(health["application"]) or any(item["number"] > self.logs[host] for item in health["errors"])

    def _bad(self, entry):
        for host, (stage, _) in entry["hosts"].items():
            assert self.stage[host] == "verified"
            self.stage[host] = stage

    def _looked(self, entry):
        assert not self.last, "a last look is the last one"
        self.last = True
        # It has to ask those that nobody has looked at for ten minutes, and may ask others.
        asked = {host for host in self._watched() if host in entry["hosts"] or self._unseen(host, entry)}
        self._seen(asked, entry)
        self._bad(entry)

    def _watched(self):
        """Return the verified hosts of the waves that are watched."""
        hosts = [host for number, hosts in enumerate(self.waves) if self._soak(number) for host in hosts]
        return [host for host in hosts if self.stage[host] == "verified"]

    def _unseen(self, host, entry, seconds=600):
        return not self.looks[host] or entry["at"] - self.looks[host][-1] > seconds

    def _absent(self, entry):
        self._set(entry["hosts"], "absent")

    def _refused(self, entry):
        self._set(entry["hosts"], "refused")

    def _unreachable(self, entry):
        self._set(entry["hosts"], "unreachable")

    def _failed(self, entry):
        self._set(entry["hosts"], "failed")

    _overdue = _failed

    def _soak(self, number):
        return self.plan["waves"][min(number, len(self.plan["waves"]) - 1)]["soak"]

    def failed(self, number):
        """Return by how many hosts a wave has more failed, and more unreachable ones, than are allowed."""
        late = number >= len(self.plan["waves"])
        limits, hosts = self.plan["settings"]["limits"], self.waves[number]
        spec = limits if late else self.plan["waves"][number]
        found = []
        gone = ("failed", "refused", "unreachable")  # who was started and is never heard of again has failed as well
        for key, stages in (("failed", gone), ("unreachable", ("unreachable", "absent"))):
            may = max(spec[key], self.totals[number] * limits[key + "_percent"] // 100)
            found.append(sum(self.stage[host] in stages for host in hosts) - may)
        return found[0], 0 if late or number < self.wave else found[1]

    def exceeded(self):
        """Return the waves with more failed or unreachable hosts than are allowed."""
        return [number for number in range(self.wave + 1) if max(self.failed(number)) > 0]

    def _passed(self, entry):
        assert entry["wave"] == self.wave
        quiet = self.quiet(self.wave)
        assert {host for host in self.waves[self.wave] if self.stage[host] not in ENDS} <= quiet
        assert not quiet or self.failed(self.wave)[0] + len(quiet) <= 0, (
            "a wave has passed, and silent hosts may have failed"
        )
        self.owed |= quiet
        assert not self.exceeded(), "a wave has passed with more failed hosts than are allowed"
        for host in self.waves[self.wave]:
            if self.stage[host] == "verified":
                assert len(self.looks[host]) >= len(self.spec("soak", self.wave)), (
                    f"{host} was not looked at as often as declared"
                )
        self.passed = self.wave

    def _late(self, entry):
        assert self.passed == len(self.waves) - 1
        assert {self.stage[host] for host in entry["hosts"]} == {"absent"}
        for wave in self.waves:
            wave[:] = [host for host in wave if host not in entry["hosts"]]
        self.waves.append(list(entry["hosts"]))
        self.totals.append(len(entry["hosts"]))
        self._set(entry["hosts"], "waiting")
        self.free.update(entry["hosts"])

    def _gate(self, entry):
        assert not self.stopped
        assert entry["wave"] in self.exceeded(), "no limit was exceeded"
        self.stopped = entry
        theirs = {*self.waves[entry["wave"]], *self.waves[self.wave]}
        both = {host for host in self.touched & theirs if self._brought(host)}
        both = both if any(self.stage[host] in ("failed", "unreachable") for host in both) else set()
        assert {(item["package"], item["edition"]) for item in entry["suspects"]} == {
            (PACKAGE, self.plan["hosts"][host]["target"]) for host in both
        }
        both = {host for host in both if self.world.hosts[host].before}  # to nothing there is no way back
        wanted = both if self.plan["settings"]["on_failure"] == "rollback" else set()
        assert set(entry["back"]) == wanted
        self.back = dict.fromkeys(entry["back"], "waiting")

    def _brought(self, host):
        item = self.plan["hosts"][host]
        return self.plan["kind"] == "patch" and item["target"] != item["before"]

    def _quarantine(self, entry):
        assert self.stopped and entry["items"] == self.stopped["suspects"]
        self.ban = entry["items"]

    def _back(self, entry):
        assert not self.paused, "a host goes back while the campaign is paused"
        assert abs(self.world.skew) <= SKEW, "a host goes back, and most hosts have another time than the master"
        assert not self.gone, "a host goes back after the campaign was aborted"
        self.kin.back(entry["hosts"])
        for host in entry["hosts"]:
            assert self.back[host] == "waiting" and not self.world.hosts[host].job
            self.back[host] = "running"
        wave = self.waves[self.stopped["wave"]]
        running = [host for host, state in self.back.items() if state == "running"]
        assert len(running) <= most(self.plan["waves"][min(self.wave, len(self.plan["waves"]) - 1)]["batch"], len(wave))

    def _again(self, entry):
        self.back.update(dict.fromkeys(entry["hosts"], "waiting"))

    def _returned(self, entry):
        self.kin.stays(entry)
        self.back.update({host: "stays" if why else "back" for host, why in entry["hosts"].items()})

    def _stays(self, entry):
        self.kin.stays(entry)
        self.back.update(dict.fromkeys(entry["hosts"], "stays"))

    def _pause(self, entry):
        self.paused = entry

    def _resume(self, entry):
        self.paused = None

    def _abort(self, entry):
        self.gone = entry
        self.stopped = self.stopped or entry

    def _end(self, entry):
        self.over = entry["result"]
        unseen = [host for host in self._watched() if self._unseen(host, entry)]
        assert self.last or not unseen, "a patched host was not looked at a last time"
        assert "running" not in self.stage.values() and "running" not in self.back.values()
        if self.over in ("done", "incomplete"):
            assert self.passed == len(self.waves) - 1 and set(self.stage.values()) <= set(ENDS)
        if self.over in ("stopped", "aborted"):
            assert self.stopped and ("waiting" not in self.back.values() or self.gone)
            assert not [host for host in self.stage if self.starts[host] and self.stage[host] == "waiting"]
        truly = all(self.world.hosts[host].edition == self.plan["hosts"][host]["target"] for host in self.stage)
        if self.over == "done":
            assert set(self.stage.values()) <= {"verified"} and truly
        if self.over != "expired":
            assert (self.over == "done") == (not self.stopped and set(self.stage.values()) <= {"verified"})
