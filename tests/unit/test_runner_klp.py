"""The public functions of the runner klp, over simulated hosts in place of Salt's client."""

import importlib
import sys

import pytest

import klp_version
from _runners.klp import commands, store, turning
from tests.simulation.world import KERNEL, NEW, OLD, PACKAGE
from tests.unit.loader import ROOT, load


def test_the_runner_loads_only_where_the_utils_are(monkeypatch):
    assert load("_runners", "klp").__virtual__() is True
    monkeypatch.setitem(sys.modules, "klp_pillar", None)
    loaded, why = load("_runners", "klp").__virtual__()
    assert (loaded, "klp_pillar" in why) == (False, True)
    assert why.endswith(": install it again on this master: make install, or its RPM")


def test_the_runner_loads_only_with_utils_of_its_own_version(monkeypatch):
    monkeypatch.setattr(klp_version, "VERSION", "0.1.9")
    assert load("_runners", "klp").__virtual__() == (
        False,
        (
            "salt-klp: module of version 0.2.0, utils of version 0.1.9: "
            "install it again on this master: make install, or its RPM"
        ),
    )


def test_the_parts_are_found_beside_the_runner():
    """A part with the name of a public function would never be imported: the function is there already."""
    runner = importlib.import_module("_runners.klp")
    assert not {path.stem for path in (ROOT / "_runners" / "klp").glob("*.py")} & set(vars(load("_runners", "klp")))
    assert vars(runner)["_part"]("commands") is commands
    assert not (ROOT / "_runners" / "klp" / "__init__.py").exists()


def test_a_plan_is_made_shown_and_kept(master, capsys):
    answer = master.run("plan")
    plan = answer["plan"]
    assert [wave["hosts"] for wave in plan["waves"]] == [["web0"], ["web1", "web2", "web3"]]
    assert plan["hosts"]["web0"]["kernel"] == KERNEL
    assert f"salt-run klp.run {plan['id']}" in answer["text"]
    assert store.Store(f"{master.opts['root_dir']}/var/lib/salt-klp").plan(plan["id"]) == plan
    assert "asked 4 of 4 hosts, 0 of the last 4 do not answer" in capsys.readouterr().err
    assert master.fleet.closed == 1


def test_what_is_given_goes_over_the_pillar_of_the_master(master):
    answer = master.run("plan", pillar={"klp_campaign": {"batch": 1, "target": "web*", "target_type": "glob"}})
    assert answer["plan"]["settings"]["batch"] == 1
    assert answer["plan"]["settings"]["soak"]["minutes"] == []
    assert master.targets == [("web*", "glob")]


def test_waves_with_targets_and_hosts_of_their_own(master):
    waves = [{"name": "one", "target": "web0"}, {"name": "two", "hosts": ["web3"]}, {"name": "rest"}]
    plan = master.run("plan", pillar={"klp_campaign": {"waves": waves}})["plan"]
    assert [wave["hosts"] for wave in plan["waves"]] == [["web0"], ["web3"], ["web1", "web2"]]


