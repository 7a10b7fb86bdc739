"""How far a live patch that does harm gets before the campaign stops: 1,000 simulated hosts in the last wave."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

from tests.simulation import campaign as simulated
from tests.simulation.world import NEW, START, SimHost, World

from . import table

SIZE, SEED, SHARE = 1000, 20261128, 0.3
CANARIES = 20
SETTINGS: dict[str, Any] = {
    "waves": [{"name": "canary", "take": CANARIES}, {"name": "rest"}],
    "batch": "10%",
    "soak": {"minutes": [1, 5, 15]},
}
NEVER = 10.0**9
# What happens to three of ten hosts when the live patch has come; the canaries have another hardware.
HARMS: dict[str, dict[str, Any]] = {
    "hurts": {"oops": True},
    "panics": {"crashes": 3, "down": 180.0},
    "hangs": {"dies": 3, "down": NEVER},
    "sickens": {"ill": 240.0},  # its application, after four minutes; pillar klp:health asks it
}
LIMIT = 10 * 60  # seconds from the first host that fell ill to the last start, the patience with silent hosts apart


def hosts(harm: str) -> list[SimHost]:
    """Return the hosts of an experiment; those that are harmed are the same in each."""
    chance, found = random.Random(SEED), []  # noqa: S311
    for number in range(SIZE + CANARIES):
        seconds, ill = chance.uniform(40, 200), chance.random() < SHARE
        faults = dict(HARMS[harm]) if ill and number >= CANARIES else {}
        found.append(SimHost(f"host{number:04}", seconds, **faults))
    return found


def fell_ill(host: SimHost) -> float:
    """Return when a host was harmed: in the last quarter of its run, or so many seconds after the live patch came."""
    after = host.faults.get("ill")
    return host.started[0][0] + (host.seconds * 3 / 4 if after is None else host.seconds / 2 + after)


def harm(name: str) -> dict[str, float]:
    """Return what one kind of harm did."""
    world = World(hosts(name))
    with tempfile.TemporaryDirectory(dir=simulated.MEMORY) as folder:
        found = simulated.whole(Path(folder), world, **SETTINGS)
    ill = [host for host in world.hosts.values() if host.faults and host.started]
    first = min(map(fell_ill, ill))
    begun = [at for host in world.hosts.values() for at, _, sls in host.started if sls == "klp.patch"]
    rest = [host for host in world.hosts.values() if host.name[4:] >= f"{CANARIES:04}"]
    return {
        "got the live patch": sum(host.edition == NEW or bool(host.faults and host.started) for host in rest),
        "started after the first was ill": sum(at > first for at in begun),
        "were harmed": len(ill),
        "times in all": sum(sls == "klp.patch" for host in ill for _, _, sls in host.started),
        "minutes until the last start": max(0.0, max(begun) - first) / 60,
        "stopped after h": (found.over - START) / 3600,
    }


def wrong(results: dict[str, dict[str, float]]) -> list[str]:
    """Return what is worse than was promised."""
    found = []
    for name, row in results.items():
        patience = 600 if name == "hangs" else 0
        if row["minutes until the last start"] * 60 > LIMIT + patience:
            found.append(
                f"{name}: hosts were started {row['minutes until the last start']:.0f} minutes after the first"
            )
        if row["times in all"] > row["were harmed"]:
            found.append(f"{name}: a host was harmed twice")
    return found


def main() -> int:
    """Do all experiments and print the table; the exit code is 1 if one is worse than was promised."""
    results = {name: harm(name) for name in HARMS}
    rows = [[name, *[table.figure(value) for value in row.values()]] for name, row in results.items()]
    print("\n".join(table.columns([f"of {SIZE:,} hosts", *next(iter(results.values()))], rows)))
    said = wrong(results)
    print("\n".join(said) or "No host was harmed twice, and nobody was started longer than promised.")
    return 1 if said else 0
