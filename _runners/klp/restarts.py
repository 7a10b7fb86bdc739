"""
What a campaign of kind ``kernel`` does next about restarts: steps as pure functions of its state and the time.

A host that was restarted is always verified, whatever has become of the campaign; nobody is restarted unless all that
lets a host be started lets it, and the maintenance window stays open long enough.
"""

from __future__ import annotations

from . import kernel_plans, maintenance, stages
from .words import count

ASK = 500  # hosts that are asked at once
VERIFY = "its verification was cut off {}; when the reason is found, finish it with state.apply klp.kernel there"
ORDERS = "its restart was asked for {} and has not begun; restart it, then run state.apply klp.{} there"
WAITED = "the old kernel is its default again; restart it, then run state.apply klp.kernel_back there"


def verify(campaign, now):
    """Return the step that verifies hosts which were restarted, ``None`` where there are none."""
    hosts, most = campaign.placed(stages.RESTARTED)[:ASK], campaign.plan["settings"]["limits"]["attempts"]
    worn = [host for host in hosts if campaign.hosts[host].verifies >= most]
    if worn:
        return {"do": "failed", "hosts": dict.fromkeys(worn, VERIFY.format(count(most, "time")))}
    by = int(now + campaign.plan["settings"]["limits"]["start_within"])
    return {"do": "verify", "hosts": hosts, "by": by} if hosts else None


def order(campaign, wave, now, ignored, free):
    """
    Return the step that restarts hosts of a wave, ``None`` where none is to be restarted now.

    free
        how many hosts may be down.
    """
    if not campaign.plan["settings"].get("reboot") or not opened(campaign, now):
        return None
    there = [host for host in campaign.placed(stages.INSTALLED) if campaign.hosts[host].wave == wave.number]
    worn = _worn(campaign, there, "kernel")
    if worn:
        return {"do": "failed", "hosts": worn}
    lonely = (host for host in there if ignored.get(host, 0) <= now and not campaign.apart.beside(host))
    hosts = campaign.apart.pick(lonely, min(free, ASK))
    return {"do": "ask_restart", "hosts": hosts, "way": None} if hosts else None


def order_back(campaign, now, ignored, free):
    """Return the step that restarts hosts that roll back, ``None`` where none is to be restarted now."""
    there = campaign.placed(stages.BACK_INSTALLED)
    worn = _worn(campaign, there, "kernel_back")
    if worn:
        return {"do": "stays", "hosts": worn}
    if over(campaign, now) and there:
        return {"do": "stays", "hosts": dict.fromkeys(there, WAITED)}
    if not campaign.plan["settings"].get("reboot") or campaign.paused or not opened(campaign, now):
        return None
    held = {host: campaign.apart.down(host) for host in there}
    if any(held.values()):
        return {"do": "stays", "hosts": {host: f"{why}; {WAITED}" for host, why in held.items() if why}, "apart": True}
    lonely = (host for host in there if ignored.get(host, 0) <= now and not campaign.apart.beside(host))
    hosts = campaign.apart.pick(lonely, min(free, ASK))
    return {"do": "ask_restart", "hosts": hosts, "way": "back"} if hosts else None


def _worn(campaign, hosts, sls):
    most = campaign.plan["settings"]["limits"]["attempts"]
    return {host: ORDERS.format(count(most, "time"), sls) for host in hosts if campaign.hosts[host].orders >= most}


def over(campaign, now):
    """Return whether the time of a campaign is over (bool)."""
    return now - campaign.begun > 3600 * campaign.plan["settings"]["limits"]["duration"]


def opened(campaign, now):
    """Return whether a maintenance window is open, and stays open for as long as a restart may take (bool)."""
    closes = maintenance.until(campaign.plan["settings"]["windows"], now)
    return closes is not None and closes - now >= kernel_plans.least(campaign.plan["settings"])


def by(campaign, now):
    """Return the moment after which a host shall not restart any more."""
    settings = campaign.plan["settings"]
    closes = maintenance.until(settings["windows"], now)
    within = now + settings["limits"]["start_within"]
    return int(within if closes is None else min(within, closes - 60 * settings["limits"]["restart"]))


def waits(campaign):
    """Return what a campaign waits for, of hosts that are installed, a clause; ``None``: there are none."""
    number = len(campaign.placed(stages.INSTALLED))
    if not number:
        return None
    others = "" if campaign.plan["settings"].get("reboot") else " by others"
    return f"{number} installed hosts wait for their restart{others}"
