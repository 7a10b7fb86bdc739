"""
Where a fleet stands with one CVE: what the document of each host says of it, by group and in total. Pure functions.

Each host is in one category. ``unknown`` is all that is not known, with the reason; it is never counted as fixed or as
not affected. A document without the CVE says "not affected" only where something could have named it: an advisory of
the same system does so on another host, and the repositories of this host are no older than of that one.
"""

from __future__ import annotations

import collections
import re
from typing import NamedTuple

import klp_cves

from . import documents, kinds
from .words import clean, count, day

VERSION = 1
ID = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}\Z")
MOST = 20  # CVEs of one question
WANTED = "cve: wanted a CVE such as CVE-2026-31431, or up to {} of them with commas between, found {}"
CATEGORIES = ("fixed_live", "fixed_kernel", "live_patch", "restart", "not_affected", "unknown")
FIXED_KERNEL = "fixed_kernel"  # state and category; documents only count these, so that hosts are asked
STATES = {
    "fixed_live": "fixed_live",
    FIXED_KERNEL: FIXED_KERNEL,
    "pending": "live_patch",
    "reboot": "restart",
}  # of documents -> category
WORDS = {"fixed_live": "fixed live", "pending": "a newer live patch fixes it", "reboot": "only a newer kernel fixes it"}
WORDS[FIXED_KERNEL] = "fixed in the running kernel"
OPEN = ("pending", "reboot", "unknown")  # states that kernel_target:cves counts (klp_target of the host)
UNSPECIFIED = "unspecified"

ABSENT = "no document in the mine; ask for it: salt-run klp.cve {} ask=missing"
OLD = "its document is older than {}; ask for it: salt-run klp.cve {} ask=missing"
OLD_ASKED = "its document is older than {}, and it gave no newer one"
AHEAD = "the clock of the host is ahead of the master's, so the age of its document is not known"
UNREAD = "its CVEs are not known: {}"
TWICE = "its document has the CVE in two states"
UNSURE = "its sources do not say whether it is fixed: {}"
CONTRADICTED = "run klp_audit.cves on it"
NOBODY = "no advisory for {} names it: not affected, or no update is out yet"
NO_REPOSITORIES = "its repositories are not known, and its document does not name the CVE"
FROZEN = "its document does not name the CVE, and repository {} has stood still since {}"
UNDATED = "its document does not name the CVE, and the age of repository {} is not known"
SAME_KERNEL = "its document does not name the CVE, but {} with the same kernel does: {}"
OLDER_KERNEL = "its document does not name the CVE, but {} with a newer kernel does: {}"
MISSING = "its document does not name the CVE, and it lacks repository {}, which all hosts have that name it"
BEHIND = "its document does not name the CVE, and its repositories are older than those of all hosts that name it"
DECLARED = "its pillar klp:kernel:target is none, or its document is of an older version"
NO_KERNEL = "no kernel: {}"


class Brief(NamedTuple):
    """What one document says of some CVEs: ``states`` and ``closes`` have one value for each."""

    host: str
    time: int
    system: str
    group: str
    kernel: str
    reason: str | None
    states: list
    severities: list
    notes: list  # what the sources say of it, where that is known
    closes: list  # does the kernel that the host would get next close it: bool, None: not known
    patch: dict
    target: dict | None
    repositories: list


def wanted(value):
    """Return the CVEs that somebody asks for, as they are written, or ``None`` where it is no CVE."""
    found = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    names = [name.strip().upper() if isinstance(name, str) else "" for name in found]
    return sorted(set(names)) if 0 < len(names) <= MOST and all(map(ID.match, names)) else None


def brief(document, cves):
    """Return what a document says of some CVEs; the lists of CVEs may be such as ``mined`` has them."""
    lists, target = document["cves"], document["kernel_target"]
    states = [[state for state in documents.STATES if cve in lists[state]] for cve in cves]
    found = ["two" if len(state) > 1 else state[0] if state else None for state in states]
    return Brief(
        host=document["host"],
        time=document["time"],
        system=document["os"],
        group=document["group"],
        kernel=document["kernel"],
        reason=lists["reason"],
        states=found,
        severities=[lists["severity"].get(cve) if state else None for cve, state in zip(cves, found)],
        notes=[_note(lists, cve) if state == "unknown" else None for cve, state in zip(cves, found)],
        closes=[_closes(lists, target, cve) if state == "reboot" else None for cve, state in zip(cves, found)],
        patch=document["live_patch"],
        target=target,
        repositories=document["updates"]["repositories"],
    )


def _note(lists, cve):
    """Return what the sources say of a CVE that is unknown."""
    return next((line for line in lists["contradictions"] if line.startswith(f"{cve}: ")), None)


