"""
How plans, campaigns and reports look as text; the same facts as the documents, shortened where they are many.
"""

from __future__ import annotations

import collections
import functools
import math

import klp_checks

from . import campaign as states
from . import decide, maintenance
from . import planning as plans
from .telling import TEXTS, between
from .words import count, moment

NAMES = 6  # hosts that a line names
ROWS = 20  # hosts of one kind that have a line of their own
OPENINGS = 3  # maintenance windows that a plan shows
BAR = 24  # characters of a progress bar


def names(hosts, most=NAMES):
    """Return hosts as a line names them."""
    hosts = list(hosts)
    return ", ".join(hosts[:most]) + (f" and {len(hosts) - most} more" if len(hosts) > most else "")


def reasons(unknown):
    """Return ``{why: hosts}`` of ``{host: why}``, in the order of the hosts."""
    found: dict = {}
    for host, why in unknown.items():
        found.setdefault(why, []).append(host)
    return found


def span(seconds):
    """Return a number of seconds as people say it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def table(head, rows):
    """Return lines of aligned columns; what is a number stands at the right."""
    cells = [list(head), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[number]) for row in cells) for number in range(len(head))]
    right = [bool(rows) and all(isinstance(row[number], (int, float)) for row in rows) for number in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if flag else cell.ljust(width) for cell, width, flag in zip(row, widths, right)
        ).rstrip()
        for row in cells
    ]


def line(plan, entry):
    """Return the lines that tell of one entry of a journal while it is written."""
    if entry["what"] in ("ended", "returned", "checked", "looked"):
        return _results(plan, entry)
    wave = entry.get("wave")
    name = None if wave is None else _wave_name(plan, wave)
    items = ", ".join(f"{item['package']} {item['edition']}" for item in entry.get("items", ()))
    hosts = entry.get("hosts") or {}
    new = "old" if entry.get("way") else "new"
    text = TEXTS[entry["what"]].format(**dict(entry, wave=name, hosts=names(hosts), items=items, new=new))
    told = isinstance(hosts, dict) and entry["what"] not in ("installed", "restart")
    whys = [f"  {host}: {why}" for host, why in hosts.items() if isinstance(why, str)] if told else []
    return [text, *whys[:ROWS]]


def _results(plan, entry):
    word = {"ended": "verified", "returned": "went back", "checked": None, "looked": None}[entry["what"]]
    found = {host: why[1] if isinstance(why, list) else why for host, why in entry["hosts"].items()}
    good = [host for host, why in found.items() if not why]
    lines = [f"{names(good)}: {word}"] if good else []
    lines += [f"{host}: FAILED: {why}" for host, why in list(found.items())[:ROWS] if why]
    return lines or [f"{_looked_at(plan, entry)}: all is well"]


def _looked_at(plan, entry):
    if entry["what"] == "looked":
        return "a last look at all hosts"
    wave = f"wave {_wave_name(plan, entry['wave'])}"
    return f"{wave}, a look at all of its hosts" if entry["last"] else f"{wave}, a look at {names(entry['looked'])}"


def _wave_name(plan, number):
    return plan["waves"][number]["name"] if number < len(plan["waves"]) else states.LATE


def _gets(kind, offer, before, after=False):
    """Return in a few words what a host gets; ``after``: its run is there for this hook alone."""
    word = "kernel" if kind == "kernel" else "live patch"
    others = [name for name in offer["changes"] if name != offer["package"]]
    move = [f"{word} {before or 'none'} -> {offer['target']}"] if offer["target"] != before else []
    packages = [f"{count(len(others), 'package')} ({names(sorted(others), 4)})"] if others else []
    return "; ".join(move + packages) or ("hook after" if after else f"the {word} once more")


def plan_text(plan):
    """Return a plan as text: the waves, what each host gets, who is left out and why, and the next command."""
    total = sum(len(wave["hosts"]) for wave in plan["waves"])
    rows = [
        [wave["name"], len(wave["hosts"]), _at_once(wave), span(wave["seconds"]), _watched(wave)]
        for wave in plan["waves"]
    ]
    whole = total + len(plan["left_out"])
    lines = [
        f"Plan {plan['id']}: {plan['kind']} {total} of {count(whole, 'host')}, made {moment(plan['created'])}",
        "",
        *table(["wave", "hosts", "at once", "expected", "watched after (min)"], rows),
    ]
    lines += _window_lines(plan) + _apart_lines(plan)
    for wave in plan["waves"]:
        lines += _wave_lines(plan, wave)
    lines += _hooks(plan) + _left_out(plan["left_out"]) + _skipped(plan)
    lines += ["", f"hash {plan['hash']}"]
    if total:
        lines.append(f"To run what is shown here: salt-run klp.run {plan['id']}")
    return "\n".join(lines)


def _window_lines(plan):
    """Return when hosts may be started next, nothing where that is always."""
    windows, now = plan["settings"]["windows"], plan["created"]
    if maintenance.until(windows, now) == math.inf:
        return []
    local = functools.partial(maintenance.local, windows)
    # A freeze may lie ahead, and nothing behind it: what is open then has no end.
    rows = [
        f"  {local(opens)} - {local(closes) if closes < math.inf else 'open end'}"
        for opens, closes in maintenance.ahead(windows, now, OPENINGS)
    ]
    return ["", "hosts are started in maintenance windows only, the next ones:", *rows] if rows else []


def _at_once(wave):
    return decide.waves.batch(wave["batch"], len(wave["hosts"])) if wave["hosts"] else 0


def _watched(wave):
    return ", ".join(map(str, wave["soak"])) or "no"


def _wave_lines(plan, wave):
    groups = collections.defaultdict(list)
    for host in wave["hosts"]:
        item = plan["hosts"][host]
        groups[(item["offer"], item["before"], item["note"], item.get("after", False))].append(host)
    lines = ["", f"{wave['name']}{_grouped(wave)}:"] if groups else []
    for (offer, before, note, after), hosts in sorted(groups.items(), key=lambda item: -len(item[1]))[:ROWS]:
        lines.append(f"  {len(hosts)} x {_gets(plan['kind'], plan['offers'][offer], before, after)}")
        lines.append(f"      {names(hosts)}" + (f"   ({note})" if note else ""))
    return lines


def _hooks(plan):
    """Return which hooks are around the runs of a plan, and on which hosts; old plans do not know it."""
    rows = plan.get("hooks", [])
    lines = ["", "hooks around the runs:"] if rows else []
    for row in rows[:ROWS]:
        hooks = "; ".join(f"{hook} {names(row[hook])}" for hook in plans.HOOKS if row[hook])
        lines += [f"  {len(row['hosts'])} x {hooks}", f"      {names(row['hosts'])}"]
    return lines + ([f"  and {len(rows) - ROWS} more, all of them with --out=json"] if len(rows) > ROWS else [])


def _grouped(wave):
    """Return how many hosts of which group a wave has; nothing where no host has a group."""
    known = [f"{group or 'no group'} {number}" for group, number in wave["groups"].items()]
    return f" ({names(known)})" if set(wave["groups"]) - {""} else ""


def _apart_lines(plan):
    """Return which hosts a plan keeps apart, and of which it does not know; nothing where it keeps none apart."""
    name = plan["settings"].get("apart")
    if not name:
        return []
    values = {host: item["apart"] for host, item in plan["hosts"].items()}
    many, alone = len(set().union(*values.values())), [host for host in values if not values[host]]
    kept = f"{count(len(values) - len(alone), 'host')}, {count(many, 'value')}"
    lines = ["", f"kept apart by {name}, one host of each value at a time: {kept}"]
    lines += [f"  without {name}, kept apart from nobody: {names(alone)}"] if alone else []
    lines += [f"  not known of hosts that are not in this plan: {names(plan['unclear'])}"] if plan["unclear"] else []
    return lines


def _left_out(left_out):
    groups = collections.defaultdict(list)
    for host, (kind, why) in left_out.items():
        groups[kind].append((host, why))
    lines = [""] if groups else []
    for kind, pairs in groups.items():
        lines.append(f"left out, {kind}: {len(pairs)}")
        if kind != plans.CURRENT:
            lines += [f"  {host}: {why}" for host, why in pairs[:ROWS]]
            lines += [f"  and {len(pairs) - ROWS} more"] if len(pairs) > ROWS else []
        else:
            lines.append(f"  {names([host for host, _ in pairs])}")
    return lines


def _skipped(plan):
    """Return the updates that the runs of a plan leave out, by reason, and on which hosts; old plans do not know it."""
    rows = plan.get("skipped", [])
    lines = ["", "updates that are left out:"] if rows else []
    for row in rows[:ROWS]:
        items = [f"advisory {name}" for name in row["advisories"]] + [f"package {name}" for name in row["packages"]]
        more = f" and {len(items) - NAMES + row['more']} more" if len(items) > NAMES or row["more"] else ""
        lines += [f"  {len(row['hosts'])} x {', '.join(items[:NAMES])}{more}: {row['reason']}"]
        lines += [f"      {names(row['hosts'])}"]
    return lines + ([f"  and {len(rows) - ROWS} more, all of them with --out=json"] if len(rows) > ROWS else [])


def status_text(campaign, driven, now, hosts=True):
    """Return how a campaign stands: a bar for each wave, who runs now, what is wrong, and the next command."""
    plan = campaign.plan
    lines = [f"Campaign {campaign.id} ({plan['kind']}): {state(campaign, driven)}"]
    if campaign.stopped:
        lines.append(f"  {campaign.stopped['why']}")
    lines.append("")
    rows = [_wave_row(wave) for wave in campaign.waves]
    head = ["wave", "", "hosts", "verified", "running", "failed", "unreachable", "waiting", ""]
    lines += table(head, rows)
    if hosts:
        lines += _host_lines(campaign, now)
    lines += _back_lines(campaign)
    step = next_command(campaign, driven)
    return "\n".join(lines + ([f"Next: {step}"] if step else []))


def _wave_row(wave):
    done = wave.total - wave.open_hosts if wave.opened else 0
    filled = BAR * done // wave.total if wave.total else 0
    word = "passed" if wave.closed else "watched" if wave.patched else "now" if wave.opened else ""
    waiting = wave.counts[states.WAITING] + wave.counts[states.READY]
    running = sum(wave.counts[stage] for stage in (states.RUNNING, *states.BETWEEN))
    numbers = [wave.total, wave.counts[states.VERIFIED], running]
    return [
        wave.name,
        "#" * filled + "." * (BAR - filled),
        *numbers,
        wave.failed,
        wave.unreachable,
        waiting,
        word,
    ]


def _host_lines(campaign, now):
    """Return the hosts that run, and those that something is wrong with."""
    running = {host: campaign.hosts[host] for job in campaign.jobs.values() for host in job.hosts}
    running = {host: item for host, item in running.items() if item.stage == states.RUNNING or item.back}
    lines = [
        f"  {host}: runs since {span(now - item.since)}, job {item.jid}{', silent' if item.silent else ''}"
        for host, item in running.items()
    ]
    lines = ["", "running:", *lines[:ROWS]] if lines else []
    waiting = {host: between(campaign, host) for hosts in campaign.places.values() for host in hosts}
    rows = [f"  {host}: {text}" for host, text in waiting.items() if text]
    more = [f"  and {len(rows) - ROWS} more"] if len(rows) > ROWS else []
    lines += ["", "between two runs:", *rows[:ROWS], *more] if rows else []
    bad = [(host, item) for host, item in campaign.hosts.items() if item.why and host not in running]
    rows = [f"  {host}: {item.stage}: {item.why}" for host, item in bad[:ROWS]]
    more = [f"  and {len(bad) - ROWS} more; all of them: salt-run --out=json klp.report {campaign.id}"]
    return lines + (["", "to look at:", *rows, *(more if len(bad) > ROWS else [])] if rows else [])


def _back_lines(campaign):
    counts = {word: number for word, number in campaign.back_counts.items() if number}
    lines = ["", "rollback: " + ", ".join(f"{number} {word}" for word, number in counts.items())] if counts else []
    for item in campaign.quarantined:
        lines += [
            "",
            f"in quarantine: {item['package']} {item['edition']}; release it with:",
            f"  salt-run klp.release {item['package']} {item['edition']}",
        ]
    return [*lines, ""]


def state(campaign, driven):
    """Return the state of a campaign in a word or two."""
    if campaign.over:
        return f"{campaign.result} at {moment(campaign.over)}"
    if not campaign.begun:
        return "not begun"
    if campaign.stopped:
        return f"stopping, paused by {campaign.paused['by']}" if campaign.paused and campaign.back_queue else "stopping"
    if campaign.paused:
        return f"paused by {campaign.paused['by']}"
    if driven and campaign.off:
        return "waiting until the clock of this master is set right (chronyc makestep)"
    return "running" if driven else "interrupted, no process drives it"


def next_command(campaign, driven):
    """Return the command that a person would give next, or ``None``."""
    if campaign.over:
        return f"salt-run klp.report {campaign.id}"
    if not campaign.begun:
        return f"salt-run klp.run {campaign.id}"
    if driven and not campaign.paused:
        return f"salt-run klp.status {campaign.id} watch=5, or klp.pause, or klp.abort"
    return f"salt-run klp.resume {campaign.id}"


def list_text(rows, quarantine, damaged):
    """Return all plans and campaigns, one line each, and what cannot be read of them."""
    head = ["id", "kind", "state", "hosts", "verified", "failed", "unreachable", "made"]
    keys = ("id", "kind", "state", "hosts", "verified", "failed", "unreachable")
    lines = table(head, [[row[key] for key in keys] + [moment(row["created"])] for row in rows])
    if not rows:
        lines = [] if damaged else ["no plans yet; make one with: salt-run klp.plan"]
    if quarantine:
        lines += ["", "in quarantine:"] + quarantine_lines(quarantine)
    if damaged:
        lines += ["", "cannot be used:"] if lines else ["cannot be used:"]
        lines += [f"  {name}: {why}" for name, why in damaged.items()]
    return "\n".join(lines)


def quarantine_lines(items):
    """Return what is in quarantine, one line each."""
    return [
        f"  {item['package']} {item['edition']}, since campaign {item['campaign']} ({item['why']})" for item in items
    ]


def report_text(campaign, document, entries):
    """Return a report as text: how it went, wave by wave, and each host that is not verified."""
    lines = [f"Campaign {campaign.id} ({campaign.plan['kind']}): {state(campaign, False)}"]
    lines += [f"  {campaign.stopped['why']}"] if campaign.stopped else []
    begun = campaign.begun or campaign.plan["created"]
    end = campaign.over or (entries[-1]["at"] if entries else campaign.at)
    lines += [f"  begun {moment(begun)}, {span(end - begun)} until {'its end' if campaign.over else 'now'}", ""]
    head = ["wave", "hosts", "verified", "failed", "unreachable", "not started", "patched in"]
    lines += table(head, [_report_row(wave) for wave in campaign.waves])
    rows = [
        [host, item["wave"], item["stage"], item["runs"], item["back"] or "", item["why"] or ""]
        for host, item in document["hosts"].items()
        if item["stage"] != states.VERIFIED or item["back"]
    ]
    if rows:
        lines += [
            "",
            "not verified, or gone back:",
            *table(["host", "wave", "stage", "runs", "back", "why"], rows[:ROWS]),
        ]
        lines += [f"and {len(rows) - ROWS} more, all of them with --out=json"] if len(rows) > ROWS else []
    lines += _left_out(document["left_out"]) + _skipped(campaign.plan) + _back_lines(campaign)
    lines += _persons(document.get("persons", []))
    return "\n".join(lines)


def _persons(rows):
    """Return who did what."""
    known = [row for row in rows if row["by"]]
    lines = [f"  {moment(row['at'])}: {row['by']} {row['did']} on {row['master']}" for row in known]
    return ["", "who:", *lines] if lines else []


def _report_row(wave):
    spent = span(wave.patched - wave.opened) if wave.patched and wave.opened else ""
    return [wave.name, wave.total, wave.counts[states.VERIFIED], wave.failed, wave.unreachable, wave.open_hosts, spent]


def audit_text(verdicts):
    """Return the verdicts of hosts: how many of each, and each host that is not ok with the reason."""
    counts = collections.Counter(item["verdict"] for item in verdicts.values())
    lines = table(["verdict", "hosts"], sorted(counts.items()))
    bad = {host: item for host, item in verdicts.items() if item["verdict"] != klp_checks.OK}
    rows = [[host, item["verdict"], item["why"] or ""] for host, item in bad.items()]
    lines += ["", *table(["host", "verdict", "why"], rows[:ROWS])] if rows else []
    return "\n".join(
        lines + ([f"and {len(rows) - ROWS} more, all of them with --out=json"] if len(rows) > ROWS else [])
    )
