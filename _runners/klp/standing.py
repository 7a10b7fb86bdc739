"""
How campaigns stand: what is read of them, nothing is changed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

from salt.exceptions import CommandExecutionError, SaltInvocationError

from . import board, files, persons, schema, show, store, telling
from . import campaign as states
from .outcome import RETCODES, answer, progress

FOLDER = "var/lib/salt-klp"


class Standing:
    """The campaigns of one master, for who looks."""

    def __init__(self, opts):
        self.opts = opts
        folder = opts.get("klp_folder") or os.path.join(opts.get("root_dir") or "/", FOLDER)
        self.store = store.Store(folder, opts.get("user"))

    def _campaign(self, name):
        with store.fitting(self.store, name):
            return states.replay(self.store.plan(name), self.store.entries(name))

    def overview(self, name):
        """Return a campaign in numbers; one that is over is summed up once."""
        found = self.store.finished(name)
        if found is None:
            campaign = self._campaign(name)
            found = summary(campaign, None)
            if campaign.over:
                with contextlib.suppress(files.DiskError):  # the next one who looks does it
                    self.store.finish(name, found)
        return found

    def answer(self, name, hosts=True):
        """Return how a campaign stands, with the exit code that belongs to it."""
        campaign, driven = self._campaign(name), self.store.driven(name)
        paused = campaign.paused and not driven
        word = campaign.result if campaign.over else "paused" if paused else "running" if campaign.begun else "open"
        text = show.status_text(campaign, driven, time.time(), hosts)
        page, steps = self.store.path(name, board.NAME), self.store.path(name, "journal")
        stale = board.stale(page, steps, campaign.begun, time.time()) if driven and campaign.begun else None
        return answer(RETCODES[word], f"{text}\n{stale}" if stale else text, campaign=summary(campaign, word))

    def status(self, name, watch):
        """Return how one campaign or all of them stand; ``watch`` seconds: again and again until it is over."""
        if not name:
            return self._all()
        if watch and not (schema.whole(watch, 1, 3600) or (isinstance(watch, float) and 0.1 <= watch <= 3600)):
            raise SaltInvocationError(f"watch: wanted seconds from 1 to 3600, found {schema.show(watch)}")
        found = self.answer(name)
        while watch and found["retcode"] == RETCODES["running"]:
            clear = "\033[H\033[J" if sys.stdout.isatty() else ""
            sys.stdout.write(f"{clear}{found['text']}\n")
            sys.stdout.flush()
            time.sleep(watch)
            found = self.answer(name)
        return found

    def _all(self):
        """Return all campaigns in a line each; what is damaged is named, and keeps nothing else from being shown."""
        rows, damaged, quarantine = [], {}, []
        for name in self.store.ids():
            try:
                rows.append(self.overview(name))
            except CommandExecutionError as exc:
                damaged[name] = f"{exc}" + ("; until then its hosts stay taken" if self.store.holds(name) else "")
        try:
            quarantine = self.store.quarantine()
        except files.DamagedError as exc:
            damaged["quarantine"] = str(exc)
        text = show.list_text(rows, quarantine, damaged)
        return answer(0, text, campaigns=rows, quarantine=quarantine, damaged=damaged)

    def report(self, name):
        """Return what has become of each host of a campaign, and its history."""
        campaign = self._campaign(name)
        document = summary(campaign, None)
        document["hosts"] = {host: host_report(campaign, host) for host in campaign.hosts}
        document["left_out"] = campaign.plan["left_out"]
        document["skipped"] = campaign.plan.get("skipped", [])
        entries = self.store.entries(name)
        document["persons"] = persons.persons(campaign.plan, entries, self._history())
        document["history"] = [brief(entry) for entry in entries]
        text = show.report_text(campaign, document, entries)
        return answer(0 if not campaign.over else RETCODES[campaign.result], text, report=document)

    def _history(self):
        try:
            return self.store.history()
        except files.DamagedError as exc:
            progress(f"who has released live patches is not known: {exc}")
            return []

    def quarantined(self):
        """Return what is in quarantine."""
        items = self.store.quarantine()
        return answer(0, "\n".join(show.quarantine_lines(items)) or "nothing is in quarantine", quarantine=items)


def summary(campaign, word):
    """Return a campaign in numbers."""
    counts = campaign.counts()
    waves = [
        {
            "name": wave.name,
            "hosts": wave.total,
            "opened": wave.opened,
            "patched": wave.patched,
            "passed": wave.closed,
            **{stage: wave.counts[stage] for stage in states.STAGES},
        }
        for wave in campaign.waves
    ]
    state = "paused" if campaign.paused else "begun" if campaign.begun else "plan"
    return {
        "id": campaign.id,
        "kind": campaign.plan["kind"],
        "state": word or (campaign.result if campaign.over else state),
        "created": campaign.plan["created"],
        "begun": campaign.begun,
        "over": campaign.over,
        "why": campaign.stopped["why"] if campaign.stopped else None,
        "hosts": len(campaign.hosts),
        "verified": counts[states.VERIFIED],
        "failed": counts[states.FAILED] + counts[states.REFUSED],
        "unreachable": counts[states.UNREACHABLE] + counts[states.ABSENT],
        "waves": waves,
        "quarantined": campaign.quarantined,
        "back": dict(campaign.back_counts),
    }


def host_report(campaign, host):
    """Return what has become of one host."""
    item, planned = campaign.hosts[host], campaign.plan["hosts"][host]
    spent = item.ended - item.started if item.ended and item.started else None
    return {
        "wave": campaign.waves[item.wave].name,
        "stage": item.stage,
        "why": item.why or telling.between(campaign, host),
        "before": planned["before"],
        "target": planned["target"],
        "packages": len(campaign.plan["offers"][planned["offer"]]["changes"]),
        "runs": item.attempt,
        "started": item.started,
        "ended": item.ended,
        "seconds": spent,
        "back": item.back,
        "job": item.jid,
    }


def brief(entry):
    """Return an entry of the journal with the number of its hosts instead of all of them."""
    return {key: len(value) if key in ("hosts", "back") else value for key, value in entry.items()}
