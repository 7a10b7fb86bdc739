"""
Measure what runs and campaigns cost.

``python -m bench`` simulates fleets of 1,000, 10,000 and 100,000 hosts, and exits with 1 if something is worse than
linear in their number. ``python -m bench harm`` shows how far a live patch that does harm gets in a fleet of simulated
hosts, and exits with 1 if it is further than was promised. ``python -m bench pace`` drives a campaign over hosts that
get different updates, and of which some die. ``python -m bench host`` runs the formula on one host beside Salt's own
states, and exits with 1 if it costs more than was promised. ``python -m bench report`` writes the report of a large
fleet, and exits with 1 if it costs more than was promised. ``python -m bench cve`` asks a large fleet about a CVE, and
exits with 1 if an answer takes longer than was promised. ``python -m bench real`` runs a campaign over real minions,
and once without one.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import table

SIZES = (1000, 10000, 100000)
BUILD = Path(__file__).resolve().parents[1] / "build"
WHOLE = {  # kind -> its module, and what it measures
    "real": ("real", "over real minions"),
    "harm": ("harm", "how far a live patch that does harm gets"),
    "pace": ("pace", "hosts with different updates, some of which die"),
    "host": ("host", "one host: this formula beside Salt's own states"),
    "report": ("report", "the report of a large fleet"),
    "cve": ("emergency", "one CVE, and a large fleet"),
}
Measure = Callable[[str, int, Path], dict[str, Any]]


def in_process(name: str, size: int, folder: Path) -> dict[str, Any]:
    """Return what a part measures here and now, and the most memory that this process has had."""
    from . import parts

    found = parts.PARTS[name](size, folder)
    return {**found, "memory": parts.memory()}


def in_child(name: str, size: int, folder: Path) -> dict[str, Any]:
    """Return what a part measures in a process of its own."""
    argv = [sys.executable, "-m", "bench", "part", name, str(size), str(folder)]
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def fleet(size: int, folder: Path, measure: Measure) -> dict[str, Any]:
    """Return what all parts measure with so many hosts."""
    from .parts import PARTS

    found = {}
    for name in PARTS:
        begun = time.monotonic()
        found[name] = measure(name, size, folder)
        sys.stderr.write(f"{size:>7,} hosts  {name:<10}  {time.monotonic() - begun:6.1f} s\n")
    return table.gather(found)


def simulated(sizes: Sequence[int] = SIZES, measure: Measure = in_child, disk: Path = BUILD) -> int:
    """Measure fleets of these sizes and print the tables; the exit code is 1 if something is worse than linear."""
    disk.mkdir(exist_ok=True)
    results = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=disk) as folder:
            results[size] = fleet(size, Path(folder), measure)
    print(table.text(results))
    return 1 if table.worse(results) else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    kinds = parser.add_subparsers(dest="kind")
    for kind, (_, about) in WHOLE.items():
        kinds.add_parser(kind, help=about)
    part = kinds.add_parser("part", help="one part, as JSON; what the others are made of")
    part.add_argument("name")
    part.add_argument("size", type=int)
    part.add_argument("folder", type=Path)
    given = parser.parse_args(argv)
    if given.kind == "part":
        print(json.dumps(in_process(given.name, given.size, given.folder)))
        return 0
    if given.kind:
        return int(importlib.import_module(f"bench.{WHOLE[given.kind][0]}").main())
    try:
        return simulated()
    except subprocess.CalledProcessError:  # what went wrong was said by the process itself
        return 1


if __name__ == "__main__":
    sys.exit(main())
