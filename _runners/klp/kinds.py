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

from . import changes, reboots, updates
from .words import NAMED, clean, count, day, some

HOUR = 3600
AHEAD = 300  # seconds that the clock of a host may be ahead of the master's
# What follows where no live patch is installed: checks of klp.verify, and kinds. Enabling cures all of them.
FOLLOWING_CHECKS = ("transition", "active", "package", "uname", "initrd", "locks")
FOLLOWING_KINDS = ("unlocked", "pending", "unclear")
TOLD = ("locks", "errors", "retracted")  # checks of klp.verify that have sentences of their own here
RETRACTED = "SUSE has withdrawn the live patch {} that is installed: {}"

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
    "updates": "state.apply klp.patch",
    "left_out": "klp.pending",
    "unclear": "klp_audit.window",
    "expiring": "klp_audit.reboot_safety",
    "unknown": "klp.verify",
    "covered": "",
}
RANKS = {kind: rank for rank, kind in enumerate(KINDS)}
STATES = ("reboot", "pending", "unknown", "fixed_live")  # of a CVE on a host, worst first


def command(host, words):
    """Return the command for one host, to be pasted into a shell; empty if no command line can carry its id."""
    if not words or not host.isprintable():
        return ""
    target = shlex.quote(glob.escape(host))
    return f"salt {'-- ' if target.startswith('-') else ''}{target} {words}"


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


