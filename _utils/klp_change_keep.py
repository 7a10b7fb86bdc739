"""
Kernels that nobody needs any more: neither running, nor the one to fall back to, and kept by our locks alone.

Only one that was installed here is ever removed, by its edition and with its live patch, and none that the vendor's
rule (multiversion.kernels) keeps.

Source: libzypp's purge-kernels, zypp.conf; that it leaves locked packages alone is measured.
"""

import re

from salt.exceptions import CommandExecutionError

import klp_change
import klp_change_boot
import klp_cmd
import klp_cves
import klp_kernel_forms
import klp_kmps
import klp_live
import klp_parse
import klp_record
import klp_state
import klp_sys
import klp_target_facts
import zypp_opened
import zypp_packages
import zypp_parse
import zypp_write

RECORD = "own_kernels"  # editions that were installed here
COUNTED = re.compile(r"(latest|oldest)(?:[-+](\d{1,3}))?\Z")
NEEDLESS = "Kernels that only the locks of salt-klp keep: {}"
REMOVE = "; pillar klp:kernel:keep: 2 removes those that salt-klp has installed"


def remember(edition):
    """Record that a kernel is installed here, before it is."""
    klp_record.write(RECORD, sorted({edition} | set(klp_record.read(RECORD, []))))


def kept_by_rule(editions, running, rule):
    """
    Return those of some editions, newest first, that the vendor's rule keeps: all where there is no rule.

    running
        version of the kernel that runs.
    rule
        ``multiversion.kernels`` of zypp.conf, or ``None``.
    """
    words = [word.strip() for word in (rule or "").split(",") if word.strip()]
    kept = set() if words else set(editions)
    for word in words:
        match = COUNTED.match(word)
        number = int(match.group(2) or 0) if match else 0
        if match:
            ordered = list(editions) if match.group(1) == "latest" else list(editions)[::-1]
            kept |= set(ordered[number : number + 1])
        else:
            version = running if word == "running" else word
            kept |= {item for item in editions if (item + ".").startswith(version + ".")}
    return kept


def needless(host):
    """Return the editions of kernels that only our locks keep, newest first."""
    found = klp_change.record()
    editions = klp_kmps.ordered(klp_live.installed(host).get(klp_target_facts.name(host), []))
    rule = klp_sys.option(host.family["zypp_conf"], "main", "multiversion.kernels")
    kept = kept_by_rule(editions, host.kernel["version"], rule)
    used = {host.release, found.get("from"), found.get("to")}
    return [item for item in editions if item not in kept and klp_target_facts.release(host, item) not in used]


def superfluous(host):
    """Return those of ``needless`` that pillar ``klp:kernel:keep`` lets go: installed here, the oldest first."""
    keep = host.settings["kernel"]["keep"]
    if keep == klp_kernel_forms.ALL:
        return []
    own, there = set(klp_record.read(RECORD, [])), klp_live.installed(host).get(klp_target_facts.name(host), [])
    rest, free = needless(host), max(0, len(there) - keep)
    return [item for item in rest[::-1] if item in own][:free]


def told(host):
    """Return the line that names kernels which only our locks keep, in a list; none where there are none."""
    found = needless(host)
    more = REMOVE if host.settings["kernel"]["keep"] == klp_kernel_forms.ALL else ""
    return [NEEDLESS.format(", ".join(found)) + more] if found else []


def clean(host):
    """
    Remove what ``superfluous`` names, by zypper, with its live patches.

    Returns ``{name: {"old", "new"}}``. Raises CommandExecutionError, with nothing removed, if anything else would go.
    """
    editions, name = superfluous(host), klp_target_facts.name(host)
    before, coming = zypp_packages.packages(host), klp_change_boot.upcoming(host)
    wanted = _packages(before, host, name, editions)
    newest = klp_kmps.newest(before[name].split(","))
    names = [f"{item}={edition}" for item in sorted(wanted) for edition in wanted[item]]
    with zypp_opened.opened(host, {item: newest for item in wanted if item.startswith(name)}):
        text = host.zypper(["remove", "--dry-run", *names])["stdout"]
        _require_only(klp_cmd.parsed(zypp_parse.summary, text), wanted)
        zypp_write.write(host, ["remove", *names], (0, 102, zypp_write.SCRIPTLET))
    if klp_change_boot.upcoming(host) != coming:
        raise CommandExecutionError("GRUB would start another kernel after old ones were removed: grub2-editenv list")
    klp_record.write(RECORD, sorted(set(klp_record.read(RECORD, [])) - set(editions)))
    return klp_state.difference(before, zypp_packages.packages(host))


def _packages(found, host, name, editions):
    """Return the packages of some kernels, ``{name: [editions]}``: with drivers of theirs and live patches."""
    wanted = {}
    for item in [name, f"{name}-extra", f"{name}-optional"]:
        there = [edition for edition in found.get(item, "").split(",") if edition in editions]
        wanted.update({item: there} if there else {})
    for edition in editions:
        live = klp_parse.package_name(klp_target_facts.release(host, edition))
        wanted.update({live: found[live].split(",")} if live in found else {})
    return wanted


def _require_only(summary, wanted):
    wrong = [
        f"{action} {item['name']}-{item['edition']}"
        for action in sorted(key for key in summary if key != "nothing")
        for item in summary[action]
        if action != "remove" or klp_cves.without_epoch(item["edition"]) not in wanted.get(item["name"], [])
    ]
    if wrong:
        raise CommandExecutionError(f"zypper remove: refused, because it would also {', '.join(wrong)}")
