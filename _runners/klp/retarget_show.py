"""
The kernels of a fleet by group, in lines for a terminal. Pure functions.
"""

from __future__ import annotations

from . import show
from .words import count

LABEL = 12  # characters of what a line is about
WIDTH = 116


def text(found):
    """Return what a terminal shows of ``retarget.plan``."""
    parts = [_group(row) for row in found["groups"]]
    if found["silent"]:
        said = [_line("unknown", f"{host}: {why}") for host, why in found["silent"].items()]
        parts.append([f"{count(len(found['silent']), 'host')} of unknown group", *said])
    return "\n\n".join("\n".join(lines) for lines in parts) or "no host is in the target"


def _line(label, said):
    return f"  {label:<{LABEL}}{said}"


def _group(row):
    name = f"group {row['group']}" if row["group"] else "without a group"
    lines = [f"{name}: {count(len(row['hosts']), 'host')}"]
    lines += _kernel(row) if row["kernel"] else [_line("kernel", "none that any of them can take")]
    for label in ("cannot", "unknown"):
        lines += [_line(label, f"{why}: {hosts}") for why, hosts in _reasons(row[label])]
    return lines


def _reasons(found):
    """Return pairs of a reason and its hosts, those of most hosts first."""
    hosts = show.reasons({host: "; ".join(reasons) for host, reasons in found.items()})
    return [(why, show.names(hosts[why])) for why in sorted(hosts, key=lambda why: (-len(hosts[why]), why))]


def _kernel(row):
    item = row["kernel"]
    closed = ", ".join(f"{number} {word}" for word, number in item["cves"].items() if number)
    until = "not known" if item["window_last"] is None else f"until {item['window_last']}"
    lines = [
        _line("kernel", f"{item['package']} {item['edition']}"),
        _line("live patch", ", ".join(item["live_patch"]) or "none"),
        _line("window", until + ", an estimate" * item["estimated"] + ", it is over" * (item["window"] == "expired")),
        _line("closes", f"{count(sum(item['cves'].values()), 'CVE')}{f': {closed}' if closed else ''}"),
        _line("can", f"{len(row['can'])} of {len(row['hosts'])}, {len(row['runs'])} run it already"),
    ]
    if row["unsure"]:
        said = f"whether it was withdrawn, on {show.names(row['unsure'])}: no advisory there speaks of kernels"
        lines.append(_line("not known", said))
    if row["others"]:
        hosts = show.names(row["others"])
        lines.append(_line("declare", f"klp:kernel:target: {item['edition']}, which is not yet the target of {hosts}"))
    lines.append(_line("locks", " ".join(row["locks"])))
    rule = row["filters"][0]
    lines.append(_line("CLM filters", f"{rule['rule']}, {rule['type']}, {rule['matcher']}, epoch empty"))
    lines += [
        _line("", f"{one['package']}, version {one['version']}, release {one['release']}") for one in row["filters"]
    ]
    return lines
