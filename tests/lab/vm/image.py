"""The disk images of the virtual machine: Debian's userland, SUSE's packages by the real zypper, Salt, on btrfs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from .. import golden
from ..golden import zypper
from ..packages import KERNEL, KERNEL_LOCKS, LIVE_PATCH
from .debian import ask
from .kernel import CMDLINE, IN_INITRD, release

HERE = Path(__file__).parent
IMAGE_SIZE = "3G"
# SUSE's layout: what is not to be rolled back is a subvolume of its own; the root is a snapshot, the default subvolume.
ROOT = "@/.snapshots/1/snapshot"
SUBVOLUMES = ("var", "root", "home", "opt", "srv", "usr/local", "tmp", ".snapshots")
PROGRAMS = {"usr/lib/lab/mkinitrd": "mkinitrd", "usr/lib/lab/init": "init", "usr/bin/lsinitrd": "lsinitrd"}
GRUB_SCRIPTS = ("mkconfig", "reboot", "set-default")
GRUB_PROGRAMS = ("bin/grub-editenv", "bin/grub-script-check", "sbin/grub-probe", "sbin/grub-install")
GRUB_PARTS = ("00_header", "10_linux", "40_custom", "41_custom", "README")
# GRUB_DEFAULT as YaST writes it; messages of GRUB on the serial line, for the tests.
GRUB_DEFAULTS = f"""\
GRUB_DISTRIBUTOR="SLES 15-SP5"
GRUB_DEFAULT=saved
GRUB_TIMEOUT=0
GRUB_DISABLE_RECOVERY=true
GRUB_DISABLE_LINUX_UUID=true
GRUB_DISABLE_OS_PROBER=true
GRUB_TERMINAL=serial
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_CMDLINE_LINUX_DEFAULT="{CMDLINE} rootfstype=btrfs"
SUSE_BTRFS_SNAPSHOT_BOOTING=true
"""
UNITS = ("salt-minion.service", "lab-agent.service")
UNWANTED = """
getty@.service getty-static.service systemd-timesyncd.service e2scrub_all.timer fstrim.timer dpkg-db-backup.timer
apt-daily.timer apt-daily-upgrade.timer snapper-timeline.timer snapper-boot.timer snapper-cleanup.timer
systemd-journal-flush.service qemu-guest-agent.service serial-getty@ttyS0.service
""".split()
SALT = """\
#!/usr/bin/python3
import sys
sys.path.insert(0, "/usr/lib/salt")
from salt.scripts import {function}
sys.exit({function}())
"""
FIRST_SNAPSHOT = """\
<?xml version="1.0"?>
<snapshot>
  <type>single</type>
  <num>1</num>
  <date>2023-07-04 08:11:52</date>
  <description>first root filesystem</description>
</snapshot>
"""


def wanted(name: str, found: dict[str, metadata.Distribution]) -> None:
    """Collect a distribution and all that it requires."""
    distribution = metadata.distribution(name)
    if distribution.metadata["Name"] in found:
        return
    found[distribution.metadata["Name"]] = distribution
    for text in distribution.requires or []:
        requirement = Requirement(text)
        if not requirement.marker or requirement.marker.evaluate({"extra": ""}):
            wanted(requirement.name, found)


def salt_versions() -> str:
    """Return Salt and what it requires, with versions, as text."""
    found: dict[str, metadata.Distribution] = {}
    wanted("salt", found)
    return "\n".join(sorted(f"{name} {item.version}" for name, item in found.items()))


def install_salt(root: Path) -> None:
    """Copy the Salt of this Python, and what it requires, into the guest, compiled for the guest's Python."""
    here = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if not (root / "usr/bin" / here).exists():
        raise RuntimeError(f"the guest has no {here}, which the Salt of this environment is for: use Debian's Python")
    found: dict[str, metadata.Distribution] = {}
    wanted("salt", found)
    folder = root / "usr/lib/salt"
    for distribution in found.values():
        for path in distribution.files or []:
            source = Path(str(distribution.locate_file(path)))
            if ".." not in path.parts and path.suffix != ".pyc" and source.is_file():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
    ask("chroot", str(root), f"/usr/bin/{here}", "-m", "compileall", "-q", "-j0", "/usr/lib/salt", timeout=900)
    for name in ("salt_minion", "salt_call"):
        program = root / "usr/bin" / name.replace("_", "-")
        program.write_text(SALT.format(function=name))
        program.chmod(0o755)


