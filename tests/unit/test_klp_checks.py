"""Each check with each of its verdicts."""

import pytest

import klp_checks as checks
import klp_family
import klp_parse
from tests.unit.loader import recorded

NAME = "kernel-livepatch-5_14_21-150500_55_7-default"
RELEASE, VERSION = "5.14.21-150500.55.7-default", "5.14.21-150500.55.7"
FIRST, THIRD = "livepatch_1_150500_9_3_1", "livepatch_3_150500_2_1"
ERROR = {"error": "klp -v patches: exit 1: no output"}


def sysfs(*patches):
    return [{"name": name, "enabled": enabled, "transition": moving} for name, enabled, moving in patches]


READY = sysfs((THIRD, True, False))
TOLD = {"value": klp_parse.patches(recorded("klp/lab-patches-converged.txt"))}
TOLD_FIRST = {"value": klp_parse.patches(recorded("klp/lab-patches.txt"))}
BLOCKER = {"pid": 7, "command": "", "comm": "agent", "unit": "agent.service", "package": "dkms-agent"}
BLOCKER["stack"] = ["[<0>] msleep+0x2d/0x60", "agent+0x1/0x2 [dkms_agent]", "no frame"]
NAMED = (
    "process 7 (agent; unit agent.service, package dkms-agent, stack msleep < agent); "
    "process 8 (unknown; unit unknown, package unknown, stack unknown)"
)
STRANGER = {"pid": 8, "command": "", "comm": None, "unit": None, "package": None, "stack": None}


def judged(found, name, verdict, detail):
    assert (found["check"], found["verdict"]) == (name, verdict)
    assert detail in found["detail"], found["detail"]


@pytest.mark.parametrize(
    ("patches", "tool", "blockers", "verdict", "detail"),
    [
        (READY, {"value": "ready"}, [], "ok", "ready"),
        (READY, ERROR, [], "unknown", "exit 1"),
        (READY, {"value": "in_progress"}, [], "unknown", "klp status says in_progress, but no transition in sysfs"),
        (
            sysfs((FIRST, True, False), (THIRD, True, True)),
            {"value": "in_progress"},
            [BLOCKER, STRANGER],
            "blocked",
            f"{THIRD} is still in transition, held up by: {NAMED}",
        ),
        (sysfs((THIRD, True, True)), {"value": "ready"}, [], "blocked", "held up by: no task that klp could name"),
    ],
)
def test_transition(patches, tool, blockers, verdict, detail):
    judged(checks.transition(patches, tool, blockers), "transition", verdict, detail)


@pytest.mark.parametrize(
    ("patches", "tool", "verdict", "detail"),
    [
        (READY, TOLD, "ok", THIRD),
        (READY, ERROR, "unknown", "exit 1"),
        ([], TOLD, "failed", "wanted exactly one active live patch, found none"),
        (sysfs((FIRST, True, False), (THIRD, True, True)), TOLD, "failed", f"found {FIRST}, {THIRD}"),
        (READY, TOLD_FIRST, "unknown", f"sysfs says {THIRD} is active, klp says {FIRST}"),
        (READY, {"value": []}, "unknown", "klp says none"),
    ],
)
def test_active(patches, tool, verdict, detail):
    judged(checks.active(patches, tool), "active", verdict, detail)


