"""
The pillar key ``klp_report``: its closed schema (data), and the report in a few lines for a terminal.
"""

from __future__ import annotations

import json

from . import changes, schema
from .words import count

FORMATS = ("json", "csv", "prometheus", "html", "openvex", "openvex_hosts", "icalendar")
USUAL = FORMATS[:5]  # a file for each host is much, and the last one wants a library that not every master has
COMMAND = "salt '{}' state.apply klp.patch"
SHOWN = 20  # hosts that the text names


def _folder_problem(value):
    if value == "" or (isinstance(value, str) and schema.EXPRESSION.match(value) and value.startswith("/")):
        return None
    return f"wanted an absolute path, found {schema.show(value)}"


SCHEMA = {
    "target": {**schema.SCHEMA["target"], "about": "The hosts of the report, as Salt targets them."},
    "target_type": {**schema.SCHEMA["target_type"], "about": "How the target is meant."},
    "ask": schema.choice(
        ("missing", "all", "none"),
        "Which hosts are asked for their document: those whose document in the mine is missing or too old, all, none.",
    ),
    "max_age": schema.integer(24, 1, 8760, "hours", "A document that is older is asked for anew, and shown as old."),
    "presence": schema.integer(15, 1, 3600, "seconds", "How long a host may take to say that it is there."),
    "timeout": schema.integer(300, 1, 86400, "seconds", "How long hosts may take for their document."),
    "folder": schema.own(
        "", _folder_problem, "absolute path", "Where the report goes; empty: report below the master's folder."
    ),
    "formats": {
        "type": "list",
        "choices": FORMATS,
        "default": list(USUAL),
        "about": "What is written; openvex is one document for the fleet, openvex_hosts one for each host; icalendar, "
        "the restarts as a calendar, needs the Python library icalendar.",
    },
    "readable": schema.flag(False, "Let all users of the master read the files, as a node exporter has to."),
    "author": {
        "type": "str",
        "form": "word",
        "default": "",
        "about": "Author in the OpenVEX documents; empty: the master.",
    },
    "share": schema.integer(25, 1, 100, "percent", "At most so much of a group is proposed for a restart in one week."),
    "weeks": schema.integer(26, 1, 104, "weeks", "How far the proposal of restarts looks ahead."),
    "warn": schema.integer(30, 0, 365, "days", "A window that ends within so many days is shown as ending."),
    "debt": schema.integer(28, 1, 365, "days", "In so many days a host restarts whose CVEs only a newer kernel fixes."),
}


def settings(given, compare):
    """Return ``(settings, problems)`` of what stands below the pillar key ``klp_report``."""
    return compare({} if given is None else given, SCHEMA, "klp_report")


def whole(documents, silent, summary):
    """
    Yield the report as JSON, one text after the other: ``{"documents", "silent", "summary"}``.

    documents
        as ``collected.Documents`` has them.
    """
    yield '{"documents":{'
    for number, host in enumerate(documents):
        yield f"{',' if number else ''}{json.dumps(host)}:{documents.text(host)}"
    yield f'}},"silent":{_compact(silent)},"summary":{{'
    for number, key in enumerate(sorted(summary)):
        yield f"{',' if number else ''}{json.dumps(key)}:"
        if isinstance(summary[key], list):
            yield "["
            for index, item in enumerate(summary[key]):
                yield f"{',' if index else ''}{_compact(item)}"
            yield "]"
        else:
            yield _compact(summary[key])
    yield "}}"


def _compact(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def retcode(summary, incomplete):
    """Return 0 where every host has a document, and none needs attention at once; else ``incomplete``."""
    return 0 if all(item["kind"] in GOOD for item in summary["hosts"]) else incomplete


GOOD = ("covered",)


def text(summary, written):
    """Return what a terminal shows: totals, the hosts that need attention first, and where the files are."""
    rows = [item for item in summary["hosts"] if item["kind"] not in GOOD]
    lines = [f"{count(len(summary['hosts']), 'host')}, {len(summary['hosts']) - len(rows)} covered"]
    for item in rows[:SHOWN]:
        lines.append(f"  {item['host']}: {item['kind']}: {'; '.join(item['why'])}")
        lines += [f"      {item['command']}"] if item["command"] else []
    if len(rows) > SHOWN:
        lines.append(f"  and {len(rows) - SHOWN} more, see the report")
    lines += list(filter(None, [changes.fleet_text(summary["changes"])]))
    return "\n".join([*lines, "written:", *(f"  {path}" for path in written)])
