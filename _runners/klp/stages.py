"""
A host of a campaign, and where it can be.
"""

# The first three may change by themselves, the others are ends of its own run.
WAITING, READY, RUNNING = "waiting", "ready", "running"
VERIFIED, FAILED, REFUSED, UNREACHABLE, ABSENT = "verified", "failed", "refused", "unreachable", "absent"
SPARED = "spared"  # not started, because of a host that it is kept apart from
STAGES = (WAITING, READY, RUNNING, VERIFIED, FAILED, REFUSED, UNREACHABLE, ABSENT, SPARED)
UNFINISHED = (WAITING, READY, RUNNING)
# What has become of the way back of a host whose wave failed its gate.
BACK_WAITING, BACK_RUNNING, BACK, STAYS = "back waiting", "back running", "back", "stays"


class Host:
    """One host of a campaign."""

    __slots__ = (
        "attempt",  # how often its run was begun
        "back",  # what has become of its way back
        "backs",  # how often that was begun
        "base",  # its health when it was started
        "ended",
        "jid",
        "looked",  # when it was looked at the last time after its run
        "met",  # how often its run could not begin, as when other states ran there
        "silent",  # whether it runs and does not answer
        "since",  # when its run was begun the last time
        "stage",
        "started",
        "touched",  # whether the live patch of the plan may be there
        "wave",
        "why",
    )

    def __init__(self, wave):
        self.wave, self.stage, self.why = wave, WAITING, None
        self.jid, self.attempt, self.since, self.started, self.ended = None, 0, None, None, None
        self.base, self.back, self.backs, self.met = None, None, 0, 0
        self.touched, self.silent, self.looked = False, False, None
