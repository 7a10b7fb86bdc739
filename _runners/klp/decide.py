"""
What a campaign does next: one step, as a pure function of its state and the time.

A step that has an effect is written into the journal before it is done; asking a host, and waiting, are not.
"""

from __future__ import annotations

import itertools
import math

from . import campaign as states
from . import maintenance, planning, restarts, stages, waves
from .words import count

FRESH = 120  # seconds for which a host that answered that it is ready may be started without being asked again
ASK = 500  # hosts that are asked at once
NAP = 300  # longest wait in seconds
LEAST = 30  # seconds that a maintenance window has to be open still: a host that gets its job too late refuses it
CUT = "its run was cut off, and the campaign has stopped; finish it with state.apply klp.{} on this host"
RESULTS = ("done", "incomplete", "stopped", "aborted", "expired")


def step(campaign, now, ignored=()):
    """
    Return the next step: ``{"do", ...}``, ``None`` where the campaign is over.

    campaign
        a Campaign.
    now
        seconds since 1970.
    ignored
        dict of hosts that are not to be asked now, with the moment when they may be.

    ``do`` is ``wait`` (``until``, ``for``: the reason), ``ask`` or ``ask_back`` (``hosts``), ``check`` (``wave``,
    ``hosts``, ``last`` (bool)), ``look`` (``hosts``), or the ``what`` of an entry of the journal with its other keys.
    """
    if campaign.over:
        return None
    if not campaign.begun:
        return {"do": "begin"}
    todo = restarts.verify(campaign, now)
    if todo:
        return todo
    if campaign.stopped:
        return _wind_down(campaign, now, ignored)
    bad = next((wave for wave in campaign.reached if exceeded(campaign, wave)), None)
    if bad:
        return gate(campaign, bad)
    expired = now - campaign.begun > 3600 * campaign.plan["settings"]["limits"]["duration"]
    wave = _turn(campaign)
    todo = _look_at_others(campaign, wave, now)
    if todo:
        return todo
    if wave is None:
        return _sooner(campaign, _awaited(campaign, now) or _unwatched(campaign, now) or _late(campaign, now, expired))
    if expired and not campaign.running:
        return _last_look(campaign, now) or {"do": "end", "result": "expired"}
    return _wave(campaign, wave, now, ignored, expired)


def _turn(campaign):
    """
    Return the wave whose turn it is, or ``None`` after the last one.

    A host that was silent when its wave passed, and whose run was cut off, is begun again before anything else.
    """
    return next((wave for wave in campaign.waves[: campaign.current] if wave.pending), campaign.wave)


def wait(until, why):
    """Return the step that waits until something may have changed."""
    return {"do": "wait", "until": until, "for": why}


def limits(campaign, wave):
    """Return how many hosts of a wave may fail and may be unreachable."""
    spec = campaign.plan["waves"][wave.number] if wave.number < len(campaign.plan["waves"]) else {}
    common = campaign.plan["settings"]["limits"]
    return tuple(
        waves.allowed(spec.get(key, common[key]), common[key + "_percent"], wave.total)
        for key in ("failed", "unreachable")
    )


def exceeded(campaign, wave):
    """Return the sentence that says which limit a wave has exceeded, or ``None``."""
    failed, unreachable = limits(campaign, wave)
    lost = wave.counts[states.UNREACHABLE]  # a host that was started and fell silent may be one that it has killed
    if wave.failed + lost > failed:
        more = f" ({lost} of them fell silent after their start)" if lost else ""
        return f"wave {wave.name}: {wave.failed + lost} of {count(wave.total, 'host')} failed{more}, limit {failed}"
    # Those of the late wave had their chance, and counted in their own wave.
    if wave.unreachable > unreachable and wave is campaign.wave and campaign.late_until is None:
        return f"wave {wave.name}: {wave.unreachable} of {count(wave.total, 'host')} unreachable, limit {unreachable}"
    return None


