"""Disks whose root is a logical volume: they are made inside a virtual machine, where a device mapper is, and kept."""

from __future__ import annotations

import shutil
from pathlib import Path

from .. import cache
from .build import Build, Image, pack
from .machine import Machine

HERE = Path(__file__).parent
ROOT = "/dev/mapper/system-root"
DISK = "4G"
LAYOUTS = {"lvm": "ext4", "thin": "xfs"}  # with a file system each, as there are two that SLES has on LVM
SECONDS = 1800


def image(build: Build, layout: str) -> Image:
    """
    Return a disk with the hosts' image ``enabled`` on LVM; it is made when it is not kept from an earlier time.

    Layout ``lvm`` has a volume group with free space and a linear volume, ``thin`` has a thin volume in a pool.
    """
    fstype = LAYOUTS[layout]
    name = cache.digest(build.root.name, layout, fstype, DISK, sources=[Path(__file__), HERE / "guest/install-lvm"])
    folder = cache.kept(build.root.parent.parent / layout, name, lambda root: make(root, build, layout))
    return Image(folder / "disk.raw", ROOT, fstype, (build.initrd_lvm,))


def make(root: Path, build: Build, layout: str) -> None:
    """Start a machine from the btrfs image that makes the disk before any program of that image has run."""
    stage, work = root / "stage", root / "work"
    stage.mkdir()
    shutil.copy(HERE / "guest/install-lvm", stage / "instead")
    pack(stage, root / "archive")
    options = f"lab.layout={layout} lab.fstype={LAYOUTS[layout]}"
    source = Image(build.image("enabled").path, archives=(build.initrd_lvm, root / "archive"), options=options)
    with Machine(build, work, source, {}, disks=[DISK]) as machine:
        machine.wait_for_console("lab: the disk is made", SECONDS)
        machine.power_cut()
        machine.disks[0].rename(root / "disk.raw")
    (root / "archive").unlink()
    shutil.rmtree(stage)
    shutil.rmtree(work)
