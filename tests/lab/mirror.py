"""A mirror that a test changes while a host is at work: a repository in the host, and what it has later."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .advisories import Advisory, write_updateinfo
from .host import Host
from .packages import Spec
from .specs import build_all

ALIAS, PLACE, LATER = "mirror", "/srv/mirror", "/srv/later"
PUBLISH = f"cp -a {LATER}/. {PLACE}/"  # what a program of the host runs to make the mirror move


def build(folder: Path, specs: Sequence[Spec], advisories: Sequence[Advisory] = ()) -> Path:
    """Build a repository of these packages in a new folder and return it."""
    wanted = [Spec(spec.name, "packages", spec.built, spec.packages, spec.changelog) for spec in specs]
    build_all(wanted, folder / "work", folder, folder)
    repository = folder / "packages"
    quiet: dict[str, Any] = {"check": True, "timeout": 120, "capture_output": True}
    subprocess.run(["createrepo_c", "-q", "--no-database", repository], **quiet)
    if advisories:
        write_updateinfo(advisories, repository)
    return repository


def variant(repository: Path, folder: Path, advisories: Sequence[Advisory]) -> Path:
    """Return a copy, in a new folder, of a repository without advisories: the same packages, with these advisories."""
    shutil.copytree(repository, folder)
    write_updateinfo(advisories, folder)
    return folder


def unmarked(repository: Path, folder: Path, advisories: Sequence[Advisory]) -> Path:
    """Return the same as ``variant`` for a libsolv that does not know of retracted advisories."""
    shutil.copytree(repository, folder)
    write_updateinfo(advisories, folder, mark=False)
    return folder


def offer(host: Host, repository: Path, later: Path | None = None) -> None:
    """
    Give a host the repository, looked at anew by every zypper that may, as those of a registered host are.

    later
        what ``PUBLISH`` makes of it.
    """
    shutil.copytree(repository, host.path(PLACE))
    if later:
        shutil.copytree(later, host.path(LATER))
    host.add_repo(ALIAS, f"dir://{PLACE}")
    host.zypper("mr", "--refresh", ALIAS, count=False)
    conf = host.read("/etc/zypp/zypp.conf")
    host.write("/etc/zypp/zypp.conf", conf.replace("[main]", "[main]\nrepo.refresh.delay = 0", 1))


def replace(host: Host, repository: Path) -> None:
    """Let the repository of a host be another one from now on, as its vendor does."""
    place = host.path(f"{PLACE}/repodata")
    shutil.rmtree(place)
    shutil.copytree(repository / "repodata", place)


def age(host: Host, days: int, *aliases: str) -> None:
    """
    Let the metadata of some repositories be so many days old, below zero: of the future; the host has fetched them.

    As a mirror that stands still has them: nothing but the times in repomd.xml is different.
    """
    for alias in aliases:
        place, file = host.path(f"/srv/aged/{alias}"), f"/etc/zypp/repos.d/{alias}.repo"
        if not place.exists():
            url = re.search(r"^baseurl=dir:/*(/.*)$", host.read(file), re.MULTILINE)
            assert url, host.read(file)
            shutil.copytree(host.path(url[1]), place, symlinks=True)
            host.write(file, re.sub(r"(?m)^baseurl=.*$", f"baseurl=dir:///srv/aged/{alias}", host.read(file)))
        index = place / "repodata" / "repomd.xml"
        made = str(int(time.time()) - days * 86400)
        index.write_text(re.sub(r"(?<=<timestamp>)\d+|(?<=<revision>)\d+", made, index.read_text()))
        done = host.zypper("refresh", "--force", alias, count=False)
        assert done.returncode == 0, done.stdout + done.stderr
