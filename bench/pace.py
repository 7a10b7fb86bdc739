"""How long and how dear a campaign is where hosts get different updates, and some die in the middle of their run."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

from _runners.klp import planning, store
from tests.simulation.campaign import MEMORY
from tests.simulation.world import START, SimHost

from . import fleet, parts, table

SIZE, SEED, OFFERS, DEAD = 10000, 20261129, 1000, 500  # one host of DEAD dies
PROMISED = {"jobs": 200, "hours": 4.0, "largest job, kB": 500}


class Fleet(fleet.Fleet):
    """Hosts of which many get other updates."""

    kinds = OFFERS


def hosts(size: int) -> list[SimHost]:
    """Return the hosts: after the canaries some die in one of the phases of their run and never come back."""
    chance = random.Random(SEED)  # noqa: S311
    dead = set(chance.sample(range(fleet.CANARIES, size), size // DEAD))
    found = []
    for number in range(size):
        faults = {"dies": chance.randrange(4), "down": fleet.NEVER} if number in dead else {}
        found.append(SimHost(f"host{number:06}", chance.uniform(40, 200), **faults))
    return found


def measure(size: int) -> dict[str, float]:
    """Return what the campaign over so many hosts took; the time is that of the simulation."""
    there = Fleet(hosts(size))
    made = planning.make(parts.facts(there), fleet.campaign(size), there.now())
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        kept = store.Store(str(Path(folder)))
        kept.save(made)
        whole = parts.Campaign(kept, made, there)
        found = whole.drive()
    jobs: list[dict[str, Any]] = [job for job in there.sent.values() if job["fun"] == "state.apply"]
    counts = found.counts()
    return {
        "offers": len(made["offers"]),
        "verified": counts["verified"],
        "unreachable": counts["unreachable"],
        "jobs": len(jobs),
        "largest job, kB": max(len(json.dumps([job["kwarg"], job["hosts"]])) for job in jobs) / 1000,
        "hours": (there.now() - START) / 3600,
        "CPU, s": whole.spent,
        "memory, MB": parts.memory(),
    }


def main() -> int:
    """Measure it and print the table; the exit code is 1 if it is worse than was promised."""
    row = measure(SIZE)
    print("\n".join(table.columns([f"{SIZE:,} hosts", *row], [["", *[table.figure(value) for value in row.values()]]])))
    said = [
        f"{key}: {row[key]:.1f}, {most} were promised at the most" for key, most in PROMISED.items() if row[key] > most
    ]
    print("\n".join(said) or "No more jobs and hours than promised.")
    return 1 if said else 0
