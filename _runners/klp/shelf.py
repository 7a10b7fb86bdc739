"""
Campaigns that go: deleted, or moved out of the way. A kill in between leaves the whole campaign, or nothing of it.
"""

from __future__ import annotations

import os
import shutil
import time

from . import files

ASIDE = "aside"  # the folder of those that were moved out of the way; nobody deletes them
GONE = ".gone-"  # what begins so is being deleted


def remove(campaigns, name):
    """Delete a campaign: it goes at once, its files after that. Raises DiskError."""
    gone = os.path.join(campaigns, GONE + name)
    shutil.rmtree(gone, ignore_errors=True)
    _move(os.path.join(campaigns, name), gone)
    shutil.rmtree(gone, ignore_errors=True)


def sweep(campaigns):
    """Delete what a kill has left of campaigns that were being deleted."""
    for name in os.listdir(campaigns):  # read by who looked for ids before
        if name.startswith(GONE):
            shutil.rmtree(os.path.join(campaigns, name), ignore_errors=True)


def set_aside(campaigns, name, now):
    """Move a campaign out of the way, and return where it is. Raises DiskError."""
    folder = os.path.join(campaigns, ASIDE)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        files.own(folder)
    except OSError as exc:
        raise files.unwritable(folder, exc) from exc
    base = os.path.join(folder, f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}")
    target, number = base, 1
    while os.path.lexists(target):
        target, number = f"{base}-{number}", number + 1
    _move(os.path.join(campaigns, name), target)
    files.flush(folder)
    return target


def _move(source, target):
    try:
        os.rename(source, target)
        files.flush(os.path.dirname(source))
    except OSError as exc:
        raise files.unwritable(source, exc) from exc