def install_kernel(root: Path, kernel: Path) -> None:
    """Give the guest all modules of its kernel, under the release that it shows and under the real one."""
    real = release(kernel)
    target = root / "usr/lib/modules" / KERNEL
    shutil.copytree(kernel / "lib/modules" / real, target, symlinks=True)
    for name in ("build", "source"):
        (target / name).unlink(missing_ok=True)
    (root / "usr/lib/modules" / real).symlink_to(KERNEL)
    ask("depmod", "-b", str(root), KERNEL)


def grub(root: Path) -> None:
    """
    Give GRUB's programs the names and places that they have at SUSE, and its configuration SUSE's form.

    Nobody but 10_linux is changed: its entries are called after the product, and do not name a subvolume
    (SUSE_BTRFS_SNAPSHOT_BOOTING=true in SUSE's grub2). Without /boot/grub2 the programs do nothing.
    """
    for name in GRUB_SCRIPTS:
        text = (root / f"usr/sbin/grub-{name}").read_text()
        (root / f"usr/sbin/grub2-{name}").write_text(re.sub(r"/boot/grub\b", "/boot/grub2", text))
        (root / f"usr/sbin/grub2-{name}").chmod(0o755)
    for name in GRUB_PROGRAMS:
        (root / "usr" / name.replace("grub-", "grub2-")).symlink_to(name.rpartition("/")[2])
    for path in (root / "etc/grub.d").iterdir():
        if path.name not in GRUB_PARTS:
            path.unlink()
    path = root / "etc/grub.d/10_linux"
    text = path.read_text().replace('OS="${GRUB_DISTRIBUTOR} GNU/Linux"', 'OS="${GRUB_DISTRIBUTOR}"')
    path.write_text(text.replace("    xbtrfs)\n", "    xbtrfs)\n\t;;\n    xno-subvolume)\n"))
    (root / "etc/default/grub").write_text(GRUB_DEFAULTS)


def like_suse(root: Path) -> None:
    """Write the files by which programs know SLES, and the stand-ins for what only SUSE has."""
    for name in golden.DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, target in golden.LINKS.items():
        if not (root / name).is_symlink():
            if (root / name).is_dir():
                shutil.rmtree(root / name)
            (root / name).symlink_to(target)
    for name, text in golden.TEXTS.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)
    (root / "usr/lib/lab/in-initrd").write_text(" ".join(IN_INITRD) + "\n")
    for name, source in PROGRAMS.items():
        shutil.copy(HERE / "guest" / source, root / name)
        (root / name).chmod(0o755)


def systemd(root: Path) -> None:
    """Set the guest up so that it boots to Salt, the agent of the tests and nothing else."""
    units = root / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True, exist_ok=True)
    for name in UNITS:
        shutil.copy(HERE / "guest" / name, units)
        (units / "multi-user.target.wants" / name).symlink_to(f"../{name}")
    for name in UNWANTED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    (root / "etc/machine-id").write_text("")
    (root / "etc/fstab").write_text(fstab())


def fstab() -> str:
    """Return the mounts of SUSE's layout."""
    lines = ["/dev/vda / btrfs defaults 0 0"]
    lines += [f"/dev/vda /{name} btrfs subvol=@/{name} 0 0" for name in SUBVOLUMES]
    return "\n".join(lines) + "\n"