@pytest.mark.parametrize(
    ("patches", "tool", "editions", "modules", "verdict", "detail"),
    [
        (READY, TOLD, ["3-150500.2.1"], [THIRD], "ok", f"{NAME}-3-150500.2.1"),
        (READY, ERROR, ["3-150500.2.1"], [THIRD], "ok", f"{NAME}-3-150500.2.1"),
        (READY, TOLD, [], [], "failed", f"wanted one edition of {NAME}, found none"),
        (READY, TOLD, ["1-1", "3-1"], [THIRD], "failed", "found 1-1, 3-1"),
        (READY, TOLD, ["3-150500.2.1"], [], "unknown", "has 0 live patch modules"),
        (READY, TOLD, ["3-150500.2.1"], [FIRST, THIRD], "unknown", "has 2 live patch modules"),
        (READY, TOLD, ["1-150500.9.3.1"], [FIRST], "failed", f"brings {FIRST}, active is {THIRD}"),
        ([], TOLD, ["1-150500.9.3.1"], [FIRST], "failed", "active is none"),
        (READY, TOLD_FIRST, ["3-150500.2.1"], [THIRD], "failed", f"klp says {NAME}-1-150500.9.3.1 is active, rpm says"),
    ],
)
def test_package(patches, tool, editions, modules, verdict, detail):
    judged(checks.package(patches, tool, NAME, editions, modules), "package", verdict, detail)


@pytest.mark.parametrize(
    ("editions", "verdict", "detail"),
    [
        ([f"{VERSION}.1"], "ok", RELEASE),
        ([VERSION], "ok", RELEASE),
        ([f"{VERSION}.1", "5.14.21-150500.55.12.1"], "ok", "kernel-default is installed 2 times"),
        (["5.14.21-150500.55.12.1"], "failed", f"no package of the running kernel {RELEASE} is installed"),
        ([f"{VERSION}1.1"], "failed", "no package of the running kernel"),
        ([], "failed", "no package of the running kernel"),
    ],
)
def test_kernel(editions, verdict, detail):
    judged(checks.kernel(RELEASE, editions, "default", VERSION), "kernel", verdict, detail)


@pytest.mark.parametrize(
    ("missing", "verdict", "detail"),
    [
        ([], "ok", "all kernel packages are locked"),
        (["kernel-default", "kernel-devel"], "failed", "not locked in every version: kernel-default, kernel-devel"),
    ],
)
def test_locks(missing, verdict, detail):
    judged(checks.locks(missing), "locks", verdict, detail)


@pytest.mark.parametrize(
    ("version", "verdict", "detail"),
    [
        (recorded("klp/uname.txt"), "ok", "(b2a976e/lp-cd28ef5)"),
        ("#1 SMP Tue Jul 4 08:11:52 UTC 2023 (b2a976e/lp)", "ok", "(b2a976e/lp)"),
        ("#1 SMP Tue Jul 4 08:11:52 UTC 2016 (b2a976e/kGraft-cd28ef5)", "ok", "kGraft"),
        ("#1 SMP Tue Jul 4 08:11:52 UTC 2023 (b2a976e)", "failed", "no live patch mark"),
        ("#1 SMP Tue Jul 4 08:11:52 UTC 2023 (b2a976e/other)", "failed", "no live patch mark"),
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.1.55-1 (2023-09-29)", "skipped", "no build hash"),
    ],
)
def test_uname(version, verdict, detail):
    judged(checks.uname(version), "uname", verdict, detail)


UNSIGNED_AND_PATCHED = "40960 (E: an unsigned module was loaded; K: a live patch was loaded)"


@pytest.mark.parametrize(
    ("text", "allowed", "verdict", "detail"),
    [
        ("32768\n", False, "ok", "32768 (K: a live patch was loaded)"),
        ("0", False, "ok", "0 (not tainted)"),
        (f"{32768 + 8192}\n", False, "failed", f"an unsigned module was loaded; all flags: {UNSIGNED_AND_PATCHED}"),
        ("40960", True, "ok", UNSIGNED_AND_PATCHED),
        (str((1 << 31) + 1), True, "ok", "2147483649 (P: a proprietary module was loaded; bit 31: not known here)"),
        (None, False, "unknown", "says None"),
        ("", False, "unknown", "says ''"),
        ("-1", False, "unknown", "says '-1'"),
        ("²", False, "unknown", "says '²'"),
    ],
)
def test_taint(text, allowed, verdict, detail):
    judged(checks.taint(text, allowed), "taint", verdict, detail)