def silent(campaign):
    """Return why hosts that are silent keep others from being started, or ``None``: they may have failed."""
    for wave in campaign.reached:
        failed, _ = limits(campaign, wave)
        if wave.silent and wave.failed + wave.counts[states.UNREACHABLE] + wave.silent > failed:
            minutes = campaign.plan["settings"]["limits"]["silent"]
            return (
                f"wave {wave.name}: {wave.silent} of its hosts were started and have not answered for "
                f"{count(minutes, 'minute')}; nothing further is started until they do"
            )
    return None


def batch(campaign, wave):
    """Return how many hosts of a wave may run at once."""
    spec = campaign.plan["waves"][min(wave.number, len(campaign.plan["waves"]) - 1)]
    return waves.batch(spec["batch"], wave.total)


def _wave(campaign, wave, now, ignored, expired):
    if wave.opened is None:
        return {"do": "open", "wave": wave.number}
    spared = campaign.apart.spared(wave)
    if spared:
        return {"do": "spared", "hosts": spared}
    hosts, quiet = _due(campaign, wave, now), silent(campaign)
    patched = not wave.pending and not quiet
    if hosts and not (patched and _left(wave) == len(hosts)):
        return {"do": "check", "wave": wave.number, "hosts": hosts, "last": False}
    if patched:
        return _soak(campaign, wave, now)
    blocked = _closed(campaign, now) or quiet or ("its time is over" if expired else None)
    if blocked:
        if wave.ready:
            return {"do": "waiting", "hosts": list(wave.ready)}
        return _sooner(campaign, wait(_reopens(campaign, now), blocked))
    free = batch(campaign, wave) - campaign.started + campaign.silent
    todo = restarts.order(campaign, wave, now, ignored, free)
    return todo or _sooner(campaign, _start(campaign, wave, now, ignored))


def _look_at_others(campaign, wave, now):
    """Return the look at hosts of other waves than the one whose turn it is, ``None`` where none is due."""
    for other in campaign.reached:
        hosts = _due(campaign, other, now) if other is not wave else []
        if hosts:
            return {"do": "check", "wave": other.number, "hosts": hosts, "last": False}
    return None


def _next_look(campaign, wave):
    """Return when hosts of a wave are looked at the next time, infinite for never."""
    firsts = [next(iter(hosts.values())) + 60 * minutes for minutes, hosts in zip(wave.soak, wave.looks) if hosts]
    pause = 0 if wave.looked is None else wave.looked + campaign.plan["settings"]["limits"]["look"]
    return max(min(firsts), pause) if firsts else math.inf


def _due(campaign, wave, now):
    """Return the verified hosts of a wave that are to be looked at now; such looks are at least limits:look apart."""
    if now < _next_look(campaign, wave):
        return []
    found = []
    for minutes, hosts in zip(wave.soak, wave.looks):
        found += itertools.takewhile(lambda host: hosts[host] + 60 * minutes <= now, hosts)  # noqa: B023 - used at once
    return found


def _left(wave):
    """Return how many looks are left, each host counted as often as it will be looked at."""
    return sum((len(wave.looks) - number) * len(hosts) for number, hosts in enumerate(wave.looks))


def _sooner(campaign, todo):
    """Let no wait be longer than until the next look."""
    if todo["do"] != "wait":
        return todo
    return dict(todo, until=min([todo["until"], *(_next_look(campaign, wave) for wave in campaign.reached)]))


def _closed(campaign, now):
    """Return why no host may be started now, or ``None``."""
    if campaign.paused:
        return f"paused by {campaign.paused['by']}"
    rules = campaign.plan["settings"]["windows"]
    closes = maintenance.until(rules, now)
    if closes is None:
        opens = maintenance.opening(rules, now)
        if opens is None:
            return f"outside of the maintenance windows, none opens within {maintenance.AHEAD} days"
        return f"outside of the maintenance windows, the next one opens {maintenance.local(rules, opens)}"
    return "the maintenance window is about to close" if closes - now < LEAST else None


def _reopens(campaign, now):
    opens = maintenance.opening(campaign.plan["settings"]["windows"], now) or now + NAP
    return now + NAP if campaign.running or campaign.paused else min(max(opens, now + 1), now + NAP)


