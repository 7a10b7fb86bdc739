"""The verdict of ``klp.verify``: each check with what makes it fail, and what the state makes of it."""

import pytest

from tests.functional.conftest import FIRST, KERNEL, LOCKS, LP, SECOND, THIRD, apply, snapshot
from tests.functional.refusal import named

MODULE_1, MODULE_2, MODULE_3 = "livepatch_1_150500_9_3_1", "livepatch_2_150500_2_1", "livepatch_3_150500_2_1"
CHECKS = ["transition", "active", "package", "retracted", "kernel", "uname", "taint", "initrd", "locks", "packages"]
CHECKS += ["scriptlets", "reboot"]
CVES = ["CVE-2023-1077", "CVE-2023-1281", "CVE-2023-2002", "CVE-2023-3090"]
INITRD = f"/boot/initrd-{KERNEL}"


def verify(host, env=None):
    """Return the answer of klp.verify, its checks by name; it has changed nothing, and its exit code is the verdict."""
    host.salt.sync()
    before = snapshot(host)
    answer = host.salt_call("klp.verify", env=env)
    assert snapshot(host) == before
    found = answer.data
    assert answer.rc == (0 if found["verdict"] == "ok" else 1), answer.stderr
    found["checks"] = {item["check"]: (item["verdict"], item["detail"]) for item in found["checks"]}
    return found


def wrong(found):
    """Return the checks that are not ok."""
    return {name: value for name, value in found["checks"].items() if value[0] != "ok"}


def verified(host):
    """Return result and comment of the state klp.verified."""
    answer = host.salt_call("state.single", "klp.verified", "klp-verified")
    state = answer.states["klp-verified"]
    assert state["changes"] == {}
    return state["result"], state["comment"]


def test_ok(sles):
    one = sles("converged")
    assert verify(one) == {
        "verdict": "ok",
        "kernel": KERNEL,
        "live_patch": THIRD,
        "cves": CVES,
        "checks": {
            "transition": ("ok", "ready"),
            "active": ("ok", MODULE_3),
            "package": ("ok", f"{LP}-{THIRD}"),
            "retracted": ("ok", f"{THIRD} was not withdrawn"),
            "kernel": ("ok", KERNEL),
            "locks": ("ok", "all kernel packages are locked"),
            "packages": ("ok", "none was cut off"),
            "scriptlets": ("ok", "none failed"),
            "uname": ("ok", "(b2a976e/lp)"),
            "taint": ("ok", "32768 (K: a live patch was loaded)"),
            "initrd": ("ok", MODULE_3),
            "reboot": ("ok", "not needed"),
        },
    }
    assert list(verify(one)["checks"]) == CHECKS
    result, comment = verified(one)
    assert (result, comment) == (True, f"ok: {KERNEL} with live patch {THIRD}")
    assert one.count("zypper") == 0


def test_initial_live_patch_fixes_nothing(sles):
    one = sles("enabled")
    found = verify(one)
    assert (found["live_patch"], found["cves"]) == (FIRST, [])
    assert wrong(found) == {"locks": ("failed", f"not locked in every version: {', '.join(LOCKS)}")}


def test_blocked(sles):
    one = sles("converged")
    blocker = one.popen(["/usr/sbin/blkmapd"])
    one.load(MODULE_3, transition=1)
    one.faults(blockers=[blocker.pid])
    detail = f"{MODULE_3} is still in transition, held up by: {named(blocker)}"
    found = verify(one)
    assert found["verdict"] == "blocked"
    assert wrong(found) == {"transition": ("blocked", detail)}
    assert verified(one) == (False, f"blocked: {KERNEL} with live patch {THIRD}\ntransition: blocked: {detail}")


