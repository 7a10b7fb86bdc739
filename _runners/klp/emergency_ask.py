"""
What the hosts of the report say of some CVEs: from the mine, or asked for; and whom a plan takes that is made for them.
"""

from __future__ import annotations

import time

from salt.exceptions import SaltInvocationError

from . import decide, documents, emergency, emergency_more, mined, schema, show, targets
from .shape import ShapeError
from .words import count

TARGET = "pillar klp_campaign:target"
KIND = "cve is for plans of kind patch or kernel: no other kind closes a CVE, found kind {}"
BOTH = "week and cve exclude each other: a plan is made for the restarts of a week, or for a CVE"
NOT_THERE = "it is not in the report, see pillar klp_report:target"
CATEGORY = {"patch": "live_patch", "kernel": "restart"}


def names(value):
    """Return the CVEs that somebody asks for. Raises SaltInvocationError."""
    found = emergency.wanted(value)
    if found is None:
        raise SaltInvocationError(emergency.WANTED.format(emergency.MOST, schema.show(value)))
    return found


def answer(survey, cves, settings):
    """Return ``emergency.answer`` of the hosts of the report; ``survey`` (``survey.Survey``) reaches them."""
    banned = {(item["package"], item["edition"]) for item in survey.store.quarantine()}
    found, silent = _briefs(survey, cves, settings)
    limits = {"max_age": settings["max_age"], "asked": settings["ask"] != "none", "quarantine": banned}
    return emergency.answer(cves, [found[host] for host in sorted(found)], silent, limits, time.time())


def _briefs(survey, cves, settings):
    """Return ``({host: what its document says}, {host: why there is none})``."""
    hosts, strange = targets.wanted(survey.opts, settings["target"], settings["target_type"])
    found: dict = {}
    silent: dict = {}

    def form(host, value):
        return emergency.brief(documents.document(host, value), cves)

    if settings["ask"] != "all":
        _mined(survey, hosts, cves, settings, found, silent, form)
    old = time.time() - 3600 * settings["max_age"]
    wanted = [host for host in hosts if host not in found or found[host].time <= old]
    if settings["ask"] == "none":
        for host in wanted:
            silent.setdefault(host, emergency.ABSENT.format(",".join(cves)))
    elif wanted:
        _ask(survey, settings, silent, found)(wanted, mined.FUNCTION, [], "document", form)
    if settings["ask"] != "none":
        found = emergency_more.complete(found, cves, lambda item: item.time > old, _ask(survey, settings, {}))
    return found, {host: why for host, why in {**silent, **strange}.items() if host not in found}


def _ask(survey, settings, silent, found=None):
    """Return what asks hosts, and returns what they answer; ``silent`` learns who does not, and why."""

    def ask(hosts, function, arg, what, form):
        told: dict = {} if found is None else found
        if not hosts:
            return told
        for part, got in survey._asked("cve", hosts, function, what, settings, silent, arg):
            survey._take(got, part, told, silent, silent, form)
        return told

    return ask


def _mined(survey, hosts, cves, settings, found, silent, form):
    """Take what the mine has: read quickly where that can be done, else by ``mine.get``."""
    reader, rest = mined.Reader(mined.folder(survey.opts)), []
    for host in hosts:
        brief = _quick(reader, host, cves)
        if brief:
            found[host] = brief
        else:
            rest.append(host)
    for first in range(0, len(rest), decide.ASK):
        part = rest[first : first + decide.ASK]
        survey._take(survey._mined(part, silent), part, found, silent, silent, form)


def _quick(reader, host, cves):
    document = reader.document(host)
    try:
        return document and emergency.brief(document, cves)
    except ShapeError:
        return None  # a severity that is none


class Concerned:
    """The hosts of a plan that is made for some CVEs; ``found`` is ``emergency.answer`` of the fleet as it stands."""

    key = "cve"

    def __init__(self, kind, found):
        self.kind, self.items = kind, found["cves"]
        self.names = ",".join(item["cve"] for item in self.items)
        self.found: dict = {}

    def take(self, hosts, strange):
        """Return those of a campaign's hosts that the plan is for, as ``due.Due.take`` does."""
        mine = [*hosts, *strange]
        wanted = {host for item in self.items for host in emergency.plannable(item["groups"], CATEGORY[self.kind])}
        unknown, known = self._unknown()
        unknown.update(dict.fromkeys(set(mine) - known, NOT_THERE))
        chosen = [host for host in hosts if host in wanted]
        self.found = {
            "cves": [item["cve"] for item in self.items],
            "concerned": len(wanted),
            "hosts": chosen,
            "elsewhere": sorted(wanted - set(mine)),
            "unknown": {host: unknown[host] for host in sorted(mine) if host in unknown and host not in wanted},
        }
        return chosen, {host: why for host, why in strange.items() if host in wanted}

    def _unknown(self):
        """Return ``({host: why it is not known how it stands}, all hosts of the answer)``."""
        unknown: dict = {}
        known: set = set()
        for item in self.items:
            for row in item["groups"]:
                for category in emergency.CATEGORIES:
                    for line in row[category]:
                        hosts = line["hosts"] if isinstance(line, dict) else [line]
                        known.update(hosts)
                        unknown.update(dict.fromkeys(hosts, line["why"]) if category == "unknown" else {})
        return unknown, known

    def text(self):
        """Return what is said of the CVEs before the plan."""
        found, what = self.found, {"patch": "a newer live patch", "kernel": "the next kernel"}[self.kind]
        concerned = f"{what} closes it on {count(found['concerned'], 'host')}"
        lines = [f"{self.names}: {concerned}, {len(found['hosts'])} of them in this campaign"]
        if found["elsewhere"]:
            lines.append(f"not in {TARGET}: {show.names(found['elsewhere'])}")
        for why, hosts in show.reasons(found["unknown"]).items():
            lines.append(f"not known, so not in the plan ({why}): {show.names(hosts)}")
        return "\n".join(lines)
