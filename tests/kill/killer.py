"""Kills: at the start of a program, some time later, or of the whole host at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.host import NOISE, PROGRAMS, Host, Program, mount_namespace, processes, wait_until

GATE = "/run/lab-gate"
TOOLS = ("zypper", "rpm")
# What zypper and Salt start beside their work, at a moment that is never the same.
ASIDE = ("systemd-inhibit", "lsof", "ldconfig")
COMMANDS = ("-U", "-e", "-q", "-qa", "-ql", "--type", "--dry-run")
VICTIMS = ("tool", "parent", "salt", "power")


class Gate:
    """A gate in front of every program that is started in a host; see preload.c."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.folder = host.path(GATE)

    def __enter__(self) -> Gate:
        self.folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        self.open()

    def open(self) -> None:
        """Let everybody pass from now on, also who stands at the gate."""
        if self.folder.exists():
            opened = self.folder.rename(f"{self.folder}-opened")
            for entry in opened.iterdir():
                free(entry)
            opened.rmdir()

    def starts(self, run: subprocess.Popen[str]) -> Iterator[Program]:
        """Yield each program that is to be started; it stands at the gate until the next one is asked for."""
        log, size, seen = self.host.path(PROGRAMS), 0, 0
        while run.poll() is None:
            if log.stat().st_size == size:
                time.sleep(0.002)
                continue
            size = log.stat().st_size
            programs = self.host.programs()
            for program in programs[seen:]:
                yield program
                free(self.folder / str(program.pid))
            seen = len(programs)

    def steps(self, run: subprocess.Popen[str]) -> Iterator[Program]:
        """Yield the steps of a run: the programs that are started by the product, not by Salt's grains."""
        begun = False
        for program in self.starts(run):
            begun = begun or is_first(program)
            if begun and name(program) not in ASIDE:
                yield program


def free(fifo: Path) -> None:
    """Let the process go that stands at this FIFO; it may have died there."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and Path(f"/proc/{fifo.name}").exists():
        try:
            handle = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # not made yet, or not yet opened by the process
            time.sleep(0.001)
            continue
        fifo.unlink()
        os.close(handle)
        return
    fifo.unlink(missing_ok=True)


def name(program: Program) -> str:
    """Return the name under which a program was started."""
    return os.path.basename(program.path)


def is_first(program: Program) -> bool:
    """Tell whether the product's work has begun: Salt's grains start neither zypper nor klp, and one rpm only."""
    return name(program) in (*TOOLS, "klp") and program.argv != NOISE


def title(program: Program) -> str:
    """Return a short title of a step: the program and, where it says more, its command and what it works on."""
    own = name(program)
    if own not in (*TOOLS, "klp", "klp-test-hook"):
        return own
    words = [os.path.basename(word) for word in program.argv[1:] if is_telling(word)]
    return " ".join([own, *words[:2]])[:60]


def is_telling(word: str) -> bool:
    """Tell whether an argument says what a program is about."""
    return word in COMMANDS or word.endswith(".rpm") or not word.startswith(("-", "/", "%"))


def start(host: Host, sls: str) -> subprocess.Popen[str]:
    """Start a state run in the background."""
    host.forget_programs()
    return host.popen(host.salt.argv("state.apply", sls))


def parent(pid: int) -> int:
    """Return the parent of a process; 0 when the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def command(pid: int) -> str:
    """Return the command name of a process; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def above(pid: int) -> list[int]:
    """Return the tools among the ancestors of a process, nearest first."""
    found, at = [], parent(pid)
    while at > 1:
        found += [at] if command(at) in TOOLS else []
        at = parent(at)
    return found


def chain(program: Program) -> list[int]:
    """Return the tools that a step stands in, nearest first: the program itself, and those that wait for it."""
    own = [program.pid] if name(program) in TOOLS else []
    return own + above(program.pid)


def tools(program: Program) -> int:
    """Return how many tools a step stands in: 0 for what Salt starts itself, 3 for a program that a script starts."""
    return len(chain(program))


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Kill one process at once, as the end of memory does, or send it another signal."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def freeze(host: Host) -> None:
    """Stop every process of a host: none of them may see another one die of the power cut, and act on it."""
    namespace, stopped = mount_namespace(host.pid) or "", {host.pid}
    while found := set(processes(namespace)) - stopped:
        for pid in found:
            kill(pid, signal.SIGSTOP)
        stopped |= found


def strike(host: Host, run: subprocess.Popen[str], victim: str, pids: list[int]) -> None:
    """Kill the victim; ``pids`` are the tool and those that wait for it."""
    if victim == "power":
        freeze(host)
        host.reboot()
    elif victim == "salt":
        kill(run.pid)
    else:
        kill(pids[VICTIMS.index(victim)])


def at_step(host: Host, sls: str, victim: str, number: int, delay: float = 0) -> str:
    """Kill the victim when step ``number`` begins, or ``delay`` seconds later; return the title of the step."""
    run = start(host, sls)
    with Gate(host) as gate:
        for index, step in enumerate(gate.steps(run)):
            if index == number:
                if delay:
                    gate.open()
                    time.sleep(delay)
                strike(host, run, victim, chain(step))
                break
        else:
            raise AssertionError(f"{sls} has no step {number}: it ended with exit {run.wait()}")
    run.wait(timeout=300)
    return title(step)


def running(host: Host) -> list[int]:
    """Return the tools that run in a host, the innermost first, and those that wait for it."""
    namespace = mount_namespace(host.pid) or ""
    found = [[pid, *above(pid)] for pid in processes(namespace) if command(pid) in TOOLS]
    return max(found, key=len, default=[])


def at_random(host: Host, sls: str, victim: str, delay: float) -> bool:
    """Kill the victim ``delay`` seconds after the first step, or when it is there; tell whether it was hit."""
    run = start(host, sls)
    wait_until(lambda: any(map(is_first, host.programs())), 60, "the first step")
    time.sleep(delay)
    wanted = {"tool": 1, "parent": 2}.get(victim, 0)
    pids = running(host)
    while len(pids) < wanted and run.poll() is None:
        time.sleep(0.005)
        pids = running(host)
    hit = run.poll() is None
    if hit:
        strike(host, run, victim, pids)
    run.wait(timeout=300)
    return hit


def settle(host: Host) -> None:
    """Wait for the end of what kills have left behind."""
    namespace = mount_namespace(host.pid) or ""
    wait_until(lambda: processes(namespace) == [host.pid], 60, "the end of all programs")
