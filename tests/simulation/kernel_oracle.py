"""
What must hold of every campaign of kind kernel besides what holds of all: nobody is restarted twice, outside of a
maintenance window, beside one that it is kept apart from, or while a gate has failed; and nobody without ``reboot``.
"""

from __future__ import annotations

from tests.simulation.afterwards import SKEW
from tests.simulation.hours import inside
from tests.simulation.kernel_world import EDITION, TARGET
from tests.simulation.oracle import Watcher, most
from tests.simulation.world import KERNEL

BETWEEN = ("installed", "restarting", "restarted")
BACK = {"installed": "back installed", "restarting": "back restarting", "restarted": "waiting"}
GONE = ("failed", "unreachable")


class KernelWatcher(Watcher):
    """Takes each entry of a journal of kind kernel the moment it is written."""

    def __init__(self, plan, world):
        super().__init__(plan, world)
        self.turned: set = set()  # hosts that were seen with another boot id
        self.armed: dict = {}  # host -> boot id with which it was installed
        world.watch = self

    def _move(self, hosts, stage, entry):
        for host in hosts:
            if entry.get("way"):
                self.back[host] = BACK[stage]
            else:
                self.stage[host] = stage

    def _installed(self, entry):
        for host, boot in entry["hosts"].items():
            assert host not in self.turned or entry.get("way"), f"{host} is installed again after its restart"
            assert boot == self.world.hosts[host].change["boot_id"]
            self.armed[host] = boot
            if host in (one for hosts in self.waves[: self.passed + 1] for one in hosts):
                self.owed.add(host)  # it was given up, and has answered late
        self._move(entry["hosts"], "installed", entry)

    def _restart(self, entry):
        hosts, back = list(entry["hosts"]), bool(entry.get("way"))
        assert self.plan["settings"]["reboot"], "a host is restarted, and nobody has asked for that"
        assert not self.paused and not self.gone and (back or not self.stopped), "a host is restarted after a stop"
        assert abs(self.world.skew) <= SKEW, "a host is restarted, and most hosts have another time than the master"
        assert back or not self.exceeded(), "a host is restarted after a limit was exceeded"
        minutes, rules = 60 * self.plan["settings"]["limits"]["restart"], self.plan["settings"]["windows"]
        for at in (
            entry["at"],
            entry["by"],
            entry["by"] + minutes - 1,
            *range(entry["at"], entry["by"] + minutes, 600),
        ):
            assert inside(rules, at), "a host is restarted, and the window closes before it has to be back"
        for one in range(self.wave + 1 if not back else 0):
            quiet = self.quiet(one)
            assert not quiet or self.failed(one)[0] + len(quiet) <= 0, "a host is restarted, and silent ones may be ill"
        for host in hosts:
            assert (self.back[host] if back else self.stage[host]) == (BACK["installed"] if back else "installed")
            assert entry["hosts"][host] == self.armed[host], f"{host} is restarted in the name of another start"
            for other in self.kin.others[host]:
                assert other not in hosts, f"{host} is restarted together with {other}"
                assert not self._down(other), f"{host} is restarted, and {other} may be down"
        self._move(hosts, "restarting", entry)
        self._room()

    def _down(self, host):
        """Whether a host is, as far as anybody knows, being changed or down."""
        busy = self.stage[host] in (*BETWEEN, "running", "ready") and self.back.get(host) is None and not self.stopped
        busy = busy or self.back.get(host) in ("running", *list(BACK.values())[:2])
        return busy or self.stage[host] in ("unreachable", "absent") and self.back.get(host) != "back"

    def _room(self):
        down = {host for host, stage in self.stage.items() if stage in ("restarting", "restarted", "running")}
        down -= self.silent
        assert self.stopped or len(down) <= most(self.spec("batch", self.wave), max(map(len, self.waves)))

    def _unrestarted(self, entry):
        for host in entry["hosts"]:
            item = self.world.hosts[host]
            assert item.boot == self.armed[host] and not item.going, (
                f"{host} has restarted, and is to be restarted again"
            )
        self._move(entry["hosts"], "installed", entry)

    def _restarted(self, entry):
        for host, base in entry["hosts"].items():
            item = self.world.hosts[host]
            assert base["boot"] == item.boot != self.armed[host], f"{host} has not restarted"
            self.boots[host], self.logs[host] = item.boot, item.log
            self.turned.add(host)
            if host in (one for hosts in self.waves[: self.passed + 1] for one in hosts):
                self.owed.add(host)
        self._move(entry["hosts"], "restarted", entry)

    def _verify(self, entry):
        for host in entry["hosts"]:
            assert self.stage[host] == "restarted" and not self.world.hosts[host].job
            self.jids[host] = entry["jid"]
        self._set(entry["hosts"], "running")

    def _again_after(self, entry):
        turned = [host for host in entry["hosts"] if host in self.turned]
        self._set(turned, "restarted")
        return [host for host in entry["hosts"] if host not in self.turned]

    def _lost(self, entry):
        super()._lost(dict(entry, hosts=self._again_after(entry)))

    def _unbegun(self, entry):
        rest = self._again_after(entry)
        super()._lost(dict(entry, hosts=rest))
        for host in rest:
            self.starts[host] -= 1
            self.met[host] += 1
            if entry["what"] == "unbegun" and not self.starts[host]:
                self.touched.discard(host)

    _unsent = _unbegun

    def _start(self, entry):
        super()._start(entry)
        if self.plan["settings"]["reboot"]:
            wave = self.waves[entry["wave"]]
            there = {host for host in wave if self.stage[host] in ("running", *BETWEEN)} - self.silent
            assert len(there) <= most(self.spec("batch", entry["wave"]), len(wave)), "installed hosts have their place"

    def _unread(self):
        """A good answer is believed when its host says what it is; one that is silent cannot say it."""
        hosts = self.world.hosts
        return [host for host in super()._unread() if hosts[host].down_until < self.world.time - 400]

    def _ended(self, entry):
        super()._ended(entry)
        for host, why in entry["hosts"].items():
            item = self.world.hosts[host]
            assert why or (item.stage == "verified" and item.kernel == TARGET), f"{host} is verified, and is not"

    def _spared(self, entry):
        for host in entry["hosts"]:
            assert self.stage[host] == "installed" or (
                self.stage[host] in ("waiting", "ready") and host not in self.touched
            )
        self.kin.spared(entry["hosts"])
        self._set(entry["hosts"], "spared")

    def _gate(self, entry):
        assert not self.stopped and entry["suspects"] == []
        assert entry["wave"] in self.exceeded(), "no limit was exceeded"
        self.stopped = entry
        theirs = {*self.waves[entry["wave"]], *self.waves[self.wave]}
        both = self.touched & theirs
        both = both if any(self.stage[host] in GONE for host in both) else set()
        assert (TARGET in entry["why"]) == bool(both), "the sentence says which kernel"
        assert set(entry["back"]) == (both if self.plan["settings"]["on_failure"] == "rollback" else set())
        self.back = dict.fromkeys(entry["back"], "waiting")

    def _abort(self, entry):
        super()._abort(entry)
        self.back.update(
            {host: "stays" for host, stage in self.back.items() if stage in ("waiting", BACK["installed"])}
        )

    def _end(self, entry):
        self.over = entry["result"]
        assert not {"running", "restarting", "restarted"} & set(self.stage.values()), self.stage
        assert not {"running", *BACK.values()} & set(self.back.values()), self.back
        if self.over in ("done", "incomplete"):
            assert self.passed == len(self.waves) - 1
        if self.over == "done":
            assert set(self.stage.values()) <= {"verified"}
            assert all(self.world.hosts[host].kernel == TARGET for host in self.stage)
        if self.over != "expired":
            assert (self.over == "done") == (not self.stopped and set(self.stage.values()) <= {"verified"})


