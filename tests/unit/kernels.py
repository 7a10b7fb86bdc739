"""A host with the menu of GRUB, and what is said of kernels: the change to one, and those that there are."""

import re

import klp_grub
import klp_paths
from tests.fleet import day
from tests.unit.conftest import KERNEL
from tests.unit.hosts import answer
from tests.unit.loader import recorded

NEW = "5.14.21-150500.55.12-default"
TITLE = "SLES 15-SP5"
OLD_ENTRY, NEW_ENTRY = (f"gnulinux-advanced-0b1c>gnulinux-{release}-advanced-0b1c" for release in (KERNEL, NEW))


class Grub:
    """A host with the menu of SLES, whose grub2-editenv does what it is told, unless it is ``deaf``."""

    def __init__(self, minion, **variables):
        self.minion, self.variables, self.deaf = minion, dict(variables), False
        minion.write("boot/grub2/grub.cfg", recorded("boot/grub.cfg"))
        for release in (KERNEL, NEW):
            minion.write(f"boot/vmlinuz-{release}", "")
        self.save()
        answer(minion, ["grub2-editenv", "-", "set", ...], lambda argv: self.change(argv[3:]))
        answer(minion, ["grub2-editenv", "-", "unset", ...], lambda argv: self.change(argv[3:]))
        self.probe("ext2")

    def probe(self, kind, below=""):
        self.minion.programs.on(["grub2-probe", "--target=fs", klp_paths.GRUB], kind)
        self.minion.programs.on(["grub2-probe", "--target=abstraction", klp_paths.GRUB], below)

    def save(self):
        lines = "".join(f"{name}={value}\n" for name, value in self.variables.items())
        self.minion.write("boot/grub2/grubenv", klp_grub.SIGNATURE + lines)

    def change(self, words):
        for name, sign, value in [word.partition("=") for word in words] * (not self.deaf):
            self.variables.pop(name, None)
            self.variables.update({name: value} if sign else {})
        self.save()
        return {"stdout": ""}

    def rewrite(self, old, new):
        self.minion.write("boot/grub2/grub.cfg", re.sub(old, lambda match: new, recorded("boot/grub.cfg")))


CHANGE = {
    "from": "5.14.21-150500.55.7-default",
    "to": "5.14.21-150500.55.19-default",
    "edition": "5.14.21-150500.55.19.1",
    "live_patch": "1-150500.11.3.1",
    "fallback": True,
    "run": "c1",
}

RELEASE = "5.14.21-150500.55.{}-default"


def kernel(number, last=None, **more):
    """Return a kernel as ``klp_audit.kernels`` has it."""
    found = {
        "package": "kernel-default",
        "edition": f"5.14.21-150500.55.{number}.1",
        "release": RELEASE.format(number),
        "running": False,
        "installed": False,
        "retracted": False,
        "live_patch": {"package": f"kernel-livepatch-5_14_21-150500_55_{number}-default", "edition": "2-150500.2.1"},
        "window": {"state": "open", "first": day(-9), "last": day(last or number), "estimated": False, "source": "f:1"},
        "cves": {"CVE-2026-1000": "important"},
        "kmps": {"good": [], "missing": [], "unknown": [], "install": {}},
        "boot": {"needed": 1, "free": 2},
        "problems": [],
    }
    return {**found, **more}
