"""``klp.verify``, ``klp.pending`` and ``klp.idle`` on hosts that are good, and on hosts that are not."""

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

from tests.unit.conftest import KERNEL, LP, UNAME_V
from tests.unit.loader import recorded

TOOLS, KERNEL_PACKAGE = "kernel-livepatch-tools", "5.14.21-150500.55.7.1"
FIRST, THIRD = "livepatch_1_150500_9_3_1", "livepatch_3_150500_2_1"
ONE, THREE = "1-150500.9.3.1", "3-150500.2.1"
CHECKS = ["transition", "active", "package", "kernel", "locks", "uname", "taint", "initrd", "reboot"]


def has(minion, live_patch=ONE, tools="1.4-1"):
    found = {"kernel-default": KERNEL_PACKAGE, LP: live_patch, TOOLS: tools}
    minion.rpm_q(["kernel-default", LP, TOOLS], {name: edition for name, edition in found.items() if edition})
    minion.changed()


@pytest.fixture
def host(minion):
    """A host that is live patched as declared."""
    has(minion)
    minion.locked(*minion.salt["klp.lock_list"]())
    minion.live_patch(FIRST)
    minion.programs.on(["klp", "-v", "patches"], recorded("klp/lab-patches.txt"))
    minion.programs.on(["klp", "status"], "ready\n")
    minion.programs.on(["rpm", "-ql", LP], recorded("rpm/files.txt"))
    minion.programs.on(["lsinitrd", f"/boot/initrd-{KERNEL}"], recorded("lsinitrd/enabled.txt"))
    return minion


def verdicts(found):
    return {item["check"]: item["verdict"] for item in found["checks"]}


def test_a_good_host_passes_every_check(host, programs):
    found = host.salt["klp.verify"]()
    assert (found["verdict"], found["kernel"], found["live_patch"], found["cves"]) == ("ok", KERNEL, ONE, [])
    assert verdicts(found) == dict.fromkeys(CHECKS, "ok")
    assert not any(argv[0] == "zypper" for argv in programs.calls)
    assert programs.options[programs.calls.index(["lsinitrd", f"/boot/initrd-{KERNEL}"])]["timeout"] == 300


def test_cves_of_the_active_live_patch_are_told(host, programs):
    has(host, THREE)
    (host.root / "sysfs" / FIRST).rename(host.root / "sysfs" / THIRD)
    programs.on(["klp", "-v", "patches"], recorded("klp/lab-patches-converged.txt"))
    programs.on(["rpm", "-ql", LP], recorded("rpm/files.txt").replace("1-150500_9_3_1", "3-150500_2_1"))
    found = host.salt["klp.verify"]()
    assert found["cves"] == ["CVE-2023-1077", "CVE-2023-1281", "CVE-2023-2002", "CVE-2023-3090"]
    assert verdicts(found) == dict(dict.fromkeys(CHECKS, "ok"), initrd="failed")


def moving(host):
    host.live_patch(THIRD, transition=1)
    host.programs.on(["klp", "status"], "in_progress")
    host.programs.on(["klp", "-v", "blocking"], recorded("klp/blocking-none.txt"))


BROKEN = [
    (moving, "blocked", {"transition": "blocked", "active": "failed", "package": "failed"}),
    (lambda host: host.programs.on(["klp", "status"], "what"), "unknown", {"transition": "unknown"}),
    (lambda host: host.programs.on(["klp", "-v", "patches"], {"retcode": 1}), "unknown", {"active": "unknown"}),
    (
        lambda host: has(host, None),
        "failed",
        {"package": "failed"},
    ),
    (lambda host: host.locked("kernel-default"), "failed", {"locks": "failed"}),
    (lambda host: host.write("tainted", "40960\n"), "failed", {"taint": "failed"}),
    (lambda host: host.programs.on(["lsinitrd", ...], {"retcode": 1}), "unknown", {"initrd": "unknown"}),
    (lambda host: host.programs.on(["lsinitrd", ...], ""), "failed", {"initrd": "failed"}),
    (lambda host: host.write("reboot-needed", ""), "reboot_needed", {"reboot": "reboot_needed"}),
]


@pytest.mark.parametrize(("breaks", "verdict", "checks"), BROKEN)
def test_what_is_wrong_is_found_by_its_check(host, breaks, verdict, checks):
    breaks(host)
    found = host.salt["klp.verify"]()
    assert found["verdict"] == verdict
    assert {name: word for name, word in verdicts(found).items() if word != "ok"} == checks


@pytest.mark.parametrize(("version", "word"), [("(b2a976e)", "failed"), ("Debian 6.1", "skipped")])
def test_the_mark_of_uname_is_checked(host, uname, version, word):
    uname(version=UNAME_V.replace("(b2a976e/lp)", version))
    assert verdicts(host.salt["klp.verify"]())["uname"] == word


