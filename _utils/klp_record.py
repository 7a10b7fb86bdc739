"""
What salt-klp remembers on a host: JSON files that survive a power cut, readable by root only.
"""

import contextlib
import json
import os

from salt.exceptions import CommandExecutionError

import klp_paths


def path(name, folder=None):
    """Return where the record of that name is."""
    return os.path.join(folder or klp_paths.RECORDS, name + ".json")


def read(name, default, folder=None):
    """
    Return what was written under ``name``, or ``default`` where nothing was.

    A damaged file is an error that names it: it is never "nothing".
    """
    place = path(name, folder)
    try:
        with open(place, encoding="utf-8") as handle:
            value = json.load(handle)
    except FileNotFoundError:
        return default
    except (OSError, ValueError) as exc:
        raise CommandExecutionError(f"{place}: cannot be read ({exc}); repair it or move it away") from exc
    if not isinstance(value, type(default)):
        raise CommandExecutionError(f"{place}: not what salt-klp wrote; repair it or move it away")
    return value


def write(name, value, folder=None):
    """Write ``value`` under ``name``: to a new file, flushed to the disk, then renamed over the old one."""
    folder = folder or klp_paths.RECORDS
    place = path(name, folder)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle = os.open(place + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as new:
            json.dump(value, new, indent=1, sort_keys=True)
            new.flush()
            os.fsync(new.fileno())
        os.rename(place + ".new", place)
        flush(folder)
    except OSError as exc:
        raise CommandExecutionError(f"{place}: cannot be written ({exc.strerror})") from exc


def recall(name, world, folder=None):
    """
    Return ``{"answer"}`` of a slow reading that was remembered while ``world`` was the same, else ``None``.

    name
        of the reading.
    world
        everything the answer depends on; plain data.

    A record that is damaged costs time and nothing else.
    """
    try:
        there = read(name, {}, folder or klp_paths.CACHE)
    except CommandExecutionError:
        return None
    same = "answer" in there and there.get("world") == json.loads(json.dumps(world))
    return {"answer": there["answer"]} if same else None


def remember(name, world, answer, folder=None):
    """Remember the answer of a slow reading for ``recall``, if this can be written; return it as plain data."""
    with contextlib.suppress(CommandExecutionError):
        write(name, {"world": world, "answer": answer}, folder or klp_paths.CACHE)
    return json.loads(json.dumps(answer))


def kept(name, world, reading):
    """
    Return ``reading()``, or what it said while ``world()`` was the same.

    world
        called before the reading and once more after it: a zypper that reads brings its own caches up to date.
    """
    there = recall(name, world())
    if there:
        return there["answer"]
    answer = reading()
    return remember(name, world(), answer)


def flush(path):
    """Have what was written to a file or a folder on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
