"""
Runs and their backups as they are remembered on a host. Pure functions.

A run is one maintenance of this host, from its first change to the verification at its end. It has at most one backup,
however often it is interrupted.
"""

import hashlib
import re
import time

HOST = re.compile(r"[0-9a-f]{32}\Z")
KEPT = 200  # finished runs that are remembered
MOST = 2000  # those of them that have a backup


def current(runs, run):
    """
    Return the run to go on with: the one with that id, else (``run`` empty) the newest that is not finished.

    runs
        list of ``{"run", "opened", "finished", "backend", "backup", "created"}``, oldest first; ``None`` for "not yet".
        ``host`` (machine id) and ``packages`` (digest) are absent in what older versions wrote.
    """
    if run:
        return next((item for item in reversed(runs) if item["run"] == run), None)
    return next((item for item in reversed(runs) if item["finished"] is None), None)


def opened(runs, run, backend, now):
    """Return ``runs`` with a new one at the end; of the finished ones the last KEPT stay, MOST with a backup."""
    done = [item for item in runs if item["finished"] is not None]
    stay = done[-KEPT:] + [item for item in done[-MOST:] if item["backup"] is not None]
    kept = [item for item in runs if item["finished"] is None or item in stay]
    new = {"run": run, "opened": now, "finished": None, "backend": backend, "backup": None, "created": None}
    return kept + [new]


def when(run):
    """Return the times of a run as people read them, in the time zone of this host; ``None`` for "not yet"."""
    return {key: _read(run[key]) for key in ("opened", "created", "finished")}


def _read(seconds):
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds)) if seconds is not None else None
    except (TypeError, ValueError, OverflowError, OSError):
        return f"no time: {seconds!r:.40}"


def changed(runs, run, **fields):
    """Return ``runs`` with some fields of one run set: the newest, if pillar gave several the same id."""
    newest = max((number for number, item in enumerate(runs) if item["run"] == run), default=None)
    return [dict(item, **fields) if number == newest else item for number, item in enumerate(runs)]


def forgotten(runs, item):
    """Return ``runs`` without the backup of ``item``, which is gone; the run itself stays."""
    gone = dict(item, backup=None, created=None, deleted=item["backup"])
    return [gone if other == item else other for other in runs]


def found(runs, wanted):
    """
    Return the run with that backup, else the run of that name that has one, else ``None``; the newest of several.

    An id may come back after the backup of that id was deleted.
    """
    there = [item for item in reversed(runs) if item["backup"] is not None]
    by_id = [item for item in there if item["backup"] == wanted]
    return next(iter(by_id + [item for item in there if item["run"] == wanted]), None)


def usable(item, backend, now, max_age):
    """Return whether a run has a backup of that backend that is at most ``max_age`` hours old."""
    if not item or item["backup"] is None or item["backend"] != backend:
        return False
    return 0 <= now - item["created"] <= max_age * 3600


def host_id(text):
    """Return the machine id in the text of /etc/machine-id (``None``: not there). Raises ValueError if it is none."""
    if text is None or not HOST.match(text.strip()):
        raise ValueError(f"/etc/machine-id holds no machine id: {(text or '').strip()[:60]!r}; see machine-id(5)")
    return text.strip()


def other_host(found_host, here):
    """Return what is wrong with a backup of that host, one clause, or ``None``; an unknown host is no other one."""
    if found_host in (None, "", here):
        return None
    return f"was made by another host (machine id {found_host}), this one is {here}"


def digest(packages):
    """
    Return the SHA-256 of a list of packages: of its sorted lines ``NAME<tab>EDITION``.

    packages
        ``{name: [editions]}``, or as ``zypp_packages.packages`` has it ``{name: "edition,edition"}``.
    """
    lines = set()
    for name, editions in packages.items():
        names = editions.split(",") if isinstance(editions, str) else editions
        lines.update(f"{name}\t{edition}\n" for edition in names)
    return hashlib.sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def stage(wanted, record, trace, boot, runs):
    """
    Return how far the restoration of a backup is: ``{"stage": none, begun, prepared or done, "since", "packages"}``.

    wanted
        id of the backup.
    record
        what this host remembers of its last restoration; it may have been taken back with the root volume.
    trace
        what the backend tells of it: ``{"klp_restore", "klp_since", "klp_packages", "active"}`` or ``None``.
    boot
        id of the present start of the host.
    runs
        as ``root_backup.list`` has them.
    """
    nothing = {"stage": "none", "since": None, "packages": None}
    if trace and trace["klp_restore"] == wanted and str(trace.get("klp_since", "")).isdecimal():
        since = int(trace["klp_since"])
        reached, packages = "done" if trace["active"] else "prepared", trace.get("klp_packages")
    elif record and record["backup"] == wanted and record["backend"] == "command" and record["stage"] != "begun":
        since, packages = record["since"], record["packages"]
        reached = "prepared" if record["boot"] == boot and record["stage"] != "done" else "done"
    elif record and record["backup"] == wanted and record["stage"] == "begun":
        return {"stage": "begun", "since": record["since"], "packages": record["packages"]}
    else:
        return nothing
    anew = any(max(item["opened"], item["created"] or 0) > since for item in runs)
    return nothing if reached == "done" and anew else {"stage": reached, "since": since, "packages": packages}


def told(lost):
    """Return what ``root_backup.losses`` says, one line each."""
    changes = [
        f"Package {name}: {change['old'] or 'not installed'} becomes {change['new'] or 'not installed'}"
        for name, change in sorted((lost["packages"] or {}).items())
    ]
    return changes + lost["notes"]
