"""The golden roots: small SLES roots that the real zypper installs with ``--root``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .packages import KERNEL_LOCKS, LIFECYCLE_DATA, LIVE_PATCH, REPOSITORIES, pool

HERE = Path(__file__).parent
APPLETS = "sh cp rm mv mkdir echo cat ls ln sed grep touch true false printf".split()
DIRECTORIES = """
usr/lib usr/lib64 usr/bin usr/sbin usr/lib/sysimage/rpm usr/lib/lab usr/lib/modules
etc/products.d etc/rpm etc/salt
etc/zypp/repos.d etc/zypp/multiversion.d etc/zypp/vendors.d etc/zypp/services.d etc/zypp/needreboot.d etc/lab
var/lib/zypp var/lib/lab var/adm var/cache/zypp var/log/zypp run boot dev proc sys home opt srv root
""".split()
LINKS = {
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "var/lib/rpm": "../../usr/lib/sysimage/rpm",
    "var/run": "../run",
    "etc/products.d/baseproduct": "SLES.prod",
}
OS_RELEASE = """\
NAME="SLES"
VERSION="15-SP5"
VERSION_ID="15.5"
PRETTY_NAME="SUSE Linux Enterprise Server 15 SP5"
ID="sles"
ID_LIKE="suse"
ANSI_COLOR="0;32"
CPE_NAME="cpe:/o:suse:sles:15:sp5"
DOCUMENTATION_URL="https://documentation.suse.com/"
"""
PRODUCT = """\
<?xml version="1.0" encoding="UTF-8"?>
<product schemeversion="0">
  <vendor>SUSE</vendor><name>SLES</name><version>15.5</version><baseversion>15</baseversion>
  <patchlevel>5</patchlevel><release>0</release><arch>x86_64</arch><endoflife></endoflife>
  <productline>sles</productline>
  <register><target>sle-15-x86_64</target><updates/></register>
  <summary>SUSE Linux Enterprise Server 15 SP5</summary><shortsummary>SLES15-SP5</shortsummary>
  <runtimeconfig/>
</product>
"""
TEXTS = {
    "etc/os-release": OS_RELEASE,
    "etc/products.d/SLES.prod": PRODUCT,
    "etc/rpm/macros.sles": "%_dbpath /usr/lib/sysimage/rpm\n",
    "etc/zypp/needreboot": "",  # as SUSE ships it since libzypp 17.27.0 (libzypp.changes)
    # What that libzypp knows by itself (TargetImpl.cc) and the one of Debian 12 (17.25.7) does not: a kernel.
    "etc/zypp/needreboot.d/newer-libzypp": "provides:kernel\n",
}
PROGRAMS = {"klp-test-hook": "usr/sbin", "lsinitrd": "usr/bin", "boot": "usr/lib/lab"}


def zypper(root: Path, *args: str, ok: tuple[int, ...] = (0,)) -> None:
    """Run zypper on ``root``; raise with its text unless the exit code is in ``ok``."""
    argv = ["zypper", "-q", "-n", "--root", str(root), *args]
    env = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(argv, env=env, text=True, capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
    if done.returncode not in ok:
        raise RuntimeError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")


def skeleton(root: Path) -> None:
    """Make the directories and files that the first zypper call needs."""
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).mkdir()
        (root / name).chmod(0o1777)
    for name, target in LINKS.items():
        (root / name).symlink_to(target)
    for name, text in TEXTS.items():
        (root / name).write_text(text)
    for name in ("zypper.conf", "systemCheck", "zypp.conf"):
        shutil.copy(Path("/etc/zypp") / name, root / "etc/zypp" / name)
    shutil.copy("/bin/busybox", root / "usr/bin/busybox")
    for name in APPLETS:
        (root / "usr/bin" / name).symlink_to("busybox")


def fresh(root: Path, repos: Path) -> None:
    """Make a host as it comes from the installer."""
    skeleton(root)
    install_pool(root, repos)


def install_pool(root: Path, repos: Path) -> None:
    """Install what the installer does: no live patching, no lock, all updates pending."""
    for alias in REPOSITORIES:
        zypper(root, "ar", "--no-gpgcheck", f"dir://{repos / alias}", alias)
    zypper(root, "ref")
    names = [f"{p.name}={p.version}-{p.release}" for p in pool() if p.name != "kernel-default-livepatch"]
    zypper(root, "in", "--no-recommends", *names)


def enabled(root: Path) -> None:
    """Install the tools and the first, empty live patch."""
    zypper(root, "in", "--no-recommends", "kernel-livepatch-tools", LIFECYCLE_DATA, f"{LIVE_PATCH}=1")


def converged(root: Path) -> None:
    """Lock the kernel and install the newest live patch and all updates that need no reboot."""
    zypper(root, "al", *KERNEL_LOCKS)
    zypper(root, "in", "--no-recommends", "libz1", "libopenssl1_1", "curl", "libzypp", LIVE_PATCH)
    zypper(root, "in", "--no-recommends", "nfs-client", ok=(107,))


def finish(root: Path, preload: Path) -> None:
    """Fill the caches, take away what the installation left behind and add the programs of the lab."""
    zypper(root, "lp")
    (root / "run/reboot-needed").unlink(missing_ok=True)
    (root / "run/zypp.pid").unlink(missing_ok=True)
    for name, directory in PROGRAMS.items():
        target = root / directory / name
        shutil.copy(HERE / "fakes" / name, target)
        target.chmod(0o755)
    shutil.copy(preload, root / "usr/lib/lab/preload.so")


def build_all(goldens: Path, repos: Path, preload: Path) -> None:
    """Make all golden roots below ``goldens``, each from the one before."""
    goldens.mkdir()
    fresh(goldens / "fresh", repos)
    shutil.copytree(goldens / "fresh", goldens / "enabled", symlinks=True)
    enabled(goldens / "enabled")
    shutil.copytree(goldens / "enabled", goldens / "converged", symlinks=True)
    converged(goldens / "converged")
    for root in goldens.iterdir():
        finish(root, preload)
