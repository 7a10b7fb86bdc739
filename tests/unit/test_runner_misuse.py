"""The runner klp cannot be misused silently: wrong arguments, Ctrl-C, and users whom Salt does not let give the job."""

import importlib

import pytest
import salt.minion

from _runners.klp import turning
from tests.simulation.world import NEW, OLD
from tests.unit.loader import functions

STATE, LOOK = "state.apply", "klp_audit.state_summary"


def salt_run(master, name, *words):
    """Call a public function as ``salt-run klp.NAME WORDS`` does, with Salt's own reading of the words."""
    function = getattr(master.runner, name)
    read = importlib.import_module("salt.utils.args").parse_input(list(words))
    args, kwargs = salt.minion.load_args_and_kwargs(function, read, {"user": "anna", "jid": "1"})
    return master.refused(name, *args, **kwargs)


WRONG = [
    ("run", ["id=c3f2a9c01d4e"], "klp.run does not know the argument id; it takes: campaign, kind, pillar, wait"),
    ("run", ["plan=c3f2a9c01d4e"], "klp.run does not know the argument plan; it takes: campaign, kind, pillar, wait"),
    ("run", ["a", "b", "c", "d", "e"], "klp.run was given 5 arguments; it takes: campaign, kind, pillar, wait"),
    ("run", ["a", "campaign=b"], "klp.run was given campaign twice; it takes: campaign, kind, pillar, wait"),
    ("pause", [], "klp.pause needs campaign; see what is there with: salt-run klp.status"),
    ("release", ["p"], "klp.release needs edition; see what is there with: salt-run klp.status"),
    ("cve", [], "klp.cve needs cve; for example: salt-run klp.cve CVE-2026-31431"),
    ("quarantined", ["x"], "klp.quarantined was given 1 argument; it takes: none"),
    ("status", ["a=1", "b=2"], "klp.status does not know the argument a, b; it takes: campaign, watch"),
]


@pytest.mark.parametrize(("name", "words", "sentence"), WRONG)
def test_wrong_arguments_are_refused_with_exit_code_1(master, name, words, sentence):
    """Salt shows the documentation of a function for them and exits with 0 (salt/runner.py, Runner.run)."""
    assert salt_run(master, name, *words) == sentence
    assert master.fleet.sent == {}


def test_every_public_function_refuses_what_it_does_not_know(master):
    for name in functions(master.runner, "klp"):
        assert "does not know the argument dry_run" in salt_run(master, name.partition(".")[2], "dry_run=True")


def test_what_salt_itself_hands_over_is_no_argument(master):
    """``__pub_user`` and others come with orchestrations, ``__jid__`` and others with external auth."""
    assert master.run("status", __pub_user="anna", __jid__="1")["retcode"] == 0


def test_a_plan_is_run_as_what_it_is(master):
    name = master.plan()
    sentence = f"plan {name} is a patch, not a rollback; make another one with: salt-run klp.plan KIND"
    assert master.refused("run", name, "rollback") == sentence
    assert master.refused("run", name, 7) == "kind: wanted patch, rollback or kernel, found 7"
    assert master.refused("run", name, pillar={}) == f"pillar is for a plan that is made here; plan {name} has its own"
    assert master.fleet.sent == {}
    assert master.run("run", name, "patch")["retcode"] == 0
    back = master.run("plan", "rollback")["plan"]["id"]
    assert "is a rollback, not a patch" in master.refused("run", back, "patch")


@pytest.mark.parametrize("watch", [-1.5, float("nan"), float("inf"), 4000, "often"])
def test_nobody_waits_for_nonsense(master, watch):
    assert "watch: wanted seconds from 1 to 3600" in master.refused("status", master.plan(), watch=watch)


# -- Ctrl-C ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[SystemExit("\nExiting gracefully on Ctrl-c\n"), KeyboardInterrupt()], ids=["salt", "python"])
def signal(request):
    """What a signal raises: Salt's handler for SIGINT and SIGTERM the first (salt/scripts.py, _handle_interrupt)."""
    return request.param


