"""
A process that drives a campaign and can be killed at any moment, while the simulated hosts live in its parent.

The real driver, journal and store work in the child; each call of its hands is one request to the parent, by a pipe.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import time

from _runners.klp import drive, files, journal, store, turning

BUSY = 16  # exit status of a process that finds another one driving
WAIT = 60  # seconds that a child may take for the next request
# Children are forked from a process that has read these files and nothing else: quicker than forking all of pytest.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


class FarHands:
    """The hands of the child. Each answer brings the time, which only requests move; ``clock``: ask for it as well."""

    def __init__(self, pipe, clock):
        self.pipe, self.clock, self.time = pipe, clock, None

    def now(self):
        return self._call("now") if self.clock or self.time is None else self.time

    def ticks(self):
        """Nobody sets the clock here, so the time that the last answer has brought is good enough."""
        return self.now() if self.time is None else self.time

    def _call(self, name, *args, **kwargs):
        self.pipe.send((name, args, kwargs))
        gone, value, self.time = self.pipe.recv()
        if gone:
            raise turning.GoneError(value)
        return value

    def __getattr__(self, name):
        return functools.partial(self._call, name)


def die():
    """Kill the own process: nothing is cleaned up, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


class Doomed(journal.Journal):
    """A journal whose process dies at the entry ``number``: ``before`` it, ``half`` through it, or ``after`` it."""

    when = "never"
    number = 0

    def append(self, entry):
        mine = self.next == Doomed.number
        if mine and Doomed.when == "before":
            die()
        if mine and Doomed.when == "half":
            line = journal.encoded(dict(entry, n=self.next))
            os.write(self._file, line[: len(line) // 2])
            die()
        found = super().append(entry)
        if mine and Doomed.when == "after":
            die()
        return found


def _child(pipe, clock, folder, name, when, number):
    Doomed.when, Doomed.number = when, number
    setattr(journal, "Journal", Doomed)  # noqa: B010  in this process only
    there = store.Store(folder)
    if not there.begun(name):
        there.begin(name)
    try:
        with there.driving(name) as entries:
            turning.turn([drive.Driver(there, there.plan(name), entries, FarHands(pipe, clock))])
    except files.BusyError as exc:
        raise SystemExit(BUSY) from exc


def start(clock, folder, name, when="never", number=0):
    """Start a process that drives a campaign: ``(process, pipe to it)``."""
    ours, theirs = FORKS.Pipe()
    child = FORKS.Process(target=_child, args=(theirs, clock, folder, name, when, number), daemon=True)
    child.start()
    theirs.close()
    return child, ours


class Server:
    """Serves a child until it ends or is killed; ``hook(number, phase)`` says whether to kill it then."""

    def __init__(self, child, pipe, world):
        self.child, self.pipe, self.world = child, pipe, world
        self.names: list = []  # of the requests that have come

    def serve(self, hook=lambda number, phase: False, seconds=None):
        """Return the exit status: 0, or minus the signal that the child died of."""
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            while self._next(hook, deadline):
                pass
        except (EOFError, ConnectionError):
            pass
        finally:
            status = self.end()
        return status

    def _next(self, hook, deadline):
        left = WAIT if deadline is None else deadline - time.monotonic()
        if not self.pipe.poll(max(0.0, left)):
            assert deadline is not None, "the child hangs"
            return False
        name, args, kwargs = self.pipe.recv()
        self.names.append(name)
        if hook(len(self.names) - 1, "before"):
            return False
        try:
            answer = (False, getattr(self.world, name)(*args, **kwargs), self.world.time)
        except turning.GoneError as exc:
            answer = (True, str(exc), self.world.time)
        if hook(len(self.names) - 1, "after"):
            return False
        self.pipe.send(answer)
        return True

    def end(self):
        """Kill the child, if it lives, and wait for its end."""
        self.child.kill()
        self.child.join()
        self.pipe.close()
        status = self.child.exitcode
        self.child.close()
        return status
