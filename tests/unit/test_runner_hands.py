"""What reaches the hosts: Salt's client, job cache and bus, each replaced at its edge."""

from typing import Any

import pytest
from salt.exceptions import (
    AuthenticationError,
    AuthorizationError,
    EauthAuthenticationError,
    SaltClientError,
    SaltReqTimeoutError,
)

from _runners.klp import hands, turning

OPTS = {"sock_dir": "/nowhere", "master_job_cache": "some"}


class Bus:
    """An event bus: events that come one by one."""

    def __init__(self):
        self.events: list = []
        self.fired: list = []
        self.waits: list = []
        self.destroyed = False

    def get_event(self, wait, tag, full):
        assert (tag, full) == ("salt/job/", True)
        self.waits.append(wait)
        return self.events.pop(0) if self.events else None

    def fire_event(self, data, tag):
        self.fired.append((tag, data))

    def destroy(self):
        self.destroyed = True


class Minion:
    """What loads the job cache."""

    def __init__(self, cache):
        self.returners = {"some.get_jid": lambda jid: cache.get(jid, {})}
        self.destroyed = False

    def destroy(self):
        self.destroyed = True


class Client:
    """Salt's client."""

    sent: list = []
    error: Exception | None = None

    def __init__(self, mopts):
        assert mopts is OPTS

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return None

    def run_job(self, hosts, fun, **kwargs):
        if Client.error:
            raise Client.error
        print("No minions matched the target. No command was sent, no jid was assigned.")
        Client.sent.append((hosts, fun, kwargs))
        return {}


