"""Play the demonstration; exits 0 only if every host ended as it should."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from tests.lab.build import CHECKOUT, build
from tests.lab.host import wait_until

from . import report
from .jobs import Jobs, Return
from .show import Show
from .stage import LOGS, Stage, StageError

HOSTS = {
    "ready": ("converged", "is patched already"),
    "fresh": ("fresh", "has no live patching yet, and all updates are pending"),
    "held": ("enabled", "has updates pending, and a process that will hold the new live patch up"),
}
SNAPSHOT = "/usr/local/sbin/volume-snapshot"
SNAPSHOT_SCRIPT = """\
#!/bin/sh
# Stands for the command line of a storage system or a cloud.
set -eu
case "$1" in
create) mkdir -p "/var/lib/volumes/vol-$KLP_RUN"; echo "vol-$KLP_RUN" ;;
verify) test -d "/var/lib/volumes/$2" ;;
esac
"""
PILLAR = {
    "klp": {
        "backup": {"backend": "command", "create": [SNAPSHOT, "create"], "verify": [SNAPSHOT, "verify"]},
        "transition": {"timeout": 5},
        "update": {"scriptlets": "accept"},  # the %post of the lab's nfs-client fails
    }
}
BLOCKER = "/usr/sbin/blkmapd"


class Play:
    """The demonstration on a running stage."""

    def __init__(self, stage: Stage, show: Show, jobs: Jobs) -> None:
        self.stage = stage
        self.show = show
        self.jobs = jobs
        self.runs: dict[str, list[report.Record]] = {name: [] for name in HOSTS}

    def furnish(self) -> subprocess.Popen[str]:
        """Give each host the backup program, and ``held`` its blocker, which is returned."""
        for host in self.stage.hosts.values():
            host.write(SNAPSHOT, SNAPSHOT_SCRIPT, mode=0o755)
        held = self.stage.hosts["held"]
        blocker = held.popen([BLOCKER])
        held.faults(blockers=[blocker.pid], release_on_exit=True)
        return blocker

    def sync(self) -> None:
        """Send the modules to the minions."""
        self.show.headline("salt '*' saltutil.sync_all")
        for name, answer in self.jobs.run("saltutil.sync_all", list(HOSTS)).items():
            sent = sum(len(files) for files in answer.data.values()) if isinstance(answer.data, dict) else 0
            if answer.retcode or not sent:
                raise StageError(f"saltutil.sync_all on {name}: {answer.data}")
            self.show.step(f"synced {sent} modules, states and helpers", name)

    def ask(self, names: Sequence[str], functions: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the answers of some functions by host; an answer that is an error ends the demonstration."""
        found = {}
        for name, answer in self.jobs.run(functions, names).items():
            # The exit code is that of the verdict too; a function that failed has answered with a text.
            if not isinstance(answer.data, dict) or any(isinstance(value, str) for value in answer.data.values()):
                raise StageError(f"{', '.join(functions)} on {name}: {answer.data}")
            found[name] = answer.data
        return found

    def apply(self, sls: str, names: Sequence[str], target: str = "*") -> dict[str, Return]:
        """Apply an SLS and note what it cost each host."""
        self.show.headline(f"salt '{target}' state.apply {sls}")
        for name in names:
            self.stage.hosts[name].forget_programs()
        with self.show.waiting("the minions begin"):
            answers = self.jobs.run("state.apply", names, args=[sls], watch=self.show.state, done=self.ended)
        for name, answer in answers.items():
            calls = self.stage.hosts[name].count("zypper")
            self.runs[name].append(
                {"sls": sls, "retcode": answer.retcode, "zypper_calls": calls, "seconds": round(answer.seconds, 1)}
            )
        return answers

    def ended(self, name: str, answer: Return) -> None:
        """Show the end of a state run on one host."""
        self.show.ended(name)
        states = report.states(answer.data)
        changed = [ident for ident, state in states.items() if state["changes"]]
        if not states:
            self.show.step(report.failures(answer.data)[0], name, "failed", style="red")
        elif report.failures(answer.data):
            self.show.step(
                f"stopped, exit code {answer.retcode}", name, f"after {answer.seconds:.1f} s", style="yellow"
            )
        else:
            text = (
                f"good: {len(states)} steps, {len(changed)} changed something" if changed else "good: nothing to change"
            )
            self.show.step(text, name, f"after {answer.seconds:.1f} s", style="green")

    def release(self, blocker: subprocess.Popen[str]) -> None:
        """End the blocker and wait for the end of the transition that it held up."""
        self.show.headline(f"kill {blocker.pid}    # on held: what blocked it, {BLOCKER}")
        blocker.terminate()
        blocker.wait(timeout=30)
        held = self.stage.hosts["held"]
        wait_until(
            lambda: not any(patch["transition"] for patch in held.live_patches().values()), 30, "the transition to end"
        )
        self.show.step("the transition has ended by itself", "held")

    def again(self, facts: Mapping[str, Any]) -> report.Record:
        """Run the maintenance of ``held`` a second time and return what came of it."""
        self.runs["held"] = []
        answer = self.apply("klp.patch", ["held"], "held")["held"]
        later = self.ask(["held"], report.FACTS_AFTER)["held"]
        return report.outcome(later, report.begin(facts), self.runs["held"], answer.data)

    def fleet(self) -> report.Record:
        """Let the master report on all hosts, and return what it found."""
        self.show.headline("salt-run klp.report")
        code, found = self.stage.runner("klp.report", "ask=all", f"folder={LOGS / 'report'}")
        if "report" not in found:
            raise StageError(f"klp.report: {found}")
        self.show.fleet(found["text"], code)
        return {"retcode": code, "hosts": found["report"]["hosts"], "left_out": found["report"]["left_out"]}

    def act(self) -> tuple[list[report.Record], report.Record]:
        """Run everything and return the records."""
        names = list(HOSTS)
        blocker = self.furnish()
        self.sync()
        before = self.ask(names, report.FACTS_BEFORE)
        self.apply("klp", names)
        answers = self.apply("klp.patch", names)
        after = self.ask(names, report.FACTS_AFTER)
        records = {
            name: report.outcome(after[name], report.begin(before[name]), self.runs[name], answers[name].data)
            for name in names
        }
        self.release(blocker)
        records["held"]["after_release"] = self.again(after["held"])
        return [{"host": name, **record} for name, record in records.items()], self.fleet()


