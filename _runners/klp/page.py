"""
The report on a fleet as one HTML page that needs nothing else: no network, and no JavaScript to be read.

Everything that a host wrote is quoted by the template or is a string of the embedded JSON; the page forbids itself to
load anything, and only the style and the script whose hashes it names are used.
"""

from __future__ import annotations

import datetime
import itertools
import json

from . import changes, kinds, templates
from .words import count

ROWS = 200  # hosts that a static table shows
CVES = 1000  # CVEs that the static table shows
LANES = 60  # kernels that the time line shows
WEEKS = 60  # weeks that the plan shows
NAMED = 12  # hosts of a week that are named
FEW = 60  # hosts without a deadline that are named
LEVELS = 4  # of a kernel that are named
RANGE = 730  # days before and after today that the time line shows at most
MARGIN = 60  # days before and after today that it shows at least
TICKS = 9  # of the time line, at most
PIECES = 1000  # values of the embedded JSON that are one text
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Of each kind: what a reader calls it, what that means, and its colour.
WORDS = {
    "silent": ("No answer", "Nothing is known about them today.", "dim"),
    "unpatchable": ("No live patching", "None is installed, or none is made for their kernel.", "dim"),
    "stalled": ("Stalled", "A live patch waits for tasks that hold it up.", "bad"),
    "failed": ("Failed", "A check failed: look at these first.", "bad"),
    "unlocked": ("Locks lost", "An update could replace their kernel.", "warn"),
    "expired": ("Window expired", "No live patches are made for their kernel any more.", "bad"),
    "reboot": ("Needs a reboot", "Severe flaws stay open until they restart.", "debt"),
    "pending": ("Live patch pending", "A newer live patch is there: no reboot needed.", "info"),
    "updates": ("Updates pending", "Severe advisories are there: no reboot needed.", "info"),
    "left_out": ("Updates left out", "Severe advisories that no run installs, and why.", "warn"),
    "unclear": ("Window unknown", "It is unknown how long they get live patches.", "dim"),
    "expiring": ("Expiring soon", "Their window ends soon: plan a restart.", "warn"),
    "unknown": ("Not certain", "Something could not be found out.", "dim"),
    "covered": ("Covered", "Kernel and packages: no severe fix is open that a run could bring.", "good"),
}
# Of each state of a CVE: its letter, and what it means.
MARKS = {
    "fixed_live": ("F", "fixed by the active live patch"),
    "pending": ("P", "fixed by a newer live patch"),
    "reboot": ("R", "fixed only in a newer kernel"),
    "unknown": ("?", "status unknown"),
}


def html(summary):
    """Return the report on a fleet as one HTML text."""
    return "".join(texts(summary))


def texts(summary):
    """Yield the same, one text after the other: of a large fleet it is very long."""
    yield from templates.texts(
        "report.html.j2",
        view(summary),
        ["report.css"],
        "report.js",
        {"span": _span, "names": _names},
        data=_embedded(data(summary)),
    )


def _embedded(document):
    """Yield compact JSON that no HTML parser can find the end of a script in, one text after the other."""
    found = json.JSONEncoder(separators=(",", ":")).iterencode(document)
    while True:
        text = "".join(itertools.islice(found, PIECES))
        if not text:
            return
        yield text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def view(summary):
    """Return what the template shows without JavaScript."""
    today = kinds.day(summary["made"])
    attention = [row for row in summary["hosts"] if row["kind"] != "covered"]
    return {
        "made": _moment(summary["made"]),
        "settings": summary["settings"],
        "totals": summary["totals"],
        "words": WORDS,
        "marks": MARKS,
        "segments": _segments(summary["totals"]),
        "attention": attention[:ROWS],
        "attention_more": len(attention) - ROWS,
        "line": _line(summary["kernels"][:LANES], today),
        "lanes_more": len(summary["kernels"]) - LANES,
        "plan": summary["reboots"],
        "weeks": _weeks(summary["reboots"]["weeks"]),
        "weeks_more": len(summary["reboots"]["weeks"]) - WEEKS,
        "changes": [_changed(row) for row in summary["changes"]["hosts"][:ROWS]],
        "changes_more": len(summary["changes"]["hosts"]) - ROWS,
        "changes_told": changes.fleet_text(summary["changes"]),
        "cves": summary["cves"][:CVES],
        "cves_more": len(summary["cves"]) - CVES,
        "left_out": summary["left_out"][:ROWS],
        "left_out_more": len(summary["left_out"]) - ROWS,
        "silent": sorted(summary["silent"].items())[:ROWS],
        "silent_more": len(summary["silent"]) - ROWS,
        "named": NAMED,
        "few": FEW,
    }


