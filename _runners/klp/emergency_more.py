"""
What documents leave open about some CVEs, asked of a few hosts: it is the same on all with that kernel.

A document counts the CVEs that are fixed in the running kernel, and those that the next kernel closes; it does not list
them. Either is a property of one kernel package, so that one host with it can answer for all.
"""

from __future__ import annotations

import collections

from . import answers, documents, retarget
from .shape import Choice, Pairs, Record

ASKED = 3  # hosts of each kernel: one of them may not answer
CVES, KERNELS = "klp_audit.cves", "klp_audit.kernels"
FIXED = "fixed_kernel"
FORM = Record({"cves": Pairs(documents.CVE, Record({"state": Choice(FIXED, *documents.STATES)}), documents.LONGEST)})


def states(host, value):
    """Return what ``klp_audit.cves`` of a host has answered: ``{cve: state}``. Raises ``answers.NonsenseError``."""
    answers.bounded(value)
    answers.spoken(host, value)
    return {cve: item["state"] for cve, item in answers.taken(FORM.take, value)["cves"].items()}


def complete(briefs, cves, young, ask):
    """
    Return ``{host: what its document says}`` with what a few hosts say besides.

    young
        says of what a document says whether the document is believed.
    ask
        called with hosts, function, arguments, what the answer is, and its form; returns ``{host: answer}``.
    """
    able = [item for item in briefs.values() if item.reason is None and young(item)]
    numbers = range(len(cves))
    unnamed = [item for item in able if None in item.states]
    told = ask(_some((item.system, item.kernel, item.host) for item in unnamed), CVES, [cves], "list of CVEs", states)
    whole = {**briefs, **{host: _fixed(briefs[host], cves, found) for host, found in told.items()}}
    unclear = [(_next(item), index, item.host) for item in able for index in numbers if _open(item, index)]
    told = ask(_some(unclear), KERNELS, [], "list of kernels", retarget.kernels)
    votes = collections.defaultdict(set)
    for kernel, index, host in unclear:
        if host in told:
            votes[kernel, index] |= _closes(briefs[host], cves[index], told[host])
    for kernel, index, host in unclear:
        if len(votes[kernel, index]) == 1:
            closes = [*whole[host].closes]
            (closes[index],) = votes[kernel, index]
            whole[host] = whole[host]._replace(closes=closes)
    return whole


def _some(rows):
    """Return a few hosts of each kernel; the host is the last one in each row."""
    hosts = collections.defaultdict(list)
    for *key, host in rows:
        hosts[tuple(key)].append(host)
    return sorted({host for names in hosts.values() for host in sorted(names)[:ASKED]})


def _fixed(item, cves, found):
    """Return what a document says, with the CVEs that are fixed in the running kernel."""
    told = [FIXED if state is None and found.get(cve) == FIXED else state for cve, state in zip(cves, item.states)]
    return item._replace(states=told)


def _open(item, index):
    """Is it open whether the next kernel of a host closes a CVE?"""
    return (
        item.states[index] == "reboot" and item.closes[index] is None and bool(item.target and item.target["edition"])
    )


def _next(item):
    return item.system, item.target["package"], item.target["edition"]


def _closes(item, cve, kernels):
    """Return a set: whether the next kernel of a host closes a CVE; an empty one where the host does not say it."""
    wanted = (item.target["package"], item.target["edition"])
    return {cve in one["cves"] for one in kernels if (one["package"], one["edition"]) == wanted}
