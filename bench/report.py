"""What ``klp.report`` costs: a mine with the documents of many hosts, each with hundreds of CVEs, and no host asked."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import salt.payload

import klp_pillar
from _runners.klp import survey, targets
from tests import fleet

from .parts import memory

SIZE, CVES = 10000, 400  # hosts, and CVEs of each
POOL, KERNELS, LEVELS = 3000, 40, 12  # CVEs in all, kernel packages, levels of live patches
MEMORY, SECONDS = 300, 60  # what was promised, in MB and seconds
BUILD = Path(__file__).resolve().parents[1] / "build"


class Mine:
    """The mine of a master: what a host has in it is unpacked when it is read, as Salt's cache does."""

    def __init__(self, size: int) -> None:
        self.names = [f"srv{number:05}" for number in range(size)]
        chance = random.Random(1)  # noqa: S311
        self.cves = sorted({f"CVE-{chance.randint(2023, 2026)}-{chance.randint(1000, 69999)}" for _ in range(POOL)})
        self.severity = {cve: chance.choices(fleet.SEVERITIES, (2, 25, 50, 18, 5))[0] for cve in self.cves}
        self.packed: dict[tuple[int, int], bytes] = {}

    def document(self, host: str) -> dict[str, Any]:
        """Return the document of a host; those with one kernel and live patch differ in their name only."""
        chance = random.Random(host)  # noqa: S311
        key = (min(chance.randrange(KERNELS), chance.randrange(KERNELS)), chance.randint(1, LEVELS))
        if key not in self.packed:
            self.packed[key] = salt.payload.dumps(self._made(*key))
        found: dict[str, Any] = salt.payload.loads(self.packed[key])
        return {
            **found,
            "host": host,
            "group": chance.choice(fleet.GROUPS),
            "time": fleet.NOW - chance.randint(60, 9999),
        }

    def _made(self, kernel: int, level: int) -> dict[str, Any]:
        name = fleet.KERNEL.format(7 + 5 * kernel)
        mine = self.cves[60 * kernel : 60 * kernel + CVES]
        live, end = 30 * level, CVES - 5 * (kernel % 3)
        found = fleet.document(
            kernel=name,
            kernel_edition=f"5.14.21-150500.55.{7 + 5 * kernel}.1",
            live_patch__package=fleet.package(name),
            live_patch__edition=f"{level}-150500.2.1",
            live_patch__level=level,
            live_patch__active=f"livepatch_{level}_150500_2_1",
            live_patch__newest=f"{LEVELS}-150500.2.1",
        )
        lists = {"fixed_live": mine[:live], "pending": mine[live:end], "reboot": mine[end:], "unknown": []}
        found["cves"].update(lists, severity={cve: self.severity[cve] for cve in mine})
        return found

    def get(self, target: Iterable[str], _fun: str, _target_type: str) -> dict[str, Any]:
        """Answer as the runner function ``mine.get`` does."""
        return {host: self.document(host) for host in target}


def measure(size: int, folder: Path) -> dict[str, Any]:
    """Return what a report in all formats that are written by default costs."""
    mine = Mine(size)
    mine.document(mine.names[0])
    there = survey.Survey({"id": "master_master", "root_dir": str(folder)}, klp_pillar.compare, mine.get)
    settings = {"folder": str(folder / "report"), "ask": "none"}
    with (
        mock.patch.multiple(survey.Survey, pillar=lambda *_: settings),
        mock.patch.object(targets, "wanted", lambda *_: (mine.names, {})),
        mock.patch.object(survey.time, "time", lambda: fleet.NOW),
    ):
        begun = time.process_time()
        answer = there.fleet(None, None, None)
        salt.payload.dumps(answer)  # what Salt does with it: a runner's answer is an event
        spent = time.process_time() - begun
    return {
        "hosts": len(answer["report"]["hosts"]),
        "cves": sum(answer["report"]["hosts"][0]["counts"].values()),
        "seconds": spent,
        "memory": memory(),
        "written": sum(path.stat().st_size for path in (folder / "report").rglob("*") if path.is_file()) // 10**6,
    }


def main(size: int = SIZE, most: int = MEMORY) -> int:
    """Measure it and print a line; the exit code is 1 if it is more than was promised."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=BUILD) as folder:
        found = measure(size, Path(folder))
    print(
        f"klp.report, {found['hosts']:,} hosts with {found['cves']} CVEs each: {found['seconds']:.0f} s of CPU, "
        f"{found['memory']} MB of memory at most, {found['written']} MB written"
    )
    good = found["memory"] < most and found["seconds"] < SECONDS
    print(f"Promised: less than {SECONDS} s and {most} MB: {'kept' if good else 'BROKEN'}.")
    return 0 if good else 1
