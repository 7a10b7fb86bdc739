"""
What one run costs on a host, side by side: this formula, and what one writes with Salt's own states.

Both run on lab hosts with the real zypper: small ones, 33 packages in the repositories, and large ones, with 20,000
more there and 1,500 more installed. Medians and ratios; the programs that are started are counted exactly.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import packages
from tests.lab.build import Lab, build
from tests.lab.host import Host
from tests.lab.large import enlarge

TIMES = 5
PILLAR = {"klp": {"backup": {"backend": "none"}, "level": "latest"}}
CACHE = "/var/cache/zypp"
# Locks, tools, updates, the newest live patch and its status: what a user of Salt's own states would write.
RIVAL = f"""\
kernel-held:
  pkg.held:
    - pkgs: {json.dumps(list(packages.KERNEL_LOCKS))}
tools:
  pkg.installed:
    - pkgs: [kernel-livepatch-tools]
updates:
  pkg.uptodate:
    - refresh: true
live-patch:
  pkg.latest:
    - name: kernel-livepatch-{{{{ grains["kernelrelease"] | replace(".", "_") }}}}
    - refresh: true
status:
  cmd.run:
    - name: klp status
"""
OURS, THEIRS, EMPTY = "salt-klp", "Salt's states", "empty run"
STEADY = {OURS: "klp", THEIRS: "rival", EMPTY: "empty"}
WHOLE = {OURS: "klp,klp.patch", THEIRS: "rival"}
NEXT = {OURS: "klp.patch", THEIRS: "rival"}


@dataclass(frozen=True)
class Cost:
    """What one run has cost."""

    seconds: float
    cpu: float
    zypper: int
    programs: int
    metadata: int
    code: int


def written(host: Host, since: int) -> int:
    """Return how many bytes of repository metadata were written since a moment (ns)."""
    found = 0
    for place, _, names in os.walk(host.path(CACHE)):
        for name in names:
            stat = os.lstat(os.path.join(place, name))
            found += stat.st_size if stat.st_mtime_ns > since else 0
    return found


def measure(host: Host, sls: str) -> Cost:
    """Apply an SLS on a host and return what it has cost."""
    host.forget_programs()
    since, begun = time.time_ns(), time.monotonic()
    argv = host.argv(host.salt.argv("state.apply", sls))
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - begun
    cpu, counts = usage.ru_utime + usage.ru_stime, (host.count("zypper"), len(host.programs()))
    return Cost(seconds, cpu, *counts, written(host, since), process.returncode)


def start(lab: Lab, golden: str, work: Path | None) -> Host:
    """Start a host with both formulas; a folder to work in makes it a large one."""
    host = Host(lab, "sles1", golden).start()
    host.salt.pillar(PILLAR)
    host.write("/srv/rival/rival.sls", RIVAL)
    host.write("/srv/rival/empty.sls", "nothing:\n  test.nop: []\n")
    from tests.lab.saltcall import MINION

    host.salt.configure(file_roots={"base": [*MINION["file_roots"]["base"], "/srv/rival"]})  # type: ignore[index]
    host.salt.sync()
    if work:
        enlarge(host, work)
    return host


def prepare_converged(host: Host) -> None:
    """Let both formulas have run once, so that nothing is left to do for either."""
    for sls in ("klp,klp.patch", "rival", "klp"):
        measure(host, sls)


def prepare_next(host: Host) -> None:
    """Take a converged host one live patch back, so that a new one is there."""
    prepare_converged(host)
    done = host.zypper("install", "--oldpackage", f"{packages.LIVE_PATCH}=2")
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def repeat(lab: Lab, runs: dict[str, str], golden: str, work: Path | None, prepare: Callable[[Host], None] | None):
    """Yield name and cost of runs that each need a host of their own."""
    for number in range(TIMES):
        for name, sls in runs.items():
            place = (
                work / f"{name.replace(' ', '-')}-{golden}-{number}-{prepare and prepare.__name__}" if work else None
            )
            host = start(lab, golden, place)
            try:
                if prepare:
                    prepare(host)
                yield name, measure(host, sls)
            finally:
                host.stop()


def steady(lab: Lab, work: Path | None):
    """Yield name and cost of runs on one converged host, in turn."""
    host = start(lab, "converged", work / "steady" if work else None)
    try:
        prepare_converged(host)
        for _ in range(TIMES):
            for name, sls in STEADY.items():
                yield name, measure(host, sls)
    finally:
        host.stop()


def median(costs: list[Cost]) -> Cost:
    """Return the median of each figure; the exit code is the worst one."""
    figures = {key: statistics.median(getattr(cost, key) for cost in costs) for key in Cost.__dataclass_fields__}
    return Cost(**{**figures, "code": max(cost.code for cost in costs)})


def gather(pairs) -> dict[str, Cost]:
    """Return the medians by name."""
    found: dict[str, list[Cost]] = {}
    for name, cost in pairs:
        found.setdefault(name, []).append(cost)
        sys.stderr.write(f"    {name:<14} {cost.seconds:6.2f} s  {cost.zypper:>2} zypper\n")
    return {name: median(costs) for name, costs in found.items()}


def row(size: str, what: str, found: dict[str, Cost]) -> list[str]:
    """Return the lines of one scenario as a table in Markdown, with the ratio of the two."""
    lines = []
    for name, cost in found.items():
        ratio = f"{found[THEIRS].seconds / cost.seconds:.1f}" if name == OURS else ""
        lines.append(
            f"| {size} | {what} | {name} | {cost.seconds:.2f} | {cost.cpu:.2f} | {cost.zypper:.0f} | "
            f"{cost.programs:.0f} | {cost.metadata / 1e6:.2f} | {cost.code} | {ratio} |"
        )
    return lines


HEAD = [
    "| packages | run | formula | s | CPU s | zypper | programs | metadata MB | exit | times faster |",
    "|---|---|---|---|---|---|---|---|---|---|",
]


def compare(sizes: tuple[str, ...] = ("33", "20,000")) -> dict[str, Any]:
    """Measure everything; returns the table and the figures."""
    lab, lines, figures = build(), list(HEAD), {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for size in sizes:
            work = Path(folder) if size != "33" else None
            runs = {
                "nothing to do": lambda work=work: steady(lab, work),
                "first run": lambda work=work: repeat(lab, WHOLE, "fresh", work, None),
                "one new live patch": lambda work=work: repeat(lab, NEXT, "converged", work, prepare_next),
            }
            for what, run in runs.items():
                sys.stderr.write(f"{size} packages, {what}\n")
                figures[size, what] = gather(run())
                lines += row(size, what, figures[size, what])
    return {"table": "\n".join(lines), "figures": figures}


def problems(figures: dict[tuple[str, str], dict[str, Cost]]) -> list[str]:
    """Return what is not as it was promised: the cost of a run with nothing to do, and of a first run."""
    found = []
    for (size, what), costs in figures.items():
        ours, theirs = costs[OURS], costs[THEIRS]
        if what == "nothing to do":
            extra = ours.seconds - costs[EMPTY].seconds
            checks = {
                f"{extra:.2f} s more than an empty run, at most 0.1 s are promised": extra > 0.1,
                f"{ours.zypper:.0f} zypper, none is promised": ours.zypper > 0,
                "not ten times cheaper than Salt's own states": 10 * extra > theirs.seconds - costs[EMPTY].seconds,
            }
        elif what == "first run":
            checks = {
                f"{ours.zypper:.0f} zypper, the others {theirs.zypper:.0f}": ours.zypper > theirs.zypper,
                f"{ours.seconds:.2f} s, the others {theirs.seconds:.2f} s": ours.seconds > theirs.seconds,
            }
        else:
            checks = {}
        found += [f"{size} packages, {what}: {sentence}" for sentence, wrong in checks.items() if wrong]
    return found


def main() -> int:
    """Compare and print; the exit code is 1 if something is not as it was promised."""
    found = compare()
    print(found["table"])
    wrong = problems(found["figures"])
    print("\n".join(wrong) or "All is as promised.")
    return 1 if wrong else 0
