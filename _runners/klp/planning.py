"""
The plan of a campaign: which hosts, in which wave, what each would get, and who is left out and why. Pure functions.

A plan is a plain document. Its hash covers all of it, so that only what was shown is run; its id is made from the hash,
and is that of the campaign, the runs and the backups as well.
"""

from __future__ import annotations

import fnmatch

from salt.exceptions import CommandExecutionError

from klp_digest import digest

from . import answers, apart, files, kernel_plans, records, schema, waves
from .words import count

VERSION = 2  # of a plan; 1 had no soak by host
KINDS = ("patch", "rollback", "kernel")
WANTED = "patch, rollback or kernel"
REFUSALS = 5  # sentences of one host that are kept
# Why a host is not in a wave.
CURRENT, ABSENT, REFUSED, EXCLUDED = "nothing to do", "unreachable", "refused", "excluded"
MISSING = (ABSENT, REFUSED)  # a fleet with such hosts is not done
LENGTH = 12  # characters of an id
HOOKS = ("before", "after", "on_failure")


def make(facts, settings, now):
    """
    Return the plan that follows from what is known.

    facts
        ``{"kind", "master", "by" (who makes it), "hosts" (sorted ids), "answers" ({host: what klp_audit.run_preview
        says}), "asked" (moment), "members" (for each wave a set of hosts, or None), "strange" ({host that is left out
        unasked: why}), "busy" ({host: id of the campaign that has it}), "known" ({host that does not answer, or is in a
        campaign: by what it is kept apart, or None}), "quarantine" ([{"package", "edition", "campaign"}])}``.
    settings
        as ``schema.settings`` has them.
    now
        seconds since 1970.

    Raises CommandExecutionError where the settings do not let a plan be made of that.
    """
    _refuse_clock(facts, now)
    if facts["kind"] == "kernel":
        kernel_plans.check(settings, now)
    offers, hosts, skipped, hooks = {}, {}, {}, {}
    judged, left_out, unclear = _judged(facts, settings, now)
    for host, found in judged.items():
        for item in found["skipped"]:
            lists = (tuple(map(answers.text, item[key])) for key in ("advisories", "packages"))
            skipped.setdefault((answers.text(item["reason"]), *lists, item["more"]), []).append(host)
        if host in left_out:
            continue
        offer = {key: found[key] for key in ("package", "target", "changes")}
        name = digest(offer)[:LENGTH]
        offers[name] = offer
        hosts[host] = {key: found[key] for key in ("kernel", "package", "target", "seconds", "note", "group")}
        hosts[host].update({"before": found["live_patch"], "offer": name, **found["more"]})
        hosts[host]["apart"] = apart.values(settings["apart"], found)
        hooks.setdefault(tuple(tuple(found["hooks"][hook]) for hook in HOOKS), []).append(host)
    _refuse_absent(left_out, settings)
    seed = _seed(facts, hosts)
    plan = {
        "version": VERSION,
        "kind": facts["kind"],
        "created": int(now),
        "master": facts["master"],
        "by": facts.get("by"),
        "settings": settings,
        "seed": seed,
        "waves": _waves(settings, hosts, facts["members"], seed),
        "offers": offers,
        "hosts": hosts,
        "left_out": left_out,
        "skipped": _skipped(skipped),
        "hooks": _hooks(hooks),
        "unclear": unclear,
    }
    return identified(plan)


def _judged(facts, settings, now):
    """
    Return what is known of the hosts.

    Returns ``({host: its preview with a note}, {host that is left out: [kind, reason]}, [hosts that are kept apart from
    nobody because it is not known from whom])``.
    """
    found, name = {}, settings["apart"]
    left_out = {host: _excluded(host, settings) or [REFUSED, why] for host, why in facts["strange"].items()}
    quarantine = {(item["package"], item["edition"]): item["campaign"] for item in facts["quarantine"]}
    for host in facts["hosts"]:
        wrong, preview = _judge(host, facts, settings, quarantine, now)
        if preview:
            found[host] = preview
        if wrong:
            left_out[host] = wrong
    if not name:
        return found, left_out, []
    missing = {host: (_values(host, facts, name), kind) for host, (kind, _) in left_out.items() if kind in MISSING}
    others = {host: one for host, one in facts["busy"].items() if host not in missing}
    elsewhere = {host: (_values(host, facts, name), one) for host, one in others.items()}
    planned = {host: apart.values(name, preview) for host, preview in found.items() if host not in left_out}
    left_out.update({host: [REFUSED, why] for host, why in apart.left_out(name, planned, missing, elsewhere).items()})
    return found, left_out, [host for host, (known, _) in {**missing, **elsewhere}.items() if known is None]