def _closes(lists, target, cve):
    """
    Return whether a kernel closes a CVE, as far as the document says it (bool or ``None``).

    It says how many of the open CVEs of a severity are closed, not which ones: all of them, or none, is an answer.
    """
    if target is None or target["edition"] is None:
        return None
    mine = lists["severity"].get(cve) or UNSPECIFIED
    closed = target["cves"][mine]
    if not closed:
        return False
    if mine == UNSPECIFIED:
        others = {name for name, word in lists["severity"].items() if word != mine}
        number = sum(len(set(lists[state]) - others) for state in OPEN)
    else:
        alike = {name for name, word in lists["severity"].items() if word == mine}
        number = sum(len(alike.intersection(lists[state])) for state in OPEN)
    return None if closed < number else True


class Naming:
    """Who names a CVE: from that follows whether others, who do not, could have known it."""

    def __init__(self, briefs, index):
        self.kernels: dict = collections.defaultdict(dict)  # (system, kernel) -> {state: a host with it}
        self.systems: dict = collections.defaultdict(dict)  # system -> {repository: when the oldest was made}
        self.common: dict = {}  # system -> repositories that all hosts have which name it
        self.newest: dict = {}  # (system, flavour) -> (newest kernel without the fix, a host with it, its state)
        for item in briefs:
            state = item.states[index]
            if state is None:
                continue
            self.kernels[item.system, item.kernel].setdefault(state, item.host)
            if state in WORDS and state != FIXED_KERNEL:
                self._vulnerable(item, state)
            oldest, names = self.systems[item.system], {one["alias"] for one in item.repositories}
            self.common[item.system] = self.common.get(item.system, names) & names
            for one in item.repositories:
                if one["time"] is not None:
                    oldest[one["alias"]] = min(one["time"], oldest.get(one["alias"], one["time"]))

    def _vulnerable(self, item, state):
        key = (item.system, _flavour(item.kernel))
        if key not in self.newest or klp_cves.newer(item.kernel, self.newest[key][0]):
            self.newest[key] = (item.kernel, item.host, state)

    def fixed_kernel(self, item):
        """Return whether the running kernel of a host has the fix, as another host with the same kernel knows."""
        return set(self.kernels.get((item.system, item.kernel), ())) == {FIXED_KERNEL}

    def problem(self, item):
        """Return why a host that does not name the CVE may be affected all the same, or ``None``."""
        if not item.repositories:
            return NO_REPOSITORIES
        for one in item.repositories:
            if one["frozen"] or one["frozen"] is None:
                text = FROZEN.format(clean(one["alias"]), _day(one["time"])) if one["frozen"] else None
                return text or UNDATED.format(clean(one["alias"]))
        if (item.system, item.kernel) in self.kernels:
            state, host = next(iter(self.kernels[item.system, item.kernel].items()))
            return SAME_KERNEL.format(clean(host), WORDS.get(state, "unknown"))
        if item.system not in self.systems:
            return NOBODY.format(clean(item.system))
        missing = self.common[item.system] - {one["alias"] for one in item.repositories}
        if missing:
            return MISSING.format(clean(min(missing)))
        kernel, host, state = self.newest.get((item.system, _flavour(item.kernel)), (None, None, None))
        if kernel and klp_cves.newer(kernel, item.kernel):
            return OLDER_KERNEL.format(clean(host), WORDS[state])
        return BEHIND if _behind(item.repositories, self.systems[item.system]) else None


def _flavour(kernel):
    return kernel.rpartition("-")[2]


def _day(seconds):
    return "a day that is not known" if seconds is None else day(seconds).isoformat()


def _behind(repositories, oldest):
    """Return whether one of the repositories is older than with each host that names the CVE."""
    return any((one["time"] or 0) < oldest.get(one["alias"], 0) for one in repositories)


class Asked:
    """One CVE: how each host stands with it."""

    def __init__(self, cve, index, briefs, settings, now):
        self.cve, self.index, self.now = cve, index, now
        self.old, self.asked, self.quarantine = settings["max_age"], settings["asked"], settings["quarantine"]
        self.naming = Naming(briefs, index)

    def why(self, item):
        """Return why it is not known how a host stands with the CVE, or ``None``."""
        state, age = item.states[self.index], self.now - item.time
        if age >= self.old * kinds.HOUR:
            hours = count(self.old, "hour")
            return OLD_ASKED.format(hours) if self.asked else OLD.format(hours, self.cve)
        if age < -kinds.AHEAD:
            return AHEAD
        if item.reason is not None:
            return UNREAD.format(clean(item.reason))
        if state == "two":
            return TWICE
        if state == "unknown":
            note = item.notes[self.index]
            return UNSURE.format(clean(note.partition(": ")[2]) if note else CONTRADICTED)
        return None if state or self.naming.fixed_kernel(item) else self.naming.problem(item)

    def place(self, item):
        """Return ``(category, what the hosts of one line have in common)`` of a host."""
        why = self.why(item)
        if why:
            return "unknown", (why,)
        usual = FIXED_KERNEL if self.naming.fixed_kernel(item) else "not_affected"
        category = STATES.get(item.states[self.index], usual)
        if category == "live_patch":
            return category, self._patch(item.patch)
        return category, self._kernel(item) if category == "restart" else ()

    def _patch(self, patch):
        pair = (patch["package"] or "", patch["newest"] or "")
        return (*pair, patch["held"] is not None, pair in self.quarantine)

    def _kernel(self, item):
        target = item.target
        if target is None or target["edition"] is None:
            problem = NO_KERNEL.format(clean(target["problem"] or "no reason is told")) if target else DECLARED
            return None, None, None, False, problem
        closes = False if target["release"] == item.kernel else item.closes[self.index]
        return target["package"], target["edition"], target["release"], closes, target["problem"]


