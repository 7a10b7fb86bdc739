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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.lab import packages
from tests.lab.build import Lab, build
from tests.lab.host import Host
from tests.lab.large import enlarge
from tests.lab.saltcall import MINION

TIMES = 5
STEADY_TIMES = 15  # a tenth of a second is to be seen, and every run is short
PILLAR = {"klp": {"backup": {"backend": "none"}, "level": "latest", "update": {"scriptlets": "accept"}}}
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
SMALL, LARGE = "33", "20,000"


@dataclass(frozen=True)
class Cost:
    """What one run has cost."""

    seconds: float
    cpu: float
    zypper: int
    programs: int
    metadata: int
    code: int


Runs = dict[str, list[Cost]]


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
    """Start a host with both formulas; the folder of the many packages makes it a large one."""
    host = Host(lab, "sles1", golden).start()
    host.salt.pillar(PILLAR)
    host.write("/srv/rival/rival.sls", RIVAL)
    host.write("/srv/rival/empty.sls", "nothing:\n  test.nop: []\n")
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
    for _ in range(TIMES):
        for name, sls in runs.items():
            host = start(lab, golden, work)
            try:
                if prepare:
                    prepare(host)
                yield name, measure(host, sls)
            finally:
                host.stop()


def steady(lab: Lab, work: Path | None):
    """Yield name and cost of runs on one converged host, in turn."""
    host = start(lab, "converged", work)
    try:
        prepare_converged(host)
        for _ in range(STEADY_TIMES):
            for name, sls in STEADY.items():
                yield name, measure(host, sls)
    finally:
        host.stop()


def gather(pairs: Iterable[tuple[str, Cost]]) -> Runs:
    """Return what every run has cost, by name."""
    found: Runs = {}
    for name, cost in pairs:
        found.setdefault(name, []).append(cost)
        sys.stderr.write(f"    {name:<14} {cost.seconds:6.2f} s  {cost.zypper:>2} zypper\n")
    return found


def median(costs: list[Cost]) -> Cost:
    """Return the median of each figure; the exit code is the worst one."""
    figures = {key: statistics.median(getattr(cost, key) for cost in costs) for key in Cost.__dataclass_fields__}
    return Cost(**{**figures, "code": max(cost.code for cost in costs)})


def over(runs: Runs, name: str) -> float:
    """Return how many seconds a run takes longer than the empty one beside it: the median, so that noise goes out."""
    return statistics.median(cost.seconds - empty.seconds for cost, empty in zip(runs[name], runs[EMPTY], strict=True))


def row(size: str, what: str, runs: Runs) -> list[str]:
    """Return the lines of one scenario as a table in Markdown, with the ratio of the two."""
    lines = []
    middle = {name: median(costs) for name, costs in runs.items()}
    for name, cost in middle.items():
        ratio = f"{middle[THEIRS].seconds / cost.seconds:.1f}" if name == OURS else ""
        extra = f"{over(runs, name):.2f}" if EMPTY in runs and name != EMPTY else ""
        lines.append(
            f"| {size} | {what} | {name} | {cost.seconds:.2f} | {extra} | {cost.cpu:.2f} | {cost.zypper:.0f} | "
            f"{cost.programs:.0f} | {cost.metadata / 1e6:.2f} | {cost.code} | {ratio} |"
        )
    return lines


HEAD = [
    "| packages | run | formula | s | over empty, s | CPU s | zypper | programs | metadata MB | exit | times faster |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
]


def compare(sizes: tuple[str, ...] = (SMALL, LARGE)) -> tuple[str, dict[tuple[str, str], Runs]]:
    """Measure everything; returns the table, and every run's cost by size and scenario."""
    lab, lines, figures = build(), list(HEAD), {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for size in sizes:
            work = Path(folder) if size == LARGE else None
            runs = {
                "nothing to do": lambda work=work: steady(lab, work),
                "first run": lambda work=work: repeat(lab, WHOLE, "fresh", work, None),
                "one new live patch": lambda work=work: repeat(lab, NEXT, "converged", work, prepare_next),
            }
            for what, run in runs.items():
                sys.stderr.write(f"{size} packages, {what}\n")
                figures[size, what] = gather(run())
                lines += row(size, what, figures[size, what])
    return "\n".join(lines), figures


def idle(size: str, runs: Runs) -> dict[str, bool]:
    """Return what may be wrong with runs that had nothing to do: each sentence, and whether it is so."""
    zypper = max(cost.zypper for cost in runs[OURS])
    found = {f"{zypper} zypper, none is promised": zypper > 0}
    if size == LARGE:
        ours, theirs = over(runs, OURS), over(runs, THEIRS)
        found[f"{ours:.2f} s more than an empty run, at most 0.1 s are promised"] = ours > 0.1
        found[f"{ours:.2f} s, the others {theirs:.2f} s: not ten times cheaper"] = 10 * ours > theirs
    return found


def first(runs: Runs) -> dict[str, bool]:
    """Return what may be wrong with first runs: each sentence, and whether it is so."""
    ours, theirs = median(runs[OURS]), median(runs[THEIRS])
    return {
        f"{ours.zypper:.0f} zypper, the others {theirs.zypper:.0f}": ours.zypper > theirs.zypper,
        f"{ours.seconds:.2f} s, the others {theirs.seconds:.2f} s": ours.seconds > theirs.seconds,
    }


def problems(figures: dict[tuple[str, str], Runs]) -> list[str]:
    """Return what is not as promised: the cost of a run with nothing to do and of a first one, and exit codes."""
    found = []
    for (size, what), runs in figures.items():
        code = median(runs[OURS]).code
        checks = {f"exit code {code}": code != 0}
        if what == "nothing to do":
            checks.update(idle(size, runs))
        elif what == "first run":
            checks.update(first(runs))
        found += [f"{size} packages, {what}: {sentence}" for sentence, wrong in checks.items() if wrong]
    return found


def main() -> int:
    """Compare and print; the exit code is 1 if something is not as it was promised."""
    text, figures = compare()
    print(text)
    wrong = problems(figures)
    print("\n".join(wrong) or "All is as promised.")
    return 1 if wrong else 0