def snapper(root: Path) -> None:
    """Configure snapper for the root volume, as SUSE's installer does."""
    text = (root / "usr/share/snapper/config-templates/default").read_text()
    for key, value in (("SUBVOLUME", "/"), ("FSTYPE", "btrfs"), ("TIMELINE_CREATE", "no")):
        text = re.sub(f"^{key}=.*$", f'{key}="{value}"', text, flags=re.MULTILINE)
    (root / "etc/snapper/configs").mkdir(parents=True, exist_ok=True)
    (root / "etc/snapper/configs/root").write_text(text)
    (root / "etc/default/snapper").write_text('SNAPPER_CONFIGS="root"\n')


@contextmanager
def mounted(image: Path, point: Path, subvolume: str) -> Iterator[Path]:
    """Mount one subvolume of an image."""
    ask("mount", "-o", f"loop,subvol={subvolume}", str(image), str(point))
    try:
        yield point
    finally:
        ask("umount", str(point))


def format_image(image: Path, point: Path) -> None:
    """Make a btrfs file system with SUSE's subvolumes; the one of the root is the default."""
    subprocess.run(["truncate", "-s", IMAGE_SIZE, str(image)], check=True)
    ask("mkfs.btrfs", "-q", "-L", "ROOT", str(image))
    with mounted(image, point, "/"):
        ask("btrfs", "subvolume", "create", str(point / "@"))
        (point / "@/usr").mkdir()
        for name in SUBVOLUMES:
            ask("btrfs", "subvolume", "create", str(point / "@" / name))
        (point / "@/.snapshots/1").mkdir()
        (point / "@/.snapshots/1/info.xml").write_text(FIRST_SNAPSHOT)
        ask("btrfs", "subvolume", "create", str(point / ROOT))
        ask("btrfs", "subvolume", "set-default", str(point / ROOT))


@contextmanager
def host(image: Path, point: Path) -> Iterator[Path]:
    """Mount an image with all its subvolumes."""
    with mounted(image, point, ROOT):
        done: list[str] = []
        try:
            for name in SUBVOLUMES:
                (point / name).mkdir(parents=True, exist_ok=True)
                ask("mount", "-o", f"loop,subvol=@/{name}", str(image), str(point / name))
                done.append(name)
            yield point
        finally:
            for name in reversed(done):
                ask("umount", str(point / name))


def build_root(root: Path, kernel: Path, repos: Path) -> None:
    """Make a host of Debian's userland in ``root``, as it comes from the installer."""
    like_suse(root)
    systemd(root)
    snapper(root)
    grub(root)
    install_kernel(root, kernel)
    install_salt(root)
    golden.install_pool(root, repos)


def build_images(root: Path, dest: Path, repos: Path) -> None:
    """
    Make the images ``fresh`` and ``enabled`` of the finished root file system.

    They are mounted outside of ``dest``: what a killed build leaves mounted is not in the way of the next one.
    """
    point = Path(tempfile.mkdtemp(prefix="klp-image-"))
    fresh, enabled = dest / "fresh.raw", dest / "enabled.raw"
    format_image(fresh, point)
    with host(fresh, point):
        ask("cp", "-a", "--reflink=auto", f"{root}/.", str(point), timeout=600)
        (point / "tmp").chmod(0o1777)
    ask("cp", "--sparse=always", str(fresh), str(enabled))
    with host(enabled, point):
        zypper(point, "in", "--no-recommends", "kernel-livepatch-tools", f"{LIVE_PATCH}=1")
        zypper(point, "al", *KERNEL_LOCKS)
    for image in (fresh, enabled):
        with host(image, point):
            forget_repositories(point)
    point.rmdir()


def forget_repositories(root: Path) -> None:
    """Take away the repositories of the build; a machine gets its own, by HTTP."""
    for path in (root / "etc/zypp/repos.d").iterdir():
        path.unlink()
    for path in (root / "var/cache/zypp").iterdir():
        shutil.rmtree(path)
    for name in ("run/reboot-needed", "run/zypp.pid"):
        (root / name).unlink(missing_ok=True)
