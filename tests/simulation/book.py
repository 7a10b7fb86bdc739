"""A campaign that is nothing but its journal, written entry by entry."""

from __future__ import annotations

import itertools

from _runners.klp import campaign as states
from _runners.klp import decide
from tests.simulation import campaign
from tests.simulation.world import OLD, START, SimHost, World

BASE = {"boot": "boot-1", "log": 100, "tainted": "0"}


class Book:
    """A campaign over hosts a to h in two waves of four, entry by entry."""

    def __init__(self, names="abcdefgh", editions=None, kin=None, **klp_campaign):
        waves = [{"name": "one", "take": 4}, {"name": "two"}]
        editions, kin = editions or {}, kin or {}
        world = World([SimHost(name, edition=editions.get(name, OLD), apart=kin.get(name, ())) for name in names])
        settings = {"waves": waves, "batch": 2, "soak": {"minutes": [1, 5]}, **klp_campaign}
        self.plan = campaign.plan(world, **settings)
        self.found = states.Campaign(self.plan)
        self.numbers = itertools.count(1)
        self.now = START

    def add(self, what, **fields):
        """Write an entry."""
        self.found.apply({"what": what, "at": int(self.now), "n": next(self.numbers), **fields})
        return self

    def next(self, ignored=()):
        """Return what is done next."""
        return decide.step(self.found, self.now, dict(ignored))

    def do(self, **more):
        """Write down what is done next, and return it."""
        todo = dict(self.next(), **more)
        self.add(todo["do"], **{key: value for key, value in todo.items() if key != "do"})
        return todo["do"]

    def begin(self):
        assert [self.do(), self.do()] == ["begin", "open"]
        return self

    def start(self, hosts, jid):
        self.add("ready", hosts=dict.fromkeys(hosts, BASE))
        return self.add("start", wave=self.found.current, hosts=list(hosts), jid=jid, by=int(self.now) + 300)

    def end(self, hosts, jid, why=None):
        return self.add("ended", jid=jid, hosts=dict.fromkeys(hosts, why))

    def pass_wave(self, hosts, jid="0"):
        self.start(hosts, jid).end(hosts, jid).add("patched", wave=self.found.current)
        return self.check(last=True).add("passed", wave=self.found.current)

    def check(self, looked=(), last=False, **bad):
        """Look at hosts of the wave whose turn it is; ``bad`` are those that are not well, with the reason."""
        hosts = {host: ["failed", why] for host, why in bad.items()}
        return self.add("checked", wave=self.found.current, hosts=hosts, looked=list(looked), last=last)

    def stages(self):
        return "".join(item.stage[0] for item in self.found.hosts.values())
