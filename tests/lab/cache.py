"""What is built once and kept: a folder below a hash of all that it is made from; one process builds at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

KEEP_SECONDS = 6 * 3600


def digest(*parts: str, sources: Iterable[Path] = (), tools: Iterable[str] = ()) -> str:
    """Return a short hash of texts, of the names and contents of files, and of the versions of programs."""
    found = hashlib.sha256("\0".join(parts).encode())
    for path in sources:
        found.update(path.name.encode() + path.read_bytes())
    for tool in tools:
        if not shutil.which(tool):
            raise RuntimeError(f"{tool} is missing here: run make setup setup-system as root")
        found.update(subprocess.run([tool, "--version"], capture_output=True, check=True).stdout)
    return found.hexdigest()[:12]


def seconds(root: Path) -> float:
    """Return how long it took to make a folder that is kept."""
    return float((root / "complete").read_text())


def remove_old(dest: Path, keep: str) -> None:
    """Remove builds that nobody has used for hours."""
    for path in dest.iterdir():
        stamp = path / "complete"
        used = stamp.stat().st_mtime if stamp.exists() else path.stat().st_mtime
        if path.is_dir() and path.name != keep and time.time() - used > KEEP_SECONDS:
            shutil.rmtree(path)


def kept(dest: Path, name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``dest``/``name``; where it is not complete, ``make(folder)`` makes it from nothing."""
    dest.mkdir(parents=True, exist_ok=True)
    root = dest / name
    stamp = root / "complete"
    with open(dest / "lock", "w", encoding="ascii") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            begun = time.monotonic()
            make(root)
            (root / "complete.new").write_text(f"{time.monotonic() - begun:.1f}\n")
            (root / "complete.new").rename(stamp)
            remove_old(dest, name)
        os.utime(stamp)
    return root
