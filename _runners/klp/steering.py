"""
Driving campaigns in this process: those that were named, or all that wait for somebody who drives them.
"""

from __future__ import annotations

import contextlib
import time

from salt.exceptions import CommandExecutionError

from . import board, drive, files, hands, show, store, turning
from .outcome import REFUSED, RETCODES, answer, progress
from .standing import Standing

EVERY = 10  # seconds between two looks at what else waits to be driven
FILES = ("plan.json", "approval.json", "journal", "wish.json")


class Steering(Standing):
    """The campaigns of one master, for who drives some of them."""

    def __init__(self, opts, say=progress):
        super().__init__(opts)
        self.say = say
        self.driving: list = []  # ids of the campaigns that are driven here and now

    def complain(self, sentence):
        """Tell a problem that stops nothing."""
        self.say(sentence)

    def hands(self, campaign):
        """Return what reaches the hosts."""
        wrong = hands.usable(self.opts)
        if wrong:
            raise CommandExecutionError(wrong)
        return hands.Hands(self.opts, campaign)

    def seen(self, name):
        """Return what changes with the files of a campaign."""
        return [files.seen(self.store.path(name, file)) for file in FILES]

    def waits(self, name):
        """Return whether a campaign is to be driven: not over, and not paused, or somebody wants it to go on or end."""
        campaign, wish = self._campaign(name), self.store.wished(name)
        unread = wish["want"] if wish and wish["number"] > campaign.wish else None
        return not campaign.over and (not campaign.paused or unread in ("resume", "abort"))

    def drive(self, names, who, first=None):
        """
        Drive campaigns, step by step in turn, until each is over or paused; return their answers.

        first
            called before a campaign is driven, when no other process can drive it any more.
        """
        with Team(self, who) as team:
            drivers = [team.take(name, first) for name in names]
            try:
                turning.turn(drivers, self.say, team.drop, team.leave)
            except turning.GoneError as exc:
                return [gone(exc, names)]
        return [team.dropped.get(name) or self.answer(name) for name in names]

    def drive_all(self, who):
        """Drive all that are not over, not paused and driven by nobody, also those that become so meanwhile."""
        with Team(self, who) as team:
            waiting = Waiting(team)
            try:
                turning.turn([], self.say, team.drop, team.leave, waiting.newcomers)
            except turning.GoneError as exc:
                return gone(exc, list(team.taken))
        names, damaged = list(team.taken), waiting.troubles
        done = [team.dropped.get(name) or self.answer(name) for name in names]
        texts = [item["text"] for item in done] or ["nothing to resume"]
        texts += [f"campaign {name} is not driven: {why}" for name, why in damaged.items()]
        code = max([item["retcode"] for item in done] + [REFUSED] * bool(damaged), default=0)
        return answer(code, "\n\n".join(texts), campaigns=names, damaged=damaged)


class Shown(drive.Driver):
    """A driver whose campaign has a page; ``tell``: what tells of each entry."""

    def __init__(self, there, plan, journal, reach, tell):
        super().__init__(there.store, plan, journal, reach, say=self._told)
        path = there.store.path(plan["id"], board.NAME)
        self._tell, self.board = tell, board.Board(path, self.campaign, journal.entries, reach.now, there.complain)

    def _told(self, entry):
        self._tell(entry)
        self.board.note(entry)

    def _wait(self, todo, now):
        self.board.rest(todo)
        return super()._wait(todo, now)

    def step(self):
        """Do the next step, and write the page where that is due."""
        return self.board.turn(super().step())


