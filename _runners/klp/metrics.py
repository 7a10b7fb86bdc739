"""
The fleet in Prometheus' text format (version 0.0.4), for the textfile collector of a node exporter. Pure functions.

Gauges only: each file tells how things stand, and nothing of what was before. CVEs are counted, not named.
"""

from __future__ import annotations

import calendar
import collections
import datetime

from . import updates

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
    return _head(name, about) + [f"{PREFIX}{name}{_labels(labels)} {value}" for labels, value in samples]


def _head(name, about):
    return [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} gauge"]


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
    lines += _updates(documents)
    lines += _closed(summary)
    changed = [({"host": row["host"], "stage": row["change"]["stage"]}, 1) for row in summary["hosts"] if row["change"]]
    lines += _family("kernel_change", "Always 1; how far the last change of the kernel has come is a label.", changed)
    return "\n".join(lines) + "\n"


def _closed(summary):
    """Return the metric about the CVEs that the next kernels close; what is not known has no sample."""
    aims = [(row["host"], row["target"]["cves"] or {}) for row in summary["hosts"] if row["target"]]
    samples = [({"host": host, "severity": word}, number) for host, found in aims for word, number in found.items()]
    return _family("kernel_target_cves", "CVEs that the next kernel closes.", samples)


def _end(document):
    return _after(document["window"]["last"])


def _aim_end(document):
    return _after((document["kernel_target"] or {}).get("window_last"))


def _after(day):
    """Return the end of a day in UTC; a date that is none is as good as not known."""
    try:
        last = datetime.date.fromisoformat(day or "")
    except ValueError:
        return None
    return calendar.timegm(last.timetuple()) + 86400


def _changed(document):
    return (document["kernel_change"] or {}).get("at")


def _missing(document):
    return None if document["locks"]["missing"] is None else len(document["locks"]["missing"])


def _moving(document):
    state = document["transition"]["state"]
    return None if state == "unknown" else int(state == "in_progress")


def _updates(documents):
    """Return the metric about updates; it has the most samples. A 0 that nobody knows is left out."""
    lines = []
    for host in sorted(documents):
        found, name = documents[host]["updates"], _escape(host)
        apart = collections.Counter(item["severity"] for item in found["left_out"] if not item["kernel"])
        for state, numbers in (("pending", found["pending"]), ("left_out", apart)):
            labels = f'{PREFIX}updates{{host="{name}",state="{state}",severity='
            known = found["reason"] is None
            lines += [f'{labels}"{word}"}} {numbers[word]}' for word in updates.SEVERITIES if known or numbers[word]]
    return _head("updates", "Security advisories, pending or left out, by severity.") + lines if lines else []


def _retracted(document):
    retracted = document["live_patch"]["retracted"]
    return None if retracted is None or document["live_patch"]["edition"] is None else int(retracted)


def _newest(document):
    return max((item["time"] for item in document["updates"]["repositories"] if item["time"] is not None), default=None)


def _frozen(document):
    return sum(1 for item in document["updates"]["repositories"] if item["frozen"])


def _waiting(document):
    names = document["updates"]["restart"]["services"]
    return None if names is None else len(names)


# What is not known has no sample.
GAUGES = (
    ("document_timestamp_seconds", "When the host found it out.", lambda document: document["time"]),
    ("window_end_timestamp_seconds", "End of the last day on which live patches are made for the kernel.", _end),
    ("locks_missing", "Kernel packages that are not locked.", _missing),
    ("transition_in_progress", "1 while a transition runs.", _moving),
    ("live_patch_retracted", "1 where SUSE has withdrawn the installed live patch.", _retracted),
    ("metadata_timestamp_seconds", "When the newest metadata of its repositories were made.", _newest),
    ("repositories_frozen", "Repositories of updates that stand still.", _frozen),
    ("kernel_target_window_end_timestamp_seconds", "The same for the kernel that the host gets next.", _aim_end),
    ("kernel_change_timestamp_seconds", "When the last change of the kernel has come as far as it is.", _changed),
    ("services_to_restart", "Services that still use what an update has replaced.", _waiting),
)


def _info(document):
    return {
        "group": document["group"],
        "kernel": document["kernel"],
        "level": "" if document["live_patch"]["level"] is None else document["live_patch"]["level"],
        "verdict": document["verdict"],
        "window": document["window"]["state"],
    }
