"""``klp.verify`` on hosts that are good, and on hosts that are not."""

import shutil

import pytest
import salt.utils.systemd
from salt.exceptions import CommandExecutionError

import klp_initrd
import klp_paths
import klp_preflight
import klp_verify
from tests.unit.conftest import KERNEL, LP, UNAME_V
from tests.unit.hosts import (
    FIRST,
    ONE,
    THIRD,
    THREE,
    TOOLS,
    TWO,
    advisory,
    becomes,
    has,
    lock_file,
    lock_records,
    remembers,
    tool,
    updateinfo,
)
from tests.unit.loader import recorded

CHECKS = ["transition", "active", "package", "retracted", "kernel", "locks", "uname", "taint", "initrd", "packages"]
CHECKS += ["scriptlets", "reboot"]


def initrd():
    return f"{klp_paths.BOOT}/initrd-{KERNEL}"


@pytest.fixture
def host(minion):
    """A host that is live patched as declared."""
    has(minion, ONE)
    updateinfo(minion, "a", advisory("A-1", f"{LP}={ONE}"))
    minion.locked(*klp_preflight.lock_list(minion.host))
    minion.live_patch(FIRST)
    tool(minion)
    minion.programs.on(["rpm", "-ql", LP], recorded("rpm/files.txt"))
    minion.programs.on(["lsinitrd", initrd()], recorded("lsinitrd/enabled.txt"))
    return minion


def verdicts(found):
    return {item["check"]: item["verdict"] for item in found["checks"]}


def test_a_good_host_passes_every_check(host, programs):
    found = host.salt["klp.verify"]()
    assert (found["verdict"], found["kernel"], found["live_patch"], found["cves"]) == ("ok", KERNEL, ONE, [])
    assert verdicts(found) == dict.fromkeys(CHECKS, "ok")
    assert not any(argv[0] == "zypper" for argv in programs.calls)
    assert "retcode" not in host.context
    assert programs.options[programs.calls.index(["lsinitrd", initrd()])]["timeout"] == 300


def test_cves_of_the_active_live_patch_are_told(host, programs):
    has(host, THREE)
    becomes(THIRD)
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
        {"package": "failed", "retracted": "skipped"},
    ),
    (lambda host: remembers(host, "begun", {TOOLS: "1.4-1"}), "failed", {"packages": "failed"}),
    (lambda host: host.locked("kernel-default"), "failed", {"locks": "failed"}),
    (lambda host: host.file(klp_paths.TAINTED, "40960\n"), "failed", {"taint": "failed"}),
    (lambda host: host.programs.on(["lsinitrd", ...], {"retcode": 1}), "unknown", {"initrd": "unknown"}),
    (lambda host: host.programs.on(["lsinitrd", ...], ""), "failed", {"initrd": "failed"}),
    (lambda host: host.file(klp_paths.REBOOT_FLAG, ""), "reboot_needed", {"reboot": "reboot_needed"}),
]


@pytest.mark.parametrize(("breaks", "verdict", "checks"), BROKEN)
def test_what_is_wrong_is_found_by_its_check(host, breaks, verdict, checks):
    breaks(host)
    found = host.salt["klp.verify"]()
    assert found["verdict"] == verdict
    assert {name: word for name, word in verdicts(found).items() if word != "ok"} == checks
    assert host.context["retcode"] == 1


def test_what_the_pillar_declares_of_the_application_is_a_check_of_its_own(host, monkeypatch):
    host.pillar["klp"] = {"health": {"services": ["nginx"]}}
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda *args: True)
    host.salt["service.status"] = lambda name: False
    found = host.salt["klp.verify"]()
    assert (found["verdict"], verdicts(found)) == ("failed", dict(dict.fromkeys(CHECKS, "ok"), health="failed"))
    assert found["checks"][-1]["detail"] == "service nginx does not run"


@pytest.mark.parametrize(("version", "word"), [("(b2a976e)", "failed"), ("Debian 6.1", "skipped")])
def test_the_mark_of_uname_is_checked(host, uname, version, word):
    uname(version=UNAME_V.replace("(b2a976e/lp)", version))
    assert verdicts(host.salt["klp.verify"]())["uname"] == word


def test_checks_that_a_host_cannot_answer_are_skipped(host, paths):
    paths.discard("lsinitrd")
    assert verdicts(host.salt["klp.verify"]())["initrd"] == "skipped"
    host.pillar["klp"] = {"verify": {"initrd": False, "unsigned_modules": True}}
    host.file(klp_paths.TAINTED, "40960\n")
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
    assert programs.calls == [] and host.context["retcode"] == 1


