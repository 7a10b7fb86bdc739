"""Packages of kernel modules (KMP), which need symbols of a kernel: what the locked kernel holds back is named."""

import copy

from tests.functional.conftest import LOCKS, apply
from tests.lab import mirror as mirrors
from tests.lab import packages
from tests.lab.advisories import Advisory
from tests.lab.packages import Package, Spec

# As SUSE's macros write it: kernel-module-subpackage, find-requires.ksyms.
SYMBOL = "ksym(default:drbd_device) = 2b1c7f05"
NAME, IDENT = "drbd-kmp-default", "SUSE-SLE-Product-HA-15-SP5-2023-3900"


def test_a_module_that_needs_a_newer_kernel_is_left_out_with_its_reason(sles, tmp_path):
    kernel = copy.deepcopy(packages.kernel("150500.55.19"))
    kernel.tags.append(f"Provides: {SYMBOL}")
    old = Spec("old", "", 1700000000, [Package(NAME, "9.0.30", "150500.3.1")])
    new = Spec("new", "", 1700000001, [Package(NAME, "9.1.16", "150500.6.1", [f"Requires: {SYMBOL}"]), kernel])
    listed = [
        Advisory(IDENT, "security", "important", 1700000002, [(NAME, "9.1.16", "150500.6.1")], ("CVE-2023-5178",))
    ]
    one = sles("enabled")
    assert one.zypper("al", *LOCKS).returncode == 0
    mirrors.offer(one, mirrors.build(tmp_path / "modules", [old, new], listed))
    assert one.zypper("install", f"{NAME}=9.0.30", count=False).returncode == 0
    before = one.editions("kernel-default")
    answer = apply(one, "klp.patch")
    assert answer.failed == {}
    assert (one.editions(NAME), one.editions("kernel-default")) == (["9.0.30-150500.3.1"], before)
    reason = f"zypper holds back {NAME}: it cannot be installed with the locks and repositories as they are"
    assert f"Skipped advisory {IDENT}: {reason}" in answer.comments["klp-updates"].splitlines()
    (left,) = [item for item in one.salt_call("klp_audit.host").data["updates"]["left_out"] if item["id"] == IDENT]
    assert (left["severity"], left["reason"]) == ("important", reason)
