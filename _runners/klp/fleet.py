"""
What the documents of many hosts say together: one summary, from which every output is made. Pure functions.

``kinds`` says what one document means; here hosts are counted, and what is the same for many of them is kept once.
"""

from __future__ import annotations

import collections
import sys

from . import changes, kinds, reboots, updates
from .updates import SEVERITIES

VERSION = 2
WINDOWS = ("expired", "unknown", "open")  # worst first
TOTALS = ("pending", "left_out")  # severe updates; how many hosts have some
NAMED = 3  # hosts that a profile names
RANKS = {word: rank for rank, word in enumerate(SEVERITIES)}
UNRANKED = len(SEVERITIES)
OWN = ("host", "command", "age")  # of a row: no two hosts say the same
# One letter for each profile in the ``marks`` of a CVE: its state there, not listed there, or the lists are not known.
LETTERS = {"fixed_live": "F", "pending": "P", "reboot": "R", "unknown": "?"}
ABSENT, UNTOLD = ".", "-"


def summary(documents, silent, settings, now, foreign=None):
    """
    Return what the documents of a fleet say together, as plain data.

    documents
        mapping of host to its document, already validated; each is read once.
    silent
        mapping of host to one sentence why it has none.
    settings
        ``share`` (percentage of a group that may be restarted in one week), ``weeks`` (horizon of the plan), ``warn``
        (days before the end of a window), ``debt`` (days until reboot debt has to be gone), ``old`` (hours after which
        a document is not believed any more).
    now
        seconds since 1970.
    foreign
        mapping of host to one sentence, for those of another system: they answered, and have no live patching.

    Returns ``{"version", "made", "settings", "totals", "hosts", "kernels", "profiles", "cves", "left_out", "changes",
    "reboots", "silent"}``, see ``docs/reference/host.schema.json`` for the words.
    """
    now = int(now)
    today, found = kinds.day(now), _Tally()
    for name in sorted(documents):
        found.take(kinds.Host(name, documents[name], settings, now), today)
    rows = found.rows + [kinds.silent_row(name, silent[name]) for name in sorted(silent)]
    rows += [kinds.silent_row(name, why, "unpatchable") for name, why in sorted((foreign or {}).items())]
    rows.sort(key=lambda row: (row["rank"], row["host"]))
    cves = found.profiles.cves()
    return {
        "version": VERSION,
        "made": now,
        "settings": dict(settings),
        "totals": _totals(found, rows, cves, settings),
        "hosts": rows,
        "kernels": found.kernels.rows(),
        "profiles": found.profiles.rows,
        "cves": cves,
        "left_out": found.left_out.rows(),
        "changes": changes.fleet(rows, now),
        "reboots": reboots.propose(found.restarts, settings["share"], settings["weeks"], today),
        "silent": {kinds.clean(name): kinds.clean(silent[name]) for name in sorted(silent)},
    }


class _Tally:
    """What is kept of each host when the next one is read: a row, not its document."""

    def __init__(self):
        self.profiles, self.kernels, self.left_out = _Profiles(), _Kernels(), updates.LeftOut()
        self.rows, self.restarts, self.ages = [], [], []
        self.verdicts = collections.Counter()
        self.in_debt = 0
        self._once = {}

    def take(self, host, today):
        """Add a host."""
        host.profile = self.profiles.take(host)
        self.kernels.take(host)
        self.left_out.take(host.name, host.updates)
        self.rows.append({key: self._same(key, value) for key, value in host.row().items()})
        self.restarts.append({key: self._same(key, value) for key, value in host.restart(today).items()})
        self.ages.append((host.age, kinds.clean(host.name)))
        self.verdicts[host.document["verdict"]] += 1
        self.in_debt += host.in_debt

    def _same(self, key, value):
        """Return a value that is equal to this one; what many hosts say is kept once."""
        return value if key in OWN else self._once.setdefault((key, repr(value)), value)


