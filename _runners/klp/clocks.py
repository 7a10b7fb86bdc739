"""
The clock of the master: whether it has jumped, and whether it is the one that is off where hosts have another time.

All moments of a journal are those of the master's clock. Between two steps it is compared with a clock that nobody
sets: where it has jumped, the jump is written down and taken out of everything that is counted from an earlier moment.
"""

from __future__ import annotations

from . import answers
from .driving import Base

JUMP = 30  # seconds; less is no danger, hosts may be off by more (answers.SKEW)
WITNESSES = 5  # other hosts that are asked for the time where few hosts have another one than the master


class Clocks(Base):
    """The part of a driver that watches the clock."""

    def _watch_clock(self):
        """Write down a jump of the clock since the last step; before the first step: since the last entry."""
        now, ticks = self.hands.now(), self.hands.ticks()
        if self.clock is None:
            jump = min(0, now - self.campaign.at)  # forward: the time in which nobody drove it
        else:
            jump = (now - self.clock[0]) - (ticks - self.clock[1])
        self.clock = (now, ticks)
        if abs(jump) > JUMP and self.campaign.begun and not self.campaign.over:
            self._jumped(jump)

    def _jumped(self, jump):
        self._write("clock", by=int(jump))
        # Everybody is asked anew, before anything is started or judged by the time.
        self.ignored, self.busy, self.next_look = {}, {}, 0.0
        self.heard = {host: at + jump for host, at in self.heard.items()}

    def _ask_in_time(self, hosts):
        """
        Ask hosts how they stand: ``(moment, {host: answer})``, or ``None`` where nobody may be started now.

        That is so where the clock has jumped meanwhile (the next step sees it, and they are asked again), and where
        it is the master's clock that is off: nobody is asked again for a while then.
        """
        now, ticks = self.hands.now(), self.hands.ticks()
        got = self._ask(hosts)
        if abs((self.hands.now() - now) - (self.hands.ticks() - ticks)) > JUMP:
            return None
        if not self._is_off(got, now):
            return now, got
        if self.campaign.off is None:
            self._write("off")
        self.ignored.update(dict.fromkeys(hosts, self.hands.now() + self.limits["look"]))
        return None

    def _is_off(self, got, asked):
        """Return whether the master's clock is off, as most hosts say; where few were asked, others are asked, too."""
        now = self.hands.now()
        said = [one for one in got.values() if isinstance(one, dict)]
        off = [one for one in said if answers.clock(one, asked, now)]
        if not off:
            return False
        if len(said) < WITNESSES:
            others = [host for host in self.campaign.hosts if host not in got][:WITNESSES]
            asked = self.hands.now()
            more = [one for one in self._ask(others).values() if isinstance(one, dict)] if others else []
            off += [one for one in more if answers.clock(one, asked, self.hands.now())]
            said += more
        return answers.is_master(len(off), len(said))
