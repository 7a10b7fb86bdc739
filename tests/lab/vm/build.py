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
IN_INITRD = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "btrfs", "crc32c_generic")
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
        """Return the disk image ``fresh`` or ``enabled``; those with LVM are made by lvm.py when they are asked for."""
        path = self.root / f"{name}.raw"
        if not path.exists():
            raise ValueError(f"no image {name!r}, there are {sorted(item.stem for item in self.root.glob('*.raw'))}")
        return Image(path)


def make_debian(root: Path) -> None:
    """Fetch what comes from Debian."""
    debian.kernel(root / "kernel")
    debian.userland(root / "userland")


def make_initrd(stage: Path, unpacked: Path, modules: Path) -> None:
    """Make the initrd that is given to QEMU: busybox, drivers and the script that boots."""
    for name in ("bin", "proc", "sys", "dev", "mnt"):
        (stage / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", stage / "bin/busybox")
    shutil.copy(HERE / "guest/init", stage / "init")
    (stage / "init").chmod(0o755)
    add_drivers(stage / "modules", "base", drivers(unpacked, IN_INITRD))
    shutil.copy(modules / "suserelease.ko", stage / "modules")


def make_initrd_lvm(stage: Path, unpacked: Path, userland: Path) -> None:
    """Make what is added to it for a root on LVM: the drivers, the tools with their libraries, and a configuration."""
    there = set(drivers(unpacked, IN_INITRD))
    add_drivers(stage / "modules", "lvm", [path for path in drivers(unpacked, LVM_MODULES) if path not in there])
    for program in LVM_PROGRAMS:
        said = ask("chroot", str(userland), "ldd", program)
        for name in (program, *re.findall(r"(/\S+) \(0x", said)):
            (stage / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(userland / name.lstrip("/"), stage / name.lstrip("/"))
    (stage / "etc/lvm").mkdir(parents=True)
    (stage / "etc/lvm/lvm.conf").write_text(LVM_CONF)


def drivers(unpacked: Path, names: tuple[str, ...]) -> list[str]:
    """Return the files of modules and of all that they need, in the order in which they are to be loaded."""
    found: dict[str, None] = {}
    for name in names:
        said = ask("modprobe", "-d", str(unpacked), "-S", kernel.release(unpacked), "--show-depends", name)
        found.update(dict.fromkeys(re.findall(r"^insmod (\S+)", said, re.MULTILINE)))
    return list(found)


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
    work.mkdir()
    kernel.build_modules(unpacked, work / "modules")
    build.compile_c("blkmapd.c", work / "modules/blkmapd", "-static", "-s")
    shutil.copy(build.HERE / "fakes/klp", work / "modules/klp")
    for spec in packages.specs():  # two rpmbuilds that make the same folder at the same time fail now and then
        (repos / spec.repository / "x86_64").mkdir(parents=True, exist_ok=True)
    specs.build_all(packages.specs(), work, repos, work / "modules")
    advisories.write_metadata(repos)
    ask("depmod", "-b", str(unpacked), kernel.release(unpacked))
    make_initrd(work / "initrd", unpacked, work / "modules")
    pack(work / "initrd", root / "initrd")
    make_initrd_lvm(work / "initrd-lvm", unpacked, fetched / "userland")
    pack(work / "initrd-lvm", root / "initrd-lvm")
    shutil.copy(next(unpacked.glob("boot/vmlinuz-*")), root / "vmlinuz")
    userland = work / "root"
    ask("cp", "-a", "--reflink=auto", str(fetched / "userland"), str(userland))
    image.build_root(userland, unpacked, work / "modules", repos)
    image.build_images(userland, root, repos)
    shutil.rmtree(work)


def sources() -> list[Path]:
    """Return the files that the machine is made from."""
    found = [path for pattern in ("*.py", "guest/*", "modules/*") for path in sorted(HERE.glob(pattern))]
    return build.sources() + [path for path in found if path.name not in ("machine.py", "lvm.py", "install-lvm")]


def build_vm(dest: str | Path = build.CHECKOUT / "build" / "vm") -> Build:
    """Return the machine below ``dest``, building what has changed."""
    dest = Path(dest).resolve()
    there = cache.digest(str(dest), debian.suite(), debian.versions(), sources=[HERE / "debian.py"])
    fetched = cache.kept(dest / "debian", there, make_debian)
    name = cache.digest(there, image.salt_versions(), sources=sources(), tools=TOOLS)
    return Build(cache.kept(dest / "image", name, lambda root: make(root, fetched)), fetched)
