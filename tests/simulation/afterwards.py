"""What must hold of the hosts after a campaign, found out from what they truly did, not from its journal."""

from __future__ import annotations

from tests.simulation.hours import inside
from tests.simulation.world import NEW

SKEW = 60  # seconds that a clock may be off


def alone(world, plan):
    """Return what is wrong with the hosts after a campaign: what must happen once, and did not."""
    wrong = _begun_outside(world, plan) + _not_planned(world, plan)
    for name, host in world.hosts.items():
        if plan["settings"]["on_restart"] == "fail" and host.restarts > 1:
            wrong.append((name, "its kernel has crashed again", host.restarts))
        runs = [run for run, _ in host.backups]
        twice = [item for item in ("curl", NEW) if host.transactions.count(item) > 1]
        if runs.count(plan["id"]) > 1 or twice or host.clashes:
            wrong.append((name, host.backups, host.transactions, host.clashes))
    return wrong


def _begun_outside(world, plan):
    """
    Return the hosts that have truly begun a run when no window was open; its end is the last moment for that.

    A window is open by the clock of the master, which may be as much off as that of a host.
    """
    rules, found = plan["settings"]["windows"], []
    clocks = [skew - late for skew in world.skews if abs(skew) <= SKEW for late in (0, 1)]
    for name, host in world.hosts.items():
        runs = [moment for moment, _, sls in host.started if sls == "klp.patch"]
        found += [(name, at) for at in runs if not any(inside(rules, at + off) for off in clocks)]
    return found


def _not_planned(world, plan):
    """Return the hosts that were sent something else than the plan has for each of them."""
    found = []
    for sent in world.sent.values():
        said = sent["kwarg"]["pillar"]["klp"]
        for host in sent["hosts"]:
            planned = plan["hosts"][host]
            if sent["arg"] == ["klp.rollback"]:
                level = world.hosts[host].before if plan["kind"] == "patch" else planned["target"]
                good = _level(said, "rollback", host) == level
            else:
                good = _level(said, "level", host) == planned["target"]
            found += [] if good else [(host, sent)]
    return found


def _level(said, key, host):
    """Return the live patch that a job has for a host: one for all, or one for each."""
    common = said.get(key)
    if common:
        return common["level"] if key == "rollback" else common
    return said["campaign"].get(key, {}).get(host)


def gone_back(world, watch):
    """Return the hosts of which the campaign says that they went back, and which do not have what they had."""
    there = [world.hosts[host] for host, state in watch.back.items() if state == "back"]
    return [(host.name, host.edition, host.held, host.before) for host in there if host.edition != host.before]


def drained(world, watch):
    """Return the hosts that are still drained although the campaign has nothing against them."""
    found = [name for name, host in world.hosts.items() if host.drained and watch.stage.get(name) == "verified"]
    return [name for name in found if watch.back.get(name) in (None, "back")]
