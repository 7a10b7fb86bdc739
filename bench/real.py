"""What a campaign costs real minions: ``klp.run`` over some, ``state.apply klp.patch`` alone over as many others."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.__main__ import PILLAR, SNAPSHOT, SNAPSHOT_SCRIPT, stop
from demo.jobs import Jobs
from demo.stage import Stage, StageError
from tests.lab.build import build

from . import table

HOSTS = 6
PLAIN = [f"plain{number:02}" for number in range(1, HOSTS + 1)]
FLEET = [f"fleet{number:02}" for number in range(1, HOSTS + 1)]
# One wave, all at once, and nobody is looked at afterwards: looks are limits:look seconds apart, and would be measured.
CAMPAIGN = {
    "target": "fleet*",
    "target_type": "glob",
    "waves": [{"name": "all", "take": "rest"}],
    "batch": "100%",
    "soak": {"minutes": []},
}
PATIENCE = 240  # seconds for one command


@dataclass
class Cost:
    """What a command took: seconds until its end, seconds of CPU in its own process, and what it answered."""

    wall: float
    cpu: float
    answer: Any


def command(stage: Stage, program: str, *args: str) -> Cost:
    """Run a command of the master to its end."""
    path = Path(sys.executable).parent / program
    argv = [sys.executable, str(path), "-c", str(stage.config.parent), "--out=json", *args]
    begun = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode, wall = os.waitstatus_to_exitcode(status), time.monotonic() - begun
        said.seek(0)
        text = said.read().decode()
    if process.returncode:
        raise StageError(f"{program} {' '.join(args)}: exit {process.returncode}: {text[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, json.loads(text))


def ask(jobs: Jobs, names: Sequence[str], fun: str, *args: str) -> None:
    """Let hosts do something that is not measured."""
    for name, answer in jobs.run(fun, names, args=args, timeout=PATIENCE).items():
        if answer.retcode:
            raise StageError(f"{fun} on {name}: {str(answer.data)[:2000]}")


def prepare(stage: Stage, jobs: Jobs) -> None:
    """Make all hosts the same: live patched, locked, all updates pending, and asked what they would get."""
    for host in stage.hosts.values():
        host.write(SNAPSHOT, SNAPSHOT_SCRIPT, mode=0o755)
    ask(jobs, [*PLAIN, *FLEET], "saltutil.sync_all")
    ask(jobs, [*PLAIN, *FLEET], "state.apply", "klp")


def play(stage: Stage, jobs: Jobs) -> dict[str, Cost]:
    """Patch the hosts both ways."""
    prepare(stage, jobs)
    say("the hosts are ready; those of the campaign are asked for its plan, the others the same")
    plan = command(stage, "salt-run", "klp.plan", f"pillar={json.dumps({'klp_campaign': CAMPAIGN})}")
    made = plan.answer["plan"]
    if made["left_out"] or len(made["hosts"]) != HOSTS:
        raise StageError(plan.answer["text"])
    ask(jobs, PLAIN, "klp_audit.run_preview")
    say(f"{HOSTS} hosts without a campaign")
    plain = command(stage, "salt", "-t", str(PATIENCE), "--static", "-L", ",".join(PLAIN), "state.apply", "klp.patch")
    say(f"{HOSTS} hosts with a campaign")
    run = command(stage, "salt-run", "klp.run", made["id"])
    found = {host.editions(made["hosts"][FLEET[0]]["package"])[0] for host in stage.hosts.values()}
    if found != {made["hosts"][FLEET[0]]["target"]}:
        raise StageError(f"the hosts are not patched alike: {found}")
    return {"salt -L ... state.apply klp.patch": plain, "salt-run klp.run ID": run, "salt-run klp.plan": plan}


def text(costs: dict[str, Cost], hosts: int) -> str:
    """Return what it cost, as a table."""
    plain, run, plan = costs.values()
    more = Cost(run.wall - plain.wall, run.cpu - plain.cpu, None)
    rows = {**costs, "what klp.run adds": more}
    cells = [
        [name, *[f"{value:.2f}" for value in (cost.wall, cost.wall / hosts, cost.cpu, cost.cpu / hosts)]]
        for name, cost in rows.items()
    ]
    head = [f"{hosts} real minions", "seconds", "a host", "CPU of the command", "a host"]
    share = f"klp.run adds {more.wall / hosts:.2f} s a host, {100 * more.wall / run.wall:.0f} % of the whole"
    return "\n".join(
        [*table.columns(head, cells), "", f"{share}; klp.plan before it, {plan.wall / hosts:.2f} s a host."]
    )


def say(line: str) -> None:
    """Tell what is being done."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


def main() -> int:
    """Measure and print."""
    if os.geteuid() != 0:
        say("the hosts are made of namespaces: run it as root")
        return 1
    logging.disable()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    say(f"a master and {2 * HOSTS} minions in hosts with a real zypper start")
    try:
        with Stage(build(), dict.fromkeys([*PLAIN, *FLEET], "enabled"), PILLAR) as stage:
            stage.start()
            stage.wait_for_master(60)
            with closing(Jobs(stage.config, stage.check)) as jobs:
                jobs.wait_for_minions([*PLAIN, *FLEET], PATIENCE)
                stage.attach()
                print(text(play(stage, jobs), HOSTS))
    except (StageError, TimeoutError, OSError, subprocess.SubprocessError, RuntimeError) as exc:
        say(f"it did not come to its end: {exc}")
        return 1
    return 0
