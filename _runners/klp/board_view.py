"""
What the page of a campaign shows, as plain data: each number bounded, each string of a host one printable line.
"""

from __future__ import annotations

from . import campaign as states
from . import decide, kinds, show, telling
from .stages import BACK_RUNNING, STAYS
from .words import clean, count, moment

ROWS = 100  # hosts that have a row
NAMED = 200  # hosts of a wave that are named
SHOWN = 60  # hosts of the wave under way that are shown unasked
TONES = {
    "done": "good",
    "running": "info",
    "incomplete": "warn",
    "expired": "warn",
    "stopped": "bad",
    "aborted": "bad",
}
# How hosts of each stage look: the word of the legend, and its colour.
STAGES = {
    states.VERIFIED: ("verified", "good"),
    states.RUNNING: ("running", "info"),
    **dict.fromkeys(states.BETWEEN, ("before or after a restart", "debt")),
    states.UNREACHABLE: ("no answer", "warn"),
    states.ABSENT: ("no answer", "warn"),
    states.SPARED: ("not started", "warn"),
    states.FAILED: ("failed", "bad"),
    states.REFUSED: ("failed", "bad"),
    states.WAITING: ("waiting", "dim"),
    states.READY: ("waiting", "dim"),
}
BLOCKED = (states.FAILED, states.REFUSED, states.UNREACHABLE, states.ABSENT, states.SPARED)
# The next command for a host that is blocked.
COMMANDS = {
    states.FAILED: "klp.verify",
    states.REFUSED: "klp.preflight",
    states.UNREACHABLE: "test.ping",
    states.ABSENT: "test.ping",
    states.RUNNING: "klp.blockers",
}
SILENT = "started, and silent for too long: it counts as failed until it answers"


def view(campaign, entries, now, driven, wait=None):
    """
    Return what the template shows.

    entries
        the last entries of the journal, the newest first.
    driven
        whether a process drives the campaign.
    wait
        the step ``wait`` of ``decide`` while the campaign waits, else ``None``.
    """
    counts = campaign.counts()
    running = [(host, item) for job in campaign.jobs.values() for host, item in _running(campaign, job)]
    blocked = [(host, item) for host, item in campaign.hosts.items() if _is_blocked(item)]
    state = show.state(campaign, driven)
    return {
        "id": campaign.id,
        "kind": campaign.plan["kind"],
        "state": clean(state),
        "tone": TONES.get(campaign.result or ("stopped" if campaign.stopped else state.partition(",")[0]), "warn"),
        "why": clean(campaign.stopped["why"]) if campaign.stopped else None,
        "written": moment(now),
        "begun": campaign.begun and moment(campaign.begun),
        "over": campaign.over and moment(campaign.over),
        "hosts": len(campaign.hosts),
        "figures": [(sum(counts[stage] for stage, (name, _) in STAGES.items() if name == word), word, tone)
                    for word, tone in dict(STAGES.values()).items()],
        "waves": [_wave(campaign, wave) for wave in campaign.waves],
        "awaited": _awaited(campaign, driven, wait),
        "next": show.next_command(campaign, driven),
        "running": [_runs(host, item, now) for host, item in running[:ROWS]],
        "running_more": len(running) - ROWS,
        "blocked": [_blocked(campaign, host, item) for host, item in blocked[:ROWS]],
        "blocked_more": len(blocked) - ROWS,
        "between": _between(campaign),
        "back": {word: number for word, number in campaign.back_counts.items() if number},
        "quarantined": [(clean(item["package"]), clean(item["edition"])) for item in campaign.quarantined],
        "history": [(moment(entry["at"]), [clean(line) for line in show.line(campaign.plan, entry)][:4])
                    for entry in entries],
    }  # fmt: skip


def _running(campaign, job):
    found = ((host, campaign.hosts[host]) for host in job.hosts)
    return [(host, item) for host, item in found if item.stage == states.RUNNING or item.back == BACK_RUNNING]


def _is_blocked(item):
    return item.stage in BLOCKED or item.back == STAYS or item.silent


def _runs(host, item, now):
    since = show.span(max(0, now - item.since)) if item.since else ""
    return {"host": clean(host), "since": since, "job": item.jid or "", "back": bool(item.back), "silent": item.silent}


def _blocked(campaign, host, item):
    word, tone = STAGES[item.stage]
    why = item.why or (SILENT if item.silent else telling.between(campaign, host))
    return {
        "host": clean(host),
        "wave": campaign.waves[item.wave].name,
        "word": word,
        "tone": "bad" if item.silent else tone,
        "why": clean(why or ""),
        "command": kinds.command(host, COMMANDS.get(item.stage, "klp.verify")),
    }


def _between(campaign):
    """Return the hosts that wait for a restart or were restarted, ``[(host, sentence)]``."""
    found = ((host, telling.between(campaign, host)) for hosts in campaign.places.values() for host in hosts)
    return [(clean(host), text) for host, text in found if text][:ROWS]


def _wave(campaign, wave):
    """Return a wave: its bar, its gate in words, and its hosts."""
    late = wave.number >= len(campaign.plan["waves"])
    hosts = campaign.hosts if late else campaign.plan["waves"][wave.number]["hosts"]
    mine = [host for host in hosts if campaign.hosts[host].wave == wave.number] if wave.opened else list(hosts)
    rows = [(clean(host), STAGES[campaign.hosts[host].stage]) for host in mine[:NAMED]]
    tones: dict = {}
    for stage, (_, tone) in STAGES.items():
        tones[tone] = tones.get(tone, 0) + wave.counts[stage]
    failed, unreachable = decide.limits(campaign, wave)
    return {
        "name": wave.name,
        "hosts": wave.total,
        "state": _state(campaign, wave),
        "gate": f"{wave.failed} failed (limit {failed}), {wave.unreachable} unreachable (limit {unreachable})",
        "exceeded": decide.exceeded(campaign, wave) is not None,
        "bar": _bar(tones, wave.total),
        "rows": rows,
        "open": bool(wave.opened) and not wave.closed and wave.total <= SHOWN,
        "more": len(mine) - NAMED,
    }


def _bar(tones, total):
    found, at = [], 0
    for tone, number in tones.items():
        if number:
            found.append((tone, f"{100 * at / total:.3f}%", f"{100 * number / total:.3f}%", number))
        at += number
    return found


def _state(campaign, wave):
    """Return where a wave is, a word and its colour."""
    if campaign.stopped and campaign.stopped["wave"] == wave.number:
        return "stopped here", "bad"
    if wave.closed:
        return "passed", "good"
    if wave.patched:
        return "watched", "info"
    return ("under way", "info") if wave.opened else ("not begun", "dim")


def _awaited(campaign, driven, wait):
    """Return what a campaign waits for, a line each."""
    if campaign.over:
        return []
    if not driven:
        return [f"a person: {show.state(campaign, driven)}"]
    limit = show.span(campaign.plan["settings"]["limits"]["host_timeout"])
    runs = f"{count(campaign.running, 'host')} running; a run may take {limit}"
    lines = [runs] if campaign.running else []
    if wait:
        return [*lines, f"{clean(wait['for'])}; the next look is at {moment(wait['until'])}"]
    return lines or ["nothing: the next step is being done"]
