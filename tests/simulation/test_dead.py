"""Hosts that die in the middle of their run and never come back cost themselves, and not the time of all others."""

import tempfile

import pytest

from tests.simulation import campaign
from tests.simulation.oracle import Watcher
from tests.simulation.world import START, SimHost, World

ANYTHING = {"failed": 10**6, "unreachable": 10**6}


def spent(share):
    """Return how many seconds the hosts that live have taken, and how the campaign went."""
    faults = [{"dies": 2, "down": 10.0**7} if share and number % share == 0 else {} for number in range(400)]
    world = World([SimHost(f"h{number:03}", 60.0 + number % 97, **fault) for number, fault in enumerate(faults)])
    made = campaign.plan(world, waves=[{"name": "all"}], batch=40, soak={"minutes": []}, limits=ANYTHING)
    watch = Watcher(made, world)
    with tempfile.TemporaryDirectory(dir=campaign.MEMORY) as folder:
        found = campaign.go(campaign.saved(folder, made), made["id"], world, watch)
    ended = [entry["at"] for entry in watch.entries if entry["what"] == "ended"]
    assert sum(item.stage == "unreachable" for item in found.hosts.values()) == sum(map(bool, faults))
    return ended[-1] - START


@pytest.mark.parametrize("share", [100, 40, 20])
def test_a_few_dead_hosts_do_not_hold_up_the_others(share):
    """
    With one dead host in each of four jobs the looks at them took longer than what ready hosts had said is good for:
    nobody was started any more until the dead ones were given up, hours later.
    """
    assert spent(share) < 2 * spent(0)
