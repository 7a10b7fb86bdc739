"""What the commands of a campaign do, each measured in a process of its own, on the same plan and the same journal."""

from __future__ import annotations

import gc
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from _runners.klp import campaign, drive, planning, show, standing, store, turning
from tests.simulation.campaign import MEMORY
from tests.simulation.world import START

from .fleet import Fleet, Timed, failing, hosts, run_preview
from .fleet import campaign as settings

Result = dict[str, Any]  # {"seconds": {row: seconds of CPU}, "facts": {row: number}}
T = TypeVar("T")
QUICK, TIMES = 3.0, 5  # what takes less than that many seconds is done so often, and the quickest counts


def measure(work: Callable[[], T]) -> tuple[float, T]:
    """Return how many seconds of CPU a piece of work takes, and what comes of it."""
    best = float("inf")
    for _ in range(TIMES):
        gc.collect()
        begun = time.process_time()
        found = work()
        best = min(best, time.process_time() - begun)
        if best > QUICK:
            break
    return best, found


def memory() -> int:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000


def resident() -> int:
    """Return the memory that this process has now, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 10**6


def facts(there: Fleet) -> dict[str, Any]:
    """Return what a plan is made of; each answer is made now."""
    names = sorted(there.hosts)
    return {
        "kind": "patch",
        "master": "master",
        "hosts": names,
        "answers": {name: run_preview(there, there.hosts[name]) for name in names},
        "asked": there.now(),
        "members": [None] * 3,
        "busy": {},
        "strange": {},
        "known": {},
        "quarantine": [],
    }


def plan(size: int, folder: Path) -> Result:
    """The plan: made of answers, shown, written."""
    there = Fleet(hosts(size))
    known, asked = facts(there), settings(size)
    made_in, made = measure(lambda: planning.make(known, asked, there.now()))
    text_in, _ = measure(lambda: show.plan_text(made))
    kept = store.Store(str(folder))
    saved_in, _ = measure(lambda: kept.save(made))
    return {
        "seconds": {"klp.plan: made": made_in, "klp.plan: text": text_in, "klp.plan: saved": saved_in},
        "facts": {"plan, MB": os.stat(kept.path(made["id"], "plan.json")).st_size / 1e6},
    }


def the_one(folder: Path) -> tuple[store.Store, str]:
    """Return the store, and the id of the only plan in it."""
    kept = store.Store(str(folder))
    (name,) = kept.ids()
    return kept, name


class Campaign:
    """A campaign over a fleet, from its first step to its end, and what of its time was whose."""

    def __init__(self, kept: store.Store, made: dict[str, Any], there: Fleet) -> None:
        self.kept, self.made, self.there, self.hands = kept, made, there, Timed(there)
        self.journal = self.disk = 0.0  # seconds of CPU to write the journal, and seconds of waiting for the disk
        self.gate_at = 0.0  # seconds of CPU when a gate failed
        self.begun = 0.0

    def own(self) -> float:
        """Return the seconds of CPU until now without those of the simulation."""
        return time.process_time() - self.begun - self.hands.seconds

    def said(self, entry: dict[str, Any]) -> None:
        """Tell of an entry as the runner does, but to nobody."""
        if entry["what"] == "gate":
            self.gate_at = self.own()
        show.line(self.made, entry)

    def _written(self, append: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[dict[str, Any]], Any]:
        def call(entry: dict[str, Any]) -> dict[str, Any]:
            cpu, wall = time.process_time(), time.perf_counter()
            found = append(entry)
            spent = time.process_time() - cpu
            self.journal += spent
            self.disk += time.perf_counter() - wall - spent
            return found

        return call

    def drive(self) -> campaign.Campaign:
        """Drive it to its end and return how it stands then."""
        with self.kept.driving(self.made["id"]) as journal:
            journal.append = self._written(journal.append)
            self.begun = time.process_time()
            driver = drive.Driver(self.kept, self.made, journal, self.hands, self.said)
            turning.turn([driver])
            self.spent = self.own()
            return driver.campaign


def run(size: int, folder: Path) -> Result:
    """The campaign: all its decisions, with a journal on the disk."""
    kept, name = the_one(folder)
    before, there = resident(), Fleet(hosts(size))
    simulated = resident() - before
    loaded_in, made = measure(lambda: kept.plan(name))
    whole = Campaign(kept, made, there)
    found = whole.drive()
    counts = found.counts()
    return {
        "seconds": {
            "klp.run: plan loaded": loaded_in,
            "klp.run: decisions": whole.spent - whole.journal,
            "klp.run: journal": whole.journal,
        },
        "facts": {
            "journal, entries": found.numbered,
            "journal, MB": os.stat(kept.path(name, "journal")).st_size / 1e6,
            "waited for the disk, s": whole.disk,
            "the campaign takes, h (simulated)": (whole.there.now() - START) / 3600,
            "verified": counts[campaign.VERIFIED],
            "failed": counts[campaign.FAILED] + counts[campaign.REFUSED],
            "unreachable": counts[campaign.UNREACHABLE] + counts[campaign.ABSENT],
            "simulation, s of CPU (not counted)": whole.hands.seconds,
            "simulation, MB (counted in klp.run)": simulated,
        },
    }


def status(size: int, folder: Path) -> Result:
    """What klp.status costs while a campaign runs, or after it."""
    kept, name = the_one(folder)
    made = kept.plan(name)
    replayed_in, found = measure(lambda: campaign.replay(made, kept.entries(name)))
    text_in, _ = measure(lambda: show.status_text(found, False, found.at))
    return {"seconds": {"klp.status: journal replayed": replayed_in, "klp.status: text": text_in}, "facts": {}}


def report(size: int, folder: Path) -> Result:
    """What klp.report makes of the journal."""
    kept, name = the_one(folder)
    entries = kept.entries(name)
    found = campaign.replay(kept.plan(name), entries)

    def document() -> dict[str, Any]:
        made = standing.summary(found, None)
        made["hosts"] = {host: standing.host_report(found, host) for host in found.hosts}
        made["left_out"] = found.plan["left_out"]
        made["history"] = [standing.brief(entry) for entry in entries]
        return made

    made_in, made = measure(document)
    text_in, _ = measure(lambda: show.report_text(found, made, entries))
    return {"seconds": {"klp.report: document": made_in, "klp.report: text": text_in}, "facts": {}}


def back(size: int, folder: Path) -> Result:
    """The rollback of a wave that failed its gate when it was half done; its journal costs no disk."""
    there = Fleet(failing(size))
    made = planning.make(facts(there), settings(size, on_failure="rollback"), there.now())
    with tempfile.TemporaryDirectory(dir=MEMORY) as memory_folder:
        kept = store.Store(memory_folder)
        kept.save(made)
        whole = Campaign(kept, made, there)
        found = whole.drive()
    return {
        "seconds": {"a wave goes back": whole.spent - whole.gate_at},
        "facts": {"went back": found.back_counts[campaign.BACK]},
    }


PARTS: dict[str, Callable[[int, Path], Result]] = {
    "klp.plan": plan,
    "klp.run": run,
    "klp.status": status,
    "klp.report": report,
    "back": back,
}