FORMS = {
    "live_patch": ("package", "edition", "held", "quarantined"),
    "restart": ("package", "edition", "release", "closes", "problem"),
    "unknown": ("why",),
}


def answer(cves, briefs, silent, settings, now):
    """
    Return where a fleet stands with some CVEs, as plain data.

    cves, briefs
        ids; what ``brief`` says of each document.
    silent
        ``{host: why it has no document}``.
    settings
        ``max_age`` (hours after which a document is not believed any more), ``asked`` (were hosts asked?),
        ``quarantine`` (set of pairs of package and edition that no campaign installs).
    now
        seconds since 1970.

    Returns ``{"version", "made", "hosts", "documents": ages in seconds, "cves"}``. Each CVE has ``cve``, ``severity``
    (the worst that a host knows, or ``None``), ``totals`` (hosts of each category), ``groups`` and ``commands``. A
    group has ``group`` (``None``: not known), ``hosts`` (number), and for each category its hosts; those
    of ``live_patch``, ``restart`` and ``unknown`` in lines by what they have in common.
    """
    now = int(now)
    ages = sorted((now - item.time, clean(item.host)) for item in briefs)
    return {
        "version": VERSION,
        "made": now,
        "hosts": len(briefs) + len(silent),
        "documents": {
            "number": len(ages),
            "oldest": ages[-1][0] if ages else None,
            "host": ages[-1][1] if ages else None,
            "median": ages[len(ages) // 2][0] if ages else None,
        },
        "cves": [_one(Asked(cve, index, briefs, settings, now), briefs, silent) for index, cve in enumerate(cves)],
    }


def _one(asked, briefs, silent):
    places: dict = collections.defaultdict(lambda: collections.defaultdict(list))
    for item in briefs:
        places[item.group][asked.place(item)].append(item.host)
    rows = [_group(clean(name), places[name]) for name in sorted(places)]
    if silent:
        lost = collections.defaultdict(list)
        for host, why in silent.items():
            lost["unknown", (clean(why),)].append(host)
        rows.append(_group(None, lost))
    words = [item.severities[asked.index] for item in briefs]
    known = [documents.SEVERITIES.index(word) for word in words if word]
    return {
        "cve": asked.cve,
        "severity": documents.SEVERITIES[min(known)] if known else None,
        "totals": {category: sum(map(_number, (row[category] for row in rows))) for category in CATEGORIES},
        "groups": rows,
        "commands": commands(asked.cve, rows),
    }


def _number(found):
    return sum(len(item["hosts"]) if isinstance(item, dict) else 1 for item in found)


def _group(name, places):
    row: dict = {"group": name, "hosts": sum(map(len, places.values())), **{key: [] for key in CATEGORIES}}
    for (category, key), hosts in sorted(places.items(), key=lambda pair: (-len(pair[1]), str(pair[0]))):
        named = sorted(map(clean, hosts))
        form = FORMS.get(category)
        row[category] += [{**dict(zip(form, key)), "hosts": named}] if form else named
    return row


def plannable(rows, category):
    """Return the hosts of which a plan makes sense: its live patch may come, or its next kernel closes the CVE."""
    fit = {
        "live_patch": lambda line: not (line["held"] or line["quarantined"]),
        "restart": lambda line: line["closes"] is True,
    }[category]
    return sorted(host for row in rows for line in row[category] if fit(line) for host in line["hosts"])


def commands(cve, rows):
    """Return the commands of the plans of just those hosts, ``{category: command or None}``."""
    plans = {"live_patch": f"salt-run klp.plan cve={cve}", "restart": f"salt-run klp.plan kernel cve={cve}"}
    return {category: command if plannable(rows, category) else None for category, command in plans.items()}


def verdict(found):
    """Return ``fixed``, ``open`` (something is to do on a host) or ``unknown`` (of a host it is not known)."""
    totals = [item["totals"] for item in found["cves"]]
    if any(item["live_patch"] or item["restart"] for item in totals):
        return "open"
    return "unknown" if any(item["unknown"] for item in totals) else "fixed"
