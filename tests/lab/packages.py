"""The dummy packages of the lab: names, editions, tags and files as SUSE Linux Enterprise 15 SP5 has them."""

from __future__ import annotations

from dataclasses import dataclass, field

SLES_POOL = "SLE-Product-SLES15-SP5-Pool"
SLES_UPDATES = "SLE-Product-SLES15-SP5-Updates"
LP_POOL = "SLE-Module-Live-Patching15-SP5-Pool"
LP_UPDATES = "SLE-Module-Live-Patching15-SP5-Updates"
REPOSITORIES = (SLES_POOL, SLES_UPDATES, LP_POOL, LP_UPDATES)

KERNEL = "5.14.21-150500.55.7-default"
NEW_KERNEL = "5.14.21-150500.55.12-default"
LIVE_PATCH = "kernel-livepatch-5_14_21-150500_55_7-default"
NEW_LIVE_PATCH = "kernel-livepatch-5_14_21-150500_55_12-default"

LIFECYCLE_DATA = "lifecycle-data-sle-module-live-patching"

KERNEL_LOCKS = (
    "kernel-default",
    "kernel-default-base",
    "kernel-default-devel",
    "kernel-default-extra",
    "kernel-default-optional",
    "kernel-devel",
    "kernel-macros",
    "kernel-source",
    "kernel-syms",
)


@dataclass
class Package:
    """One binary package; ``sources`` maps a path in the package to a file that the build has at hand."""

    name: str
    version: str
    release: str
    tags: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    noarch: bool = False


@dataclass
class Spec:
    """One run of rpmbuild: packages that share a repository, a build date and a changelog."""

    name: str
    repository: str
    built: int
    packages: list[Package]
    changelog: str = ""


# The scriptlets of SUSE's kernels let the menu of the boot loader be made anew (kernel-binary.spec.in: rpm-script of
# suse-module-tools calls update-bootloader, that grub2-mkconfig); a lab host has it where tests/lab/grub.py was asked.
MENU = "[ ! -x /usr/sbin/grub2-mkconfig ] || grub2-mkconfig -o /boot/grub2/grub.cfg"


def kernel(source: str) -> Package:
    """Return kernel-default; ``source`` is the release without the build number, such as 150500.55.7."""
    kver = f"5.14.21-{source}-default"
    modules = "bash\\nsystemd\\nkernel-modules\\nrootfs-block\\nudev-rules\\nbase\\nfs-lib\\nshutdown"
    return Package(
        "kernel-default",
        "5.14.21",
        f"{source}.1",
        tags=[
            "Provides: multiversion(kernel)",
            f"Provides: kernel = 5.14.21-{source}",
            f"Provides: kernel-default = 5.14.21-{source}",
            f"Provides: kernel-uname-r = {kver}",
        ],
        files={
            f"/boot/vmlinuz-{kver}": "kernel",
            f"/boot/System.map-{kver}": "map",
            f"/lib/modules/{kver}/modules.order": "kernel/fs/ext4/ext4.ko",
        },
        scripts={
            "post": f"printf '{modules}\\n' >/boot/initrd-{kver}\n{MENU}",
            "postun": f"rm -f /boot/initrd-{kver}\n{MENU}",
        },
    )


def kernel_base(source: str) -> Package:
    """
    Return kernel-default-base of SUSE's minimal images: the same kernel with fewer modules, no live patch wants it.

    Its edition holds that of the kernel it is made from (kernel-default-base-5.14.21-150500.55.91.1.150500.6.41.1 in
    SUSE-SU advisories). The two exclude each other: openQA, lib/maintenance tests, "uninstall conflicting packages".
    """
    full = kernel(source)
    return Package(
        "kernel-default-base",
        full.version,
        f"{full.release}.150500.6.2.5",
        tags=[
            "Provides: multiversion(kernel)",
            f"Provides: kernel-uname-r = 5.14.21-{source}-default",
            f"Conflicts: kernel-default = 5.14.21-{source}",
        ],
        files=full.files,
        scripts={"post": full.scripts["post"]},
    )


def kernel_livepatch(source: str) -> Package:
    """Return the metapackage of the kernel build that pulls in the live patch of that kernel."""
    return Package(
        "kernel-default-livepatch",
        "5.14.21",
        f"{source}.1",
        tags=[
            "Provides: multiversion(kernel)",
            f"Requires: kernel-livepatch-5_14_21-{under(source)}-default",
        ],
    )


