"""Hosts that are prepared once, and what the host looks like on which nobody killed anything; kept below build/kill."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.functional.conftest import BACKUP, VERIFY, VOLUMES, equip, settings
from tests.lab import build, cache, packages, specs
from tests.lab.host import HOOK, Host

from . import judge, killer

HERE = Path(__file__).parent
# How long a %post takes is read from a file: nothing for most kills, a second for those inside of it.
SECONDS = "/etc/lab/post-seconds"
WAIT = f"read -r seconds <{SECONDS}\nsleep $seconds\n"
SLOW = ("slow-agent", "slow-library")
OLD, NEW = "1.0", "2.0"
PILLAR = settings(zypper={"lock_timeout": 120})
# What a run changes on a host, besides the files of packages.
CHANGED = """
boot srv etc/zypp etc/salt etc/lab usr/lib/modules usr/lib/sysimage usr/share/lab usr/share/lifecycle usr/sbin/klp
var/lib/zypp var/lib/lab var/lib/salt-klp var/cache/zypp var/cache/salt var/log/zypp var/adm
etc/sysconfig/livepatching
""".split()


@dataclass(frozen=True)
class Scenario:
    """A command and the host on which it is killed; its result is kept as ``leaves``, for the scenarios after it."""

    start: str
    sls: str
    leaves: str = ""


SCENARIOS = {
    "klp": Scenario("fresh", "klp"),
    "patch": Scenario("enabled", "klp.patch", "patched"),
    "rollback": Scenario("patched", "klp.rollback", "rolled-back"),
    "disable": Scenario("patched", "klp.disable"),
    "disable-held": Scenario("rolled-back", "klp.disable"),
}


class Prepared(build.Lab):
    """The lab, with the prepared hosts as further golden roots."""

    def __init__(self, lab: build.Lab, kept: Path) -> None:
        super().__init__(lab.root)
        self.kept = kept

    def golden(self, name: str) -> Path:
        """Return a prepared root, or one of the lab."""
        path = self.kept / "roots" / name
        return path if path.is_dir() else super().golden(name)

    def reference(self, name: str) -> dict[str, Any]:
        """Return what is known of a scenario without a kill: steps, seconds, document, and that of a later boot."""
        return json.loads((self.kept / f"{name}.json").read_text())

    @contextmanager
    def host(self, name: str, seconds: int = 0) -> Iterator[Host]:
        """Start a prepared host, in which a slow %post takes this many seconds."""
        with Host(self, "sles1", name) as host:
            host.salt.sync()
            host.write(SECONDS, f"{seconds}\n")
            yield host


def slow(name: str, version: str) -> packages.Package:
    """Return a package whose %post takes its time, and writes down when it has begun and when it has ended."""
    note = f'echo "{name}-{version} {{}}" >>{judge.POSTS}\n'
    text = note.format("begun") + WAIT + note.format("ended")
    return packages.Package(name, version, "1.1", scripts={"post": text.rstrip()})


def build_repository(kept: Path) -> Path:
    """Build the repository of the slow packages, old and new editions in one."""
    found = [[slow(name, version) for name in SLOW] for version in (OLD, NEW)]
    runs = [packages.Spec(f"slow{number}", "slow", 1689588000, each) for number, each in enumerate(found)]
    specs.build_all(runs, kept / "work", kept, kept)
    shutil.rmtree(kept / "work")
    argv = ["createrepo_c", "-q", "--no-database", "--revision", "1", "--set-timestamp-to-revision", str(kept / "slow")]
    subprocess.run(argv, check=True, timeout=120)
    return kept / "slow"


def furnish(host: Host, repository: Path) -> None:
    """Give a host of the lab the slow packages, a slow hook in its live patches, the pillar and a backup command."""
    equip(host, PILLAR)
    host.salt.sync()
    host.write(SECONDS, "0\n")
    host.path(HOOK).rename(host.path(f"{HOOK}.real"))
    host.write(HOOK, f'#!/bin/sh\n{WAIT}exec {HOOK}.real "$@"\n', mode=0o755)
    host.add_repo("slow", repository)
    done = host.zypper("install", "--no-recommends", *[f"{name}={OLD}-1.1" for name in SLOW], count=False)
    if done.returncode:
        raise RuntimeError(f"the slow packages were not installed: {done.stdout}{done.stderr}")


def keep(host: Host, golden: Path, target: Path) -> None:
    """Keep the disk of a host as a golden root."""
    shutil.copytree(golden, target, symlinks=True)
    owned = [name for name in host.run(["rpm", "-qal"], count=False).stdout.split() if not host.path(name).is_dir()]
    for name in [*owned, HOOK, f"{HOOK}.real", BACKUP, VERIFY, VOLUMES, *CHANGED]:
        replace(host.path(name), target / name.lstrip("/"))


def replace(source: Path, target: Path) -> None:
    """Put what is at ``source`` in the place of ``target``; nothing, where there is nothing."""
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def prepare(lab: Prepared, name: str, repository: Path) -> None:
    """Prepare a golden root of the lab for the kills."""
    with Host(lab, "sles1", name) as host:
        furnish(host, repository)
        keep(host, build.Lab.golden(lab, name), lab.kept / "new")
    (lab.kept / "new").rename(lab.kept / "roots" / name)


def unkilled(host: Host, sls: str) -> dict[str, Any]:
    """Apply an SLS without a kill; return its steps and how long they took."""
    steps, begun = [], 0.0
    run = killer.start(host, sls)
    with killer.Gate(host) as gate:
        for step in gate.steps(run):
            begun = begun or time.monotonic()
            steps.append({"program": killer.title(step), "tools": killer.tools(step)})
    seconds = time.monotonic() - begun
    if run.wait(timeout=300):
        raise RuntimeError(f"{sls} fails on a host that nobody killed: exit {run.returncode}")
    return {"steps": steps, "seconds": seconds}


def refer(lab: Prepared, name: str) -> None:
    """Make the reference of one scenario: a host on which its command was run and nobody killed anything."""
    scenario = SCENARIOS[name]
    with lab.host(scenario.start) as host:
        found = unkilled(host, scenario.sls)
        if scenario.leaves:
            keep(host, lab.golden(scenario.start), lab.kept / "roots" / scenario.leaves)
        found["document"] = judge.document(host)
        host.reboot()
        found["rebooted"] = judge.document(host)
    (lab.kept / f"{name}.json").write_text(json.dumps(found, indent=1))


def make(kept: Path) -> None:
    """Prepare everything in an empty folder."""
    lab = Prepared(build.build(), kept)
    repository = build_repository(kept)
    (kept / "roots").mkdir()
    for name in ("fresh", "enabled"):
        prepare(lab, name, repository)
    for name in SCENARIOS:
        refer(lab, name)


def sources() -> list[Path]:
    """Return all files that the outcome depends on: product, lab and this harness."""
    top = build.CHECKOUT
    product = [path for folder in ("_modules", "_states", "_utils", "salt/klp") for path in (top / folder).rglob("*")]
    harness = [HERE / name for name in ("prepared.py", "killer.py", "judge.py")]
    return [*build.sources(), *sorted(path for path in product if path.suffix in (".py", ".sls", ".jinja")), *harness]


@functools.cache
def prepared() -> Prepared:
    """Return the prepared hosts; they are made when something that they depend on has changed."""
    dest = build.CHECKOUT / "build" / "kill"
    lab = build.build()
    return Prepared(lab, cache.kept(dest, cache.digest(str(dest), sys.prefix, sources=sources()), make))
