"""Live patched hosts: one that is held after a rollback, one that is ready for a change, one that is disabled."""

import pytest

import klp_disable
import klp_paths
import klp_preflight
from tests.unit.conftest import KERNEL, LP
from tests.unit.hosts import (
    BASE,
    FIRST,
    LATER,
    LIFECYCLE,
    ONE,
    PENDING,
    SECOND,
    THIRD,
    THREE,
    TWO,
    answer,
    becomes,
    dry,
    has,
    lock_records,
    locking,
    reads,
    remembers,
    repository,
    rpm,
    tool,
    writes,
)
from tests.unit.loader import recorded

BRINGS_3 = "SUSE-SLE-Module-Live-Patching-15-SP5-2023-3179"
LOCK, ADVISORY = f"{LP}>{TWO}", f"patch:{BRINGS_3}"
DOWN = ["install", "--oldpackage"]
DRY = [*DOWN, "--dry-run"]
NAME = f"{LP}={TWO}"


def held_at(minion, edition=TWO, locks=(), **fields):
    hold = {"package": LP, "edition": edition, "from": THREE, "since": 1, "locks": list(locks), **fields}
    remembers(minion, "hold", hold)


@pytest.fixture
def third(minion):
    """A host at level 3 that can go back to 2."""
    has(minion, THREE, TWO)
    minion.live_patch(THIRD)
    repository(minion)
    reads(minion, [*DRY, NAME], recorded("zypper/downgrade-live-patch.xml"))
    writes(minion, [*DOWN, NAME], then=lambda: becomes(SECOND), changes=True)
    reads(minion, PENDING, recorded("zypper/list-patches-went-back.xml"))
    reads(minion, ["info", "--type", "patch", ...], recorded("zypper/info-patches-went-back.txt"), xml=False)
    locking(minion)
    return minion


CODE = "SECRET-0001"


@pytest.fixture
def ready(minion):
    """A host that nothing speaks against: kernel installed and locked, a live patch active, a repository."""
    has(minion, ONE)
    minion.locked(*klp_preflight.lock_list(minion.host))
    minion.live_patch(FIRST)
    repository(minion)
    tool(minion)
    return minion


MODULE = "livepatch_3_150500_2_1"
LOCKS = ["kernel-default", "kernel-macros"]
KLP = f"{MODULE}\n    active: 1\n    RPM: {LP}-{THREE}.x86_64\n    CVE: CVE-2023-3090 CVE-2023-2002\n"
HELD = {"package": LP, "edition": "2-1", "from": THREE, "since": 1, "locks": [f"{LP}>2-1"]}
SCRIPTLET = "warning: %postun(tools-1.4-1.x86_64) scriptlet failed, exit status 1"


class Host:
    """A host with live patching whose zypper removes packages and locks."""

    def __init__(self, minion):
        self.minion, self.packages = minion, {"bash": "1-1", LP: THREE, LIFECYCLE: "", **BASE}
        self.disable: dict = {}
        minion.pillar["klp"] = {"disable": self.disable}
        self.lock(*LOCKS)
        rpm(minion, self.packages)
        locking(minion)
        minion.programs.on(["rpm", "-q", "--whatprovides", ...], {"retcode": 1, "stdout": "no package provides it"})
        zypper = ["zypper", "--non-interactive"]
        for later in ([], [LATER]):
            answer(minion, [*zypper, "--xmlout", *later, "remove", "--dry-run", ...], self.would_remove)
            answer(minion, [*zypper, *later, "remove", ...], self.remove)
        minion.live_patch(MODULE)
        minion.programs.on(["klp", "-v", "patches"], KLP)
        self.initrd(KERNEL)

    def would_remove(self, argv):
        names = argv[argv.index("--dry-run") + 1 :]
        return {"stdout": dry("remove", *[f"{name}={self.packages[name]}" for name in names])}

    def remove(self, argv):
        for name in argv[argv.index("remove") + 1 :]:
            del self.packages[name]
        self.minion.changed()
        return {"retcode": 107, "stdout": SCRIPTLET}

    def lock(self, *names, ours=None):
        """Write the lock file, and which of the locks were made here."""
        self.minion.file(klp_paths.LOCKS, lock_records(*names))
        remembers(self.minion, "locks", sorted(names if ours is None else ours))

    def hold(self):
        remembers(self.minion, "hold", HELD)

    def initrd(self, kernel, *modules):
        """Write an initrd that lsinitrd lists so."""
        path = f"{klp_paths.BOOT}/initrd-{kernel}"
        self.minion.file(path, " ".join(modules))
        files = [f"-rw-r--r-- 1 root root 9 lib/modules/{kernel}/livepatch/{name}.ko\n" for name in modules]
        text = "dracut modules:\nbash\n" + "".join(files)
        self.minion.programs.on(["lsinitrd", path], text)
        return path

    def leftovers(self, **kwargs):
        return klp_disable.leftovers(self.minion.host, **kwargs)

    def end(self):
        return self.minion.salt["klp.disable"]()

    def still_loaded(self):
        return klp_disable.still_loaded(self.minion.host)

    def dry_runs(self):
        return [argv[-1] for argv in self.minion.programs.calls if "--dry-run" in argv]
