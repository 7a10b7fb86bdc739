"""What a campaign asks a host, against what the host then does: how it stands, what it would get, what it refuses."""

import json
import os
import re
import time

import pytest

from klp_campaign import digest
from tests.functional.conftest import FIRST, LOADED, LOCKS, LP, SECOND, THIRD, TOOLS, apply, settings, snapshot, volumes
from tests.functional.gate import HOOK, close_gate, kill, open_gate, pid_of, start, stop_in, wait_at_gate
from tests.functional.refusal import causes, refused
from tests.functional.updates import UPDATED, difference
from tests.lab.host import wait_until

RUN = "3f2a9c01d4e5"
PLAN = {**UPDATED, LP: THIRD}
MODULES = {FIRST: "livepatch_1_150500_9_3_1", THIRD: "livepatch_3_150500_2_1"}
DISABLED = "live patching is not enabled on this host (missing or not locked: {}); run state.apply klp there first"
AWAY = "klp.disable takes live patching away"
OOPS = "BUG: unable to handle page fault for address: 0000000000001000"


def ask(host, fun, *args, **kwargs):
    """Return what a function of klp_audit says; it changes nothing, and what it starts is counted."""
    host.salt.sync()
    before = snapshot(host)
    host.forget_programs()
    answer = host.salt_call(f"klp_audit.{fun}", *args, **kwargs)
    assert answer.rc == 0, answer.stderr
    assert snapshot(host) == before
    return answer.data


def preview(host, *args, **kwargs):
    """Return what is of interest in a preview: what would change, the live patch afterwards, what is refused."""
    found = ask(host, "run_preview", *args, **kwargs)
    return {key: found[key] for key in ("changes", "target", "refusals")}


def offer(changes, target, *refusals):
    return {"changes": changes, "target": target, "refusals": list(refusals)}


def campaign(host, shown, within=300, **klp):
    """Return the pillar that a campaign sends with a run, the same to all hosts."""
    job = {"start_by": int(time.time()) + within, "shown": {host.name: digest(shown), "another": digest({})}}
    job["level"] = {host.name: THIRD, "another": FIRST}
    return settings(run=RUN, campaign=job, **klp)


def known(host, packages):
    """Let a host know a plan, as it does after a preview."""
    host.write(f"/var/cache/salt-klp/shown/{digest(packages)}.json", json.dumps(packages))


@pytest.fixture
def locked(sles):
    """Start an enabled host whose kernel is locked, as ``state.apply klp`` leaves it."""
    one = sles("enabled")
    assert one.zypper("al", *LOCKS).returncode == 0
    return one


@pytest.mark.parametrize(
    ("golden", "edition", "missing"),
    [("fresh", None, [TOOLS]), ("enabled", FIRST, LOCKS), ("converged", THIRD, [])],
)
def test_a_host_says_how_it_stands_without_zypper(sles, golden, edition, missing):
    one = sles(golden)
    found = ask(one, "state_summary", RUN)
    assert (one.count("zypper"), one.count("rpm", caller="python")) == (0, 1)
    told = {key: found[key] for key in ("host", "kernel", "transition", "package", "live_patch", "active", "run")}
    assert told == {
        "host": one.name,
        "kernel": one.kernel,
        "transition": "ready",
        "package": LP,
        "live_patch": edition,
        "active": MODULES.get(edition),
        "run": None,
    }
    assert abs(found["time"] - time.time()) < 60
    assert (found["busy"], found["restoring"], found["unfinished"], found["held"]) == ([], False, False, None)
    assert found["health"] == {
        "boot": one.read("/proc/sys/kernel/random/boot_id").strip(),
        "log": 0,
        "errors": [],
        "tainted": one.read("/proc/sys/kernel/tainted").strip(),
        "services": {},
        "application": None,
        "patience": 0,
    }
    refusals = [DISABLED.format(", ".join(missing))] if missing else []
    assert preview(one) == offer({}, None if missing else THIRD, *refusals)


def test_what_was_shown_is_what_changes(locked):
    before = locked.packages()
    assert preview(locked) == offer(PLAN, THIRD)
    answer = apply(locked, "klp.patch", pillar=campaign(locked, PLAN))
    assert (answer.rc, answer.failed) == (0, {})
    assert difference(before, locked.packages()) == PLAN
    after = ask(locked, "run_preview")
    assert {key: after[key] for key in ("changes", "target", "refusals")} == offer({}, THIRD)
    (row,) = (row for row in after["skipped"] if "glibc" in row["packages"])
    assert row["reason"].startswith("asks for a reboot") and row["advisories"][0].endswith("-2023-3500")
    run = ask(locked, "state_summary", RUN)["run"]
    assert run["backup"] == volumes(locked)[0][0]
    assert after["seconds"] == run["finished"] - run["opened"] < 60
    before = locked.packages()
    assert apply(locked, "klp.patch", pillar=campaign(locked, PLAN)).changes == {}
    assert locked.packages() == before


@pytest.mark.parametrize("lacks", ["curl", LP])
def test_what_was_not_shown_is_refused_before_anything_changes(locked, lacks):
    shown = {name: edition for name, edition in PLAN.items() if name != lacks}
    known(locked, shown)
    news = f"pending here, but not in the plan that was shown: {lacks} {PLAN[lacks]}; make a new plan"
    refused(locked, "klp.patch", {"klp-repositories": news}, pillar=campaign(locked, shown))


