"""Campaigns of kind kernel over hosts of any kind, with people and accidents in between: what holds of all of them."""

from __future__ import annotations

import collections
import random
import tempfile

import pytest

from _runners.klp import decide, journal
from tests.simulation import campaign
from tests.simulation.chance import EVENTS, SHARES, SOAKS, Play, some_case
from tests.simulation.kernel_oracle import KernelWatcher, restarts
from tests.simulation.kernel_world import KernelHost, KernelWorld

FAULTS: list[dict] = [
    {"falls_back": True},
    {"never": True},
    {"sick": True},
    {"sick": True, "stuck": "no way back"},
    *({"boots": seconds} for seconds in (5.0, 600.0, 2400.0, 5000.0)),
    *({"deaf": number} for number in (1, 2, 9)),
    {"mute": 1},
    {"stuck_down": True},
    {"says_no": "hook site.drain failed"},
    *({"by_others": seconds} for seconds in (0.5, 20.0, 400.0, 40000.0)),
    *({"twice": seconds} for seconds in (1.0, 50.0, 3000.0)),
    *({"dies": phase, "down": down} for phase in range(3) for down in (5.0, 900.0)),
    *({kind: True} for kind in ("loses", "loses_back")),
    *({"absent": seconds, "queues": queues} for seconds in (10.0, 2000.0, 10.0**7) for queues in (True, False)),
    {"bad": "klp-preflight: /boot is too full"},
    {"slow_answer": 40.0},
    *({"conflicts": number} for number in (1, 4)),
    *({"ails": seconds} for seconds in (1.0, 400.0)),
    {"nonsense": "Traceback (most recent call last):"},
    {"finds": None},
]
WINDOWS: list[dict] = [
    {},
    {},
    {"open": [{"from": "08:00", "to": "10:00"}]},
    {"open": [{"from": "22:00", "to": "23:30"}], "freeze": ["2027-01-16"]},
]


class Year(Play):
    """A campaign of kind kernel."""

    JUDGE = KernelWatcher


def some_year(dice):
    """Return hosts and settings of a campaign, and what happens at which step of it."""
    hosts, chosen, plot = some_case(dice)
    share = dice.choice([0, 0.05, 0.15, 0.4])
    reboot = dice.random() < 0.75
    for name, (seconds, old) in hosts.items():
        fault = dict(dice.choice(FAULTS)) if dice.random() < share else {}
        kept = {key: old[key] for key in ("group", "apart", "hooks")}
        others = {} if reboot or dice.random() < 0.1 else {"by_others": dice.choice([10.0, 900.0, 50000.0])}
        hosts[name] = (min(seconds, 900.0), {**others, **fault, **kept})
    chosen.update(reboot=reboot, windows=dice.choice(WINDOWS), batch=dice.choice(SHARES))
    chosen["soak"]["minutes"] = dice.choice(SOAKS)
    chosen["limits"].update(restart=dice.choice([15, 30, 60]), duration=dice.choice([20, 60]))
    return hosts, chosen, [(at, event) for at, event in plot if event in EVENTS or event[0] == "clock"]


def judge(case):
    """Play a campaign and look at all that is left of it."""
    hosts, given, plot = case
    world = KernelWorld([KernelHost(name, seconds, **dict(faults)) for name, (seconds, faults) in hosts.items()])
    made = campaign.plan(world, "kernel", **given)
    with tempfile.TemporaryDirectory(dir=campaign.MEMORY) as folder:
        there = Year(folder, world, made, plot)
        found = there.run()
        entries = journal.read(there.store.path(made["id"], "journal"))
    watch = there.watch
    assert restarts(world, watch) == []
    assert entries == watch.entries and found.result == watch.over
    assert {host: item.stage for host, item in found.hosts.items()} == watch.stage
    for wave in found.waves:
        stages = collections.Counter(item.stage for item in found.hosts.values() if item.wave == wave.number)
        assert +wave.counts == stages
    return found


@pytest.mark.parametrize("block", range(0, 120, 60))
def test_many_years_keep_their_promises_and_end(block):
    dice = [random.Random(seed) for seed in range(block, block + 60)]  # noqa: S311
    results = collections.Counter(judge(some_year(one)).result for one in dice)
    assert set(results) == set(decide.RESULTS), results
