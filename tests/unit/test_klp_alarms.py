"""klp_audit.alarms and alarm_events, and the beacon over them: each alarm once when it comes, once when it goes."""

import json
import os

import pytest
from salt.exceptions import CommandExecutionError

import klp_alarms
import klp_paths
from tests.unit import loader
from tests.unit.conftest import LP
from tests.unit.hosts import advisory, record, remembers, updateinfo

NAMES = ["kernel-default", LP, "kernel-livepatch-tools", "lifecycle-data-sle-module-live-patching"]
EDITION, THIRD, MODULE = "5.14.21-150500.55.7.1", "3-150500.2.1", "livepatch_3_150500_2_1"
PRODUCT = "sle-module-live-patching.lifecycle"  # the clock stands at 2023-11-14
BLOCKING, NOBODY = ["klp", "-v", "blocking"], "no threads with klp_in_progress set\n"
LOCK = ["zypper", "--non-interactive", "addlock", "kernel-default"]


@pytest.fixture
def host(minion):
    """A host that is well, with the lock of kernel-default made here."""
    minion.rpm_q(NAMES, {"kernel-default": EDITION, LP: THIRD})
    minion.programs.on(["rpm", "-q", "--qf", "%{BUILDTIME}\\n", f"kernel-default-{EDITION}"], "1687766400\n")
    updateinfo(minion, "a", advisory("A-3", f"{LP}={THIRD}"))
    window(minion, "2024-07-18")
    minion.live_patch(MODULE)
    minion.locked("kernel-default")
    remembers(minion, "locks", ["kernel-default"])
    minion.salt["saltutil.running"] = list
    return minion


def window(minion, last):
    minion.file(f"{klp_paths.LIFECYCLE[0]}/{PRODUCT}", f"{LP},*,{last}\n")


def inactive(minion):
    minion.live_patch(MODULE, 0)


def edges(minion):
    return [(item["alarm"], item["edge"]) for item in minion.salt["klp_audit.alarm_events"]()]


def raised(minion):
    return minion.salt["klp_audit.alarms"]()["raised"]


def test_a_host_that_is_well_has_no_alarm_and_starts_no_zypper(host):
    assert host.salt["klp_audit.alarms"]() == {"raised": {}, "unknown": {}}
    assert edges(host) == []
    assert not host.programs.started("zypper")
    assert edges(host) == []


def test_a_lost_lock_is_an_edge_and_nothing_in_between(host):
    host.locked("other")
    assert edges(host) == [("locks", "raised")]
    assert edges(host) == []
    assert raised(host)["locks"] == "locks of kernel packages were taken away: kernel-default"
    host.locked("kernel-default")
    assert edges(host) == [("locks", "cleared")]
    assert edges(host) == []


def test_a_lock_that_was_never_made_here_is_no_alarm(host):
    remembers(host, "locks", [])
    host.locked("other")
    assert edges(host) == []


def test_lost_locks_are_set_again_if_pillar_says_so(host):
    host.pillar["klp"] = {"alarms": {"repair_locks": True}}
    host.locked("other")
    host.programs.on(LOCK, "", then=lambda: host.locked("kernel-default"))
    assert host.salt["klp_audit.alarm_events"]() == [
        {"alarm": "locks", "edge": "repaired", "text": "locked again: kernel-default"}
    ]
    assert edges(host) == []


def test_locks_that_cannot_be_set_again_stay_an_alarm(host):
    host.pillar["klp"] = {"alarms": {"repair_locks": True}}
    host.locked("other")
    host.programs.on(LOCK, {"retcode": 7, "stdout": ""})
    assert edges(host) == [("locks", "unknown"), ("locks", "raised")]


def test_a_repair_that_fails_is_told_once_and_tried_until_it_works(host):
    host.pillar["klp"] = {"alarms": {"repair_locks": True}}
    host.locked("other")
    host.programs.on(LOCK, {"retcode": 7, "stdout": ""})
    (failed, _) = host.salt["klp_audit.alarm_events"]()
    said = "could not be repaired: zypper addlock: the zypp lock is still held after 0 seconds"
    assert failed["text"].startswith(said)
    assert edges(host) == edges(host) == [] and len(host.programs.started(*LOCK)) == 3
    host.programs.on(LOCK, "", then=lambda: host.locked("kernel-default"))
    assert edges(host) == [("locks", "repaired"), ("locks", "cleared")]
    host.locked("other")
    host.programs.on(LOCK, {"retcode": 7, "stdout": ""})
    assert edges(host) == [("locks", "unknown"), ("locks", "raised")]


def test_a_repair_that_fails_is_told_again_after_others_have_locked(host):
    host.pillar["klp"] = {"alarms": {"repair_locks": True}}
    host.programs.on(LOCK, {"retcode": 7, "stdout": ""})
    for _ in range(2):
        host.locked("other")
        assert edges(host) == [("locks", "unknown"), ("locks", "raised")]
        host.locked("kernel-default")
        assert edges(host) == [("locks", "cleared")]


