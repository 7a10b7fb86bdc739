"""A campaign over a simulated world: its plan, its store, and the way to its end."""

from __future__ import annotations

import functools
import os

import klp_pillar
from _runners.klp import campaign as states
from _runners.klp import drive, planning, schema, store, turning
from tests.simulation.world import World, run_preview, state_summary

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where flushing costs nothing

compare = klp_pillar.compare


def settings(**klp_campaign):
    """Return checked settings of a campaign."""
    found, problems = schema.settings(klp_campaign, compare)
    assert problems == []
    return found


def plan(world, kind="patch", banned=(), busy=None, members=None, known=None, **klp_campaign):
    """Return the plan of a campaign over all hosts of a world, by their names if ``order`` is not given."""
    found = settings(**{"order": "name", **klp_campaign})
    names, preview = sorted(world.hosts), getattr(world, "preview", None) or functools.partial(run_preview, world)
    facts = {
        "kind": kind,
        "master": "master",
        "hosts": names,
        "answers": {name: preview(world.hosts[name]) for name in names},
        "asked": world.time,
        "members": members or [set(wave["hosts"]) or None for wave in found["waves"]],
        "busy": busy or {},
        "strange": {},
        "known": known or {},
        "quarantine": list(banned),
    }
    return planning.make(facts, found, world.time)


def said(world, host):
    """Return what a host says to the question how it stands."""
    return state_summary(world, host)


def saved(folder, made):
    """Return a store that has a plan."""
    found = store.Store(str(folder))
    found.save(made)
    return found


def go(there, name, hands, say=lambda entry: None):
    """Drive a campaign until it is over or paused, and return its state."""
    with there.driving(name) as journal:
        driver = drive.Driver(there, there.plan(name), journal, hands, say)
        turning.turn([driver])
        return driver.campaign


def replayed(there, name):
    """Return the state of a campaign as it is on the disk."""
    return states.replay(there.plan(name), there.entries(name))


def banned(there):
    """Return what is in quarantine: pairs of package and edition."""
    return [(item["package"], item["edition"]) for item in there.quarantine()]


def whole(folder, world: World, **klp_campaign):
    """Plan and drive a campaign over all hosts of a world; return its state."""
    made = plan(world, **klp_campaign)
    return go(saved(folder, made), made["id"], world)
