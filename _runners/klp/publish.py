"""
Where a report goes: files of a folder, each whole or not there, readable by the master's user unless said otherwise.
"""

from __future__ import annotations

import contextlib
import os

from salt.exceptions import CommandExecutionError

ENDING = ".openvex.json"


class Folder:
    """A folder that a report is written into; ``written`` are the files, in order."""

    def __init__(self, path, readable=False):
        self.path, self.written = path, []
        self._file, self._folder = (0o644, 0o755) if readable else (0o600, 0o700)
        self._make(path)

    def _make(self, path):
        try:
            os.makedirs(path, mode=self._folder, exist_ok=True)
        except OSError as exc:
            raise CommandExecutionError(f"{path}: cannot be made ({exc.strerror})") from exc

    def put(self, name, text):
        """Write a file anew; whoever reads it meanwhile has the old one."""
        self._write(os.path.join(self.path, name), text)
        self.written.append(os.path.join(self.path, name))

    def _write(self, path, text):
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + ".new")
            handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, self._file)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as new:
                os.fchmod(new.fileno(), self._file)
                new.write(text)
            os.rename(path + ".new", path)
        except OSError as exc:
            raise CommandExecutionError(f"{path}: cannot be written ({exc.strerror})") from exc

    def replace(self, folder, parts):
        """
        Write ``{name: text}`` below a folder, and take away evidence there that is not told any more.

        What is not told any more would go on to say that a host is safe; other files stay.
        """
        base = os.path.join(self.path, folder)
        for name in parts:
            self._make(os.path.dirname(os.path.join(base, name)))
            self._write(os.path.join(base, name), parts[name])
        for place, _, names in os.walk(base):
            for name in names:
                path = os.path.join(place, name)
                if name.endswith(ENDING) and os.path.relpath(path, base) not in parts:
                    os.unlink(path)
        self.written.append(base)