def test_checks_that_a_host_cannot_answer_are_skipped(host, paths):
    paths.discard("lsinitrd")
    assert verdicts(host.salt["klp.verify"]())["initrd"] == "skipped"
    host.pillar["klp"] = {"verify": {"initrd": False, "unsigned_modules": True}}
    host.write("tainted", "40960\n")
    found = host.salt["klp.verify"]()
    assert found["verdict"] == "ok" and verdicts(found)["initrd"] == "skipped"


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        ({"release": "5.14.21-150500.33.3-azure"}, "flavour azure"),
        ({"machine": "aarch64"}, "on aarch64"),
        ({"release": "6.1.0"}, "'6.1.0' is not of the form"),
    ],
)
def test_a_kernel_without_live_patches_is_unsupported(host, uname, programs, kernel, said):
    uname(**kernel)
    found = host.salt["klp.verify"]()
    assert found["verdict"] == "unsupported" and said in found["checks"][0]["detail"]
    assert programs.calls == []


PLAN: dict = {"packages": {}, "skipped": [], "advisories": [], "stack": [], "live_patches": []}


@pytest.fixture
def planned(host):
    """The same host; what else is pending is in the list that comes back."""
    plan = dict(PLAN)
    host.salt["zypper.pending"] = lambda update=None: plan
    host.salt["zypper.preview"] = lambda names: {"upgrade": [], "install": []}
    return plan


@pytest.mark.parametrize("sls", ["klp", "klp.patch"])
def test_a_converged_host_is_idle(host, planned, sls):
    assert host.salt["klp.idle"](sls) is True and host.salt["klp.pending"](sls) == {}


def test_missing_tools_are_pending_in_the_steady_state_only(host, planned):
    has(host, tools=None)
    assert host.salt["klp.pending"]("klp") == {TOOLS: {"old": None, "new": "newest"}}
    assert host.salt["klp.idle"]("klp") is False
    assert host.salt["klp.idle"]("klp.patch") is True


def test_updates_are_pending_in_a_run_only(host, planned):
    planned["packages"] = {"curl": {"old": "1-1", "new": "2-1"}}
    assert host.salt["klp.pending"]("klp.patch") == planned["packages"]
    assert host.salt["klp.idle"]("klp") is True


def test_missing_locks_are_pending_in_a_run(host, planned):
    names = host.salt["klp.lock_list"]()
    host.locked(*names[1:])
    assert host.salt["klp.pending"]("klp.patch") == {names[0]: {"old": "not locked", "new": "locked"}}


def test_a_newer_live_patch_is_pending_in_a_run_only(host, planned):
    newer = {"upgrade": [{"name": LP, "edition": THREE}], "install": []}
    host.salt["zypper.preview"] = lambda names: newer
    assert host.salt["klp.pending"]("klp.patch") == {LP: {"old": ONE, "new": THREE}}
    assert host.salt["klp.idle"]("klp") is True


@pytest.mark.parametrize("sls", ["klp", "klp.patch"])
def test_a_live_patch_that_is_not_loaded_is_pending(host, planned, sls):
    host.live_patch(FIRST, enabled=0)
    assert host.salt["klp.pending"](sls) == {LP: {"old": None, "new": ONE}}


@pytest.mark.parametrize("sls", ["klp", "klp.patch"])
def test_an_unfinished_installation_is_pending(host, planned, sls):
    host.utils["klp_record.write"]("unfinished", {"edition": ONE})
    assert host.salt["klp.pending"](sls) == {LP: {"old": None, "new": ONE}}


def test_only_the_sls_of_this_formula_are_known(host):
    for name in ("klp.pending", "klp.idle"):
        with pytest.raises(SaltInvocationError, match="sls: wanted klp or klp.patch, found 'other'"):
            host.salt[name]("other")


def test_a_verification_that_cannot_be_done_is_an_error(host):
    host._bind("klp_sys.live_patches", root=str(host.root / "none"))
    with pytest.raises(CommandExecutionError, match="no live patching"):
        host.salt["klp.verify"]()


def test_sources_that_speak_of_two_moments_are_asked_again(host, programs):
    """Measured: somebody else's rpm loaded a live patch between the reading of sysfs and the answer of the tool."""
    has(host, THREE)

    def load(*_):
        if (host.root / "sysfs" / FIRST).exists():
            (host.root / "sysfs" / FIRST).rename(host.root / "sysfs" / THIRD)

    programs.on(["klp", "-v", "patches"], recorded("klp/lab-patches-converged.txt"), then=load)
    found = host.salt["klp.sources"]()
    assert [patch["name"] for patch in found["sysfs"]] == [THIRD]
    assert [patch["name"] for patch in found["patches"]["value"] if patch["active"]] == [THIRD]
    assert programs.calls.count(["klp", "-v", "patches"]) == 2


def test_a_kernel_that_never_rests_is_looked_at_three_times(host, programs):
    names = iter("abcdefg")

    def move(*_):
        there = next((host.root / "sysfs").iterdir())
        there.rename(there.with_name(next(names)))

    programs.on(["klp", "status"], "ready\n", then=move)
    host.salt["klp.sources"]()
    assert programs.calls.count(["klp", "status"]) == 3
