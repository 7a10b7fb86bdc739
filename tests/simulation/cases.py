"""Campaigns whose driver is killed at one moment, and how they end undisturbed."""

import tempfile

from _runners.klp import journal
from tests.simulation import campaign, killing
from tests.simulation.world import SimHost, World

WAVES = [{"name": "canary", "take": 1}, {"name": "two", "take": 3}, {"name": "rest"}]


class Case:
    """A campaign over eight hosts in three waves, in a folder of its own, and how it ends undisturbed."""

    def __init__(self, faults, soak=(1, 5)):
        self.faults, self.soak = faults, list(soak)
        self.plan = self.made(self.world())
        self.folder = tempfile.TemporaryDirectory(dir=campaign.MEMORY)
        self.number = 0
        self.wanted, self.names, self.entries = self.undisturbed()
        self.requests = len(self.names)

    def made(self, world):
        """Return the plan."""
        limits = {"failed": 0}
        return campaign.plan(
            world, waves=WAVES, batch=4, soak={"minutes": self.soak}, on_failure="rollback", limits=limits
        )

    def world(self):
        return World(
            [SimHost(f"h{number:02}", 40.0 + 7 * number, **self.faults.get(f"h{number:02}", {})) for number in range(8)]
        )

    def store(self):
        """Return a store with the plan and nothing else, anew."""
        self.number += 1
        return campaign.saved(f"{self.folder.name}/{self.number}", self.plan)

    def start(self, there, world, when="never", number=0):
        """Return a process that drives."""
        child, pipe = killing.start(not self.faults, there.folder, self.plan["id"], when, number)
        return killing.Server(child, pipe, world)

    def undisturbed(self):
        there, world = self.store(), self.world()
        child = self.start(there, world)
        assert child.serve() == 0
        return self.end(there, world), child.names, len(there.entries(self.plan["id"]))

    def end(self, there, world):
        """Return how a campaign has ended, after a look at what must hold in any case."""
        entries = journal.read(there.path(self.plan["id"], "journal"))
        assert [entry["n"] for entry in entries] == list(range(1, len(entries) + 1))
        assert [entry["what"] for entry in entries].count("end") == 1 and entries[-1]["what"] == "end"
        found = campaign.replayed(there, self.plan["id"])
        for name, host in world.hosts.items():
            runs = [run for run, _ in host.backups]
            assert runs == [self.plan["id"]] * (len(runs) > 0), (name, runs)
            assert not host.clashes and len(host.transactions) == len(set(host.transactions)), (name, host.transactions)
        jids = [entry["jid"] for entry in entries if entry["what"] in ("start", "back")]
        assert len(jids) == len(set(jids))
        hosts = {
            name: (host.edition, host.held, host.transactions, len(host.backups), found.hosts[name].stage)
            for name, host in world.hosts.items()
        }
        ways = {name: item.back for name, item in found.hosts.items()}
        return {"result": found.result, "hosts": hosts, "back": ways, "quarantine": campaign.banned(there)}

    def recover(self, there, world, down=0.0):
        """Drive to the end after a kill, and return how it has ended."""
        there.entries(self.plan["id"])
        world.advance(down)
        campaign.go(there, self.plan["id"], world)
        return self.end(there, world)
