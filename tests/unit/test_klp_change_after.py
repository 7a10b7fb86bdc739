"""After the restart of a change of kernel, the restart itself, and the way back."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_change
import klp_change_plan
import klp_paths
import klp_summary
import klp_uptodate
import klp_verify
import zypp_running
from tests.unit.changing import COMING, EDITION, LEVEL, NEW_LP
from tests.unit.conftest import KERNEL
from tests.unit.hosts import ONE, record, remembers
from tests.unit.kernels import NEW, OLD_ENTRY, TITLE
from tests.unit.states import apply, functions  # noqa: F401 - a fixture


@pytest.fixture
def host(changing):
    return changing


# -- after the restart -------------------------------------------------------------------------------------------------


def test_a_healthy_kernel_becomes_the_default(waiting, uname):
    waiting.reboots(uname, NEW)
    waiting.healthy()
    would = waiting.run("verify", test=True)
    assert (would["result"], would["comment"]) == (None, f"Would make kernel {NEW} the default: it is healthy")
    found = waiting.run("verify")
    said = f"kernel {NEW} with its live patch was verified and is the default; before it was {KERNEL}"
    assert (found["result"], found["comment"]) == (True, said)
    assert found["changes"]["stage"] == {"old": "installed", "new": "verified"}
    assert waiting.grub.variables == {"saved_entry": TITLE}
    waiting.target = dict(COMING, release=NEW)
    assert waiting.run("verify")["comment"] == said


def test_an_ill_kernel_is_not_kept(waiting, uname):
    waiting.reboots(uname, NEW)
    waiting.healthy("no answer")
    assert waiting.run("verify", test=True)["result"] is False
    found = waiting.run("verify")
    assert (found["result"], record("kernel")["stage"]) == (False, "failed")
    assert found["comment"].splitlines()[:2] == [
        "x: failed: no answer",
        f"The next start is kernel {KERNEL} again: restart this host to go back",
    ]
    assert waiting.run("verify")["comment"] == found["comment"]
    waiting.pillar(kernel={"retry": True})
    waiting.healthy()
    assert waiting.run("verify")["result"] is True  # with the new kernel there is nothing to try again but the look


def test_an_ill_kernel_without_a_fallback(waiting, uname):
    klp_change.remember(dict(record("kernel"), fallback=False), "failed", ["ill"])
    waiting.reboots(uname, NEW)
    assert "To go back: salt sles1 state.apply klp.kernel_back" in waiting.run("verify")["comment"]


def undecided(waiting, why):
    """What is not known is no success, and no failure: stage and next start stay."""
    before = (record("kernel"), dict(waiting.grub.variables))
    found = waiting.run("verify")
    assert (found["result"], found["comment"].splitlines()) == (
        False,
        [
            why,
            "nothing is decided yet: ask again with: salt sles1 state.apply klp.kernel",
            f"The next start is kernel {KERNEL} again: restart this host to go back",
        ],
    )
    assert (record("kernel"), waiting.grub.variables) == before


def test_a_look_that_is_not_possible_is_no_good_one(waiting, uname, monkeypatch):
    def verify(host, wait=0):
        raise CommandExecutionError("rpm: broken")

    waiting.reboots(uname, NEW)
    monkeypatch.setattr(klp_verify, "verify", verify)
    undecided(waiting, "unknown: rpm: broken")


def test_services_that_systemd_does_not_tell_decide_nothing(waiting, uname, monkeypatch):
    def stopped(host, names):
        raise CommandExecutionError("systemctl: no answer within 60 seconds")

    remembers(waiting.minion, "kernel", dict(record("kernel"), services=["a.service"]))
    waiting.reboots(uname, NEW)
    waiting.healthy()
    with monkeypatch.context() as patch:
        patch.setattr(klp_change_plan, "stopped", stopped)
        undecided(waiting, "unknown: which services run now: systemctl: no answer within 60 seconds")
        waiting.healthy("no answer")
        found = waiting.run("verify")  # what is ill decides, whatever else is not known
        assert (
            found["comment"].startswith("x: failed: no answer\nunknown: which")
            and record("kernel")["stage"] == "failed"
        )


def test_what_was_not_known_is_asked_again_by_the_same_command(waiting, uname, monkeypatch):
    waiting.reboots(uname, NEW)
    checks = [{"check": "live patch", "verdict": "unknown", "detail": "klp: no answer"}]
    with monkeypatch.context() as patch:
        patch.setattr(klp_verify, "verify", lambda host, wait=0: {"verdict": "unknown", "checks": checks})
        undecided(waiting, "live patch: unknown: klp: no answer")
    waiting.healthy()
    assert waiting.run("verify")["result"] is True and record("kernel")["stage"] == "verified"


def test_a_service_that_ran_before(waiting, uname, monkeypatch):
    remembers(waiting.minion, "kernel", dict(record("kernel"), services=["a.service", "b.service"]))
    monkeypatch.setattr(klp_change_plan, "stopped", lambda host, names: ["a.service"])
    waiting.reboots(uname, NEW)
    waiting.healthy()
    assert waiting.run("verify")["comment"].startswith("service a.service ran before the change and does not run now\n")


@pytest.mark.parametrize(
    "release, once, fallback, why",
    [
        (
            KERNEL,
            False,
            True,
            f"kernel {NEW} was started once and did not come up: this host came up with {KERNEL} again",
        ),
        (
            KERNEL,
            True,
            True,
            f"kernel {NEW} was never started: GRUB still had it as the next one, and this host came up ",
        ),
        (KERNEL, False, False, f"this host came up with kernel {KERNEL}, wanted {NEW}"),
        ("5.14.21-1-default", False, True, f"this host came up with kernel 5.14.21-1-default, wanted {NEW}"),
    ],
)
def test_another_kernel_came_up(waiting, uname, release, once, fallback, why):
    remembers(waiting.minion, "kernel", dict(record("kernel"), fallback=fallback))
    if not once:
        waiting.grub.change(["next_entry"])
    waiting.reboots(uname, release)
    assert waiting.run("verify", test=True)["comment"].startswith(why)
    assert record("kernel")["stage"] == "installed"
    found = waiting.run("verify")
    assert (found["result"], found["comment"].startswith(why)) == (False, True)
    assert record("kernel")["stage"] == "failed" and "next_entry" not in waiting.grub.variables


def test_what_was_unfinished_before_says_nothing_of_the_kernel(waiting, uname, monkeypatch):
    checks = [{"check": name, "verdict": "failed", "detail": "x"} for name in ("packages", "scriptlets")]
    monkeypatch.setattr(klp_verify, "verify", lambda host, wait=0: {"verdict": "failed", "checks": checks})
    waiting.reboots(uname, NEW)
    assert waiting.run("verify")["result"] is True


def test_services_have_time_to_come(waiting, uname, monkeypatch):
    remembers(waiting.minion, "kernel", dict(record("kernel"), services=["a.service"]))
    seen = iter([["a.service"], ["a.service"], []])
    monkeypatch.setattr(klp_change_plan, "stopped", lambda host, names: next(seen))
    waiting.pillar(health={"wait": 30})
    waiting.reboots(uname, NEW)
    waiting.healthy()
    assert waiting.run("verify")["result"] is True
    assert waiting.minion.clock.slept == [5, 5]


def test_a_run_that_was_cut_off_with_grub_set_is_verified_after_the_restart(waiting, uname):
    klp_change.remember(record("kernel"), "installing")
    assert klp_change_plan.step(waiting.minion.host) == "install"
    waiting.reboots(uname, NEW)
    waiting.healthy()
    assert waiting.run("verify")["result"] is True and record("kernel")["stage"] == "verified"


def test_a_start_that_somebody_has_taken_out_is_set_again(waiting):
    waiting.grub.change(["next_entry"])
    assert waiting.run("verify", test=True)["comment"] == f"Would let GRUB start {NEW} once again"
    assert "next_entry" not in waiting.grub.variables
    found = waiting.run("verify")
    assert (found["result"], found["changes"]) == (True, {"next start": {"old": KERNEL, "new": NEW}})
    assert waiting.grub.variables["next_entry"]


# -- restart and way back ----------------------------------------------------------------------------------------------


def restart(host, boot="b1", test=False, **klp):
    host.pillar(campaign={"boot_id": {"sles1": boot}}, **klp)
    host.minion.context.clear()
    return apply(host.minion, "klp.restarted", test=test)


def test_nobody_has_asked_for_a_restart(waiting):
    found = apply(waiting.minion, "klp.restarted")
    assert found["result"] is False
    assert found["comment"] == (
        "nothing but a campaign of kind kernel with klp_campaign:reboot: true restarts a host, and none has asked for "
        "it: restart this host by hand, then run: salt sles1 state.apply klp.kernel"
    )


def test_a_restart_is_written_down_and_made_once(waiting):
    asked = []
    waiting.minion.salt["system.reboot"] = lambda at_time: asked.append((at_time, record("kernel")["stage"]))
    assert (restart(waiting, test=True)["result"], asked) == (None, [])
    found = restart(waiting)
    said = "This host is on its way to another start: it is restarted in 1 minute by system.reboot"
    assert (found["result"], found["comment"], asked) == (True, said, [(1, "restarting")])
    waiting.minion.file(klp_paths.BOOT_ID, "b2\n")
    assert restart(waiting)["comment"] == (
        "this host was started again since the campaign asked for a restart (boot id b2, asked was b1): not restarted"
    )
    assert len(asked) == 1


def test_a_command_of_the_pillar_restarts(waiting):
    asked = []
    waiting.minion.salt["cmd.run_bg"] = lambda argv, **options: asked.append((argv, options["python_shell"]))
    found = restart(waiting, kernel={"reboot": ["/usr/bin/crm", "node", "$(x)"]})
    assert found["comment"].endswith("it is restarted in 10 seconds by the command of pillar klp:kernel:reboot")
    assert asked == [(["/bin/sh", "-c", 'sleep "$0"; exec "$@"', "10", "/usr/bin/crm", "node", "$(x)"], False)]


def test_what_keeps_a_restart_from_being_made(waiting):
    waiting.minion.file(klp_paths.ZYPP_PID, "42\n")
    waiting.minion.write("proc/42/comm", "zypper\n")
    said = "not restarted: process 42 (zypper) holds the zypp lock; wait for its end"
    assert restart(waiting)["comment"] == said == f"not restarted: {zypp_running.problem()}"
    waiting.grub.change([f"next_entry={OLD_ENTRY}"])
    said = f"GRUB would start kernel {KERNEL}, wanted {NEW}: not restarted; run: salt sles1 state.apply klp.kernel"
    assert restart(waiting)["comment"] == said
    waiting.pillar(campaign={"boot_id": {"sles1": "b1"}, "start_by": 5})
    assert "was to begin" in apply(waiting.minion, "klp.restarted")["comment"]
    klp_change.remember(record("kernel"), "verified")
    assert restart(waiting)["comment"] == "no change of kernel waits for a restart on this host: it is not restarted"


def test_hooks_of_a_restart_come_where_it_is_made(waiting):
    waiting.pillar(campaign={"boot_id": {"sles1": "b1"}})
    assert klp_uptodate.up_to_date(waiting.minion.host, "klp.restart") is False
    assert klp_uptodate.up_to_date(waiting.minion.host, "klp.kernel") is True
    waiting.pillar()
    assert klp_uptodate.up_to_date(waiting.minion.host, "klp.restart") is True


def back(host, test=False):
    host.minion.context.clear()
    return apply(host.minion, "klp.kernel_restored", test=test)


def test_there_is_no_way_back_from_nothing(host):
    said = "no change of kernel is recorded on this host: there is nothing to go back from"
    assert (back(host)["result"], back(host)["comment"]) == (False, said)


def test_the_way_back(waiting, uname):
    waiting.reboots(uname, NEW)
    waiting.healthy()
    waiting.run("verify")
    predicted, found = back(waiting, test=True), back(waiting)
    assert predicted["result"] is None and found["result"] is True
    assert predicted["changes"] == found["changes"]
    said = f"Restart this host to go back to kernel {KERNEL}, then run the same command again"
    assert (found["comment"], back(waiting)["comment"]) == (said, said)
    assert waiting.grub.variables == {"saved_entry": OLD_ENTRY}
    assert (
        waiting.run("verify")["comment"]
        == f"This host goes back to kernel {KERNEL}: salt sles1 state.apply klp.kernel_back"
    )
    assert klp_change_plan.step(waiting.minion.host) == "back"
    asked = []
    waiting.minion.salt["system.reboot"] = lambda at_time: asked.append(record("kernel")["stage"])
    assert (restart(waiting, boot="b2")["result"], asked) == (True, ["back"])
    waiting.minion.file(klp_paths.BOOT_ID, "b3\n")
    assert "came up again" in back(waiting)["comment"]
    waiting.reboots(uname, KERNEL, "b4")
    would = back(waiting, test=True)
    assert (would["result"], would["comment"]) == (
        None,
        f"Would close the rollback to kernel {KERNEL}: it is healthy",
    )
    waiting.healthy("ill")
    assert (back(waiting)["result"], record("kernel")["stage"]) == (False, "back")
    waiting.healthy()
    assert back(waiting)["comment"] == f"This host went back to kernel {KERNEL}, which is the default"
    assert back(waiting)["comment"] == f"This host went back to kernel {KERNEL}"
    assert waiting.run("verify")["comment"].startswith(f"This host went back from kernel {NEW} to {KERNEL}\n")


def test_a_way_back_that_grub_cannot_go(waiting, uname):
    waiting.reboots(uname, NEW)
    (waiting.minion.root / "boot/grub2/grub.cfg").unlink()
    assert "the default is as it was" in back(waiting)["comment"]


# -- what a campaign is told -------------------------------------------------------------------------------------------


def preview(host):
    host.minion.context.clear()
    host.minion.salt["saltutil.running"] = list
    return klp_summary.run_preview(host.minion.host, "kernel")


TARGET = {"release": NEW, "edition": EDITION, "package": "kernel-default", "live_patch": LEVEL, "fallback": True}


def test_a_preview_says_what_would_come(host):
    found = preview(host)
    assert (found["changes"], found["target"], found["refusals"]) == (
        {"kernel-default": EDITION, NEW_LP: LEVEL},
        ONE,
        [],
    )
    assert found["kernel_target"] == dict(TARGET, window_last="2024-08-01", cves=1)


def test_a_preview_of_a_change_that_waits(waiting):
    found = preview(waiting)
    assert (found["changes"], found["kernel_change"]["stage"]) == ({}, "installed")
    assert found["kernel_target"] == dict(TARGET, window_last=None, cves=0)
    klp_change.remember(record("kernel"), "failed", ["it panics"])
    assert preview(waiting)["refusals"][0] == "it panics"


def test_a_preview_where_no_other_kernel_is_wanted(host):
    host.target = None
    found = preview(host)
    assert (found["changes"], found["kernel_target"], found["refusals"]) == ({}, None, [])
