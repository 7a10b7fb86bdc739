"""
Plant the faults of tests/simulation/faults one by one, each into a copy of this tree, and let the tests look for it.

Usage: ``python tools/faults.py [--check] [-j JOBS] [--seconds SECONDS] [NAME ...]``. A fault is a patch; its first line
says what it breaks, the next one (``Found by:``) which tests are asked first. If those see nothing, all of WHOLE are
asked. Prints a table; exits 1 if a fault is found by none of them, or if a patch does not apply. ``--check`` only looks
whether each patch applies. Stops with 2 after so many seconds altogether.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ROOT / "tests/simulation/faults"
FOUND_BY = "Found by: "
# What is copied: all that those tests read.
FOLDERS = (
    "_beacons",
    "_grains",
    "_modules",
    "_output",
    "_runners",
    "_states",
    "_utils",
    "bench",
    "docs",
    "pillar",
    "salt",
    "tests",
)
WHOLE = (
    "tests/unit/test_campaign_*.py",
    "tests/unit/test_runner_*.py",
    "tests/unit/test_klp_campaign.py",
    "tests/simulation/test_promises.py",
    "tests/simulation/test_random.py",
)
LONGEST = 180  # seconds that one test may take; a campaign that never ends has been found, too
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
FOUND, SURVIVED, STALE = "found", "SURVIVED", "DOES NOT APPLY"


def texts(patch: Path) -> tuple[str, list[str]]:
    """Return what a patch breaks, and the tests that are asked first."""
    lines = patch.read_text(encoding="utf-8").split("\n")
    if not lines[1].startswith(FOUND_BY):
        raise SystemExit(f"{patch}: the second line has to be: {FOUND_BY}TESTS")
    return lines[0], lines[1][len(FOUND_BY) :].split()


def git_apply(patch: Path, *options: str, where: Path = ROOT) -> bool:
    """Apply a patch; return whether it could be applied."""
    command = ["git", "apply", *options, str(patch)]
    # A folder below a working copy would be taken for a part of that.
    found = subprocess.run(
        command, cwd=where, env={**os.environ, "GIT_CEILING_DIRECTORIES": str(where.parent)}, check=False
    )
    return found.returncode == 0


def copied(folder: Path) -> Path:
    """Copy the tree into a folder, and return the copy."""
    there = folder / "tree"
    there.mkdir()
    for name in FOLDERS:
        shutil.copytree(ROOT / name, there / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy2(path, there / path.name)
    return there


def failing(tests: list[str], there: Path) -> str:
    """Return the first of these tests that fails, or takes for ever; an empty text where none does."""
    paths = [str(path.relative_to(there)) for name in tests for path in sorted(there.glob(name.partition("::")[0]))]
    if not paths:
        return ""
    options = ["-x", "-q", "-rfE", "--no-header", "--tb=no", "-p", "no:cacheprovider", f"--timeout={LONGEST}"]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *options, *paths]
    found = subprocess.run(command, cwd=there, env=env, capture_output=True, text=True, timeout=3600, check=False)
    if found.returncode == 0:
        return ""
    match = FAILED.search(found.stdout)
    return match.group(1) if match else f"pytest ended with {found.returncode}"


def plant(patch: Path) -> tuple[str, str, float]:
    """Plant a fault; return ``(what has become of it, who has found it, seconds)``."""
    begun, first = time.monotonic(), texts(patch)[1]
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        there = copied(Path(folder))
        if not git_apply(patch, where=there):
            return STALE, "", time.monotonic() - begun
        found = failing(first, there) or failing(list(WHOLE), there)
    return FOUND if found else SURVIVED, found, time.monotonic() - begun


def ill(patches: list[Path]) -> str:
    """Return which of the tests that are asked first fails without any fault: it would find everything."""
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        return failing(sorted({test for patch in patches for test in texts(patch)[1]}), copied(Path(folder)))


def check(patches: list[Path]) -> int:
    """Return 1 if a patch does not apply to this tree, or does not say what it breaks."""
    stale = [patch for patch in patches if not texts(patch)[0] or not git_apply(patch, "--check")]
    for patch in stale:
        print(f"{patch.relative_to(ROOT)}: does not apply to this tree; remake it (CONTRIBUTING.md)")
    print(f"{len(patches)} planted faults, {len(stale)} do not apply")
    return 1 if stale else 0


def table(patches: list[Path], jobs: int, seconds: float) -> int:
    """Plant the faults, print what has become of each, and return the exit status."""
    begun, kinds = time.monotonic(), []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        tasks = {pool.submit(plant, patch): patch for patch in patches}
        try:
            for task in concurrent.futures.as_completed(tasks, timeout=seconds):
                patch, (kind, by, spent) = tasks[task], task.result()
                kinds.append(kind)
                print(f"{kind:14} {spent:4.0f} s  {patch.stem:34} {texts(patch)[0]}  [{by}]", flush=True)
        except concurrent.futures.TimeoutError:
            pool.shutdown(wait=False, cancel_futures=True)
            print(f"stopped after {seconds:.0f} seconds: {len(kinds)} of {len(patches)} faults were planted")
            return 2
    bad = len(kinds) - kinds.count(FOUND)
    print(f"{kinds.count(FOUND)} of {len(kinds)} planted faults found in {time.monotonic() - begun:.0f} s")
    return 1 if bad else 0


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names of faults; all of them where none is given")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("-j", "--jobs", type=int, default=max(1, min(4, os.cpu_count() or 1)))
    parser.add_argument("--seconds", type=float, default=3600)
    given = parser.parse_args()
    patches = [FAULTS / f"{name}.patch" for name in given.names] or sorted(FAULTS.glob("*.patch"))
    if given.check:
        return check(patches)
    wrong = ill(patches)
    if wrong:
        print(f"{wrong} fails without any fault; look at it first")
        return 1
    return table(patches, given.jobs, given.seconds)


if __name__ == "__main__":
    sys.exit(main())
