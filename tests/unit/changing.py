"""A live patched host with GRUB whose next kernel is in a repository, for the tests of a change of kernel."""

import re

import klp_change_plan
import klp_paths
import klp_preflight
import klp_target
import klp_verify
import zypp_solver
from tests.unit.conftest import KERNEL, LP
from tests.unit.hosts import FIRST, KERNEL_PACKAGE, ONE, TOOLS, dry, reads, record, remembers, rpm, writes, wrote
from tests.unit.kernels import CHANGE, NEW, TITLE, Grub
from tests.unit.states import apply, functions  # noqa: F401 - a fixture

EDITION, NEW_LP, LEVEL = "5.14.21-150500.55.12.1", "kernel-livepatch-5_14_21-150500_55_12-default", "1-150500.11.3.2"
COMING = {
    "package": "kernel-default",
    "edition": EDITION,
    "release": NEW,
    "running": False,
    "installed": False,
    "retracted": False,
    "live_patch": {"package": NEW_LP, "edition": LEVEL},
    "window": {"state": "open", "first": "2023-07-17", "last": "2024-08-01", "estimated": True, "source": "rule"},
    "cves": {"CVE-2023-1": "important"},
    "kmps": {"good": [], "missing": [], "unknown": [], "install": {}},
    "boot": {"needed": 60 << 20, "free": 200 << 20},
    "problems": [],
}
WANTED = [f"kernel-default={EDITION}", f"{NEW_LP}={LEVEL}"]
INITRD = "dracut modules:\nkernel-livepatch\nlib/modules/x/livepatch/livepatch-1-150500_11_3_2.ko\n"
CHANGED = dict(CHANGE, edition=EDITION, live_patch=LEVEL, to=NEW)
OLD = {"kernel-default": KERNEL_PACKAGE, LP: ONE, TOOLS: "1.4-1"}
BESIDE = {**OLD, "kernel-default": f"{KERNEL_PACKAGE},{EDITION}", NEW_LP: LEVEL}
DRY = ["install", "--dry-run", "--no-recommends"]


class Changing:
    """A live patched host with GRUB whose next kernel is in a repository; ``target`` is what is chosen."""

    def __init__(self, minion, monkeypatch, paths):
        paths.update(["grub2-editenv", "grub2-probe"])
        self.minion, self.target, self.files = minion, COMING, monkeypatch
        self.grub = Grub(minion, saved_entry=TITLE)
        self.rpm(OLD, BESIDE)
        minion.live_patch(FIRST)
        minion.locked("kernel-default", "kernel-default-base")
        remembers(minion, "locks", ["kernel-default"])
        minion.write("etc/zypp/zypp.conf", "[main]\nmultiversion = provides:multiversion(kernel)\n")
        minion.write("proc/cmdline", "quiet\n")
        for release in (KERNEL, NEW):
            minion.write(f"boot/initrd-{release}", "")
        minion.programs.on(["lsinitrd", f"{klp_paths.BOOT}/initrd-{NEW}"], INITRD)
        self.dry(dry("install", *WANTED))
        writes(minion, ["install", "--no-recommends", *WANTED], "done", changes=True)
        monkeypatch.setattr(klp_target, "choose", lambda host: self.target)
        monkeypatch.setattr(klp_target, "kernels", lambda host: [self.target] if self.target else [])
        monkeypatch.setattr(zypp_solver, "refresh", lambda host: ["a"])
        monkeypatch.setattr(klp_preflight, "problems", lambda host: [])
        self.pillar()

    def rpm(self, *states):
        rpm(self.minion, *states)

    def dry(self, answer, *names):
        reads(self.minion, [*DRY, *(names or WANTED)], answer)

    def pillar(self, **klp):
        self.minion.pillar["klp"] = {"backup": {"backend": "none"}, "health": {"wait": 0}, **klp}

    def run(self, step, test=False):
        self.minion.context.clear()
        return apply(self.minion, "klp.kernel_changed", step, test=test)

    def plan(self):
        self.minion.context.clear()
        return klp_change_plan.plan(self.minion.host)

    def reboots(self, uname, release, boot="b2"):
        uname(release)
        self.minion.file(klp_paths.BOOT_ID, f"{boot}\n")

    def healthy(self, *problems):
        checks = [{"check": "x", "verdict": "failed", "detail": text} for text in problems]
        answer = {"verdict": "failed" if problems else "ok", "checks": checks}
        self.files.setattr(klp_verify, "verify", lambda host, wait=0: answer)


def refused(host, why):
    """The plan is refused with this sentence, and nothing was written."""
    found = host.run("plan")
    assert (found["result"], found["changes"]) == (False, {})
    assert re.search(why, found["comment"]), found["comment"]
    assert (record("kernel"), wrote(host.minion)) == (None, [])
    return found["comment"]
