"""The advisories of the lab (zypper calls them patches) and the metadata of its repositories."""

from __future__ import annotations

import gzip
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from .packages import LIVE_PATCH, LP_UPDATES, NEW_LIVE_PATCH, SLES_UPDATES

BASE = "SUSE-SLE-Module-Basesystem-15-SP5-2023-"
LIVE = "SUSE-SLE-Module-Live-Patching-15-SP5-2023-"
KERNEL_CVES = ("CVE-2023-1077", "CVE-2023-1281", "CVE-2023-2002", "CVE-2023-3090", "CVE-2023-2156")


@dataclass
class Advisory:
    """
    One advisory; ``packages`` are (name, version, release), ``flag`` is reboot, restart or empty.

    status
        ``retracted``: withdrawn by the vendor, as SUSE publishes it (libsolv's UPDATE_STATUS, Uyuni's RFC 74).
    """

    id: str
    kind: str
    severity: str
    issued: int
    packages: list[tuple[str, str, str]]
    cves: tuple[str, ...] = ()
    flag: str = ""
    bug: str = "1200000"
    status: str = "stable"


def bundle(level: int) -> list[tuple[str, str, str]]:
    """
    Return what one advisory of live patches holds besides the live patch of the lab's kernel.

    Those of other kernels, each at a level of its own, with debuginfo and debugsource: as SUSE-SU-2024:3670-1 does.
    """
    release = "150500.2.1"
    return [
        (f"{LIVE_PATCH}-debuginfo", str(level), release),
        ("kernel-livepatch-SLE15-SP5_Update_0-debugsource", str(level), release),
        ("kernel-livepatch-5_14_21-150500_55_19-default", str(level + 3), release),
        ("kernel-livepatch-5_14_21-150500_55_19-default-debuginfo", str(level + 3), release),
        ("kernel-livepatch-SLE15-SP5_Update_3-debugsource", str(level + 3), release),
    ]


NEW_KERNEL_PACKAGES = [
    ("kernel-default", "5.14.21", "150500.55.12.1"),
    ("kernel-default-livepatch", "5.14.21", "150500.55.12.1"),
    (NEW_LIVE_PATCH, "1", "150500.11.3.2"),
]
FIRMWARE = ("kernel-firmware-all", "20230724", "150500.3.6.1")

ADVISORIES = {
    SLES_UPDATES: [
        Advisory(BASE + "2871", "security", "important", 1689674400, NEW_KERNEL_PACKAGES, KERNEL_CVES, "reboot"),
        Advisory(
            BASE + "2990",
            "recommended",
            "important",
            1690452000,
            [("libzypp", "17.31.20", "150500.3.6.1")],
            flag="restart",
        ),
        Advisory(
            BASE + "3210",
            "security",
            "moderate",
            1691402400,
            [("libz1", "1.2.13", "150500.4.3.1")],
            ("CVE-2023-45853",),
        ),
        Advisory(
            BASE + "3242",
            "recommended",
            "moderate",
            1691488800,
            [("libopenssl1_1", "1.1.1l", "150500.17.6.1")],
        ),
        Advisory(BASE + "3300", "recommended", "moderate", 1691575200, [("nfs-client", "2.1.1", "150500.22.3.1")]),
        Advisory(BASE + "3310", "optional", "low", 1691661600, [("curl", "8.0.1", "150400.5.26.1")]),
        Advisory(BASE + "3410", "recommended", "moderate", 1692784800, [("dkms-agent", "2.0", "1.1")]),
        Advisory(
            BASE + "3500",
            "security",
            "important",
            1693562400,
            [("glibc", "2.31", "150300.63.1")],
            ("CVE-2023-4813",),
            "reboot",
        ),
    ],
    LP_UPDATES: [
        Advisory(
            LIVE + "3001",
            "security",
            "important",
            1692180000,
            [(LIVE_PATCH, "2", "150500.2.1"), *bundle(2)],
            ("CVE-2023-1077", "CVE-2023-1281"),
        ),
        Advisory(
            LIVE + "3179",
            "security",
            "important",
            1695117600,
            [(LIVE_PATCH, "3", "150500.2.1"), *bundle(3)],
            ("CVE-2023-2002", "CVE-2023-3090"),
        ),
    ],
    "update-combo": [
        Advisory(
            BASE + "3400",
            "security",
            "important",
            1692698400,
            [NEW_KERNEL_PACKAGES[0], FIRMWARE],
            KERNEL_CVES,
            "reboot",
        ),
    ],
}


def reference(kind: str, ident: str, href: str) -> str:
    """Return one ``<reference>`` element."""
    return f'<reference href="{href}" id="{ident}" title="{ident}" type="{kind}"/>'


