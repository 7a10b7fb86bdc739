"""
The metadata that zypper has fetched from repositories, read where zypper reads them. Starts no program.

Source: the format of updateinfo.xml (createrepo_c, libsolv's repo_updateinfoxml.c); that names and editions are those
of ``zypper info`` is measured.
"""

import bz2
import contextlib
import glob
import gzip
import lzma
import os
import xml.etree.ElementTree as ElementTree
import zlib

import klp_paths

LARGEST = 256 * 1024 * 1024  # bytes of unpacked text; 3,000 advisories have 40 million
OPENERS: dict = {".xml": open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
UNREADABLE = (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error)
DAMAGED = (ValueError, KeyError, ElementTree.ParseError)


def advisory_editions(ids):
    """
    Return the packages that advisories bring, of those that are found: ``{id: {name: edition}}``.

    ids
        ``{advisory id: alias of its repository}``.
    """
    found = {}
    for alias in {alias for alias in ids.values() if alias and "/" not in alias and not alias.startswith(".")}:
        wanted = [item for item, where in ids.items() if where == alias]
        for path in glob.glob(f"{glob.escape(klp_paths.RAW_METADATA)}/{glob.escape(alias)}/repodata/*updateinfo.xml*"):
            found.update(_read(path, wanted))
    return found


def _read(path, wanted):
    """Return what one file has of some advisories; a file that cannot be read has none, nor has a damaged advisory."""
    opener, wanted, found = OPENERS.get(os.path.splitext(path)[1]), set(wanted), {}
    if not opener:
        return {}
    try:
        with opener(path, "rb") as handle:
            parts = handle.read(LARGEST).split(b"</update>")
    except UNREADABLE:
        return {}
    for part in parts[:-1]:  # what comes after the last end is no advisory, or one that is cut off
        if _id(part) in wanted:
            with contextlib.suppress(*DAMAGED):
                found.update([_advisory(part)])
    return found


def _id(part):
    """Return the id of the advisory whose text is ``part``; ``None`` where there is none."""
    begin = part.find(b"<id>")
    end = part.find(b"</id>", begin)
    return part[begin + 4 : end].decode("utf-8", "replace") if -1 < begin < end else None


def _advisory(part):
    """Return ``(id, {name: edition})`` of an advisory, without source packages."""
    text = part[part.find(b"<update ") :] + b"</update>"
    node = ElementTree.fromstring(text)  # noqa: S314 - an element declares no entities
    if node.findtext("id") != _id(part):
        raise ValueError("an id in the text of an advisory is not its own")
    packages = [item.attrib for item in node.iter("package") if item.get("arch") not in ("src", "nosrc")]
    return _id(part), {item["name"]: f"{item['version']}-{item['release']}" for item in packages}
