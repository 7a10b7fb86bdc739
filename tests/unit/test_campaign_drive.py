"""Driving up to the beginning of runs: what a driver makes of what hosts say, over simulated ones."""

import itertools

import pytest

from _runners.klp import decide
from tests.simulation import campaign
from tests.simulation.game import ONE, Game
from tests.simulation.world import NEW, OLD, PACKAGE, START, SimHost, World


@pytest.fixture
def game(tmp_path):
    """Make a campaign: ``game({"h1": {faults}}, settings...)``, or so many hosts without any."""

    def make(hosts=1, **klp_campaign):
        named = {f"h{number}": {} for number in range(1, hosts + 1)} if isinstance(hosts, int) else hosts
        return Game(tmp_path / "klp", named, **klp_campaign)

    return make


def test_a_campaign_is_driven_to_its_end(game):
    played = game(3)
    found = played.go()
    assert found.result == "done" and {host.edition for host in played.world.hosts.values()} == {NEW}
    steps = [what for what, _ in itertools.groupby(played.whats())]
    assert steps == ["begin", "open", "ready", "start", "ended", "patched", "passed", "end"]
    assert [what for what, _ in played.world.told] == played.whats()
    assert played.store.entries(played.plan["id"]) == played.entries
    sent = list(played.world.sent.values())
    assert (
        sent[0]["fun"] == "state.apply" and sent[0]["arg"] == ["klp.patch"] and sent[0]["hosts"] == ["h1", "h2", "h3"]
    )
    assert sent[0]["kwarg"]["pillar"]["klp"]["campaign"]["start_by"] == played.entries[3]["by"]
    with played.driver() as driver:
        assert driver.step() is None


def test_a_rollback_is_driven_as_well(tmp_path):
    world = World([SimHost("h1", edition="4-1"), SimHost("h2", edition="4-1", loses=True)])
    found = campaign.whole(tmp_path, world, kind="rollback", waves=ONE, batch=2, soak={"minutes": [1]})
    assert found.result == "done" and {host.edition for host in world.hosts.values()} == {NEW}
    assert [len(host.transactions) for host in world.hosts.values()] == [1, 1]


def test_naps_end_when_hosts_have_to_be_looked_after(game):
    played = game(1, soak={"minutes": [10]})
    with played.driver() as driver:
        played.until(driver, "start")
        assert driver.step() == 30
        played.until(driver, "patched")
        assert driver.step() == 300


@pytest.mark.parametrize("want", ["pause", "abort"])
def test_a_wish_of_the_last_moment_starts_nobody(game, monkeypatch, want):
    """It comes after the decision to start hosts, and before the lock in which they are started."""
    played = game(2)
    with played.driver() as driver:
        played.until(driver, "ready")
        decided: list = []
        decide_step = decide.step

        def step(*args):
            todo = decide_step(*args)
            if todo["do"] == "start" and not decided:
                decided.append(todo)
                played.wish(want)
            return todo

        monkeypatch.setattr(decide, "step", step)
        driver.step()
    assert decided and played.whats()[-1] == want and not played.world.sent


# -- before a run -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "stage", "why"),
    [
        ({"absent": 10.0**7}, "absent", "it did not answer when it was its turn"),
        ({"says": "no"}, "refused", "no"),
        (
            {"says": ["x"] * 10**6},
            "refused",
            "its answer is not understood: it is too large (more than 1000000 characters)",
        ),
        ({"busy": 10.0**7}, "refused", "it was busy with state.highstate 1 for 7218 seconds"),
    ],
)
def test_who_is_not_started(game, faults, stage, why):
    played = game({"h1": {}, "h2": faults}, limits={"failed": 1, "unreachable": 1})
    assert played.go().result == "incomplete" and played.of("h2") == (stage, why) and played.of("h1")[0] == "verified"
    assert not played.world.hosts["h2"].started


def test_who_has_drifted_from_the_plan_is_refused(game):
    played = game(2, limits={"failed": 1})
    played.world.hosts["h2"].edition = "9-9"
    played.go()
    assert played.of("h2") == ("refused", f"its live patch is 9-9 now, the plan was made with {OLD}; make a new plan")


def test_a_busy_host_is_waited_for(game):
    played = game({"h1": {"busy": 1000.0}})
    assert played.go().result == "done" and played.world.time > START + 1000


def test_how_long_a_host_was_busy_is_forgotten_when_it_is_not(game):
    """It had been busy once; when it was asked again after a pause and was busy again, it was refused at once."""
    played = game({"h1": {"busy": 100.0}}, limits={"host_timeout": 1000})
    with played.driver() as driver:
        played.until(driver, "ready")
        played.wish("pause")
        played.until(driver, "waiting")
        played.world.advance(1000)
        played.world.hosts["h1"].other_until = played.world.time + 200
        played.wish("resume")
        played.until(driver, "end")
    assert driver.campaign.result == "done" and played.whats().count("ready") == 2


