"""SLS klp.kernel that is killed or loses its power, and what becomes of old kernels: with a real zypper and GRUB."""

import json

from tests.functional.conftest import (
    KERNEL,
    KERNEL_EDITION,
    LP,
    NEW_KERNEL,
    NEW_KERNEL_EDITION,
    apply,
    settings,
    volumes,
)
from tests.functional.gate import close_gate, kill, open_gate, start, stop_in, wait_at_gate
from tests.functional.kernels import GOOD, NEW_ENTRY, OLD_ENTRY, equipped, stage
from tests.lab import grub, mirror

OWN = "/var/lib/salt-klp/own_kernels.json"


def finishes(one):
    """The same command finishes what was cut off, with one backup, and the new kernel comes up."""
    assert apply(one, "klp.kernel").failed == {}
    assert (stage(one), len(volumes(one))) == ("installed", 1)
    assert grub.variables(one) == {"saved_entry": OLD_ENTRY, "next_entry": NEW_ENTRY}
    one.reboot()
    assert (one.kernel, apply(one, "klp.kernel").failed, stage(one)) == (NEW_KERNEL, {}, "verified")


def test_kill_before_the_old_kernel_is_the_default(sles):
    one = equipped(sles)
    stop_in(one, "/usr/bin/grub2-editenv")
    close_gate(one)
    run = start(one, "klp.kernel")
    wait_at_gate(one)
    kill(run)
    open_gate(one)
    assert (stage(one), one.editions("kernel-default")) == ("installing", [KERNEL_EDITION])
    finishes(one)


def test_a_power_cut_in_the_middle_of_the_installation(sles):
    one = equipped(sles)
    stop_in(one, "/usr/sbin/grub2-mkconfig")
    close_gate(one)
    start(one, "klp.kernel")
    wait_at_gate(one)
    one.reboot()  # all processes end
    assert (one.kernel, stage(one)) == (KERNEL, "installing")
    assert one.editions("kernel-default") == [NEW_KERNEL_EDITION, KERNEL_EDITION]
    assert apply(one, "klp.patch").failed == {}  # neither finishes it nor takes it away
    assert (one.editions("kernel-default"), len(volumes(one))) == ([NEW_KERNEL_EDITION, KERNEL_EDITION], 1)
    assert apply(one, "klp.kernel").failed == {}
    assert (stage(one), one.editions("kernel-default")) == ("installed", [NEW_KERNEL_EDITION, KERNEL_EDITION])
    one.reboot()
    assert (one.kernel, apply(one, "klp.kernel").failed, stage(one)) == (NEW_KERNEL, {}, "verified")


def test_an_old_kernel_of_ours_goes_after_the_next_one(sles, yearly):
    one = equipped(sles)
    one.salt.pillar(settings(kernel={"target": NEW_KERNEL_EDITION}))
    mirror.offer(one, yearly)
    assert apply(one, "klp.kernel").failed == {}
    one.reboot()
    assert apply(one, "klp.kernel").failed == {}
    assert json.loads(one.read(OWN)) == [NEW_KERNEL_EDITION]

    # A year later; that the first kernel was installed here as well is what this test adds.
    one.salt.pillar(settings(kernel={"target": GOOD, "keep": 2}))
    assert apply(one, "klp.kernel").failed == {}
    one.reboot()
    kept = apply(one, "klp.kernel", test=True).comments["klp-kernel"]
    assert kept.endswith(f"Kernels that only the locks of salt-klp keep: {KERNEL_EDITION}")
    one.write(OWN, json.dumps([KERNEL_EDITION, NEW_KERNEL_EDITION, GOOD]))
    locks = one.locks()
    answer = apply(one, "klp.kernel")
    assert answer.failed == {}
    assert sorted(one.editions("kernel-default")) == sorted([GOOD, NEW_KERNEL_EDITION])
    assert (one.editions(LP), one.exists(f"/boot/initrd-{KERNEL}"), one.locks()) == ([], False, locks)
    assert LP in answer.changes["klp-kernel"]
