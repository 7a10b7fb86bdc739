"""
What keeps a live patch that is being installed out of the kernel or of the initrd, found out before it is installed.

Sources: SUSE's update notes on /etc/sysconfig/livepatching (bsc#1187780: always, never or auto), dracut(8), statvfs(3).
"""

import functools
import glob
import os
import re

import klp_checks
import klp_cves
import klp_initrd
import klp_live
import klp_paths
import klp_sys
import zypp_packages
import zypp_plan

MIB = 1 << 20
SETTING = re.compile(r"\s*(?:export\s+)?LIVEPATCH_KERNEL=[\"']?([A-Za-z]*)[\"']?\s*(?:#.*)?\Z")
NEVER = (
    "LIVEPATCH_KERNEL is never in {0}: a live patch would be installed and not loaded; let it be loaded with: "
    "sed -i s/^LIVEPATCH_KERNEL=.*/LIVEPATCH_KERNEL=auto/ {0}"
)
FULL = "{} has {} MiB free, and a live patch makes a new initrd of {} MiB there; {}"


def problems(host):
    """Return what would keep a live patch out of the kernel or of the initrd, one sentence each. No zypper."""
    return _setting() + _room(host)


def _setting():
    lines = (klp_sys.text(klp_paths.LIVEPATCHING) or "").splitlines()
    found = [match.group(1) for match in map(SETTING.match, lines) if match]
    return [NEVER.format(klp_paths.LIVEPATCHING)] if found and found[-1] == "never" else []


def _room(host):
    """The initrd is rebuilt beside the old one: as much has to be free as the largest one needs, or the running."""
    try:
        found = os.statvfs(klp_paths.BOOT)
    except OSError:
        return []
    free, needed = found.f_bavail * found.f_frsize, _needed(host)
    if free >= needed:
        return []
    return [FULL.format(klp_paths.BOOT, free // MIB, -(-needed // MIB), cure(host))]


def _needed(host):
    """Return the size in bytes of the initrd of the running kernel; of the largest where it has none yet."""
    own = klp_initrd.path(host.release)
    paths = [own] if os.path.isfile(own) else glob.glob(f"{klp_paths.BOOT}/initrd-*")
    return max([os.path.getsize(path) for path in paths if os.path.isfile(path)] + [MIB])


def cure(host):
    """Return the command that makes room: it takes the oldest kernel away that is older than the running one."""
    name = f"kernel-{host.kernel['flavour']}"
    running = klp_live.kernel_package(host)["edition"]
    older = [item for item in klp_live.installed(host).get(name, []) if running and klp_cves.newer(running, item)]
    if not older:
        return f"make room there, see: du -a {klp_paths.BOOT} | sort -n"
    oldest = functools.reduce(lambda one, two: two if klp_cves.newer(one, two) else one, older)
    return f"an older kernel is installed, take it away with: rpm --erase {' '.join(_of_kernel(host, name, oldest))}"


def _of_kernel(host, name, edition):
    """Return a kernel package with the live patches that need it; rpm takes no notice of package locks."""
    kernel = zypp_plan.kernel_of
    found = [item for item in sorted(zypp_packages.packages(host)) if zypp_plan.live_patch_package(item)]
    flavour = name.split("-", 1)[1]
    return [f"{name}-{edition}"] + [
        item
        for item in found
        if kernel(item).endswith(f"-{flavour}")
        and klp_checks.running_installed([edition], kernel(item).rsplit("-", 1)[0])
    ]