def package(advisory: Advisory, name: str, version: str, release: str) -> str:
    """Return one ``<package>`` element with the flag of its advisory."""
    flag = f"<{advisory.flag}_suggested>True</{advisory.flag}_suggested>" if advisory.flag else ""
    nvr = f"{name}-{version}-{release}"
    edition = f"version={quoteattr(version)} release={quoteattr(release)}"
    attributes = f'name={quoteattr(name)} epoch="0" {edition} arch="x86_64" src="{nvr}.src.rpm"'
    return f"<package {attributes}><filename>{nvr}.x86_64.rpm</filename>{flag}</package>"


def update(advisory: Advisory) -> str:
    """Return the ``<update>`` element of an advisory."""
    names = ", ".join(name for name, _, _ in advisory.packages)
    title = f"{advisory.kind.capitalize()} update for {names}"
    references = [reference("cve", c, f"https://www.suse.com/security/cve/{c}.html") for c in advisory.cves]
    references.append(reference("bugzilla", advisory.bug, f"https://bugzilla.suse.com/{advisory.bug}"))
    packages = "".join(package(advisory, *p) for p in advisory.packages)
    return "\n".join(
        [
            f'<update from="maint-coord@suse.de" status="{advisory.status}" type="{advisory.kind}" version="1">',
            f"<id>{advisory.id}</id><title>{escape(title)}</title><severity>{advisory.severity}</severity>",
            f'<release>SLE-15-SP5</release><issued date="{advisory.issued}"/>',
            f"<references>{''.join(references)}</references>",
            f"<description>This update for {escape(names)} fixes problems.</description>",
            f"<pkglist><collection>{packages}</collection></pkglist></update>",
        ]
    )


def write_updateinfo(advisories: Sequence[Advisory], repository: Path, mark: bool = True) -> None:
    """Put the advisories of a repository into its metadata, and ``mark`` the packages of those that are retracted."""
    source = repository / "updateinfo.xml"
    source.write_text("<updates>\n" + "\n".join(map(update, advisories)) + "\n</updates>\n")
    modify(repository, "--mdtype=updateinfo", str(source))
    source.unlink()
    if mark:
        mark_retracted(advisories, repository)


def modify(repository: Path, *args: str) -> None:
    """Change what the metadata of a repository hold."""
    argv = ["modifyrepo_c", *args, str(repository / "repodata")]
    subprocess.run(argv, check=True, timeout=120, capture_output=True)


def mark_retracted(advisories: Sequence[Advisory], repository: Path) -> None:
    """
    Give the packages of retracted advisories ``Provides: retracted-patch-package()``, which libzypp looks for.

    On SUSE libsolv does this when it reads a repository (ext/repo_updateinfoxml.c, repo_mark_retracted_packages, built
    for SUSE only): each package of that repository whose name and edition an advisory that is retracted names, whatever
    other advisories say of it. The rpm itself does not have it. Debian's libsolv leaves it out, so it is put into
    the metadata here.
    """
    names = {item for advisory in advisories if advisory.status == "retracted" for item in advisory.packages}
    if not names:
        return
    common, rpm = "http://linux.duke.edu/metadata/common", "http://linux.duke.edu/metadata/rpm"
    ElementTree.register_namespace("", common)
    ElementTree.register_namespace("rpm", rpm)
    (packed,) = (repository / "repodata").glob("*-primary.xml.gz")
    tree = ElementTree.ElementTree(ElementTree.fromstring(gzip.decompress(packed.read_bytes())))  # noqa: S314
    for node in tree.iter(f"{{{common}}}package"):
        version = node.find(f"{{{common}}}version")
        provides = node.find(f"{{{common}}}format/{{{rpm}}}provides")
        assert version is not None and provides is not None
        if (node.findtext(f"{{{common}}}name"), version.get("ver"), version.get("rel")) in names:
            ElementTree.SubElement(provides, f"{{{rpm}}}entry", name="retracted-patch-package()")
    source = repository / "primary.xml"
    tree.write(source, encoding="UTF-8", xml_declaration=True)
    modify(repository, "--remove", "primary")
    modify(repository, "--mdtype=primary", str(source))
    source.unlink()


def write_metadata(repos: Path) -> None:
    """Make the metadata of every repository below ``repos``, with the advisories it has."""
    combo = repos / "update-combo"
    combo.mkdir()
    (combo / "x86_64").symlink_to(Path("..") / SLES_UPDATES / "x86_64")
    create = ["createrepo_c", "-q", "--no-database"]  # with the time of now: a mirror that stands still is mirror.age
    running = [subprocess.Popen([*create, str(repo)]) for repo in sorted(repos.iterdir())]
    codes = [process.wait(timeout=120) for process in running]
    if any(codes):
        raise RuntimeError("createrepo_c failed")
    for name, advisories in ADVISORIES.items():
        write_updateinfo(advisories, repos / name)
