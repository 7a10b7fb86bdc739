"""A root volume that is a thin one: the file system is xfs."""

from .volumes import Volumes


class TestThin(Volumes):
    """Thin snapshots, which need room in their pool."""

    layout = "thin"
    keep = 2
    named_by = "run"
    no_room = (
        r"thin pool system/pool: its data is 9\d(\.\d+)? percent full, "
        r"extend it with: lvextend --size \+SIZE system/pool"
    )
    create = ("--thin", "--virtualsize", "48M", "system/pool")
