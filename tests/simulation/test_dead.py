"""Hosts that die in the middle of their run and never come back cost themselves, and not the time of all others."""

import tempfile

import pytest

from tests.simulation import campaign
from tests.simulation.oracle import Watcher
from tests.simulation.world import START, SimHost, World

ANYTHING = {"failed": 10**6, "unreachable": 10**6}


def spent(share):
    """Return how many seconds the hosts that live have taken."""
    faults = [{"dies": 2, "down": 10.0**7} if share and number % share == 0 else {} for number in range(400)]
    world = World([SimHost(f"h{number:03}", 60.0 + number % 97, **fault) for number, fault in enumerate(faults)])
    ended, found = driven(world, waves=[{"name": "all"}], batch=40)
    assert found.counts()["unreachable"] == sum(map(bool, faults))
    return ended


def driven(world, **klp_campaign):
    """Drive a campaign to its end; return after how many seconds the last host had ended, and how it went."""
    made = campaign.plan(world, soak={"minutes": []}, limits=ANYTHING, **klp_campaign)
    watch = Watcher(made, world)
    with tempfile.TemporaryDirectory(dir=campaign.MEMORY) as folder:
        found = campaign.go(campaign.saved(folder, made), made["id"], world, watch)
    return [entry["at"] for entry in watch.entries if entry["what"] == "ended"][-1] - START, found


@pytest.mark.parametrize("share", [100, 40, 20])
def test_a_few_dead_hosts_do_not_hold_up_the_others(share):
    """
    With one dead host in each of four jobs the looks at them took longer than what ready hosts had said is good for:
    nobody was started any more until the dead ones were given up, hours later.
    """
    assert spent(share) < 1.7 * spent(0)


def test_a_dead_host_does_not_hold_up_the_waves_that_follow():
    """A wave waited for the verdict on its dead hosts, two hours by default."""
    hosts = [
        SimHost(f"h{number:03}", 60.0, **({"dies": 2, "down": 10.0**7} if number in (3, 25) else {}))
        for number in range(100)
    ]
    waves = [{"name": f"w{number}", "take": 20} for number in range(4)]
    ended, found = driven(World(hosts), waves=[*waves, {"name": "rest"}], batch=20)
    assert ended < 3 * 900 and found.counts() == {"verified": 98, "unreachable": 2}
