"""A disk with GRUB and /boot: a virtual machine makes it with GRUB's own programs, and it is kept."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

from .. import cache
from .build import Build, Image, pack
from .machine import Machine

HERE = Path(__file__).parent
NAME = "grub"
DISK_MEBIBYTES = 256
SECONDS = 1800
SECTORS = 2048  # of 512 bytes in a mebibyte; the first partition begins behind the first one, GRUB is in front of it
LINUX = 0x83
# The emulation may need longer than systemd usually waits for a disk.
FSTAB = "/dev/vdb1 /boot ext4 x-systemd.device-timeout=900 0 0\n"  # what the host has in addition


def image(build: Build) -> Image:
    """Return the hosts' image ``enabled`` with a second disk, from which it boots by GRUB; made when it is not kept."""
    name = cache.digest(build.root.name, sources=[Path(__file__), HERE / "guest/install-grub"])
    folder = cache.kept(build.root.parent.parent / NAME, name, lambda root: make(root, build))
    return Image(build.image("enabled").path, boot=folder / "disk.raw")


def partition_table() -> bytes:
    """Return the first sector of a disk with one partition, which is marked as the one to boot from."""
    by_number = b"\xfe\xff\xff"  # no cylinders and heads
    size = (DISK_MEBIBYTES - 1) * SECTORS
    entry = struct.pack("<B3sB3sII", 0x80, by_number, LINUX, by_number, SECTORS, size)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def make(root: Path, build: Build) -> None:
    """Start a machine that puts /boot of the image and GRUB on the disk before any program of that image has run."""
    stage, work = root / "stage", root / "work"
    stage.mkdir()
    shutil.copy(HERE / "guest/install-grub", stage / "instead")
    pack(stage, root / "archive")
    source = Image(build.image("enabled").path, archives=(root / "archive",))
    machine = Machine(build, work, source, {}, disks=[f"{DISK_MEBIBYTES}M"])
    with machine.disks[0].open("r+b") as disk:
        disk.write(partition_table())
    with machine:
        machine.wait_for_console("lab: the disk is made", SECONDS)
        machine.power_cut()
        machine.disks[0].rename(root / "disk.raw")
    (root / "archive").unlink()
    shutil.rmtree(stage)
    shutil.rmtree(work)