@pytest.mark.parametrize(
    "fault, check, detail",
    [
        ({"klp_status": {"stdout": "huh\n"}}, "transition", "klp status: unknown answer 'huh'"),
        ({"klp_status": {"rc": 2, "stderr": "no\n"}}, "transition", "klp status: exit 2: no"),
        (
            {"klp_status": {"stdout": "in_progress\n"}},
            "transition",
            "klp status says in_progress, but no transition in sysfs",
        ),
        ({"klp_patches": {"stdout": "a b c\n"}}, "active", "klp -v patches: unknown line 'a b c'"),
        ({"klp_patches": {"stdout": ""}}, "active", f"sysfs says {MODULE_3} is active, klp says none"),
        (
            {"klp_patches": {"stdout": f"{MODULE_1}\n    active: 1\n    RPM: {LP}-{THIRD}.x86_64\n"}},
            "active",
            f"sysfs says {MODULE_3} is active, klp says {MODULE_1}",
        ),
    ],
)
def test_unknown(sles, fault, check, detail):
    one = sles("converged")
    one.faults(**fault)
    found = verify(one)
    assert found["verdict"] == "unknown"
    assert wrong(found) == {check: ("unknown", detail)}
    assert verified(one) == (False, f"unknown: {KERNEL} with live patch {THIRD}\n{check}: unknown: {detail}")


def test_missing_klp_tool_is_unknown(sles):
    one = sles("converged")
    one.path("/usr/sbin/klp").unlink()
    found = verify(one)
    assert found["verdict"] == "unknown"
    assert wrong(found) == {
        "transition": ("unknown", "klp: command not found"),
        "active": ("unknown", "klp: command not found"),
    }


def test_failed_no_live_patch_is_active(sles):
    one = sles("converged")
    one.unload(MODULE_3)
    found = verify(one)
    assert found["verdict"] == "failed"
    assert wrong(found) == {
        "active": ("failed", "wanted exactly one active live patch, found none"),
        "package": ("failed", f"{LP}-{THIRD} brings {MODULE_3}, active is none"),
        "uname": (
            "failed",
            "uname -v has no live patch mark: #1 SMP PREEMPT_DYNAMIC Tue Jul 4 08:11:52 UTC 2023 (b2a976e)",
        ),
    }
    assert verified(one)[0] is False


def test_failed_two_live_patches_are_active(sles):
    one = sles("converged")
    one.load(MODULE_2)
    found = verify(one)
    assert found["verdict"] == "failed"
    assert found["checks"]["active"] == (
        "failed",
        f"wanted exactly one active live patch, found {MODULE_2}, {MODULE_3}",
    )


def test_failed_another_live_patch_is_active(sles):
    one = sles("converged")
    one.load(MODULE_2)
    one.unload(MODULE_3)
    found = verify(one)
    assert found["verdict"] == "failed"
    assert wrong(found) == {"package": ("failed", f"{LP}-{THIRD} brings {MODULE_3}, active is {MODULE_2}")}


def test_failed_klp_names_another_package(sles):
    one = sles("converged")
    one.faults(klp_patches={"stdout": f"{MODULE_3}\n    active: 1\n    RPM: {LP}-{SECOND}.x86_64\n"})
    found = verify(one)
    assert found["verdict"] == "failed"
    assert wrong(found) == {
        "package": ("failed", f"klp says {LP}-{SECOND} is active, rpm says {LP}-{THIRD}"),
    }


def test_failed_package_is_gone(sles):
    one = sles("converged")
    assert one.run(["rpm", "-e", "--nodeps", "--noscripts", LP]).returncode == 0
    found = verify(one)
    assert (found["verdict"], found["live_patch"]) == ("failed", None)
    assert found["checks"]["package"] == ("failed", f"wanted one edition of {LP}, found none")


def test_failed_lock_is_lost(sles):
    one = sles("converged")
    assert one.zypper("rl", "kernel-default", "kernel-macros").returncode == 0
    found = verify(one)
    assert found["verdict"] == "failed"
    assert wrong(found) == {"locks": ("failed", "not locked in every version: kernel-default, kernel-macros")}


def test_failed_lock_for_one_version_does_not_count(sles):
    one = sles("converged")
    text = one.locks().replace("solvable_name: kernel-default\n", "solvable_name: kernel-default\nversion: == 1\n")
    one.write("/etc/zypp/locks", text)
    assert wrong(verify(one)) == {"locks": ("failed", "not locked in every version: kernel-default")}


