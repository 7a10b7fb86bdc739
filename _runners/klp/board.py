"""
The page of a campaign that is being driven: its waves and hosts, the gate, what is awaited, who is blocked, what to do.

It is written beside the journal while the campaign is driven. Whatever keeps it from being written is told once and
changes nothing else: no step waits for it, and writing it takes a twentieth of the time at most.
"""

from __future__ import annotations

import collections
import time

import jinja2
from salt.exceptions import CommandExecutionError

from . import board_view, files, templates

NAME = "page.html"
STYLES = ("report.css", "campaign.css")
REFRESH, SLOW = 10, 60  # seconds after which a browser reads the page again: while the campaign runs, else
LEAST = 1  # seconds between two times that it is written
MOST = 60  # seconds after which it is written though nothing has happened
SHARE = 20  # it takes one of so many parts of the time
TOLD = 15  # steps that are told
# What keeps a page from being made: the disk, or a defect of salt-klp, which must not stop a campaign.
FAULTS = (CommandExecutionError, jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, OSError,
          RuntimeError, TypeError, ValueError)  # fmt: skip

STALE = "The page {} is out of date: what keeps it from being written is in the output of what drives the campaign."


def html(campaign, entries, now, driven, wait=None):
    """Return the page of a campaign; arguments as for ``board_view.view``."""
    view = board_view.view(campaign, entries, now, driven, wait)
    view["refresh"] = None if campaign.over else REFRESH if driven and not campaign.paused else SLOW
    return "".join(templates.texts("campaign.html.j2", view, STYLES, "campaign.js"))


def stale(path, journal, begun, now):
    """Return the sentence about the page of a driven campaign that tells less than its journal, or ``None``."""
    page, steps = files.seen(path), files.seen(journal)
    late = (begun + MOST < now) if page is None else steps is not None and page[2] + MOST * 10**9 < steps[2]
    return STALE.format(path) if late else None


class Board:
    """The page of one campaign; ``say`` is told once why it cannot be written."""

    def __init__(self, path, campaign, entries, now, say):
        self.path, self.campaign, self.now, self.say = path, campaign, now, say
        self.told: collections.deque = collections.deque(maxlen=TOLD)
        self.wait: dict | None = None  # what the campaign waits for
        self._broken = False
        self._next = self._last = 0.0
        self._dirty = True
        for entry in entries[-TOLD:]:
            self.note(entry)

    def note(self, entry):
        """Take note of a step."""
        self._dirty, self.wait = True, None
        self.told.appendleft(entry)

    def rest(self, wait):
        """Take note of what the campaign waits for."""
        if (self.wait or {}).get("for") != wait["for"]:
            self._dirty = True
        self.wait = wait

    def turn(self, nap):
        """Write the page where that is due; ``nap``: seconds until the next step. Returns when it is due, if sooner."""
        ticks = time.monotonic()
        if nap is None or (ticks >= self._next and (self._dirty or ticks - self._last > MOST)):
            self.write(True)
        elif self._dirty and nap > 0:
            return min(nap, max(0.01, self._next - ticks))
        return nap

    def write(self, driven):
        """Write the page; ``driven``: whether a process drives the campaign. An error is told once."""
        begin = time.monotonic()
        try:
            files.put(self.path, html(self.campaign, self.told, self.now(), driven, self.wait))
            self._broken = False
        except FAULTS as exc:
            if not self._broken:
                self.say(f"the page of campaign {self.campaign.id} cannot be written, the campaign goes on: {exc}")
            self._broken = True
        self._dirty, self._last = False, time.monotonic()
        self._next = self._last + max(LEAST, SHARE * (self._last - begin))
