"""
The fleet as CSV (RFC 4180), one line a host; no cell can be taken for a formula by a spreadsheet. Pure functions.
"""

from __future__ import annotations

import csv
import io
import time

from . import updates

FORMULA = tuple(
    "=+-@\uff1d\uff0b\uff0d\uff20"
)  # also as wide ones, which some take for the same (OWASP: CSV injection)
COLUMNS = (
    "host",
    "group",
    "kind",
    "why",
    "command",
    "verdict",
    "kernel",
    "level",
    "edition",
    "newest",
    "window",
    "window_last",
    "window_days",
    "fixed_live",
    "pending",
    "reboot",
    "unknown",
    "cves_pending",
    "cves_reboot",
    "retracted",
    "updates_severe",
    "updates_others",
    "left_out_severe",
    "left_out_others",
    "left_out",
    "restart_host",
    "restart_services",
    "repositories_frozen",
    "found_out",
)


def cell(value):
    """Return a value as a cell; text that a spreadsheet would take for a formula is marked as text."""
    if value is None:
        return ""
    text = str(value)
    formula = text.lstrip().startswith(FORMULA) and not isinstance(value, int)
    return f"'{text}" if formula else text


def text(documents, silent, summary):
    """Return the table; arguments as for ``metrics.text``."""
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet)
    writer.writerow(COLUMNS)
    for item in summary["hosts"]:
        row = _row(item, documents.get(item["host"]), summary["made"])
        writer.writerow([cell(row.get(column)) for column in COLUMNS])
    return sheet.getvalue()


def _row(item, document, now):
    row = {key: item.get(key) for key in ("host", "group", "kind", "command")}
    row["why"] = " / ".join(item["why"])
    if document is None:
        return row
    live_patch, window, cves = document["live_patch"], document["window"], document["cves"]
    counts = {state: len(cves[state]) for state in ("fixed_live", "pending", "reboot", "unknown")}
    return {
        **row,
        **counts,
        **_updates(document["updates"], now),
        "retracted": {True: "yes", False: "no"}.get(live_patch["retracted"]),
        "verdict": document["verdict"],
        "kernel": document["kernel"],
        "level": live_patch["level"],
        "edition": live_patch["edition"],
        "newest": live_patch["newest"],
        "window": window["state"],
        "window_last": window["last"],
        "window_days": window["days"],
        "cves_pending": " ".join(cves["pending"]),
        "cves_reboot": " ".join(cves["reboot"]),
        "found_out": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(document["time"])),
    }


def _updates(found, now):
    """Return the columns about updates; a number that nobody knows is empty, and so is one that may be too small."""
    columns = {
        f"{name}_{part}": number if number or found["reason"] is None else None
        for name, state in (("updates", "pending"), ("left_out", "left_out"))
        for part, number in zip(("severe", "others"), updates.counts(found)[state])
    }
    restart = {f"restart_{key}": None if names is None else " ".join(names) for key, names in found["restart"].items()}
    ids = [item["id"] for item in updates.left_out(found, *updates.SEVERITIES)]
    return {
        **columns,
        **restart,
        "left_out": " ".join(ids),
        "repositories_frozen": " / ".join(updates.frozen(found, now)),
    }
