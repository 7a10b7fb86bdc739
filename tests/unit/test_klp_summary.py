"""What a campaign asks a host: how it is, how it stands, and what a run would do to it."""

import os

import pytest
import salt.utils.systemd
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_campaign
import klp_live
import klp_paths
import klp_preflight
import klp_restoring
import klp_rollback
import klp_summary
import klp_updates
import zypp_solver
from _runners.klp import answers
from tests.unit import previews
from tests.unit.conftest import LP
from tests.unit.hosts import (
    FIRST,
    KERNEL_PACKAGE,
    LIFECYCLE,
    ONE,
    OOPS,
    THIRD,
    THREE,
    TOOLS,
    TWO,
    becomes,
    has,
    remembers,
    rpm,
)
from tests.unit.previews import NOTHING, STATE, preview, refusal

host = previews.host  # the fixture

CURL = {"curl": {"old": "1-1", "new": "2-1"}}


def raising(error):
    def function(*args, **kwargs):
        raise error

    return function


@pytest.fixture
def systemd(monkeypatch):
    """The host was started by systemd, as every SLES is."""
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda *args: True)


# -- state_summary -----------------------------------------------------------------------------------------------------


def test_a_host_says_how_it_stands_with_one_rpm(host, programs):
    found = host.salt["klp_audit.state_summary"]()
    assert found == STATE
    assert answers.state_summary("sles1", found) == found
    assert [argv[0] for argv in programs.calls] == ["rpm"]


def test_what_else_may_be_told_of_a_host(host, systemd):
    run = {"run": "c1", "opened": 5, "finished": 9, "backend": "none", "backup": None, "created": None}
    remembers(host, "runs", [run])
    remembers(host, "begun", {LP: ONE})
    hold = {"package": LP, "edition": ONE, "from": THREE, "since": 1, "locks": []}
    remembers(host, "hold", hold)
    remembers(host, "restore", dict(dict.fromkeys(klp_restoring.FIELDS, "42"), boot="b1", stage="prepared"))
    host.live_patch(THIRD, transition=1)
    host.salt["service.status"] = lambda name: True
    found = host.salt["klp_audit.state_summary"]("c1", ["sshd"])
    assert found == dict(
        STATE,
        unfinished=True,
        held=ONE,
        restoring=True,
        transition="in_progress",
        active=THIRD,
        run={"opened": 5, "finished": 9, "backup": None},
        health=dict(STATE["health"], services={"sshd": True}),
    )
    assert answers.state_summary("sles1", found) == found
    remembers(host, "hold", dict(hold, package=LP.replace("55_7", "55_12")))
    assert host.salt["klp_audit.state_summary"]("other")["held"] is None
    assert host.salt["klp_audit.state_summary"]("other")["run"] is None


def test_a_host_without_a_live_patch_stands_too(host):
    host.changed()
    has(host, None)
    os.rename(f"{klp_paths.LIVEPATCH}/{FIRST}", f"{host.root}/gone")
    found = host.salt["klp_audit.state_summary"]()
    assert found == dict(STATE, live_patch=None, active=None)
    assert answers.state_summary("sles1", found) == found


def test_jobs_that_change_the_host_are_told(host):
    host.jobs = [
        {"fun": "state.apply", "jid": "1"},
        {"fun": "test.ping", "jid": "2"},
        {"fun": ["test.ping", "state.sls"], "jid": "3"},  # as Salt remembers a job of several functions
        {"fun": ["test.ping"], "jid": "4"},
    ]
    assert host.salt["klp_audit.state_summary"]()["busy"] == ["state.apply 1", "state.sls 3"]


def test_a_damaged_record_is_an_error_and_not_a_guess(host):
    host.file(f"{klp_paths.RECORDS}/runs.json", "[")
    with pytest.raises(CommandExecutionError, match="runs.json: cannot be read"):
        host.salt["klp_audit.state_summary"]("c1")


# -- run_preview -------------------------------------------------------------------------------------------------------


DISABLED = "live patching is not enabled on this host (missing or not locked: {}); run state.apply klp there first"


def test_a_host_with_nothing_to_do(host):
    assert preview(host) == NOTHING


