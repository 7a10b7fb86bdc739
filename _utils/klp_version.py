"""
The version of what is below ``_utils``; each file of ``_modules`` and ``_states`` has one of its own to compare.
"""

import hashlib
import os
import re

import salt.utils.hashutils

FOLDERS = ("beacons", "grains", "modules", "states", "utils")  # of what a minion is sent
OURS = r"(?:klp|zypp|root_backup)\w*\.py"
VERSION = "0.2.0"


def problem(version, path):
    """
    Return why a module of ``version`` cannot work with these utils, with the next command; ``None`` where it can.

    path
        ``__file__`` of the module: what pip has installed is not synced.
    """
    if version == VERSION:
        return None
    return f"salt-klp: module of version {version}, utils of version {VERSION}: {cure(path)}"


def cure(path):
    """Return the command that brings all files of salt-klp to one version."""
    if "/saltext/" in path.replace("\\", "/"):
        return "install it again with: pip install --force-reinstall salt-klp"
    if "runners/" in path:
        return "install it again on this master: make install, or its RPM"
    return "run saltutil.sync_all"


def code(hash_type):
    """
    Return a digest of all files of salt-klp on this host, ``None`` where they are not in folders as Salt syncs them.

    hash_type
        option of the minion, the same as the master's.
    """
    base = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sums = []
    for folder in FOLDERS:
        place = os.path.join(base, folder)
        names = sorted(os.listdir(place)) if os.path.isdir(place) else []
        for name in names:
            if re.match(OURS + r"\Z", name):
                sums.append((f"{folder}/{name}", salt.utils.hashutils.get_hash(os.path.join(place, name), hash_type)))
    return digest(sums) if sums else None


def digest(sums):
    """Return one digest of ``[(file, its digest)]``."""
    return hashlib.sha256("".join(f"{name} {one}\n" for name, one in sums).encode()).hexdigest()
