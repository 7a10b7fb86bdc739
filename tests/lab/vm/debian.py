"""What comes from Debian: the guest's userland and its kernels, from the mirror that apt is set up with here."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

KERNEL = "linux-image-cloud-amd64"
USERLAND = """
python3 systemd systemd-sysv udev dbus zypper rpm libzypp-config snapper btrfs-progs kmod iproute2 procps mount lsof
qemu-guest-agent busybox-static cpio lvm2 thin-provisioning-tools e2fsprogs xfsprogs
grub-pc-bin grub2-common grub-common
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


def available(packages: Iterable[str]) -> bool:
    """Tell whether apt can download all of these packages."""
    return all(re.search(r"^  Candidate: [^(]", ask("apt-cache", "policy", name), re.MULTILINE) for name in packages)


def kernels() -> list[str]:
    """Return the two newest cloud kernels, as ``6.1.0-55-cloud-amd64``, older first; twice the one if it is alone."""
    newest = depends(KERNEL)
    if not newest:
        raise RuntimeError(f"apt knows no {KERNEL}: run apt-get update")
    series = re.escape(newest[0].split(".")[0])
    names = re.findall(rf"^{series}\.\S+-cloud-amd64$", ask("apt-cache", "pkgnames", "linux-image-"), re.MULTILINE)
    names = [name.removeprefix("linux-image-") for name in {*names, newest[0]}]
    names.sort(key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
    names = names[: names.index(newest[0].removeprefix("linux-image-")) + 1]
    others = (name for name in reversed(names[:-1]) if available((f"linux-image-{name}", f"linux-headers-{name}")))
    return [next(others, names[-1]), names[-1]]


def kernel_packages(name: str) -> list[str]:
    """Return the packages of a cloud kernel and of what modules for it are built with."""
    headers = f"linux-headers-{name}"
    return [f"linux-image-{name}", headers, *depends(headers)]


def versions() -> str:
    """Return the versions that apt would take, as text."""
    wanted = [package for name in kernels() for package in kernel_packages(name)]
    return ask("apt-cache", "policy", *wanted, *USERLAND)


def userland(root: Path) -> None:
    """Make a root file system of ``root`` with Debian's packages."""
    argv = ["mmdebstrap", "--variant=essential", "--mode=root", f"--include={','.join(USERLAND)}"]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    ask(*argv, suite(), str(root), *sources(), timeout=1200)


def kernel(root: Path, name: str) -> None:
    """Unpack a kernel below ``root``; nothing is installed. Its headers have a Makefile that has to name that place."""
    downloads = root / "downloads"
    downloads.mkdir(parents=True)
    argv = ["apt-get", "-o", "APT::Sandbox::User=root", "download", *kernel_packages(name)]
    done = subprocess.run(argv, cwd=downloads, text=True, capture_output=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: run apt-get update and try again\n{done.stdout}{done.stderr}")
    for package in sorted(downloads.glob("*.deb")):
        ask("dpkg-deb", "-x", str(package), str(root))
        package.unlink()
    for makefile in root.glob("usr/src/linux-headers-*/Makefile"):
        text = makefile.read_text()
        makefile.write_text(text.replace("/usr/src/", f"{root}/usr/src/"))
