"""
Packages of repositories as primary.xml has them, read where zypper keeps it; zstd is the only program.

Source: the format of primary.xml (createrepo_c, libsolv's ext/repo_rpmmd.c). A kernel of SUSE has about 20,000 lines of
what it provides, so only packages and capabilities that somebody asks about are looked at.
"""

import contextlib
import glob
import os
import re
import xml.etree.ElementTree as ElementTree

import salt.utils.path
from salt.exceptions import CommandExecutionError

import klp_paths
import zypp_metadata
import zypp_repositories

FILES = "*primary.xml*"
LARGEST = 2048 * 1024 * 1024  # bytes of unpacked text, read piece by piece; a kernel has 2 million
BEGIN, END = b"<package ", b"</package>"
NAME = re.compile(rb"<name>([^<]+)</name>")
ENTRY = re.compile(rb"<rpm:entry\s+((?:[a-z]+=[^>]*?\s)??name=[\"']([^\"'>]+)[^>]*?)/?>")
LISTS = ("provides", "requires")
FLAGS = {"EQ": "=", "GE": ">=", "LE": "<=", "GT": ">", "LT": "<"}
ZSTD = ".zst"
SECONDS = re.compile(r"[0-9]{1,10}\Z")
OTHERS = ("src", "nosrc")


def paths(some):
    """Return where primary.xml of some repositories is: ``{alias: path, or None where there is none}``."""
    found = {}
    for item in some:
        places = [place for pattern in zypp_repositories.files([item], [FILES]) for place in glob.glob(pattern)]
        found[item["alias"]] = places[0] if len(places) == 1 else None
    return found


@contextlib.contextmanager
def readable(host, places):
    """
    Yield paths in the same order, of which those that Python cannot unpack (zstd) are unpacked meanwhile.

    places
        list of paths, as ``paths`` has them; without the program zstd they stay as they are.
    """
    made = []
    try:
        yield [_unpacked(host, path, made) for path in places]
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _unpacked(host, path, made):
    if not path or not path.endswith(ZSTD) or not salt.utils.path.which("zstd"):
        return path
    place = f"{klp_paths.CACHE}/primary-{os.getpid()}-{len(made)}.xml"  # another job may be at it as well
    made.append(place)
    try:
        os.makedirs(klp_paths.CACHE, mode=0o700, exist_ok=True)
        host.run(["zstd", "--decompress", "--quiet", "--force", "-o", place, path], timeout=300)
    except (CommandExecutionError, OSError):
        return path
    return place


def packages(path, wanted, capability=None):
    """
    Return packages of one file, ``None`` where it cannot be read.

    path
        of a primary.xml, packed or not; ``None`` cannot be read.
    wanted
        called with ``(name, edition)``; returns whether a package is looked at (bool); the edition is ``None`` the
        first time, as it is not read yet.
    capability
        called with the name of one; returns whether it is kept (bool); default: none is.

    A list of ``{"name", "edition", "built" (seconds since 1970, or None), "provides", "requires"}``, the last two
    ``[[name, flag (=, >=, <=, >, < or empty), edition]]``.
    """
    found = []
    try:
        for part in zypp_metadata.parts(path, BEGIN, END, LARGEST) if path else ():
            found += _package(part, wanted, capability)
    except zypp_metadata.UNREADABLE + zypp_metadata.DAMAGED:
        return None
    return found if path else None


def _package(part, wanted, capability):
    match = NAME.search(part)
    name = match.group(1).decode("utf-8", "replace") if match else ""
    if not name or not wanted(name, None):
        return []
    begin, details = part.find(BEGIN), part.find(b"<format>")
    head = _node((part[begin:details] if details > begin else part[begin:]) + END)
    version, time = head.find("version"), head.find("time")
    if version is None:
        raise ValueError(f"package {name} without a version")
    edition = f"{version.attrib['ver']}-{version.attrib['rel']}"
    if head.findtext("arch") in OTHERS or not wanted(name, edition):
        return []
    built = SECONDS.match(time.get("build", "") if time is not None else "")
    found = {"name": name, "edition": edition, "built": int(built.group()) if built else None}
    return [dict(found, **_capabilities(part[begin:], capability))]


def _node(text):
    """Return the element of a package; a document type would be text before it, and is left away."""
    if b"<!" in text.replace(b"<![CDATA[", b""):
        raise ValueError("a declaration in the metadata of a package")
    return ElementTree.fromstring(text)  # noqa: S314 - declarations are refused above


def _capabilities(part, capability):
    """Return what is wanted of the two lists; the entries of a kernel are too many to make an element of each."""
    found = {key: [] for key in LISTS}
    for key in LISTS if capability else ():
        begin = part.find(f"<rpm:{key}>".encode())
        end = part.find(f"</rpm:{key}>".encode(), begin)
        if begin > end:
            raise ValueError(f"a list of what a package {key} has no end")
        for text, name in ENTRY.findall(part, max(begin, 0), max(end, 0)):
            if capability(name.decode("utf-8", "replace")):
                found[key].append(_entry(ElementTree.fromstring(b"<entry " + text + b"/>")))  # noqa: S314
    return found


def _entry(node):
    release = f"-{node.get('rel')}" if node.get("rel") else ""
    return [node.attrib["name"], FLAGS.get(node.get("flags", ""), ""), node.get("ver", "") + release]
