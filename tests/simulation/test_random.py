"""Campaigns of any kind over hosts of any kind, with people and accidents in between: what holds of all of them."""

from __future__ import annotations

import collections
import random
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _runners.klp import campaign as states
from _runners.klp import decide, journal
from tests.simulation import campaign
from tests.simulation.afterwards import alone, drained, gone_back
from tests.simulation.chance import HOSTILE, Play, some_case
from tests.simulation.hours import CHANGES
from tests.simulation.oracle import Watcher
from tests.simulation.world import SimHost, World


def play(case):
    """Play a campaign; return all that is known about it."""
    hosts, given_settings, plot = case
    world = World([SimHost(name, seconds, **dict(faults)) for name, (seconds, faults) in hosts.items()])
    made = campaign.plan(world, **given_settings)
    with tempfile.TemporaryDirectory(dir=campaign.MEMORY) as folder:
        there = Play(folder, world, made, plot)
        found = there.run()
        entries = journal.read(there.store.path(made["id"], "journal"))
        quarantine = there.store.quarantine()
    return world, made, found, there.watch, entries, quarantine


def follows(made, entries):
    """What a campaign knows of hosts that are kept apart is after each entry what it would be if it was begun there."""
    found = states.Campaign(made)
    for entry in entries if made["settings"]["apart"] else []:
        found.apply(entry)
        marks = {host: found.apart._state(host) for host in found.apart.values}
        assert {host: mark for host, mark in marks.items() if mark} == {
            host: mark for host, mark in found.apart.marks.items() if mark
        }, entry


def judge(case):
    """Play a campaign and look at all that is left of it."""
    world, made, found, watch, entries, quarantine = play(case)
    assert alone(world, made) == []
    assert entries == watch.entries and found.result == watch.over
    assert {host: item.stage for host, item in found.hosts.items()} == watch.stage
    assert {host: item.attempt for host, item in found.hosts.items()} == watch.starts
    follows(made, entries)
    for wave in found.waves:
        there = collections.Counter(item.stage for item in found.hosts.values() if item.wave == wave.number)
        assert +wave.counts == there
    wanted = watch.stopped.get("suspects", []) if watch.stopped and made["settings"]["quarantine"] else []
    assert [{key: item[key] for key in ("package", "edition")} for item in quarantine] == wanted
    assert (gone_back(world, watch), drained(world, watch)) == ([], [])
    if made["settings"]["on_restart"] == "fail":
        assert not [name for name, host in world.hosts.items() if host.restarts and watch.stage.get(name) == "verified"]
    return found


@settings(max_examples=100)
@given(st.randoms(use_true_random=False))
def test_any_campaign_keeps_its_promises_and_ends(dice):
    judge(some_case(dice))


@pytest.mark.parametrize("block", range(0, 400, 100))
def test_many_campaigns_keep_their_promises_and_end(block):
    """Hypothesis likes small ones; these are of all sizes, and of all ends."""
    dice = [random.Random(seed) for seed in range(block, block + 100)]  # noqa: S311
    results = collections.Counter(judge(some_case(one)).result for one in dice)
    assert set(results) == set(decide.RESULTS), results


@pytest.mark.parametrize("zone", sorted(set(CHANGES) - {"UTC"}))
@pytest.mark.parametrize(
    ("opens", "closes", "hours"),
    [("01:30", "04:00", 2.5), ("22:00", "02:30", 4.5), ("02:15", "02:45", 0.5), ("00:00", "02:00", 2)],
)
def test_no_host_is_started_outside_of_a_window_when_clocks_are_changed(zone, opens, closes, hours):
    for change in CHANGES[zone]:
        world = World([SimHost(f"h{number:02}", 1200.0 * hours) for number in range(8)])  # about three in a window
        world.time = change - 30 * 3600.0
        rules = {"zone": zone, "open": [{"from": opens, "to": closes}]}
        made = campaign.plan(
            world, waves=[{"name": "all"}], batch=1, soak={"minutes": []}, windows=rules, limits={"look": 300}
        )
        with tempfile.TemporaryDirectory(dir=campaign.MEMORY) as folder:
            watch = Watcher(made, world)
            found = campaign.go(campaign.saved(folder, made), made["id"], world, watch)
        starts = [entry["at"] for entry in watch.entries if entry["what"] == "start"]
        assert found.result == "done" and starts[0] < change < starts[-1], "the change is in the middle of it"


@settings(max_examples=60)
@given(st.integers(2, 12), st.sampled_from(HOSTILE), st.sampled_from(["nonsense", "says", "finds"]), st.integers(0, 11))
def test_a_host_that_talks_nonsense_fails_alone(count, value, what, which):
    hosts: dict = {f"h{number:02}": (60.0, {}) for number in range(count)}
    liar = f"h{which % count:02}"
    hosts[liar] = (60.0, {what: value})
    limits = {"failed": 1, "unreachable": 1, "host_timeout": 300}
    world, made, found, *_ = play((hosts, {"waves": [{"name": "all"}], "batch": 3, "limits": limits}, []))
    stages = {host: item.stage for host, item in found.hosts.items()}
    wrong = stages.pop(liar)
    assert set(stages.values()) <= {"verified"}
    assert wrong == ("verified" if what == "finds" else "failed" if what == "nonsense" else "refused")
    assert found.result == ("done" if what == "finds" else "incomplete")
    assert all(len(str(item.why)) < 700 for item in found.hosts.values())


def test_the_answer_of_another_host_is_nobodys(tmp_path):
    world = World([SimHost("h00"), SimHost("h01"), SimHost("h02")])
    world.hosts["h01"].faults["says"] = campaign.said(world, world.hosts["h02"])
    found = campaign.whole(tmp_path, world, waves=[{"name": "all"}], batch=3, limits={"failed": 1})
    assert [item.stage for item in found.hosts.values()] == ["verified", "refused", "verified"]
    assert found.hosts["h01"].why == "its answer is of another host: h02"
