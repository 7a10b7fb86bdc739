"""
The metadata that zypper has fetched from repositories, read where zypper reads them. Starts no program.

Source: the format of updateinfo.xml (createrepo_c, libsolv's repo_updateinfoxml.c); that names and editions are those
of ``zypper info`` is measured. What is retracted is libsolv's own rule (repo_mark_retracted_packages): name and edition
of a binary package in an advisory with status ``retracted``, whatever other advisories say of the same edition.
"""

import bz2
import contextlib
import glob
import gzip
import lzma
import os
import re
import xml.etree.ElementTree as ElementTree
import zlib

import klp_paths

LARGEST = 256 * 1024 * 1024  # bytes of unpacked text; 3,000 advisories have 40 million
OPENERS: dict = {".xml": open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
UNREADABLE = (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error)
PACKAGE = re.compile(rb"<package\s[^>]*?\bname=[\"']([^\"']+)[\"']")
DAMAGED = (ValueError, KeyError, ElementTree.ParseError)
CHUNK = 1024 * 1024  # bytes that are unpacked at once
END, BEGIN, RETRACTED = b"</update>", b"<update ", "retracted"


class CutOff(ValueError):
    """The text of a file ends too early, or is longer than LARGEST."""


def advisory_editions(ids):
    """
    Return the packages that advisories bring, of those that are found: ``{id: {name: edition}}``.

    ids
        ``{advisory id: alias of its repository}``.
    """
    found = {}
    for alias in {alias for alias in ids.values() if _is_name(alias)}:
        wanted = [item for item, where in ids.items() if where == alias]
        for path in _files(alias):
            found.update(_read(path, wanted))
    return found


def retracted(paths, prefix):
    """
    Return which packages advisories have withdrawn, of those whose names begin with ``prefix``.

    paths
        ``{alias of a repository: path of its updateinfo}``.

    Returns ``{"packages": {name: {edition: [ids]}}, "known" (bool: there is an advisory of such packages), "unread":
    [aliases of repositories whose file is of a kind that Python cannot unpack, damaged or cut off]}``.
    """
    found: dict = {"packages": {}, "known": False, "unread": []}
    for alias, path in sorted(paths.items()):
        try:
            _withdrawn(path, prefix, found)
        except UNREADABLE + DAMAGED:
            found["unread"].append(alias)
    return found


def subjects(path, live, others):
    """
    Return what the advisories of one file speak of, ``None`` where it cannot be read.

    path
        an updateinfo.xml, packed or not.
    live
        called with the names in one advisory; returns whether it is one of live patches (bool).
    others
        set of names of other packages.

    Returns ``{"empty" (bool: no advisory), "live_patches" (bool), "others" (bool: one of these packages)}``.
    """
    found = {"empty": True, "live_patches": False, "others": False}
    try:
        for part in parts(path):
            names = {match.group(1).decode("utf-8", "replace") for match in PACKAGE.finditer(part)}
            found["empty"] = False
            found["live_patches"] = found["live_patches"] or live(names)
            found["others"] = found["others"] or not names.isdisjoint(others)
            if all(found[key] for key in ("live_patches", "others")):
                break
    except UNREADABLE:
        return None
    return found


def _is_name(alias):
    """An alias is a name, and no way to other files."""
    return bool(alias) and "/" not in alias and not alias.startswith(".")


def _files(alias):
    return glob.glob(f"{glob.escape(klp_paths.RAW_METADATA)}/{glob.escape(alias)}/repodata/*updateinfo.xml*")


def parts(path, begin=BEGIN, end=END, largest=None):
    """
    Yield the text of each advisory of a file, without its end; raises for one that cannot be read to its end.

    begin, end
        of an element; default: of an advisory.
    largest
        bytes of unpacked text; default: LARGEST.
    """
    opener, rest, length = OPENERS.get(os.path.splitext(path)[1]), b"", 0
    largest = largest or LARGEST
    if not opener:
        raise ValueError(f"{path}: of a kind that is not known")
    with opener(path, "rb") as handle:
        while length <= largest:
            chunk = handle.read(min(CHUNK, largest + 1 - length))
            if not chunk:
                break
            length += len(chunk)
            found = (rest + chunk).split(end)
            rest = found.pop()
            yield from found
    if length > largest or begin in rest:
        raise CutOff(path)


def _withdrawn(path, prefix, found):
    """Add to ``found`` what one file says is retracted."""
    live = re.compile(rf'name="{re.escape(prefix)}[0-9]'.encode())  # of a kernel; not the tools
    for part in parts(path):
        found["known"] = found["known"] or live.search(part) is not None
        if RETRACTED.encode() not in part:
            continue
        node = _node(part)
        if node.get("status") != RETRACTED:
            continue
        for name, edition in _packages(node).items():
            if name.startswith(prefix):
                ids = found["packages"].setdefault(name, {}).setdefault(edition, [])
                ids.append(_id(part))


def _read(path, wanted):
    """Return what one file has of some advisories; a file that cannot be read has none, nor has a damaged advisory."""
    wanted, texts, found = set(wanted), [], {}
    try:
        for part in parts(path):  # what comes after the last end is no advisory, or one that is cut off
            texts += [part] if _id(part) in wanted else []
    except CutOff:
        pass
    except UNREADABLE:
        return {}
    for part in texts:
        with contextlib.suppress(*DAMAGED):
            found[_id(part)] = _packages(_node(part))
    return found


def _id(part):
    """Return the id of the advisory whose text is ``part``; ``None`` where there is none."""
    begin = part.find(b"<id>")
    end = part.find(b"</id>", begin)
    return part[begin + 4 : end].decode("utf-8", "replace") if -1 < begin < end else None


def _node(part):
    """Return the element of an advisory; raises for one that is damaged."""
    text = part[part.find(BEGIN) :] + END
    node = ElementTree.fromstring(text)  # noqa: S314 - an element declares no entities
    if node.findtext("id") != _id(part):
        raise ValueError("an id in the text of an advisory is not its own")
    return node


def _packages(node):
    """Return ``{name: edition}`` of an advisory, without source packages."""
    packages = [item.attrib for item in node.iter("package") if item.get("arch") not in ("src", "nosrc")]
    return {item["name"]: f"{item['version']}-{item['release']}" for item in packages}