class _Profiles:
    """The lists of CVEs of all hosts: those that differ in nothing but the host are kept once, as one profile."""

    def __init__(self):
        self.rows, self._lists, self._numbers, self._ranks = [], [], {}, {}

    def take(self, host):
        """Add a host; returns the number of its profile."""
        lists = tuple(tuple(host.cves[state]) for state in kinds.STATES)
        key = (host.document["kernel"], host.patch["edition"], host.cves["reason"] is None, lists)
        number = self._numbers.get(key)
        if number is None:
            number = self._new(*key)
        row = self.rows[number]
        row["hosts"] += 1
        if len(row["names"]) < NAMED:
            row["names"].append(kinds.clean(host.name))
        for cve, word in host.cves["severity"].items():
            if RANKS[word] < self._ranks.get(cve, UNRANKED):
                self._ranks[sys.intern(cve)] = RANKS[word]
        return number

    def _new(self, kernel, edition, known, lists):
        lists = tuple(tuple(map(sys.intern, names)) for names in lists)
        self._numbers[kernel, edition, known, lists] = len(self.rows)
        self._lists.append(lists)
        edition = None if edition is None else kinds.clean(edition)
        self.rows.append({"kernel": kinds.clean(kernel), "edition": edition, "known": known, "hosts": 0, "names": []})
        return len(self.rows) - 1

    def cves(self):
        """Return a row for each CVE, worst first; what a host says twice counts as the worse of both."""
        blank = "".join(ABSENT if row["known"] else UNTOLD for row in self.rows).encode()
        marks: dict = collections.defaultdict(lambda: bytearray(blank))
        counts: dict = collections.defaultdict(lambda: dict.fromkeys(reversed(kinds.STATES), 0))
        for number, lists in enumerate(self._lists):
            hosts, absent = self.rows[number]["hosts"], blank[number]
            for state, names in zip(kinds.STATES, lists):
                letter = ord(LETTERS[state])
                for name in names:
                    mine = marks[name]
                    if mine[number] == absent:
                        mine[number] = letter
                        counts[name][state] += hosts
        rows = [
            {
                "cve": kinds.clean(name),
                "severity": SEVERITIES[self._ranks.get(name, -1)],
                "counts": counts[name],
                "marks": marks.pop(name).decode(),
            }
            for name in list(marks)
        ]
        return sorted(rows, key=_order)


def _order(row):
    """Return the key that sorts CVEs: severity, then hosts in the worst states, then the newest first."""
    _, year, number = row["cve"].split("-", 2)
    worst = [-row["counts"][state] for state in kinds.STATES]
    newest = (-int(year), -len(number), [-ord(digit) for digit in number])
    return SEVERITIES.index(row["severity"]), worst, newest


def _totals(found, rows, cves, settings):
    """Return the numbers of the whole fleet."""
    ages, counts = sorted(found.ages), collections.Counter(row["kind"] for row in rows)
    return {
        "hosts": len(rows),
        "answered": len(rows) - counts["silent"],
        "kinds": {kind: counts[kind] for kind in kinds.KINDS},
        "verdicts": dict(sorted(found.verdicts.items())),
        "cves": {state: sum(1 for row in cves if row["counts"][state]) for state in reversed(kinds.STATES)},
        "reboot_debt": found.in_debt,
        "updates": {state: sum(1 for row in rows if row["updates"] and row["updates"][state][0]) for state in TOTALS},
        "ages": {
            "oldest": ages[-1][0] if ages else None,
            "host": ages[-1][1] if ages else None,
            "median": ages[len(ages) // 2][0] if ages else None,
            "old": sum(1 for age, _ in ages if age >= settings["old"] * kinds.HOUR),
        },
    }


class _Kernels:
    """The running kernels; where the hosts of one do not agree on its window, the worst one is told."""

    def __init__(self):
        self._found = {}

    def take(self, host):
        """Add a host."""
        name, window = kinds.clean(host.document["kernel"]), host.window
        kept = self._found.setdefault(name, {"window": window, "levels": collections.Counter(), "windows": set()})
        kept["window"] = min(kept["window"], window, key=_worst)
        kept["windows"].add((window["state"], window["last"]))
        kept["levels"]["unknown" if host.patch["level"] is None else str(host.patch["level"])] += 1

    def rows(self):
        """Return a row for each kernel, worst first."""
        rows = [self._row(name, kept) for name, kept in self._found.items()]
        return sorted(rows, key=lambda row: (_worst(row["window"]), row["kernel"]))

    @staticmethod
    def _row(name, kept):
        keys = ("state", "first", "last", "days", "estimate", "reason")
        return {
            "kernel": name,
            "hosts": sum(kept["levels"].values()),
            "window": {key: kept["window"][key] for key in keys},
            "agreed": len(kept["windows"]) == 1,
            "levels": dict(sorted(kept["levels"].items(), key=lambda item: (len(item[0]), item[0]))),
        }


def _worst(window):
    """Return the key that sorts windows: the worst state, then the one that ends first."""
    last = window["last"] or (window["estimate"] or {}).get("last") or "9999"
    return WINDOWS.index(window["state"]), last
