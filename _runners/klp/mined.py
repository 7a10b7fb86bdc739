"""
Documents of hosts as the mine has them, read host by host from the files of Salt's own cache: only what some CVEs need.

``mine.get`` makes all documents at once into objects, each with hundreds of CVEs: 10,000 hosts need 800 MB and many
seconds. Here what is not asked for is skipped. What is used has its form checked as ``documents.document`` does it; of
whatever is not a plain document nothing is taken, and ``mine.get`` has the word.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re

import msgpack
import salt.utils.mine
import salt.version

from . import documents
from .shape import ShapeError

FUNCTION = "klp_audit.host"
LARGEST = 4 << 20  # bytes of a file; the largest honest document has a quarter of it
# As msgpack has short texts: one byte with the length, then the text.
LISTS = re.compile(rb"(?:[\xa0-\xbf]CVE-[0-9]{4}-[0-9]{4,19})*")
SEVERITIES = set(documents.SEVERITIES)
WORD = re.compile(b"[\xa0-\xbf](%s)" % "|".join(documents.SEVERITIES).encode())
USED = ("time", "os", "group", "kernel", "live_patch", "kernel_target")
NEEDED = ("schema", "version", "host", "updates", "cves", *USED[:-1])
BROKEN = (ValueError, TypeError, KeyError, msgpack.exceptions.UnpackException)


class Packed:
    """A list of CVEs as it lies in the file; it is unpacked when somebody reads it."""

    def __init__(self, raw):
        self.raw = raw

    def __contains__(self, cve):
        return _text(cve) in self.raw

    def __iter__(self):
        return iter(_unpacked(self.raw))


class Severities:
    """The severities of the CVEs of a document; they are unpacked when somebody wants all of them."""

    def __init__(self, raw):
        self.raw = raw

    def get(self, cve, default=None):
        """Return the severity of a CVE. Raises ShapeError."""
        key = _text(cve)
        at = self.raw.find(key)
        if at < 0:
            return default
        found = WORD.match(self.raw, at + len(key))
        if not found:
            raise ShapeError("it is no severity", "cves", "severity", cve)
        return found.group(1).decode()

    def items(self):
        """Return all of them. Raises ShapeError."""
        found = _unpacked(self.raw)
        with contextlib.suppress(TypeError):  # of a value that is a list
            if isinstance(found, dict) and SEVERITIES.issuperset(found.values()):
                return found.items()
        raise ShapeError("they are no severities", "cves", "severity")


def _text(text):
    """Return a short text as msgpack has it."""
    return bytes([0xA0 | len(text)]) + text.encode()


def _unpacked(raw):
    return msgpack.unpackb(raw, raw=False)


def folder(opts):
    """Return where Salt keeps the mine of each host, with the name of its file; ``None``: only ``mine.get`` knows."""
    if opts.get("cache", "localfs") != "localfs" or opts.get("mine_get") or not opts.get("cachedir"):
        return None
    if salt.version.__saltstack_version__ >= "3008":
        return os.path.join(opts["cachedir"], "mine", "{}.p")
    return os.path.join(opts["cachedir"], "minions", "{}", "mine.p")


class Reader:
    """Reads documents; what many hosts have in common is checked once. ``path`` is as ``folder`` returns it."""

    def __init__(self, path):
        self.path, self.kept = path, {}

    def document(self, host):
        """
        Return the parts of the document of a host that an answer about CVEs needs, in the form of documents.

        The lists of CVEs are ``Packed``, the severities ``Severities``. ``None``: it is not to be read so.
        """
        if not self.path:
            return None
        try:
            with open(self.path.format(host), "rb", buffering=0) as file:
                raw = file.read() if os.fstat(file.fileno()).st_size <= LARGEST else b""
        except OSError:
            return None
        try:
            return self._document(host, raw)
        except (*BROKEN, ShapeError):
            return None

    def _document(self, host, raw):
        unpacker = msgpack.Unpacker(raw=False, max_buffer_size=LARGEST + 1)
        unpacker.feed(raw)
        parts = _pairs(unpacker, raw, {FUNCTION: {"cves": {}, "updates": {}}}).get(FUNCTION, {})
        if any(key not in parts for key in NEEDED) or salt.utils.mine.MINE_ITEM_ACL_ID in parts:
            return None
        version, said = _unpacked(parts["version"]), (_unpacked(parts["schema"]), _unpacked(parts["host"]))
        older = type(version) is int and version in documents.OLDER
        newest = type(version) is int and version == documents.VERSION and "kernel_target" in parts
        if said != (documents.KIND, host) or not (older or newest):
            return None
        forms = documents.DOCUMENT.forms
        document = {key: self._taken(forms[key], parts[key]) for key in USED if key in parts}
        repositories = self._taken(documents.UPDATES.forms["repositories"], parts["updates"]["repositories"])
        document.update(host=host, updates={"repositories": repositories}, cves=self._cves(parts["cves"]))
        return {"kernel_target": None, **document}

    def _cves(self, parts):
        forms, lists = documents.ADVISED.forms, {state: self._list(parts[state]) for state in documents.STATES}
        more = {key: self._taken(forms[key], parts[key]) for key in ("contradictions", "reason")}
        return {**lists, **more, "severity": Severities(parts["severity"])}

    def _list(self, raw):
        """Return a list of CVEs that has the form of one."""
        key = _digest(raw)
        if key not in self.kept:
            unpacker = msgpack.Unpacker(raw=False)
            unpacker.feed(raw)
            number, at = unpacker.read_array_header(), unpacker.tell()
            texts = raw[at:]
            if number > documents.LONGEST or texts.count(b"CVE-") != number or not LISTS.fullmatch(texts):
                raise ShapeError("it is no list of CVEs")
            self.kept[key] = True
        return Packed(raw)

    def _taken(self, form, raw):
        key = (id(form), raw if len(raw) < 64 else _digest(raw))
        if key not in self.kept:
            self.kept[key] = form.take(_unpacked(raw))
        return self.kept[key]


def _digest(raw):
    return hashlib.blake2b(raw, digest_size=16).digest()


def _pairs(unpacker, raw, within):
    """Return a mapping whose values stay bytes; those that ``within`` names, ``{key: within}``, are such mappings."""
    found = {}
    for _ in range(unpacker.read_map_header()):
        key = unpacker.unpack()
        if key in within:
            found[key] = _pairs(unpacker, raw, within[key])
            continue
        at = unpacker.tell()
        unpacker.skip()
        found[key] = raw[at : unpacker.tell()]
    return found