def play(show: Show) -> tuple[list[report.Record], report.Record]:
    """Build the lab, set the stage, and return the records of the play and the view of the fleet."""
    show.line("salt-klp: three hosts like SUSE Linux Enterprise Server 15 SP5, each with a real zypper", style="bold")
    for name, (_, text) in HOSTS.items():
        show.line(f"  {name:<6} {text}")
    show.line()
    show.step("the packages and repositories of the hosts are being made, or taken from the last time")
    lab = build()
    with Stage(lab, {name: golden for name, (golden, _) in HOSTS.items()}, PILLAR) as stage:
        show.step(f"a real Salt master and {len(HOSTS)} real minions start")
        with show.waiting("waiting for the master"):
            stage.start()
            stage.wait_for_master(60)
        with closing(Jobs(stage.config, stage.check)) as jobs:
            with show.waiting("waiting for the minions"):
                jobs.wait_for_minions(list(HOSTS), 120)
            stage.attach()
            show.step("all minions have signed in")
            return Play(stage, show, jobs).act()


def finish(show: Show, records: list[report.Record], fleet: report.Record) -> int:
    """Print and write the report; return the exit code."""
    show.table(records)
    show.left_out(records)
    for item in records:
        show.way_on(item)
    problems = report.problems(records) + report.fleet_problems(fleet)
    path = LOGS / "report.json"
    path.write_text(
        json.dumps({"ok": not problems, "problems": problems, "hosts": records, "fleet": fleet}, indent=2) + "\n"
    )
    show.line()
    for problem in problems:
        show.line(f"NOT as it should be: {problem}", style="bold red")
    if not problems:
        show.step(
            "All as it should be: two hosts are patched without a reboot, the blocked one said why.", style="bold green"
        )
    show.line(f"The same as data: {path.relative_to(CHECKOUT)}")
    return 1 if problems else 0


def stop(number: int, _frame: object) -> None:
    """End the demonstration because of a signal: not as KeyboardInterrupt, which Salt's event bus swallows."""
    sys.exit(128 + number)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration."""
    argparse.ArgumentParser(prog="python -m demo", description=__doc__).parse_args(argv)
    show = Show()
    if os.geteuid() != 0:
        show.line("The demonstration makes hosts out of namespaces: run it as root.", style="red")
        return 1
    logging.disable()  # Salt's client has nothing to say here; the daemons have their own logs
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    (LOGS / "report.json").unlink(missing_ok=True)
    try:
        return finish(show, *play(show))
    except SystemExit:
        show.line("Stopped: all processes of the demonstration have ended, its hosts are gone.")
        raise
    except (StageError, TimeoutError, OSError, subprocess.SubprocessError, RuntimeError) as exc:
        show.line(f"The demonstration did not come to its end: {exc}", style="bold red")
        return 1


if __name__ == "__main__":
    sys.exit(main())
