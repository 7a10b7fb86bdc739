"""
What is known of each CVE of the running kernel: sources side by side, and one state. Pure functions.

States: ``fixed_live`` (by the active live patch), ``pending`` (by a newer live patch that is available), ``reboot``
(only in a newer kernel), ``fixed_kernel`` (in the running kernel itself), ``unknown``. A contradiction is unknown.
"""

import re

STATES = ("fixed_live", "fixed_kernel", "pending", "reboot", "unknown")
RETRACTED = "retracted"  # status of an advisory that was withdrawn
SEVERITIES = ("critical", "important", "moderate", "low", "unspecified")
PART = re.compile(r"[0-9]+|[a-zA-Z]+|~|\^")


def newer(edition, other):
    """Return whether ``edition`` (``version-release``) is newer than ``other``, as rpm compares them."""
    left, right = _halves(edition), _halves(other)
    for one, two in zip(left, right):
        order = _compare(PART.findall(one), PART.findall(two))
        if order:
            return order > 0
    return False


def without_epoch(edition):
    """Return an edition as rpm is asked for it here; zypper puts the epoch before it where there is one (measured)."""
    return edition.split(":", 1)[-1]


def _halves(edition):
    version, _, release = edition.partition("-")
    return version, release


def _compare(left, right):
    for one, two in zip(left, right):
        if one != two:
            order = _part(one, two)
            if order:
                return order
    if len(left) == len(right):
        return 0
    longer, sign = (left, 1) if len(left) > len(right) else (right, -1)
    return -sign if longer[min(len(left), len(right))] == "~" else sign


def _part(one, two):
    """Compare two different parts: ``~`` is before everything, ``^`` before all but the end, numbers after letters."""
    for mark in ("~", "^"):
        if mark in (one, two):
            return -1 if one == mark else 1
    if one.isdigit() != two.isdigit():
        return 1 if one.isdigit() else -1
    if one.isdigit():
        one, two = int(one), int(two)
    return (one > two) - (one < two)


def sources(facts):
    """
    Return, by CVE, what each source says: ``{cve: {"klp", "changelog" (bool or None), "advisories": [ids], "severity",
    "votes": set of states that advisories speak for}}``.

    facts
        ``{"told": CVEs of klp -v patches or None, "changelog": CVEs or None, "advisories": [{"id", "status",
        "severity", "cves", "packages": {name: edition}}], "kernel": package name, "kernel_edition" (or None),
        "live_patch": package name, "active": edition of the active live patch, "" for none, None for unknown}``.
    """
    found = {}
    for advisory in facts["advisories"]:
        vote = _vote(advisory, facts)
        for cve in advisory["cves"]:
            _note(found, cve, facts, advisory, vote)
    for cve in sorted(set(facts["told"] or ()) | set(facts["changelog"] or ())):
        _note(found, cve, facts)
    return found


def _note(found, cve, facts, advisory=None, vote=None):
    entry = found.setdefault(
        cve,
        {
            "klp": None if facts["told"] is None else cve in facts["told"],
            "changelog": None if facts["changelog"] is None else cve in facts["changelog"],
            "advisories": [],
            "severity": None,
            "votes": set(),
        },
    )
    if advisory:
        entry["advisories"].append(advisory["id"])
        entry["votes"].update(vote)
        ranks = [SEVERITIES.index(word) for word in (entry["severity"], advisory["severity"]) if word in SEVERITIES]
        entry["severity"] = SEVERITIES[min(ranks)] if ranks else "unspecified"


def _vote(advisory, facts):
    """
    Return which states an advisory speaks for on this host, by the editions of kernel and live patch it brings.

    One that its vendor has withdrawn brings nothing any more, and what it has fixed may not be in a later edition: it
    speaks of the very edition that is active or running, and of nothing else.
    """
    packages, gone = advisory["packages"], advisory["status"] == RETRACTED
    found = [
        (packages.get(facts["live_patch"]), facts["active"], "pending", "fixed_live"),
        (packages.get(facts["kernel"]), facts["kernel_edition"], "reboot", "fixed_kernel"),
    ]
    votes = set()
    for edition, current, missing, fixed in [item for item in found if item[0]]:
        if gone:
            votes.update({fixed} if edition == current else ())
        elif current is None:
            votes.add("unknown")
        else:
            votes.add(missing if not current or newer(edition, current) else fixed)
    return votes


def judge(entry, moving):
    """
    Return ``(state, contradiction)`` of one CVE; ``contradiction`` is a clause, or ``None``.

    entry
        one value of ``sources``.
    moving
        a transition is running: what the live patch fixes is not known before its end.
    """
    klp, changelog, votes = entry["klp"], entry["changelog"], entry["votes"]
    claimed = bool(klp or changelog or "fixed_live" in votes)
    clash = _clash(klp, changelog, votes)
    if clash:
        return "unknown", clash
    if "pending" in votes:
        return "pending", "a newer live patch names it again" if claimed else None
    if claimed:
        return ("unknown" if moving or klp is None else "fixed_live"), None
    if "unknown" in votes:
        return "unknown", None
    for state in ("reboot", "fixed_kernel"):
        if state in votes:
            return state, None
    return "unknown", None


def _clash(klp, changelog, votes):
    if klp and changelog is False:
        return "klp says it is fixed, the changelog of the live patch does not name it"
    if klp is False and changelog:
        return "the changelog of the live patch names it, klp does not"
    if klp is False and "fixed_live" in votes:
        return "an advisory says that the installed live patch fixes it, klp does not"
    return None


def states(found, moving):
    """
    Return ``(by state, contradictions)``: ``{state: [CVEs, newest first]}`` and one line for each CVE of which the
    sources say different things.

    found
        as ``sources`` returns it.
    """
    by_state, lines = {state: [] for state in STATES}, []
    for cve in sorted(found, key=number, reverse=True):
        state, clash = judge(found[cve], moving)
        by_state[state].append(cve)
        if clash:
            lines.append(f"{cve}: {clash} ({', '.join(found[cve]['advisories']) or 'no advisory'})")
    return by_state, lines


def number(cve):
    """Return the sort key of a CVE id, from old to new."""
    return [int(part) for part in cve.split("-")[1:]]
