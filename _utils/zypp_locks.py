"""
The lock file of libzypp, and the question whether a lock really bites.

Pure functions. The rules are those of locks(5) and of zypper 1.14 as measured: a record ends at a blank line or at a
line without a colon; defaults are substring, any kind, any case; a value may carry a carriage return that matches
nothing.
"""

import fnmatch
import re

import klp_cves

KNOWN = ("type", "match_type", "case_sensitive", "solvable_name", "version", "repo", "comment", "install_status")
SPECIAL = re.compile("[>:]")  # NAME>EDITION, patch:ID: not a package in every version
OLD_SPELLINGS = {"kind": "type", "string_type": "match_type", "global_string": "solvable_name"}


def records(text):
    """
    Read the text of ``/etc/zypp/locks``.

    Returns a list of ``{"package", "type", "match_type", "case_sensitive" (bool), "version", "repo", "comment",
    "other" (dict), "line" (int, where it begins)}``; what a record does not say is ``None`` (``match_type``:
    ``substring``). ``package`` is ``None`` for a record without a name, a list for one with several.
    """
    found, current, start = [], [], 0
    for number, line in enumerate(text.split("\n") + [""], 1):
        if line.startswith("#"):
            continue
        if ":" in line and line.strip():
            start = start or number
            current.append(line)
            continue
        if current:
            found.append(_record(current, start))
        current, start = [], 0
    return found


def _record(lines, start):
    lock = {
        "package": None,
        "type": None,
        "match_type": "substring",
        "case_sensitive": False,
        "version": None,
        "repo": None,
        "comment": None,
        "other": {},
        "line": start,
    }
    for line in lines:
        key, value = line.split(":", 1)
        key, value = key.strip(" \t"), value.strip(" \t")
        key = OLD_SPELLINGS.get(key, key)
        if key == "solvable_name":
            _add_name(lock, value)
        elif key == "case_sensitive":
            lock[key] = value not in ("off", "no", "false", "0")
        elif key in KNOWN and key != "install_status":
            lock[key] = value
        else:
            lock["other"][key] = value
    return lock


def _add_name(lock, value):
    """A name may carry a version (``NAME > V``), and a record may have several names (measured)."""
    match = re.match(r"^(\S+)\s*(==|!=|<=|>=|<|>|=)\s*(\S+)$", value)
    if match:
        value, lock["version"] = match.group(1), f"{match.group(2)} {match.group(3)}"
    if value and lock["package"] is None:
        lock["package"] = value
    elif value:
        names = lock["package"] if isinstance(lock["package"], list) else [lock["package"]]
        lock["package"] = names + [value]


def _names(lock):
    return lock["package"] if isinstance(lock["package"], list) else [lock["package"]]


def _name_matches(lock, pattern, package):
    flags = 0 if lock["case_sensitive"] else re.IGNORECASE
    if lock["match_type"] == "glob":
        return re.match(fnmatch.translate(pattern), package, flags) is not None
    if lock["match_type"] == "exact":
        return re.match(re.escape(pattern) + r"\Z", package, flags) is not None
    if lock["match_type"] == "regex":
        try:
            return re.search(pattern, package, flags) is not None
        except re.error:
            return False
    return re.search(re.escape(pattern), package, flags) is not None  # also for an unknown match_type (measured)


def _about_everything(lock):
    """A record that names nothing locks everything of its kind, unless an attribute of it is unknown (measured)."""
    unknown = [key for key in lock["other"] if key.split("\x00")[0] and key != "install_status"]
    return lock["package"] is None and lock["comment"] is None and not unknown


def bites(lock, package):
    """
    Return whether this record keeps every version of ``package`` as it is.

    A record for one version, one repository or another kind of object does not.
    """
    if lock["version"] is not None or lock["repo"] is not None or lock["other"].get("install_status", "all") != "all":
        return False
    if lock["type"] not in (None, "package"):
        return False
    if _about_everything(lock):
        return True
    return any(name is not None and _name_matches(lock, name, package) for name in _names(lock))


def locked(locks, packages):
    """Return, sorted, those of ``packages`` that some record of ``locks`` keeps in every version."""
    return sorted({name for name in packages if any(bites(lock, name) for lock in locks)})


def touches(lock, package):
    """Return whether this record can keep SOME version of ``package`` from being installed."""
    return bites(dict(lock, version=None, repo=None), package)


def plain(lock, wanted):
    """
    Return whether this is byte for byte the record that ``zypper addlock`` writes.

    wanted
        ``NAME``, ``NAME>EDITION`` or ``patch:ID``.
    """
    kind, _, name = wanted.rpartition(":")
    name, _, edition = name.partition(">")
    own = {"package": name, "type": kind or "package", "version": f"> {edition}" if edition else None}
    written = {"match_type": "glob", "case_sensitive": True, "repo": None, "other": {}}
    return all(lock[key] == value for key, value in dict(own, **written).items())


def without(text, names):
    """Return the text of a lock file without the records that ``zypper addlock`` has written for some packages."""
    gone = {lock["line"] for lock in records(text) if any(plain(lock, name) for name in names)}
    kept, dropped = [], False
    for number, line in enumerate(text.split("\n"), 1):
        dropped = number in gone or (dropped and ":" in line and bool(line.strip()))
        kept += [] if dropped else [line]
    return "\n".join(kept)


def newer_record(name, edition):
    """Return the record that ``zypper addlock 'NAME>EDITION'`` writes."""
    head = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\n"
    return f"{head}solvable_name: {name}\nversion: > {edition}\n\n"


def in_the_way(lock, name, edition):
    """
    Return whether this record keeps one edition of a package from being installed.

    Of one for a single repository only the solver can tell: it is none of these.
    """
    if lock["repo"] is not None or not touches(lock, name):
        return False
    if lock["version"] is None:
        return True
    sign, _, bound = lock["version"].partition(" ")
    above, below = klp_cves.newer(edition, bound), klp_cves.newer(bound, edition)
    same = not above and not below
    return {">": above, "<": below, ">=": above or same, "<=": below or same, "!=": not same}.get(sign, same)


def absent(locks, wanted):
    """Return, sorted, those of ``wanted`` that no record of ``locks`` keeps; a plain name wants every version kept."""
    found = set(locked(locks, [item for item in wanted if not SPECIAL.search(item)]))
    return sorted(item for item in set(wanted) - found if not any(plain(lock, item) for lock in locks))


def describe(lock):
    """Return one line that names a record in a message."""
    name = ", ".join(_names(lock)) if lock["package"] else "every package"
    extra = [f"{key} {lock[key]}" for key in ("version", "repo") if lock[key] is not None]
    return f"lock in line {lock['line']} of /etc/zypp/locks ({'; '.join([name] + extra)})"
