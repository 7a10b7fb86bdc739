"""SLS klp.kernel on hosts with a real zypper and GRUB: up, not up, back, and what is refused."""

import pytest

from tests.functional.conftest import (
    KERNEL,
    KERNEL_EDITION,
    NEW_KERNEL,
    NEW_KERNEL_EDITION,
    apply,
    settings,
    snapshot,
    volumes,
    writes,
)
from tests.functional.kernels import NEW_ENTRY, OLD_ENTRY, RECORD, TITLE, equipped, stage
from tests.functional.refusal import causes
from tests.lab import grub
from tests.lab.packages import NEW_LIVE_PATCH

NEW_LEVEL = "1-150500.11.3.2"
CHANGES = {"kernel-default": NEW_KERNEL_EDITION, NEW_LIVE_PATCH: NEW_LEVEL}
TARGET: dict = {
    "release": NEW_KERNEL,
    "edition": NEW_KERNEL_EDITION,
    "package": "kernel-default",
    "live_patch": NEW_LEVEL,
}
TARGET["fallback"] = True
INSTALL = ("install", "--no-recommends", f"kernel-default={NEW_KERNEL_EDITION}", f"{NEW_LIVE_PATCH}={NEW_LEVEL}")

NEXT = (
    "Restart this host, or let a campaign of kind kernel do it, and run: salt {0} state.apply klp.kernel; to take it "
    "back: salt {0} state.apply klp.kernel_back"
)
RETRY = "pillar='" + '{"klp": {"kernel": {"retry": true}}}' + "'"


@pytest.fixture
def one(sles):
    """A live patched host with GRUB, whose default is the newest kernel."""
    return equipped(sles)


def kernels(host):
    return host.editions("kernel-default"), host.editions(NEW_LIVE_PATCH)


def installed(host):
    """Install the new kernel, and let GRUB start it."""
    answer = apply(host, "klp.kernel")
    assert answer.failed == {}
    host.reboot()
    return answer


def test_the_whole_way_up(one):
    locks = one.locks()
    preview = one.salt_call("klp_audit.run_preview", kind="kernel").data
    assert (preview["changes"], preview["refusals"]) == (CHANGES, [])
    assert preview["kernel_target"] == {**TARGET, "window_last": "2024-08-01", "cves": 5}
    predicted = apply(one, "klp.kernel", test=True)
    assert (predicted.failed, stage(one), volumes(one)) == ({}, None, [])
    answer = apply(one, "klp.kernel")
    assert answer.failed == {}
    assert predicted.changes["klp-kernel-installed"] == answer.changes["klp-kernel-installed"]
    assert answer.changes["klp-kernel-installed"] == {
        "kernel-default": {"old": KERNEL_EDITION, "new": f"{NEW_KERNEL_EDITION},{KERNEL_EDITION}"},
        NEW_LIVE_PATCH: {"old": None, "new": NEW_LEVEL},
        "stage": {"old": None, "new": "installed"},
        "next start": {"old": KERNEL, "new": f"{NEW_KERNEL} (once)"},
    }
    assert answer.comments["klp-kernel"].splitlines() == [
        f"reboot_needed: {NEW_KERNEL} with live patch {NEW_LEVEL} is installed beside {KERNEL}",
        f"The next start is {NEW_KERNEL}, once; if it does not come up healthy, {KERNEL} again",
        NEXT.format(one.name),
    ]
    assert predicted.comments["klp-kernel"] == f"Would end with\n{answer.comments['klp-kernel']}"
    assert writes(one) == [INSTALL]
    assert (one.locks(), len(volumes(one))) == (locks, 1)
    assert grub.variables(one) == {"saved_entry": OLD_ENTRY, "next_entry": NEW_ENTRY}

    in_between(one)
    comes_up(one)
    assert (one.locks(), len(volumes(one))) == (locks, 2)  # of klp.kernel, and of klp.patch in between


