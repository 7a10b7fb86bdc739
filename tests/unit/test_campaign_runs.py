"""Driving while hosts run: answers, those that are lost, late or of no use, and runs that are cut off."""

import pytest

from _runners.klp import driving, looking
from tests.simulation.game import Game
from tests.simulation.world import NEW, START

WORN = "its run was cut off 3 times; when the reason is found, finish it with state.apply klp.patch on this host"


@pytest.fixture
def game(tmp_path):
    """Make a campaign: ``game({"h1": {faults}}, settings...)``, or so many hosts without any."""

    def make(hosts=1, **klp_campaign):
        named = {f"h{number}": {} for number in range(1, hosts + 1)} if isinstance(hosts, int) else hosts
        return Game(tmp_path / "klp", named, **klp_campaign)

    return make


def test_what_a_host_says_at_the_end_decides(game):
    played = game({"h1": {}, "h2": {"bad": "no"}, "h3": {"nonsense": 7}}, limits={"failed": 2})
    assert played.go().result == "incomplete"
    assert [played.of(name) for name in played.plan["hosts"]] == [
        ("verified", None),
        ("failed", "no"),
        ("failed", "its answer is not understood: 7"),
    ]


def test_an_answer_that_nobody_heard_is_looked_up(game):
    played = game({"h1": {"loses": True}})
    assert played.go().result == "done" and len(played.world.hosts["h1"].started) == 1


def test_an_answer_to_a_job_counts_for_nobody_who_did_not_get_it(game):
    played = game(2, batch=1)
    answers = played.world.answers
    played.world.answers = lambda jid, hosts: {**answers(jid, hosts), "h2": {"return": ["no"]}, "h9": {"return": 7}}
    with played.driver() as driver:
        played.until(driver, "ended")
        assert driver.campaign.hosts["h2"].stage == "ready" and played.entries[-2]["hosts"] == {"h1": None}


def running(played):
    """Return the moments at which hosts were asked whether they run, from now on."""
    moments: list = []
    played.before_ask = lambda fun: moments.append(played.world.time) if fun == looking.RUNNING else None
    return moments


def test_who_is_ready_is_started_before_others_are_looked_after(game):
    played = game({"h1": {}, "h2": {}, "h3": {}}, batch=2)
    played.world.hosts["h1"].seconds = 600.0
    with played.driver() as driver:
        while played.whats().count("ready") < 2:
            played.world.wait(driver.step() or 0)
        played.world.advance(100)
        driver.next_look, asked = 0.0, running(played)
        assert driver.step() == 0 and played.whats()[-1] == "start" and asked == []
        assert driver.step() == 30 and len(asked) == 1


def test_looks_that_take_long_are_rare(game):
    played = game({"h1": {"dies": 1, "down": 10.0**7}}, limits={"unreachable": 1, "host_timeout": 1000})
    asked = running(played)
    played.go()
    pauses = [after - before for before, after in zip(asked, asked[1:], strict=False)]
    assert asked[0] > START + 30 and len(asked) > 5 and min(pauses) >= 30 + 3 * 30


def test_a_run_that_was_cut_off_is_begun_again(game):
    played = game({"h1": {"dies": 2}})
    assert played.go().result == "done" and played.found.hosts["h1"].attempt == 2
    host = played.world.hosts["h1"]
    assert host.transactions == ["curl", NEW] and len(host.backups) == 1


def test_a_run_that_is_cut_off_again_and_again_is_given_up(game):
    played = game(1)
    host = played.world.hosts["h1"]
    step = played.world._phase

    def dies(host, jid, number):
        if number == 1:
            played.world.kill(host, 10.0)
        step(host, jid, number)

    played.world._phase = dies
    assert played.go().result == "stopped" and len(host.started) == 3
    assert played.of("h1") == ("failed", WORN)


def test_after_hours_without_a_driver_those_that_were_cut_off_are_begun_again(game):
    """The first look counted as too little to be sure, and as enough to give the host up, since its time was over."""
    played = game({"h1": {"dies": 2}, "h2": {"loses": True}, "h3": {}})
    with played.driver() as driver:
        played.until(driver, "start")
    played.world.advance(3 * 3600)
    assert played.go().result == "done"
    assert [item.attempt for item in played.found.hosts.values()] == [2, 1, 1]


@pytest.mark.parametrize("says", [[], "no"])
def test_a_host_that_denies_everything_is_not_waited_for_for_ever(game, says):
    """Now it does not run, now it says nonsense, always so that one more look seems to be worth it."""
    played = game({"h1": {"nonsense": 1, "says": "no"}}, limits={"host_timeout": 300})
    host = played.world.hosts["h1"]
    host.faults.pop("says")

    def talk(fun):
        if fun == looking.RUNNING:
            host.faults["finds"] = says if host.faults.get("finds") != says else ["?"]
            host.job = host.job or ("0", "klp.patch", {"run": "x", "campaign": {}})

    host.seconds = 10.0**6
    played.before_ask = talk
    assert played.go().result == "stopped" and played.world.time < START + 600


def test_an_answer_that_comes_while_the_host_is_asked_for_it_counts(game):
    played = game({"h1": {"bad": "no", "slow_answer": 15.0}})
    played.world.hosts["h1"].seconds = 20.0

    def takes_long(fun):
        if fun == driving.SUMMARY and played.world.sent:
            played.world.advance(20)

    played.after_ask = takes_long
    with played.driver() as driver:
        played.until(driver, "start")
        driver.misses["h1"] = 1
        played.until(driver, "ended")
    assert len(played.world.hosts["h1"].started) == 1