class Host:
    """One host: its document, and what follows from it today."""

    def __init__(self, name, document, settings, now):
        self.name, self.document, self.settings = name, document, settings
        self.age = now - document["time"]
        self.patch, self.cves, self.updates = document["live_patch"], document["cves"], document["updates"]
        self.window = _window(document["window"], day(now))
        self.aim, self.change = document["kernel_target"], document["kernel_change"]
        self.profile = None
        kinds = {kind: lines for kind, lines in ((kind, rule(self)) for kind, rule in RULES.items()) if lines}
        self.kind = next(iter(kinds), "covered")
        folded = FOLLOWING_KINDS if self.bare else ()
        self.why = [clean(line) for kind, lines in kinds.items() if kind not in folded for line in lines] + _notes(self)
        self.follows = [clean(line) for kind in folded for line in kinds.get(kind, [])] + _checks_that_follow(self)

    @property
    def bare(self):
        """Is its live patch package known and not installed? Then most of what is wrong follows from that."""
        known = self.patch["package"] is not None and self.document["verdict"] != klp_checks.UNSUPPORTED
        return known and self.patch["edition"] is None and self.patch["active"] is None and not self.unsure

    def details(self, verdict):
        """Return what the checks with a verdict say, ``[(check, detail)]``; without what just follows."""
        found = [(item["check"], item["detail"]) for item in self.document["checks"] if item["verdict"] == verdict]
        folded = FOLLOWING_CHECKS if self.bare and verdict in (klp_checks.FAILED, klp_checks.UNKNOWN) else ()
        return [row for row in found if row[0] not in folded]

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
        return bool(self.cves["reboot"] or self.document["reboot"]["needed"] or self.updates["restart"]["host"])

    def severe(self, *severities):
        """Return the CVEs that wait for a newer kernel and have one of these severities."""
        known = self.cves["severity"]
        return [cve for cve in self.cves["reboot"] if known.get(cve, "unspecified") in severities]

    @property
    def newer(self):
        """Do the repositories have a newer live patch than the installed one?"""
        newest, edition = self.patch["newest"], self.patch["edition"]
        return newest is not None and edition is not None and _newer(newest, edition)

    def command(self):
        """Return the next command for this host."""
        if self.kind == "failed" and self.patch["retracted"] and len(_failed(self)) == 1:
            return command(self.name, "state.apply klp.patch" if _way_on(self) else "state.apply klp.rollback")
        if self.kind == "unpatchable" and self.patch["package"] and self.document["verdict"] != klp_checks.UNSUPPORTED:
            return command(self.name, "state.apply klp")
        if self.kind == "pending" and self.patch["held"]:
            return command(self.name, "klp.held")
        if self.kind == "unknown" and updates.frozen(self.updates, self.age + self.document["time"]):
            return command(self.name, "zypper.refresh")
        return command(self.name, KINDS[self.kind])

    def row(self):
        """Return what the list of hosts says of this one."""
        return {
            "host": clean(self.name),
            "group": clean(self.document["group"]),
            "kind": self.kind,
            "rank": RANKS[self.kind],
            "why": self.why,
            "follows": self.follows,
            "command": self.command(),
            "age": self.age,
            "kernel": clean(self.document["kernel"]),
            "level": self.patch["level"],
            "edition": _text(self.patch["edition"]),
            "active": _text(self.patch["active"]),
            "window": {key: self.window[key] for key in ("state", "last", "days", "estimate")},
            "verdict": self.document["verdict"],
            "counts": {state: len(self.cves[state]) for state in reversed(STATES)},
            "updates": updates.counts(self.updates),
            "target": changes.target(self.aim, self.window, self.document["kernel"]),
            "change": changes.change(self.change),
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


def silent_row(name, why, kind="silent"):
    """Return the row of a host without a document: all but its name is unknown."""
    window = {"state": "unknown", "last": None, "days": None, "estimate": None}
    unknown = dict.fromkeys(
        ("age", "kernel", "level", "edition", "active", "verdict", "counts", "updates", "target", "change", "profile")
    )
    row = {"host": clean(name), "group": "", "kind": kind, "rank": RANKS[kind], "why": [clean(why)], "follows": []}
    return {**row, "command": command(name, KINDS[kind]), **unknown, "window": window}


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
        return ["no live patching: " + some([line for _, line in host.details(klp_checks.UNSUPPORTED)])]
    if host.patch["edition"] is None and not host.unsure:
        name, unlocked = host.patch["package"], host.document["locks"]["missing"]
        lead = "live patching was never enabled: " if host.bare and unlocked else ""
        missing = f"{lead}the live patch package {clean(name)} is not installed" if name else ""
        return [missing or "no live patch is made for it"]
    return []


def _checks_that_follow(host):
    """Return what the checks say that just follow from a live patch that is not installed; the locks have a line."""
    if not host.bare:
        return []
    wrong = [item for item in host.document["checks"] if item["verdict"] in (klp_checks.FAILED, klp_checks.UNKNOWN)]
    found = [item for item in wrong if item["check"] in FOLLOWING_CHECKS]
    locked = host.document["locks"]["missing"]
    return [clean(f"{item['check']}: {item['detail']}") for item in found if item["check"] != "locks" or not locked]


def _stalled(host):
    tasks = host.document["transition"]["blockers"]
    if host.document["transition"]["state"] == "in_progress" and tasks:
        return [f"the transition is held up by {count(len(tasks), 'task')}: {some(tasks)}"]
    blocked = host.document["verdict"] == klp_checks.BLOCKED
    return ["it is blocked: " + some(host.reasons(klp_checks.BLOCKED))] if blocked else []


def _way_on(host):
    """Return what brings a good live patch; ``None`` where only an earlier one helps."""
    return f"klp.patch brings {clean(host.patch['newest'])}" if host.newer and not host.patch["held"] else None


def _failed(host):
    errors, missing = host.document["taint"]["errors"], host.document["locks"]["missing"]
    lines = [f"the kernel reports: {some(errors)}"] if errors else []
    lines += changes.failed(host.change)
    edition, level = host.patch["edition"], host.patch["level"]
    if edition is not None and host.patch["active"] is None and not host.unsure:
        lines.append(f"live patch {clean(edition)} is installed, but not active")
    if edition is not None and level is not None and edition.partition("-")[0] != str(level):
        lines.append(f"level {level} is not the one of the live patch {clean(edition)} that is installed")
    if edition is not None and host.patch["retracted"]:
        lines.append(RETRACTED.format(clean(edition), _way_on(host) or "klp.rollback goes back to an earlier one"))
    if host.document["verdict"] != klp_checks.FAILED:
        return lines
    lines += [f"{check}: {line}" for check, line in host.details(klp_checks.FAILED) if check not in TOLD][:NAMED]
    return lines if lines or missing or host.bare else ["a check failed and gave no reason"]


def _unlocked(host):
    missing = host.document["locks"]["missing"]
    return [f"kernel packages are not locked: {some(missing)}"] if missing else []


def _expired(host):
    since = f" since {host.window['last']}" if host.window["last"] else ""
    return [f"no live patches are made for its kernel any more{since}"] if host.window["state"] == "expired" else []


def _reboot(host):
    severe = len(host.severe(*updates.SEVERE))
    lines = [f"{count(severe, 'severe CVE')}: fixed only in a newer kernel"] if severe else []
    waiting = host.updates["restart"]["host"]
    if waiting:
        lines.append(f"{count(len(waiting), 'package')} installed, in use after a restart only: {some(waiting)}")
    elif host.document["reboot"]["needed"]:
        lines.append("something that was installed asks for a reboot")
    lines += changes.waiting(host.change)
    if host.document["verdict"] == klp_checks.REBOOT_NEEDED and not lines:
        details = [line for _, line in host.details(klp_checks.REBOOT_NEEDED)]
        lines.append(f"a reboot is needed: {some(details)}")
    return lines


def _pending(host):
    newest, number = host.patch["newest"], len(host.cves["pending"])
    held = f"; it is held at {clean(host.patch['held'])} since it went back" if host.patch["held"] else ""
    fixes = f"{count(number, 'CVE')}: fixed by a newer live patch" if number else "a newer live patch is available"
    name = f", {clean(newest)}" if newest else ""
    return [f"{fixes}{name}{held}"] if number or host.newer else []


def _updates(host):
    return updates.pending_lines(host.updates)


def _left_out(host):
    return updates.left_out_lines(host.updates)


def _unclear(host):
    return [f"support window unknown: {host.window['reason']}"] if host.window["state"] == "unknown" else []


def _expiring(host):
    days, lines = host.window["days"], []
    if host.window["state"] == "open" and days <= host.settings["warn"]:
        lines.append(f"live patches for its kernel end in {count(days, 'day')}, on {host.window['last']}")
    return [*lines, "it has the last live patch that is made for its kernel"] if host.window["limit"] else lines


def _unknown(host):
    document, hours = host.document, host.age // HOUR
    waiting = len(host.severe("unspecified"))
    unsaid = host.patch["edition"] is not None and host.patch["retracted"] is None
    reasons = host.reasons(klp_checks.UNKNOWN)
    unclear = document["verdict"] == klp_checks.UNKNOWN and not document["problems"] and (reasons or not host.bare)
    rows = [
        (unclear, f"unclear: {some(reasons)}"),
        (document["problems"], some(document["problems"])),
        (document["locks"]["missing"] is None, "unknown whether its kernel is locked"),
        (document["transition"]["state"] == "unknown", "the state of the transition is unknown"),
        (host.cves["reason"] is not None, f"its CVEs are unknown: {host.cves['reason']}"),
        (host.cves["unknown"], f"{count(len(host.cves['unknown']), 'CVE')}: status unknown"),
        (waiting, f"{count(waiting, 'CVE')} of unknown severity: fixed only in a newer kernel"),
        (unsaid, "unknown whether SUSE has withdrawn its live patch"),
        (document["reboot"]["needed"] is None, "unknown whether an installed package asks for a reboot"),
        (hours >= host.settings["old"], f"its document is {count(hours, 'hour')} old"),
        (host.age < -AHEAD, "its clock is ahead of the master's"),
    ]
    lines = [line for wrong, line in rows if wrong]
    lines += changes.unfinished(host.change)
    return lines + updates.uncertain(host.updates, host.document["time"] + host.age)


def _notes(host):
    """Return what is worth to know and makes no kind."""
    mild = len(host.severe("moderate", "low"))
    lines = [f"{count(mild, 'CVE')} of low or moderate severity: fixed only in a newer kernel"] if mild else []
    lines += updates.notes(host.updates) + changes.notes(host.aim)
    if host.document["reboot"]["verdict"] == klp_checks.FAILED:
        lines.append(f"it would not come up live patched: {some(host.document['reboot']['reasons'])}")
    return [clean(line) for line in lines]


RULES = {
    "unpatchable": _unpatchable,
    "stalled": _stalled,
    "failed": _failed,
    "unlocked": _unlocked,
    "expired": _expired,
    "reboot": _reboot,
    "pending": _pending,
    "updates": _updates,
    "left_out": _left_out,
    "unclear": _unclear,
    "expiring": _expiring,
    "unknown": _unknown,
}
