"""
The hosts, waves and jobs of a campaign, and where a host can be.
"""

from __future__ import annotations

import collections

# The first three may change by themselves, the others are ends of its own run.
WAITING, READY, RUNNING = "waiting", "ready", "running"
VERIFIED, FAILED, REFUSED, UNREACHABLE, ABSENT = "verified", "failed", "refused", "unreachable", "absent"
SPARED = "spared"  # not started, because of a host that it is kept apart from
# Of kind kernel, between two runs: it waits for its restart; that was asked for; it was started again, unverified.
INSTALLED, RESTARTING, RESTARTED = "installed", "restarting", "restarted"
BETWEEN = (INSTALLED, RESTARTING, RESTARTED)
STAGES = (WAITING, READY, RUNNING, VERIFIED, FAILED, REFUSED, UNREACHABLE, ABSENT, SPARED, *BETWEEN)
UNFINISHED = (WAITING, READY, RUNNING, *BETWEEN)
ACTIVE = (RUNNING, RESTARTING, RESTARTED)  # something is going on there that has to end
# How far the rollback is of a host whose wave failed its gate.
BACK_WAITING, BACK_RUNNING, BACK, STAYS = "back waiting", "back running", "back", "stays"
BACK_INSTALLED, BACK_RESTARTING = "back installed", "back restarting"


class Host:
    """One host of a campaign."""

    __slots__ = (
        "attempt",  # how often its run was begun
        "back",  # how far its rollback is
        "backs",  # how often that was begun
        "base",  # its health when it was started, of kind kernel also when it was seen after its restart
        "boot",  # of kind kernel: id of the start that its restart ends
        "ended",
        "jid",
        "looked",  # when it was looked at the last time after its run
        "met",  # how often its run could not begin, as when other states ran there
        "orders",  # how often its restart was asked for
        "silent",  # whether it runs and does not answer
        "since",  # when its run was begun the last time
        "stage",
        "started",
        "touched",  # whether the live patch of the plan may be there
        "turned",  # whether it was seen after its restart
        "verifies",  # how often the run was begun that verifies it then
        "wave",
        "why",
    )

    def __init__(self, wave):
        self.wave, self.stage, self.why = wave, WAITING, None
        self.jid, self.attempt, self.since, self.started, self.ended = None, 0, None, None, None
        self.base, self.back, self.backs, self.met = None, None, 0, 0
        self.touched, self.silent, self.looked = False, False, None
        self.boot, self.orders, self.turned, self.verifies = None, 0, False, 0

    def shift(self, by):
        """Count on as before although the clock has jumped by so many seconds."""
        self.since, self.looked = (None if at is None else at + by for at in (self.since, self.looked))


class Wave:
    """One wave: whose turn is next, and how many hosts of it are where."""

    def __init__(self, number, name, hosts, soak):
        self.number, self.name, self.total = number, name, len(hosts)
        self.queue = collections.OrderedDict.fromkeys(hosts)
        self.counts = collections.Counter({WAITING: len(hosts)})
        self.ready: dict = {}
        self.cut: dict = {}  # those of the queue whose run was cut off
        self.opened = self.patched = self.closed = None
        self.silent = 0  # how many of those that run do not answer
        self.soak = soak  # when a host is looked at, in minutes after its run
        # For each look the verified hosts that wait for it, the first one first, with the end of their runs.
        self.looks: list = [collections.OrderedDict() for _ in soak]
        self.looked = None  # when hosts of it were looked at the last time
        self.checked = False  # whether all of them were looked at together in the end

    @property
    def open_hosts(self):
        """How many hosts of the wave have not come to an end."""
        return sum(self.counts[stage] for stage in UNFINISHED)

    @property
    def pending(self):
        """How many hosts of the wave it waits for: a host that is silent gets its verdict later."""
        return self.open_hosts - self.silent

    @property
    def failed(self):
        """How many hosts count as failed."""
        return self.counts[FAILED] + self.counts[REFUSED]

    @property
    def unreachable(self):
        """How many hosts count as unreachable."""
        return self.counts[UNREACHABLE] + self.counts[ABSENT]

    def shift(self, by):
        """Count on as before although the clock has jumped by so many seconds."""
        self.looked = None if self.looked is None else self.looked + by
        for hosts in self.looks:
            hosts.update({host: at + by for host, at in hosts.items()})


class Job:
    """A job that was given to hosts, and those who have not answered."""

    __slots__ = ("at", "back", "hosts", "jid")

    def __init__(self, jid, hosts, at, back):
        self.jid, self.hosts, self.at, self.back = jid, dict.fromkeys(hosts), at, back

    def shift(self, by):
        """Count on as before although the clock has jumped by so many seconds."""
        self.at += by
