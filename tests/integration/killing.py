"""Processes that are killed in the middle of a campaign, and what its journal has then."""

import contextlib
import signal
import subprocess
import tempfile

import psutil

from _runners.klp import journal
from tests.lab.host import wait_until


def kill_minion(daemon):
    """Kill the daemon and its jobs as with kill -9, but nothing else in its host; return how many it were."""
    found = [psutil.Process(daemon.pid), *psutil.Process(daemon.pid).children(recursive=True)]
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _, alive = psutil.wait_procs(found, timeout=30)
    assert alive == []
    return len(found)


def kill_all(pid):
    """Kill a process and its children as with kill -9; return how many it were."""
    with contextlib.suppress(psutil.NoSuchProcess):
        found = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=30)
        return len(found)
    return 0


class Story:
    """One campaign, and what was killed in it."""

    def __init__(self, crew, plan):
        self.crew, self.plan, self.kills = crew, plan, []
        self.journal = crew.folder() / "campaigns" / plan["id"] / "journal"
        self.driver: subprocess.Popen | None = None
        self.log = tempfile.TemporaryFile("w+")

    def entries(self):
        """Return what the journal has, which reads whole at any moment."""
        return journal.read(self.journal) if self.journal.exists() else []

    def wait_for(self, condition, what):
        """Wait until the journal is as wanted; what it and the drivers have to say is told where it never is."""
        try:
            wait_until(lambda: condition(self.entries()), 240, what)
        except TimeoutError:
            self.log.seek(0)
            raise AssertionError(f"{what}: {self.entries()[-20:]}\n{self.log.read()[-5000:]}") from None

    def drive(self):
        """Let a process drive the campaign."""
        command = "klp.resume" if self.entries() else "klp.run"
        self.driver = self.crew.start(command, self.plan["id"], stdout=self.log, stderr=self.log)

    def kill_driver(self, size):
        """Kill the driver when the journal has so many entries."""
        assert self.driver
        ended = self.driver.poll
        self.wait_for(lambda entries: len(entries) >= size or ended() is not None, f"{size} entries")
        self.driver.send_signal(signal.SIGKILL)
        self.driver.wait(timeout=30)
        self.kills.append(f"driver at {len(self.entries())}")


def has(entries, what, host=None):
    """Tell whether the journal has such an entry (about this host)."""
    return any(item["what"] == what and (host is None or host in item["hosts"]) for item in entries)
