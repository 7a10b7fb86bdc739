"""What real hosts have and ours had not: each refusal by its exact words, nothing changed, and its cure tried."""

import json
import re

import pytest

from tests.functional.commands import command, shell
from tests.functional.conftest import (
    FIRST,
    KERNEL,
    KERNEL_EDITION,
    LOADED,
    LOCKS,
    LP,
    NEW_KERNEL,
    NEW_KERNEL_EDITION,
    TOOLS,
    apply,
    snapshot,
    volumes,
    writes,
)
from tests.functional.refusal import causes, refused
from tests.lab.packages import LIFECYCLE_DATA, NEW_LIVE_PATCH

THIRD_MODULE = "livepatch_3_150500_2_1"
SETTING = "/etc/sysconfig/livepatching"
NEVER = (
    f"LIVEPATCH_KERNEL is never in {SETTING}: a live patch would be installed and not loaded; let it be loaded with: "
    f"sed -i s/^LIVEPATCH_KERNEL=.*/LIVEPATCH_KERNEL=auto/ {SETTING}"
)
SHORT, BASE_EDITION = "kernel-default-base", "5.14.21-150500.55.7.1.150500.6.2.5"
VERSION = "5.14.21-150500.55.7"
DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'


def part(pattern, text):
    """Return the group of a pattern in a text that has it."""
    (found,) = re.findall(pattern, text)
    return found


# -- LIVEPATCH_KERNEL --------------------------------------------------------------------------------------------------


def never(one):
    one.write(SETTING, "LIVEPATCH_KERNEL='never'\n")


@pytest.mark.parametrize("sls", ["klp", "klp.patch"])
def test_a_host_that_loads_no_live_patches_is_refused_before_anything(sles, sls):
    one = sles("fresh")
    never(one)
    refused(one, sls, {"klp-ready": NEVER})
    assert one.count("zypper") == 0 and one.locks() == ""
    shell(one, command(NEVER))
    assert apply(one, "klp").failed == {}
    assert one.live_patches() == {THIRD_MODULE: LOADED}


def test_a_live_patch_that_was_not_loaded_is_not_installed_again_by_each_highstate(sles):
    one = sles("enabled")
    one.unload("livepatch_1_150500_9_3_1")
    never(one)
    for _ in range(2):
        refused(one, "klp", {"klp-ready": NEVER})
    shell(one, command(NEVER))
    assert apply(one, "klp").failed == {}
    assert (one.editions(LP), len(one.live_patches())) == ([FIRST], 1)


def test_a_host_that_has_its_live_patch_stays_green_and_is_refused_a_run(sles):
    one = sles("converged")
    never(one)
    assert apply(one, "klp").failed == {}
    refused(one, "klp.patch", {"klp-repositories": NEVER})


# -- /boot -------------------------------------------------------------------------------------------------------------


def small_boot(one, size):
    """Give a host a /boot of its own that is so small, with what was there."""
    shell(
        one,
        f"mkdir /boot.new && busybox mount -t tmpfs -o size={size} tmpfs /boot.new && cp -a /boot/. /boot.new/ && "
        "busybox mount --move /boot.new /boot",
    )


def test_a_full_boot_is_refused_before_locks_and_the_cure_makes_room(sles):
    one = sles("fresh")
    assert one.zypper("in", f"kernel-default={NEW_KERNEL_EDITION}").returncode == 0
    one.run(["rm", "/run/reboot-needed"])
    one.reboot(NEW_KERNEL)
    small_boot(one, "2048k")
    one.write(f"/boot/vmlinuz-{KERNEL}", "x" * 1500 * 1024)
    reason = (
        "/boot has 0 MiB free, and a live patch makes a new initrd of 1 MiB there; an older kernel is installed, take "
        f"it away with: rpm --erase kernel-default-{KERNEL_EDITION}"
    )
    for sls in ("klp", "klp.patch"):
        refused(one, sls, {"klp-ready": reason})
    assert one.locks() == ""
    shell(one, command(reason))
    assert apply(one, "klp").failed == {}
    assert one.editions(NEW_LIVE_PATCH) != []


# -- kernel-default-base -----------------------------------------------------------------------------------------------


@pytest.fixture
def minimal(sles):
    """Start a host as SUSE's minimal images are: kernel-default-base, and no kernel-default."""

    def start(**klp):
        one = sles("fresh", **klp)
        one.add_repo("extra")
        assert one.zypper("rm", "kernel-default", count=False).returncode == 0
        assert one.zypper("in", SHORT, count=False).returncode == 0
        one.repo("extra", on=False)
        one.run(["rm", "/run/reboot-needed"])
        return one

    return start


def base_reason(one, unlock=""):
    return (
        f"kernel {KERNEL} is that of {SHORT}, and live patches require kernel-default of this version: install it, "
        f"nothing has to be restarted for that: {unlock}zypper install kernel-default={VERSION} -{SHORT}; or set "
        f"pillar klp:tools:kernel to true and run: salt {one.name} state.apply klp"
    )


