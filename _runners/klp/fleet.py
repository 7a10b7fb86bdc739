"""
What the documents of many hosts say together: one summary, from which every output is made. Pure functions.

``kinds`` says what one document means; here hosts are counted, and what is the same for many of them is kept once.
"""

from __future__ import annotations

import collections

from . import changes, kinds, reboots, updates
from .updates import SEVERITIES

VERSION = 1
WINDOWS = ("expired", "unknown", "open")  # worst first
TOTALS = ("pending", "left_out")  # severe updates; how many hosts have some
NAMED = 3  # hosts that a profile names


def summary(documents, silent, settings, now, foreign=None):
    """
    Return what the documents of a fleet say together, as plain data.

    documents
        mapping of host to its document, already validated.
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
    today = kinds.day(now)
    found = [kinds.Host(name, documents[name], settings, now) for name in sorted(documents)]
    profiles, cves = _interned(found)
    rows = [host.row() for host in found] + [kinds.silent_row(name, silent[name]) for name in sorted(silent)]
    rows += [kinds.silent_row(name, why, "unpatchable") for name, why in sorted((foreign or {}).items())]
    rows.sort(key=lambda row: (row["rank"], row["host"]))
    return {
        "version": VERSION,
        "made": now,
        "settings": dict(settings),
        "totals": _totals(found, rows, cves, settings),
        "hosts": rows,
        "kernels": _kernels(found),
        "profiles": profiles,
        "cves": cves,
        "left_out": updates.fleet([(host.name, host.updates) for host in found]),
        "changes": changes.fleet(rows, now),
        "reboots": reboots.propose(
            [host.restart(today) for host in found], settings["share"], settings["weeks"], today
        ),
        "silent": {kinds.clean(name): kinds.clean(silent[name]) for name in sorted(silent)},
    }


def _interned(hosts):
    """Return the profiles, each kept once, and the CVEs with their state in each of them; hosts learn their profile."""
    keys: dict = {}
    for host in hosts:
        lists = tuple(tuple(host.cves[state]) for state in kinds.STATES)
        key = (host.document["kernel"], host.patch["edition"], host.cves["reason"] is None, lists)
        members = keys.setdefault(key, [])
        host.profile = len(keys) - 1 if not members else members[0].profile
        members.append(host)
    profiles = [_profile(key, members) for key, members in keys.items()]
    return profiles, _cves([key[-1] for key in keys], profiles, _severities(hosts))


def _profile(key, members):
    row = {"kernel": kinds.clean(key[0]), "edition": None if key[1] is None else kinds.clean(key[1]), "known": key[2]}
    return {**row, "hosts": len(members), "names": [kinds.clean(host.name) for host in members[:NAMED]]}


def _severities(hosts):
    """Return for each CVE the worst severity that any host knows."""
    worst: dict = {}
    ranks = {word: rank for rank, word in enumerate(SEVERITIES)}
    for host in hosts:
        for cve, word in host.cves["severity"].items():
            rank = ranks[word]
            if rank < worst.get(cve, len(SEVERITIES)):
                worst[cve] = rank
    return worst


def _cves(lists, profiles, severities):
    """Return a row for each CVE, worst first; what a host says twice counts as the worse of both."""
    states: dict = collections.defaultdict(dict)
    for index, found in enumerate(lists):
        for state, names in reversed(list(zip(kinds.STATES, found))):
            for name in names:
                states[name][str(index)] = state
    rows = [_cve(name, mine, profiles, severities) for name, mine in states.items()]
    return sorted(rows, key=_order)


def _cve(name, states, profiles, severities):
    counts = dict.fromkeys(reversed(kinds.STATES), 0)
    for index, state in states.items():
        counts[state] += profiles[int(index)]["hosts"]
    severity = SEVERITIES[severities.get(name, -1)]
    return {"cve": kinds.clean(name), "severity": severity, "counts": counts, "states": states}


def _order(row):
    """Return the key that sorts CVEs: severity, then hosts in the worst states, then the newest first."""
    _, year, number = row["cve"].split("-", 2)
    worst = [-row["counts"][state] for state in kinds.STATES]
    newest = (-int(year), -len(number), [-ord(digit) for digit in number])
    return SEVERITIES.index(row["severity"]), worst, newest


def _totals(hosts, rows, cves, settings):
    """Return the numbers of the whole fleet."""
    ages = sorted((host.age, kinds.clean(host.name)) for host in hosts)
    found = collections.Counter(row["kind"] for row in rows)
    verdicts = collections.Counter(host.document["verdict"] for host in hosts)
    return {
        "hosts": len(rows),
        "answered": len(rows) - found["silent"],
        "kinds": {kind: found[kind] for kind in kinds.KINDS},
        "verdicts": dict(sorted(verdicts.items())),
        "cves": {state: sum(1 for row in cves if row["counts"][state]) for state in reversed(kinds.STATES)},
        "reboot_debt": sum(1 for host in hosts if host.in_debt),
        "updates": {state: sum(1 for row in rows if row["updates"] and row["updates"][state][0]) for state in TOTALS},
        "ages": {
            "oldest": ages[-1][0] if ages else None,
            "host": ages[-1][1] if ages else None,
            "median": ages[len(ages) // 2][0] if ages else None,
            "old": sum(1 for age, _ in ages if age >= settings["old"] * kinds.HOUR),
        },
    }


def _kernels(hosts):
    """Return a row for each running kernel; where its hosts do not agree on the window, the worst one is told."""
    found: dict = collections.defaultdict(list)
    for host in hosts:
        found[kinds.clean(host.document["kernel"])].append(host)
    rows = [_kernel(name, members) for name, members in found.items()]
    return sorted(rows, key=lambda row: (_worst(row["window"]), row["kernel"]))


def _kernel(name, hosts):
    windows = [host.window for host in hosts]
    levels = collections.Counter(
        "unknown" if host.patch["level"] is None else str(host.patch["level"]) for host in hosts
    )
    return {
        "kernel": name,
        "hosts": len(hosts),
        "window": {
            key: min(windows, key=_worst)[key] for key in ("state", "first", "last", "days", "estimate", "reason")
        },
        "agreed": len({(window["state"], window["last"]) for window in windows}) == 1,
        "levels": dict(sorted(levels.items(), key=lambda item: (len(item[0]), item[0]))),
    }


def _worst(window):
    """Return the key that sorts windows: the worst state, then the one that ends first."""
    last = window["last"] or (window["estimate"] or {}).get("last") or "9999"
    return WINDOWS.index(window["state"]), last
