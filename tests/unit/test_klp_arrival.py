"""What would keep a live patch out of the kernel or of the initrd is found out before it is installed."""

import os
from types import SimpleNamespace

import pytest

import klp_arrival
import klp_paths
from tests.unit.conftest import KERNEL, LP
from tests.unit.hosts import BASE, KERNEL_PACKAGE, ONE, rpm

MIB = 1 << 20
OLD = "5.14.21-150500.53.2.1"
OLD_LP, OLD_META = "kernel-livepatch-5_14_21-150500_53_2-default", "kernel-livepatch-5_14_21-150500_53_2-rt"


@pytest.fixture
def host(minion, monkeypatch):
    """A host with a /boot of its own: 1,000 blocks of 4 KiB free, and an initrd of 3 MiB."""
    rpm(minion, {**BASE, LP: ONE})
    minion.file(f"{klp_paths.BOOT}/initrd-{KERNEL}", "x" * 3 * MIB)
    minion.room = {"f_bavail": 1000, "f_frsize": 4096}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(**minion.room))
    return minion


@pytest.mark.parametrize(
    "text",
    [
        "LIVEPATCH_KERNEL='never'\n",
        'LIVEPATCH_KERNEL="never"\n',
        "LIVEPATCH_KERNEL=never # not now\n",
        "LIVEPATCH_KERNEL='auto'\n  export LIVEPATCH_KERNEL=never\n",
    ],
)
def test_a_live_patch_that_would_not_be_loaded_is_refused_with_the_cure(host, text):
    path = host.file(klp_paths.LIVEPATCHING, text)
    assert klp_arrival.problems(host.host) == [
        (
            f"LIVEPATCH_KERNEL is never in {path}: a live patch would be installed and not loaded; let it be loaded "
            f"with: sed -i s/^LIVEPATCH_KERNEL=.*/LIVEPATCH_KERNEL=auto/ {path}"
        )
    ]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "LIVEPATCH_KERNEL='auto'\n",
        "# LIVEPATCH_KERNEL=never\n",
        "LIVEPATCH_KERNEL=never\nLIVEPATCH_KERNEL=always\n",
    ],
)
def test_any_other_setting_is_none_of_our_business(host, text):
    if text is not None:
        host.file(klp_paths.LIVEPATCHING, text)
    assert klp_arrival.problems(host.host) == []


def test_a_full_boot_is_refused(host):
    host.room["f_bavail"] = 400
    assert klp_arrival.problems(host.host) == [
        (
            f"{klp_paths.BOOT} has 1 MiB free, and a live patch makes a new initrd of 3 MiB there; make room there, "
            f"see: du -a {klp_paths.BOOT} | sort -n"
        )
    ]


def test_an_older_kernel_goes_first_with_its_live_patches(host):
    host.room["f_bavail"] = 0
    kernels = f"5.14.21-150500.55.12.1,{KERNEL_PACKAGE},5.14.21-150500.55.1.1,{OLD}"
    rpm(host, {**BASE, "kernel-default": kernels, LP: ONE, OLD_LP: "9-1", OLD_META: "9-1"})
    (said,) = klp_arrival.problems(host.host)
    assert said.endswith(f"an older kernel is installed, take it away with: rpm --erase kernel-default-{OLD} {OLD_LP}")


def test_a_newer_kernel_is_not_taken_away(host):
    host.room["f_bavail"] = 0
    rpm(host, {**BASE, "kernel-default": f"5.14.21-150500.55.12.1,{KERNEL_PACKAGE}"})
    assert "rpm --erase" not in klp_arrival.problems(host.host)[0]


def test_without_an_initrd_the_largest_counts_and_at_least_one_mebibyte(host):
    os.rename(f"{klp_paths.BOOT}/initrd-{KERNEL}", f"{klp_paths.BOOT}/initrd-5.14.21-150500.53.2-default")
    host.room["f_bavail"] = 700
    assert len(klp_arrival.problems(host.host)) == 1
    os.remove(f"{klp_paths.BOOT}/initrd-5.14.21-150500.53.2-default")
    assert klp_arrival.problems(host.host) == []
    host.room["f_bavail"] = 255
    assert len(klp_arrival.problems(host.host)) == 1


def test_a_host_without_boot_is_not_full(host, monkeypatch):
    def missing(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "statvfs", missing)
    assert klp_arrival.problems(host.host) == []