def under(text: str) -> str:
    """Return ``text`` with the underscores that live patch names have in place of dots."""
    return text.replace(".", "_")


def initrd_script(kver: str) -> str:
    """Return the shell text that writes the live patch modules of ``kver`` into its initrd list."""
    return "\n".join(
        [
            f"initrd=/boot/initrd-{kver}",
            "[ -f $initrd ] || exit 0",
            "grep -v livepatch $initrd >$initrd.new",
            "echo kernel-livepatch >>$initrd.new",
            "found=",
            f"for ko in /lib/modules/{kver}/livepatch/*.ko; do",
            '  [ -f "$ko" ] || continue',
            '  found=1; echo "${ko#/}" >>$initrd.new',
            "done",
            "[ -n \"$found\" ] || sed -i '/^kernel-livepatch$/d' $initrd.new",
            "mv $initrd.new $initrd",
        ]
    )


# SUSE's template of these packages (kgraft-module-subpackage, known of SLES 12) refuses the installation while a
# transition runs, and makes the initrd in %posttrans.
REFUSE_TRANSITION = """\
grep -qs '^1' /sys/kernel/livepatch/*/transition || exit 0
echo 'A live patching transition is in progress, cannot install another live patch.' >&2
exit 1"""


def live_patch(source: str, level: int, release: str) -> Package:
    """Return the live patch package number ``level`` of the kernel ``source``."""
    kver = f"5.14.21-{source}-default"
    base = f"kernel-livepatch-5_14_21-{under(source)}"
    name = f"{base}-default"
    module = f"/lib/modules/{kver}/livepatch/livepatch-{level}-{under(release)}.ko"
    hook = "/usr/sbin/klp-test-hook"
    edition = f"{name}-{level}-{release}"
    return Package(
        name,
        str(level),
        release,
        tags=[
            f"Provides: {base} = {level}",
            f"Requires: kernel-default = 5.14.21-{source}",
            "Requires: kernel-livepatch-tools",
        ],
        files={module: f"live patch {level}"},
        scripts={
            "pre": REFUSE_TRANSITION,
            "post": f'[ ! -x {hook} ] || {hook} post "$1" {edition} || exit $?',
            "postun": f'[ ! -x {hook} ] || {hook} postun "$1" {edition} || :\n'
            f'[ "$1" != 0 ] || {{\n{initrd_script(kver)}\n}}',
            "posttrans": initrd_script(kver),
        },
    )


def change(date: str, cves: dict[str, str], commit: str) -> str:
    """Return one changelog entry of a live patch with its KLP trailers."""
    lines = [f"* {date} kernel-livepatch@suse.de"]
    for cve, bug in cves.items():
        lines += [
            f"- Fix for {cve}",
            f"  Live patch for {cve}.",
            f"  KLP: {cve}",
            f"  References: {bug} {cve}",
        ]
    return "\n".join([*lines, f"- commit {commit}", ""])


FIRST = """\
* Mon Jun 26 2023 kernel-livepatch@suse.de
- New branch for SLE15-SP5 initial kernel live patch.
- commit 1f0d24a
"""
SECOND = change("Wed Aug 16 2023", {"CVE-2023-1077": "bsc#1208839", "CVE-2023-1281": "bsc#1209683"}, "8d1b6a0")
THIRD = change("Tue Sep 19 2023", {"CVE-2023-2002": "bsc#1210566", "CVE-2023-3090": "bsc#1212849"}, "c2e7f95")
LIFECYCLE = "\n".join(
    [
        "# format: name,version,date",
        "# version can contain wildcard character *",
        f"{LIVE_PATCH},*,2024-07-18",
        f"{NEW_LIVE_PATCH},*,2024-08-01",
    ]
)
BLOCKER = {"/usr/sbin/blkmapd": "blkmapd"}
# What tells libzypp that the host has to be restarted afterwards (TargetImpl.cc), since 17.27.0 the only thing: SUSE
# ships /etc/zypp/needreboot empty (libzypp.changes). Of the firmware only the new edition has it, as packages get it.
HINT = "Provides: installhint(reboot-needed)"


