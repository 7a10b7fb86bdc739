"""Campaigns of any kind over hosts of any kind, with people and accidents in between: what holds of all of them."""

from __future__ import annotations

import collections
import random
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _runners.klp import campaign as states
from _runners.klp import decide, drive, files, journal, turning
from tests.simulation import campaign
from tests.simulation.afterwards import alone, drained, gone_back
from tests.simulation.hours import CHANGES
from tests.simulation.oracle import Watcher
from tests.simulation.world import NEW, OLDER, SimHost, World

STEPS = 4000  # no campaign of these needs more, naps not counted
HOSTILE = [
    None,
    "",
    7,
    "Traceback (most recent call last):",
    {},
    {"version": 1},
    {"version": 1, "host": "h01"},
    [["x"] * 3],
    "x" * 300000,
    {"a": {"result": "yes", "comment": 3}},
    {"klp_|-a_|-a_|-b": {"result": True, "comment": "", "__id__": "else"}},
]
FAULTS: list[dict] = [
    {"bad": "klp-verify: not verified"},
    {"bad": "klp-verify: not verified", "stuck": "no way back"},
    *({"dies": phase, "down": down} for phase in range(5) for down in (5.0, 90.0, 900.0, 9000.0)),
    *({"crashes": phase, "down": down} for phase in range(5) for down in (5.0, 200.0, 3000.0)),
    *({"loses": True, "dies_back": phase} for phase in range(3)),
    {"loses": True, "loses_back": True},
    *({"absent": seconds, "queues": queues} for seconds in (10.0, 500.0, 2000.0, 10.0**7) for queues in (True, False)),
    *({"slow_answer": seconds} for seconds in (1.0, 20.0, 40.0)),
    *({kind: value} for kind in ("nonsense", "says") for value in HOSTILE),
    *({"finds": value} for value in (None, "no", {"jid": 1}, ["x"], [{"jid": 7}])),
    *({"busy": seconds} for seconds in (100.0, 3000.0, 20000.0)),
    *({"conflicts": number} for number in (1, 2, 4)),
    *({"reboots": phase, "down": down} for phase in range(5) for down in (60.0, 900.0)),
    *({"refuses": number} for number in (1, 3)),
    *({"ails": seconds} for seconds in (1.0, 100.0, 400.0)),
    {"panics": True},
    {"oops": True},
    {"restless": True},
    *({"ill": seconds} for seconds in (0.0, 100.0, 400.0)),
    {"ill": 200.0, "patience": 40},
    {"patience": 40},
]
HAD: list[dict] = [*[{}] * 4, {"edition": OLDER}, {"edition": None}, {"edition": NEW, "behind": True}]
EVENTS = [
    *[("pause", 0), ("pause", 0), ("resume", 0), ("abort", 0)],
    *[("restart", seconds) for seconds in (0, 0, 50, 4000, 20000)],
    *[("kill", number) for number in range(0, 40, 7)],
    *[("gone", seconds) for seconds in (5, 40, 400)],
    ("unsure", 1),
    ("second", 0),
    *[("clock", seconds) for seconds in (-9000, -40, 40, 100, 4000, 90000)],
]
SHARES = [1, 2, 3, 5, 12, "1%", "10%", "25%", "50%", "100%"]
SOAKS = [[], [1], [0, 2], [1, 5, 15]]
RULES = ["FREQ=DAILY;INTERVAL=2", "FREQ=WEEKLY;BYDAY=FR,SA,MO", "FREQ=MONTHLY;BYMONTHDAY=-3,15,16,20,25"]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def some_waves(dice, names):
    waves: list = []
    for number in range(dice.choice([0, 1, 2, 3])):
        wave = {"name": f"w{number}", "take": dice.choice(SHARES)}
        if dice.random() < 0.3:
            wave["hosts"] = dice.sample(names, dice.randint(1, min(6, len(names))))
        for key, values in (("batch", SHARES), ("soak", SOAKS), ("failed", [0, 1, 3])):
            if dice.random() < 0.3:
                wave[key] = dice.choice(values)
        waves.append(wave)
    return [*waves, {"name": dice.choice(["rest", "late"])}]


def some_windows(dice):
    found = []
    for _ in range(dice.choice([0, 0, 0, 1, 2])):
        opens, closes = dice.sample([f"{hour:02}:{minute:02}" for hour in range(24) for minute in (0, 1, 30, 59)], 2)
        found.append({"from": opens, "to": closes})
        if dice.random() < 0.5:
            found[-1]["days"] = dice.sample(DAYS, dice.randint(4, 7))
        elif dice.random() < 0.3:
            found[-1].update(rrule=dice.choice(RULES), since="2027-01-13", to=dice.choice([closes, "24:00"]))
    freeze = dice.choice([[], [], ["2027-01-16", {"from": "2027-01-18", "to": "2027-01-19"}]])
    return {"freeze": freeze, "zone": dice.choice(["UTC", "Europe/Berlin", "America/New_York"]), "open": found}