class Team:
    """The campaigns that one process drives, each with what is let go when it leaves."""

    def __init__(self, there, who):
        self.there, self.who = there, who
        self.taken: list = []  # ids of all that were ever driven here
        self.dropped: dict = {}  # id -> the answer about one that cannot go on
        self._held: dict = {}  # id -> what is let go when it leaves

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc):
        while self._held:
            self._held.popitem()[1].close()
        if not kind:  # after a signal it is told which they were
            self.there.driving = []

    def has(self, name):
        """Return whether a campaign is driven here now."""
        return name in self._held

    def take(self, name, first=None):
        """Return what drives a campaign. Raises BusyError where another process does."""
        self.there.driving.append(name)
        with contextlib.ExitStack() as own:
            try:
                driver = self._driver(name, own, first)
            except CommandExecutionError:
                self.there.driving.remove(name)
                raise
            self._held[name] = own.pop_all()
        if name not in self.taken:
            self.taken.append(name)
        return driver

    def _driver(self, name, own, first):
        there = self.there
        try:
            own.enter_context(there.store.alone(name))
        except files.BusyError as exc:
            raise files.BusyError(
                f"another process drives campaign {name}; watch it with: salt-run klp.status {name} watch=5"
            ) from exc
        if first:
            first()
        journal = own.enter_context(there.store.opened(name))
        reach = there.hands(name)
        own.callback(reach.close)
        plan = there.store.plan(name)
        with store.fitting(there.store, name):
            driver = Shown(there, plan, journal, reach, teller(plan, there.say))
        own.callback(driver.board.write, driven=False)
        driver.taken_up(self.who, there.opts["id"])
        return driver

    def release(self, driver):
        """Let go of a campaign, so that another process can drive it."""
        name = driver.plan["id"]
        self._held.pop(name).close()
        self.there.driving.remove(name)
        return name

    def leave(self, driver):
        """Let go of a campaign that is over or paused; one that is over is summed up."""
        name = self.release(driver)
        with contextlib.suppress(CommandExecutionError):  # the next one who looks does it, or says why not
            self.there.overview(name)

    def drop(self, driver, exc):
        """Let go of a campaign that nobody can drive on."""
        name = self.release(driver)
        self.dropped[name] = unfinished(name, exc)
        self.there.say(self.dropped[name]["text"])


class Waiting:
    """
    The campaigns that wait to be driven: begun, not over, not paused, and driven by nobody.

    team
        which takes them.
    every
        seconds between two looks, unless nothing is driven here.
    """

    faults: tuple = (CommandExecutionError,)  # what keeps one campaign from being driven

    def __init__(self, team, every=EVERY):
        self.team, self.every, self.store = team, every, team.there.store
        self.troubles: dict = {}  # id -> why a campaign is not driven
        self._next = 0.0
        self._idle: dict = {}  # id -> what its files were when it did not wait

    def newcomers(self, left):
        """Return ``(drivers of the campaigns that are to be driven here as well, seconds until the next look)``."""
        now = time.monotonic()
        if left and now < self._next:
            return [], self._next - now
        self._next = now + self.every
        return [driver for name in self.store.open_campaigns() for driver in self._taken(name)], self.every

    def rests(self, name):
        """Return whether a campaign could not go on, and is not to be tried again."""
        return name in self.team.dropped

    def trouble(self, name, exc):
        """Take note of what keeps a campaign from being driven."""
        self.troubles[name] = str(exc)

    def _taken(self, name):
        """Return what drives a campaign, in a list; an empty one where it does not wait, or cannot be driven."""
        if self.team.has(name) or self.rests(name):
            return []
        try:
            found = [self.team.take(name)] if self._waits(name) else []
        except files.BusyError:
            return []
        except self.faults as exc:
            self.trouble(name, exc)
            return []
        self.troubles.pop(name, None)
        return found

    def _waits(self, name):
        seen = self.team.there.seen(name)
        if self._idle.get(name) == seen or self.store.driven(name, 0):
            return False
        waits = self.team.there.waits(name)
        if not waits:
            self._idle[name] = seen
        return waits


def gone(exc, names):
    """Return the answer where the master does not answer any more."""
    text = f"{exc}\nNothing is lost; go on, as the scheduler does, with: salt-run klp.resume"
    return answer(RETCODES["interrupted"], text, error=str(exc), campaigns=names)


def unfinished(name, exc):
    """Return the answer of a campaign that nobody can drive on: what it has done stays written down."""
    text = (
        f"campaign {name} has to wait: {exc}\nIts journal has all that was done, and hosts that run finish; "
        f"go on with: salt-run klp.resume {name}"
    )
    return answer(RETCODES["interrupted"], text, error=str(exc), campaigns=[name])


def teller(plan, say):
    """Return what tells of each entry of a campaign's journal."""

    def tell(entry):
        for line in show.line(plan, entry):
            say(line)

    return tell
