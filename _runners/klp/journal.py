"""
The journal of a campaign: one line for each step, on the disk before the step has any effect.

A line is the CRC-32 of what follows, a blank, and one entry as JSON; the first one has the format (``format``).
A line that a kill or a power cut has torn is the last one and was never acted upon: the next writer cuts it off. It has
no end, or a hole in it where a page never came to the disk. Any other damage is an error, never "nothing happened".
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import zlib

from . import files

FORMAT = 2  # of the entries
HOLE = b"\0\0"  # no entry has zeros
EMPTY = "{}: is empty"
TAIL = 4096  # bytes that the short last entry of a campaign is looked for in


def encoded(entry):
    """Return an entry as the line that stands for it in the file."""
    body = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _decoded(line):
    """Return the entry of a line, or ``None`` if the line is damaged."""
    body = line[9:]
    if line[:9] != b"%08x " % zlib.crc32(body):
        return None
    try:
        entry = json.loads(body)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def parse(data, name):
    """
    Return ``(entries, length)``: the entries in the bytes of a journal, and how many of the bytes are whole.

    Raises DamagedError for damage before the last line, if the entries are not numbered from 1 on, and for entries of
    another format.
    """
    entries, whole = [], 0
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        entry = _decoded(line)
        # A first line of zeros may be a whole journal that has lost what it had: that is never "nothing has happened".
        if entry is None and 1 < number == len(lines) - 1 and not lines[-1] and HOLE in line:
            break
        if entry is None or entry.get("n") != number:
            raise files.DamagedError(f"{name}: line {number} is damaged")
        if number == 1:
            _check_format(entry, name)
        entries.append(entry)
        whole += len(line) + 1
    return entries, whole


def _check_format(entry, name):
    found = entry.get("format", FORMAT)
    if found != FORMAT:
        age = "newer" if isinstance(found, int) and found > FORMAT else "older"
        raise files.DamagedError(
            f"{name}: was written by {age} salt-klp (format {found!r:.20}, this one has {FORMAT})",
            f"go on with the version that began it ({entry.get('program', 'unknown')!s:.20})",
        )


def read(path):
    """Return the entries of a journal, ``None`` where there is none; a torn last line is none."""
    data = files.content(path)
    return None if data is None else parse(data, path)[0]


def last(path):
    """Return what the last whole entry of a journal is (``what``), ``None`` where there is none; reads its end only."""
    lines = (files.end(path, TAIL) or b"").split(b"\n")[:-1]
    found = [entry for entry in map(_decoded, lines[-2:]) if entry]
    return found[-1].get("what") if found else None


class Journal:
    """A journal that is open for writing, by one process at a time (``store.Folder.driving`` sees to that)."""

    def __init__(self, path, least=0):
        """Open it; of fewer entries than ``least`` it is damaged."""
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        except OSError as exc:
            raise (files.unwritable if exc.errno in files.FULL else files.unreadable)(path, exc) from exc
        try:
            files.own(path, self._file)
            data = files.content(path)
            self.entries, whole = parse(data, path)
            if len(self.entries) < least:
                raise files.DamagedError(EMPTY.format(path))
            if whole < len(data):
                os.ftruncate(self._file, whole)
                os.fsync(self._file)
        except OSError as exc:
            self.close()
            raise files.unwritable(path, exc) from exc
        except files.DamagedError:
            self.close()
            raise
        self.next = len(self.entries) + 1

    def append(self, entry):
        """Write an entry, numbered, and return it when it is on the disk. Raises DiskError; nothing was done then."""
        entry = dict(entry, n=self.next)
        line = encoded(entry)
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError as exc:
            with contextlib.suppress(OSError):  # what is torn is cut off by the next writer
                os.ftruncate(self._file, size)
            raise files.unwritable(self.path, exc) from exc
        self.next += 1
        return entry

    def close(self):
        """Close the file."""
        os.close(self._file)
