"""Driving after runs: how waves are watched; several drivers in one process; a master that is away."""

import pytest
from salt.exceptions import CommandExecutionError

from _runners.klp import turning
from tests.simulation.game import Game
from tests.simulation.world import NEW, OLD, START, state_summary


@pytest.fixture
def game(tmp_path):
    """Make a campaign: ``game({"h1": {faults}}, settings...)``, or so many hosts without any."""

    def make(hosts=1, **klp_campaign):
        named = {f"h{number}": {} for number in range(1, hosts + 1)} if isinstance(hosts, int) else hosts
        return Game(tmp_path / "klp", named, **klp_campaign)

    return make


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        ({"oops": True}, "kernel log: BUG: unable to handle page fault"),
        ({"panics": True}, "it was started again"),
        ({"restless": True}, "the transition of the live patch has not ended"),
    ],
)
def test_a_wave_is_watched(game, faults, why):
    played = game({"h1": {}, "h2": faults}, soak={"minutes": [1, 5]})
    assert played.go().result == "stopped"
    assert played.of("h2") == ("failed", f"after its run: {why}") and played.of("h1") == ("verified", None)
    assert played.store.quarantine()[0]["edition"] == NEW


def test_services_have_to_run(game):
    played = game(1, soak={"minutes": [1], "services": ["sshd"]})
    with played.driver() as driver:
        played.until(driver, "patched")
        said = state_summary(played.world, played.world.hosts["h1"], services=["sshd"], application=True)
        said["health"]["services"]["sshd"], said["time"] = False, int(START + 10**6)
        played.world.hosts["h1"].faults["says"] = said
    assert played.go().result == "stopped" and played.of("h1") == ("failed", "after its run: service sshd does not run")


ILL = "command shop: exit 1: no answer"


def test_an_application_that_falls_ill_stops_its_wave_and_takes_it_back(game):
    """h2 falls ill when its run has ended; h1 and it go back, and then it is well. Nobody else was started."""
    hosts = {"h1": {}, "h2": {"ill": 60.0}, "h3": {}, "h4": {}}
    played = game(hosts, batch=1, soak={"minutes": [1]}, on_failure="rollback", limits={"look": 30})
    assert played.go().result == "stopped"
    assert played.of("h2") == ("failed", f"after its run: {ILL}")
    assert [len(host.started) for host in played.world.hosts.values()] == [2, 2, 2, 0]
    assert {item.edition for item in played.world.hosts.values()} == {OLD}
    assert played.store.quarantine()[0]["edition"] == NEW


def test_an_application_that_is_ill_at_the_end_of_a_run_fails_it(game):
    played = game({"h1": {}, "h2": {"ill": 0.0}}, batch=1, on_failure="rollback")
    assert played.go().result == "stopped" and played.of("h2") == ("failed", ILL)
    assert {item.edition for item in played.world.hosts.values()} == {OLD}


def test_a_host_that_looks_at_its_application_for_long_is_waited_for(game):
    played = game({"h1": {"patience": 200}}, soak={"minutes": [1]}, presence={"timeout": 1})
    assert played.go().result == "done" and played.of("h1") == ("verified", None)


def test_who_is_gone_is_not_given_the_time_that_commands_may_take(game):
    played = game({"h1": {}, "h2": {"patience": 300}}, soak={"minutes": [1]}, presence={"timeout": 1})
    with played.driver() as driver:
        played.until(driver, "patched")
        ended, played.world.hosts["h2"].down_until = played.world.time, 10.0**12
    played.go()
    (seen,) = [entry["at"] for entry in played.entries if entry["what"] == "checked"]
    assert played.of("h2")[0] == "unreachable" and seen - ended < 70


def test_a_host_that_says_nothing_of_its_application_is_not_well(game):
    played = game(1, soak={"minutes": [1]})
    with played.driver() as driver:
        played.until(driver, "patched")
        said = dict(state_summary(played.world, played.world.hosts["h1"]), time=int(START + 10**6))
        played.world.hosts["h1"].faults["says"] = said
    assert played.go().result == "stopped"
    assert played.of("h1") == ("failed", "after its run: nothing is known of its application")


@pytest.mark.parametrize(("away", "stage"), [(0.5, "verified"), (10.0**7, "unreachable")])
def test_who_is_silent_after_its_run_is_asked_twice(game, away, stage):
    played = game(2, soak={"minutes": [1]}, limits={"unreachable": 1}, presence={"timeout": 1})
    with played.driver() as driver:
        played.until(driver, "patched")
        played.world.advance(59.9)
        played.world.hosts["h2"].down_until = played.world.time + away + 0.2
    played.go()
    assert played.of("h2")[0] == stage
    assert stage == "verified" or played.of("h2")[1] == "after its run: it does not answer any more"


def test_nonsense_after_the_run_is_a_failure(game):
    played = game(2, soak={"minutes": [1]})
    with played.driver() as driver:
        played.until(driver, "patched")
        played.world.hosts["h2"].faults["says"] = []
    why = "its answer is not understood: wanted a mapping of certain keys, found a list of 0 values"
    assert played.go().result == "stopped" and played.of("h2")[1] == f"after its run: {why}"


# -- several drivers, and a master that is away -------------------------------------------------------------------


class Step:
    """A driver that does what it is told."""

    def __init__(self, *naps):
        self.naps, self.hands, self.waited = list(naps), self, []

    def step(self):
        nap = self.naps.pop(0)
        if isinstance(nap, Exception):
            raise nap
        return nap

    def wait(self, seconds):
        self.waited.append(seconds)


def test_drivers_take_turns():
    first, second = Step(0, 5, 0, None), Step(7, 3, None)
    turning.turn([first, second])
    assert (first.naps, second.naps, first.waited, second.waited) == ([], [], [3], [])
    turning.turn([])


def test_a_master_that_is_away_is_waited_for_and_not_for_ever(monkeypatch):
    clock = iter([1.0, 1.0, 300.0, 400.0, 400.0, 701.0])
    monkeypatch.setattr(turning.time, "monotonic", lambda: next(clock))
    said: list = []
    gone = turning.GoneError("is salt-master running?")
    driver = Step(gone, gone, 0, gone, gone, 1)
    with pytest.raises(turning.GoneError):
        turning.turn([driver], said.append)
    assert said == ["is salt-master running?"] * 3 and driver.waited == [5, 5, 5] and driver.naps == [1]


def test_a_master_that_is_away_in_between_changes_nothing(game):
    played = game({"h1": {}, "h2": {"slow_answer": 5.0}})
    with played.driver() as driver:
        played.until(driver, "start")
        played.world.out(20, 120)
        while not driver.campaign.over:
            try:
                nap = driver.step()
            except turning.GoneError as exc:
                nap, said = turning.PAUSE, str(exc)
            if nap:
                played.world.wait(nap)
    assert driver.campaign.result == "done" and said == "the master does not take jobs"
    assert [len(host.started) for host in played.world.hosts.values()] == [1, 1]


def test_what_cannot_be_written_down_is_not_done(game, monkeypatch):
    played = game(1)
    with played.driver() as driver:
        played.until(driver, "ready")

        def full(entry):
            raise CommandExecutionError("journal: cannot be written (No space left on device); nothing was done")

        monkeypatch.setattr(driver.journal, "append", full)
        with pytest.raises(CommandExecutionError, match="No space left"):
            driver.step()
    assert not played.world.sent and played.go().result == "done"
