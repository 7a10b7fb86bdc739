"""Hooks of the administrator's own around a run: drained before the first change, undrained whatever happens."""

import os

import pytest

from tests.functional import hooks
from tests.functional.conftest import (
    LP,
    SECOND,
    VERIFY,
    apply,
    snapshot,
    volumes,
    writes,
)
from tests.functional.gate import STOP, close_gate, kill, open_gate, start, stop_in, wait_at_gate
from tests.functional.hooks import HOOKS, hook, log
from tests.functional.refusal import causes

hooked = hooks.hooked  # the fixture

GONE = "[gone]\nenabled=1\nautorefresh=1\nbaseurl=dir:/nonexistent\n"


def ran(answer):
    """Return which hooks have run, or would run, by state."""
    return {ident: changes["ran"] for ident, changes in answer.changes.items() if "ran" in changes}


def checks(host):
    """Return what ``klp.verify`` says, by check."""
    return {item["check"]: item["detail"] for item in host.salt_call("klp.verify").data["checks"]}


def due(host):
    """Return where the hook ``after`` of an earlier run was seen last, or None."""
    there = host.salt_call("klp_audit.state_summary").data["hooks"]["due"]
    return there and there["stage"]


def test_hooks_are_around_a_change_as_predicted_and_not_around_none(hooked):
    one = hooked()
    predicted = apply(one, "klp.patch", test=True)
    assert (predicted.failed, log(one), due(one)) == ({}, [], None)
    answer = apply(one, "klp.patch")
    assert (answer.failed, log(one), due(one)) == ({}, ["drained", "undrained"], None)
    assert ran(answer) == {"klp-hook-before": ["site.drain"], "klp-hook-after": ["site.undrain"]} == ran(predicted)
    assert answer.changes["klp-hook-before"]["states"].keys() == {"drained", "drained-told"}
    assert "drained (site.drain): ok: Command" in answer.comments["klp-hook-before"]
    assert answer.comments["klp-hook-on-failure"] == "nothing has failed"
    order = [ident for ident in answer.states if ident in answer.changes]
    assert order == ["klp-hook-before", "klp-backup", "klp-updates", "klp-hook-after", "klp-finished"]

    answer = apply(one, "klp.patch")
    assert (answer.failed, answer.changes, log(one), writes(one)) == ({}, {}, ["drained", "undrained"], [])


def test_the_application_is_asked_before_it_is_drained_and_after_it_is_undrained(hooked):
    one = hooked(health={"commands": [{"run": ["/usr/bin/test", "!", "-e", "/run/drained"]}], "wait": 0})
    hook(one, "site.drain", "touch /run/drained")
    hook(one, "site.undrain", "rm /run/drained")
    answer = apply(one, "klp.patch")
    assert (answer.failed, log(one)) == ({}, ["drained", "undrained"])
    order = list(answer.states)
    assert order.index("klp-updates") < order.index("klp-hook-after") < order.index("klp-verified")


def test_nothing_is_changed_where_before_fails(hooked):
    one = hooked()
    hook(one, "site.drain", "echo the load balancer says no >&2; exit 1")
    one.salt.sync()
    was = snapshot(one)
    answer = apply(one, "klp.patch")
    assert list(causes(answer)) == ["klp-hook-before"]
    told = answer.failed["klp-hook-before"]
    assert told.startswith("hook before failed: site.drain: nothing is changed by this run\n")
    assert "drained (site.drain): FAILED: Command" in told
    # It may have drained something before it failed.
    assert ran(answer).keys() == {"klp-hook-before", "klp-hook-after", "klp-hook-on-failure"}
    assert (log(one), due(one), writes(one)) == (["undrained", "alarm"], None, [])
    now = snapshot(one)
    assert {**now, "records": None} == {**was, "records": None} and volumes(one) == []


def test_host_is_undrained_where_the_run_fails_and_where_after_failed(hooked):
    one = hooked()
    one.write(VERIFY, "#!/bin/sh\nexit 1\n", mode=0o755)
    answer = apply(one, "klp.patch")
    assert list(causes(answer)) == ["klp-backup"]
    assert (log(one), due(one), writes(one)) == (["drained", "undrained", "alarm"], None, [])

    one.write(VERIFY, "#!/bin/sh\n", mode=0o755)
    hook(one, "site.undrain", "exit 1")
    answer = apply(one, "klp.patch")
    assert list(causes(answer)) == ["klp-hook-after"]
    assert (one.editions("tool"), due(one)) == (["2.0-1.1"], "after")
    assert log(one)[3:] == ["drained", "alarm"]

    # Nothing is left to do for the same command but that; without repositories it does it, too.
    hook(one, "site.undrain")
    one.write("/etc/zypp/repos.d/gone.repo", GONE)
    answer = apply(one, "klp.patch")
    assert "klp-repositories" in causes(answer)
    assert (log(one)[5:], due(one)) == (["undrained", "alarm"], None)


def test_hooks_that_cannot_be_run_refuse_the_run(hooked):
    one = hooked(hooks={**HOOKS, "after": ["site.nowhere"]})
    one.salt.sync()
    was = snapshot(one)
    for answer in (apply(one, "klp.patch"), apply(one, "klp.patch", test=True)):
        why = {"klp-repositories": "pillar klp:hooks:after: No matching sls found for 'site.nowhere' in env 'base'"}
        assert causes(answer) == why
        assert (snapshot(one), log(one), ran(answer)) == (was, [], {})
    assert one.salt_call("klp_audit.run_preview").data["refusals"] == list(why.values())


PHASES = {
    "before": ["drained", "undrained"],  # the state that tells of it was killed with the run
    "changing": ["drained", "drained", "undrained"],
    "after": ["drained", "undrained"],
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_host_is_undrained_by_the_same_command(hooked, phase):
    one = hooked()
    close_gate(one)
    if phase == "changing":
        stop_in(one, VERIFY)
    else:
        hook(one, "site.drain" if phase == "before" else "site.undrain", gate=f"/bin/sh -c '{STOP.strip()}'")
    run = start(one)
    wait_at_gate(one)
    kill(run)
    assert due(one) == phase
    assert "(seen last: " + phase in checks(one)["hooks"]
    handle = open_gate(one)  # what was started goes on alone
    os.close(handle)
    answer = apply(one, "klp.patch")
    assert (answer.failed, due(one), one.editions("tool")) == ({}, None, ["2.0-1.1"])
    assert log(one) == PHASES[phase] and "hooks" not in checks(one)
    answer = apply(one, "klp.patch")
    assert (answer.changes, log(one)) == ({}, PHASES[phase])
    assert len(volumes(one)) == 1


def test_way_back_has_the_hooks_too(hooked):
    one = hooked(pending=False)
    predicted = apply(one, "klp.rollback", test=True)
    answer = apply(one, "klp.rollback")
    assert (answer.failed, one.editions(LP), log(one)) == ({}, [SECOND], ["drained", "undrained"])
    assert ran(answer) == ran(predicted) and set(ran(answer)) == {"klp-rollback-hook-before", "klp-rollback-hook-after"}
    assert apply(one, "klp.rollback").changes == {} and log(one) == ["drained", "undrained"]
    one.write("/proc/sys/kernel/tainted", "512\n")
    one.salt.pillar({"klp": {"hooks": HOOKS, "rollback": {"level": 1}}})
    answer = apply(one, "klp.rollback")
    assert list(causes(answer)) == ["klp-rollback-hook-before"] and ran(answer) == {}
    assert (one.editions(LP), log(one)) == ([SECOND], ["drained", "undrained"])
