"""
The documents of a fleet, collected one after the other: checked and packed here, and unpacked whenever one is read.

Ten thousand of them would take a gigabyte as Python objects. They look like ``{host: document}`` to those who read
them; each reading makes a new document, so nothing of it stays when the next one is read.
"""

from __future__ import annotations

import collections.abc
import json
import tempfile
import zlib

from salt.exceptions import CommandExecutionError

MEMORY = 1 << 26  # packed bytes that are kept in memory; more of them go into a file without a name
LEVEL = 1  # of compression: the quickest


class Documents(collections.abc.Mapping):
    """``{host: document}``, sorted by host; ``times`` is ``{host: when its document was made}``."""

    def __init__(self):
        self.times = {}
        self._places = {}
        self._file = tempfile.SpooledTemporaryFile(max_size=MEMORY)

    def __setitem__(self, host, document):
        packed = zlib.compress(json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), LEVEL)
        try:
            begin = self._file.seek(0, 2) or self._file.tell()
            self._file.write(packed)
        except OSError as exc:
            why = f"the documents of the hosts cannot be kept in {tempfile.gettempdir()} ({exc.strerror})"
            raise CommandExecutionError(why) from exc
        self._places[host] = begin, len(packed)
        self.times[host] = document["time"]

    def text(self, host):
        """Return the document of a host as compact JSON, its keys sorted."""
        begin, length = self._places[host]
        self._file.seek(begin)
        return zlib.decompress(self._file.read(length)).decode()

    def __getitem__(self, host):
        return json.loads(self.text(host))

    def __iter__(self):
        return iter(sorted(self._places))

    def __contains__(self, host):
        return host in self._places

    def __len__(self):
        return len(self._places)
