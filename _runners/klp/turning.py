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
    """Salt does not let this user give a job; nobody has got it."""


def turn(drivers, say=lambda line: None, drop=None):
    """
    Let drivers do their steps in turn.

    drivers
        list of ``drive.Driver``.
    say
        called with a line when the master is gone.
    drop
        called with a driver that cannot go on, and the error: a file of its campaign, or the disk; the others go on.

    Raises GoneError when the master has been gone for PATIENCE seconds; the campaigns go on from their journals then.
    """
    left, gone = list(drivers), None
    while left:
        naps = []
        for driver in list(left):
            try:
                nap, gone = driver.step(), None
            except GoneError as exc:
                gone = gone or time.monotonic()
                if time.monotonic() - gone > PATIENCE:
                    raise
                say(str(exc))
                nap = PAUSE
            except CommandExecutionError as exc:
                if not drop:
                    raise
                drop(driver, exc)
                nap = None
            if nap is None:
                left.remove(driver)
            else:
                naps.append(nap)
        if left and min(naps, default=0) > 0:
            left[0].hands.wait(min(naps))