def test_a_repair_waits_for_nothing(host):
    """A beacon runs in the main loop of the minion: while it waits, the minion does nothing else."""
    host.pillar["klp"] = {"alarms": {"repair_locks": True}}
    host.locked("other")
    host.programs.on(LOCK, {"retcode": 7, "stdout": ""})
    edges(host)
    (options,) = [host.programs.options[number] for number, argv in enumerate(host.programs.calls) if argv == LOCK]
    assert options["env"]["ZYPP_LOCK_TIMEOUT"] == "0"
    assert host.clock.slept == [] and len(host.programs.started("zypper")) == 1


@pytest.mark.parametrize("retcode", [7, 8])
def test_neither_the_lock_of_zypp_nor_that_of_rpm_is_tried_twice(host, retcode):
    host.pillar["klp"] = {"alarms": {"repair_locks": True}}
    host.locked("other")
    host.programs.on(LOCK, {"retcode": retcode, "stdout": "can't create transaction lock on .rpm.lock"})
    assert edges(host) == [("locks", "unknown"), ("locks", "raised")]
    assert host.clock.slept == [] and len(host.programs.started("zypper")) == 1


def given(host):
    """Return the deadline that each program was given, by its last argument."""
    return {argv[-1]: host.programs.options[number]["timeout"] for number, argv in enumerate(host.programs.calls)}


def passing(host, seconds):
    def then():
        host.clock.now += seconds

    return then


def test_all_programs_of_a_look_together_take_a_second(host):
    host.live_patch(MODULE, 1, 1)
    remembers(host, "alarms", {"moving": {"name": MODULE, "since": 1}})
    host.programs.on(BLOCKING, NOBODY, then=passing(host, 0.5))
    installed = f"kernel-default\t{EDITION}\n{LP}\t{THIRD}\n"
    host.programs.on(
        ["rpm", "-q", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n", ...], installed, then=passing(host, 0.3)
    )
    assert edges(host) == [("transition", "raised")]
    assert klp_alarms.SECONDS == 1
    assert given(host) == {"blocking": 1, NAMES[-1]: 0.5, f"kernel-default-{EDITION}": 0.2}


def test_a_program_that_would_start_after_the_second_is_not_started(host):
    host.live_patch(MODULE, 1, 1)
    remembers(host, "alarms", {"moving": {"name": MODULE, "since": 1}})
    said = {"retcode": 1, "stdout": "klp : Timed out after 1.0 seconds"}
    host.programs.on(BLOCKING, said, then=passing(host, 1))
    found = host.salt["klp_audit.alarm_events"]()
    late = "rpm: not started, the time for looking at this host was over"
    assert [(item["alarm"], item["edge"]) for item in found] == [
        (name, "unknown") for name in ("transition", "window", "inactive", "level", "live_patch_retracted")
    ]
    assert found[0]["text"] == "klp -v blocking: no end within 1.0 seconds"
    assert {item["text"] for item in found[1:]} == {late}
    assert [argv[0] for argv in host.programs.calls] == ["klp"]
    assert edges(host) == []


def test_without_a_beacon_a_look_takes_its_time(host):
    host.salt["klp_audit.alarms"]()
    assert given(host) == {NAMES[-1]: 120, f"kernel-default-{EDITION}": 60}


def test_a_transition_is_stalled_after_the_time_that_pillar_gives(host):
    host.live_patch(MODULE, 1, 1)
    host.programs.on(BLOCKING, NOBODY)
    assert edges(host) == []
    host.clock.now += 599
    assert edges(host) == []
    host.clock.now += 1
    assert edges(host) == [("transition", "raised")]
    assert "runs for more than 600 seconds, held up by: no task named" in raised(host)["transition"]
    host.live_patch(MODULE, 1, 0)
    assert edges(host) == [("transition", "cleared")]


def test_another_transition_begins_anew_and_a_clock_that_goes_back_too(host):
    host.live_patch(MODULE, 1, 1)
    edges(host)
    host.live_patch(MODULE, 1, 0)
    host.live_patch("livepatch_4_1", 1, 1)
    host.clock.now += 601
    assert edges(host) == []
    host.clock.now -= 10000
    assert edges(host) == []


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("2023-11-13", "the window of this kernel is over: live patches were made until 2023-11-13"),
        ("2023-12-14", "the window of this kernel ends soon: live patches are made until 2023-12-14"),
        ("2023-12-15", None),
    ],
)
def test_a_window_that_is_over_or_nearly(host, last, said):
    window(host, last)
    assert raised(host).get("window") == said


def test_a_live_patch_that_is_no_longer_active(host):
    inactive(host)
    assert raised(host) == {"inactive": f"live patch {THIRD} is installed, but none is active in the kernel"}


