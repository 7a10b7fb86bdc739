"""The change of kernel on a host with GRUB, and a repository with five newer kernels."""

import json

from tests.functional.conftest import KERNEL, NEW_KERNEL, apply
from tests.lab import grub
from tests.lab.advisories import BASE, Advisory
from tests.lab.packages import Package, Spec, kernel, live_patch

OLD_ENTRY, NEW_ENTRY = (f"gnulinux-advanced-0b1c>gnulinux-{release}-advanced-0b1c" for release in (KERNEL, NEW_KERNEL))
RECORD = "/var/lib/salt-klp/kernel.json"
TITLE = "SLES 15-SP5"


def equipped(sles, **klp):
    host = sles("enabled", **klp)
    grub.install(host, saved_entry=TITLE)
    assert apply(host, "klp").failed == {}  # our locks are recorded as ours
    return host


def stage(host):
    return json.loads(host.read(RECORD))["stage"] if host.exists(RECORD) else None


NUMBERS = (19, 22, 28, 31, 36)
GOOD, BEST, RETRACTED, WITHOUT_LIVE_PATCH, WITHOUT_MODULES = (f"5.14.21-150500.55.{n}.1" for n in NUMBERS)
SYMBOL = "ksym(default:lab_register)"
SAME, OTHER = "0a1b2c3d", "ffffffff"  # checksums of a symbol
IN_TREE, VENDOR, SYMBOLS = "dlm-kmp-default", "vendor-kmp-default", "lab-symbols"


def source(number):
    return f"150500.55.{number}"


def with_symbol(number, checksum=SAME):
    """Return a kernel that provides a symbol: those of SUSE provide all that they export (find-provides.ksyms)."""
    found = kernel(source(number))
    found.tags.append(f"Provides: {SYMBOL} = {checksum}")
    return found


def in_tree(number):
    """Return a module package that is built with its kernel, as SUSE's for clusters are: one edition for each."""
    tags = ["Provides: multiversion(kernel)", f"Requires: kernel-default = 5.14.21-{source(number)}"]
    module = f"/lib/modules/5.14.21-{source(number)}-default/kernel/fs/dlm/dlm.ko"
    return Package(IN_TREE, "5.14.21", f"{source(number)}.1", tags, {module: "dlm"})


def specs():
    """Return five kernels: all but one have the symbol, all but one a live patch."""
    kernels = [Spec(f"k{number}", "", 1800000000 + number, [with_symbol(number)]) for number in NUMBERS[:-1]]
    kernels.append(Spec("k36", "", 1800000036, [with_symbol(36, OTHER)]))
    live = [live_patch(source(number), 1, "150500.11.3.2") for number in (19, 22, 28, 36)]
    live.append(live_patch(source(22), 2, "150500.2.1"))
    modules = [in_tree(number) for number in (7, *NUMBERS)]
    # The kernel that the lab's hosts run provides no symbol; this stands for it.
    vendor = [
        Package(VENDOR, "1.0", "1.1", [f"Requires: {SYMBOL} = {SAME}"]),
        Package(SYMBOLS, "1.0", "1.1", [f"Provides: {SYMBOL} = {SAME}"]),
    ]
    rest = [Spec(f"p{number}", "", 1800000099, [item]) for number, item in enumerate(live + modules + vendor)]
    return kernels + rest


ADVISORIES = [
    Advisory(
        f"{BASE}90{number}",
        "security",
        "critical" if number == 19 else "important",
        1800000000 + number,
        [("kernel-default", "5.14.21", f"{source(number)}.1")],
        (f"CVE-2027-00{number}",),
        "reboot",
        status="retracted" if number == 28 else "stable",
    )
    for number in NUMBERS
]
