"""
A campaign of kind kernel over real minions with GRUB: one host in front, then two that are kept apart, of which the
second one does not come up with the new kernel; a last wave that is never begun. The driver and the master are killed
with -9 between "restart sent" and "seen". Each host restarts once.
"""

import signal
import threading
import time

import pytest

from tests.functional.conftest import KERNEL, NEW_KERNEL
from tests.integration.conftest import QUIET
from tests.integration.crew import CAMPAIGN, Crew
from tests.integration.killing import Story, has, kill_all
from tests.lab import grub
from tests.lab.build import CHECKOUT
from tests.lab.saltcall import MASTER_DIRS

NAMES = ("web1", "web2", "web3", "web4")
WAVES = [{"name": "canary", "take": 1}, {"name": "second", "take": 2}, {"name": "rest"}]
YEAR = {
    **CAMPAIGN,
    "target": "web[1-4]",
    "waves": WAVES,
    "batch": 2,
    "apart": "klp:group",
    "reboot": True,
    "soak": {"minutes": [0]},
    "limits": {"look": 1, "host_timeout": 240, "restart": 5, "failed": 0},
}
# What klp:kernel:reboot names in place of a cluster tool: it tells the machine room, which is a thread of this test.
RESTART, ASKED, LOG = "/usr/local/sbin/restart-me", "/var/lib/asked-to-restart", "/var/lib/hooks"
ASKS = f"#!/bin/sh\necho restart >>{ASKED}\n"
HOOK = """\
{name}:
  cmd.run:
    - name: echo {name} >>{log}
"""


class Room(threading.Thread):
    """Boots the hosts that ask for it, and their minions; ``dead`` is the host whose new kernel does not come up."""

    def __init__(self, crew, dead):
        super().__init__(daemon=True)
        self.crew, self.dead, self.downs, self.over = crew, dead, {}, threading.Event()
        self.seen = dict.fromkeys(NAMES, 0)

    def run(self):
        while not self.over.wait(0.2):
            for name in NAMES:
                if self.asked(name) > self.seen[name]:
                    self.seen[name] += 1
                    self.boot(name)

    def asked(self, name):
        """Return how often a host was restarted by the command of its pillar."""
        host = self.crew.hosts[name]
        return host.read(ASKED).count("restart") if host.exists(ASKED) else 0

    def boot(self, name):
        host, minion = self.crew.hosts[name], self.crew.minions[name]
        begun = time.time()
        minion.terminate()
        if name == self.dead:
            assert grub.boot(host) == NEW_KERNEL  # it panics, and the host is started once more
        host.reboot()
        minion.start()
        self.downs.setdefault(name, []).append((begun, time.time()))


@pytest.fixture(scope="module")
def crew(salt_factories, lab, pillar):
    """Four hosts with GRUB and hooks, and a master of their own, which can be killed."""
    roots = {
        "file_roots": {"base": [str(CHECKOUT / "salt"), str(pillar.files)]},
        "pillar_roots": {"base": [str(pillar.folder)]},
        "worker_threads": 3,
        **MASTER_DIRS,
    }
    for name in ("drain", "undrain"):
        (pillar.files / f"{name}.sls").write_text(HOOK.format(name=name, log=LOG))
    master = salt_factories.salt_master_daemon("kernel-master", overrides=roots, defaults=dict(QUIET))
    pillar.only("kernel-master", {})
    with master.started():
        found = Crew(master, lab, pillar, salt_factories.root_dir)
        with found.mustered(NAMES):
            for name, host in found.hosts.items():
                grub.install(host)
                host.write(RESTART, ASKS, mode=0o755)
                more = {"group": "db"} if name in ("web2", "web3") else {}
                hooks = {"before": ["drain"], "after": ["undrain"]}
                found.declare(name, kernel={"reboot": [RESTART]}, hooks=hooks, **more)
            yield found


class Year(Story):
    """The campaign, and the room that boots its hosts."""

    room: Room


def killed(story, name):
    """Kill the driver as soon as it is written down that a host is restarted, before anybody has seen it come back."""
    story.wait_for(lambda entries: has(entries, "restart", name), f"the restart of {name}")
    story.driver.send_signal(signal.SIGKILL)
    story.driver.wait(timeout=30)
    story.kills.append(f"driver while {name} restarts")


@pytest.fixture(scope="module")
def story(crew):
    """The campaign, with its kills."""
    room = Room(crew, dead="web3")
    room.start()
    found = Year(crew, crew.plan("kernel", **YEAR))
    found.room = room
    try:
        found.drive()
        killed(found, "web1")
        kill_all(crew.master.pid)
        crew.master.terminate()
        found.kills.append("master while web1 restarts")
        time.sleep(15)  # web1 goes down and comes back while there is no master
        crew.master.start()
        found.drive()
        killed(found, "web2")
        found.drive()
        found.wait_for(lambda entries: has(entries, "end"), "the end of the campaign")
        yield found
    finally:
        room.over.set()
        room.join(60)
        if found.driver:
            found.driver.kill()


def test_each_host_restarts_once_and_none_after_the_gate(crew, story):
    assert story.room.is_alive() and len(story.kills) == 3
    assert {name: story.room.asked(name) for name in NAMES} == {"web1": 1, "web2": 1, "web3": 1, "web4": 0}
    assert {name: len(downs) for name, downs in story.room.downs.items()} == {"web1": 1, "web2": 1, "web3": 1}
    restarts = [host for entry in story.entries() if entry["what"] == "restart" for host in entry["hosts"]]
    assert set(restarts) == {"web1", "web2", "web3"}


def test_the_gate_holds_and_the_host_says_why(crew, story):
    code, found, _ = crew.run("klp.report", story.plan["id"])
    report = found["report"]
    assert report["why"] == f"wave second: 1 of 2 hosts failed, limit 0 (kernel {NEW_KERNEL})"
    stages = {name: item["stage"] for name, item in report["hosts"].items()}
    assert (code, stages) == (3, {"web1": "verified", "web2": "verified", "web3": "failed", "web4": "waiting"})
    tried = f"kernel {NEW_KERNEL} was started once and did not come up: this host came up with {KERNEL} again"
    assert report["hosts"]["web3"]["why"] == tried
    assert {name: host.kernel for name, host in crew.hosts.items()} == {
        "web1": NEW_KERNEL,
        "web2": NEW_KERNEL,
        "web3": KERNEL,
        "web4": KERNEL,
    }


def test_hosts_that_are_kept_apart_are_not_down_together(story):
    ((_, back),), ((down, _),) = story.room.downs["web2"], story.room.downs["web3"]
    assert back < down
    ended = next(item for item in story.entries() if item["what"] == "ended" and "web2" in item["hosts"])
    begun = next(item for item in story.entries() if item["what"] == "start" and "web3" in item["hosts"])
    assert ended["n"] < begun["n"], "the second one is not even installed before the first one is verified"


def test_hooks_are_around_the_installation_and_around_the_restart(crew, story):
    told = {name: host.read(LOG).split() if host.exists(LOG) else [] for name, host in crew.hosts.items()}
    assert told["web1"] == told["web2"] == ["drain", "undrain", "drain", "undrain"] and told["web4"] == []
    assert told["web3"][-1] == "undrain"
