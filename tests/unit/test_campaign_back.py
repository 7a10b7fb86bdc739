"""When a gate has failed: who goes back, who stays and why, and what keeps people in charge of it."""

import pytest

from tests.simulation.game import Game
from tests.simulation.world import NEW, OLD, START


@pytest.fixture
def game(tmp_path):
    """Make a campaign of which the host h9 fails, with others that have these faults; it goes back then."""

    def make(hosts, **klp_campaign):
        return Game(tmp_path / "klp", {**hosts, "h9": {"bad": "no"}}, on_failure="rollback", **klp_campaign)

    return make


def backs(played):
    return {name: item.back for name, item in played.found.hosts.items()}


def test_all_hosts_of_the_wave_go_back(game):
    played = game({"h1": {}, "h2": {}})
    assert played.go().result == "stopped" and set(backs(played).values()) == {"back"}
    hosts = played.world.hosts.values()
    assert {(host.edition, host.held) for host in hosts} == {(OLD, OLD)}
    assert {tuple(host.transactions) for host in hosts} == {("curl", NEW, OLD)}
    assert played.store.quarantine() == [
        {
            "package": played.plan["hosts"]["h1"]["package"],
            "edition": NEW,
            "campaign": played.plan["id"],
            "since": played.found.stopped["at"],
            "why": "wave one: 1 of 3 hosts failed, limit 0",
        }
    ]


def test_a_lost_answer_of_a_host_that_has_gone_back_is_no_reason_to_say_that_it_stays(game):
    """It has gone back, nobody heard it, it was asked, had the old live patch, and "stayed"."""
    played = game({"h1": {"loses_back": True}})
    played.go()
    assert backs(played) == {"h1": "back", "h9": "back"} and played.world.hosts["h1"].transactions == ["curl", NEW, OLD]


@pytest.mark.parametrize("phase", range(3))
def test_a_way_back_that_is_cut_off_is_begun_again(game, phase):
    played = game({"h1": {"dies_back": phase}})
    played.go()
    assert backs(played) == {"h1": "back", "h9": "back"} and played.world.hosts["h1"].clashes == 0


def test_a_way_back_that_is_cut_off_again_and_again_is_given_up(game):
    played = game({"h1": {}})
    step = played.world._phase

    def dies(host, jid, number):
        if host.name == "h1" and host.job and host.job[1] == "klp.rollback":
            played.world.kill(host, 5.0)
        step(host, jid, number)

    played.world._phase = dies
    played.go()
    assert backs(played) == {"h1": "stays", "h9": "back"} and len(played.world.hosts["h1"].started) == 4
    assert played.of("h1") == ("verified", "going back: cut off 3 times")


def test_a_host_that_does_not_get_back_says_why(game):
    played = game({"h1": {"bad": "no", "stuck": "klp-settled: blocked by h1"}}, limits={"failed": 1})
    played.go()
    assert backs(played) == {"h1": "stays", "h9": "back"}
    assert played.of("h1") == ("failed", "no; going back: klp-settled: blocked by h1")


def test_a_way_back_that_meets_other_states_is_tried_again(game):
    played = game({"h1": {}})
    with played.driver() as driver:
        played.until(driver, "quarantine")
        played.world.hosts["h1"].faults["conflicts"] = 1
    played.go()
    assert backs(played) == {"h1": "back", "h9": "back"} and played.found.hosts["h1"].backs == 2


@pytest.mark.parametrize(
    ("change", "back", "why"),
    [
        ({"says": "no"}, "stays", "going back: no"),
        ({"down_until": START + 10**7}, "stays", "going back: it does not answer"),
        ({"down_until": START + 1000}, "back", None),
        ({"other_until": START + 10**7}, "stays", "going back: it is busy with something else"),
        ({"other_until": START + 1000}, "back", None),
        ({"edition": "9-9"}, "stays", None),
    ],
)
def test_who_does_not_go_back_and_why(game, change, back, why):
    played = game({"h1": {}})
    with played.driver() as driver:
        played.until(driver, "quarantine")
        host = played.world.hosts["h1"]
        for key, value in change.items():
            host.faults.update({key: value}) if key == "says" else setattr(host, key, value)
    played.go()
    assert (backs(played)["h1"], played.found.hosts["h1"].why) == (back, why) and backs(played)["h9"] == "back"


