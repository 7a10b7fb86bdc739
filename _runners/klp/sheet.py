"""
The fleet as CSV (RFC 4180), one line a host; no cell can be taken for a formula by a spreadsheet. Pure functions.
"""

from __future__ import annotations

import csv
import io
import time

from . import changes, updates

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
    "restart_week",
    "target_kernel",
    "target_window_last",
    "target_window_estimated",
    "target_days_gained",
    "target_cves_severe",
    "target_cves_others",
    "target_problem",
    "change",
    "change_kernel",
    "change_at",
    "change_why",
    "found_out",
)


def cell(value):
    """Return a value as a cell; text that a spreadsheet would take for a formula is marked as text."""
    if value is None:
        return ""
    text = str(value)
    formula = text.lstrip().startswith(FORMULA) and not isinstance(value, int)
    return f"'{text}" if formula else text


def lines(documents, silent, summary):
    """Yield the lines of the table; arguments as for ``metrics.lines``."""
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet)
    weeks = {row["host"]: week["iso"] for week in summary["reboots"]["weeks"] for row in week["hosts"]}
    writer.writerow(COLUMNS)
    for item in summary["hosts"]:
        row = _row(item, documents.get(item["host"]), summary["made"])
        row["restart_week"] = weeks.get(item["host"])
        writer.writerow([cell(row.get(column)) for column in COLUMNS])
        yield sheet.getvalue()
        sheet.seek(0)
        sheet.truncate()
    yield sheet.getvalue()


def _row(item, document, now):
    row = {key: item.get(key) for key in ("host", "group", "kind", "command")}
    folded = [f"consequences: {len(item['follows'])}"] if item["follows"] else []
    row["why"] = " / ".join(item["why"][:1] + folded + item["why"][1:])
    if document is None:
        return row
    live_patch, window, cves = document["live_patch"], document["window"], document["cves"]
    counts = {state: len(cves[state]) for state in ("fixed_live", "pending", "reboot", "unknown")}
    return {
        **row,
        **counts,
        **_updates(document["updates"], now),
        **_kernel(item["target"]),
        **_change(item["change"]),
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
        "found_out": _moment(document["time"]),
    }


def _moment(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _kernel(found):
    """Return the columns about the next kernel; empty cells where none is known."""
    if found is None:
        return {}
    severe, others = changes.counts(found["cves"])
    return {
        "target_kernel": found["release"],
        "target_window_last": found["window_last"],
        "target_window_estimated": found["window_last"] and ("yes" if found["estimated"] else "no"),
        "target_days_gained": found["gained"],
        "target_cves_severe": severe,
        "target_cves_others": others,
        "target_problem": found["problem"],
    }


def _change(found):
    """Return the columns about the last change of the kernel."""
    if found is None:
        return {}
    told = {"change_at": _moment(found["at"]), "change_why": " / ".join(found["why"])}
    return {"change": found["stage"], "change_kernel": found["to"], **told}


def _updates(found, now):
    """Return the columns about updates; an unknown number is empty, and so is one that may be too small."""
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
