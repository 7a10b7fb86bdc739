"""
The journal of a campaign: one line for each step, on the disk before the step has any effect.

A line is the CRC-32 of what follows, a blank, and one entry as JSON. A line that a kill or a power cut has torn is the
last one and was never acted upon: the next writer cuts it off. It has no end, or a hole in it where a page never came
to the disk. Any other damage is an error, never "nothing happened".
"""

from __future__ import annotations

import json
import os
import zlib

from salt.exceptions import CommandExecutionError

HOLE = b"\0\0"  # no entry has zeros
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

    Raises CommandExecutionError for damage before the last line, and if the entries are not numbered from 1 on.
    """
    entries, whole = [], 0
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        entry = _decoded(line)
        if entry is None and number == len(lines) - 1 and not lines[-1] and HOLE in line:
            break
        if entry is None or entry.get("n") != number:
            raise CommandExecutionError(f"{name}: line {number} is damaged; restore the file from a backup")
        entries.append(entry)
        whole += len(line) + 1
    return entries, whole


def read(path):
    """Return the entries of a journal; a torn last line is not one. Raises CommandExecutionError if it is damaged."""
    try:
        with open(path, "rb") as handle:
            return parse(handle.read(), path)[0]
    except OSError as exc:
        raise CommandExecutionError(f"{path}: cannot be read ({exc.strerror})") from exc


def last(path):
    """Return what the last whole entry of a journal is (``what``), ``None`` where there is none; reads its end only."""
    with open(path, "rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - TAIL))
        lines = handle.read().split(b"\n")[:-1]
    found = [entry for entry in map(_decoded, lines[-2:]) if entry]
    return found[-1]["what"] if found else None


class Journal:
    """A journal that is open for writing, by one process at a time (``store.Folder.driving`` sees to that)."""

    def __init__(self, path):
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            with open(path, "rb") as handle:
                data = handle.read()
            self.entries, whole = parse(data, path)
        except CommandExecutionError:
            self.close()
            raise
        if whole < len(data):
            os.ftruncate(self._file, whole)
            os.fsync(self._file)
        self.next = len(self.entries) + 1

    def append(self, entry):
        """Write an entry, numbered, and return it when it is on the disk."""
        entry = dict(entry, n=self.next)
        line = encoded(entry)
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(28, "the disk is full")
            os.fsync(self._file)
        except OSError as exc:
            os.ftruncate(self._file, size)
            raise CommandExecutionError(f"{self.path}: cannot be written ({exc.strerror}); nothing was done") from exc
        self.next += 1
        return entry

    def close(self):
        """Close the file."""
        os.close(self._file)
