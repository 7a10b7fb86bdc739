"""
What the updates of a host mean, as its document tells them: pending, left out, waiting for a restart. Pure functions.

Advisories of the kernel itself are never counted among those that are left out: the kernel stays as it is, and the
lists of CVEs say what is open in it.
"""

from __future__ import annotations

from .words import NAMED, clean, count, since, some

SEVERITIES = ("critical", "important", "moderate", "low", "unspecified")  # worst first
SEVERE = SEVERITIES[:2]
DAY = 86400
NAME = 80  # characters of a name within a sentence
LISTED = 10  # advisories that are left out, each with a sentence of its own


def left_out(updates, *severities):
    """Return the advisories of some severities that klp.patch leaves out, those of the kernel excepted."""
    return [item for item in updates["left_out"] if item["severity"] in severities and not item["kernel"]]


def counts(updates):
    """Return how many security advisories are pending and left out: ``[severe, others]`` of each."""
    pending = updates["pending"]
    severe, apart = sum(pending[word] for word in SEVERE), len(left_out(updates, *SEVERE))
    others = len(left_out(updates, *pending)) - apart
    return {"pending": [severe, sum(pending.values()) - severe], "left_out": [apart, others]}


def pending_lines(updates):
    """Return a line on the severe advisories that the next klp.patch brings, if there are some."""
    numbers = updates["pending"]
    found = " and ".join(f"{numbers[word]} {word}" for word in SEVERE if numbers[word])
    return [f"security advisories pending: {found}"] if found else []


def left_out_lines(updates):
    """Return a line for each severe advisory that klp.patch leaves out, up to LISTED of them."""
    items = left_out(updates, *SEVERE)
    lines = [_item(item) for item in items[:LISTED]]
    return (
        lines if len(items) <= LISTED else [*lines, f"{len(items) - LISTED} more are left out, klp.pending names them"]
    )


def _item(item):
    """Return the sentence about an advisory; the reason comes last, for it may be long."""
    first = since(item["since"])
    known = f" (since {first})" if first else ""
    return f"{item['severity']} advisory left out{known}: {clean(item['id'])[:NAME]}: {item['reason']}"


class LeftOut:
    """Each advisory that is left out somewhere, with the hosts that leave it out."""

    def __init__(self):
        self._found = {}

    def take(self, name, updates):
        """Add a host; the first ones are named."""
        for item in left_out(updates, *updates["pending"]):
            key = (item["severity"], item["id"], item["reason"])
            kept = self._found.setdefault(key, {"hosts": 0, "since": None, "names": []})
            days = [day for day in (kept["since"], since(item["since"])) if day]
            kept.update(hosts=kept["hosts"] + 1, since=min(days, default=None))
            if len(kept["names"]) < NAMED:
                kept["names"].append(clean(name))

    def rows(self):
        """Return a row for each advisory, worst first, those on most hosts before the others."""
        found = self._found
        order = sorted(found, key=lambda key: (SEVERITIES.index(key[0]), -found[key]["hosts"], key))
        return [{"id": clean(key[1]), "severity": key[0], "reason": clean(key[2]), **found[key]} for key in order]


def frozen(updates, now):
    """Return the repositories that have stood still, each with the age of its metadata."""
    found = []
    for item in updates["repositories"]:
        days = "" if item["time"] is None else f" ({count((now - item['time']) // DAY, 'day')} old)"
        found += [clean(item["alias"])[:NAME] + days] if item["frozen"] else []
    return found


def uncertain(updates, now):
    """Return why more may be pending than what is listed, one line each."""
    old, reason = frozen(updates, now), updates["reason"]
    untold = [clean(item["alias"])[:NAME] for item in updates["repositories"] if item["frozen"] is None]
    unsaid = updates["pending"]["unspecified"] + len(left_out(updates, "unspecified"))
    rows = [
        (reason is not None, f"its updates are unknown: {reason}"),
        (not updates["repositories"] and reason is None, "it has no enabled repository, so no update could be pending"),
        (old, f"repositories stand still: {some(old)}"),
        (untold, f"repositories of unknown age: {some(untold)}"),
        (unsaid, f"security advisories of unknown severity, pending or left out: {unsaid}"),
    ]
    return [line for wrong, line in rows if wrong]


def notes(updates):
    """Return what is worth to know of the updates and makes no kind, one line each."""
    minor = updates["pending"]["moderate"] + updates["pending"]["low"]
    apart, services = len(left_out(updates, "moderate", "low")), updates["restart"]["services"]
    rows = [
        (minor, f"security advisories of low or moderate severity pending: {minor}"),
        (apart, f"security advisories of low or moderate severity left out: {apart}; klp.pending names them"),
        (services, f"use what an update has replaced, see zypper ps, systemctl restart: {some(services or [])}"),
        (services is None, "unknown which services still use replaced files; see zypper ps"),
    ]
    return [line for wrong, line in rows if wrong]
