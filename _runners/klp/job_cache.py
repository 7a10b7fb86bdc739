"""
The answers to a job, as Salt's default job cache (local_cache) has them on the disk.

Its own get_jid reads a file that it cannot read again and again, without end (salt/returners/local_cache.py, 3006 to
3008): one minion that returns a date of the year 1, which Salt writes so that it cannot read it, would stop every
campaign.
"""

from __future__ import annotations

import functools
import os

import salt.payload
import salt.utils.jid
from salt.exceptions import SaltDeserializationError

UNREADABLE = "Salt cannot read back what it has returned"


def reader(opts, get_jid):
    """Return the function that reads the answers to a job; ``get_jid`` is that of another job cache."""
    return functools.partial(answers, opts) if opts["master_job_cache"] == "local_cache" else get_jid


def answers(opts, jid):
    """Return the answers that are there, ``{host: {"return", "retcode", "success"}}``."""
    folder = salt.utils.jid.jid_dir(jid, os.path.join(opts["cachedir"], "jobs"), opts["hash_type"])
    try:
        names = [name for name in os.listdir(folder) if not name.startswith(".")]
    except FileNotFoundError:
        return {}
    found = {name: _answer(os.path.join(folder, name, "return.p")) for name in names}
    return {name: answer for name, answer in found.items() if answer}


def _answer(path):
    try:
        with open(path, "rb") as handle:
            data = handle.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        found = salt.payload.loads(data, encoding="utf-8")
    except SaltDeserializationError:
        return {"return": UNREADABLE}
    return found if isinstance(found, dict) and "return" in found else {"return": found}
