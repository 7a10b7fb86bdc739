"""What would come up after a restart: ``klp_audit.reboot_safety`` on hosts with a real zypper and a menu of GRUB."""

import pytest

from tests.functional.conftest import KERNEL, LOCKS, NEW_KERNEL, NEW_KERNEL_EDITION, THIRD, snapshot
from tests.lab.packages import NEW_LIVE_PATCH
from tests.unit.loader import recorded

TITLE, OLD_TITLE = "SLES 15-SP5", f"SLES 15-SP5, with Linux {KERNEL}"
GRUB = "/boot/grub2"
INITRD = f"/boot/initrd-{KERNEL}"


def boots(host, **env):
    """Give a host the menu of SLES, newest kernel first, and an environment block."""
    host.write(f"{GRUB}/grub.cfg", recorded("boot/grub.cfg"))
    lines = ["# GRUB Environment Block", *(f"{name}={value}" for name, value in env.items()), ""]
    host.write(f"{GRUB}/grubenv", "\n".join(lines).ljust(1024, "#"))


def ask(host):
    """Return the answer; it has changed nothing and started no zypper."""
    host.salt.sync()
    host.forget_programs()
    before = snapshot(host)
    answer = host.salt_call("klp_audit.reboot_safety")
    assert answer.rc == 0, answer.stderr
    assert (snapshot(host), host.count("zypper")) == (before, 0)
    return answer.data


@pytest.fixture
def converged(sles):
    """A live patched host that starts the running kernel again."""
    one = sles("converged")
    boots(one, saved_entry="1>1")
    return one


@pytest.fixture
def newer(converged):
    """The same, and the newer kernel is installed without a live patch of its own."""
    assert converged.zypper("rl", *LOCKS).returncode == 0
    done = converged.zypper("in", f"kernel-default={NEW_KERNEL_EDITION}")
    assert done.returncode in (0, 102), done.stdout
    assert len(converged.editions("kernel-default")) == 2
    return converged


def test_the_running_kernel_comes_up_live_patched(converged):
    found = ask(converged)
    assert found.pop("purge")["kept"] is True
    assert found == {
        "verdict": "ok",
        "entry": OLD_TITLE,
        "kernel": KERNEL,
        "live_patch": THIRD,
        "initrd": True,
        "snapshot": None,
        "reasons": [],
    }


def test_an_initrd_without_the_module(converged):
    converged.write(INITRD, "bash\nsystemd\n")
    found = ask(converged)
    assert (found["verdict"], found["live_patch"], found["initrd"]) == ("failed", THIRD, False)
    said = "would come up without a live patch: the initrd has no dracut module kernel-livepatch"
    assert found["reasons"] == [f"{said}; run dracut --force --kver {KERNEL}"]


def test_an_initrd_with_an_older_module(converged):
    converged.write(INITRD, converged.read(INITRD).replace("livepatch-3-150500_2_1", "livepatch-2-150500_2_1"))
    found = ask(converged)
    assert (found["verdict"], found["initrd"]) == ("failed", False)
    said = "would come up with livepatch_2_150500_2_1: not in the initrd: livepatch_3_150500_2_1"
    assert found["reasons"] == [
        f"{said}; run dracut --force --kver {KERNEL}",
        "would come up at level 2, active is 3: run state.apply klp",
    ]


def test_without_a_menu_nothing_is_known(converged):
    converged.path(f"{GRUB}/grub.cfg").unlink()
    found = ask(converged)
    assert (found["verdict"], found["entry"], found["kernel"], found["initrd"]) == ("unknown", None, None, None)
    assert found["reasons"] == [f"neither {GRUB}/grub.cfg nor entries of systemd-boot are here"]


def test_a_newer_kernel_without_its_live_patch(newer):
    boots(newer, saved_entry=TITLE)
    newer.write("/boot/do_purge_kernels", "")
    found = ask(newer)
    assert (found["verdict"], found["entry"], found["kernel"]) == ("failed", TITLE, NEW_KERNEL)
    assert (found["live_patch"], found["initrd"], found["purge"]["pending"]) == (None, None, True)
    said = f"would come up without a live patch: {NEW_LIVE_PATCH} is not installed"
    helps = f"run zypper install {NEW_LIVE_PATCH}, or make {KERNEL} the default again: grub2-set-default"
    assert found["reasons"][:2] == [
        f"{said}; {helps}",
        f"would come up with kernel {NEW_KERNEL}, running is {KERNEL}",
    ]


def test_what_is_said_to_help_helps(newer):
    boots(newer, saved_entry=TITLE)
    assert newer.zypper("in", NEW_LIVE_PATCH).returncode == 0
    found = ask(newer)
    assert (found["verdict"], found["kernel"], found["initrd"]) == ("ok", NEW_KERNEL, True)
    assert [found["live_patch"]] == newer.editions(NEW_LIVE_PATCH)
    newer.reboot(NEW_KERNEL)
    assert [patch["enabled"] for patch in newer.live_patches().values()] == [1]


def test_the_entry_of_one_start_goes_first(newer):
    boots(newer, saved_entry="1>1")
    assert ask(newer)["verdict"] == "ok"
    boots(newer, saved_entry="1>1", next_entry=TITLE)
    found = ask(newer)
    assert (found["verdict"], found["entry"], found["kernel"]) == ("failed", TITLE, NEW_KERNEL)
