"""
What the document of one host means: its kind, why it has that, and the command that helps. Pure functions.

A document is what ``klp_audit.host`` returns (``docs/reference/host.schema.json``). Its strings are the host's: they
are cleaned of what is not printable and shortened here, and whoever shows them still has to quote them for his format.
"""

from __future__ import annotations

import datetime
import glob
import re
import shlex

import klp_checks

from . import reboots

HOUR = 3600
AHEAD = 300  # seconds that the clock of a host may be ahead of the master's
LONGEST = 300  # characters of a host's sentence
NAMED = 3  # packages or tasks that a sentence names
TOLD = ("locks", "errors")  # checks of klp.verify that have sentences of their own here

# The kinds of hosts, worst first, with the command that helps; a host has the first one that applies.
KINDS = {
    "silent": "test.ping",
    "unpatchable": "klp.verify",
    "stalled": "klp.blockers",
    "failed": "klp.verify",
    "unlocked": "state.apply klp",
    "expired": "klp_audit.reboot_safety",
    "reboot": "klp_audit.reboot_safety",
    "pending": "state.apply klp.patch",
    "unclear": "klp_audit.window",
    "expiring": "klp_audit.reboot_safety",
    "unknown": "klp.verify",
    "covered": "",
}
RANKS = {kind: rank for rank, kind in enumerate(KINDS)}
STATES = ("reboot", "pending", "unknown", "fixed_live")  # of a CVE on a host, worst first


def clean(text):
    """Return a string of a host as one printable line of bounded length."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: LONGEST + 1])
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def command(host, words):
    """Return the command for one host, to be pasted into a shell; empty if no command line can carry its id."""
    if not words or not host.isprintable():
        return ""
    target = shlex.quote(glob.escape(host))
    return f"salt {'-- ' if target.startswith('-') else ''}{target} {words}"


def day(seconds):
    """Return the day of a moment in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).date()


def _date(text):
    """Return a date, or ``None`` where a host wrote what is none."""
    try:
        return datetime.date.fromisoformat(text or "")
    except ValueError:
        return None


def _newer(edition, other):
    """Is an edition newer than another one? Numbers are compared as text, so that none is too long."""
    parts = [[(len(part), part) for part in re.findall(r"0*(\d+)", text)] for text in (edition, other)]
    return parts[0] > parts[1]