def _moment(seconds):
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f"{when.day} {MONTHS[when.month - 1]} {when.year}, {when:%H:%M} UTC"


def _span(seconds):
    """Return a number of seconds as people say it."""
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{seconds // size:,} {word}s"
    return "less than 2 minutes"


def _names(rows):
    """Return the hosts that a week names, and how many more it has."""
    more = len(rows) - NAMED
    return ", ".join(row["host"] for row in rows[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _percent(part, whole):
    return f"{100 * part / whole:.3f}%"


def _segments(totals):
    """Return the parts of the bar over all hosts, the best kind first."""
    found, at = [], 0
    for kind in reversed(list(WORDS)):
        number = totals["kinds"][kind]
        if number:
            place = {"at": _percent(at, totals["hosts"]), "width": _percent(number, totals["hosts"])}
            found.append({"kind": kind, "hosts": number, **place})
        at += number
    return found


def _line(kernels, today):
    """Return the time line of support windows: its scale, and a lane for each kernel."""
    scale = _Scale([row["window"] for row in kernels], today)
    return {
        "today": scale.at(today),
        "ticks": scale.ticks(),
        "lanes": [{**row, **_lane(row, scale)} for row in kernels],
    }


def _lane(row, scale):
    return {"bar": _bar(row["window"], scale), "text": _window(row["window"]), "told": _levels(row["levels"])}


def _levels(levels):
    """Return the levels that most hosts have, and how many others there are."""
    most = sorted(levels, key=lambda level: -levels[level])
    more = len(most) - LEVELS
    return ", ".join(most[:LEVELS]) + (f" and {more} more" if more > 0 else "")


def _day(text):
    return None if text is None else datetime.date.fromisoformat(text)


class _Scale:
    """Where a day stands on the time line."""

    def __init__(self, windows, today):
        span, margin = datetime.timedelta(RANGE), datetime.timedelta(MARGIN)
        texts = [text for window in windows for text in (window["first"], _end(window)) if text]
        days = [min(max(_day(text), today - span), today + span) for text in texts]
        self.first, self.last = min([*days, today - margin]), max([*days, today + margin])
        self.days = (self.last - self.first).days * 1.02

    def at(self, day):
        """Return the place of a day in percent, within the line."""
        return _percent(min(max((day - self.first).days, 0), self.days), self.days)

    def ticks(self):
        """Return beginnings of months, as many as have room; every second one is left out on a small screen."""
        months = range(self.first.year * 12 + self.first.month, self.last.year * 12 + self.last.month)
        step = next(step for step in (1, 2, 3, 6, 12) if len(months) // step < TICKS)
        days = [datetime.date(month // 12, month % 12 + 1, 1) for month in months if month % step == 0]
        rows = [{"at": self.at(day), "label": f"{MONTHS[day.month - 1]} {day.year}"} for day in days]
        return [{**row, "minor": bool(index % 2)} for index, row in enumerate(rows)]


def _end(window):
    return window["last"] or (window["estimate"] or {}).get("last")


def _bar(window, scale):
    """Return where the bar of a window begins and how long it is, or ``None`` if its end is unknown."""
    if _end(window) is None:
        return None
    begin = 0.0 if window["first"] is None else float(scale.at(_day(window["first"]))[:-1])
    width = max(0.0, float(scale.at(_day(_end(window)))[:-1]) - begin)
    kind = window["state"] if window["last"] else "estimate"
    return {"at": f"{begin:.3f}%", "width": f"{width:.3f}%", "kind": kind}


def _window(window):
    """Return a window in words."""
    if window["state"] == "expired":
        return f"expired {window['last']}" if window["last"] else "expired"
    if window["state"] == "open":
        return f"until {window['last']}, {count(window['days'], 'day')}"
    return f"unknown; estimate {window['estimate']['last']}" if window["estimate"] else "unknown"


def _weeks(weeks):
    """Return the weeks of the plan, each with the length of its bar."""
    most = max((len(week["hosts"]) for week in weeks), default=0)
    return [
        {
            **week,
            "width": _percent(len(week["hosts"]), most),
            "late": [row for row in week["hosts"] if row["late"]],
            "fine": [row for row in week["hosts"] if not row["late"]],
            "unsafe": sum(1 for row in week["hosts"] if row["safety"] != "ok"),
        }
        for week in weeks[:WEEKS]
    ]


def _changed(row):
    return {**row, "said": changes.STAGES[row["stage"]], "moment": _moment(row["at"]), "bad": row["stage"] == "failed"}


def data(summary):
    """Return what the script shows, with every string once."""
    strings = {name: _Once() for name in ("kernels", "reasons", "groups", "words")}
    week = {row["host"]: week["iso"] for week in summary["reboots"]["weeks"] for row in week["hosts"]}
    hosts = [{**_host(row, strings), "week": week.get(row["host"])} for row in summary["hosts"]]
    return {
        "kinds": [{"kind": kind, "label": label, "tone": tone} for kind, (label, _, tone) in WORDS.items()],
        "hosts": _table(hosts),
        "cves": _table([_cve(row) for row in summary["cves"]]),
        **{name: once.found for name, once in strings.items()},
    }


def _table(rows):
    """Return mappings with the same keys as a table: the keys once, then the values of each; the script undoes it."""
    return {"keys": list(rows[0]) if rows else [], "rows": [list(row.values()) for row in rows]}


def _host(row, strings):
    """Return what the script knows of a host; strings that many hosts have are numbers."""
    reasons = strings["reasons"]
    next_lines = (changes.target_text(row["target"]), changes.change_text(row["change"]))
    return {
        "host": row["host"],
        "group": strings["groups"](row["group"]),
        "kind": row["rank"],
        "why": [reasons(line) for line in row["why"]],
        "follows": [reasons(line) for line in row["follows"]],
        "next": [reasons(line) for line in next_lines if line],
        "command": _short(row, strings["words"]),
        "age": row["age"],
        "kernel": None if row["kernel"] is None else strings["kernels"](row["kernel"]),
        "edition": row["edition"],
        "window": row["window"]["state"],
        "last": row["window"]["last"],
        "days": row["window"]["days"],
        "counts": None if row["counts"] is None else [row["counts"][state] for state in MARKS],
        "updates": None if row["updates"] is None else [*row["updates"]["pending"], *row["updates"]["left_out"]],
        "profile": row["profile"],
    }


class _Once:
    """Numbers for strings, so that what many hosts say is embedded once."""

    def __init__(self):
        self.numbers: dict[str, int] = {}

    def __call__(self, text):
        """Return the number of a string."""
        return self.numbers.setdefault(text, len(self.numbers))

    @property
    def found(self):
        """Return all strings by their number."""
        return list(self.numbers)


def _short(row, words):
    """Return the number of the words of a command, where its target is just the host's id; else the whole command."""
    before = f"salt {row['host']} "
    return words(row["command"][len(before) :]) if row["command"].startswith(before) else row["command"]


def _cve(row):
    """Return a CVE with one letter for each profile."""
    counts = [row["counts"][state] for state in MARKS]
    return {"cve": row["cve"], "severity": row["severity"], "counts": counts, "marks": row["marks"]}
