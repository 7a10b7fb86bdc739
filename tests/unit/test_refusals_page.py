"""The page "When it refuses" has what the product says: a sentence that changes takes its row with it."""

import datetime

import pytest

import klp_arrival
import klp_change_boot
import klp_change_plan
import klp_change_restart
import klp_change_verify
import klp_family
import klp_health
import klp_hooks
import klp_kernel
import klp_register
import klp_snapper
import klp_sys
import klp_target
from _runners.klp import (
    answers,
    apart,
    commands,
    due,
    emergency,
    emergency_ask,
    files,
    isoweeks,
    journal,
    kernel_plans,
    outcome,
    quarantine,
    restarting,
    restarts,
    steering,
)
from tests.unit.loader import ROOT

PAGE = (ROOT / "docs" / "how-to" / "refusals.md").read_text(encoding="utf-8")
FAILED = {"retcode": 67, "stdout": "Error: no", "stderr": ""}
SAID = [
    (
        klp_arrival.NEVER.format("/etc/sysconfig/livepatching"),
        "LIVEPATCH_KERNEL is never in /etc/sysconfig/livepatching",
    ),
    (klp_hooks.FAILHARD, "failhard is set in the configuration of the minion or the master"),
    (klp_hooks.sentence("after", "it is not there"), "pillar klp:hooks:"),
    (answers.DRAINED, ", it may still be drained"),
    (klp_health.BEFORE, "not healthy before: "),
    (klp_arrival.FULL, "MiB free, and a live patch makes a new initrd of "),
    (klp_target.NONE, "no kernel qualifies: "),
    (klp_target.REFUSED, " does not qualify: "),
    (klp_target.NO_BUILD.format("NAME-kmp-..."), "there is no build of NAME-kmp-... for it"),
    (klp_target.FULL, "MiB free, and it needs "),
    (klp_target.ROOM_UNKNOWN.format("/boot", ""), "what it needs in /boot is not known"),
    (klp_target.ABSENT, " is in no repository; there are: "),
    (klp_change_boot.ONCE, "GRUB cannot start a kernel once on this host: "),
    (klp_change_boot.NO_GRUB, "the boot loader is not understood"),
    (klp_change_boot.NOT_SAVED, "GRUB does not take its default from saved_entry"),
    (klp_change_boot.NO_ENTRY, "GRUB's menu has no entry for kernel "),
    (
        klp_change_plan.INSTEAD.format("kernel-default"),
        "zypper would put kernel-default in the place of the running one",
    ),
    (klp_change_verify.TRIED, " was started once and did not come up"),
    (klp_change_verify.UNTRIED, " was never started"),
    (klp_change_verify.UNDECIDED, "nothing is decided yet: ask again with: "),
    (klp_change_restart.NOT_ASKED, "nothing but a campaign of kind kernel "),
    (klp_change_restart.AGAIN, "this host was started again since the campaign asked for a restart"),
    (klp_change_restart.NO_CHANGE, "no change of kernel is recorded on this host"),
    (klp_kernel.REFUSAL.replace("{base}", "kernel-default-base"), " is that of kernel-default-base"),
    (klp_family.NOT_SUSE, "not a SUSE host ("),
    (klp_sys.NOT_SEEN, "nothing is known of live patches in this kernel"),
    (klp_snapper.problem({}, "root"), "snapper has no configuration "),
    (klp_register.refusal(["--status"], FAILED), "SUSEConnect --status: "),
    (klp_register.refusal(["--product", "x"], FAILED, code=False), "; if this product needs a registration code: "),
    (
        str(files.unreadable("x", PermissionError(13, "Permission denied"))),
        "cannot be read (Permission denied, as user ",
    ),
    (str(files.unwritable("x", OSError(28, "No space left on device"))), "; make room"),
    (journal.EMPTY, " is empty"),
    (isoweeks.problem("next", datetime.date(2027, 1, 18)), "week: wanted an ISO week such as 2027-W03"),
    (isoweeks.problem("2026-W01", datetime.date(2027, 1, 18)), " has passed"),
    (due.BEYOND, " is beyond what is proposed"),
    (emergency.WANTED, "cve: wanted a CVE such as CVE-2026-31431"),
    (emergency_ask.KIND, "cve is for plans of kind patch or kernel"),
    (emergency_ask.BOTH, "week and cve exclude each other"),
    (due.KIND, "week is for plans of kind kernel"),
    (quarantine.CURE, "no campaign starts a host before it is repaired"),
    (commands.unowned("c", "x"), "the hosts of campaign "),
    (steering.unfinished("c", "x")["text"], "has to wait"),
    (kernel_plans.REBOOT.format("patch"), "klp_campaign:reboot is for campaigns of kind kernel"),
    (kernel_plans.SHORT.format(20, 30), "no plan: the longest of the next maintenance windows is open for "),
    (answers.NO_BOOT, "the id of its boot is not known"),
    (apart.NOT_RESTARTED, "it was not restarted, because it is kept apart from "),
    (restarting.LATE.format(30), "it has not come back within "),
    (restarting.STAYED.format(30), "it answers, and has not restarted within "),
    (restarting.ASIDE.format("silent", 30), "its restart is due, and it is "),
    (restarting.TWICE, "it waits for another restart"),
    (restarts.ORDERS.format(3, "kernel"), "its restart was asked for "),
    (restarts.VERIFY.format(3), "its verification was cut off "),
    (restarts.WAITED, "the old kernel is its default again"),
    (outcome.stopped([])["text"], "stopped by a signal"),
    (outcome.misuse("run", {}, (), {"id": 1}), " does not know the argument "),
]


@pytest.mark.parametrize(("sentence", "part"), SAID, ids=[part.strip() for _, part in SAID])
def test_what_is_said_has_a_row(sentence, part):
    assert part in sentence and part in PAGE
