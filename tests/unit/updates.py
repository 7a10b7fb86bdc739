"""What the tests of updates share: a zypper whose packages drag in what they must not, or cannot be installed."""

import klp_paths
import klp_updates
from tests.unit.conftest import LP
from tests.unit.hosts import BASE, LATER, ONE, PENDING, reads, rpm
from tests.unit.loader import recorded

EIGHT = [f"p{number}" for number in range(1, 9)]
SOLVABLE = '<solvable type="package" name="{}" edition="{}" edition-old="1-1"/>'
KERNEL = '<to-install><solvable type="package" name="kernel-default" edition="5-1"/></to-install>'
OTHER = '<to-upgrade><solvable type="package" name="{}" edition="2-1" edition-old="1-1"/></to-upgrade>'
VENDOR = '<to-change-vendor><solvable type="package" name="{}" edition="2-1"/></to-change-vendor>'
REMOVAL = f'<to-remove><solvable type="package" name="{LP}" edition="1-1"/></to-remove>'
CURE = "leave it out for good with pillar klp:update:exclude: [{}]"
BAD = {
    # what a package drags in, and how it is said
    "kernel": (KERNEL, "would install kernel-default-5-1"),
    "reboot": (OTHER.format("glibc"), "would upgrade glibc-2-1 (asks for a reboot)"),
    "vendor": (VENDOR.format("{}"), "would change the vendor of {}-2-1"),
    "live patch": (REMOVAL, f"would remove {LP}-1-1"),
    "excluded": (OTHER.format("never"), "would upgrade never-2-1"),
}
REFUSED = {
    # exit code, recorded answer, and how it is said
    "solver": (
        4,
        "install-plan-problem.xml",
        (
            "cannot be installed here: Problem: dkms-agent-2.0-1.1.x86_64 requires kernel-default >= "
            "5.14.21-150500.55.12, but this requirement cannot be provided"
        ),
    ),
    "gone": (104, "install-not-found.xml", "cannot be installed here: No provider of 'no-such-package' found."),
    "licence": (
        4,
        "install-licence.xml",
        (
            "cannot be installed here: a licence has to be agreed to: install it once by hand, or allow it with pillar "
            "klp:update:licenses"
        ),
    ),
}


def advisory(name, stack=False, category="security", reboot=False):
    flags = f'pkgmanager="{str(stack).lower()}" restart="{str(reboot).lower()}" interactive="{str(reboot).lower()}"'
    return f'<update kind="patch" name="{name}" status="needed" category="{category}" severity="low" {flags}/>'


def package(name, edition="2-1"):
    return f'<update kind="package" name="{name}" edition="{edition}" edition-old="1-1"/>'


class Solver:
    """A zypper that tries what it is asked; some packages drag in more, or cannot be installed."""

    def __init__(self, minion, bad=None, apart=()):
        self.minion, self.bad, self.apart = minion, bad or {}, set(apart)
        for later in ([], [LATER]):
            argv = ["zypper", "--non-interactive", "--xmlout", *later, "install", ...]
            minion.programs.script.insert(0, (argv, self, None, False))

    def __next__(self):
        asked = dict(part.split("=", 1) for part in self.minion.programs.calls[-1] if "=" in part)
        kinds = [self.bad[name] for name in asked if name in self.bad]
        kinds += ["solver"] if self.apart and self.apart <= set(asked) else []
        for kind in kinds:
            if kind in REFUSED:
                code, sample, _ = REFUSED[kind]
                return {"retcode": code, "stdout": recorded(f"zypper/{sample}")}
        text = "".join(SOLVABLE.format(name, edition) for name, edition in asked.items())
        more = "".join(BAD[self.bad[name]][0].format(name) for name in asked if name in self.bad)
        return {"stdout": f"<stream><install-summary><to-upgrade>{text}</to-upgrade>{more}</install-summary></stream>"}

    @property
    def tried(self):
        """What was tried, in order: lists of NAME=EDITION."""
        dry = [argv for argv in self.minion.programs.calls if "--dry-run" in argv]
        return [[part for part in argv if "=" in part] for argv in dry]


def host_with(minion, packages=(), advisories=(), bad=None, apart=(), **more):
    """A host of which these packages can be updated, and one advisory each speaks of them."""
    rows = [*advisories, *[package(name) for name in packages]]
    reads(minion, PENDING, f"<stream><update-list>{''.join(rows)}</update-list></stream>")
    before = {**BASE, LP: ONE, **dict.fromkeys([*packages, "glibc"], "1-1")}
    rpm(minion, before, {**before, **dict.fromkeys(packages, "2-1"), **more})
    minion.file(klp_paths.NEEDREBOOT, "glibc\n")
    return Solver(minion, bad, apart)


def info(minion, **contents):
    """Say which packages advisories bring, each in edition 2-1."""
    text = "".join(
        f"Name        : {name.replace('_', '-')}\nConflicts   : [1]\n"
        + "".join(f"    {item} < 2-1\n" for item in items)
        for name, items in contents.items()
    )
    reads(minion, ["info", "--type", "patch", *[name.replace("_", "-") for name in sorted(contents)]], text, xml=False)


def skipped(found):
    return {item["item"]: item["reason"] for item in found["skipped"]}


def planned(minion, **update):
    """Return the plan for a host whose pillar has these settings below ``klp:update``."""
    minion.pillar["klp"] = {"update": update}
    return klp_updates.plan(minion.host)


def updates(*packages):
    """Return what zypper says about pending packages, ``NAME OLD NEW``."""
    nodes = [package.split() for package in packages]
    text = "".join(
        f'<update kind="package" name="{name}" edition="{new}" edition-old="{old}"/>' for name, old, new in nodes
    )
    return f"<stream><update-status><update-list>{text}</update-list></update-status></stream>"