@pytest.mark.parametrize("locked", [False, True])
def test_kernel_default_base_is_refused_and_the_command_helps(minimal, locked):
    one = minimal()
    if locked:
        assert one.zypper("al", *LOCKS).returncode == 0
    reason = base_reason(one, f"zypper removelock kernel-default {SHORT}; " if locked else "")
    refused(one, "klp", {"klp-ready": reason})
    refused(one, "klp.patch", {"klp-ready": reason})
    by_hand = part(r"restarted for that: (.*); or set", reason).replace("zypper ", "zypper -n ")
    shell(one, by_hand)
    assert apply(one, "klp").failed == {}
    assert one.live_patches() == {THIRD_MODULE: LOADED}


def test_kernel_default_comes_with_leave_of_the_pillar_and_the_locks_hold(minimal):
    one = minimal(tools={"kernel": True})
    answer = apply(one, "klp", test=True)
    wanted = [f"kernel-default={VERSION}", TOOLS, LIFECYCLE_DATA]
    assert answer.changes["klp-enabled"]["missing tools"] == {"old": wanted, "new": []}
    assert (one.editions(SHORT), writes(one)) == ([BASE_EDITION], [])
    answer = apply(one, "klp")
    assert answer.failed == {}
    assert f"kernel-default is there in place of {SHORT}" in answer.comments["klp-enabled"]
    assert (one.editions("kernel-default"), one.editions(SHORT)) == ([KERNEL_EDITION], [])
    assert one.live_patches() == {THIRD_MODULE: LOADED}
    assert ">" not in one.locks() and len(volumes(one)) == 1
    assert one.salt_call("klp.settings").data["locks"] == LOCKS
    again = apply(one, "klp")
    assert (again.failed, again.changes, one.count("zypper")) == ({}, {}, 0)


def test_a_maintenance_run_alone_brings_no_kernel(minimal):
    one = minimal(tools={"kernel": True})
    reason = base_reason(one)
    refused(one, "klp.patch", {"klp-repositories": reason})


# -- a kernel that waits -----------------------------------------------------------------------------------------------


def test_a_kernel_that_waits_for_a_restart_is_seen_without_the_flag(sles):
    """SLES 12 has no /run/reboot-needed."""
    one = sles("converged")
    one.zypper("rl", "kernel-default")
    assert one.zypper("in", f"kernel-default={NEW_KERNEL_EDITION}").returncode == 0
    one.zypper("al", "kernel-default")
    one.run(["rm", "/run/reboot-needed"])
    found = one.salt_call("klp.verify").data
    check = next(item for item in found["checks"] if item["check"] == "reboot")
    assert check["verdict"] == "reboot_needed"
    assert check["detail"] == f"kernel-default-{NEW_KERNEL_EDITION} is installed and waits for a restart"
    assert one.salt_call("klp_audit.host").data["reboot"]["needed"] is True
    one.reboot(NEW_KERNEL)
    check = next(item for item in one.salt_call("klp.verify").data["checks"] if item["check"] == "reboot")
    assert (check["verdict"], check["detail"]) == ("ok", "not needed")


# -- a host of others --------------------------------------------------------------------------------------------------

FOREIGN = "not a SUSE host (debian 12): there are no live patches of SUSE for it, and salt-klp changes nothing here"


@pytest.fixture
def debian(sles):
    """Start a Debian host; Debian has a package of zypper, too."""

    def start(**klp):
        one = sles("fresh", **klp)
        one.write("/etc/os-release", DEBIAN)
        return one

    return start


SLS = ["klp", "klp.patch", "klp.rollback", "klp.verify", "klp.disable", "klp.restore"]


@pytest.mark.parametrize("sls", SLS)
def test_a_host_of_others_is_refused_as_such(debian, sls):
    one = debian()
    before = snapshot(one)
    answer = apply(one, sls)
    assert answer.rc != 0
    (said,) = answer.failed.values()
    assert said.startswith("not a SUSE host (") and "sync_all" not in answer.stdout
    assert snapshot(one) == before


@pytest.mark.parametrize("sls", ["klp", "klp.patch", "klp.disable"])
def test_a_prediction_on_a_host_of_others_has_the_sentence(debian, sls):
    """Salt's test.fail_without_changes has a comment of its own under test=True."""
    answer = apply(debian(), sls, test=True)
    (state,) = answer.states.values()
    assert answer.rc != 0 and state["name"].startswith("not a SUSE host (")


