"""
One job at a time changes a host: a lock that ends with its job, and names it to whoever comes second.

A job of a minion is a process, or a thread of the minion where that has ``multiprocessing: False``: the lock belongs to
the thread that took it.
"""

import contextlib
import fcntl
import json
import os
import threading
import time

from salt.exceptions import CommandExecutionError

import klp_paths

NAME = "run.lock"
_job = threading.local()  # "held": what keeps the lock of this thread, "path": its file


class _Held:
    """An open lock file; its last reference closes it."""

    def __init__(self, handle):
        self.handle = handle

    def __del__(self):
        os.close(self.handle)


def take(what):
    """
    Take the lock, or raise CommandExecutionError with the process that has it.

    what
        what is about to be done, for the other one's message.

    Returns whether it was taken now, and not before by this job.
    """
    path = os.path.join(klp_paths.RUN, NAME)
    if getattr(_job, "path", None) == path:
        return False
    try:
        os.makedirs(klp_paths.RUN, mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise CommandExecutionError(f"{path}: {exc.strerror}") from exc
    me = {"pid": os.getpid(), "thread": threading.get_ident()}
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        holder = _holder(os.read(handle, 4096))
        os.close(handle)
        if {key: holder.get(key) for key in me} == me:
            return False  # taken by this job before a sync in the middle of it replaced this file
        raise CommandExecutionError(_refusal(holder)) from exc
    _job.held, _job.path = _Held(handle), path
    with contextlib.suppress(OSError):  # a full /run takes the other one's message away, not the lock
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({**me, "what": what, "since": int(time.time())}).encode(), 0)
    return True


def release():
    """Let the next job begin."""
    vars(_job).clear()


def busy():
    """Return whether this job or another one has the lock now (bool). Looks only: nobody is refused for it."""
    path = os.path.join(klp_paths.RUN, NAME)
    if getattr(_job, "path", None) == path:
        return True
    try:
        there = os.stat(path)
        with open(f"{klp_paths.PROC}/locks", encoding="ascii", errors="replace") as handle:
            rows = [row.split() for row in handle]
    except OSError:  # nobody has ever taken it, or the kernel does not tell: then nobody is seen to have it
        return False
    mine = f"{os.major(there.st_dev):02x}:{os.minor(there.st_dev):02x}:{there.st_ino}"
    return any(row[1:2] == ["FLOCK"] and mine in row for row in rows)


def _holder(text):
    """Return what the lock file says of who has it; empty where it says nothing that is understood."""
    try:
        found = json.loads(text.decode("utf-8", "replace"))
        return {
            "pid": int(found["pid"]),
            "thread": found.get("thread"),
            "what": str(found["what"])[:60],
            "since": time.strftime("%H:%M:%S", time.localtime(int(found["since"]))),
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _refusal(holder):
    if not holder:
        return "another run of salt-klp is changing this host; wait for its end"
    return (
        f"process {holder['pid']} is changing this host ({holder['what']}, since {holder['since']}), and only one "
        f"run at a time may do so; wait until it ends, or look at it with: ps -fp {holder['pid']}"
    )