def _values(host, facts, name):
    """Return by what a host is kept apart that is left out, as it says itself, or else as the master knows."""
    try:
        return apart.values(name, answers.run_preview(host, facts["answers"][host]))
    except (KeyError, answers.NonsenseError):
        return facts["known"].get(host)


def _seed(facts, hosts):
    """
    Return what the order of the hosts depends on beside their ids: the same for a plan that is made again.

    It is another one for other live patches, so that it is not always the same hosts that are the first ones.
    """
    brought = sorted({(item["package"], item["target"] or "") for item in hosts.values()})
    return digest([facts["kind"], facts["master"], brought])[:LENGTH]


def _skipped(found):
    """Return which updates are left out, a row for what is the same on many hosts; that of most hosts comes first."""
    keys = ("reason", "advisories", "packages", "more")
    rows = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [dict(zip(keys, (row[0], list(row[1]), list(row[2]), row[3])), hosts=hosts) for row, hosts in rows]


def _hooks(found):
    """Return which hooks are around the runs, a row for hosts with the same; a host without any has none."""
    rows = sorted(((hooks, hosts) for hooks, hosts in found.items() if any(hooks)), key=lambda item: -len(item[1]))
    return [dict(zip(HOOKS, map(list, hooks)), hosts=hosts) for hooks, hosts in rows]


def identified(plan):
    """Return a plan with its hash and its id."""
    whole = digest({key: plan[key] for key in plan if key not in ("hash", "id")})
    # A letter in front: Salt's command line would make a number of an id of digits.
    return dict(plan, hash=whole, id="c" + whole[: LENGTH - 1])


def _refuse_clock(facts, now):
    """Where most hosts have another time it is the master that is off, and refusing each host would hide that."""
    said = [
        one for one in facts["answers"].values() if isinstance(one, dict) and schema.whole(one.get("time"), 0, 2**62)
    ]
    off = sum(answers.clock(one, facts["asked"], now) is not None for one in said)
    if answers.is_master(off, len(said)):
        raise CommandExecutionError(
            f"no plan: {off} of {count(len(said), 'host')} with another time than this master; set its clock right "
            "first (chronyc makestep, on the master)"
        )


def _refuse_absent(left_out, settings):
    absent = [host for host, (kind, _) in left_out.items() if kind == ABSENT]
    if absent and settings["presence"]["absent"] == "refuse":
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise CommandExecutionError(
            f"no plan: no answer from {count(len(absent), 'host')} ({', '.join(absent[:5])}{more}), and pillar "
            "klp_campaign:presence:absent is refuse"
        )


def _judge(host, facts, settings, quarantine, now):
    """
    Return ``([kind, reason], None)`` of a host that is left out, else ``(None, its preview with a note)``.

    A host that has nothing to do is left out as well, and its preview says which updates it leaves out.
    """
    excluded = _excluded(host, settings)
    if excluded:
        return excluded, None
    if host in facts["busy"]:
        return [REFUSED, f"it is in campaign {facts['busy'][host]}, which is not over"], None
    if host not in facts["answers"]:
        return [ABSENT, f"no answer within {count(settings['presence']['timeout'], 'second')}"], None
    try:
        found = answers.run_preview(host, facts["answers"][host])
    except answers.NonsenseError as exc:
        return [REFUSED, str(exc)], None
    late = answers.clock(found, facts["asked"], now)
    wrong = [answers.text(item) for item in found["refusals"][:REFUSALS]] + ([late] if late else [])
    if wrong:
        return [REFUSED, "; ".join(wrong)], None
    due = answers.drained(found)
    found = dict(found, note=None, due=due and f"{due.partition(': ')[0]}; its run does it", more={})
    if facts["kind"] == "kernel":
        return kernel_plans.offered(found), found
    return _offered(found, quarantine if facts["kind"] == "patch" else {}), found


def _excluded(host, settings):
    """Return why a host is left out that nobody wants in, or ``None``."""
    excluded = any(fnmatch.fnmatchcase(host, glob) for glob in settings["exclude"])
    return [EXCLUDED, "pillar klp_campaign:exclude"] if excluded else None


