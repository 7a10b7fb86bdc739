"""
Fuzz every parser and every check of what pillar, hosts and repositories say: the property tests with new texts.

Rounds of 2,000 texts for each property, until the time is over; each has a seed with which it can be repeated. What
fails is shown as small as it can be made, is kept in build/hypothesis, and belongs as an ``@example`` to its property.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def properties() -> list[str]:
    """Return the files with property tests."""
    files = sorted((ROOT / "tests" / "unit").glob("test_*.py"))
    return [
        str(file.relative_to(ROOT)) for file in files if "from hypothesis import" in file.read_text(encoding="utf-8")
    ]


def go_round(seed: int, files: Sequence[str], left: float) -> int | None:
    """Run all properties with one seed; the exit code of pytest, or ``None`` if the time was over before."""
    profile = ["--hypothesis-profile=fuzz", f"--hypothesis-seed={seed}"]
    argv = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-x", "--tb=short", "--timeout=0", *profile, *files]
    try:
        return subprocess.run(argv, cwd=ROOT, timeout=left, check=False).returncode
    except subprocess.TimeoutExpired:
        return None


def main(argv: Sequence[str] | None = None) -> int:
    """Go round until the time is over or something is found; the exit code says which."""
    parser = argparse.ArgumentParser(prog="tools/fuzz.py", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None, help="one round with this seed")
    given = parser.parse_args(argv)
    files, end, done = properties(), time.monotonic() + 60 * given.minutes, 0
    while time.monotonic() < end:
        seed = random.randrange(2**32) if given.seed is None else given.seed
        print(f"== seed {seed}, {len(files)} files, {(end - time.monotonic()) / 60:.1f} minutes left", flush=True)
        code = go_round(seed, files, end - time.monotonic())
        if code:
            print(f"Found something. Again: make fuzz SEED={seed}")
            return code
        done += code == 0
        if given.seed is not None:
            break
    print(f"Nothing found in {done} whole rounds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
