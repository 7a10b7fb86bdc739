"""
The fleet in Prometheus' text format (version 0.0.4), for the textfile collector of a node exporter. Pure functions.

Gauges only: each file tells how things stand, and nothing of what was before. CVEs are counted, not named.
"""

from __future__ import annotations

import calendar
import datetime

PREFIX = "salt_klp_"
COUNTS = ("fixed_live", "pending", "reboot", "unknown")


def _escape(value):
    return str(value).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _labels(labels):
    return "{" + ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items()) + "}" if labels else ""


def _family(name, about, samples):
    """Return the lines of one metric; one without samples is left out."""
    if not samples:
        return []
    head = [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} gauge"]
    return head + [f"{PREFIX}{name}{_labels(labels)} {value}" for labels, value in samples]


def text(documents, silent, summary):
    """
    Return the metrics.

    documents
        ``{host: document}``, checked.
    silent
        ``{host: why there is no document}``.
    summary
        of the fleet, as ``fleet.summary`` makes it.
    """
    kinds = {item["host"]: item["kind"] for item in summary["hosts"]}
    one = [({"host": host}, documents[host]) for host in sorted(documents)]
    lines = _family("report_timestamp_seconds", "When the report was made.", [({}, int(summary["made"]))])
    lines += _family(
        "host_up",
        "1 where the report has a document of the host, 0 where it has none.",
        [({"host": host}, int(host in documents)) for host in sorted([*documents, *silent])],
    )
    lines += _family(
        "host_info",
        "Always 1; group, kernel, level, verdict, window and kind of the host are labels.",
        [({**label, **_info(found), "kind": kinds.get(label["host"], "unknown")}, 1) for label, found in one],
    )
    for name, about, reading in GAUGES:
        read = [(label, reading(found)) for label, found in one]
        lines += _family(name, about, [(label, value) for label, value in read if value is not None])
    states = [({**label, "state": key}, len(found["cves"][key])) for label, found in one for key in COUNTS]
    lines += _family("cves", "CVEs of the running kernel by state.", states)
    return "\n".join(lines) + "\n"


def _end(document):
    """Return the end of the last day in UTC; a date that is none is as good as not known."""
    try:
        last = datetime.date.fromisoformat(document["window"]["last"] or "")
    except ValueError:
        return None
    return calendar.timegm(last.timetuple()) + 86400


def _missing(document):
    return None if document["locks"]["missing"] is None else len(document["locks"]["missing"])


def _moving(document):
    state = document["transition"]["state"]
    return None if state == "unknown" else int(state == "in_progress")


# What is not known has no sample.
GAUGES = (
    ("document_timestamp_seconds", "When the host found it out.", lambda document: document["time"]),
    ("window_end_timestamp_seconds", "End of the last day on which live patches are made for the kernel.", _end),
    ("locks_missing", "Kernel packages that are not locked.", _missing),
    ("transition_in_progress", "1 while a transition runs.", _moving),
)


def _info(document):
    return {
        "group": document["group"],
        "kernel": document["kernel"],
        "level": "" if document["live_patch"]["level"] is None else document["live_patch"]["level"],
        "verdict": document["verdict"],
        "window": document["window"]["state"],
    }