def test_a_host_that_was_away_has_a_second_chance(game):
    played = game({"h1": {}, "h2": {"absent": 500.0}}, limits={"unreachable": 1}, presence={"late": 600})
    assert played.go().result == "done" and played.found.waves[1].name == "late"
    assert played.of("h2") == ("verified", None)


def test_a_wave_may_be_called_late(game):
    """The moment until which late hosts are waited for was not known then, and the driver died of that."""
    played = game({"h1": {}, "h2": {"absent": 10.0**7}}, waves=[{"name": "late"}], limits={"unreachable": 1})
    assert played.go().result == "incomplete" and played.of("h2")[0] == "absent"


def test_the_health_of_a_host_is_that_before_its_first_run(game):
    """It was started again while the campaign was paused, before its run: that is nobody's fault."""
    played = game(1, soak={"minutes": [1]})
    with played.driver() as driver:
        played.until(driver, "ready")
        played.wish("pause")
        assert driver.step() == 0 and driver.step() is None
        played.world.hosts["h1"].boot = "boot-2"
        played.wish("resume")
    assert played.whats()[-2:] == ["pause", "waiting"]
    assert played.go().result == "done"


def test_a_host_that_restarts_in_mid_run_has_failed_and_is_not_begun_again(game):
    """A live patch that made the kernel panic did so three times on each host."""
    played = game({"h1": {"dies": 3}})
    with played.driver() as driver:
        played.until(driver, "start")
        played.world.hosts["h1"].boot = "boot-2"
    assert played.go().result == "stopped"
    assert played.of("h1") == ("failed", "it restarted in the middle of its run (another boot id)")
    assert len(played.world.hosts["h1"].started) == 1 and played.store.quarantine()[0]["edition"] == NEW


def test_a_host_that_may_restart_in_mid_run_is_begun_again_and_looked_at(game):
    played = game({"h1": {"dies": 3}}, soak={"minutes": [1]}, on_restart="again")
    with played.driver() as driver:
        played.until(driver, "start")
        played.world.hosts["h1"].boot = "boot-2"
    assert played.go().result == "stopped" and played.of("h1") == ("failed", "after its run: it was started again")
    assert len(played.world.hosts["h1"].started) == 2


def test_who_would_get_a_live_patch_that_is_in_quarantine_by_now_is_not_started(game):
    """A campaign that ran beside the one that had failed went on installing the live patch that had done the harm."""
    played = game(3, batch=1)
    with played.driver() as driver:
        played.until(driver, "ended")
        played.store.ban([{"package": PACKAGE, "edition": NEW}], "c0ffee", "it hurts", played.world.time)
    assert played.go().result == "stopped" and [len(host.started) for host in played.world.hosts.values()] == [1, 0, 0]
    why = f"live patch {NEW} is in quarantine since campaign c0ffee; see salt-run klp.quarantined, and make a new plan"
    assert played.of("h2") == ("refused", why)


def test_a_way_back_brings_what_is_in_quarantine_all_the_same(game):
    played = game(1, level="previous")
    with played.driver() as driver:
        driver.plan = dict(driver.plan, kind="rollback")
        played.store.ban([{"package": PACKAGE, "edition": NEW}], "c0ffee", "it hurts", played.world.time)
        assert driver._banned(["h1"]) == {}


def test_a_host_that_falls_silent_counts_as_failed_until_it_speaks(game):
    played = game({f"h{number}": {} for number in range(1, 7)}, batch=2, limits={"look": 10})
    played.world.hosts["h1"].seconds = 3000.0
    with played.driver() as driver:
        played.until(driver, "start")
        played.world.hosts["h1"].down_until = played.world.time + 1500
        played.until(driver, "silent")
        silent = played.world.time
        played.until(driver, "spoke")
    begun = [entry["at"] for entry in played.entries if entry["what"] == "start"]
    assert START + 600 <= silent <= START + 600 + 200 and not [at for at in begun if silent < at < START + 1500]
    assert played.go().result == "done" and played.world.hosts["h1"].clashes == 0


def test_nobody_is_started_after_a_pause_however_late_it_comes(game):
    played = game(1)

    def pause(fun):
        played.before_ask = None
        played.wish("pause")

    played.before_ask = pause
    assert played.go().paused and not played.world.sent
    played.wish("resume")
    assert played.go().result == "done"


def test_a_wish_while_the_gate_is_held_is_heard_before_the_start(game, monkeypatch):
    played = game(1)
    with played.driver() as driver:
        played.until(driver, "ready")
        gate = played.store.gate

        def late(name):
            monkeypatch.setattr(played.store, "gate", gate)
            played.wish("abort")
            return gate(name)

        monkeypatch.setattr(played.store, "gate", late)
        assert driver.step() == 0
    assert played.whats()[-1] == "abort" and not played.world.sent
    assert played.go().result == "aborted" and played.found.hosts["h1"].attempt == 0