def _some(words):
    """Return the first of many words, cleaned, and how many more there are."""
    more = len(words) - NAMED
    return ", ".join(clean(word) for word in words[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _count(number, word):
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


class Host:
    """One host: its document, and what follows from it today."""

    def __init__(self, name, document, settings, now):
        self.name, self.document, self.settings = name, document, settings
        self.age = now - document["time"]
        self.patch, self.cves = document["live_patch"], document["cves"]
        self.window = _window(document["window"], day(now))
        self.profile = None
        kinds = {kind: lines for kind, lines in ((kind, rule(self)) for kind, rule in RULES.items()) if lines}
        self.kind = next(iter(kinds), "covered")
        self.why = [clean(line) for lines in kinds.values() for line in lines] + _notes(self)

    def details(self, verdict):
        """Return what the checks with a verdict say, ``[(check, detail)]``."""
        return [(item["check"], item["detail"]) for item in self.document["checks"] if item["verdict"] == verdict]

    def reasons(self, verdict):
        """Return the same as lines."""
        return [f"{check}: {detail}" for check, detail in self.details(verdict)]

    @property
    def unsure(self):
        """Is null "not known" here, and not "there is none"?"""
        return self.document["verdict"] == klp_checks.UNKNOWN and bool(self.document["problems"])

    @property
    def in_debt(self):
        """Does something wait for a reboot?"""
        return bool(self.cves["reboot"] or self.document["reboot"]["needed"])

    def severe(self, *severities):
        """Return the CVEs that wait for a newer kernel and have one of these severities."""
        known = self.cves["severity"]
        return [cve for cve in self.cves["reboot"] if known.get(cve, "unspecified") in severities]

    def command(self):
        """Return the next command for this host."""
        if self.kind == "unpatchable" and self.patch["package"] and self.document["verdict"] != klp_checks.UNSUPPORTED:
            return command(self.name, "state.apply klp")
        if self.kind == "pending" and self.patch["held"]:
            return command(self.name, "klp.held")
        return command(self.name, KINDS[self.kind])

    def row(self):
        """Return what the list of hosts says of this one."""
        return {
            "host": clean(self.name),
            "group": clean(self.document["group"]),
            "kind": self.kind,
            "rank": RANKS[self.kind],
            "why": self.why,
            "command": self.command(),
            "age": self.age,
            "kernel": clean(self.document["kernel"]),
            "level": self.patch["level"],
            "edition": _text(self.patch["edition"]),
            "active": _text(self.patch["active"]),
            "window": {key: self.window[key] for key in ("state", "last", "days", "estimate")},
            "verdict": self.document["verdict"],
            "counts": {state: len(self.cves[state]) for state in reversed(STATES)},
            "profile": self.profile,
        }

    def restart(self, today):
        """Return what the plan of restarts has to know of this host."""
        debt = self.settings["debt"] if self.in_debt else None
        last, expired = _date(self.window["last"]), self.window["state"] == "expired"
        return {
            "host": clean(self.name),
            "group": clean(self.document["group"]),
            "due": reboots.deadline(last, expired, debt, today),
            "estimate": (self.window["estimate"] or {}).get("last"),
            "safety": self.document["reboot"]["verdict"],
        }


def _text(text):
    return None if text is None else clean(text)


def silent_row(name, why):
    """Return the row of a host without a document: all but its name is unknown."""
    window = {"state": "unknown", "last": None, "days": None, "estimate": None}
    unknown = dict.fromkeys(("age", "kernel", "level", "edition", "active", "verdict", "counts", "profile"))
    row = {"host": clean(name), "group": "", "kind": "silent", "rank": RANKS["silent"], "why": [clean(why)]}
    return {**row, "command": command(name, KINDS["silent"]), **unknown, "window": window}


def _window(window, today):
    """Return the window of a host as it is today: its document may be older, and its dates may be none."""
    first, last, estimate = _date(window["first"]), _date(window["last"]), window["estimate"]
    guess = _date(estimate["last"]) if estimate else None
    state = window["state"]
    if state == "open":
        state = "unknown" if last is None else "expired" if last < today else "open"
    return {
        "state": state,
        "first": first and first.isoformat(),
        "last": last and last.isoformat(),
        "days": last and (last - today).days,
        "estimate": guess and {"last": guess.isoformat(), "days": (guess - today).days},
        "limit": bool(window["limit"] and window["limit"]["reached"]),
        "reason": clean(window["reason"]),
    }


def _unpatchable(host):
    if host.document["verdict"] == klp_checks.UNSUPPORTED:
        return [
            "this kernel has no live patching: " + _some([line for _, line in host.details(klp_checks.UNSUPPORTED)])
        ]
    if host.patch["edition"] is None and not host.unsure:
        name = host.patch["package"]
        return [f"the live patch package {clean(name)} is not installed" if name else "no live patch is made for it"]
    return []


def _stalled(host):
    tasks = host.document["transition"]["blockers"]
    if host.document["transition"]["state"] == "in_progress" and tasks:
        return [f"the transition is held up by {_count(len(tasks), 'task')}: {_some(tasks)}"]
    blocked = host.document["verdict"] == klp_checks.BLOCKED
    return ["it is blocked: " + _some(host.reasons(klp_checks.BLOCKED))] if blocked else []


def _failed(host):
    errors, missing = host.document["taint"]["errors"], host.document["locks"]["missing"]
    lines = [f"the kernel reports: {_some(errors)}"] if errors else []
    edition, level = host.patch["edition"], host.patch["level"]
    if edition is not None and host.patch["active"] is None and not host.unsure:
        lines.append(f"live patch {clean(edition)} is installed, but not active")
    if edition is not None and level is not None and edition.partition("-")[0] != str(level):
        lines.append(f"level {level} is not the one of the live patch {clean(edition)} that is installed")
    if host.document["verdict"] != klp_checks.FAILED:
        return lines
    lines += [f"{check}: {line}" for check, line in host.details(klp_checks.FAILED) if check not in TOLD][:NAMED]
    return lines if lines or missing else ["a check failed and gave no reason"]


def _unlocked(host):
    missing = host.document["locks"]["missing"]
    return [f"kernel packages are not locked: {_some(missing)}"] if missing else []


def _expired(host):
    since = f" since {host.window['last']}" if host.window["last"] else ""
    return [f"no live patches are made for its kernel any more{since}"] if host.window["state"] == "expired" else []


def _reboot(host):
    severe = len(host.severe("critical", "important"))
    lines = [f"{_count(severe, 'severe CVE')}: fixed only in a newer kernel"] if severe else []
    lines += ["something that was installed asks for a reboot"] if host.document["reboot"]["needed"] else []
    if host.document["verdict"] == klp_checks.REBOOT_NEEDED and not lines:
        details = [line for _, line in host.details(klp_checks.REBOOT_NEEDED)]
        lines.append(f"a reboot is needed: {_some(details)}")
    return lines


def _pending(host):
    newest, number = host.patch["newest"], len(host.cves["pending"])
    newer = newest is not None and host.patch["edition"] is not None and _newer(newest, host.patch["edition"])
    held = f"; it is held at {clean(host.patch['held'])} since it went back" if host.patch["held"] else ""
    fixes = f"{_count(number, 'CVE')}: fixed by a newer live patch" if number else "a newer live patch is available"
    name = f", {clean(newest)}" if newest else ""
    return [f"{fixes}{name}{held}"] if number or newer else []


def _unclear(host):
    return [f"support window unknown: {host.window['reason']}"] if host.window["state"] == "unknown" else []


def _expiring(host):
    days, lines = host.window["days"], []
    if host.window["state"] == "open" and days <= host.settings["warn"]:
        lines.append(f"live patches for its kernel end in {_count(days, 'day')}, on {host.window['last']}")
    return [*lines, "it has the last live patch that is made for its kernel"] if host.window["limit"] else lines


def _unknown(host):
    document, hours = host.document, host.age // HOUR
    waiting = len(host.severe("unspecified"))
    unclear = document["verdict"] == klp_checks.UNKNOWN and not document["problems"]
    rows = [
        (unclear, f"unclear: {_some(host.reasons(klp_checks.UNKNOWN))}"),
        (document["problems"], _some(document["problems"])),
        (document["locks"]["missing"] is None, "nobody knows whether its kernel is locked"),
        (document["transition"]["state"] == "unknown", "the state of the transition is unknown"),
        (host.cves["reason"] is not None, f"its CVEs are unknown: {host.cves['reason']}"),
        (host.cves["unknown"], f"{_count(len(host.cves['unknown']), 'CVE')}: nobody can say whether it is fixed"),
        (waiting, f"{_count(waiting, 'CVE')} of unknown severity: fixed only in a newer kernel"),
        (hours >= host.settings["old"], f"what it says is {hours} hours old"),
        (host.age < -AHEAD, "its clock is ahead of the master's"),
    ]
    return [line for wrong, line in rows if wrong]


def _notes(host):
    """Return what is worth to know and makes no kind."""
    mild = len(host.severe("moderate", "low"))
    lines = [f"{_count(mild, 'CVE')} of low or moderate severity: fixed only in a newer kernel"] if mild else []
    if host.document["reboot"]["verdict"] == klp_checks.FAILED:
        lines.append(f"it would not come up live patched: {_some(host.document['reboot']['reasons'])}")
    return [clean(line) for line in lines]


RULES = {
    "unpatchable": _unpatchable,
    "stalled": _stalled,
    "failed": _failed,
    "unlocked": _unlocked,
    "expired": _expired,
    "reboot": _reboot,
    "pending": _pending,
    "unclear": _unclear,
    "expiring": _expiring,
    "unknown": _unknown,
}