def pool() -> list[Package]:
    """Return the packages of the SLES pool: what a freshly installed host has."""
    return [
        Package("filesystem", "15.0", "150400.1.1", ["Provides: /bin/sh"], {"/etc/lab-filesystem": "15"}),
        Package(
            "SLES-release",
            "15.5",
            "150500.61.4.1",
            ["Provides: product() = SLES", "Provides: product(SLES) = 15.5-0", "Provides: system-release"],
        ),
        kernel("150500.55.7"),
        kernel_livepatch("150500.55.7"),
        Package("glibc", "2.31", "150300.46.1", [HINT]),
        Package("bash", "4.4", "150400.25.22"),
        Package("libz1", "1.2.13", "150500.2.3"),
        Package("libopenssl1_1", "1.1.1l", "150500.15.4"),
        Package("curl", "8.0.1", "150400.5.23.1"),
        Package("libzypp", "17.31.13", "150500.1.1"),
        Package("zypper-log", "1.14.61", "150500.1.1"),
        Package("kernel-firmware-all", "20230427", "150500.1.1"),
        Package("dkms-agent", "1.0", "1.1"),
        Package("nfs-client", "2.1.1", "150500.20.1", sources=BLOCKER),
    ]


def updates() -> list[Package]:
    """Return the packages of the SLES updates; all of them are pending on a fresh host."""
    return [
        kernel("150500.55.12"),
        kernel_livepatch("150500.55.12"),
        Package("glibc", "2.31", "150300.63.1", [HINT]),
        Package("libz1", "1.2.13", "150500.4.3.1"),
        Package("libopenssl1_1", "1.1.1l", "150500.17.6.1"),
        Package("curl", "8.0.1", "150400.5.26.1"),
        Package("libzypp", "17.31.20", "150500.3.6.1"),
        Package("kernel-firmware-all", "20230724", "150500.3.6.1", [HINT]),
        Package("dkms-agent", "2.0", "1.1", ["Requires: kernel-default >= 5.14.21-150500.55.12"]),
        Package("nfs-client", "2.1.1", "150500.22.3.1", sources=BLOCKER, scripts={"post": "exit 3"}),
    ]


def tools() -> list[Package]:
    """Return the packages of the live patching module that are no live patches."""
    return [
        Package(
            "kernel-livepatch-tools",
            "1.4",
            "150500.1.1",
            ["Requires: kernel-default"],
            {"/etc/sysconfig/livepatching": "LIVEPATCH_KERNEL='auto'"},
            {"/usr/sbin/klp": "klp"},
        ),
        Package(
            "patterns-lp-lp_sles",
            "15.1.0",
            "3.3.1",
            [
                "Provides: pattern() = lp_sles",
                "Provides: pattern-visible()",
                "Requires: kernel-livepatch-tools",
                "Recommends: kernel-default-livepatch",
            ],
            noarch=True,
        ),
        Package(
            LIFECYCLE_DATA,
            "1",
            "150500.10.2.1",
            files={"/usr/share/lifecycle/data/sle-module-live-patching.lifecycle": LIFECYCLE},
            noarch=True,
        ),
    ]


def specs() -> list[Spec]:
    """Return all runs of rpmbuild; ``built`` is the build date of the packages in seconds since 1970."""
    old, new = "150500.55.7", "150500.55.12"
    extra = [
        Package("conflicter", "1.0", "1.1", ["Conflicts: libz1"]),
        Package("needs-missing", "1.0", "1.1", ["Requires: does-not-exist >= 3"]),
        kernel_base(old),
    ]
    return [
        Spec("pool", SLES_POOL, 1687766400, pool()),
        Spec("updates", SLES_UPDATES, 1689588000, updates()),
        Spec("tools", LP_POOL, 1687766400, tools()),
        Spec("lp1", LP_POOL, 1687766400, [live_patch(old, 1, "150500.9.3.1")], FIRST),
        Spec("lp2", LP_UPDATES, 1692180000, [live_patch(old, 2, "150500.2.1")], SECOND + "\n" + FIRST),
        Spec("lp3", LP_UPDATES, 1695117600, [live_patch(old, 3, "150500.2.1")], f"{THIRD}\n{SECOND}\n{FIRST}"),
        Spec("lp12", LP_UPDATES, 1689588000, [live_patch(new, 1, "150500.11.3.2")], FIRST),
        Spec("extra", "extra", 1689588000, extra),
    ]
