"""What ``klp.cve`` costs: the files of a mine with the documents of many hosts, each with hundreds of CVEs."""

from __future__ import annotations

import functools
import random
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import salt.payload

from _runners.klp import emergency, emergency_ask, emergency_show, mined, targets
from tests import fleet

from . import parts, table

SIZE, CVES, POOL = 10000, 400, 1000  # hosts, CVEs of each, CVEs in all
SECONDS = 2  # of CPU, what was promised
BUILD = Path(__file__).resolve().parents[1] / "build"
NAMES = [f"CVE-2026-{number}" for number in range(20000, 20000 + POOL)]
# In a document CVEs are sorted: the first ones are fixed, then come those of a live patch, the last ones want a kernel.
QUESTIONS = {"fixed on some": NAMES[50], "a live patch": NAMES[700], "a restart": NAMES[950], "nobody": "CVE-2025-4321"}
SETTINGS = {"target": "*", "target_type": "glob", "ask": "none", "max_age": 24}


def fill(size: int, folder: Path) -> None:
    """Write the mine as Salt's cache does, no document like another one: nothing is to be gained from what is alike."""
    chance = random.Random(1)  # noqa: S311
    for number in range(size):
        host, mine = f"srv{number:05}", sorted(chance.sample(NAMES, CVES))
        document = fleet.document(
            host,
            group=f"group{number % 20}",
            kernel=fleet.KERNEL.format(number % 40),
            cves__fixed_live=mine[:250],
            cves__pending=mine[250:330],
            cves__reboot=mine[330:],
            cves__severity={cve: chance.choice(fleet.SEVERITIES) for cve in mine},
            kernel_target__cves=dict.fromkeys(fleet.SEVERITIES, 10),
        )
        folder.joinpath(f"{host}.p").write_bytes(salt.payload.dumps({mined.FUNCTION: document}))


def ask(size: int, folder: Path, cve: str) -> dict[str, Any]:
    """Answer as the command does, from the target on."""
    survey: Any = SimpleNamespace(opts={}, store=SimpleNamespace(quarantine=list))
    hosts = [f"srv{number:05}" for number in range(size)]
    with (
        mock.patch.object(mined, "folder", lambda opts: str(folder / "{}.p")),
        mock.patch.object(targets, "wanted", lambda *args: (hosts, {})),
        mock.patch.object(emergency_ask.time, "time", lambda: fleet.NOW),
    ):
        found = emergency_ask.answer(survey, [cve], SETTINGS)
    return {**found, "text": emergency_show.text(found)}


def measure(size: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Return for each question the seconds of CPU and how many hosts are in each place."""
    fill(size, folder)
    found = {}
    for name, cve in QUESTIONS.items():
        seconds, answer = parts.measure(functools.partial(ask, size, folder, cve))
        totals = answer["cves"][0]["totals"]
        found[name] = {"seconds": seconds, **{key: totals[key] for key in emergency.CATEGORIES}}
    return found


def main() -> int:
    """Measure and print; the exit code is 1 if an answer takes longer than was promised."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=BUILD) as folder:
        found = measure(SIZE, Path(folder))
    rows = [[name, *[table.figure(value) for value in row.values()]] for name, row in found.items()]
    head = f"klp.cve, {SIZE:,} hosts with {CVES} CVEs"
    print("\n".join(table.columns([head, "s of CPU", *emergency.CATEGORIES], rows)))
    print(f"memory: {parts.memory()} MB")
    slow = [name for name, row in found.items() if row["seconds"] > SECONDS]
    print(f"SLOWER than {SECONDS} s: {', '.join(slow)}" if slow else f"Each answer takes less than {SECONDS} s.")
    return 1 if slow else 0
