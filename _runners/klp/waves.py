"""
Which host is patched when: waves, batches, and how long that takes. Pure functions.
"""

from __future__ import annotations

import collections
import hashlib
import math

SECONDS = 120  # what a host is expected to take that has never been patched here


def count(share, total):
    """Return how many of ``total`` hosts a number, a percentage or ``rest`` means: never more than there are."""
    if share == "rest":
        return total
    if isinstance(share, str):
        return min(total, math.ceil(total * int(share[:-1]) / 100))
    return min(total, share)


def split(waves, hosts, members, ordered=lambda hosts, before: hosts):
    """
    Return the hosts of each wave, in order; every host is in one wave, or in the rest that no wave takes.

    waves
        list of waves as ``schema.settings`` has them.
    hosts
        sorted list of all hosts.
    members
        for each wave: the set of hosts that it may take from, or ``None`` for all; a wave with ``hosts`` keeps their
        order.
    ordered
        function of the hosts that a wave may take, and of all that earlier waves have taken, which puts them in order.

    Returns ``(list of lists, hosts that are left)``.
    """
    left, found = list(hosts), []
    for wave, allowed in zip(waves, members):
        mine = left if allowed is None else [host for host in left if host in allowed]
        share = wave["take"]
        number = count(share, len(hosts) if isinstance(share, str) and share != "rest" else len(mine))
        if wave.get("hosts"):
            places = {host: place for place, host in enumerate(wave["hosts"])}
            mine = sorted(mine, key=places.__getitem__)
        else:
            mine = ordered(mine, [host for part in found for host in part])
        mine = mine[:number]
        taken = set(mine)
        left = [host for host in left if host not in taken]
        found.append(mine)
    return found, left


def mixed(hosts, before, groups, seed):
    """
    Return hosts so that each beginning of the list has every group in proportion, one host of each group first.

    hosts
        hosts in any order.
    before
        hosts of earlier waves: of equal turns that of a group of which none was there comes first.
    groups
        dict of all hosts: the group, or ``None``.
    seed
        text that is the same for the same plan; with another one other hosts of a group come first.
    """
    parts: dict = {}
    for host in sorted(hosts, key=lambda host: _hash(seed, host)):
        parts.setdefault(groups[host], []).append(host)
    there = {groups[host] for host in before}
    rows = []
    for group, part in parts.items():
        place = (group in there, _hash(seed, group or ""))
        # The turn of the host number n of a group of N hosts: n / N of all others come first.
        rows += [(number / len(part), *place, host) for number, host in enumerate(part)]
    return [row[-1] for row in sorted(rows)]


def _hash(seed, name):
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def grouped(hosts, groups):
    """Return how many hosts of which group there are; those without one are the group of no name."""
    return dict(sorted(collections.Counter(groups[host] or "" for host in hosts).items()))


def batch(share, total):
    """Return how many of the ``total`` hosts of a wave are patched at once: at least one."""
    return max(1, count(share, total))


def seconds(durations, at_once):
    """Return how long a wave is expected to take: what its hosts took the last time, so many at once."""
    expected = [SECONDS if spent is None else spent for spent in durations]
    return max([*expected, math.ceil(sum(expected) / at_once)]) if expected else 0


def longest(hosts, watched):
    """
    Return how long hosts of a wave take that are changed one after the other, since they are kept apart.

    hosts
        list of ``{"seconds", "apart"}``, as a plan has them.
    watched
        seconds until a host is known to be well after its run.
    """
    spent: collections.Counter = collections.Counter()
    for item in hosts:
        for value in item["apart"]:
            spent[value] += watched + (SECONDS if item["seconds"] is None else item["seconds"])
    return max(spent.values(), default=0)


def allowed(number, percent, total):
    """Return how many of the ``total`` hosts of a wave may fail: of number and percentage the larger one."""
    return max(number, total * percent // 100)
