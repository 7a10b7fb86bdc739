"""The commands of the tutorial "The yearly kernel", on a real master and three minions whose hosts GRUB starts."""

import contextlib
import threading
import time

import pytest
from pytestshellutils.exceptions import FactoryNotStarted

from tests.integration.course import CAMPAIGN_TUTORIAL, HOST_TUTORIAL, KERNEL_TUTORIAL, Course
from tests.integration.scenes import whole
from tests.lab import grub
from tests.lab.host import wait_until

ASKED = "/run/lab-shutdown"
# shutdown(8) of systemd, as Salt's system.reboot calls it. It says when; here it is at once, which is no kinder.
SHUTDOWN = f"""#!/bin/sh
[ "$1" = -r ] || exit 1
case "$2" in now | [0-9]*) echo "$2" >{ASKED} ;; *) exit 1 ;; esac
"""
ANSWERED = 3  # seconds in which a job that restarts its host can answer
NOT_COVERED = 2
REBOOT = "salt web1 system.reboot"


class Restarts:
    """Restarts each host that has asked for it, as GRUB starts it, with its minion; ``done`` has their names."""

    def __init__(self, course):
        self.course, self.over = course, threading.Event()
        self.done: list = []
        self.trouble: list = []
        self.thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self.over.wait(0.5):
            for name, host in self.course.hosts.items():
                if host.exists(ASKED):
                    time.sleep(ANSWERED)
                    host.path(ASKED).unlink()
                    self._restart(name, host)

    def _restart(self, name, host):
        minion = self.course.minions[name]
        minion.terminate()
        host.reboot()
        try:
            minion.start()
        except FactoryNotStarted as exc:  # of a machine that is busy: once more
            self.trouble.append(repr(exc))
            minion.start()
        self.done.append(name)

    @contextlib.contextmanager
    def watched(self):
        """Restart hosts until the end."""
        self.thread.start()
        try:
            yield self
        finally:
            self.over.set()
            self.thread.join()


@pytest.fixture
def course(salt_factories, lab, tmp_path):
    """The master and its minions after the first two tutorials, their hosts with GRUB."""
    found = Course(salt_factories, lab, tmp_path, dict.fromkeys(("web1", "web2", "web3"), "enabled"))
    with found.master.started():
        try:
            found.open()
            for page in (HOST_TUTORIAL, CAMPAIGN_TUTORIAL, KERNEL_TUTORIAL):
                found.pillar(page)
            for host in found.hosts.values():
                host.write("/usr/sbin/shutdown", SHUTDOWN, mode=0o755)
                grub.install(host, saved_entry="SLES 15-SP5")
            for command in (
                "salt-run saltutil.sync_all",
                "salt 'web*' saltutil.sync_all",
                "salt 'web*' state.apply klp",
            ):
                code, output = found.run(command)
                assert code == 0, output
            yield found
        finally:
            found.close()


def test_the_commands_of_the_tutorial(course):
    with Restarts(course).watched() as restarts:
        for command in whole(KERNEL_TUTORIAL, None):
            course.check(command, NOT_COVERED if command.text == "salt-run klp.report" else 0)
            if command.text == REBOOT:
                wait_until(lambda: restarts.done, 120, "the restart of web1")
        assert sorted(restarts.done) == ["web1", "web2", "web3"], f"each is restarted once; {restarts.trouble}"