def some_case(dice):
    """Return hosts and settings of a campaign, and what happens at which step of it."""
    names = [f"h{number:02}" for number in range(dice.choice([1, 2, 5, 12, 25, 40]))]
    # Few hosts with faults among many others: else each campaign ends at its first gate.
    share, pace = dice.choice([0, 0.05, 0.15, 0.4]), dice.choice([[60.0], [5.0, 61.0, 300.0], [60.0, 300.0, 4000.0]])
    faults = [dice.choice(FAULTS) if dice.random() < share else {} for _ in names]
    had = [dice.choice(HAD) for _ in names]
    hosts = {name: (dice.choice(pace), {**more, **fault}) for name, more, fault in zip(names, had, faults, strict=True)}
    clusters, many = [f"c{number}" for number in range(dice.choice([1, 3, 20]))], dice.choice([[1], [1], [0, 1, 2]])
    for name, (seconds, fault) in hosts.items():
        more = {"group": dice.choice([None, "db", "web"]), "apart": dice.choices(clusters, k=dice.choice(many))}
        hosts[name] = (seconds, {**fault, **more, "hooks": name[-1] in "13579"})
    chosen = {
        "waves": some_waves(dice, names),
        "order": dice.choice(["mixed", "mixed", "name"]),
        "apart": dice.choice(["", "", "cluster", "cluster", "klp:group"]),
        "batch": dice.choice(SHARES),
        "soak": {"minutes": dice.choice(SOAKS), "services": dice.choice([[], ["sshd"]])},
        "on_failure": dice.choice(["stop", "rollback", "rollback"]),
        "on_restart": dice.choice(["fail", "fail", "again"]),
        "quarantine": dice.random() < 0.7,
        "limits": {
            "failed": dice.choice([0, 0, 1, 3, 40]),
            "failed_percent": dice.choice([0, 0, 10, 100]),
            "unreachable": dice.choice([0, 1, 40]),
            "host_timeout": dice.choice([300, 1000, 7200]),
            "attempts": dice.choice([1, 2, 3]),
            "start_within": dice.choice([10, 300]),
            "look": dice.choice([10, 30, 30, 300]),
            "silent": dice.choice([1, 10, 10, 60]),
            "duration": dice.choice([1, 30, 336, 336]),
        },
        "presence": {"timeout": dice.choice([1, 30]), "late": dice.choice([0, 600, 8000])},
        "windows": some_windows(dice),
    }
    last = dice.choice([40, 150])
    plot = [(dice.randint(0, last), dice.choice(EVENTS)) for _ in range(dice.choice([0, 0, 2, 5, 10]))]
    plot.append((last + dice.randint(1, 50), ("clock", 0)))  # somebody sets it right
    return hosts, chosen, sorted(plot, key=lambda item: item[0])


class Play:
    """A campaign that is driven step by step, with what happens in between."""

    JUDGE = Watcher

    def __init__(self, folder, world, made, plot):
        self.world, self.plan, self.plot = world, made, list(plot)
        self.store, self.watch = campaign.saved(folder, made), self.JUDGE(made, world)
        self.steps, self.restart = 0, False
        limits, runs = made["settings"]["limits"], sum(host.seconds for host in world.hosts.values())
        self.most = STEPS + (3600 * limits["duration"] + 2 * runs) / limits["look"]

    def happens(self):
        """Let the things happen that are due at this step."""
        while self.plot and self.plot[0][0] <= self.steps:
            what, much = self.plot.pop(0)[1]
            if what in ("pause", "resume", "abort"):
                self.store.wish(self.plan["id"], what, "somebody", self.world.now())
            elif what == "kill":
                host = self.world.hosts[sorted(self.world.hosts)[much % len(self.world.hosts)]]
                self.world.kill(host, 30.0)
            elif what == "gone":
                self.world.gone_until = self.world.time + much
            elif what == "clock":
                self.world.skew = float(much)
                self.world.skews.add(self.world.skew)
            elif what == "unsure":
                self.world.unsure = much
            elif what == "second":
                self.second()
            else:
                self.restart = True
                self.world.advance(much)

    def second(self):
        """Somebody else drives the same campaign: nobody but the one who has it may write its journal."""
        before = self.store.entries(self.plan["id"])
        with pytest.raises(files.BusyError), self.store.driving(self.plan["id"]):
            pass
        assert self.store.driven(self.plan["id"]) and self.store.entries(self.plan["id"]) == before

    def run(self):
        """Drive until the end; every driver but the last one is left at some step."""
        while True:
            with self.store.driving(self.plan["id"]) as there:
                driver = drive.Driver(self.store, self.store.plan(self.plan["id"]), there, self.world, self.watch)
                if self.drive(driver):
                    return driver.campaign
            if not self.restart:
                self.store.wish(self.plan["id"], "resume", "somebody", self.world.now())
            self.restart = False

    def drive(self, driver):
        """Return whether the campaign is over; else it is paused, or somebody else shall drive it."""
        while not self.restart:
            self.happens()
            self.steps += 1
            assert self.steps < self.most, "the campaign does not end"
            try:
                nap = driver.step()
            except turning.GoneError:
                nap = turning.PAUSE
            if nap is None:
                assert driver.campaign.over or driver.campaign.paused
                return bool(driver.campaign.over)
            if nap:
                self.world.wait(nap)
        return False


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
