"""
A kill at any moment changes nothing in the end: of the process that drives, of minions, of the master.

The driver is a process of its own, with its real journal, locks and files. It is killed with SIGKILL at every single
request to the hosts, before and after it is carried out, around and in the middle of every line of the journal, and at
moments that only the wall clock chooses. Then the campaign is driven again, and must end as if nothing had happened.
"""

from __future__ import annotations

import collections
import random
import signal
import time

import pytest

from _runners.klp import journal
from tests.simulation import killing
from tests.simulation.cases import Case

DOWN = (0, 0, 45, 150, 1200, 9000)  # seconds for which nobody drives after a kill; the last one is beyond host_timeout
SEEDS = range(20261127, 20261131)
FAULTS: dict[str, dict] = {
    "good": {},
    "gate": {"h02": {"bad": "klp-verify: not verified"}},
    "dies": {"h02": {"dies": 2}},
    "back": {"h02": {"bad": "klp-verify: not verified"}, "h03": {"dies_back": 1}},
}
KILLS: collections.Counter = collections.Counter()


@pytest.fixture(scope="module", params=list(FAULTS))
def case(request):
    found = Case(FAULTS[request.param], (1, 5) if request.param == "good" else (1,))
    yield found
    found.folder.cleanup()


@pytest.fixture(scope="module", autouse=True)
def summary(request):
    """Print one line at the end: how many kills."""
    begun = time.monotonic()
    yield
    line = ", ".join(f"{number} {what}" for what, number in sorted(KILLS.items()))
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        spent = time.monotonic() - begun
        print(f"\nkills: {sum(KILLS.values())} in {spent:.0f} s: {line} (seeds {SEEDS[0]} to {SEEDS[-1]})")


def test_the_cases_are_what_their_names_say(case):
    stages = collections.Counter(item[4] for item in case.wanted["hosts"].values())
    if case.faults in (FAULTS["good"], FAULTS["dies"]):
        assert case.wanted["result"] == "done" and stages == {"verified": 8} and not case.wanted["quarantine"]
    else:
        assert case.wanted["result"] == "stopped" and stages == {"verified": 3, "failed": 1, "waiting": 4}
        assert collections.Counter(case.wanted["back"].values()) == {"back": 3, None: 5}
        assert len(case.wanted["quarantine"]) == 1


def test_the_driver_is_killed_at_every_request(case):
    """What time it is changes nothing in the world: one kill at such a request is enough."""
    for number, name in enumerate(case.names):
        for phase in ("before", "after")[: 1 if name == "now" else 2]:
            there, world = case.store(), case.world()
            child = case.start(there, world)
            died = child.serve(lambda at, when, here=(number, phase): (at, when) == here)
            assert died == -signal.SIGKILL and len(child.names) == number + 1
            KILLS["of the driver at a request"] += 1
            assert case.recover(there, world, DOWN[number % len(DOWN)]) == case.wanted


def test_the_driver_is_killed_at_every_line_of_the_journal(case):
    for number in range(1, case.entries + 1):
        for when in ("before", "half", "after"):
            there, world = case.store(), case.world()
            assert case.start(there, world, when, number).serve() == -signal.SIGKILL
            KILLS["of the driver at its journal"] += 1
            whole = len(journal.read(there.path(case.plan["id"], "journal")))
            assert whole == (number if when == "after" else number - 1)
            assert case.recover(there, world, DOWN[number % len(DOWN)]) == case.wanted


def test_a_second_driver_does_nothing_and_says_so(case):
    """Whoever comes while another process drives, at whatever moment, asks nothing, writes nothing, and is told."""
    for number in range(1, case.requests, max(1, case.requests // 5)):
        there, world = case.store(), case.world()
        seen: list = []

        def second(at, when, here=number, there=there, world=world, seen=seen):
            if (at, when) == (here, "before"):
                before = there.entries(case.plan["id"])
                other = case.start(there, world)
                seen += [other.serve(), other.names, there.entries(case.plan["id"]) == before]
            return False

        assert case.start(there, world).serve(second) == 0
        assert seen == [killing.BUSY, [], True]
        assert case.end(there, world) == case.wanted


@pytest.mark.parametrize("seed", SEEDS)
def test_drivers_are_killed_again_and_again_by_the_wall_clock(case, seed):
    dice = random.Random(seed)  # noqa: S311
    there, world = case.store(), case.world()
    begun, whole = time.monotonic(), case.start(there, world)
    assert whole.serve() == 0
    spent = time.monotonic() - begun
    there, world, kills = case.store(), case.world(), 0
    while kills < 12 and case.start(there, world).serve(seconds=dice.uniform(0, spent / 3)):
        kills += 1
        world.advance(dice.choice(DOWN[:-1]))
    KILLS["of drivers by the wall clock"] += kills
    assert case.recover(there, world) == case.wanted


@pytest.mark.parametrize("phase", range(5))
def test_a_minion_is_killed_in_every_phase_of_its_run(case, phase):
    for number in range(8):
        name = f"h{number:02}"
        there, world = case.store(), case.world()
        world.hosts[name].faults.update({"dies": phase, "dies_back": min(phase, 2), "down": DOWN[number % 5]})
        child = case.start(there, world)
        at = (37 * number + 11 * phase) % case.requests
        child.serve(lambda number, when, at=at: number == at)
        found = case.recover(there, world, DOWN[(number + phase) % 5])
        KILLS["of a minion, and of the driver too"] += 1 + bool(world.hosts[name].started)
        assert found["result"] == case.wanted["result"] and found["quarantine"] == case.wanted["quarantine"]
        if case.wanted["result"] == "stopped":  # whoever is cut off when nobody may be started any more
            assert found["hosts"].pop(name)[0] == case.wanted["hosts"][name][0]
            assert found["back"].pop(name) in ("back", "stays", None)
        assert all(case.wanted["hosts"][one] == end for one, end in found["hosts"].items())
        assert all(case.wanted["back"][one] == end for one, end in found["back"].items())


@pytest.mark.parametrize("seconds", [3, 40, 200])
def test_the_master_is_killed_at_any_time(case, seconds):
    for moment in range(0, 480, 12):
        there, world = case.store(), case.world()
        world.out(moment, seconds)
        KILLS["of the master"] += 1
        assert case.recover(there, world) == case.wanted


def test_the_master_takes_a_job_and_dies_before_it_says_so(case):
    for unsure in range(1, 4):
        there, world = case.store(), case.world()
        world.unsure = unsure
        KILLS["of the master"] += unsure
        assert case.recover(there, world) == case.wanted