def test_what_a_host_does_not_know_any_more_is_kept_to_as_a_whole(locked):
    news = "this host does not know what the plan has shown, but it was something else than"
    pending = [f"{name} {edition}" for name, edition in sorted(PLAN.items())]
    names = ", ".join([*pending[:5], f"{len(pending) - 5} more"])
    pillar = campaign(locked, {**PLAN, "vim": "9-1"})
    said = f"{news} {names}, which is pending here; make a new plan"
    refused(locked, "klp.patch", {"klp-repositories": said}, pillar=pillar)


def test_another_edition_than_the_one_shown_is_refused(locked):
    shown = {**PLAN, "libz1": "1.2.13-1"}
    known(locked, shown)
    news = f"pending here, but not in the plan that was shown: libz1 {PLAN['libz1']}; make a new plan"
    refused(locked, "klp.patch", {"klp-repositories": news}, pillar=campaign(locked, shown))


@pytest.mark.parametrize("sls", ["klp.patch", "klp.rollback"])
def test_a_run_that_comes_too_late_is_refused_before_anything_changes(locked, sls):
    locked.salt.sync()
    before = snapshot(locked)
    answer = apply(locked, sls, pillar=campaign(locked, PLAN, within=-90))
    (ident, text), *others = causes(answer).items()
    assert (ident, others) == ("klp-ready", [])
    late = re.fullmatch(
        r"this run of a campaign was to begin (\d+) seconds ago at the latest: the campaign has gone on without this "
        "host, and nothing was changed",
        text,
    )
    assert late and 90 <= int(late[1]) < 150
    assert (answer.rc != 0, answer.changes, locked.count("zypper")) == (True, {}, 0)
    assert snapshot(locked) == before


def test_an_interrupted_run_goes_on_with_the_same_plan(locked):
    """Of the live patch half is in by then, and nothing yet of what comes after it: the preview shows all of it."""
    locked.salt.pillar(campaign(locked, PLAN, zypper={"lock_timeout": 120}))
    close_gate(locked)
    stop_in(locked, HOOK)
    run = start(locked)
    wait_at_gate(locked)
    kill(run)
    handle = open_gate(locked)
    wait_until(lambda: not pid_of(locked, "zypper") and not pid_of(locked, "rpm"), 60, "the end of what goes on alone")
    os.close(handle)
    summary = ask(locked, "state_summary", RUN)
    assert (summary["unfinished"], summary["run"]["finished"]) == (True, None)
    assert preview(locked) == offer(PLAN, THIRD)
    answer = apply(locked, "klp.patch")
    assert (answer.failed, list(answer.changes)) == ({}, ["klp-updates", "klp-newest", "klp-finished"])
    assert sorted(answer.changes["klp-updates"]) == sorted(UPDATED)
    assert (locked.editions(LP), locked.live_patches()) == ([THIRD], {MODULES[THIRD]: LOADED})
    assert len(volumes(locked)) == 1
    assert ask(locked, "state_summary", RUN)["run"]["finished"]


def test_a_way_back_changes_what_was_foretold(sles):
    one = sles("converged")
    before = one.packages()
    assert preview(one, "rollback") == offer({LP: SECOND}, SECOND)
    assert preview(one, kind="rollback", level=1) == offer({LP: FIRST}, FIRST)
    assert preview(one, "rollback", THIRD) == offer({LP: THIRD}, THIRD)  # to be held there
    assert apply(one, "klp.rollback", pillar=settings(run=RUN, campaign={"rollback": {one.name: SECOND}})).failed == {}
    assert difference(before, one.packages()) == {LP: SECOND}
    assert preview(one, "rollback") == offer({}, SECOND)
    assert ask(one, "state_summary")["held"] == SECOND
    assert preview(one) == offer({}, SECOND)  # a maintenance run keeps it there


@pytest.mark.parametrize(
    ("golden", "reason"),
    [
        ("fresh", f"{LP} is not installed: there is nothing to go back from"),
        (
            "enabled",
            f"live patch {FIRST} is the first one of this kernel, there is none before it; {AWAY}",
        ),
    ],
)
def test_a_way_back_that_there_is_none_of(sles, golden, reason):
    assert preview(sles(golden), "rollback") == offer({}, None, reason)


def test_errors_of_the_kernel_are_seen_by_their_numbers(sles):
    one = sles("converged")
    assert ask(one, "health")["log"] == 0
    one.write("/dev/kmsg", one.read("/dev/kmsg") + f"6,41,8,-;usb 1-1: new device\n1,42,9,-;{OOPS}\n SUBSYSTEM=cpu\n")
    found = ask(one, "health", ["no-such-service"])
    assert (found["log"], found["errors"]) == (42, [{"number": 42, "text": OOPS}])
    assert found["services"] == {"no-such-service": None}  # there is no systemd in these hosts
    reason = (
        "the kernel has had errors since it was started, another live patch may make it worse: kernel log: "
        f"{OOPS}; plan a reboot, or force it with pillar klp:rollback:force"
    )
    assert preview(one, "rollback") == offer({}, None, reason)
    one.salt.pillar(settings(rollback={"force": True}))
    assert preview(one, "rollback") == offer({LP: SECOND}, SECOND)
    assert preview(one) == offer({}, THIRD)


def test_no_backup_no_preview(sles):
    one = sles("converged", pillar={})
    (reason,) = preview(one)["refusals"]
    assert reason.startswith("no backup backend is set, so nothing is installed; set pillar klp:backup:backend to ")


def test_a_wrong_pillar_is_an_error_that_names_the_key(sles):
    one = sles("converged", levle=3)
    answer = one.salt_call("klp_audit.run_preview")
    assert (answer.rc != 0, one.count("zypper")) == (True, 0)
    assert "pillar klp:levle: unknown key; did you mean level?" in answer.stderr
