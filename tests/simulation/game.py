"""A campaign that a test has in its hands: driven step by step, with things that happen in between."""

from __future__ import annotations

import contextlib
from typing import Any

from _runners.klp import drive, turning
from tests.simulation import campaign
from tests.simulation.world import SimHost, World

ONE = [{"name": "one"}]


class Driven:
    """A campaign over a simulated world, and how a test drives it; ``world``, ``plan`` and ``store`` are set."""

    world: Any
    plan: Any
    store: Any

    def __init__(self):
        self.entries: list = []
        self.found: Any = None

    def said(self, entry):
        """Take an entry of the journal that has been written."""
        self.entries.append(entry)

    @contextlib.contextmanager
    def driver(self):
        with self.store.driving(self.plan["id"]) as journal:
            yield drive.Driver(self.store, self.plan, journal, self.world, self.said)

    def go(self):
        """Drive until it is over or paused; return the campaign."""
        with self.driver() as driver:
            turning.turn([driver])
        self.found = driver.campaign
        return self.found

    def until(self, driver, what):
        """Drive until an entry of this kind has been written."""
        for _ in range(5000):
            if what in self.whats():
                return
            nap = driver.step()
            assert nap is not None, what
            if nap:
                self.world.wait(nap)
        raise AssertionError(f"{what} does not come: {self.whats()}")

    def wish(self, want):
        self.store.wish(self.plan["id"], want, "anna", self.world.time)

    def whats(self):
        return [entry["what"] for entry in self.entries]

    def of(self, name):
        item = self.found.hosts[name]
        return item.stage, item.why


class Game(Driven):
    """A campaign over hosts in one wave, none of which is watched afterwards unless that is asked for."""

    def __init__(self, folder, hosts, **klp_campaign):
        super().__init__()
        self.world = World([SimHost(name, 60.0, **faults) for name, faults in hosts.items()])
        settings = {"waves": ONE, "batch": "100%", "soak": {"minutes": []}, **klp_campaign}
        self.plan = campaign.plan(self.world, **settings)
        self.store = campaign.saved(folder, self.plan)
        self.before_ask: Any = None
        self.after_ask: Any = None
        self.ask = self.world.ask
        setattr(self.world, "ask", self.asked)  # noqa: B010

    def asked(self, hosts, fun, arg, timeout):
        """Answer a question; something may happen just before or just after it."""
        if self.before_ask:
            self.before_ask(fun)
        found = self.ask(hosts, fun, arg, timeout)
        if self.after_ask:
            self.after_ask(fun)
        return found
