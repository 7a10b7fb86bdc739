"""What the tests of refusals share: the reason of a refusal, and that it came before any change."""

import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from tests.functional.conftest import apply, snapshot, writes
from tests.lab.host import wait_until

LOCK_HOLDER = """\
import fcntl, sys
with open("/usr/lib/sysimage/rpm/.rpm.lock", "r+") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def causes(answer):
    """Return the comments of the states that failed for a reason of their own."""
    return {ident: text for ident, text in answer.failed.items() if not text.startswith("One or more requisite failed")}


def named(blocker):
    """Return what a message says of a blkmapd that holds a transition up; its kernel stack is of this machine."""
    task = Path(f"/proc/{blocker.pid}")
    wait_until(lambda: "S (sleeping)" in (task / "status").read_text(), 30, "the blocker to sleep")
    stack = re.findall(r"^\[<\w+>\] (\S+?)\+0x", (task / "stack").read_text(), re.MULTILINE)
    where = f"unit unknown, package nfs-client, stack {' < '.join(stack[:5]) or 'unknown'}"
    return f"process {blocker.pid} (/usr/sbin/blkmapd; {where})"


def refused(host, sls, reasons, but=(), **kwargs):
    """Apply an SLS that is refused for exactly these reasons; nothing has changed ``but`` these parts of a snapshot."""
    host.salt.sync()
    before = snapshot(host)
    answer = apply(host, sls, **kwargs)
    assert causes(answer) == reasons
    assert answer.rc != 0
    assert writes(host) == []
    after = snapshot(host)
    assert {key: after[key] for key in after if key not in but} == {
        key: before[key] for key in before if key not in but
    }
    if not but:
        assert answer.changes == {}
    return answer


def hold_zypp_lock(host, *command):
    """Let a live process hold the zypp lock; its end is noticed at once, since a zombie would hold the lock as well."""
    holder = host.popen(command or ["sleep", "600"])
    host.write("/run/zypp.pid", f"{holder.pid}\n")
    threading.Thread(target=holder.wait, daemon=True).start()
    return holder


@contextmanager
def rpm_lock(host):
    """Hold the lock of the rpm database."""
    holder = host.popen([sys.executable, "-c", LOCK_HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.communicate(timeout=30)