def comes_up(one):
    """The new kernel comes up, and is the default from now on."""
    one.reboot()
    assert one.kernel == NEW_KERNEL
    answer = apply(one, "klp.kernel")
    assert answer.failed == {}
    assert answer.comments["klp-kernel"] == (
        f"kernel {NEW_KERNEL} with its live patch was verified and is the default; before it was {KERNEL}"
    )
    assert answer.changes["klp-kernel"] == {
        "stage": {"old": "installed", "new": "verified"},
        "next start": {"old": KERNEL, "new": NEW_KERNEL},
        "default": {"old": KERNEL, "new": NEW_KERNEL},
    }
    # The administrator's own default starts the new kernel as well: it is there again.
    assert grub.variables(one)["saved_entry"] == TITLE
    assert kernels(one) == ([NEW_KERNEL_EDITION, KERNEL_EDITION], [NEW_LEVEL])


def in_between(one):
    """Nothing fights a change that waits for a restart, nothing undoes it, and the same command changes nothing."""
    preview = one.salt_call("klp_audit.run_preview", kind="kernel").data
    assert (preview["changes"], preview["kernel_target"]) == ({}, {**TARGET, "window_last": None, "cves": 0})
    before = snapshot(one), grub.variables(one)
    for sls in ("klp", "klp.kernel"):
        again = apply(one, sls)
        assert (again.failed, again.changes) == ({}, {}), sls
        assert (snapshot(one), grub.variables(one)) == before, sls
    own = kernels(one), one.locks(), grub.variables(one), one.read(RECORD)
    assert apply(one, "klp.patch").failed == {}
    assert (kernels(one), one.locks(), grub.variables(one), one.read(RECORD)) == own


def refused(host, said, state="klp-kernel-planned"):
    """The run is refused with this sentence, and has changed nothing."""
    before = snapshot(host), grub.variables(host)
    answer = apply(host, "klp.kernel")
    assert causes(answer) == {state: said}
    assert (snapshot(host), grub.variables(host)) == before


def test_a_lock_of_somebody_else_is_named_and_stays(one):
    one.write("/etc/zypp/locks", "\ntype: package\nmatch_type: glob\nsolvable_name: kernel-def*\n" + one.locks())
    refused(
        one,
        f"lock in line 2 of /etc/zypp/locks (kernel-def*) keeps kernel-default-{NEW_KERNEL_EDITION} away; remove it or "
        "make it narrower",
    )


def test_a_boot_loader_that_cannot_start_a_kernel_once(sles):
    one = equipped(sles)
    one.write("/etc/lab/probe.abstraction", "lvm\n")
    cannot = "GRUB cannot start a kernel once on this host: /boot/grub2 is on lvm, where it cannot write its "
    cannot += "environment block"
    refused(
        one,
        f"{cannot}. This kernel would be the default at once, and a host that does not come up with it waits for "
        "somebody: pillar klp:kernel:without_fallback: true allows that",
    )
    one.salt.pillar(settings(kernel={"without_fallback": True}))
    predicted, answer = apply(one, "klp.kernel", test=True), apply(one, "klp.kernel")
    assert answer.failed == {}
    assert predicted.changes["klp-kernel-installed"] == answer.changes["klp-kernel-installed"]
    assert f"No fallback: {cannot}" in answer.comments["klp-kernel-planned"]
    assert grub.variables(one) == {"saved_entry": NEW_ENTRY}  # what GRUB cannot take out would stay for ever
    one.reboot()
    assert (one.kernel, apply(one, "klp.kernel").failed, stage(one)) == (NEW_KERNEL, {}, "verified")