def test_another_level_than_installed_or_declared(host):
    host.pillar["klp"] = {"level": 3}
    assert raised(host) == {}
    host.pillar["klp"] = {"level": THIRD}
    assert raised(host) == {}
    host.pillar["klp"] = {"level": 2}
    assert raised(host) == {"level": f"live patch {THIRD} is active, pillar klp:level says 2"}
    inactive(host)
    host.live_patch("livepatch_2_150500_2_1")
    host.pillar["klp"] = {}
    assert raised(host) == {"level": f"active is livepatch_2_150500_2_1, installed is live patch {THIRD}"}


def test_errors_of_the_kernel(host):
    host.file(klp_paths.TAINTED, "128\n")
    assert raised(host) == {"taint": "the kernel has had errors: taint D: the kernel died before (oops or BUG)"}


def test_without_live_patching_there_is_nothing_to_miss(host):
    host.changed()
    host.rpm_q(NAMES, {"kernel-default": EDITION})
    inactive(host)
    assert raised(host) == {}


def test_what_cannot_be_told_is_said_once_and_clears_nothing(host):
    host.locked("other")
    assert edges(host) == [("locks", "raised")]
    os.unlink(klp_paths.LOCKS)
    os.mkdir(klp_paths.LOCKS)
    assert edges(host) == [("locks", "unknown")]
    assert edges(host) == []
    os.rmdir(klp_paths.LOCKS)
    host.locked("kernel-default")
    assert edges(host) == [("locks", "cleared")]


def test_while_a_state_run_is_at_work_nothing_is_looked_at(host):
    host.locked("other")
    host.salt["saltutil.running"] = lambda: [{"fun": ["test.ping", "state.apply"], "jid": "1"}]
    assert edges(host) == []
    host.salt["saltutil.running"] = lambda: [{"fun": "state.sls", "jid": "1"}]
    assert edges(host) == []
    assert record("alarms") is None
    host.salt["saltutil.running"] = lambda: [{"fun": "test.ping", "jid": "1"}]
    assert edges(host) == [("locks", "raised")]


def beacon(minion):
    return loader.load("_beacons", "klp", __salt__=minion.salt)


def test_the_beacon_makes_events_of_edges(host):
    module = beacon(host)
    assert module.__virtual__() == "klp"
    host.locked("other")
    (event,) = module.beacon([])
    assert event == {
        "alarm": "locks",
        "edge": "raised",
        "text": "locks of kernel packages were taken away: kernel-default",
        "tag": "locks",
    }
    json.dumps(event)
    assert module.beacon([]) == []


def test_a_beacon_that_cannot_look_reports_nothing_and_logs_it(host, caplog):
    def fail():
        raise CommandExecutionError("no")

    host.salt["klp_audit.alarm_events"] = fail
    assert beacon(host).beacon([]) == []
    del host.salt["klp_audit.alarm_events"]
    assert beacon(host).beacon([]) == []
    assert [record.message for record in caplog.records if "beacon klp" in record.message] == [
        "beacon klp: no",
        "beacon klp: the module klp_audit is not loaded here; it says why: salt-call klp_audit.alarms",
    ]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ([], None),
        ([{"interval": 60}, {"disable_during_state_run": True}, {"_beacon_name": "klp"}], None),
        ({}, "must be a list of mappings"),
        (["x"], "must be a list of mappings"),
        ([{"intervall": 60}], "unknown key 'intervall', known here: interval, disable_during_state_run, enabled"),
    ],
)
def test_the_configuration_of_the_beacon_is_checked(minion, config, said):
    valid, text = beacon(minion).validate(config)
    assert valid is (said is None)
    assert said is None or said in text


def test_a_live_patch_that_was_withdrawn_is_an_alarm_until_the_host_has_left_it(host):
    updateinfo(host, "a", advisory("R-1", f"{LP}={THIRD}", status="retracted"))
    text = (
        f"live patch {THIRD} was withdrawn by its vendor (retracted: R-1); leave it with: "
        "salt sles1 state.apply klp.rollback"
    )
    assert raised(host) == {"live_patch_retracted": text}
    assert edges(host) == [("live_patch_retracted", "raised")]
    updateinfo(host, "a", advisory("R-1", f"{LP}=4-1", status="retracted"))
    assert edges(host) == [("live_patch_retracted", "cleared")]
    assert not host.programs.started("zypper")


def test_whether_it_was_withdrawn_may_not_be_known(host):
    updateinfo(host, "a", end=".xml.zst")
    assert edges(host) == [("live_patch_retracted", "unknown")]
    host.rpm_q(NAMES, {"kernel-default": EDITION})
    host.changed()
    assert "live_patch_retracted" not in host.salt["klp_audit.alarms"]()["unknown"]
    assert not host.programs.started("zypper")
