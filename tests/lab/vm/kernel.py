"""Modules for the guest's kernel: the live patches and the one that gives it SUSE's release."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..packages import under
from .debian import ask

HERE = Path(__file__).parent
LEVELS = {1: "150500.9.3.1", 2: "150500.2.1", 3: "150500.2.1", 4: "150500.2.1"}


def release(root: Path) -> str:
    """Return the release of the unpacked kernel (``uname -r`` before it gets SUSE's)."""
    (found,) = (path.name for path in (root / "lib/modules").iterdir())
    return found


def module_file(level: int) -> str:
    """Return the name of a live patch's file, as SUSE forms it."""
    return f"livepatch-{level}_{under(LEVELS[level])}.ko"


def compile_module(headers: Path, source: Path, work: Path, name: str, flags: str = "") -> Path:
    """Build one module from one C file; return its file without debug information."""
    work.mkdir(parents=True)
    shutil.copy(source, work / f"{name}.c")
    (work / "Kbuild").write_text(f"obj-m := {name}.o\nccflags-y := -Werror {flags}\n")
    ask("make", "-C", str(headers), f"M={work}", "modules", timeout=600)
    ask("strip", "--strip-debug", str(work / f"{name}.ko"))
    return work / f"{name}.ko"


def build_modules(root: Path, dest: Path) -> None:
    """Build all modules for the kernel that is unpacked below ``root`` into the folder ``dest``."""
    (headers,) = root.glob("usr/src/linux-headers-*-cloud-amd64")
    dest.mkdir()
    work = dest / "work"
    shutil.move(compile_module(headers, HERE / "modules/suserelease.c", work / "0", "suserelease"), dest)
    for level in LEVELS:
        name = module_file(level).removesuffix(".ko")
        built = compile_module(headers, HERE / "modules/livepatch.c", work / str(level), name, f"-DLEVEL={level}")
        shutil.move(built, dest)
    shutil.rmtree(work)