def test_what_is_pending_is_what_would_change(host):
    host.pending = dict(CURL, **{LP: {"old": ONE, "new": THREE}})
    run = {"run": "c1", "opened": 5, "finished": 65, "backend": "none", "backup": None, "created": None}
    remembers(host, "runs", [run])
    assert preview(host, "patch") == {
        "changes": {"curl": "2-1", LP: THREE},
        "target": THREE,
        "skipped": [],
        "refusals": [],
        "seconds": 60,
        "kernel_target": None,
        "group": None,
        "apart": [],
    }


def test_the_host_keeps_to_what_it_has_said(host):
    host.pending = dict(CURL, **{LP: {"old": ONE, "new": THREE}})
    shown = preview(host)["changes"]
    host.pillar["klp"] = {"campaign": {"shown": {"sles1": klp_campaign.digest(shown)}}}
    assert klp_campaign.unshown(host.host, {"curl": "2-1"}) is None
    assert klp_campaign.unshown(host.host, {"curl": "2-2"}).startswith("pending here, but not in the plan")


def test_a_host_that_has_nothing_to_do_says_that_its_live_patch_may_be_there(host):
    preview(host)
    host.pillar["klp"] = {"campaign": {"shown": {"sles1": klp_campaign.digest({LP: ONE})}}}
    assert klp_campaign.unshown(host.host, {LP: ONE}) is None


def test_what_a_run_leaves_out_is_told_by_reason(host):
    host.skipped = [
        {"item": "SUSE-1", "kind": "advisory", "reason": "asks for a reboot"},
        {"item": "SUSE-2", "kind": "advisory", "reason": "excluded"},
        {"item": "glibc", "kind": "package", "reason": "asks for a reboot"},
    ]
    assert preview(host)["skipped"] == [
        {"reason": "asks for a reboot", "advisories": ["SUSE-1"], "packages": ["glibc"], "more": 0},
        {"reason": "excluded", "advisories": ["SUSE-2"], "packages": [], "more": 0},
    ]
    host.skipped = [{"item": f"p{number}", "kind": "package", "reason": "no"} for number in range(2003)]
    (row,) = preview(host)["skipped"]
    assert (len(row["packages"]), row["more"]) == (2000, 3)


def test_all_that_is_pending_must_fit_into_one_answer(host):
    most = klp_summary.PACKAGES
    name, new = "texlive-{:015d}", "2021.189.svn{:05d}-150400.31.1"
    host.pending = {name.format(number): {"old": "1", "new": new.format(number)} for number in range(most)}
    assert len(preview(host)["changes"]) == most
    host.pending["curl"] = {"old": "1-1", "new": "2-1"}
    assert preview(host) == refusal(f"{most + 1} packages pending, at most {most} are planned at once")


def test_what_goes_is_no_change_that_the_master_has_to_show(host):
    host.pending = dict(CURL, old={"old": "1-1", "new": None})
    assert preview(host)["changes"] == {"curl": "2-1"}


def test_what_speaks_against_a_run_is_told(host, monkeypatch):
    host.pending = CURL
    monkeypatch.setattr(klp_preflight, "maintenance_problems", lambda host: ["one", "two"])
    assert preview(host) == refusal("one", "two")
    host.pillar["klp"] = {}
    found = preview(host)["refusals"]
    assert found[:2] == ["one", "two"] and found[2].startswith(
        "no backup backend is set, so nothing is installed; set pillar klp:"
    )


def test_a_host_whose_application_is_ill_is_left_out(host, monkeypatch):
    host.pillar["klp"]["health"] = {"services": ["nginx"]}
    monkeypatch.setattr(klp_summary.klp_health, "ill", lambda host: ["command shop: exit 1: no route"])
    assert preview(host)["refusals"] == []  # nothing would change there
    host.pending = CURL
    (said,) = preview(host)["refusals"]
    assert said.startswith("not healthy before: command shop: exit 1: no route; make the application well first")


@pytest.mark.parametrize("error", [CommandExecutionError, SaltInvocationError])
def test_what_cannot_be_found_out_is_told(host, error, monkeypatch):
    host.pending = CURL
    monkeypatch.setattr(zypp_solver, "refresh", raising(error("repository a cannot be read")))
    assert preview(host) == refusal("repository a cannot be read")


