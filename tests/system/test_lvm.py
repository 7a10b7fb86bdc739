"""A root volume on LVM with free space in its volume group: the file system is ext4."""

from .volumes import Volumes


class TestLinear(Volumes):
    """Classic snapshots, which need room for all that changes."""

    layout = "lvm"
    named_by = "backup"
    no_room = (
        r"volume group system has 0 MiB free, a snapshot with room for 20 percent of system/root \(1600 MiB\) needs "
        r"320 MiB: add a disk \(vgextend system DEVICE\) or set pillar klp:backup:size to less"
    )
    create = ("--size", "48M", "system")
    by_hand = (("--size", "16M"), ("--size", "300M"))
