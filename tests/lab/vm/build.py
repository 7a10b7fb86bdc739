"""Build the virtual machine once: images, kernel, initrd, repositories; kept below a hash of all they are made from."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .. import advisories, build, cache, specs
from . import debian, image, kernel, packages
from .debian import ask

HERE = Path(__file__).parent
TOOLS = ("qemu-system-x86_64", "mmdebstrap", "rpm", "zypper", "createrepo_c", "gcc", "mkfs.btrfs")
IN_INITRD = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "btrfs", "crc32c_generic")


class Build:
    """A finished build: where its kernel, initrd, images and repositories are, and how long it took."""

    def __init__(self, root: Path, fetched: Path) -> None:
        self.root = root
        self.seconds = cache.seconds(fetched) + cache.seconds(root)
        self.kernel = root / "vmlinuz"
        self.initrd = root / "initrd"
        self.repos = root / "repos"

    def image(self, name: str) -> Path:
        """Return the disk image ``fresh`` or ``enabled``."""
        path = self.root / f"{name}.raw"
        if not path.exists():
            raise ValueError(f"no image {name!r}, there are {sorted(item.stem for item in self.root.glob('*.raw'))}")
        return path


def make_debian(root: Path) -> None:
    """Fetch what comes from Debian."""
    debian.kernel(root / "kernel")
    debian.userland(root / "userland")


def make_initrd(root: Path, work: Path, unpacked: Path, modules: Path) -> None:
    """Make the initrd that is given to QEMU: busybox, drivers and the script that boots."""
    stage = work / "initrd"
    for name in ("bin", "modules", "proc", "sys", "dev", "mnt"):
        (stage / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", stage / "bin/busybox")
    shutil.copy(HERE / "guest/init", stage / "init")
    (stage / "init").chmod(0o755)
    release = kernel.release(unpacked)
    ask("depmod", "-b", str(unpacked), release)
    order: dict[str, None] = {}
    for name in IN_INITRD:
        said = ask("modprobe", "-d", str(unpacked), "-S", release, "--show-depends", name)
        for path in re.findall(r"^insmod (\S+)", said, re.MULTILINE):
            shutil.copy(path, stage / "modules")
            order[Path(path).name] = None
    (stage / "modules/order").write_text("\n".join(order) + "\n")
    shutil.copy(modules / "suserelease.ko", stage / "modules")
    pack(stage, root / "initrd")


def pack(stage: Path, target: Path) -> None:
    """Write a folder as an archive that the kernel unpacks."""
    ask("sh", "-c", 'cd "$1" && find . | cpio --quiet -o -H newc -R 0:0 >"$2"', "sh", str(stage), str(target))


def make(root: Path, fetched: Path) -> None:
    """Build everything into ``root`` from what came from Debian."""
    work, repos, unpacked = root / "work", root / "repos", fetched / "kernel"
    work.mkdir()
    kernel.build_modules(unpacked, work / "modules")
    build.compile_c("blkmapd.c", work / "modules/blkmapd", "-static", "-s")
    shutil.copy(build.HERE / "fakes/klp", work / "modules/klp")
    specs.build_all(packages.specs(), work, repos, work / "modules")
    advisories.write_metadata(repos)
    make_initrd(root, work, unpacked, work / "modules")
    shutil.copy(next(unpacked.glob("boot/vmlinuz-*")), root / "vmlinuz")
    userland = work / "root"
    ask("cp", "-a", "--reflink=auto", str(fetched / "userland"), str(userland))
    image.build_root(userland, unpacked, work / "modules", repos)
    image.build_images(userland, root, repos)
    shutil.rmtree(work)


def sources() -> list[Path]:
    """Return the files that the machine is made from."""
    found = [path for pattern in ("*.py", "guest/*", "modules/*") for path in sorted(HERE.glob(pattern))]
    return build.sources() + [path for path in found if path.name != "machine.py"]


def build_vm(dest: str | Path = build.CHECKOUT / "build" / "vm") -> Build:
    """Return the machine below ``dest``, building what has changed."""
    dest = Path(dest).resolve()
    there = cache.digest(str(dest), debian.suite(), debian.versions(), sources=[HERE / "debian.py"])
    fetched = cache.kept(dest / "debian", there, make_debian)
    name = cache.digest(there, image.salt_versions(), sources=sources(), tools=TOOLS)
    return Build(cache.kept(dest / "image", name, lambda root: make(root, fetched)), fetched)
