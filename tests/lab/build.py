"""Build the lab once: RPMs, repositories, golden roots; kept below a hash of all that they are made from."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from . import advisories, cache, golden, packages, specs

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
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


def sources() -> list[Path]:
    """Return the files that the lab is made from."""
    return [path for pattern in SOURCES for path in sorted(HERE.glob(pattern)) if path.is_file()]


def build(dest: str | Path = CHECKOUT / "build" / "lab") -> Lab:
    """Return the lab below ``dest``, building it if its sources changed; repositories have the place in their URLs."""
    dest = Path(dest).resolve()
    # Metadata of 30 days are too old (pillar klp:update:metadata_age): those of the lab never are.
    week = str(int(time.time()) // (7 * 86400))
    name = cache.digest(str(dest), week, sources=sources(), tools=("rpm", "zypper", "createrepo_c", "gcc"))
    return Lab(cache.kept(dest, name, make))