@pytest.mark.parametrize("after", [False, True])
def test_a_signal_leaves_a_campaign_that_goes_on(master, there, monkeypatch, signal, after):
    """Before and after the job has left the master: nobody is started twice."""
    name, send, left = master.plan(), master.fleet.send, [signal]

    def stop(*args):
        if after:
            send(*args)
        if left:
            raise left.pop()
        if not after:
            send(*args)

    monkeypatch.setattr(master.fleet, "send", stop)
    answer = master.run("run", name)
    assert answer["retcode"] == 9
    assert answer["text"].endswith(f"The journal has all that was done; go on with: salt-run klp.resume {name}")
    assert not there.driven(name), "nobody else is kept from it"
    assert master.run("resume")["retcode"] == 0
    runs = [host for job in master.fleet.sent.values() for host in job["hosts"] if job["fun"] == STATE]
    assert sorted(runs) == sorted(master.fleet.hosts)


def test_a_signal_to_who_drives_several_names_none_of_them(master, there, monkeypatch, signal):
    for one in (master.plan(target="web0"), master.plan(target="w*", exclude=["web0"])):
        there.begin(one)

    def stop(*args):
        raise signal

    monkeypatch.setattr(master.fleet, "wait", stop)
    assert master.run("resume")["text"].endswith("go on with: salt-run klp.resume")


def test_a_signal_to_who_only_looks_is_a_sentence_too(master, monkeypatch, signal):
    def stop(*args):
        raise signal

    monkeypatch.setattr(master.fleet, "ask", stop)
    answer = master.run("plan")
    assert answer["retcode"] == 1 and answer["text"].startswith("stopped by a signal; no campaign was driven; ")


# -- users whom Salt does not let do it --------------------------------------------------------------------------


@pytest.fixture
def denied(master, monkeypatch):
    """Functions that Salt lets nobody run, as ``publisher_acl_blacklist`` does."""
    found: list = []
    send, ask = master.fleet.send, master.fleet.ask

    def refuse(fun):
        if fun in found:
            raise turning.RefusedError(f"Salt does not let user anna run {fun}")

    monkeypatch.setattr(master.fleet, "send", lambda jid, to, fun, *more: refuse(fun) or send(jid, to, fun, *more))
    monkeypatch.setattr(master.fleet, "ask", lambda hosts, fun, *more: refuse(fun) or ask(hosts, fun, *more))
    return found


@pytest.mark.parametrize("function", ["test.ping", "saltutil.sync_all", "klp_audit.run_preview"])
def test_a_plan_that_salt_refuses_is_a_sentence(master, there, denied, function):
    denied.append(function)
    master.fleet.hosts["web1"].faults["code"] = "other"
    assert master.refused("plan") == f"Salt does not let user anna run {function}"
    assert there.ids() == []


@pytest.mark.parametrize("function", [STATE, LOOK])
def test_a_start_that_salt_refuses_counts_for_no_host(master, there, denied, function):
    """However often the scheduler tries: the hosts have done nothing, so no gate fails and nothing is quarantined."""
    name = master.plan()
    denied.append(function)
    for command in (("run", name), *[("resume",)] * 5):
        answer = master.run(*command)
        assert answer["retcode"] == 9
        assert f"campaign {name} has to wait: Salt does not let user anna run {function}" in answer["text"]
        assert f"go on with: salt-run klp.resume {name}" in answer["text"]
    assert master.fleet.sent == {} and there.quarantine() == []
    status = master.run("status", name)
    assert status["campaign"]["waves"][0]["running"] == 0, "it is known that nobody runs"
    denied.clear()
    assert master.run("resume")["retcode"] == 0
    assert {host.edition for host in master.fleet.hosts.values()} == {NEW}
    assert len(master.fleet.sent) == 3


def test_a_way_back_that_salt_refuses_is_gone_later(master, there, denied, monkeypatch):
    master.fleet.hosts["web0"].faults["bad"] = "klp-verified: failed: not active"
    name, send = master.plan(on_failure="rollback"), master.fleet.send

    def refuse(jid, hosts, fun, arg, *more):
        if denied and arg == ["klp.rollback"]:
            raise turning.RefusedError(denied[0])
        return send(jid, hosts, fun, arg, *more)

    monkeypatch.setattr(master.fleet, "send", refuse)
    denied.append("no")
    assert master.run("run", name)["retcode"] == 9
    assert master.fleet.hosts["web0"].edition == NEW
    assert there.entries(name)[-1]["what"] == "again"
    denied.clear()
    assert master.run("resume")["retcode"] == 3
    assert master.fleet.hosts["web0"].edition == OLD
