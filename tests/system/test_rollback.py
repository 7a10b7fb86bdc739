"""From a live patch back to an earlier one, held there while other updates come, and forward again when released."""

import pytest

from tests.lab.packages import KERNEL

FIRST, SECOND, THIRD = "1-150500.9.3.1", "2-150500.2.1", "3-150500.2.1"
MODULES = {1: "livepatch_1_150500_9_3_1", 2: "livepatch_2_150500_2_1", 3: "livepatch_3_150500_2_1"}
# Scriptlets of packages are run by a shell, salt-klp starts its programs itself.
NOT_IN_SCRIPTLETS = """\
mkdir /usr/lib/lab/real && mv /usr/sbin/rmmod /usr/lib/lab/real
cat >/usr/sbin/rmmod <<'END'
#!/bin/sh
[ "$(cat /proc/$PPID/comm)" != sh ] || exit 1
exec /usr/lib/lab/real/rmmod "$@"
END
chmod 755 /usr/sbin/rmmod
"""


@pytest.fixture(scope="module")
def guest(boot):
    """
    A host with live patch 1 and all updates pending, on which no scriptlet can remove a module that was replaced.

    That is so on any host whose transition has not ended yet when the scriptlet of the old package runs; that of the
    new one may trust modprobe, which says that all is well and does nothing.
    """
    found = boot("enabled", level=3)
    found.machine.ask("sh", "-c", NOT_IN_SCRIPTLETS)
    return found


def apply(guest, step, sls, title):
    """Apply an SLS that succeeds."""
    with step(f"state.apply {sls}, {title}"):
        answer = guest.salt("state.apply", sls)
    assert answer.failed == {}
    assert answer.rc == 0
    return answer


def loaded(guest):
    """Return the live patches whose modules are in the kernel, in force or not."""
    found = guest.machine.ask("ls", "/sys/module").split()
    return [number for number, name in MODULES.items() if name in found]


def in_force(guest):
    """Return the live patches of which the kernel says that they are enabled."""
    return guest.machine.ask("sh", "-c", "cd /sys/kernel/livepatch && grep -l 1 */enabled").split()


def without_live_patch(packages):
    """Return packages but those of live patches."""
    return {package for package in packages if not package.startswith("kernel-livepatch-5")}


@pytest.fixture(scope="module")
def back(guest, step):
    """From live patch 3 back to the previous one; returns what was there before."""
    apply(guest, step, "klp", "to live patch 3")
    assert (guest.level(), guest.version()) == (THIRD, "lp-3")
    before = {"kernel": guest.kernel(), "packages": guest.packages()}
    before["answer"] = apply(guest, step, "klp.rollback", "to the previous one")
    return before


def test_the_kernel_goes_back_while_it_runs(guest, back):
    assert guest.version() == "lp-2"
    assert in_force(guest) == [f"{MODULES[2]}/enabled"]
    assert guest.kernel() == back["kernel"] and back["kernel"]["uname"] == KERNEL
    assert guest.level() == SECOND
    assert without_live_patch(guest.packages()) == without_live_patch(back["packages"])
    assert guest.salt("klp.verify").data["verdict"] == "ok"


def test_the_host_is_held_there(guest, back, step):
    held = guest.salt("klp.held").data
    assert (held["edition"], held["from"]) == (SECOND, THIRD)
    assert apply(guest, step, "klp.rollback", "again").changes == {}
    assert guest.version() == "lp-2"


def test_other_updates_come_and_the_live_patch_stays(guest, back, step, redeclare):
    redeclare(guest, level="latest")
    before = guest.packages()
    assert "klp-updates" in apply(guest, step, "klp.patch", "held").changes
    gone = {package.rsplit("-", 2)[0] for package in set(before) - set(guest.packages())}
    assert gone == {"curl", "libopenssl1_1", "libz1", "libzypp", "nfs-client"}
    assert apply(guest, step, "klp.patch", "held, again").changes == {}
    assert (guest.level(), guest.version()) == (SECOND, "lp-2")
    assert guest.salt("klp.held").data["edition"] == SECOND


def test_released_it_goes_forward(guest, back, step):
    assert loaded(guest) == [1, 2, 3]
    assert guest.salt("klp.unhold").data["edition"] == SECOND
    assert guest.salt("klp.held").data is None
    apply(guest, step, "klp.patch", "released")
    assert (guest.level(), guest.version()) == (THIRD, "lp-3")
    assert guest.kernel() == back["kernel"]


def test_it_goes_back_to_a_live_patch_whose_replaced_module_is_still_loaded(guest, back, step, redeclare):
    assert loaded(guest) == [1, 2, 3]
    redeclare(guest, level="latest", rollback={"level": 1})
    apply(guest, step, "klp.rollback", "to live patch 1")
    assert (guest.level(), guest.version()) == (FIRST, "")
    assert in_force(guest) == [f"{MODULES[1]}/enabled"]
    assert guest.kernel() == back["kernel"]
    assert guest.salt("klp.held").data["edition"] == FIRST
    assert guest.salt("klp.verify").data["verdict"] == "ok"


def test_a_reboot_comes_up_at_the_level_that_is_held(guest, back, step):
    begun = len(guest.machine.console())
    with step("salt sles1 system.reboot, until the minion answers"):
        guest.rebooted()
    assert f"lab: the initrd loads {MODULES[1].replace('_', '-', 1)}.ko" in guest.machine.console()[begun:]
    assert guest.kernel()["boot"] != back["kernel"]["boot"]
    assert in_force(guest) == [f"{MODULES[1]}/enabled"]
    assert apply(guest, step, "klp.patch", "held, after the reboot").changes == {}
    assert guest.level() == FIRST
