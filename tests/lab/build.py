"""Build the lab once: RPMs, repositories, golden roots; kept below a hash of all that they are made from."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from . import advisories, golden, packages, specs

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
KEEP_SECONDS = 6 * 3600
SOURCES = (
    "packages.py",
    "specs.py",
    "advisories.py",
    "golden.py",
    "build.py",
    "preload.c",
    "blkmapd.c",
    "fakes/*",
)


class Lab:
    """A finished build: where its golden roots, repositories and programs are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repos = root / "repos"
        self.nshost = HERE / "nshost"

    def golden(self, name: str) -> Path:
        """Return the golden root ``name``."""
        path = self.root / "golden" / name
        if not path.is_dir():
            raise ValueError(f"no golden root {name!r}, there are {sorted(os.listdir(path.parent))}")
        return path


def digest(dest: Path) -> str:
    """Return the hash of the lab's sources, of the tools' versions and of the place, which URLs contain."""
    found = hashlib.sha256(str(dest).encode())
    for pattern in SOURCES:
        for path in sorted(HERE.glob(pattern)):
            if path.is_file():
                found.update(path.name.encode() + path.read_bytes())
    for tool in ("rpm", "zypper", "createrepo_c", "gcc"):
        found.update(subprocess.run([tool, "--version"], capture_output=True, check=True).stdout)
    return found.hexdigest()[:12]


def compile_c(source: str, target: Path, *flags: str) -> None:
    """Compile one C file of the lab."""
    argv = ["gcc", "-O2", "-Wall", *flags, "-o", str(target), str(HERE / source), "-ldl"]
    subprocess.run(argv, check=True, timeout=60)


def make(root: Path) -> None:
    """Build everything into ``root``."""
    work, programs, repos = root / "work", root / "programs", root / "repos"
    programs.mkdir(parents=True)
    compile_c("preload.c", programs / "preload.so", "-shared", "-fPIC")
    compile_c("blkmapd.c", programs / "blkmapd", "-static", "-s")
    shutil.copy(HERE / "fakes" / "klp", programs / "klp")
    specs.build_all(packages.specs(), work, repos, programs)
    advisories.write_metadata(repos)
    golden.build_all(root / "golden", repos, programs / "preload.so")
    shutil.rmtree(work)


def remove_old(dest: Path, keep: str) -> None:
    """Remove builds that nobody has used for hours."""
    for path in dest.iterdir():
        stamp = path / "complete"
        used = stamp.stat().st_mtime if stamp.exists() else path.stat().st_mtime
        if path.is_dir() and path.name != keep and time.time() - used > KEEP_SECONDS:
            shutil.rmtree(path)


def build(dest: str | Path = CHECKOUT / "build" / "lab") -> Lab:
    """Return the lab below ``dest``, building it if its sources changed; one process builds at a time."""
    dest = Path(dest).resolve()
    dest.mkdir(parents=True, exist_ok=True)
    name = digest(dest)
    root = dest / name
    stamp = root / "complete"
    with open(dest / "lock", "w", encoding="ascii") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            shutil.rmtree(root, ignore_errors=True)
            make(root)
            (root / "complete.new").write_text("")
            (root / "complete.new").rename(stamp)
            remove_old(dest, name)
        os.utime(stamp)
    return Lab(root)
