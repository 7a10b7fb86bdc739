"""A gate at which a program of a host stops, so that it can be killed in the middle of its work."""

import os
import signal
import subprocess
from pathlib import Path

from tests.lab.host import wait_until

HOOK = "/usr/sbin/klp-test-hook"
GATE, REACHED = "/run/gate", "/run/reached"
# A program that stops at the gate: it tells that it is there, and goes on when somebody writes to the gate.
STOP = f"[ ! -p {GATE} ] || {{ echo $$ >{REACHED}; read -r word <{GATE}; }}\n"


def close_gate(host):
    """Make programs stop at the gate from now on."""
    os.mkfifo(host.path(GATE))


def open_gate(host):
    """Let the program at the gate go on, and every later one pass."""
    gate = host.path(GATE)
    handle = os.open(gate, os.O_RDWR | os.O_NONBLOCK)  # stays open, so that the reader is not left without a writer
    gate.unlink()
    os.write(handle, b"go\n")
    return handle


def stop_in(host, program):
    """Make a script of the host stop at the gate before it does its work."""
    head, _, body = host.read(program).partition("\n")
    if head.endswith("sh"):
        host.write(program, f"{head}\n{STOP}{body}", mode=0o755)
    else:
        host.path(program).rename(host.path(f"{program}.real"))
        host.write(program, f'#!/bin/sh\n{STOP}exec {program}.real "$@"\n', mode=0o755)


def start(host, sls="klp.patch"):
    """Start a run in the background and return its process."""
    host.salt.sync()
    host.forget_programs()
    return host.popen(host.salt.argv("state.apply", sls), stdout=subprocess.DEVNULL)


def wait_at_gate(host):
    """Wait until a program stands at the gate."""
    path = host.path(REACHED)
    wait_until(lambda: path.exists() and path.read_text().strip(), 60, "a program at the gate")
    return int(path.read_text())


def kill(process):
    """Kill a process at once, as the end of memory does."""
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)


def pid_of(host, name):
    """Return the process of the one program of a host that runs under this name."""
    namespace = os.readlink(f"/proc/{host.pid}/ns/mnt")
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if os.readlink(entry / "ns/mnt") == namespace and (entry / "comm").read_text().strip() == name:
                found.append(int(entry.name))
        except OSError:
            continue
    return found[0] if found else None