LIST = recorded("lsinitrd/enabled.txt")
NAMES = klp_family.names()


@pytest.mark.parametrize(
    ("answer", "modules", "verdict", "detail"),
    [
        ({"value": LIST}, [FIRST], "ok", FIRST),
        ({"value": LIST.replace(".ko", ".ko.zst")}, [FIRST], "ok", FIRST),
        ({"value": LIST}, [FIRST, THIRD], "failed", f"not in the initrd: {THIRD}"),
        ({"value": LIST.replace("kernel-livepatch\n", "")}, [FIRST], "failed", "no dracut module kernel-livepatch"),
        ({"value": ""}, [FIRST], "failed", "no dracut module"),
        ({"skipped": "no lsinitrd"}, [FIRST], "skipped", "no lsinitrd"),
        ({"error": "lsinitrd: exit 1"}, [FIRST], "unknown", "exit 1"),
    ],
)
def test_initrd(answer, modules, verdict, detail):
    judged(checks.initrd(answer, modules, NAMES), "initrd", verdict, detail)


@pytest.mark.parametrize(
    ("packages", "verdict", "detail"),
    [
        ({}, "ok", "none was cut off"),
        ({"vim": "9-1", "curl": "8-1"}, "failed", "installation was cut off: curl 8-1, vim 9-1; run klp.patch again"),
    ],
)
def test_unfinished(packages, verdict, detail):
    judged(checks.unfinished(packages), "packages", verdict, detail)


HOLD = {"package": NAME, "edition": "2-1", "from": "3-1", "since": 1, "locks": []}


@pytest.mark.parametrize(
    ("edition", "above", "missing", "verdict", "detail"),
    [
        ("2-1", False, [], "ok", "held at 2-1 since it went back from 3-1; let newer ones come with klp.unhold"),
        (None, False, [], "ok", "held at 2-1"),
        ("3-1", True, ["a"], "failed", "but 3-1 is installed; run klp.rollback or klp.unhold"),
        ("2-1", False, ["a", "b"], "failed", "but not locked: a, b; run klp.hold or klp.unhold"),
    ],
)
def test_held(edition, above, missing, verdict, detail):
    judged(checks.held(edition, above, HOLD, missing), "held", verdict, detail)


def test_every_verdict_has_one_word_and_one_place():
    assert set(checks.VERDICTS) == {"ok", "blocked", "reboot_needed", "unsupported", "failed", "unknown"}
    assert len(checks.VERDICTS) == 6 and set(checks.ORDER) | {"ok", "unsupported"} == set(checks.VERDICTS)
    assert set(checks.GOOD) == {"ok", "reboot_needed"}


@pytest.mark.parametrize(
    ("needed", "verdict", "detail"), [(True, "reboot_needed", "/run/reboot-needed"), (False, "ok", "not needed")]
)
def test_reboot(needed, verdict, detail):
    judged(checks.reboot(needed), "reboot", verdict, detail)
    waiting = checks.reboot(needed, {"backup": "42", "since": 1})
    judged(waiting, "reboot", "reboot_needed", "backup 42 is being restored: restart the host")
    kernel = checks.reboot(needed, None, "kernel-default-6-1")
    said = detail if needed else "kernel-default-6-1 is installed and waits for a restart"
    judged(kernel, "reboot", "reboot_needed", said)


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([], "ok"),
        (["ok", "skipped"], "ok"),
        (["ok", "reboot_needed"], "reboot_needed"),
        (["reboot_needed", "unknown"], "unknown"),
        (["unknown", "failed", "ok"], "failed"),
        (["failed", "blocked", "unknown"], "blocked"),
    ],
)
def test_the_worst_verdict_counts(verdicts, worst):
    assert checks.verdict([checks.check("x", word, "") for word in verdicts]) == worst


def test_the_summary_tells_what_is_not_ok():
    found = [checks.check("a", "ok", "1"), checks.check("b", "skipped", "2"), checks.check("c", "failed", "3")]
    assert checks.summary(found) == ["c: failed: 3"]