def test_a_verification_that_cannot_be_done_is_an_error(host):
    shutil.rmtree(klp_paths.LIVEPATCH)
    with pytest.raises(CommandExecutionError, match="nothing is known of live patches"):
        host.salt["klp.verify"]()


def test_a_restoration_that_waits_asks_for_a_restart(host):
    fields = {"run": None, "backend": None, "packages": None}
    remembers(host, "restore", dict(fields, backup="42", since=1, boot="b1", stage="begun"))
    found = host.salt["klp.verify"]()
    assert (found["verdict"], verdicts(found)["reboot"]) == ("reboot_needed", "reboot_needed")


@pytest.mark.parametrize(
    ("kernel", "edition", "locked", "word"),
    [
        (LP, ONE, True, "ok"),
        (LP, ONE, False, "failed"),
        (LP, THREE, True, "failed"),
        (LP.replace("55_7", "55_12"), THREE, False, None),
    ],
)
def test_a_hold_of_the_running_kernel_is_checked(host, kernel, edition, locked, word):
    has(host, edition)
    remembers(host, "hold", {"package": kernel, "edition": TWO, "from": THREE, "since": 1, "locks": []})
    host.file(klp_paths.LOCKS, lock_file() + (lock_records(f"{LP}>{TWO}") if locked else ""))
    assert verdicts(host.salt["klp.verify"]()).get("held") == word


def test_the_initrd_is_listed_again_only_when_it_has_changed(host, programs):
    host.file(initrd(), "1")
    for _ in range(2):
        klp_verify.verify(host.host)
    assert programs.calls.count(["lsinitrd", initrd()]) == 1
    host.file(initrd(), "22")
    klp_verify.verify(host.host)
    assert programs.calls.count(["lsinitrd", initrd()]) == 2


def test_an_initrd_is_found_by_the_name_of_any_kernel():
    assert klp_initrd.path("6.1.0") == f"{klp_paths.BOOT}/initrd-6.1.0"


def test_every_check_has_a_name_in_the_answer_once(host):
    names = [item["check"] for item in host.salt["klp.verify"]()["checks"]]
    assert sorted(names) == sorted(CHECKS)


def test_a_live_patch_that_was_withdrawn_makes_the_host_fail(host, programs):
    updateinfo(host, "a", advisory("R-1", f"{LP}={ONE}", status="retracted"))
    found = host.salt["klp.verify"]()
    assert (found["verdict"], verdicts(found)["retracted"]) == ("failed", "failed")
    assert not any(argv[0] == "zypper" for argv in programs.calls)


def test_whether_it_was_withdrawn_is_unknown_where_zypper_fails(host, programs):
    updateinfo(host, "a", end=".xml.zst")
    programs.on(["zypper", ...], {"retcode": 106})
    found = host.salt["klp.verify"]()
    assert (found["verdict"], verdicts(found)["retracted"]) == ("unknown", "unknown")


FAILED = {"nfs-client": {"edition": "2.1.1-1", "time": 1, "log": 0}}


@pytest.mark.parametrize(
    ("update", "verdict", "detail"),
    [
        ({}, "failed", "a scriptlet failed: nfs-client-2.1.1-1; "),
        ({"scriptlets": "accept"}, "ok", "failed, and accepted by pillar klp:update:scriptlets: nfs-client-2.1.1-1"),
        ({"acknowledged": ["nfs-client=2.1.1-1"]}, "ok", "failed, and acknowledged by pillar: nfs-client-2.1.1-1"),
        ({"acknowledged": ["nfs-client=2.1.1-2"]}, "failed", "a scriptlet failed: nfs-client-2.1.1-1; "),
    ],
)
def test_a_failed_scriptlet_makes_the_host_fail_unless_pillar_says_otherwise(host, update, verdict, detail):
    has(host, ONE, **{"nfs-client": "2.1.1-1"})
    remembers(host, "scriptlets", FAILED)
    host.pillar["klp"] = {"update": update}
    found = host.salt["klp.verify"]()
    (check,) = [item for item in found["checks"] if item["check"] == "scriptlets"]
    assert (check["verdict"], check["detail"][: len(detail)]) == (verdict, detail) and found["verdict"] == verdict
