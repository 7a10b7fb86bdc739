"""
How the words of hosts are shown: as one printable line of bounded length. Pure functions.
"""

from __future__ import annotations

import datetime

from klp_words import count  # noqa: F401 - one of them

LONGEST = 300  # characters of a host's sentence
NAMED = 3  # packages or tasks that a sentence names


def clean(text):
    """Return a string of a host as one printable line of bounded length."""
    if len(text) <= LONGEST and text.isprintable():
        return text
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: LONGEST + 1])
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def some(texts):
    """Return the first of many texts, cleaned, and how many more there are."""
    more = len(texts) - NAMED
    return ", ".join(clean(text) for text in texts[:NAMED]) + (f" and {more} more" if more > 0 else "")


def day(seconds):
    """Return the day of a moment in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).date()


def moment(seconds):
    """Return a moment in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def since(seconds):
    """Return the day of a moment that a host wrote, an empty text for none."""
    return "" if seconds is None else day(seconds).isoformat()
