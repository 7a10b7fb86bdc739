"""
Where a fleet stands with a CVE, in lines for a terminal. Pure functions.
"""

from __future__ import annotations

from . import emergency, show
from .words import count

LABEL = 14  # characters of what a line is about
LABELS = {
    "fixed_live": "fixed live",
    "fixed_kernel": "fixed kernel",
    "live_patch": "live patch",
    "restart": "restart",
    "not_affected": "not affected",
    "unknown": "unknown",
}
MEANS = {
    "fixed_live": "the active live patch fixes it",
    "fixed_kernel": "the running kernel has the fix",
    "live_patch": "a newer live patch fixes it, and is there",
    "restart": "only a newer kernel fixes it",
    "not_affected": "not affected, or fixed in the running kernel, as far as their repositories know",
    "unknown": "not known, the reason is below",
}
CLOSES = {
    True: "closes it",
    False: "does not close it",
    None: "(not known whether it closes it, ask=missing tells)",
}
HELD = "held since the host went back; release it with klp.unhold"
QUARANTINED = "in quarantine; release it with klp.release"


def text(found):
    """Return what a terminal shows of ``emergency.answer``."""
    lines = [line for item in found["cves"] for line in _cve(item, found["hosts"])]
    return "\n".join([*lines, _documents(found["documents"])])


def _line(label, said, indent="  "):
    return f"{indent}{label:<{LABEL}}{said}"


def _cve(item, hosts):
    severity = f" ({item['severity']})" if item["severity"] else ""
    lines = [f"{item['cve']}{severity}: {count(hosts, 'host')}"]
    for category, number in item["totals"].items():
        if number:
            lines.append(_line(LABELS[category], f"{count(number, 'host')}: {MEANS[category]}"))
    alike: dict = {}  # groups of which the same is to be said are shown as one
    for row in item["groups"]:
        said = _said(row)
        alike.setdefault((row["group"] is None, *said), []).append((row, said))
    for rows in alike.values():
        lines += ["", *_groups(rows)]
    return [*lines, "", *_next(item)]


def _said(row):
    """Return what is said of a group: ``{(label, text): hosts}``."""
    found = {}
    for category in emergency.CATEGORIES:
        if category in SAY:
            found.update({(LABELS[category], SAY[category](one)): one["hosts"] for one in row[category]})
        elif row[category]:
            found[LABELS[category], ""] = row[category]
    return found


def _groups(rows):
    names = [row["group"] for row, _ in rows]
    if len(names) > 1:
        name = f"{count(len(names), 'group')} ({show.names(name or 'no group' for name in names)})"
    else:
        name = "without a document" if names[0] is None else f"group {names[0]}" if names[0] else "no group"
    lines = [f"{name}: {count(sum(row['hosts'] for row, _ in rows), 'host')}"]
    for key in rows[0][1]:
        lines.append(_line(key[0], _hosts(key[1], [host for _, said in rows for host in said[key]])))
    return lines


def _hosts(said, hosts):
    number = count(len(hosts), "host")
    return f"{said + ': ' if said else ''}{number} ({show.names(hosts)})"


def _patch(line):
    name = f"{line['package']} {line['edition']}".strip() or "a newer one"
    notes = [note for key, note in (("held", HELD), ("quarantined", QUARANTINED)) if line[key]]
    return ", ".join([name, *notes])


def _kernel(line):
    if line["edition"] is None:
        return line["problem"]
    return f"{line['package']} {line['edition']} {CLOSES[line['closes']]}"


SAY = {"live_patch": _patch, "restart": _kernel, "unknown": lambda line: line["why"]}


def _next(item):
    """Return the lines with the commands."""
    lines = []
    for category, command in item["commands"].items():
        if command:
            number = len(emergency.plannable(item["groups"], category))
            lines.append(f"plan for {count(number, 'host')}: {command}")
    return [*lines, ""] if lines else []


def _documents(found):
    if not found["number"]:
        return "no host has a document"
    oldest = f"the oldest is {show.span(found['oldest'])} old ({found['host']})"
    if found["number"] == 1:
        return f"1 document, {oldest.partition(' is ')[2]}"
    return f"{count(found['number'], 'document')}: {oldest}, half of them are {show.span(found['median'])} old or less"
