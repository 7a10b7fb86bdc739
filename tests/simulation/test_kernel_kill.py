"""
A kill at any moment of a campaign of kind kernel changes nothing in the end, and restarts no host once more.

The driver is killed at every job and every question to the hosts, and before and after every line of its journal, also
between "restart written", "restart sent" and "seen". ``test_kill`` does the rest, which is the same for all kinds.
"""

from __future__ import annotations

import collections
import signal

import pytest

from _runners.klp import journal
from tests.simulation import campaign
from tests.simulation.cases import Case
from tests.simulation.kernel_world import KernelHost, KernelWorld

WAVES = [{"name": "canary", "take": 1}, {"name": "rest"}]
DOWN = (0, 5, 45, 150, 1200)  # seconds for which nobody drives after a kill
FAULTS: dict[str, dict] = {"good": {}, "back": {"h2": {"sick": True}, "h3": {"falls_back": True}}}


class Year(Case):
    """A campaign of kind kernel over four hosts in two waves."""

    def made(self, world):
        limits = {"failed": 0, "attempts": 5}
        given = {"waves": WAVES, "batch": 3, "soak": {"minutes": [1]}, "on_failure": "rollback", "limits": limits}
        return campaign.plan(world, "kernel", reboot=True, **given)

    def world(self):
        names = [f"h{number}" for number in range(4)]
        return KernelWorld(
            [KernelHost(name, 40.0, **dict(self.faults.get(name, {})), boots=60.0, hooks=True) for name in names]
        )

    def end(self, there, world):
        entries = journal.read(there.path(self.plan["id"], "journal"))
        assert [entry["what"] for entry in entries].count("end") == 1 and entries[-1]["what"] == "end"
        found = campaign.replayed(there, self.plan["id"])
        jids = [entry["jid"] for entry in entries if entry["what"] in ("start", "restart", "verify", "back")]
        assert len(jids) == len(set(jids))
        hosts = {}
        for name, host in world.hosts.items():
            boots = collections.Counter(stage for _, stage in host.orders)
            assert set(boots.values()) <= {1} and not host.clashes, (name, host.orders)
            stages = (found.hosts[name].stage, found.hosts[name].back)
            hosts[name] = (host.kernel, host.default, len(host.starts), len(host.transactions), *stages)
        return {"result": found.result, "hosts": hosts}


@pytest.fixture(scope="module", params=list(FAULTS))
def case(request):
    found = Year(FAULTS[request.param], (1,))
    yield found
    found.folder.cleanup()


def test_the_cases_are_what_their_names_say(case):
    boots = [item[2] for item in case.wanted["hosts"].values()]
    backs = [item[5] for item in case.wanted["hosts"].values()]
    if case.faults:
        assert case.wanted["result"] == "stopped" and boots == [1, 2, 2, 1] and backs == [None, "back", "back", "stays"]
    else:
        assert case.wanted["result"] == "done" and boots == [1, 1, 1, 1] and set(backs) == {None}


def killed(case, phases):
    """Kill at requests: ``{name: phases}``."""
    for number, name in enumerate(case.names):
        for phase in phases.get(name, ()):
            there, world = case.store(), case.world()
            child = case.start(there, world)
            died = child.serve(lambda at, when, here=(number, phase): (at, when) == here)
            assert died == -signal.SIGKILL and len(child.names) == number + 1
            assert case.recover(there, world, DOWN[number % len(DOWN)]) == case.wanted, (number, name, phase)


def test_the_driver_is_killed_at_every_job(case):
    killed(case, {"send": ("before", "after")})


@pytest.mark.parametrize("case", ["back"], indirect=True)
def test_the_driver_is_killed_after_every_question(case):
    killed(case, {"ask": ("after",)})


@pytest.mark.parametrize("case", ["back"], indirect=True)
def test_the_driver_is_killed_at_every_line_of_the_journal(case):
    for number in range(1, case.entries + 1):
        for when in ("before", "after"):
            there, world = case.store(), case.world()
            assert case.start(there, world, when, number).serve() == -signal.SIGKILL
            assert case.recover(there, world, DOWN[number % len(DOWN)]) == case.wanted, (number, when)


@pytest.mark.parametrize("seconds", [3, 40, 200])
def test_the_master_is_killed_at_any_time(case, seconds):
    for moment in range(0, 600, 12):
        there, world = case.store(), case.world()
        world.out(moment, seconds)
        assert case.recover(there, world) == case.wanted, moment


def test_the_master_takes_a_job_and_dies_before_it_says_so(case):
    for unsure in range(1, 6):
        there, world = case.store(), case.world()
        world.unsure = unsure
        assert case.recover(there, world) == case.wanted
