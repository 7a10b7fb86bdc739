"""
Every command is killed everywhere, is run once more, and leaves the same host as where nobody killed anything.

Without more, a dozen kills are tried. ``KILLS=all`` tries each step of each command and many random moments, and
``KILLS=300`` so many of them; ``KILL_SEED=N`` chooses others, at other moments.
"""

import json
import os
import random
from dataclasses import dataclass

import pytest

from tests.kill import judge, killer
from tests.kill.prepared import SCENARIOS, prepared

KILLS = os.environ.get("KILLS", "")
SEED = int(os.environ.get("KILL_SEED", "1"))
ROUNDS = 4  # random kills of each victim in each scenario
MOMENTS = 2  # kills of each victim inside each %post that takes a second
FEWEST = 300


@dataclass(frozen=True)
class Kill:
    """One kill: who, in which scenario, at which step (None: at random), and how it is chosen."""

    scenario: str
    victim: str
    step: int | None
    inside: bool = False
    round: int = 0
    program: str = ""

    @property
    def seed(self):
        """Return what the moment of this kill is drawn with."""
        return f"{SEED}/{self.scenario}/{self.victim}/{self.step}/{self.round}"

    @property
    def share(self):
        """Return the moment of this kill, a number between 0 and 1."""
        return random.Random(self.seed).random()  # noqa: S311 - a moment, no secret

    def __str__(self):
        if self.step is None:
            return f"{self.scenario}-{self.victim}-random-{self.round}"
        inside = f"-inside-{self.round}" if self.inside else ""
        return f"{self.scenario}-{self.victim}-{self.step}{inside}-{self.program.replace(' ', '_')}"


def victims(step):
    """Return who can be killed at a step: the innermost two of the tools that it stands in, Salt, the power."""
    return [*killer.VICTIMS[: min(step["tools"], 2)], "salt", "power"]


def by_step(scenario, steps):
    """Return the kills at the start of each program."""
    kinds = [(number, step["program"], victim) for number, step in enumerate(steps) for victim in victims(step)]
    return [Kill(scenario, victim, number, program=program) for number, program, victim in kinds]


def inside(scenario, steps):
    """Return the kills while a scriptlet sleeps for a second."""
    slow = [(number, step) for number, step in enumerate(steps) if step["program"].startswith("sleep")]
    return [
        Kill(scenario, victim, number, True, moment, step["program"])
        for number, step in slow
        for victim in victims(step)
        for moment in range(MOMENTS)
    ]


def at_random(scenario):
    """Return the kills at a moment that is drawn."""
    return [Kill(scenario, victim, None, round=turn) for victim in killer.VICTIMS for turn in range(ROUNDS)]


def matrix():
    """Return all kills."""
    found = []
    for scenario in SCENARIOS:
        steps = prepared().reference(scenario)["steps"]
        found += [*by_step(scenario, steps), *inside(scenario, steps), *at_random(scenario)]
    return found


def chosen():
    """Return the kills that are asked for, in the order of the matrix."""
    kills = matrix() if KILLS else []
    if KILLS in ("", "all") or int(KILLS) >= len(kills):
        return kills
    picked = set(random.Random(SEED).sample(range(len(kills)), int(KILLS)))  # noqa: S311 - a choice, no secret
    return [kill for number, kill in enumerate(kills) if number in picked]


# A dozen kills that between them meet every command, every victim and every kind of moment: scenario, victim, program
# and whether the kill is inside of a %post that takes a second.
FEW = [
    ("klp", "power", "klp-test-hook post", False),
    ("patch", "tool", "rpm -U libz1", False),
    ("patch", "parent", "sleep", True),
    ("patch", "power", "sleep", True),
    ("rollback", "salt", "zypper addlock kernel-livepatch", False),
    ("rollback", "power", "sleep", True),
    ("disable", "tool", "rpm -e", False),
]


def one_of(scenario, victim, program, within):
    """Return the first kill of this kind."""
    steps = prepared().reference(scenario)["steps"]
    kills = inside(scenario, steps) if within else by_step(scenario, steps)
    return next(kill for kill in kills if kill.victim == victim and kill.program.startswith(program))


def do(kill, lab, reference, check):
    """Start a host, kill, and return what ``check(host)`` finds; a random kill that comes too late is repeated."""
    scenario = SCENARIOS[kill.scenario]
    slow = kill.inside or kill.step is None
    delay = kill.share * reference["seconds"]
    for _ in range(6):
        with lab.host(scenario.start, seconds=int(slow)) as host:
            if kill.step is not None:
                killer.at_step(host, scenario.sls, kill.victim, kill.step, kill.share * 0.9 if kill.inside else 0)
                return check(host)
            if killer.at_random(host, scenario.sls, kill.victim, delay):
                return check(host)
        delay /= 2
    raise AssertionError("the run was always over before the kill")


def finish(host, sls):
    """Run the command once more, look at what a third time would do, and return what is wrong, and the host."""
    again, third, verified = judge.calls(host, ("state.apply", sls), ("state.apply", sls, "test=True"), ("klp.verify",))
    killer.settle(host)
    wrong = {}
    if again.rc or again.failed:
        wrong["second run"] = again.failed or again.stdout
    if third.rc or third.changes or set(third.results.values()) != {True}:
        wrong["third run"] = {**third.changes, **third.failed} or third.stdout
    return wrong, judge.document(host, verified)


def judged(kill):
    """Return what is wrong after a kill and one more run; after a power cut a module may be gone that would stay."""
    lab = prepared()
    reference = lab.reference(kill.scenario)
    wrong, found = do(kill, lab, reference, lambda host: finish(host, SCENARIOS[kill.scenario].sls))
    wanted = [reference["document"], *([reference["rebooted"]] if kill.victim == "power" else [])]
    different = sorted((judge.differences(found, one) for one in wanted), key=len)
    return {**wrong, **different[0]}


def same_host(kill):
    """Kill, and demand the same host after one more run."""
    print(f"victim {kill.victim}, step {kill.step} ({kill.program or 'at random'}), seed {kill.seed}")
    wrong = judged(kill)
    print(f"{kill}: {json.dumps(wrong)}")
    assert not wrong


def test_number_of_kills():
    assert len(matrix()) >= FEWEST


@pytest.mark.parametrize(("scenario", "victim", "program", "within"), FEW)
def test_few(scenario, victim, program, within):
    same_host(one_of(scenario, victim, program, within))


@pytest.mark.skipif(not KILLS, reason="KILLS=300 or KILLS=all tries more")
@pytest.mark.parametrize("kill", chosen(), ids=str)
def test_all(kill):
    same_host(kill)