def test_failed_initrd_without_the_live_patch(sles):
    one = sles("converged")
    text = one.read(INITRD)
    one.write(INITRD, text.replace("livepatch-3-", "livepatch-2-"))
    found = verify(one)
    assert found["verdict"] == "failed"
    assert wrong(found) == {"initrd": ("failed", f"not in the initrd: {MODULE_3}")}
    one.write(INITRD, "bash\nsystemd\n")
    assert wrong(verify(one)) == {"initrd": ("failed", "the initrd has no dracut module kernel-livepatch")}
    one.path(INITRD).unlink()
    found = verify(one)
    assert found["verdict"] == "unknown"
    assert found["checks"]["initrd"][1].startswith(f"lsinitrd {INITRD}: exit 1: ")


def test_initrd_is_looked_at_only_where_it_can_and_shall_be(sles):
    one = sles("converged", verify={"initrd": False})
    one.write(INITRD, "bash\n")
    found = verify(one)
    assert (found["verdict"], wrong(found)) == ("ok", {"initrd": ("skipped", "pillar klp:verify:initrd is false")})
    one.salt.pillar({"klp": {}})
    one.path("/usr/bin/lsinitrd").unlink()
    found = verify(one)
    assert (found["verdict"], wrong(found)) == ("ok", {"initrd": ("skipped", "this host has no lsinitrd")})


def test_uname_without_a_build_hash_cannot_answer(sles):
    one = sles("converged")
    found = verify(one, env={"FAKE_UNAME_V": "#1 SMP Tue Jul 4 2023"})
    assert found["verdict"] == "ok"
    assert wrong(found) == {"uname": ("skipped", "uname -v has no build hash: #1 SMP Tue Jul 4 2023")}


def test_taint_by_unsigned_modules(sles):
    one = sles("converged")
    one.write("/proc/sys/kernel/tainted", "40960\n")
    flags = "40960 (E: an unsigned module was loaded; K: a live patch was loaded)"
    found = verify(one)
    assert (found["verdict"], wrong(found)) == (
        "failed",
        {"taint": ("failed", f"an unsigned module was loaded; all flags: {flags}")},
    )
    one.salt.pillar({"klp": {"verify": {"unsigned_modules": True}}})
    assert verify(one)["verdict"] == "ok"


def test_reboot_needed_is_said_and_is_no_failure(sles):
    one = sles("converged")
    one.write("/run/reboot-needed", "")
    detail = "an installed update asks for a reboot (/run/reboot-needed)"
    found = verify(one)
    assert (found["verdict"], wrong(found)) == ("reboot_needed", {"reboot": ("reboot_needed", detail)})
    result, comment = verified(one)
    assert (result, comment) == (
        True,
        f"reboot_needed: {KERNEL} with live patch {THIRD}\nreboot: reboot_needed: {detail}",
    )
    assert apply(one, "klp.patch").failed == {}


def test_worst_verdict_wins(sles):
    one = sles("converged")
    one.write("/run/reboot-needed", "")
    one.faults(klp_status={"stdout": "huh\n"})
    assert verify(one)["verdict"] == "unknown"
    one.zypper("rl", "kernel-default")
    assert verify(one)["verdict"] == "failed"


@pytest.mark.parametrize(
    "kernel, reason",
    [
        (
            "5.14.21-150500.33.6-azure",
            "kernel 5.14.21-150500.33.6-azure: there are no live patches for the flavour azure, only for default, rt",
        ),
        ("6.1.0", "kernel release '6.1.0' is not of the form VERSION-RELEASE-FLAVOUR"),
    ],
)
def test_unsupported(sles, kernel, reason):
    one = sles("enabled", kernel=kernel)
    assert verify(one) == {
        "verdict": "unsupported",
        "kernel": kernel,
        "live_patch": None,
        "cves": [],
        "checks": {"kernel": ("unsupported", reason)},
    }
    result, comment = verified(one)
    assert result is False
    assert comment.startswith("unsupported: ")
    assert reason in comment
