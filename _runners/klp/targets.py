"""
Which minions a target means, and what the master knows of them without asking: its accepted keys, and its cache.
"""

from __future__ import annotations

import re

import salt.utils.data
import salt.utils.minions
from salt.exceptions import CommandExecutionError, SaltException

import klp_family

from . import answers, apart, schema
from . import planning as plans

# The parts of a compound target that need what the master keeps of its minions: grains (G, P, S) and pillar (I, J). As
# salt.utils.minions.parse_target reads them, a delimiter may stand before the @.
CACHED = re.compile(r"(?<!\S)(not\s+)?(?:[GPIJ].?|S)@\S+")
NODEGROUP = re.compile(r"(?<!\S)N@(\S+)")
NEGATED = re.compile(r"(?<!\S)not\s+\(")
PILLAR = re.compile(r"(?<!\S)[IJ].?@")
UNCLEAR = (
    "the master has no {} of it, so it does not know whether target {} means it; run: salt '{}' saltutil.refresh_pillar"
)
UNFIT = (
    "its id cannot be taken: wanted at most 253 letters, digits and . _ : @ -, the first a letter or a digit; give the "
    "minion another id"
)
NO_CACHE = "target {} asks for grains or pillar, and master option minion_data_cache is false: the master keeps neither"


def wanted(opts, expression, kind):
    """
    Return the minions that a target means: ``(sorted ids, {id: why it cannot be asked, or may not be meant})``.

    Raises CommandExecutionError where it means nobody.
    """
    hosts, strange = matching(opts, expression, kind)
    if not hosts:
        sentence = f"no accepted minion matches {kind} target {schema.show(expression)}"
        more = [f"; {len(strange)} may be meant: {host}: {why}" for host, why in strange.items()]
        raise CommandExecutionError(sentence + "".join(more[:1]))
    return hosts, strange


def matching(opts, expression, kind):
    """Return the same, also for a target that means nobody."""
    checker, parts = salt.utils.minions.CkMinions(opts), _expanded(opts, expression, kind)

    def check(target, how):
        return set(checker.check_minions(target, how, greedy=False)["minions"])

    perhaps = _widest(parts, kind)
    if perhaps and not opts.get("minion_data_cache", True):
        raise CommandExecutionError(NO_CACHE.format(schema.show(expression)))
    found = check(expression, kind)
    # Salt takes a minion of which the master has no grains for one that has none: it is left out, or, after not, taken.
    what = "pillar" if kind == "compound" and PILLAR.search(parts) else "grains"
    unknown = {host for host in found | check(*perhaps) if not _cached(opts, host)[what]} if perhaps else set()
    hosts, unfit = plans.host_ids(found - unknown)
    strange = dict.fromkeys(unfit, UNFIT)
    for host in sorted(map(answers.text, unknown)):
        strange[host] = UNCLEAR.format(what, schema.show(expression), host)
    return hosts, strange


def _expanded(opts, expression, kind):
    """Return a compound target with what its nodegroups hold in place of their names."""

    def held(match):
        words = salt.utils.minions.nodegroup_comp(match.group(1), opts.get("nodegroups") or {})
        return " ".join(words or [match.group(0)])

    return NODEGROUP.sub(held, expression) if kind == "compound" else expression


def _widest(expression, kind):
    """Return a target for all minions that one may mean, whatever their grains; ``None``: it asks for no grains."""
    if kind in ("grain", "grain_pcre"):
        return "*", "glob"
    if kind != "compound" or not CACHED.search(expression):
        return None
    return ("*", "glob") if NEGATED.search(expression) else (CACHED.sub("*", expression), "compound")


def _cached(opts, host):
    """Return what the master keeps of a minion: ``{"grains", "pillar"}``; empty ones are not known."""
    try:
        _, grains, pillar = salt.utils.minions.get_minion_data(host, opts)
    except SaltException:  # a damaged file of its cache
        grains = pillar = None
    return {"grains": grains, "pillar": pillar}


def other_system(opts, host):
    """
    Return the sentence of a host that is none of SUSE's, as the master knows its grains from its last refresh.

    Returns ``None`` for one of SUSE's, and where that is not known.
    """
    grains = _cached(opts, host)["grains"]
    if not isinstance(grains, dict) or not isinstance(grains.get("os_family"), str) or grains["os_family"] == "Suse":
        return None
    name = answers.text(f"{grains.get('os', 'unknown')} {grains.get('osrelease', '')}".strip())
    return klp_family.NOT_SUSE.format(name)


def kept_apart(opts, host, name):
    """
    Return by what a host is kept apart from others, as the master knows its grains and pillar from its last refresh.

    Returns a list of texts, ``None`` where it is not known.
    """
    source = _cached(opts, host)["pillar" if name == apart.GROUP else "grains"]
    if not source or not isinstance(source, dict):
        return None
    found = salt.utils.data.traverse_dict_and_list(source, name, None)
    values = found if isinstance(found, list) else [found]
    return sorted({answers.text(value) for value in values if value is not None and value != ""})
