"""Campaigns by chance: hosts with faults, settings, what happens at which step, and how it is played."""

import pytest

from _runners.klp import drive, files, turning
from tests.simulation import campaign
from tests.simulation.oracle import Watcher
from tests.simulation.world import NEW, OLDER

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
