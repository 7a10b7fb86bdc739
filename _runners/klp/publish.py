"""
Where a report goes: files of a folder, each whole or not there, readable by the master's user unless said otherwise.
"""

from __future__ import annotations

import contextlib
import os

from salt.exceptions import CommandExecutionError

from . import files

ENDING = ".openvex.json"


class Folder:
    """
    A folder that a report is written into; ``written`` are the files, in order.

    ours
        it is in the folder of campaigns: what root makes there belongs to the user of the master.
    """

    def __init__(self, path, readable=False, ours=False):
        self.path, self.written, self._own = path, [], files.own if ours else _as_it_is
        self._file, self._folder = (0o644, 0o755) if readable else (0o600, 0o700)
        self._make(path)

    def _make(self, path):
        if os.path.isdir(path):
            return
        if not os.path.lexists(os.path.dirname(path)):
            self._make(os.path.dirname(path))
        try:
            os.mkdir(path, self._folder)
            self._own(path)
        except OSError as exc:
            raise self._refused(path, exc, "made") from exc

    def _refused(self, path, exc, what):
        """Return the error that stands for an OSError, with the command that helps where the user has no right."""
        place = self.path if os.path.lexists(self.path) else os.path.dirname(self.path)
        cure = f"; {files.given(os.path.join(place, 'x'))}" if exc.errno in files.DENIED else ""
        return CommandExecutionError(f"{path}: cannot be {what} ({exc.strerror}){cure}")

    def put(self, name, texts):
        """
        Write a file anew; whoever reads it meanwhile has the old one, and so has everybody if it cannot be written.

        texts
            what is in it, one text after the other.
        """
        self._write(os.path.join(self.path, name), texts)
        self.written.append(os.path.join(self.path, name))

    def _write(self, path, texts):
        new = path + ".new"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, self._file)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                os.fchmod(file.fileno(), self._file)
                self._own(path, file.fileno())
                file.writelines(texts)
            os.rename(new, path)
        except OSError as exc:
            raise self._refused(path, exc, "written") from exc
        finally:
            with contextlib.suppress(OSError):
                os.unlink(new)

    def replace(self, folder, parts):
        """
        Write files below a folder, and take away evidence there that is not told any more.

        What is not told any more would go on to say that a host is safe; other files stay.

        parts
            ``(name, texts)`` of each file.
        """
        base, told = os.path.join(self.path, folder), set()
        for name, texts in parts:
            self._make(os.path.dirname(os.path.join(base, name)))
            self._write(os.path.join(base, name), texts)
            told.add(name)
        for place, _, names in os.walk(base, onerror=self._unseen):
            for name in names:
                path = os.path.join(place, name)
                if name.endswith(ENDING) and os.path.relpath(path, base) not in told:
                    self._remove(path)
        self.written.append(base)

    def _unseen(self, exc):
        if not isinstance(exc, FileNotFoundError):
            raise self._refused(exc.filename, exc, "read") from exc

    def _remove(self, path):
        try:
            os.unlink(path)
        except OSError as exc:
            raise self._refused(path, exc, "removed") from exc


def _as_it_is(_path, _handle=None):
    """Leave what was made to the user of this process."""
