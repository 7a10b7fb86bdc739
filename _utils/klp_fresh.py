"""
Keeps a running daemon from using utils that were replaced by a sync.

A module of Salt that is loaded anew imports what Python has in ``sys.modules``: the old files (measured on 3006, 3007
and 3008). Each module of salt-klp calls ``renew`` before it imports the rest: if a file has changed, all are dropped.
"""

import importlib
import os
import sys

PREFIXES = ("klp_", "zypp_")
PARTS = ".runners.klp."  # files of the runner klp, which imports them itself
FOLDER = os.path.dirname(os.path.abspath(__file__))


def _stamp():
    """Return what changes with every file of salt-klp in this folder; empty where the folder is gone."""
    try:
        entries = [entry for entry in os.scandir(FOLDER) if entry.name.startswith(PREFIXES) and entry.is_file()]
        stats = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".py")]
    except OSError:
        return []
    return sorted((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


SEEN = _stamp()


def renew():
    """Drop all of salt-klp that was imported by name, if one of the utils is another file than it was then."""
    if _stamp() != SEEN:
        for name in [name for name in list(sys.modules) if name.startswith(PREFIXES) or PARTS in name]:
            sys.modules.pop(name, None)  # another thread may have dropped it just now
            package, _, part = name.rpartition(".")
            if package in sys.modules:
                vars(sys.modules[package]).pop(part, None)  # "from . import part" would take it from there
        importlib.import_module(__name__)  # now, so that SEEN is never newer than what is imported after it
