"""
One kernel for each group of hosts: what ``klp_audit.kernels`` of its hosts has in common, and who cannot take it. Pure.

A host would change to a kernel against which nothing speaks and whose window ends later than that of the running one.
Of the kernels that some host of a group would change to, the one is chosen that most hosts can take; of those the one
with the longest window, data before an estimate, then the newest. Who cannot take it is named with the reason, and who
did not say is unknown: neither is counted as one that can.
"""

from __future__ import annotations

import collections
import functools

import klp_cves
import klp_family
import zypp_plan

from . import answers
from .documents import CVE, DATE, LONGEST, SEVERITY
from .shape import NAME, SENTENCE, SENTENCES, Choice, Each, Flag, Maybe, Pairs, Record, Word
from .updates import SEVERITIES
from .words import clean

MOST = 500  # kernels of one host
SYSTEM = "ID={}\nVERSION_ID={}\n"  # of /etc/os-release
# Behind the release of its kernel, kernel-default-base has the release of its own build (5.14.21-150500.55.91.1 and
# 5.14.21-150500.55.91.1.150500.6.41.1 are one kernel), and a filter for more than the former would deny the latter.
BUILDS = ".999999"
FILTER = {"type": "Patch (Contains Package)", "matcher": "version greater than", "rule": "Deny", "epoch": ""}
NOT_THERE = "{} {} is in none of its repositories"
WITHDRAWN = "its vendor has withdrawn it"
DECLARED = "its pillar klp:kernel:target is none"
EDITION = Word(r"[A-Za-z0-9._+~^]{1,120}-[A-Za-z0-9._+~^]{1,120}", "VERSION-RELEASE")
KERNEL = Record(
    {
        "package": Word(r"kernel-[a-z0-9_]{1,40}", "a kernel package"),
        "edition": EDITION,
        "release": NAME,
        "running": Flag(),
        "retracted": Maybe(Flag()),
        "live_patch": Maybe(Record({"package": NAME, "edition": NAME})),
        "window": Record({"state": Choice("open", "expired", "unknown"), "last": Maybe(DATE), "estimated": Flag()}),
        "cves": Pairs(CVE, SEVERITY, 4 * LONGEST),
        "problems": SENTENCES,
    }
)
KERNELS = Each(KERNEL, MOST)


def kernels(host, value):
    """
    Return what ``klp_audit.kernels`` of a host has answered, as far as it may be believed.

    Raises ``answers.NonsenseError`` with a clause that says what is wrong, ``answers.ForeignError`` for another system.
    """
    answers.bounded(value)
    answers.spoken(host, value)
    if isinstance(value, str):
        raise answers.NonsenseError(SENTENCE.take(value))
    return answers.taken(KERNELS.take, value)


def plan(documents, found, silent):
    """
    Return the kernels of a fleet: ``{"groups": [...], "silent": {host: why}}``.

    documents
        ``{host: document}``, checked; the group of hosts without one is unknown.
    found
        ``{host: kernels}`` of those that have answered, checked.
    silent
        ``{host: why it has not said which kernels it can take}``.

    Each group has ``group``, ``hosts`` (ids), ``kernel`` (``None`` where no host can take any: ``{"package", "edition",
    "release", "live_patch" (names with editions), "window" (state), "window_last", "estimated", "cves": {severity:
    number}}``), ``can`` and ``runs`` (ids), ``cannot`` and ``unknown`` (``{host: [why]}``), ``unsure`` (ids of those
    that can take it as far as they know: no advisory there tells whether it was withdrawn), ``others`` (``{host:
    edition}`` whose own pillar means another kernel), ``locks`` (names) and ``filters``.
    """
    groups = collections.defaultdict(list)
    for host in sorted(documents):
        groups[documents[host]["group"]].append(host)
    rows = [_group(name, groups[name], documents, found, silent) for name in sorted(groups)]
    gone = {clean(host): clean(why) for host, why in sorted(silent.items()) if host not in documents}
    return {"groups": rows, "silent": gone}


def complete(found):
    """Return whether each group has one kernel that all of its hosts can take, and nobody is unknown."""
    return not found["silent"] and all(
        row["kernel"] and not (row["cannot"] or row["unknown"] or row["unsure"]) for row in found["groups"]
    )