@pytest.mark.parametrize(
    ("tainted", "log", "found"),
    [
        ("0\n", [], []),
        ("45056\n", ["livepatch: enabling patch", "BUGfix", "audit: WARNING"], []),
        ("16\n", [], ["taint M: the processor reported a machine check"]),
        ("32", [], ["taint B: a bad page was referenced"]),
        ("16896", [], ["taint W: the kernel issued a warning", "taint L: a soft lockup occurred"]),
        (None, [], ["/proc/sys/kernel/tainted says None"]),
        ("x", ["BUG: a"], ["/proc/sys/kernel/tainted says 'x'"]),
        ("0", ["BUG: unable to handle page fault"], ["kernel log: BUG: unable to handle page fault"]),
        ("0", [" rcu_sched detected stalls on CPUs "], ["kernel log: rcu_sched detected stalls on CPUs"]),
        ("0", ["Oops: 1"] * 5, ["kernel log: Oops: 1"] * 3 + ["kernel log: and 2 more"]),
    ],
)
def test_earlier_errors_of_the_kernel(tainted, log, found):
    assert checks.kernel_errors(tainted, log) == found


OOPS = "BUG: unable to handle page fault"


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ([], []),
        ([(1, "livepatch: enabling patch"), (2, "audit: WARNING"), (3, "BUGfix")], []),
        ([(7, f" {OOPS} "), (8, "x"), (9, "Oops: 1")], [(7, OOPS), (9, "Oops: 1")]),
        ([(4, "Oops: " + "x" * 500)], [(4, "Oops: " + "x" * 154)]),
        ([(number, "Oops: 1") for number in range(50)], [(number, "Oops: 1") for number in range(30, 50)]),
    ],
)
def test_trouble_is_told_with_its_numbers_the_newest_of_it(log, found):
    assert checks.trouble(log) == [{"number": number, "text": text} for number, text in found]


CURE = (
    "a scriptlet failed: {}; /var/log/zypp/history says how; let it run again with: zypper install --force {}, or, if "
    "nothing is to be done, acknowledge it with pillar klp:update:acknowledged: [{}]"
)


@pytest.mark.parametrize(
    ("packages", "accept", "acknowledged", "verdict", "detail"),
    [
        ({}, False, ["a=1-1"], "ok", "none failed"),
        ({"a": "1-1"}, False, [], "failed", CURE.format("a-1-1", "a=1-1", "a=1-1")),
        ({"b": "2-1", "a": "1-1"}, False, [], "failed", CURE.format("a-1-1, b-2-1", "a=1-1 b=2-1", "a=1-1, b=2-1")),
        ({"b": "2-1", "a": "1-1"}, False, ["a=1-1"], "failed", CURE.format("b-2-1", "b=2-1", "b=2-1")),
        ({"a": "1-1"}, False, ["a=1-1", "b=1-1"], "ok", "failed, and acknowledged by pillar: a-1-1"),
        ({"a": "1-1"}, True, [], "ok", "failed, and accepted by pillar klp:update:scriptlets: a-1-1"),
    ],
)
def test_scriptlets(packages, accept, acknowledged, verdict, detail):
    found = checks.scriptlets(packages, accept, acknowledged)
    assert found == checks.check("scriptlets", verdict, detail)


def test_what_is_accepted_is_told_although_it_is_ok():
    good = [checks.scriptlets({}), checks.check("held", "ok", "held at 1-1"), checks.check("uname", "ok", "x")]
    assert checks.told(good) == ["held at 1-1"]
    accepted = checks.scriptlets({"a": "1-1"}, accept=True)
    assert checks.told([accepted]) == [f"scriptlets: {accepted['detail']}"]
    assert checks.told([checks.scriptlets({"a": "1-1"}), checks.check("held", "failed", "x")]) == []
