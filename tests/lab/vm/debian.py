"""What comes from Debian: the guest's userland and its kernel, from the mirror that apt is set up with here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

KERNEL = "linux-image-cloud-amd64"
HEADERS = "linux-headers-cloud-amd64"
USERLAND = """
python3 systemd systemd-sysv udev dbus zypper rpm libzypp-config snapper btrfs-progs kmod iproute2 procps mount lsof
qemu-guest-agent busybox-static cpio lvm2 thin-provisioning-tools e2fsprogs xfsprogs
""".split()
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/icons/*")


def ask(*argv: str, timeout: float = 300) -> str:
    """Return what a program says; raise with its text when it fails."""
    done = subprocess.run(argv, text=True, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def sources() -> list[str]:
    """Return the Debian sources of this machine's apt, one line each; others that it may have are of no use here."""
    form = "$(ORIGIN)|deb $(REPO_URI) $(CODENAME) $(COMPONENT)"
    lines = ask("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines()
    found = sorted({line.split("|", 1)[1] for line in lines if line.startswith("Debian|")})
    if not found:
        raise RuntimeError("apt of this machine has no Debian sources: run apt-get update")
    return found


def suite() -> str:
    """Return the code name of this machine's Debian; the guest is of the same, so that it can run our Python."""
    match = re.search(r"^VERSION_CODENAME=(\w+)$", Path("/etc/os-release").read_text(), re.MULTILINE)
    if not match:
        raise RuntimeError("/etc/os-release has no VERSION_CODENAME: this is not a Debian release")
    return match[1]


def depends(package: str) -> list[str]:
    """Return the packages that a package depends on."""
    return re.findall(r"^\s+Depends: (\S+)$", ask("apt-cache", "depends", package), re.MULTILINE)


def kernel_packages() -> list[str]:
    """Return the packages of the newest cloud kernel and of what modules for it are built with."""
    image, headers = depends(KERNEL), depends(HEADERS)
    if not image or not headers:
        raise RuntimeError(f"apt knows no {KERNEL}: run apt-get update")
    return [image[0], headers[0], *depends(headers[0])]


def versions() -> str:
    """Return the versions that apt would take, as text."""
    return ask("apt-cache", "policy", *kernel_packages(), *USERLAND)


def userland(root: Path) -> None:
    """Make a root file system of ``root`` with Debian's packages."""
    argv = ["mmdebstrap", "--variant=essential", "--mode=root", f"--include={','.join(USERLAND)}"]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    ask(*argv, suite(), str(root), *sources(), timeout=1200)


def kernel(root: Path) -> None:
    """Unpack kernel and headers below ``root``; nothing is installed. The headers' Makefile has to name that place."""
    downloads = root / "downloads"
    downloads.mkdir(parents=True)
    argv = ["apt-get", "-o", "APT::Sandbox::User=root", "download", *kernel_packages()]
    done = subprocess.run(argv, cwd=downloads, text=True, capture_output=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: run apt-get update and try again\n{done.stdout}{done.stderr}")
    for package in sorted(downloads.glob("*.deb")):
        ask("dpkg-deb", "-x", str(package), str(root))
        package.unlink()
    for makefile in root.glob("usr/src/linux-headers-*/Makefile"):
        text = makefile.read_text()
        makefile.write_text(text.replace("/usr/src/", f"{root}/usr/src/"))