def test_what_was_known_of_an_earlier_job_is_forgotten(game):
    played = game(1)
    with played.driver() as driver:
        driver.misses["h1"], driver.alive = 1, {"h1"}
        played.until(driver, "start")
        assert not driver.misses["h1"] and not driver.alive


def test_a_host_that_runs_too_long_has_failed_and_its_late_success_counts(game):
    played = game({"h1": {}, "h2": {}}, limits={"host_timeout": 300, "failed": 1}, soak={"minutes": [30]})
    played.world.hosts["h2"].seconds = 900.0
    with played.driver() as driver:
        played.until(driver, "overdue")
        assert driver.campaign.hosts["h2"].why == "it has not ended within 300 seconds and still runs"
    assert played.go().result == "done" and played.of("h2") == ("verified", None)


def test_a_host_that_falls_silent_is_unreachable_counts_as_failed_and_may_answer_late(game):
    faults = {"bad": "no", "slow_answer": 1000.0}
    limits = {"host_timeout": 300, "unreachable": 1, "failed": 1}
    played = game({"h1": {}, "h2": faults}, limits=limits, soak={"minutes": [30]})
    with played.driver() as driver:
        played.until(driver, "start")
        played.world.hosts["h2"].down_until = START + 10.0**7
        played.until(driver, "unreachable")
        assert driver.campaign.hosts["h2"].why == "no answer within 300 seconds"
    assert played.go().result == "incomplete" and played.of("h2") == ("failed", "no")


def test_a_host_that_was_started_and_is_never_heard_of_again_stops_the_campaign(game):
    """A live patch that hangs hosts went on to the next ones as long as ten percent of the wave were unreachable."""
    hosts = {"h01": {"dies": 2, "down": 10.0**7}, **{f"h{number:02}": {} for number in range(2, 21)}}
    played = game(hosts, batch=2, limits={"unreachable_percent": 10, "look": 10})
    assert played.go().result == "stopped" and played.of("h01")[0] == "unreachable"
    assert (
        played.found.stopped["why"]
        == "wave one: 1 of 20 hosts failed (1 of them fell silent after their start), limit 0"
    )
    begun = max(at for host in played.world.hosts.values() for at, _, _ in host.started)
    assert begun <= START + 600 + 200, "nobody was started after it had been silent for ten minutes"


def test_a_host_that_says_nonsense_when_it_is_asked_what_became_of_its_run_has_failed(game):
    played = game({"h1": {"loses": True}})
    with played.driver() as driver:
        played.until(driver, "start")
        played.world.hosts["h1"].faults["says"] = "no"
    assert played.go().result == "stopped" and played.of("h1") == ("failed", "no")


def test_a_host_that_does_something_else_after_its_run_was_cut_off_is_waited_for(game):
    played = game({"h1": {"dies": 1, "down": 5.0}})
    with played.driver() as driver:
        played.until(driver, "start")
        played.world.hosts["h1"].other_until = START + 1000
    assert played.go().result == "done" and played.world.hosts["h1"].clashes == 0
    (lost,) = (entry for entry in played.entries if entry["what"] == "lost")
    assert lost["at"] >= START + 1000, "it may be its run under another name: nobody knows before it is quiet there"


def test_a_host_that_is_slow_to_begin_is_not_begun_twice(game):
    """However often it is looked at: two looks in two seconds tell no more than one."""
    played = game(1, limits={"look": 1})
    receive = played.world._receive
    played.world._receive = lambda host, *args: played.world._at(played.world.time + 8, receive, host, *args)
    assert played.go().result == "done"
    assert played.found.hosts["h1"].attempt == 1 and played.world.hosts["h1"].clashes == 0


class Killed(BaseException):
    """The end of a driver."""


@pytest.mark.parametrize(("times", "result"), [(1, "done"), (2, "stopped")])
def test_a_run_that_was_written_down_and_never_sent_does_not_count(game, monkeypatch, times, result):
    played = game(1, limits={"attempts": 1})
    send = played.world.send
    for _ in range(times):
        with pytest.raises(Killed), played.driver() as driver:
            monkeypatch.setattr(played.world, "send", lambda *args: (_ for _ in ()).throw(Killed()))
            played.until(driver, "end")
    monkeypatch.setattr(played.world, "send", send)
    assert played.go().result == result and played.whats().count("unsent") == 1
    assert len(played.world.hosts["h1"].started) == (result == "done")


@pytest.mark.parametrize(("conflicts", "result"), [(1, "done"), (3, "done"), (4, "stopped")])
def test_a_run_that_meets_other_states_is_tried_again(game, conflicts, result):
    """A highstate that began a second before the run was a failed host, and stopped the whole fleet."""
    played = game({"h1": {"conflicts": conflicts}, "h2": {}})
    assert played.go().result == result
    assert played.found.hosts["h1"].attempt == 1 and len(played.world.hosts["h1"].started) == (result == "done")
    if result == "stopped":
        assert played.of("h1")[1] == 'The function "state.apply" is running as PID 1 and was started before'


def test_a_run_that_could_not_begin_is_not_tried_again_when_the_campaign_has_stopped(game):
    played = game({"h1": {"conflicts": 1}, "h2": {"bad": "no"}})
    played.world.hosts["h2"].seconds, receive = 20.0, played.world._receive

    def slowly(host, *args):
        played.world._at(played.world.time + (40 if host.name == "h1" else 0), receive, host, *args)

    played.world._receive = slowly
    assert played.go().result == "stopped" and played.found.hosts["h1"].stage == "failed"
    assert not played.world.hosts["h1"].started
