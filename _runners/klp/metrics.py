"""
The fleet in Prometheus' text format (version 0.0.4), for the textfile collector of a node exporter. Pure functions.

Gauges only: each file tells how things stand, and nothing of what was before. CVEs are counted, not named.
"""

from __future__ import annotations

import calendar
import collections
import datetime
import sys

import klp_words

from . import updates

PREFIX = "salt_klp_"
COUNTS = ("fixed_live", "pending", "reboot", "unknown")


def _labels(labels):
    return (
        "{" + ",".join(f'{key}="{klp_words.label(str(value))}"' for key, value in labels.items()) + "}"
        if labels
        else ""
    )


def _sample(name, labels, value):
    return f"{PREFIX}{name}{_labels(labels)} {value}\n"


def _family(name, about, samples):
    """Yield the lines of one metric; one without samples is left out."""
    for number, (labels, value) in enumerate(samples):
        if not number:
            yield f"# HELP {PREFIX}{name} {about}\n# TYPE {PREFIX}{name} gauge\n"
        yield _sample(name, labels, value)


def lines(documents, silent, summary):
    """
    Yield the lines of the metrics.

    documents
        ``{host: document}``, checked; each is read once.
    silent
        ``{host: why there is no document}``.
    summary
        of the fleet, as ``fleet.summary`` makes it.
    """
    kinds = {item["host"]: item["kind"] for item in summary["hosts"]}
    read = [_read(host, documents[host], kinds.get(host, "unknown")) for host in sorted(documents)]
    yield from _family("report_timestamp_seconds", "When the report was made.", [({}, int(summary["made"]))])
    there = ((host, int(host in documents)) for host in sorted([*documents, *silent]))
    yield from _family(
        "host_up",
        "1 where the report has a document of the host, 0 where it has none.",
        (({"host": host}, up) for host, up in there),
    )
    yield from _family(
        "host_info",
        "Always 1; group, kernel, level, verdict, window and kind of the host are labels.",
        (({"host": host, **dict(zip(INFO, info))}, 1) for host, info, _, _, _ in read),
    )
    for number, (name, about, _) in enumerate(GAUGES):
        samples = (({"host": host}, values[number]) for host, _, values, _, _ in read if values[number] is not None)
        yield from _family(name, about, samples)
    states = (({"host": host, "state": key}, sum_) for host, _, _, sums, _ in read for key, sum_ in zip(COUNTS, sums))
    yield from _family("cves", "CVEs of the running kernel by state.", states)
    more = (
        ({"host": host, "state": state, "severity": word}, number)
        for host, _, _, _, told in read
        for state, word, number in told
    )
    yield from _family("updates", "Security advisories, pending or left out, by severity.", more)
    yield from _closed(summary)
    changed = (({"host": row["host"], "stage": row["change"]["stage"]}, 1) for row in summary["hosts"] if row["change"])
    yield from _family("kernel_change", "Always 1; how far the last change of the kernel has come is a label.", changed)


def _read(host, document, kind):
    """Return what the metrics need of a document: ``(host, labels, gauges, numbers of CVEs, numbers of updates)``."""
    info = tuple(map(sys.intern, (*_info(document), kind)))
    values = tuple(reading(document) for _, _, reading in GAUGES)
    return host, info, values, tuple(len(document["cves"][key]) for key in COUNTS), tuple(_updates(document))


def _closed(summary):
    """Yield the metric about the CVEs that the next kernels close; what is not known has no sample."""
    aims = ((row["host"], row["target"]["cves"] or {}) for row in summary["hosts"] if row["target"])
    samples = (({"host": host, "severity": word}, number) for host, found in aims for word, number in found.items())
    yield from _family("kernel_target_cves", "CVEs that the next kernel closes.", samples)


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


def _updates(document):
    """Yield ``(state, severity, number)`` of the updates of a host. A 0 that is unknown is left out."""
    found = document["updates"]
    apart = collections.Counter(item["severity"] for item in found["left_out"] if not item["kernel"])
    for state, numbers in (("pending", found["pending"]), ("left_out", apart)):
        known = found["reason"] is None
        yield from ((state, word, numbers[word]) for word in updates.SEVERITIES if known or numbers[word])


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


INFO = ("group", "kernel", "level", "verdict", "window", "kind")


def _info(document):
    """Return the values of the labels in INFO, but for the last one."""
    level = document["live_patch"]["level"]
    shown = "" if level is None else str(level)
    return document["group"], document["kernel"], shown, document["verdict"], document["window"]["state"]
