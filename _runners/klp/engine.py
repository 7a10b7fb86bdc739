"""
The engine of a master: drives all campaigns that wait for somebody who drives them, for as long as the master runs.

It gives no order of its own: persons make plans, begin, pause and end campaigns. What it cannot do is logged in one
sentence, once, and tried again.
"""

from __future__ import annotations

import logging
import sys
import time

from salt.exceptions import CommandExecutionError, SaltException

import klp_fresh

from . import files, turning
from .steering import Steering, Team, Waiting

BY = "engine klp_campaign"
BREATH = 1  # seconds between two looks at whether the master is still there, while nothing is driven
LONGEST = 300  # seconds after which a campaign that could not go on is tried again at the latest
# What a defect of salt-klp would raise: it stops the campaign that it is about, and never the engine.
FAULTS = (SaltException, ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)

log = logging.getLogger(__name__)


class EndedError(CommandExecutionError):
    """The engine has to end: the master is gone, or the files of salt-klp are other ones now."""


class Problems:
    """Logs each problem in one sentence once, and again only after it was away for a while."""

    def __init__(self):
        self._last: dict = {}  # sentence -> when it was true the last time

    def say(self, sentence, level=logging.ERROR, exc=None):
        """Log a sentence; ``exc``: a defect, whose traceback is logged as well."""
        now = time.monotonic()
        self._last = {known: at for known, at in self._last.items() if now - at <= 3 * LONGEST}
        if sentence not in self._last:
            log.log(level, "klp_campaign: %s", sentence, exc_info=exc)
        self._last[sentence] = now

    def tell(self, exc, about=""):
        """Log what an error says."""
        if isinstance(exc, CommandExecutionError):
            self.say(f"{about}{exc}")
        else:
            self.say(f"{about}a defect of salt-klp: {exc!r:.200}", exc=exc)


class Crew(Team):
    """The campaigns that the engine drives."""

    def drop(self, driver, exc):
        """Let go of a campaign that nobody can drive on; it is tried again later."""
        self.release(driver)
        self.there.rest(driver.plan["id"], exc)


class Watch(Waiting):
    """The campaigns that wait for the engine."""

    faults = FAULTS

    def newcomers(self, left):
        """Return the same as for ``klp.resume``. Raises EndedError where the engine has to end."""
        engine = self.team.there
        engine.check()
        try:
            return super().newcomers(left)
        except FAULTS as exc:
            engine.problems.tell(exc)
            return [], self.every

    def rests(self, name):
        """Return whether a campaign could not go on, and is not to be tried yet."""
        return self.team.there.rests(name)

    def trouble(self, name, exc):
        """Take note of what keeps a campaign from being driven."""
        self.team.there.rest(name, exc)


class Engine(Steering):
    """
    One process of the master that drives campaigns.

    every
        seconds between two looks at what waits to be driven.
    gone
        returns whether the master is gone.
    problems
        where they are told.
    """

    def __init__(self, opts, every, gone, problems):
        super().__init__(opts, say=log.info)
        self.every, self.gone, self.problems = every, gone, problems
        self._rests: dict = {}  # id -> (when it is tried again, after how many seconds, what its files were)
        self._loaded = self._stamp = stamp()
        self._next = time.monotonic() + every  # when it is looked at the files again

    def complain(self, sentence):
        """Log a problem that stops nothing."""
        self.problems.say(sentence)

    def run(self):
        """Drive what waits. Raises EndedError."""
        crew = Crew(self, BY)
        watch = Watch(crew, self.every)
        while True:
            try:
                with crew:
                    turning.turn([], self.problems.say, crew.drop, crew.leave, watch.newcomers, FAULTS)
            except turning.GoneError as exc:
                self.problems.tell(exc)
            doze(self.every, self.gone)

    def check(self):
        """Raise EndedError where the engine has to end."""
        if self.gone():
            raise EndedError("the master has ended")
        if time.monotonic() < self._next:
            return
        self._next, before = time.monotonic() + self.every, self._stamp
        self._stamp = {path: files.seen(path) for path in self._loaded}
        if self._loaded != self._stamp == before:  # twice the same: all new files have come
            raise EndedError("the files of salt-klp have changed; the master starts the engine again")

    def rest(self, name, exc):
        """Let a campaign rest that cannot go on: twice as long as the last time, or until one of its files changes."""
        self.problems.tell(exc, f"campaign {name} has to wait: ")
        until, pause, _ = self._rests.get(name, (0, 0, None))
        now = time.monotonic()
        pause = min(2 * pause, LONGEST) if pause and now < until + LONGEST else self.every
        self._rests[name] = (now + pause, pause, self.seen(name))

    def rests(self, name):
        """Return whether a campaign is not to be tried yet."""
        until, _, seen = self._rests.get(name, (0, 0, None))
        return time.monotonic() < until and seen == self.seen(name)


def stamp():
    """Return what changes with the files of salt-klp that this process has loaded, ``{path: of one file}``."""
    ours = [key for key in list(sys.modules) if key.startswith(klp_fresh.PREFIXES) or klp_fresh.PARTS in key + "."]
    paths = [getattr(sys.modules.get(key), "__file__", None) for key in ours]
    return {path: files.seen(path) for path in paths if path}


def doze(seconds, gone):
    """Wait, but not for longer than the master is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not gone():
        time.sleep(min(BREATH, seconds))


def serve(opts, every, gone):
    """
    Drive all campaigns that wait to be driven, until the master is gone.

    opts
        mapping, the configuration of the master.
    every
        seconds between two looks.
    gone
        returns whether the master is gone.

    Returns as well when the files of salt-klp have changed: the master starts the engine again then, with the new ones.
    """
    problems = Problems()
    while not gone():
        try:
            engine = Engine(opts, every, gone, problems)
            with engine.store.engine():
                engine.run()
        except EndedError as exc:
            log.info("klp_campaign: %s", exc)
            return
        except files.BusyError:
            problems.say("another engine drives the campaigns of this master", logging.WARNING)
        except FAULTS as exc:
            problems.tell(exc)
        doze(every, gone)
