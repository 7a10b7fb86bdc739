"""
The repositories of a host, read where zypper keeps them: which are enabled, what they hold, how old that is.

Starts no program, and decides by contents: names and aliases differ with the server that a host is registered at.

Source: the format of ``.repo`` files and of repomd.xml. The time of metadata is the newest ``<timestamp>`` of their
files, as libsolv takes it (ext/repo_repomdxml.c): ``<revision>`` may be any text, and is 1 in some repositories.
"""

import glob
import os
import re
import xml.etree.ElementTree as ElementTree

import klp_paths
import klp_record
import klp_sys
import zypp_metadata
import zypp_packages
import zypp_parse
import zypp_plan

LARGEST = 1024 * 1024  # characters of a repomd.xml
EARLIEST = 946684800  # 2000-01-01; an earlier time is none, for example 1 of a build that is to be reproducible
AHEAD = 86400  # seconds that metadata may be of the future: two clocks are never quite the same
DAY = 86400
OTHER_KINDS = ("cookie", "content")  # of a plain folder of packages, and of SUSE's media until 15: without advisories
LOOK = "look with: zypper refresh"
# What the repositories of live patches bring; it is installed on hosts whose other updates come from elsewhere.
LIVE_PATCHING = re.compile(r"kernel-|kgraft-|lifecycle-data-|patterns-lp")


def repositories():
    """Return all repositories of ``.repo`` files, as ``zypp_parse.repositories`` has them, sorted by file."""
    folder, found = klp_paths.REPOSITORIES, []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(".repo"):
            found += zypp_parse.repositories(klp_sys.text(f"{folder}/{name}") or "")
    return found


def enabled():
    """Return those of ``repositories`` that are enabled."""
    return [item for item in repositories() if item["enabled"]]


def folder(repository):
    """Return the folder of the metadata that zypper has fetched; libzypp writes an alias with ``_`` for ``/``."""
    parts = [part for part in repository["path"].split("/") if part not in ("", ".", "..")]
    alias = repository["alias"].replace("/", "_")
    return "/".join([klp_paths.RAW_METADATA, "_" if alias in (".", "..") else alias] + parts)


def files(some, names):
    """Return patterns of files in the folders of some repositories, as ``klp_sys.fingerprint`` takes them."""
    return [f"{glob.escape(folder(item))}/repodata/{name}" for item in some for name in names]


def read(some):
    """Return ``metadata`` of some repositories: ``{alias: ...}``."""
    return {item["alias"]: metadata(item) for item in some}


def updateinfo(found):
    """Return where the advisories of repositories are, as ``read`` has them: ``{alias: path}``."""
    return {alias: item["updateinfo"] for alias, item in found.items() if item and item["updateinfo"]}


def metadata(repository):
    """
    Return what repomd.xml of a repository says: ``{"time", "updateinfo"}``, or ``None`` where nothing can be read.

    ``time`` is in seconds since 1970, ``None`` where it is not known; ``updateinfo`` is a path, or ``None``.
    """
    text = klp_sys.text(f"{folder(repository)}/repodata/repomd.xml")
    if text is None and any(os.path.exists(f"{folder(repository)}/{name}") for name in OTHER_KINDS):
        return {"time": None, "updateinfo": None}
    if text is None or len(text) > LARGEST or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - entities are refused above
    except (ElementTree.ParseError, ValueError):
        return None
    if _tag(root) != "repomd":
        return None
    data = [node for node in root if _tag(node) == "data"]
    times = [_time(_child(node, "timestamp")) for node in data]
    return {
        "time": max([moment for moment in times if moment] or [_time(_child(root, "revision"))]),
        "updateinfo": next((_path(repository, node) for node in data if node.get("type") == "updateinfo"), None),
    }


def _tag(node):
    return node.tag.rsplit("}", 1)[-1]


def _child(node, name):
    return next((part for part in node if _tag(part) == name), None)


def _time(node):
    match = re.match(r"\s*([0-9]{1,12})(?:\.[0-9]*)?\s*\Z", (node.text or "") if node is not None else "")
    moment = int(match.group(1)) if match else 0
    return moment if moment >= EARLIEST else None


def _path(repository, node):
    """Return where the updateinfo is: always in the folder of repomd.xml, whatever its text says."""
    location = _child(node, "location")
    name = os.path.basename(location.get("href", "") if location is not None else "")
    return f"{folder(repository)}/repodata/{name or 'updateinfo.xml.gz'}"


def frozen(found, now, days):
    """
    Return which repositories hold updates and have stood still for too long: ``{alias: bool or None}``.

    found
        ``[{"alias", "time", "updates" (bool or None), "live_patches" (bool or None)}]``.
    now
        seconds since 1970.
    days
        pillar ``klp:update:metadata_age``; 0: nobody asks.

    Repositories of updates stand still when the newest of all of them is older than that, those of live patches when
    the newest of theirs is. ``None`` is not known: no time is told, or one of the future, where a clock is wrong.
    A repository without updates stands still for ever, and that is right.
    """
    marks = {item["alias"]: False if item["updates"] is not None or not days else None for item in found}
    updates = [item for item in found if item["updates"]]
    for group in (updates, [item for item in updates if item["live_patches"]]) if days else ():
        told = [item["time"] for item in group if item["time"] and item["time"] <= now + AHEAD]
        if not any(moment >= now - days * DAY for moment in told):
            old = len(told) == len(group)
            marks.update((item["alias"], True if old else None) for item in group)
    return marks


def known(host):
    """
    Return what is known of the enabled repositories, by their metadata.

    A list of ``{"alias", "name", "service", "time" (or None), "updates" (bool: holds advisories; None where its
    metadata cannot be read), "live_patches", "others", "empty"}``; the last three say whether its advisories speak of
    live patches, of other packages that are installed here, or whether there is none; ``None`` is not known.
    """
    some = enabled()
    found = read(some)
    spoken = subjects(host, updateinfo(found))
    return [_known(item, found[item["alias"]], spoken.get(item["alias"])) for item in some]


def _known(repository, found, spoken):
    return {
        "alias": repository["alias"],
        "name": repository["name"],
        "service": repository["service"],
        "time": found and found["time"],
        "updates": None if found is None else found["updateinfo"] is not None,
        **(spoken or dict.fromkeys(("live_patches", "others", "empty"))),
    }


def subjects(host, paths, record="subjects"):
    """
    Return what the advisories of some files speak of, as ``zypp_metadata.subjects`` has it: ``{alias: ...}``.

    paths
        ``{alias: path of an updateinfo}``.
    record
        under which name the answer is kept.

    Kept until packages or files change.
    """
    if not paths:
        return {}
    world = [sorted(paths.items()), klp_sys.fingerprint(map(glob.escape, paths.values())), zypp_packages.world()]
    return klp_record.kept(record, lambda: world, lambda: _subjects(host, paths))


def _subjects(host, paths):
    others = {name for name in zypp_packages.packages(host) if not LIVE_PATCHING.match(name)}
    return {alias: zypp_metadata.subjects(path, _live, others) for alias, path in paths.items()}


def _live(names):
    """An advisory of a kernel may name its first live patch as well, whatever the repository holds."""
    return any(map(zypp_plan.live_patch_package, names)) and not any(map(zypp_plan.kernel_package, names))
