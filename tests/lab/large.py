"""A host as large as a real one: 1,500 more packages installed, 20,000 in a repository, with 3,000 advisories."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
from pathlib import Path

from .host import Host
from .packages import Package, Spec
from .specs import build_all

ALIAS = "large"
BUILT = 1689588000
WORDS = "This package contains programs and libraries that are needed by many others. " * 4


def primary(number: int) -> str:
    """Return the primary metadata of so many packages, of the usual size, that nothing needs."""
    head = '<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" '
    return head + f'packages="{number}">\n' + "".join(map(_package, range(number))) + "</metadata>\n"


def _package(index: int) -> str:
    name, digest = f"bulk-{index:05}", hashlib.sha256(str(index).encode()).hexdigest()
    provided = "".join(
        f'<rpm:entry name="{name}{end}" flags="EQ" epoch="0" ver="1" rel="1"/>' for end in ("", "-a", "()")
    )
    needed = "".join(f'<rpm:entry name="bulk-{(index + step) % 20000:05}"/>' for step in (1, 7, 30, 500))
    files = "".join(f"<file>/usr/{folder}/{name}</file>" for folder in ("bin", "sbin"))
    return (
        f'<package type="rpm"><name>{name}</name><arch>x86_64</arch><version epoch="0" ver="1" rel="1"/>'
        f'<checksum type="sha256" pkgid="YES">{digest}</checksum><summary>{name}</summary>'
        f"<description>{WORDS}</description><packager/><url/>"
        f'<time file="{BUILT}" build="{BUILT}"/><size package="10000" installed="30000" archive="30000"/>'
        f'<location href="x86_64/{name}-1-1.x86_64.rpm"/><format><rpm:license>GPL-2.0</rpm:license>'
        f"<rpm:vendor>SUSE LLC</rpm:vendor><rpm:provides>{provided}</rpm:provides>"
        f"<rpm:requires>{needed}</rpm:requires>{files}</format></package>\n"
    )


def updateinfo(number: int) -> str:
    """Return so many security advisories, with 2 CVEs and 6 packages each."""
    return "<updates>\n" + "".join(map(_advisory, range(number))) + "</updates>\n"


def _advisory(index: int) -> str:
    cves = [f"CVE-2022-{2 * index + step + 10000}" for step in (0, 1)]
    references = "".join(f'<reference href="https://example.com" id="{cve}" title="{cve}" type="cve"/>' for cve in cves)
    packages = "".join(
        f'<package name="bulk-{(index * 6 + step) % 20000:05}" epoch="0" version="1" release="1" arch="x86_64"/>'
        for step in range(6)
    )
    return (
        f'<update from="maint-coord@suse.de" status="stable" type="security" version="1"><id>BULK-2022-{index}</id>'
        f"<title>Security update</title><severity>moderate</severity><release>15</release>"
        f'<issued date="{BUILT}"/><references>{references}</references><description>{WORDS}</description>'
        f"<pkglist><collection>{packages}</collection></pkglist></update>\n"
    )


def write(folder: Path, packages: int = 20000, advisories: int = 3000) -> None:
    """Write a repository that has metadata and no packages."""
    data = folder / "repodata"
    data.mkdir(parents=True)
    parts = []
    for kind, text in (("primary", primary(packages)), ("updateinfo", updateinfo(advisories))):
        packed = gzip.compress(text.encode(), mtime=0)
        (data / f"{kind}.xml.gz").write_bytes(packed)
        sums = (hashlib.sha256(packed).hexdigest(), hashlib.sha256(text.encode()).hexdigest())
        parts.append(
            f'<data type="{kind}"><checksum type="sha256">{sums[0]}</checksum>'
            f'<open-checksum type="sha256">{sums[1]}</open-checksum><location href="repodata/{kind}.xml.gz"/>'
            f"<timestamp>{BUILT}</timestamp><size>{len(packed)}</size><open-size>{len(text)}</open-size></data>\n"
        )
    head = '<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>\n'
    (data / "repomd.xml").write_text(head + "".join(parts) + "</repomd>\n")


def furnish(work: Path, installed: int = 1500) -> Path:
    """Make the repository and so many packages in the machine's folder, once; return the folder of the packages."""
    rpms = work / "rpms" / "bulk" / "x86_64"
    if not rpms.exists():
        write(work / ALIAS)
        spec = Spec("bulk", "bulk", BUILT, [Package(f"there-{index:04}", "1", "1") for index in range(installed)])
        build_all([spec], work / "rpmbuild", work / "rpms", work)
    return rpms


def enlarge(host: Host, work: Path) -> None:
    """Install 1,500 packages more in a host, and give it the large repository; ``work`` is the machine's folder."""
    rpms = furnish(work)
    for source, target in ((work / ALIAS, "/srv/large"), (rpms, "/srv/rpms")):
        subprocess.run(["cp", "-a", str(source), str(host.path(target))], check=True)
    done = host.run(["sh", "-c", "cd /srv/rpms && rpm -i --nodeps --noscripts *.rpm"], count=False, timeout=600)
    if done.returncode:
        raise RuntimeError(f"rpm -i of the many packages: {done.stderr[-500:]}")
    host.add_repo(ALIAS, "dir:///srv/large")