@pytest.mark.parametrize("sls", SLS)
def test_a_mixed_highstate_passes_with_the_sentence(debian, sls):
    one = debian(unsupported="skip")
    before = snapshot(one)
    answer = apply(one, sls)
    assert (answer.rc, answer.failed, answer.changes) == (0, {}, {})
    (said,) = answer.comments.values()
    assert said.startswith("not a SUSE host (")
    assert snapshot(one) == before and writes(one) == []


@pytest.mark.parametrize(
    "function", ["klp.status", "klp.verify", "klp_audit.host", "zypper.pending", "root_backup.list"]
)
def test_each_function_says_so(debian, function):
    one = debian()
    answer = one.salt_call(function)
    assert answer.rc != 0 and FOREIGN in answer.stdout + answer.stderr


def test_a_kernel_without_live_patches_passes_as_well_where_pillar_says_so(sles):
    one = sles("fresh", kernel="5.14.21-150500.33.6-azure", unsupported="skip")
    answer = apply(one, "klp.patch")
    assert (answer.rc, answer.changes) == (0, {})
    said = "there are no live patches for the flavour azure, only for default, rt"
    assert answer.comments == {"klp-ready": f"kernel 5.14.21-150500.33.6-azure: {said}"}
    assert one.locks() == "" and volumes(one) == []


# -- SUSEConnect -------------------------------------------------------------------------------------------------------

PRODUCT = "sle-module-live-patching/15.5/x86_64"
CODE = "LAB-REGCODE-0001"


def asked(one):
    return [json.loads(line) for line in one.read("/var/lib/lab/suseconnect.argv").splitlines()]


def test_a_product_that_needs_a_code_says_which_key(sles):
    one = sles("fresh")
    one.install_fake("SUSEConnect")
    one.faults(suseconnect_code=True)
    reason = (
        f"SUSEConnect --product {PRODUCT}: exit 67: Error: Registration server returned 'Please provide a Registration "
        "Code for this product' (422); if this product needs a registration code: set pillar klp:product:regcode"
    )
    one.salt.sync()
    before = one.packages()
    assert causes(apply(one, "klp")) == {"klp-enabled": reason}
    assert one.packages() == before and writes(one) == []
    assert asked(one) == [["--status"], ["--product", PRODUCT]]
    one.salt.pillar({"klp": {"backup": {"backend": "none"}, "product": {"regcode": CODE}}})
    assert apply(one, "klp").failed == {}
    assert one.live_patches() == {THIRD_MODULE: LOADED}


def test_a_registration_that_fails_is_quoted_and_asked_once(sles):
    one = sles("fresh")
    one.install_fake("SUSEConnect")
    one.faults(suseconnect={"stdout": "Error: Invalid system credentials for SCC_1234567890abcdef12\n", "rc": 67})
    reason = "SUSEConnect --status: exit 67: Error: Invalid system credentials for SCC_1234567890abcdef12"
    answer = refused(one, "klp", {"klp-backup-enable": reason.replace("SCC_1234567890abcdef12", "SCC_*****")})
    assert "1234567890abcdef12" not in answer.stdout
    assert asked(one) == [["--status"]]
    one.faults()
    assert apply(one, "klp").failed == {}


# -- the end of live patching ------------------------------------------------------------------------------------------


def test_a_host_that_was_enabled_by_the_guide_is_disabled_without_a_key(sles):
    """SUSE's guide installs the pattern; pillar klp:tools:pattern is empty."""
    one = sles("enabled")
    assert one.zypper("in", "--no-recommends", "patterns-lp-lp_sles").returncode == 0
    answer = apply(one, "klp.disable")
    assert answer.failed == {}
    assert one.editions("patterns-lp-lp_sles") == one.editions(TOOLS) == one.editions(LP) == []
    assert apply(one, "klp.disable").changes == {}


# -- the window --------------------------------------------------------------------------------------------------------


def test_the_lifecycle_data_come_with_the_tools_and_pillar_can_leave_them_out(sles):
    one = sles("fresh")
    assert apply(one, "klp").failed == {}
    assert one.salt_call("klp_audit.window").data["last"] == "2024-07-18"
    other = sles("fresh", tools={"packages": [TOOLS]})
    assert apply(other, "klp").failed == {}
    assert other.editions(LIFECYCLE_DATA) == []
    reason = other.salt_call("klp_audit.window").data["reason"]
    assert reason.startswith("no lifecycle data of live patches are installed: install them with: zypper install ")
    shell(other, part(r"with: (zypper install \S+),", reason).replace("zypper ", "zypper -n "))
    assert other.salt_call("klp_audit.window").data["state"] == "expired"


def test_a_damaged_line_is_the_reason(sles):
    one = sles("enabled")
    path = "/usr/share/lifecycle/data/sle-module-live-patching.lifecycle"
    one.write(path, f"{LP},*,20240718x\n")
    found = one.salt_call("klp_audit.window").data
    assert (found["state"], found["reason"]) == ("unknown", f"{path}:1 is damaged: unknown date '20240718x'")
