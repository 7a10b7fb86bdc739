"""
Several drivers in one process, each doing its steps in turn, until none has anything to do.
"""

from __future__ import annotations

import time

from salt.exceptions import CommandExecutionError

PATIENCE = 300  # seconds that a master is waited for that does not take jobs
PAUSE = 5  # seconds between two tries


class GoneError(CommandExecutionError):
    """The master does not answer."""


class RefusedError(CommandExecutionError):
    """Salt does not let this user give a job; no host received it."""


def turn(drivers, say=lambda line: None, drop=None, leave=lambda driver: None, more=None, faults=()):
    """
    Let drivers do their steps in turn, until none is left.

    drivers
        list of ``drive.Driver``.
    say
        called with a line when the master is gone.
    drop
        called with a driver that cannot go on, and the error: a file of its campaign, or the disk; the others go on.
    leave
        called with a driver that has nothing more to do.
    more
        called before each turn with the number of drivers that are left; returns newcomers, and the seconds until it
        wants to be called again.
    faults
        what else keeps a driver from going on: a defect of salt-klp stops one campaign, and not all.

    Raises GoneError when the master has been gone for PATIENCE seconds; the campaigns go on from their journals then.
    """
    left, patience = list(drivers), Patience(say)
    while True:
        naps = []
        if more:
            newcomers, nap = more(len(left))
            left += newcomers
            naps.append(nap)
        if not left:
            return
        for driver in list(left):
            try:
                nap = patience.step(driver)
            except (CommandExecutionError, *faults) as exc:
                if not drop or isinstance(exc, GoneError):
                    raise
                left.remove(driver)
                drop(driver, exc)
                continue
            if nap is None:
                left.remove(driver)
                leave(driver)
            else:
                naps.append(nap)
        if left and min(naps, default=0) > 0:
            left[0].hands.wait(min(naps))


class Patience:
    """Waits for a master that is gone; ``say`` is called with a line then."""

    def __init__(self, say):
        self.say = say
        self.gone = None  # since when it is

    def step(self, driver):
        """Let a driver do its next step; returns what that returns. Raises GoneError after PATIENCE seconds."""
        try:
            nap, self.gone = driver.step(), None
        except GoneError as exc:
            self.gone = self.gone or time.monotonic()
            if time.monotonic() - self.gone > PATIENCE:
                raise
            self.say(str(exc))
            nap = PAUSE
        return nap