def restarts(world, watch):
    """Return what is wrong with the restarts of a campaign: truly done, by whom, when, and beside whom."""
    wrong: list = []
    plan = watch.plan
    clocks = [skew - late for skew in world.skews if abs(skew) <= SKEW for late in (0, 1)]
    for name, host in world.hosts.items():
        mine = [stage for _, stage in host.orders]
        wrong += [(name, "restarted twice", mine)] if len(mine) != len(set(mine)) or len(mine) > 2 else []
        wrong += [(name, "restarted without reboot", mine)] if mine and not plan["settings"]["reboot"] else []
        for moment, _ in host.orders:
            if not any(inside(plan["settings"]["windows"], moment + off) for off in clocks):
                wrong.append((name, "restarted outside of a window", moment))
        if host.transactions.count(EDITION) > 1 or host.clashes:
            wrong.append((name, host.transactions, host.clashes))
        for other in watch.kin.others.get(name, ()):
            wrong += [(name, other, "down together")] if _together(host, world.hosts[other]) else []
        if watch.back.get(name) == "back" and (host.kernel, host.default, host.once) != (KERNEL, KERNEL, None):
            wrong.append((name, "has not gone back", host.kernel, host.default))
    return wrong


def _together(host, other):
    """Whether a host was down by order of the campaign while the other one was, too."""
    mine = [span for span in host.downs if span[2] == "campaign"]
    return any(
        first < other_last and other_first < last
        for first, last, _ in mine
        for other_first, other_last, why in other.downs
        if why == "campaign"
    )