def test_a_way_back_that_takes_too_long_is_given_up(game):
    played = game({"h1": {}}, limits={"host_timeout": 300})
    with played.driver() as driver:
        played.until(driver, "quarantine")
        played.world.hosts["h1"].seconds = 10000.0
    played.go()
    assert played.of("h1") == ("verified", "going back: it has not ended within 300 seconds and still runs")
    assert backs(played) == {"h1": "stays", "h9": "back"}


def test_after_a_pause_nobody_goes_back_until_it_is_resumed(game):
    """The promise is that no host is started after a pause; the way back did not keep it."""
    played = game(
        {f"h{number}": {} for number in range(8)}, batch=4, waves=[{"name": "a", "hosts": ["h9"]}, {"name": "b"}]
    )
    played = game({"h1": {}, "h2": {}}, batch=1, limits={"failed": 0})
    played.world.hosts["h9"].faults.clear()
    played.world.hosts["h2"].faults["bad"] = "no"
    with played.driver() as driver:
        played.until(driver, "back")
        played.wish("pause")
    assert played.go().paused and not played.found.over
    assert list(backs(played).values()) == ["back", "back waiting", None] and played.whats().count("back") == 1
    assert played.store.driven(played.plan["id"]) is False
    played.wish("resume")
    assert played.go().result == "stopped" and list(backs(played).values()) == ["back", "back", None]


@pytest.mark.parametrize(("want", "wanted"), [("pause", "back waiting"), ("abort", "stays")])
def test_a_wish_that_comes_while_hosts_are_asked_is_heard_before_they_go_back(game, want, wanted):
    played = game({"h1": {}})
    with played.driver() as driver:
        played.until(driver, "quarantine")

        def wish(fun):
            played.after_ask = None
            played.wish(want)

        played.after_ask = wish
    played.go()
    assert set(backs(played).values()) == {wanted} and "back" not in played.whats()


def test_after_an_abort_what_goes_back_is_finished_and_nobody_else_goes(game):
    played = game({"h1": {}, "h2": {"bad": "no"}}, batch=1)
    with played.driver() as driver:
        played.until(driver, "back")
        played.wish("abort")
    assert played.go().result == "stopped" and backs(played) == {"h1": "back", "h2": "stays", "h9": None}
    assert played.of("h2") == ("failed", "no; going back: aborted by anna")


def test_after_an_abort_a_way_back_that_was_cut_off_is_not_begun_again(game):
    played = game({"h1": {"dies_back": 1}, "h2": {}})
    with played.driver() as driver:
        played.until(driver, "back")
        played.wish("abort")
    assert played.go().result == "stopped" and backs(played) == {"h1": "stays", "h2": "back", "h9": "back"}
    assert played.of("h1") == ("verified", "going back: cut off, and aborted by anna")


def test_an_abort_while_hosts_run_sends_nobody_back(game):
    played = game({"h1": {}})
    with played.driver() as driver:
        played.until(driver, "start")
        played.wish("abort")
    assert played.go().result == "aborted" and set(backs(played).values()) == {None}
    assert played.store.quarantine() == [] and {item.stage for item in played.found.hosts.values()} == {
        "verified",
        "failed",
    }


def test_a_ban_that_was_not_written_into_the_journal_is_not_made_twice(game):
    played = game({"h1": {}})
    with played.driver() as driver:
        played.until(driver, "gate")
        played.store.ban(driver.campaign.stopped["suspects"], played.plan["id"], "before the kill", 0)
    played.go()
    assert [item["why"] for item in played.store.quarantine()] == ["before the kill"]
