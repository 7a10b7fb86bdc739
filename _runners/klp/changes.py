"""
The next kernel of a host, and what became of its last change of kernel, as its document tells them. Pure functions.
"""

from __future__ import annotations

import datetime

from .updates import SEVERE, SEVERITIES
from .words import clean, count, moment

# Stages of a change, those that want somebody first, and what people call them.
STAGES = {
    "failed": "failed",
    "installing": "not finished",
    "back": "goes back with its next restart",
    "installed": "waits for its restart",
    "restarting": "restarts",
    "went_back": "went back",
    "verified": "verified",
}
OVER = ("went_back", "verified")  # nothing more comes of these
RECENT = 8 * 7 * 86400  # seconds for which a change that is over is told


def _day(text):
    try:
        return datetime.date.fromisoformat(text or "")
    except ValueError:
        return None


def target(found, window, kernel):
    """
    Return the kernel that a host gets next, as the list of hosts has it, or ``None`` where its document tells of none.

    found
        ``kernel_target`` of its document.
    window
        the window of its running kernel today, as ``kinds`` has it.
    kernel
        its running kernel, ``uname -r``; no other one may be better.

    ``gained`` is how many days longer than now live patches are made for it: ``None`` where that is not known.
    """
    if found is None:
        return None
    last, until = _day(found["window_last"]), _day(window["last"])
    return {
        "release": _line(found["release"]),
        "runs": found["release"] == kernel,
        "edition": _line(found["edition"]),
        "live_patch": _line(found["live_patch"]),
        "window_last": last and last.isoformat(),
        "estimated": bool(found["estimated"]),
        "gained": (last - until).days if last and until else None,
        "cves": None if found["cves"] is None else {word: found["cves"].get(word, 0) for word in SEVERITIES},
        "problem": _line(found["problem"]),
    }


def _line(text):
    return None if text is None else clean(text)


def counts(numbers):
    """Return how many CVEs a kernel closes: severe ones, others; ``None`` twice where that is unknown."""
    if numbers is None:
        return None, None
    severe = sum(numbers[word] for word in SEVERE)
    return severe, sum(numbers.values()) - severe


def target_text(found):
    """Return the next kernel of a host in a line; empty where there is none."""
    if found is None:
        return ""
    if found["problem"] or not found["release"]:
        return f"no next kernel: {found['problem'] or 'no reason is told'}"
    if found["runs"]:
        return "no other kernel is better than the running one"
    until = "its window is not known"
    if found["window_last"]:
        until = f"{'estimated ' if found['estimated'] else ''}until {found['window_last']}"
    gained = (
        "" if found["gained"] is None else f" ({found['gained']:+} {count(abs(found['gained']), 'day').split()[1]})"
    )
    closed = "unknown which CVEs it closes"
    if found["cves"] is not None:
        parts = [f"{number} {word}" for word, number in found["cves"].items() if number]
        closed = ": ".join(filter(None, [f"closes {count(sum(found['cves'].values()), 'CVE')}", ", ".join(parts)]))
    return f"next {found['release']}, {until}{gained}, {closed}"


def change(found):
    """Return the last change of kernel of a host, as the list of hosts has it, or ``None``."""
    if found is None:
        return None
    return {
        "stage": found["stage"],
        "from": _line(found["from"]),
        "to": _line(found["to"]),
        "at": found["at"],
        "why": [clean(line) for line in found["why"]],
    }


def change_text(found):
    """Return the last change of kernel of a host in a line; empty where there was none."""
    if found is None:
        return ""
    why = f": {'; '.join(found['why'])}" if found["why"] else ""
    return f"change to kernel {found['to']}: {STAGES[found['stage']]} ({moment(found['at'])}){why}"


def failed(found):
    """Return why a host needs help after a change of its kernel, one line each."""
    return [change_text(change(found))] if found and found["stage"] == "failed" else []


def waiting(found):
    """Return what waits for the restart of a host, one line each."""
    words = {
        "installed": "kernel {to} is installed, and waits for the restart",
        "restarting": "it restarts with kernel {to}, and nobody has verified that yet",
        "back": "it goes back to kernel {from} with its next restart",
    }
    return [words[found["stage"]].format(**change(found))] if found and found["stage"] in words else []


def unfinished(found):
    """Return what was begun and has not ended, one line each: which kernel such a host starts next is unknown."""
    begun = found and found["stage"] == "installing"
    return [f"{change_text(change(found))}; finish it: state.apply klp.kernel"] if begun else []


def notes(aim):
    """Return what is worth to know of the next kernel and makes no kind, one line each."""
    return [f"no next kernel: {clean(aim['problem'])}"] if aim and aim["problem"] else []


def fleet(rows, now):
    """
    Return what became of the changes of kernels: ``{"counts": {stage: hosts}, "hosts": [rows]}``.

    Those that are not over are always told, the others for eight weeks. The rows are those of the hosts.
    """
    found = [row for row in rows if row["change"] and _told(row["change"], now)]
    stages = [*STAGES]
    found.sort(key=lambda row: (stages.index(row["change"]["stage"]), -row["change"]["at"], row["host"]))
    counts = {stage: sum(1 for row in found if row["change"]["stage"] == stage) for stage in STAGES}
    keys = ("host", "group")
    return {"counts": counts, "hosts": [{**{key: row[key] for key in keys}, **row["change"]} for row in found]}


def _told(found, now):
    return found["stage"] not in OVER or now - found["at"] < RECENT


def fleet_text(found):
    """Return the changes of kernels in a line; empty where there are none."""
    parts = [f"{number} {STAGES[stage]}" for stage, number in found["counts"].items() if number]
    return f"changes of kernels: {', '.join(parts)}" if parts else ""