def _offered(found, quarantine):
    """Keep a quarantined live patch away from a host, and return why it is left out: what remains may be nothing."""
    campaign = quarantine.get((found["package"], found["target"]))
    if campaign and found["target"] != found["live_patch"]:
        why = f"live patch {found['target']} is in quarantine since campaign {campaign}"
        if found["live_patch"] is None:
            return [REFUSED, f"{why}, and the host has none yet; see salt-run klp.quarantined"]
        changes = {name: new for name, new in found["changes"].items() if name != found["package"]}
        found.update(changes=changes, target=found["live_patch"], note=why)
    idle = not found["changes"] and not found["unfinished"]
    if idle and not found["due"]:
        return [CURRENT, found["note"] or f"live patch {found['live_patch'] or 'none'}, no updates"]
    if found["due"]:  # nothing but a run does it
        found.update(note="; ".join(filter(None, (found["note"], found["due"]))), more={"after": True} if idle else {})
    return None


def _waves(settings, hosts, members, seed):
    specs, groups = settings["waves"], {host: item["group"] for host, item in hosts.items()}

    def ordered(some, before):
        return waves.mixed(some, before, groups, seed) if settings["order"] == "mixed" else some

    parts, left = waves.split(specs, sorted(hosts), members, ordered)
    if left:
        raise CommandExecutionError(
            f"pillar klp_campaign:waves: no wave takes {count(len(left), 'host')} ({', '.join(left[:5])}"
            f"{', ...' if len(left) > 5 else ''}); let a last wave take rest"
        )
    found = []
    for spec, part in zip(specs, parts):
        size = waves.batch(spec["batch"], len(part))
        spent = waves.seconds([hosts[host]["seconds"] for host in part], size) if part else 0
        keys = {key: spec[key] for key in ("name", "batch", "soak", "failed", "unreachable")}
        watched = 60 * max(spec["soak"], default=0) * bool(part)
        spent = max(spent + watched, waves.longest([hosts[host] for host in part], watched))
        found.append(dict(keys, hosts=part, groups=waves.grouped(part, groups), seconds=spent))
    return found


def check(plan, name):
    """Return a plan that was read from the disk, or raise DamagedError if it is not what was written."""
    version = plan.get("version") if isinstance(plan, dict) else None
    if isinstance(version, int) and version != VERSION:
        age = "newer" if version > VERSION else "older"
        raise files.DamagedError(
            f"plan {name} was made by {age} salt-klp (format {version}, this one has {VERSION})",
            "make a new plan, or go on with the version that made it",
        )
    if version != VERSION or identified(plan) != plan or plan["id"] != name:
        cure = "make a new plan, or restore its file from a backup"
        raise files.DamagedError(f"plan {name} is not what was shown: its hash is another one", cure)
    problem = records.plan_problem(plan)
    if problem:
        raise files.DamagedError(f"plan {name} cannot be used: {problem}", "make a new plan")
    return plan


def pillar(plan, hosts, run, start_by, back=False, boots=None):
    """
    Return what the pillar key ``klp`` of a run is given beside that of each host.

    hosts
        those of one job, whatever each of them gets; the job has an entry for each.
    run
        id of the campaign.
    start_by
        seconds since 1970.
    back
        whether the host goes back to what it had before.
    boots
        for the restart of hosts: ``{host: the boot id of the start that is to end}``.
    """
    campaign: dict = {"start_by": start_by}
    if boots is not None:
        return {"run": run, "campaign": {**campaign, "boot_id": boots}}
    if plan["kind"] == "kernel":
        return {"run": run, "campaign": {**campaign, **({} if back else _digests(plan, hosts))}}
    if back or plan["kind"] == "rollback":
        key = "before" if back else "target"
        campaign["rollback"] = {host: plan["hosts"][host][key] for host in hosts}
        return {"run": run, "campaign": campaign}
    campaign.update(_digests(plan, hosts))
    levels = {host: plan["hosts"][host]["target"] for host in hosts}
    campaign["level"] = {host: level for host, level in levels.items() if level}
    return {"run": run, "campaign": campaign}


def _digests(plan, hosts):
    """Return the key by which hosts know what the plan has shown for them; none where they may follow what is there."""
    if plan["settings"]["drift"] != "refuse":
        return {}
    return {"shown": {host: digest(shown(plan, host)) for host in hosts}}


def shown(plan, host):
    """Return the packages that a run on a host may install, ``{name: edition}``."""
    planned = plan["hosts"][host]
    # Where nothing was shown, what is there already may be there.
    return plan["offers"][planned["offer"]]["changes"] or {planned["package"]: planned["target"] or "none"}


def host_ids(found):
    """Return the ids that can be minion ids, sorted, and those that cannot."""
    good = sorted({host for host in found if isinstance(host, str) and schema.HOST.match(host)})
    return good, sorted(answers.text(host) for host in set(map(str, found)) - set(good))