def _group(name, hosts, documents, found, silent):
    told = [host for host in hosts if host in found]
    chosen, newer = _chosen({host: found[host] for host in told if documents[host]["kernel_target"] is not None})
    row = {
        "group": clean(name),
        "hosts": [clean(host) for host in hosts],
        "kernel": None,
        "can": [],
        "runs": [],
        "cannot": {},
        "unknown": {clean(host): [clean(silent.get(host, "no answer"))] for host in hosts if host not in found},
        "unsure": [],
        "others": {},
        "locks": [],
        "filters": [],
    }
    items = {}
    for host in told:
        item, why = _of(chosen, newer, documents[host]["kernel_target"], found[host])
        if why:
            row["cannot"][clean(host)] = why
        else:
            items[host] = item
    if chosen:
        row.update(_taken(chosen, items, documents))
    return row


def _of(chosen, newer, aim, items):
    """Return the kernel of the group as one host has it, and why it cannot take it; ``newer``: somebody changes."""
    if aim is None:
        return None, [DECLARED]
    if chosen is None or (aim["problem"] and not newer):
        return None, _reasons(items, aim)
    item = next((item for item in items if (item["package"], item["edition"]) == chosen), None)
    if item is None:
        return None, [NOT_THERE.format(*chosen)]
    return item, [clean(line) for line in _problems(item)]


def _reasons(kernels_, aim):
    """Return why a host can take no kernel: what it says itself, or what speaks against each of them."""
    if aim["problem"]:
        return [clean(aim["problem"])]
    said = [f"{item['edition']}: {clean('; '.join(_problems(item)))}" for item in kernels_]
    return said or ["it knows no kernel of its flavour"]


def _problems(item):
    """Return what speaks against a kernel on a host."""
    return item["problems"] or ([WITHDRAWN] if item["retracted"] else [])


def _good(item):
    return not _problems(item)


def _key(item):
    """Return what the longer window has more of; an unknown one is the shortest."""
    return item["window"]["last"] or "", not item["window"]["estimated"]


def _chosen(told):
    """
    Return ``(package, edition)`` of the kernel of a group, and whether some host changes to it.

    The former is ``None`` where no host has a good one.
    """
    takers, wanted, runs = collections.defaultdict(dict), set(), set()
    for host, items in told.items():
        now = max((_key(item) for item in items if item["running"]), default=("", False))
        for item in filter(_good, items):
            pair = (item["package"], item["edition"])
            takers[pair][host] = item
            if item["running"]:
                runs.add(pair)
            elif _key(item) > now:
                wanted.add(pair)
    pool = wanted or runs
    if not pool:
        return None, False
    most = max(pool, key=lambda pair: (len(takers[pair]), _shortest(takers[pair].values()), _order(pair[1])))
    return most, bool(wanted)


def _shortest(items):
    return min(_key(item) for item in items)


@functools.cmp_to_key
def _order(one, two):
    return klp_cves.newer(one, two) - klp_cves.newer(two, one)


def _taken(chosen, items, documents):
    """Return what is said of the kernel of a group; ``items`` has it as each of those hosts has it that can take it."""
    package, edition = chosen
    shortest = min(items.values(), key=_key)
    severities: dict = {}
    for item in items.values():
        for cve, word in item["cves"].items():
            severities[cve] = min(severities.get(cve, word), word, key=SEVERITIES.index)
    counts = collections.Counter(severities.values())
    patches = {
        f"{item['live_patch']['package']} {item['live_patch']['edition']}"
        for item in items.values()
        if item["live_patch"]
    }
    own = {host: documents[host]["kernel_target"]["edition"] for host in items}
    return {
        "kernel": {
            "package": package,
            "edition": edition,
            "release": shortest["release"],
            "live_patch": sorted(patches),
            "window": shortest["window"]["state"],
            "window_last": shortest["window"]["last"],
            "estimated": shortest["window"]["estimated"],
            "cves": {word: counts[word] for word in SEVERITIES},
        },
        "can": sorted(map(clean, items)),
        "runs": sorted(clean(host) for host, item in items.items() if item["running"]),
        "unsure": sorted(clean(host) for host, item in items.items() if item["retracted"] is None),
        "others": {clean(host): own[host] for host in sorted(own) if own[host] != edition},
        "locks": sorted({name for host in items for name in _locks(package, documents[host]["os"])}),
        "filters": filters(package, edition),
    }


def _locks(package, system):
    """Return the names that ``klp.ready`` locks on a host; pillar ``klp:locks:extra`` of a host may have more."""
    name, _, version = system.rpartition("-")
    return zypp_plan.lock_list(package.partition("-")[2], (), klp_family.family(SYSTEM.format(name, version)))


def filters(package, edition):
    """Return the filters of SUSE Manager's content lifecycle management that leave out each newer kernel."""
    version, _, release = edition.partition("-")
    pairs = [(package, release), (f"{package}-base", f"{release}{BUILDS}")]
    return [{**FILTER, "package": name, "version": version, "release": last} for name, last in pairs]