def _start(campaign, wave, now, ignored):
    stale = [host for host, at in wave.ready.items() if now - at > FRESH]
    if stale:
        return {"do": "waiting", "hosts": stale}
    if wave.ready:
        return {"do": "start", "wave": wave.number, "hosts": list(wave.ready), "by": start_by(campaign, now)}
    worn = _worn(campaign, wave)
    if worn:
        return {"do": "failed", "hosts": worn}
    # The place of a host that is silent is given on: it may be dead.
    free = batch(campaign, wave) - campaign.started - campaign.armed + campaign.silent
    there = campaign.apart.free(wave.queue, now, ignored)
    hosts = campaign.apart.pick(there, min(free, ASK)) if _refill(free, batch(campaign, wave)) else []
    if hosts:
        return {"do": "ask", "hosts": hosts, "wave": wave.number}
    soon = min((ignored[host] for host in ignored if ignored[host] > now), default=now + NAP)
    if wave.counts[states.RUNNING] == wave.silent and now >= (campaign.late_until or now + 1):
        given_up = list(campaign.apart.free(wave.queue, math.inf, {}))
        if given_up:
            return {"do": "absent", "hosts": dict.fromkeys(given_up, "it has not come back in time")}
    return wait(min(soon, now + NAP), "; ".join(filter(None, (f"wave {wave.name}", restarts.waits(campaign)))))


