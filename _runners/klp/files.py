"""
Files of the master that may be damaged, of another version or not readable: read with care, written whole, locked.

Nothing here waits for a pipe, reads without a limit or takes what is no file for one. Locks are those of flock(2): the
kernel lets go of them when their holder dies, by whatever.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pwd
import re
import shlex
import stat
import time

from salt.exceptions import CommandExecutionError

PATIENCE = 60  # seconds that a lock is waited for that is held for moments only
MOMENT = 0.3  # the same for the lock of a driver: somebody may just be looking whether it is held
SMALL, LARGE = 1 << 24, 1 << 30  # bytes that a file may have: a wish or a summary, a plan or a journal
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DENIED = (errno.EACCES, errno.EPERM)
REPAIR = "restore it from a backup"
WITHIN = re.compile(r"(.*)/campaigns/(?:[0-9a-f]{12}|aside|\.gone-[0-9a-f]{12})(?:/.*)?", re.DOTALL)


class BusyError(CommandExecutionError):
    """Somebody else holds the lock."""


class DamagedError(CommandExecutionError):
    """
    A file cannot be used.

    why
        what is wrong, with the file.
    cure
        what to do.
    aside
        whether setting its campaign aside is another cure.
    """

    def __init__(self, why, cure=REPAIR, aside=True):
        super().__init__(f"{why}; {cure}")
        self.why, self.cure, self.aside = why, cure, aside


class DiskError(CommandExecutionError):
    """What is to be written does not get to the disk."""


def user():
    """Return the name of the user that this process runs as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def given(path):
    """Return what gives all that is in the folder of a file, or in that of all campaigns, to this process."""
    within = WITHIN.fullmatch(path)
    folder = within.group(1) if within else os.path.dirname(path)
    return f"give it to the user that the master runs as: chown -R {user()}: {shlex.quote(folder)}"


def own(path, handle=None):
    """
    Let what root has made belong to the owner of the folder that it is in: nothing of root's is left there.

    handle
        file descriptor of what was made; default: it is a folder.
    """
    if os.geteuid() == 0:
        owner = os.stat(os.path.dirname(path))
        os.chown(path if handle is None else handle, owner.st_uid, owner.st_gid)


def unreadable(path, exc):
    """Return the error that stands for an OSError while a file was read."""
    if exc.errno in DENIED:
        cure = given(path)
        return DamagedError(f"{path}: cannot be read ({exc.strerror}, as user {user()})", cure, aside=False)
    return DamagedError(f"{path}: cannot be read ({exc.strerror})")


def unwritable(path, exc):
    """Return the error that stands for an OSError while a file was written."""
    cure = "make room" if exc.errno in FULL else f"user {user()} has to be able to write there"
    cure = given(path) if exc.errno in DENIED else cure
    return DiskError(f"{path}: cannot be written ({exc.strerror}); {cure}")


def exists(path):
    """Return whether something is there. Raises DamagedError where that is unknown, which is never "no"."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise unreadable(path, exc) from exc
    return True


def seen(path):
    """Return what changes with a file; ``None`` where there is none, or that is unknown."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def content(path, most=LARGE):
    """Return the bytes of a file, ``None`` where there is none. Raises DamagedError."""
    with _opened(path, most) as handle:
        return handle and handle.read()


def end(path, size):
    """Return the last bytes of a file, ``None`` where there is none. Raises DamagedError."""
    with _opened(path, LARGE) as handle:
        if handle:
            handle.seek(max(0, os.fstat(handle.fileno()).st_size - size))
        return handle and handle.read()


@contextlib.contextmanager
def _opened(path, most):
    handle = None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        regular(path, handle, most)
        with os.fdopen(handle, "rb", closefd=False) as found:
            yield found
    except FileNotFoundError:
        yield None
    except OSError as exc:
        raise unreadable(path, exc) from exc
    finally:
        if handle is not None:
            os.close(handle)


def regular(path, handle, most=LARGE):
    """Raise DamagedError for what is open and is no file, or too large for one of ours."""
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        raise DamagedError(f"{path}: is no file")
    if found.st_size > most:
        raise DamagedError(f"{path}: is larger than {most >> 20} MiB")


def read(path, default, most=SMALL):
    """Return what a file has as JSON, ``default`` where there is none. Raises DamagedError."""
    data = content(path, most)
    if data is None:
        return default
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise DamagedError(f"{path}: cannot be read ({str(exc) or 'damaged':.80})") from exc


def write(path, value):
    """Write a file anew as JSON, flushed to the disk before it takes the place of the old one. Raises DiskError."""
    try:
        handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as new:
            own(path, new.fileno())
            json.dump(value, new, sort_keys=True)
            new.flush()
            os.fsync(new.fileno())
        os.rename(path + ".new", path)
        flush(os.path.dirname(path))
    except OSError as exc:
        raise unwritable(path, exc) from exc


def put(path, text):
    """Write a text in the place of a file; what reads it sees the old or the new one. Raises DiskError."""
    try:
        handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as new:
            own(path, new.fileno())
            new.write(text)
        os.rename(path + ".new", path)
    except OSError as exc:
        raise unwritable(path, exc) from exc


def flush(folder):
    """Bring what was made, renamed or deleted in a folder to the disk. Raises DiskError."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as exc:
        raise unwritable(folder, exc) from exc


@contextlib.contextmanager
def locked(path, wait, moment=MOMENT):
    """Hold a lock, waited for a moment (seconds) at least. Raises BusyError, DamagedError and DiskError."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as exc:
        if exc.errno in FULL:
            raise unwritable(path, exc) from exc
        found = unreadable(path, exc)
        cure = "remove it, it is only a lock" if found.aside else found.cure
        raise DamagedError(found.why, cure, aside=False) from exc
    try:
        with contextlib.suppress(OSError):  # its owner has it already
            own(path, handle)
        deadline = time.monotonic() + (PATIENCE if wait else moment)
        while not _taken(handle):
            if time.monotonic() > deadline:
                raise BusyError(f"{path} is held by another process")
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _taken(handle):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
