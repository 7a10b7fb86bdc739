"""
Plans of kind ``kernel``: what each host gets, and what of the pillar does not go with them. Pure functions.
"""

from __future__ import annotations

from salt.exceptions import CommandExecutionError

from . import maintenance
from .words import count

CURRENT, REFUSED = "nothing to do", "refused"  # as planning has them
LOOKED = 12  # maintenance windows that are looked at
OPEN = ("installing", "installed", "restarting")  # a change of kernel that a run goes on with
REBOOT = "pillar klp_campaign:reboot is for campaigns of kind kernel, not for a {}; leave it out"
SHORT = (
    "no plan: the longest of the next maintenance windows is open for {}, and a host has {} to restart "
    "(pillar klp_campaign:limits:restart), so nobody could be restarted"
)


def check(settings, now):
    """Raise CommandExecutionError where hosts are to be restarted, and no maintenance window is long enough."""
    rules, minutes = settings["windows"], settings["limits"]["restart"]
    if not settings["reboot"]:
        return
    spans = [closes - opens for opens, closes in maintenance.ahead(rules, now, LOOKED)]
    if spans and max(spans) < least(settings):
        raise CommandExecutionError(SHORT.format(count(int(max(spans) // 60), "minute"), count(minutes, "minute")))


def least(settings):
    """Return how many seconds a maintenance window has to be open still when a host is restarted."""
    return 60 * settings["limits"]["restart"] + 30


def offered(found):
    """Add to a preview what a run would make of the host, and return why it is left out, ``None``: it is not."""
    target, change = found["kernel_target"], found["kernel_change"]
    begun = change if change and change["stage"] in OPEN else None
    if target is None and begun is None:
        return [CURRENT, "it gets no other kernel (its pillar klp:kernel:target)"]
    # What was begun by hand goes on to where it was begun for.
    release = begun["to"] if begun else target["release"]
    if not (found["changes"] or begun or found["unfinished"] or found["due"] or found["kernel"] != release):
        return [CURRENT, f"it runs kernel {release} already"]
    notes = [found["due"], f"its change of kernel is {begun['stage']} already" if begun else None, *_gains(target)]
    package = target["package"] if target else found["package"]
    found.update(note="; ".join(filter(None, notes)) or None, target=release, package=package)
    found["more"] = {"before": found["kernel"]}
    return None


def _gains(target):
    """Return what a host gets with a kernel, and what it risks, as clauses."""
    if target is None:
        return []
    until = f"live patches until {target['window_last']}" if target["window_last"] else None
    closed = f"{count(target['cves'], 'CVE')} closed" if target["cves"] else None
    return [until, closed, None if target["fallback"] else "its boot loader cannot try the kernel once"]