WRONG: dict = {
    "kind": (("plan", "upgrade"), {}, "kind: wanted patch, rollback or kernel, found 'upgrade'"),
    "reboot": (
        ("plan",),
        {"pillar": {"klp_campaign": {"reboot": True}}},
        "pillar klp_campaign:reboot is for campaigns of kind kernel, not for a patch; leave it out",
    ),
    "pillar": (("plan",), {"pillar": []}, "pillar: wanted a mapping with the key klp_campaign, found []"),
    "key": (
        ("plan",),
        {"pillar": {"klp_campaign": {"wavs": 1}}},
        "pillar klp_campaign:wavs: unknown key; did you mean waves?",
    ),
    "target": (
        ("plan",),
        {"pillar": {"klp_campaign": {"target": "none*"}}},
        "no accepted minion matches compound target 'none*'",
    ),
    "run": (("run", "0123456789ab"), {}, "there is no plan 0123456789ab; make one with: salt-run klp.plan"),
    "id": (("report", "../x"), {}, "'../x' is no id of a plan or campaign; look with: salt-run klp.status"),
    "release": (("release", "a", "1-1"), {}, "a 1-1 is not in quarantine; there is: nothing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_refused_in_one_sentence(master, case):
    args, kwargs, sentence = WRONG[case]
    assert master.refused(*args, **kwargs) == sentence


def test_a_pillar_that_cannot_be_rendered_is_said(master):
    master.pillar["_errors"] = ["Rendering SLS 'x' failed"]
    assert master.refused("plan") == "pillar of master_master: Rendering SLS 'x' failed"


@pytest.mark.parametrize("option", [{"ext_job_cache": "redis"}, {"job_cache": False}, {"minimum_auth_version": 2}])
def test_a_master_whose_answers_are_elsewhere_is_refused(master, option):
    master.opts.update(option)
    assert next(iter(option)) in master.refused("plan")


def test_hosts_that_do_not_answer_are_left_out(master):
    master.fleet.hosts["web2"].down_until = 1e12
    plan = master.run("plan")["plan"]
    assert plan["left_out"] == {"web2": ["unreachable", "no answer within 30 seconds"]}


def test_a_plan_runs_when_its_id_is_given(master, capsys):
    answer = master.run("run", master.plan())
    assert (answer["retcode"], answer["campaign"]["verified"]) == (0, 4)
    assert {host.edition for host in master.fleet.hosts.values()} == {NEW}
    told = capsys.readouterr().err
    assert "wave canary: started web0" in told and "the end: done" in told
    assert master.run("run", answer["campaign"]["id"])["retcode"] == 0, "the same command again changes nothing"
    assert len(master.fleet.sent) == 3


def test_a_plan_that_nobody_has_seen_is_not_run(master):
    answer = master.run("run")
    assert answer["retcode"] == 8
    assert answer["text"].endswith("Nothing was started: pillar klp_campaign:approve wants the id of a plan.")
    assert master.fleet.sent == {}
    assert master.run("run", pillar={"klp_campaign": {"approve": False}})["retcode"] == 0
    assert {host.edition for host in master.fleet.hosts.values()} == {NEW}


def test_a_fleet_with_nothing_to_do_is_done(master):
    for host in master.fleet.hosts.values():
        host.edition = NEW
    assert master.run("run")["retcode"] == 0
    master.fleet.hosts["web1"].down_until = 1e12
    assert master.run("run")["retcode"] == 2, "nobody knows what web1 needs"


def test_the_plan_may_be_named_in_the_pillar(master):
    master.pillar["klp_campaign"]["plan"] = master.plan()
    assert master.run("run")["retcode"] == 0


def test_an_old_plan_is_refused(master):
    name = master.plan(max_age=1)
    master.fleet.time += 3601
    assert master.refused("run", name) == f"plan {name} is 60 min old, at most 1 h are allowed"


def test_a_second_campaign_on_the_same_hosts_is_refused(master):
    first, other = master.plan(), master.plan(batch=1)
    commands.Commands(master.opts, None).store.begin(first)
    sentence = master.refused("run", other)
    assert f"4 hosts of plan {other}: already in a campaign that is not over (web0: {first})" in sentence
    assert master.run("plan")["plan"]["left_out"]["web0"] == [
        "refused",
        f"it is in campaign {first}, which is not over",
    ]


def test_a_plan_is_refused_whose_live_patch_came_into_quarantine_since(master):
    name = master.plan()
    commands.Commands(master.opts, None).store.ban([{"package": PACKAGE, "edition": NEW}], "0" * 12, "why", 1)
    assert master.refused("run", name) == f"{PACKAGE} {NEW} has come into quarantine since; make a new plan"


def test_a_failed_gate_has_its_exit_code_its_report_and_its_quarantine(master):
    master.fleet.hosts["web0"].faults["bad"] = "klp-verified: failed: not active"
    name = master.plan(on_failure="rollback")
    answer = master.run("run", name)
    assert (answer["retcode"], answer["campaign"]["why"]) == (3, "wave canary: 1 of 1 host failed, limit 0")
    assert master.fleet.hosts["web0"].edition == OLD
    report = master.run("report", name)
    assert report["retcode"] == 3
    assert report["report"]["hosts"]["web0"]["why"] == "klp-verified: failed: not active"
    assert report["report"]["hosts"]["web1"]["stage"] == "waiting"
    assert [item["what"] for item in report["report"]["history"]][:3] == ["begin", "open", "ready"]
    found = master.run("quarantined")
    assert f"{PACKAGE} {NEW}, since campaign {name}" in found["text"]
    assert master.run("status")["quarantine"] == found["quarantine"]
    assert master.run("release", PACKAGE, NEW)["quarantine"] == []
    assert master.fleet.told[-1] == ("release", {"package": PACKAGE, "edition": NEW, "by": "sudo_anna"})
    assert master.run("quarantined")["text"] == "nothing is in quarantine"


def test_pause_and_resume(master):
    name = master.plan()
    assert master.refused("pause", name) == f"plan {name} has not begun: there is nothing to pause"
    assert master.refused("resume", name) == f"plan {name} has not begun; begin it with: salt-run klp.run {name}"
    store = commands.Commands(master.opts, None).store
    store.begin(name)
    assert master.run("pause", name)["retcode"] == 0
    assert master.run("run", name)["retcode"] == 5
    assert master.run("status", name)["retcode"] == 5
    assert master.fleet.sent == {}
    assert master.run("resume")["campaigns"] == [], "what a person paused only a person resumes"
    assert master.run("resume", name)["retcode"] == 0
    assert master.run("resume")["text"] == "nothing to resume"
    assert master.refused("abort", name) == f"campaign {name} is over (done)"


def test_a_pause_that_nobody_has_read_yet_is_resumed_too(master):
    name = master.plan()
    commands.Commands(master.opts, None).store.begin(name)
    assert master.run("pause", name)["retcode"] == 0
    assert master.run("resume", name)["retcode"] == 0


def test_resume_takes_up_what_was_interrupted(master):
    name = master.plan()
    store = commands.Commands(master.opts, None).store
    store.begin(name)
    with store.driving(name):
        assert master.run("resume")["campaigns"] == []
        assert "another process drives campaign" in master.refused("run", name)
        assert master.run("status", name)["retcode"] == 8
    answer = master.run("resume")
    assert (answer["retcode"], answer["campaigns"]) == (0, [name])


def test_an_aborted_campaign_is_ended_at_once_where_nobody_drives_it(master):
    name = master.plan()
    commands.Commands(master.opts, None).store.begin(name)
    answer = master.run("abort", name)
    assert (answer["retcode"], answer["campaign"]["why"]) == (4, "aborted by sudo_anna")
    assert master.fleet.sent == {}


def test_a_wish_is_for_the_process_that_drives(master):
    name = master.plan()
    store = commands.Commands(master.opts, None).store
    store.begin(name)
    with store.driving(name):
        answer = master.run("abort", name)
    assert answer["retcode"] == 0
    assert "the process that drives it does the rest" in answer["text"]


def test_the_status_is_watched_until_the_end(master, monkeypatch, capsys):
    name = master.plan()
    command = commands.Commands(master.opts, None)
    command.store.begin(name)
    with command.store.driving(name) as journal:
        journal.append({"what": "begin", "at": 1})
        journal.append({"what": "open", "at": 2, "wave": 0})

        def sleep(seconds):
            if seconds == 2:  # others are those of a lock
                journal.append({"what": "end", "at": 3, "result": "expired"})

        monkeypatch.setattr(commands.time, "sleep", sleep)
        assert master.run("status", name, watch=2)["retcode"] == 7
    assert "running" in capsys.readouterr().out
    assert master.refused("status", name, watch="often") == "watch: wanted seconds from 1 to 3600, found 'often'"


def test_without_plans_the_status_says_what_to_do(master):
    assert master.run("status")["text"] == "no plans yet; make one with: salt-run klp.plan"
    master.plan()
    assert [item["state"] for item in master.run("status")["campaigns"]] == ["plan"]


def test_the_audit_counts_verdicts(master):
    master.fleet.hosts["web3"].down_until = 1e12
    answer = master.run("audit")
    assert answer["retcode"] == 2
    assert {host: item["verdict"] for host, item in answer["hosts"].items()} == {
        **dict.fromkeys(("web0", "web1", "web2"), "blocked"),
        "web3": "unreachable",
    }
    for host in master.fleet.hosts.values():
        host.edition, host.down_until = NEW, 0
    assert master.run("audit")["retcode"] == 0


def test_a_folder_that_cannot_be_made_is_said(master, tmp_path):
    (tmp_path / "file").write_text("")
    master.opts["klp_folder"] = str(tmp_path / "file")
    assert "make it for the user of the master: install -d -m 0700 -o root " in master.refused("status")


def test_a_master_that_is_gone_is_waited_for_and_then_said(master, monkeypatch):
    name, tries = master.plan(), []

    def send(*args):
        tries.append(args)
        raise turning.GoneError("the master does not take jobs")

    monkeypatch.setattr(master.fleet, "send", send)
    monkeypatch.setattr(master.fleet, "ask", send)
    monkeypatch.setattr(turning.time, "monotonic", lambda: 100.0 * len(tries))
    answer = master.run("run", name)
    assert (answer["retcode"], answer["error"]) == (9, "the master does not take jobs")
    assert "salt-run klp.resume" in answer["text"]
    assert len(tries) > 1
