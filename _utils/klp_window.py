"""
How long SUSE makes live patches for the running kernel: the support window.
"""

import datetime
import os
import time

from salt.exceptions import CommandExecutionError

import klp_family
import klp_lifecycle
import klp_live
import klp_paths
import klp_record
import klp_sys
import zypp_packages

LARGEST = 4 * 1024 * 1024  # characters of one file


def _products():
    """Return the installed products, and all that hold live patches: one may be there by its repositories only."""
    names = os.listdir(klp_paths.PRODUCTS) if os.path.isdir(klp_paths.PRODUCTS) else []
    always = klp_family.products()
    return sorted({name[:-5] for name in names if name.endswith(".prod")} | set(always))


def lifecycle():
    """
    Return the lifecycle data of the installed products: ``{"lines": [...], "unknown": [sentences], "files": [paths]}``.
    """
    lines, unknown, files = [], [], []
    for path in [f"{folder}/{name}.lifecycle" for name in _products() for folder in klp_paths.LIFECYCLE]:
        if not os.path.exists(path):
            continue
        files.append(path)
        text = klp_sys.text(path)
        if text is None or len(text) > LARGEST:
            unknown.append(f"{path}: cannot be read, or is larger than {LARGEST} characters")
            continue
        found, strange = klp_lifecycle.read(text, path)
        lines, unknown = lines + found, unknown + strange
    shown = [dict(line, date=line["date"] and line["date"].isoformat()) for line in lines]
    return {"lines": shown, "unknown": unknown, "files": files}


def _missing(host, files):
    """Return the sentence for a host without the lifecycle data of its live patches, or ``None``."""
    products = klp_family.products()
    if any(os.path.basename(path)[: -len(".lifecycle")] in products for path in files):
        return None
    package = next((name for name in host.family["packages"] if name.startswith("lifecycle-data-")), None)
    cure = f": install them with: zypper install {package}, or list {package} in pillar klp:tools:packages"
    return f"no lifecycle data of live patches are installed{cure if package else ''}"


def _built(host, kernel):
    """Return the build time of the running kernel's package, or ``None``."""
    if kernel["edition"] is None:
        return None
    argv = ["rpm", "-q", "--qf", "%{BUILDTIME}\\n", f"{kernel['name']}-{kernel['edition']}"]
    world = [argv, zypp_packages.world()]
    return klp_record.kept("built", lambda: world, lambda: _build_time(host, argv))


def _build_time(host, argv):
    said = host.run(argv)["stdout"].strip()
    if not said.isdigit():
        raise CommandExecutionError(f"rpm -q: unknown build time {said[:80]!r}")
    return int(said)


def window(host):
    """
    Return how long live patches are made for the running kernel.

    Returns ``{"state" (open, expired or unknown), "first" (build date of the kernel's package), "last", "days" (until
    then), "estimate": {"last", "days"} or None, "limit": {"max_level", "reached"} or None, "source" (FILE:LINE),
    "reason"}``; dates are ``YYYY-MM-DD``. Without a line for this kernel the state is ``unknown``, and the estimate is
    one year from the build. Source: the lifecycle data of the installed products, read as zypper-lifecycle does.
    """
    package, built = klp_live.package(host), _built(host, klp_live.kernel_package(host))
    return Data(host).window(package, built, host.settings["window"]["max_level"])


class Data:
    """The lifecycle data of a host, read once; they tell of any kernel."""

    def __init__(self, host):
        found = lifecycle()
        self.lines = [
            dict(line, date=line["date"] and datetime.datetime.strptime(line["date"], "%Y-%m-%d").date())
            for line in found["lines"]
        ]
        self.missing, self.unknown = _missing(host, found["files"]), found["unknown"]

    def window(self, package, built, limit=0):
        """Return the window of the kernel of a live patch package; arguments as for ``klp_lifecycle.window``."""
        today = datetime.datetime.fromtimestamp(time.time(), datetime.timezone.utc).date()
        return klp_lifecycle.window(self.lines, package, built, today, limit, self.missing, self.unknown)


def problems(host):
    """
    Return why a maintenance run is refused for its window, as pillar ``klp:window:refuse`` says; one sentence or none.
    """
    refused = host.settings["window"]["refuse"]
    if not refused:
        return []
    found = window(host)
    if found["state"] not in refused:
        return []
    said = (
        f"the window of kernel {os.uname().release} is {found['state']} ({found['reason']}), and pillar "
        "klp:window:refuse says to stop: plan a reboot into a newer kernel, see klp_audit.reboot_safety"
    )
    return [said]
