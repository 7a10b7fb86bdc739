"""
Runs and their backups as they are remembered on a host, and the texts of backup tools. Pure functions.

A run is one maintenance of this host, from its first change to the verification at its end. It has at most one backup,
however often it is interrupted.
"""

import csv
import re

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@=-]{0,255}\Z")
KEPT = 200  # finished runs that are remembered


def current(runs, run):
    """
    Return the run to go on with: the one with that id, else (``run`` empty) the newest that is not finished.

    runs
        list of ``{"run", "opened", "finished", "backend", "backup", "created"}``, oldest first; ``None`` for "not yet".
    """
    if run:
        return next((item for item in reversed(runs) if item["run"] == run), None)
    return next((item for item in reversed(runs) if item["finished"] is None), None)


def opened(runs, run, backend, now):
    """Return ``runs`` with a new one at the end; of the finished ones only the last KEPT stay."""
    finished = [item for item in runs if item["finished"] is not None][-KEPT:]
    kept = [item for item in runs if item["finished"] is None or item in finished]
    new = {"run": run, "opened": now, "finished": None, "backend": backend, "backup": None, "created": None}
    return kept + [new]


def changed(runs, run, **fields):
    """Return ``runs`` with some fields of one run set: the newest, if pillar gave several the same id."""
    newest = max((number for number, item in enumerate(runs) if item["run"] == run), default=None)
    return [dict(item, **fields) if number == newest else item for number, item in enumerate(runs)]


def usable(item, backend, now, max_age):
    """Return whether a run has a backup of that backend that is at most ``max_age`` hours old."""
    if not item or item["backup"] is None or item["backend"] != backend:
        return False
    return 0 <= now - item["created"] <= max_age * 3600


def printed_id(text):
    """Return the id that a backup command printed: its last line. Raises ValueError if that is no id."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("it printed no id")
    if not ID.match(lines[-1]):
        raise ValueError(f"the last line it printed is no id: {lines[-1][:120]!r}")
    return lines[-1]


def snapshots(text):
    """
    Read ``snapper --machine-readable csv list``: ``[{"id", "date", "userdata" (dict), "description"}]``.

    Raises ValueError for an answer without the columns number, date and userdata.
    """
    try:
        reader = csv.DictReader(text.splitlines())
        header, rows = reader.fieldnames or [], list(reader)
    except csv.Error as exc:
        raise ValueError(f"snapper list: not CSV ({exc})") from exc
    for column in ("number", "date", "userdata"):
        if column not in header:
            raise ValueError(f"snapper list: no column {column} in {','.join(header)[:120]!r}")
    return [_snapshot(row) for row in rows if row["number"] not in ("0", None)]


def forgotten(found, runs, run):
    """Return the ids of a run's snapshots that were made after the last one that is remembered for it."""
    known = [int(item["backup"]) for item in runs if item["run"] == run and (item["backup"] or "").isdecimal()]
    ids = [item["id"] for item in found if item["userdata"].get("klp_run") == run and item["id"].isdecimal()]
    return [identity for identity in ids if int(identity) > max(known, default=0)]


def _snapshot(row):
    pairs = [pair.split("=", 1) for pair in (row["userdata"] or "").split(",") if "=" in pair]
    data = {key.strip(): value.strip() for key, value in pairs}
    return {"id": row["number"], "date": row["date"], "userdata": data, "description": row.get("description") or ""}
