"""A simulated fleet of any size, always the same one: its hosts, what they answer, and what goes wrong with some."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any

from tests.simulation import world as simulation
from tests.simulation.campaign import settings

SEED = 20261127
CANARIES = 20  # hosts at the beginning that are well, whatever the others are
KINDS = 8  # sorts of hosts, each with updates of its own
UPDATES = 30  # packages that are pending on a host
AT_ONCE = 2000  # hosts that are patched at once at the most
NEVER = 10.0**9
GATHER = 1.0  # seconds in which answers come together: a real job cache is not read for each of them either
# One host of so many.
RARE = {"bad": 500, "late": 200, "away": 500, "loses": 200, "dies": 300, "gone": 2000}
WAVES = [{"name": "canary", "take": 1}, {"name": "early", "take": "10%"}, {"name": "rest"}]


def campaign(size: int, **changed: Any) -> dict[str, Any]:
    """Return the settings of the campaign over so many hosts."""
    batch = "10%" if size <= 10 * AT_ONCE else AT_ONCE
    given = {
        "order": "name",
        "waves": WAVES,
        "batch": batch,
        "limits": {"failed_percent": 2},
        "presence": {"late": 3600},
    }
    return settings(**{**given, **changed})


def faults(chance: random.Random) -> dict[str, Any]:
    """Return what goes wrong with a host; mostly nothing."""
    kinds: dict[str, Callable[[], dict[str, Any]]] = {
        "bad": lambda: {"bad": "the live patch is not active"},
        "late": lambda: {"absent": chance.uniform(2000, 20000)},
        "away": lambda: {"absent": NEVER},
        "loses": lambda: {"loses": True},
        "dies": lambda: {"dies": chance.randrange(4), "down": chance.uniform(60, 600)},
        "gone": lambda: {"dies": chance.randrange(4), "down": NEVER},
    }
    found = [kind for kind, rarity in RARE.items() if not chance.randrange(rarity)]
    return kinds[found[0]]() if found else {}


def hosts(size: int) -> list[simulation.SimHost]:
    """Return the hosts of the campaign that comes to its end."""
    chance, found = random.Random(SEED), []  # noqa: S311
    for number in range(size):
        wrong = faults(chance) if number >= CANARIES else {}
        found.append(simulation.SimHost(f"host{number:06}", chance.uniform(40, 200), **wrong))
    return found


def failing(size: int) -> list[simulation.SimHost]:
    """Return the hosts of a campaign that stops when its last wave is half done, and goes back."""
    chance, bad = random.Random(SEED), range(45 * size // 100, 55 * size // 100)  # noqa: S311
    wrong: list[dict[str, Any]] = [{"bad": "the live patch is not active"} if n in bad else {} for n in range(size)]
    return [simulation.SimHost(f"host{n:06}", chance.uniform(40, 200), **wrong[n]) for n in range(size)]


def run_preview(there: Fleet, host: simulation.SimHost) -> dict[str, Any]:
    """Return what a host would get; each answer has strings of its own, as if it had come over the wire."""
    kind, said = int(host.name[4:]) % there.kinds, simulation.run_preview(there, host)
    updates = {f"package-{kind}-{number}": f"{number}.2.{kind}-150500.3.{number}.1" for number in range(UPDATES)}
    return dict(json.loads(json.dumps(dict(said, changes={**said["changes"], **updates}))))


# What klp.patch answers beside the one state of the simulation.
STEPS = ("ready", "repositories", "calm", "locks", "backup", "updates", "held", "newest", "settled", "finished")
CHANGES = {f"package-{number}": {"old": "1.1-150500.1.1", "new": "1.2-150500.3.1"} for number in range(UPDATES)}
STATES = {
    key: dict(value, changes=CHANGES if step == "updates" else {})
    for step in STEPS
    for key, value in simulation.state(f"klp-{step}", True, "Already as declared").items()
}


class Fleet(simulation.World):
    """The simulated hosts, whose answers are as large as real ones, and wake the campaign up as real ones do."""

    kinds = KINDS

    def __init__(self, members: list[simulation.SimHost]) -> None:
        super().__init__(members)
        self.news = False
        self._whole: dict[str, Any] = {}  # what the simulation answers -> the same with all other states

    def tell(self, what: str, entry: dict[str, Any]) -> None:
        """Nobody listens."""

    def wait(self, seconds: float) -> None:
        """Let time pass: so many seconds, or until an answer comes and those that come with it."""
        end, self.news = self.time + seconds, False
        while self._agenda and self._agenda[0][0] <= end:
            self._next()
            if self.news:
                end, self.news = min(end, self.time + GATHER), False
        self.time = max(self.time, end)

    def _return(self, host: simulation.SimHost, jid: str, value: Any) -> None:
        self.news = True
        if isinstance(value, dict):
            value = self._whole.setdefault(str(value), {**STATES, **value})
        super()._return(host, jid, value)


class Timed:
    """The fleet behind a clock: the seconds of CPU spent in it are those of the simulation, not of the campaign."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.seconds, self.now = fleet, 0.0, fleet.now

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.fleet, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            begun = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - begun

        return call
