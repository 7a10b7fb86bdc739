"""The guest's two kernels: their modules, the live patches, and the module that gives a kernel SUSE's release."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ..packages import under
from .debian import ask

HERE = Path(__file__).parent
OLD, NEW = "150500.55.7", "150500.55.12"
# Of each kernel: its live patches, with their releases.
LEVELS = {
    OLD: {1: "150500.9.3.1", 2: "150500.2.1", 3: "150500.2.1", 4: "150500.2.1"},
    NEW: {1: "150500.11.3.2", 2: "150500.2.1"},
}
IN_INITRD = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "btrfs", "crc32c_generic")
# What a kernel's package brings: /boot is ext4 where GRUB boots, LVM is asked by the backup.
IN_PACKAGE = (*IN_INITRD, "ext4", "virtio_rng", "dm_mod", "loop", "autofs4")
CMDLINE = "console=ttyS0 panic=1 loglevel=6 mitigations=off net.ifnames=0 systemd.show_status=0"
INDEXES = ("modules.order", "modules.builtin", "modules.builtin.modinfo")


def shown(source: str) -> str:
    """Return the release (``uname -r``) that a kernel shows in the guest."""
    return f"5.14.21-{source}-default"


def release(root: Path) -> str:
    """Return the release of the unpacked kernel (``uname -r`` before it gets SUSE's)."""
    (found,) = (path.name for path in (root / "lib/modules").iterdir())
    return found


def module_file(source: str, level: int) -> str:
    """Return the name of a live patch's file, as SUSE forms it."""
    return f"livepatch-{level}_{under(LEVELS[source][level])}.ko"


def compile_module(headers: Path, source: Path, work: Path, name: str, flags: str = "") -> Path:
    """Build one module from one C file; return its file without debug information."""
    work.mkdir(parents=True)
    shutil.copy(source, work / f"{name}.c")
    (work / "Kbuild").write_text(f"obj-m := {name}.o\nccflags-y := -Werror {flags}\n")
    ask("make", "-C", str(headers), f"M={work}", "modules", timeout=600)
    ask("strip", "--strip-debug", str(work / f"{name}.ko"))
    return work / f"{name}.ko"


def drivers(root: Path, names: tuple[str, ...]) -> list[str]:
    """Return the files of modules and of all that they need, in the order in which they are to be loaded."""
    found: dict[str, None] = {}
    for name in names:
        said = ask("modprobe", "-d", str(root), "-S", release(root), "--show-depends", name)
        found.update(dict.fromkeys(re.findall(r"^insmod (\S+)", said, re.MULTILINE)))
    return list(found)


def collect(root: Path, source: str, dest: Path) -> None:
    """Gather in ``dest`` what the package of the kernel unpacked below ``root`` brings, and its live patches."""
    ask("depmod", "-b", str(root), release(root))
    build_modules(root, source, dest)
    shutil.copy(next(root.glob("boot/vmlinuz-*")), dest / "vmlinuz")
    modules = root / "lib/modules" / release(root)
    for path in [*map(Path, drivers(root, IN_PACKAGE)), *(modules / name for name in INDEXES)]:
        target = dest / "modules" / path.relative_to(modules)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def build_modules(root: Path, source: str, dest: Path) -> None:
    """Build all modules for the kernel that is unpacked below ``root`` into the folder ``dest``."""
    (headers,) = root.glob("usr/src/linux-headers-*-cloud-amd64")
    dest.mkdir(parents=True)
    work = dest / "work"
    shutil.move(compile_module(headers, HERE / "modules/suserelease.c", work / "0", "suserelease"), dest)
    for level in LEVELS[source]:
        name = module_file(source, level).removesuffix(".ko")
        built = compile_module(headers, HERE / "modules/livepatch.c", work / str(level), name, f"-DLEVEL={level}")
        shutil.move(built, dest)
    shutil.rmtree(work)
