"""
Which host is patched when: waves, batches, and how long that takes. Pure functions.
"""

from __future__ import annotations

import math

SECONDS = 120  # what a host is expected to take that has never been patched here


def count(share, total):
    """Return how many of ``total`` hosts a number, a percentage or ``rest`` means: never more than there are."""
    if share == "rest":
        return total
    if isinstance(share, str):
        return min(total, math.ceil(total * int(share[:-1]) / 100))
    return min(total, share)


def split(waves, hosts, members):
    """
    Return the hosts of each wave, in order; every host is in one wave, or in the rest that no wave takes.

    waves
        list of waves as ``schema.settings`` has them.
    hosts
        sorted list of all hosts.
    members
        for each wave: the set of hosts that it may take from, or ``None`` for all.

    Returns ``(list of lists, hosts that are left)``.
    """
    left, found = list(hosts), []
    for wave, allowed in zip(waves, members):
        mine = left if allowed is None else [host for host in left if host in allowed]
        share = wave["take"]
        mine = mine[: count(share, len(hosts) if isinstance(share, str) and share != "rest" else len(mine))]
        taken = set(mine)
        left = [host for host in left if host not in taken]
        found.append(mine)
    return found, left


def batch(share, total):
    """Return how many of the ``total`` hosts of a wave are patched at once: at least one."""
    return max(1, count(share, total))


def seconds(durations, at_once):
    """Return how long a wave is expected to take: what its hosts took the last time, so many at once."""
    expected = [SECONDS if spent is None else spent for spent in durations]
    return max([*expected, math.ceil(sum(expected) / at_once)]) if expected else 0


def allowed(number, percent, total):
    """Return how many of the ``total`` hosts of a wave may fail: of number and percentage the larger one."""
    return max(number, total * percent // 100)