def test_a_kernel_that_does_not_come_up(one):
    assert apply(one, "klp.kernel").failed == {}
    assert grub.boot(one) == NEW_KERNEL  # GRUB starts it, it panics, and the host is started once more
    one.reboot()
    assert one.kernel == KERNEL
    said = f"kernel {NEW_KERNEL} was started once and did not come up: this host came up with {KERNEL} again"
    for _ in range(2):
        answer = apply(one, "klp.kernel")
        assert causes(answer)["klp-kernel"].splitlines() == [
            said,
            f"This host runs kernel {KERNEL} again, which is the default",
            f"try it again with: salt {one.name} state.apply klp.kernel {RETRY}",
        ]
    assert (stage(one), grub.variables(one)["saved_entry"]) == ("failed", OLD_ENTRY)
    assert one.salt_call("klp.verify").data["verdict"] == "ok"  # no restart would bring the new kernel
    assert apply(one, "klp.patch").failed == {}

    one.salt.pillar(settings(kernel={"retry": True}))
    assert apply(one, "klp.kernel").failed == {}
    one.reboot()
    assert (one.kernel, apply(one, "klp.kernel").failed, stage(one)) == (NEW_KERNEL, {}, "verified")


def test_a_restart_that_did_not_ask_grub(one):
    assert apply(one, "klp.kernel").failed == {}
    one.reboot(KERNEL)
    said = (
        f"kernel {NEW_KERNEL} was never started: GRUB still had it as the next one, and this host came up with {KERNEL}"
    )
    assert causes(apply(one, "klp.kernel"))["klp-kernel"].splitlines()[0] == said
    assert grub.variables(one) == {"saved_entry": OLD_ENTRY}  # a failed host does not try it by the way


def test_an_ill_host_goes_back_by_the_next_start(sles):
    one = equipped(sles, health={"commands": [{"name": "shop", "run": ["/usr/bin/shop-is-well"]}], "wait": 0})
    one.write("/usr/bin/shop-is-well", "#!/bin/sh\n[ ! -e /etc/ill ]\n", mode=0o755)
    assert apply(one, "klp.kernel").failed == {}
    one.write("/etc/ill", "")
    one.reboot()
    assert one.kernel == NEW_KERNEL
    lines = causes(apply(one, "klp.kernel"))["klp-kernel"].splitlines()
    assert lines[:2] == [
        "health: failed: command shop: exit 1: no output",
        f"The next start is kernel {KERNEL} again: restart this host to go back",
    ]
    one.reboot()
    assert one.kernel == KERNEL
    lines = causes(apply(one, "klp.kernel"))["klp-kernel"].splitlines()
    assert lines[:2] == [
        "health: failed: command shop: exit 1: no output",
        f"This host runs kernel {KERNEL} again, which is the default",
    ]
    one.path("/etc/ill").unlink()
    answer = apply(one, "klp.kernel_back")
    assert (answer.failed, stage(one)) == ({}, "went_back")


def test_the_way_back_from_a_verified_kernel(one):
    locks = one.locks()
    installed(one)
    assert apply(one, "klp.kernel").failed == {}
    predicted, answer = apply(one, "klp.kernel_back", test=True), apply(one, "klp.kernel_back")
    assert (
        predicted.changes
        == answer.changes
        == {
            "klp-kernel-back": {
                "stage": {"old": "verified", "new": "back"},
                "next start": {"old": NEW_KERNEL, "new": KERNEL},
                "default": {"old": NEW_KERNEL, "new": KERNEL},
            }
        }
    )
    said = f"Restart this host to go back to kernel {KERNEL}, then run the same command again"
    assert answer.comments == {"klp-kernel-back": said}
    assert apply(one, "klp.kernel_back").changes == {}
    one.reboot()
    answer = apply(one, "klp.kernel_back")
    assert answer.comments == {"klp-kernel-back": f"This host went back to kernel {KERNEL}, which is the default"}
    assert (one.kernel, stage(one), one.locks()) == (KERNEL, "went_back", locks)
    lines = causes(apply(one, "klp.kernel"))["klp-kernel"].splitlines()
    assert lines[0] == f"This host went back from kernel {NEW_KERNEL} to {KERNEL}"
