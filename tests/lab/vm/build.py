"""Build the virtual machine once: images, kernel, initrd, repositories; kept below a hash of all they are made from."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from .. import advisories, build, cache, specs
from . import debian, image, kernel, packages
from .debian import ask

HERE = Path(__file__).parent
TOOLS = ("qemu-system-x86_64", "mmdebstrap", "rpm", "zypper", "createrepo_c", "gcc", "mkfs.btrfs")
LATER = ("machine.py", "lvm.py", "install-lvm", "grub.py", "install-grub")  # of no use to what is built here
# What an initrd has in addition where the root is a logical volume.
LVM_MODULES = ("dm_snapshot", "dm_thin_pool", "xfs")
LVM_PROGRAMS = ("/usr/sbin/lvm", "/usr/sbin/thin_check")
# udev comes later here: the tools make the nodes themselves, /dev is handed on to the host.
LVM_CONF = "activation { udev_sync=0 udev_rules=0 monitoring=0 }\ndevices { obtain_device_list_from_udev=0 }\n"


@dataclass(frozen=True)
class Image:
    """A disk to boot from, where its root file system is, and what its initrd has in addition."""

    path: Path
    root: str = "/dev/vda"
    fstype: str = "btrfs"
    archives: tuple[Path, ...] = ()
    options: str = ""  # of the kernel command line
    boot: Path | None = None  # the disk with GRUB and /boot; without one QEMU is given kernel and initrd


class Build:
    """A finished build: where its kernel, initrd, images and repositories are, and how long it took."""

    def __init__(self, root: Path, fetched: Path) -> None:
        self.root = root
        self.seconds = cache.seconds(fetched) + cache.seconds(root)
        self.kernel = root / "vmlinuz"
        self.initrd = root / "initrd"
        self.initrd_lvm = root / "initrd-lvm"
        self.repos = root / "repos"

    def image(self, name: str) -> Image:
        """Return the disk image ``fresh`` or ``enabled``; lvm.py and grub.py make others when they are asked for."""
        path = self.root / f"{name}.raw"
        if not path.exists():
            raise ValueError(f"no image {name!r}, there are {sorted(item.stem for item in self.root.glob('*.raw'))}")
        return Image(path)


def make_debian(root: Path) -> None:
    """Fetch what comes from Debian."""
    for name, release in zip(("kernel", "newer"), debian.kernels(), strict=True):
        debian.kernel(root / name, release)
    debian.userland(root / "userland")


def make_initrd(stage: Path, unpacked: Path, modules: Path) -> None:
    """Make the initrd that is given to QEMU: busybox, drivers and the script that boots."""
    for name in ("bin", "proc", "sys", "dev", "mnt"):
        (stage / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", stage / "bin/busybox")
    shutil.copy(HERE / "guest/init", stage / "init")
    (stage / "init").chmod(0o755)
    add_drivers(stage / "modules", "base", kernel.drivers(unpacked, kernel.IN_INITRD))
    shutil.copy(modules / "suserelease.ko", stage / "modules")


def make_initrd_lvm(stage: Path, unpacked: Path, userland: Path) -> None:
    """Make what is added to it for a root on LVM: the drivers, the tools with their libraries, and a configuration."""
    there = set(kernel.drivers(unpacked, kernel.IN_INITRD))
    more = [path for path in kernel.drivers(unpacked, LVM_MODULES) if path not in there]
    add_drivers(stage / "modules", "lvm", more)
    for program in LVM_PROGRAMS:
        said = ask("chroot", str(userland), "ldd", program)
        for name in (program, *re.findall(r"(/\S+) \(0x", said)):
            (stage / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(userland / name.lstrip("/"), stage / name.lstrip("/"))
    (stage / "etc/lvm").mkdir(parents=True)
    (stage / "etc/lvm/lvm.conf").write_text(LVM_CONF)


def add_drivers(folder: Path, name: str, paths: list[str]) -> None:
    """Copy modules and write the list by which the initrd loads them."""
    folder.mkdir(parents=True)
    for path in paths:
        shutil.copy(path, folder)
    (folder / f"{name}.order").write_text("".join(f"{Path(path).name}\n" for path in paths))


def pack(stage: Path, target: Path) -> None:
    """Write a folder as an archive that the kernel unpacks."""
    ask("sh", "-c", 'cd "$1" && find . | cpio --quiet -o -H newc -R 0:0 >"$2"', "sh", str(stage), str(target))


def make(root: Path, fetched: Path) -> None:
    """Build everything into ``root`` from what came from Debian."""
    work, repos, unpacked = root / "work", root / "repos", fetched / "kernel"
    modules, old = work / "modules", work / "modules" / kernel.shown(kernel.OLD)
    kernel.collect(unpacked, kernel.OLD, old)
    kernel.collect(fetched / "newer", kernel.NEW, modules / kernel.shown(kernel.NEW))
    build.compile_c("blkmapd.c", modules / "blkmapd", "-static", "-s")
    shutil.copy(build.HERE / "fakes/klp", modules / "klp")
    for spec in packages.specs(modules):  # two rpmbuilds that make the same folder at the same time fail now and then
        (repos / spec.repository / "x86_64").mkdir(parents=True, exist_ok=True)
    specs.build_all(packages.specs(modules), work, repos, modules)
    advisories.write_metadata(repos)
    make_initrd(work / "initrd", unpacked, old)
    pack(work / "initrd", root / "initrd")
    make_initrd_lvm(work / "initrd-lvm", unpacked, fetched / "userland")
    pack(work / "initrd-lvm", root / "initrd-lvm")
    shutil.copy(next(unpacked.glob("boot/vmlinuz-*")), root / "vmlinuz")
    userland = work / "root"
    ask("cp", "-a", "--reflink=auto", str(fetched / "userland"), str(userland))
    image.build_root(userland, unpacked, repos)
    image.build_images(userland, root, repos)
    shutil.rmtree(work)


def sources() -> list[Path]:
    """Return the files that the machine is made from."""
    found = [path for pattern in ("*.py", "guest/*", "modules/*") for path in sorted(HERE.glob(pattern))]
    return build.sources() + [path for path in found if path.name not in LATER]


def build_vm(dest: str | Path = build.CHECKOUT / "build" / "vm") -> Build:
    """Return the machine below ``dest``, building what has changed."""
    dest = Path(dest).resolve()
    there = cache.digest(str(dest), debian.suite(), debian.versions(), sources=[HERE / "debian.py"])
    fetched = cache.kept(dest / "debian", there, make_debian)
    name = cache.digest(there, image.salt_versions(), sources=sources(), tools=TOOLS)
    return Build(cache.kept(dest / "image", name, lambda root: make(root, fetched)), fetched)