@pytest.fixture
def salty(monkeypatch):
    """Hands over a bus, a client, a clock and a job cache that the test fills."""
    buses: list = []
    cache: dict = {}
    clock = [1000.0]
    Client.sent, Client.error = [], None

    def get_event(kind, opts, sock_dir, listen):
        assert (kind, opts, sock_dir, listen) == ("master", OPTS, "/nowhere", True)
        buses.append(Bus())
        return buses[-1]

    def sleep(seconds):
        clock[0] += seconds

    minion = Minion(cache)
    monkeypatch.setattr(hands.salt.utils.event, "get_event", get_event)
    monkeypatch.setattr(hands.salt.minion, "MasterMinion", lambda opts, states, rend: minion)
    monkeypatch.setattr(hands.salt.client, "LocalClient", Client)
    monkeypatch.setattr(hands.salt.utils.jid, "gen_jid", lambda opts: f"J{len(Client.sent)}")
    monkeypatch.setattr(hands.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(hands.time, "sleep", sleep)
    found: Any = hands.Hands(OPTS, "0123456789ab")
    found.buses, found.cache, found.clock, found.minion = buses, cache, clock, minion
    return found


def event(jid, host):
    return {"tag": f"salt/job/{jid}/ret/{host}", "data": {}}


def test_a_job_has_the_id_that_was_written_down(salty, capsys):
    salty.send("J", {"web1": None}, "state.apply", ["klp.patch"], {"pillar": {}})
    assert Client.sent == [
        (
            ["web1"],
            "state.apply",
            {"arg": ["klp.patch"], "kwarg": {"pillar": {}}, "tgt_type": "list", "jid": "J", "timeout": 30},
        )
    ]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("error", [SaltClientError("no"), SaltReqTimeoutError("late"), OSError("gone")])
def test_a_master_that_takes_no_jobs_is_gone(salty, error):
    Client.error = error
    with pytest.raises(turning.GoneError, match="is salt-master running"):
        salty.send("J", ["web1"], "test.ping", [])


@pytest.mark.parametrize("kind", [AuthenticationError, AuthorizationError, EauthAuthenticationError])
def test_what_salt_lets_a_user_not_do_is_no_master_that_is_gone(salty, kind):
    """As its client raises them (salt/client/__init__.py, pub and _check_pub_data)."""
    Client.error = kind("Authorization error occurred.")
    said = r"run state.apply on web1 and 2 more \(Authorization error occurred.\): the master options publisher_acl, "
    with pytest.raises(turning.RefusedError, match=said):
        salty.send("J", ["web1", "web2", "web3"], "state.apply", ["klp.patch"])


def test_answers_are_those_of_the_hosts_that_are_asked_for(salty):
    salty.cache["J"] = {"web1": {"return": 1}, "evil": {"return": 2}}
    assert salty.answers("J", {"web1": None, "web2": None}) == {"web1": {"return": 1}}


def test_a_slow_job_cache_is_left_alone_for_a_while(salty):
    def slow(jid):
        salty.clock[0] += 2
        return salty.cache.get(jid, {})

    salty._get_jid = slow
    salty.cache["J"] = {"web1": {"return": 1}}
    assert salty.answers("J", ["web1"])
    assert salty.answers("J", ["web1"]) == {}
    salty.clock[0] += 21
    assert salty.answers("J", ["web1"])


def test_a_question_ends_with_the_last_answer(salty):
    salty.buses[0].events = [event("J0", "web1")]
    salty.cache["J0"] = {"web1": {"return": "a"}, "web2": "old form"}
    assert salty.ask(["web1", "web2"], "test.ping", [], 30) == {"web1": "a", "web2": "old form"}
    assert Client.sent[0][:2] == (["web1", "web2"], "test.ping")


def test_an_answer_with_a_bad_exit_code_is_an_answer(salty):
    """``klp.verify`` and ``klp_audit.host`` end with 1 for any verdict but ok; what they returned is what counts."""
    salty.buses[0].events = [event("J0", "web1")]
    salty.cache["J0"] = {"web1": {"return": {"verdict": "failed"}, "retcode": 1, "success": False}}
    assert salty.ask(["web1"], "klp.verify", [], 30) == {"web1": {"verdict": "failed"}}


def let_time_pass(salty):
    """Let every look at the bus take as long as it may."""
    get_event = salty.buses[0].get_event

    def wait(**kwargs):
        salty.clock[0] += kwargs["wait"]
        return get_event(**kwargs)

    salty.buses[0].get_event = wait


@pytest.mark.parametrize("late", ["J0", "J1"])
@pytest.mark.parametrize("fun", hands.LIGHT)
def test_who_is_silent_at_half_time_is_asked_again_and_any_answer_counts(salty, fun, late):
    """After a restart of the master an answer may be lost, or the question."""
    let_time_pass(salty)

    def get_jid(jid):
        found = {"web1": {"return": "a"}} if jid == "J0" else {}
        return {**found, "web2": {"return": "b"}} if jid == late and len(Client.sent) == 2 else found

    salty._get_jid = get_jid
    begun = salty.clock[0]
    assert salty.ask(["web1", "web2"], fun, [1], 30) == {"web1": "a", "web2": "b"}
    assert [(hosts, named, given["arg"]) for hosts, named, given in Client.sent] == [
        (["web1", "web2"], fun, [1]),
        (["web2"], fun, [1]),
    ]
    assert 15 <= salty.clock[0] - begun < 17


def test_a_question_that_is_not_light_is_asked_once(salty):
    let_time_pass(salty)
    assert salty.ask(["web1"], "klp_audit.run_preview", [], 30) == {}
    assert len(Client.sent) == 1


def test_a_question_ends_at_its_deadline(salty):
    let_time_pass(salty)
    salty.buses[0].events = [event("other", "web1")]
    begun = salty.clock[0]
    assert salty.ask(["web1"], "test.ping", [], 30) == {}
    assert 30 <= salty.clock[0] - begun < 32


def test_waiting_ends_with_an_answer_or_in_time_for_a_person(salty):
    salty.buses[0].events = [{"tag": "salt/job/J/new", "data": {}}, event("J", "web1")]
    salty.wait(300)
    assert all(wait <= hands.WISH for wait in salty.buses[0].waits)
    assert len(salty.buses) == 1, "the bus that speaks is kept"

    def silent(**kwargs):
        salty.clock[0] += kwargs["wait"]

    salty.buses[0].get_event = silent
    begun = salty.clock[0]
    salty.wait(300)
    assert salty.clock[0] - begun < 2 * hands.WISH
    assert salty.buses[0].destroyed and len(salty.buses) == 2, "a bus that is silent may be that of a dead master"


def test_news_of_a_job_whose_cache_rests_are_waited_for(salty):
    salty._news.add("J")
    salty._next["J"] = salty.clock[0] + 3
    begun = salty.clock[0]
    salty.wait(300)
    assert salty.clock[0] - begun == 3
    assert salty._news == set()


def test_steps_are_told_on_the_bus(salty):
    salty.tell("end", {"what": "end", "n": 7})
    many = {f"web{number}": None for number in range(1200)}
    salty.tell("ended", {"what": "ended", "hosts": many})
    salty.tell("gate", {"what": "gate", "back": list(many)})
    (tag, data), (_, long), (_, gate) = salty.buses[0].fired
    assert (len(gate["back"]), gate["more"]) == (1000, 200)
    assert tag == "salt-klp/0123456789ab/end"
    assert data == {"what": "end", "n": 7, "campaign": "0123456789ab"}
    assert (len(long["hosts"]), long["more"]) == (1000, 200)


def test_what_was_opened_is_let_go(salty):
    salty.close()
    assert salty.buses[0].destroyed and salty.minion.destroyed
    salty._minion = object()  # before Salt 3008
    salty.close()


def test_the_clock_is_that_of_the_machine(salty, monkeypatch):
    monkeypatch.setattr(hands.time, "time", lambda: 5.0)
    assert salty.now() == 5.0
    assert salty.ticks() == salty.clock[0]