def _refill(free, size):
    """Whether it is worth asking: a job for every single host that ends would be a job a host."""
    return free >= max(1, size // 4)


def _worn(campaign, wave):
    """Return the hosts whose run was cut off too often, with the reason."""
    most = campaign.plan["settings"]["limits"]["attempts"]
    step = f"finish it with state.apply klp.{campaign.plan['kind']} on this host"
    why = f"its run was cut off {count(most, 'time')}; when the reason is found, {step}"
    return {host: why for host in wave.cut if campaign.hosts[host].attempt >= most}


def start_by(campaign, now):
    """Return the moment after which a host shall refuse the run: at the latest the end of the maintenance window."""
    closes = maintenance.until(campaign.plan["settings"]["windows"], now)
    within = now + campaign.plan["settings"]["limits"]["start_within"]
    return int(within if closes is None else min(within, closes))


def _soak(campaign, wave, now):
    """Return the next step of a wave whose runs have all ended."""
    if wave.patched is None:
        return {"do": "patched", "wave": wave.number}
    if wave.checked or not wave.looks or not wave.counts[states.VERIFIED]:
        return {"do": "passed", "wave": wave.number}
    due = _next_look(campaign, wave)
    if now < due < math.inf:
        return wait(min(due, now + NAP), f"watching wave {wave.name}: {count(_left(wave), 'check')} remaining")
    return {"do": "check", "wave": wave.number, "hosts": campaign.verified(wave), "last": True}


def _last_look(campaign, now):
    """Return the look at all hosts that were patched, which ends a campaign; ``None`` where it was done."""
    watched = {wave.number for wave in campaign.waves if wave.looks}
    hosts = [
        host
        for host, item in campaign.hosts.items()
        if item.stage == states.VERIFIED and item.wave in watched and now - (item.looked or 0) > FRESH
    ]
    return {"do": "look", "hosts": hosts} if hosts and campaign.looked is None else None


def gate(campaign, wave):
    """
    Return the step that ends a campaign whose gate has failed: nobody is started any more.

    wave
        the one that has exceeded a limit, perhaps by an answer that came late: then the wave whose turn it is, which
        has not passed its gate, goes back with it.

    A live patch is suspected, and taken back, only if a host to which it may have come has failed or fallen silent:
    hosts that refused or did not answer before they were started say nothing about it.
    """
    planned, numbers = campaign.plan["hosts"], (wave.number, campaign.current)
    touched = [host for host, item in campaign.hosts.items() if item.wave in numbers and item.touched]
    touched = [host for host in touched if changed(planned[host])] if campaign.plan["kind"] != "rollback" else []
    if not any(campaign.hosts[host].stage in (states.FAILED, states.UNREACHABLE) for host in touched):
        touched = []
    back = [host for host in touched if planned[host]["before"]]
    pairs = sorted({(planned[host]["package"], planned[host]["target"]) for host in touched})
    why = exceeded(campaign, wave)
    if campaign.plan["kind"] == "kernel" and pairs:  # no plan brings it to others without having asked them
        why, pairs = f"{why} (kernel {', '.join(target for _, target in pairs)})", []
    return {
        "do": "gate",
        "wave": wave.number,
        "why": why,
        "back": back if campaign.plan["settings"]["on_failure"] == "rollback" else [],
        "suspects": [{"package": package, "edition": edition} for package, edition in pairs],
    }


def changed(planned):
    """Return whether a plan changes the live patch of a host."""
    return planned["target"] is not None and planned["target"] != planned["before"]


def _wind_down(campaign, now, ignored):
    suspects = campaign.stopped["suspects"]
    if suspects and campaign.plan["settings"]["quarantine"] and not campaign.quarantined:
        return {"do": "quarantine", "items": suspects}
    ready = [host for wave in campaign.reached for host in wave.ready]
    if ready:
        return {"do": "waiting", "hosts": ready}
    if campaign.started > campaign.silent:
        return wait(now + NAP, "the hosts that still run")
    cut = [host for one in campaign.reached for host in one.cut]
    if cut:
        return {"do": "failed", "hosts": dict.fromkeys(cut, CUT.format(campaign.plan["kind"]))}
    result = "aborted" if campaign.stopped["wave"] is None else "stopped"
    return (
        _go_back(campaign, now, ignored)
        or _awaited(campaign, now)
        or _last_look(campaign, now)
        or {"do": "end", "result": result}
    )


def _awaited(campaign, now):
    """Return the wait for the verdict on hosts that were started and are silent, ``None`` where there are none."""
    names = ", ".join(wave.name for wave in campaign.reached if wave.silent)
    return wait(now + NAP, f"hosts that are silent (wave {names})") if campaign.started else None


def _go_back(campaign, now, ignored):
    """Return the next step of the rollback of a wave, ``None`` when all of it is done."""
    armed = campaign.placed(stages.BACK_INSTALLED)
    if not (campaign.back_queue or campaign.back_running or armed):
        return None
    stays = campaign.apart.stays()
    if stays:
        return {"do": "stays", "hosts": stays, "apart": True}
    wave = campaign.waves[campaign.stopped["wave"]]
    free = batch(campaign, wave) - campaign.back_running
    todo = restarts.order_back(campaign, now, ignored, free)
    if todo:
        return todo
    free -= len(armed) if campaign.plan["settings"].get("reboot") else 0
    # The run of a silent host may still go on; it goes back when it is known how that has ended.
    there = campaign.apart.returning(now, ignored)
    there = (host for host in there if campaign.hosts[host].stage not in stages.ACTIVE)
    hosts = campaign.apart.pick(there, min(free, ASK)) if _refill(free, batch(campaign, wave)) else []
    if hosts and not campaign.paused:
        return {"do": "ask_back", "hosts": hosts}
    soon = min((at for at in ignored.values() if at > now), default=now + NAP)
    return wait(
        min(soon, now + NAP), f"paused by {campaign.paused['by']}" if campaign.paused else "the hosts that go back"
    )


def _unwatched(campaign, now):
    """Return the wait for the looks at hosts that have ended after their wave had passed, ``None``: all were done."""
    due = min(_next_look(campaign, wave) for wave in campaign.reached)
    return wait(min(due, now + NAP), "looks at hosts that were silent for a while") if due < math.inf else None


def _late(campaign, now, expired):
    absent = campaign.absent() if campaign.late_until is None and not expired else []
    if absent:
        late = campaign.plan["settings"]["presence"]["late"]
        return {"do": "late", "hosts": absent, "until": int(now + late)}
    counts = campaign.counts()
    missing = any(kind in planning.MISSING for kind, _ in campaign.plan["left_out"].values())
    good = counts[states.VERIFIED] == sum(counts.values()) and not missing
    end = {"do": "end", "result": "done" if good else "expired" if expired else "incomplete"}
    return _last_look(campaign, now) or end
