"""The clock of the master: it jumps, or is off, and no host is started, failed or given up for that."""

import pytest

from _runners.klp import show
from tests.simulation.game import Game

HOURS = 3600.0
DAY = 24 * HOURS


@pytest.fixture
def game(tmp_path):
    """Make a campaign over so many hosts."""

    def make(hosts=6, **klp_campaign):
        named = hosts if isinstance(hosts, dict) else {f"h{number}": {} for number in range(1, hosts + 1)}
        return Game(tmp_path / "klp", named, **klp_campaign)

    return make


def step(played, driver):
    nap = driver.step()
    if nap:
        played.world.wait(nap)
    return nap


@pytest.mark.parametrize("jump", [-DAY, -100.0, 100.0, 3 * HOURS, 40 * DAY])
def test_hosts_that_run_while_the_clock_jumps_are_neither_overdue_nor_silent_for_that(game, jump):
    played = game(2)
    with played.driver() as driver:
        played.until(driver, "start")
        played.world.skew = jump
        for _ in range(3):
            step(played, driver)
        played.world.skew = 0.0
        while step(played, driver) is not None:
            pass
        assert driver.campaign.result == "done"
    assert [entry["by"] for entry in played.entries if entry["what"] == "clock"] == [jump, -jump]
    assert not {"overdue", "unreachable", "silent", "lost"} & set(played.whats())


@pytest.mark.parametrize("jump", [-29.0, 29.0])
def test_a_clock_that_is_slewed_has_not_jumped(game, jump):
    played = game(2)
    with played.driver() as driver:
        played.until(driver, "start")
        played.world.skew = jump
        played.until(driver, "end")
    assert "clock" not in played.whats()


def test_hosts_that_were_ready_are_asked_again_after_a_jump(game):
    played = game(2)
    with played.driver() as driver:
        played.until(driver, "ready")
        played.world.skew = 5 * HOURS
        driver.step()
        assert played.whats()[-2:] == ["clock", "off"] and driver.campaign.waves[0].ready == {}
        assert "start" not in played.whats()


def test_a_host_that_is_dead_is_given_up_as_late_as_without_the_jump(game):
    played = game({"h1": {"dies": 1, "down": 1e9}, "h2": {}}, limits={"host_timeout": 1000})
    begun = played.world.time
    with played.driver() as driver:
        played.until(driver, "start")
        played.world.skew = -DAY
        step(played, driver)
        played.world.skew = DAY
        step(played, driver)
        played.world.skew = 0.0
        played.until(driver, "unreachable")
    assert 1000 <= played.world.time - begun < 1300


def test_looks_come_as_late_after_the_run_as_without_the_jump(game):
    played = game(2, soak={"minutes": [10]})
    with played.driver() as driver:
        played.until(driver, "ended")
        ended = played.world.time
        played.world.skew = 2 * HOURS
        played.until(driver, "checked")
    assert 599 <= played.world.time - ended < 700


def test_many_hosts_with_another_time_mean_that_it_is_the_master(game):
    """All of them were refused, each for its own clock, and the gate closed."""
    played = game(3)
    played.world.skew = 120.0
    with played.driver() as driver:
        for _ in range(40):
            step(played, driver)
        assert played.whats() == ["begin", "open", "off"], "said once"
        assert (
            show.state(driver.campaign, True)
            == "waiting until the clock of this master is set right (chronyc makestep)"
        )
        assert {item.stage for item in driver.campaign.hosts.values()} == {"waiting"}
        played.world.skew = 0.0
        while step(played, driver) is not None:
            pass
        assert driver.campaign.result == "done" and driver.campaign.off is None


def test_one_host_with_another_time_is_off_itself_and_others_are_asked_for_the_time(game):
    played = game(6, batch=1)
    said: dict = {}
    played.after_ask = lambda fun: None
    ask = played.ask

    def asked(hosts, fun, arg, timeout):
        found = ask(hosts, fun, arg, timeout)
        said.setdefault(fun, []).append(sorted(hosts))
        if "h1" in found and fun == "klp_audit.state_summary":
            found["h1"] = dict(found["h1"], time=int(played.world.time) - 500)
        return found

    played.ask = asked
    found = played.go()
    assert found.hosts["h1"].stage == "refused" and found.hosts["h1"].why.startswith("its clock is off by more than 60")
    assert said["klp_audit.state_summary"][1] == ["h2", "h3", "h4", "h5", "h6"]


def test_the_first_of_many_hosts_is_not_refused_for_the_clock_of_the_master(game):
    played = game(6, batch=1)
    played.world.skew = -700.0
    with played.driver() as driver:
        step(played, driver)
        for _ in range(4):
            step(played, driver)
    assert [what for what in played.whats() if what != "clock"] == ["begin", "open", "off"]


def test_hosts_go_back_when_the_clock_of_the_master_is_right_again(game):
    played = game({"h1": {"bad": "its transition does not end"}, "h2": {}}, on_failure="rollback")
    with played.driver() as driver:
        played.until(driver, "gate")
        played.world.skew = -HOURS
        for _ in range(10):
            step(played, driver)
        assert "back" not in played.whats() and "off" in played.whats()
        played.world.skew = 0.0
        while step(played, driver) is not None:
            pass
    assert {item.back for item in driver.campaign.hosts.values()} == {"back"}


def test_a_clock_that_was_set_back_while_nobody_drove_is_seen(game):
    played = game(2)
    with played.driver() as driver:
        played.until(driver, "start")
    played.world.skew = -DAY
    with played.driver() as driver:
        driver.step()
        assert played.entries[-1]["what"] == "clock" or "clock" in played.whats()
        played.world.skew = 0.0
        while step(played, driver) is not None:
            pass
        assert driver.campaign.result == "done"
    assert "overdue" not in played.whats()


def test_a_jump_while_hosts_are_asked_is_seen_before_anybody_is_started(game):
    played = game(2)

    def jump(fun):
        played.world.skew = 2 * HOURS

    with played.driver() as driver:
        played.until(driver, "open")
        played.after_ask = jump
        driver.step()
        assert "ready" not in played.whats() and "refused" not in played.whats()
        played.after_ask = None
        driver.step()
        assert "clock" in played.whats()