def test_an_error_of_the_dry_run_is_a_refusal(host, monkeypatch):
    error = CommandExecutionError("refused, because it would install kernel-default")
    monkeypatch.setattr(klp_updates, "plan", raising(error))
    assert preview(host) == refusal("refused, because it would install kernel-default")


def test_a_host_that_is_not_enabled_has_to_be_enabled_first(host):
    host.changed()
    rpm(host, {"kernel-default": KERNEL_PACKAGE, LP: ONE})
    assert preview(host) == refusal(DISABLED.format(TOOLS))


def test_lifecycle_data_are_no_reason_to_leave_a_host_out(host):
    host.changed()
    rpm(host, {"kernel-default": KERNEL_PACKAGE, TOOLS: "1.4-1", LP: ONE, LIFECYCLE: ""})
    assert klp_live.missing_tools(host.host) == [LIFECYCLE] and preview(host)["refusals"] == []


def test_tools_that_cannot_be_asked_for_are_told(host, monkeypatch):
    monkeypatch.setattr(klp_live, "missing_tools", raising(CommandExecutionError("rpm -q: error: database is locked")))
    assert preview(host) == refusal("rpm -q: error: database is locked")


def test_without_locks_nobody_knows_what_is_pending(host):
    host.pending = CURL
    names = host.salt["klp.settings"]()["locks"]
    host.locked(*names[2:])
    assert preview(host) == refusal(DISABLED.format(f"{names[0]}, {names[1]}"))


def test_a_wrong_pillar_is_an_error(host):
    host.pillar["klp"] = {"levle": 3}
    with pytest.raises(SaltInvocationError, match="^pillar klp:levle: unknown key; did you mean level[?]$"):
        preview(host)


@pytest.fixture
def three(host, monkeypatch):
    """A host at level 3 of which 2 is the level before."""
    host.changed()
    has(host, THREE)
    becomes(THIRD)
    monkeypatch.setattr(klp_rollback, "resolve", lambda host, level: {"previous": TWO, 1: ONE, 3: THREE}[level])
    host.more = {"live_patch": THREE, "active": THIRD}
    return host


def test_a_way_back_changes_one_package(three):
    assert preview(three, "rollback") == dict(NOTHING, changes={LP: TWO}, target=TWO)
    assert preview(three, "rollback", 1) == dict(NOTHING, changes={LP: ONE}, target=ONE)


def test_a_host_that_is_there_already_has_to_be_held(three):
    assert preview(three, "rollback", 3) == dict(NOTHING, changes={LP: THREE}, target=THREE)
    remembers(three, "hold", {"package": LP, "edition": THREE, "from": THREE, "since": 1, "locks": []})
    three.more["held"] = THREE
    assert preview(three, "rollback", 3) == dict(NOTHING, target=THREE)


def test_a_way_back_that_there_is_none_of(three, monkeypatch):
    monkeypatch.setattr(klp_rollback, "resolve", raising(CommandExecutionError("no earlier one")))
    assert preview(three, "rollback") == refusal("no earlier one")
    monkeypatch.setattr(klp_preflight, "problems", lambda host: ["/usr is read-only"])
    assert preview(three, "rollback") == refusal("/usr is read-only")


def test_a_kernel_that_has_had_errors_is_not_sent_back(three):
    three.file(klp_paths.KMSG, f"4,8,1,-;{OOPS}\n")
    three.more["health"] = dict(STATE["health"], log=8, errors=[{"number": 8, "text": OOPS}])
    assert preview(three, "rollback") == refusal(
        "the kernel has had errors since it was started, another live patch may make it worse: kernel log: "
        f"{OOPS}; plan a reboot, or force it with pillar klp:rollback:force"
    )
    assert preview(three, "rollback", 3)["refusals"] == []  # nothing goes back there, it is only held
    three.pillar["klp"]["rollback"] = {"force": True}
    assert preview(three, "rollback") == dict(NOTHING, changes={LP: TWO}, target=TWO)


def test_only_two_kinds_are_known(host):
    with pytest.raises(SaltInvocationError, match="kind: wanted patch, rollback or kernel, found 'restore'"):
        host.salt["klp_audit.run_preview"]("restore")
