"""A minion in a virtual machine, seen as an administrator sees it: through ``salt``; and its machine, for the test."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import salt.config
import salt.output

from tests.lab.host import wait_until
from tests.lab.packages import LIVE_PATCH, REPOSITORIES
from tests.lab.saltcall import Answer
from tests.lab.vm import grub, lvm
from tests.lab.vm.build import Build, Image
from tests.lab.vm.image import fstab
from tests.lab.vm.machine import HOST, Machine
from tests.lab.vm.packages import BLOCKABLE, HARMFUL, VICTIM

REPO = "[{alias}]\nname={alias}\nenabled={enabled}\nautorefresh=1\nbaseurl={url}\ntype=rpm-md\ngpgcheck=0\n"
COUNTER = """\
import time
with open("/var/log/counter", "w") as log:
    for number in range(10**9):
        print(number, "%.2f" % time.monotonic(), file=log, flush=True)
        time.sleep(0.1)
"""
SERVICE = f"[Service]\nType=exec\nExecStart={VICTIM}\n[Install]\nWantedBy=multi-user.target\n"
# Software emulation is slow, and a busy machine makes it slower: none of this is how long things should take.
PATIENCE = 900


def seed(name: str, master: Any, repositories: str) -> dict[str, str]:
    """Return the files that make a machine this master's minion ``name``, with the repositories of that URL."""
    minion = {
        "id": name,
        "master": HOST,
        "master_port": master.config["ret_port"],
        "publish_port": master.config["publish_port"],
        "acceptance_wait_time": 2,
        "random_reauth_delay": 2,
        "master_tries": -1,
        "tcp_keepalive_idle": 5,
        "tcp_keepalive_intvl": 5,
        "recon_default": 200,
        "recon_max": 2000,
        "mine_enabled": False,
        "enable_fqdns_grains": False,
        "enable_gpu_grains": False,
        "log_level_logfile": "warning",
    }
    repos = dict.fromkeys(REPOSITORIES, True) | {BLOCKABLE: False, HARMFUL: False}
    files = {
        f"/etc/zypp/repos.d/{alias}.repo": REPO.format(alias=alias, enabled=int(on), url=f"{repositories}/{alias}")
        for alias, on in repos.items()
    }
    return {**files, "/etc/hostname": f"{name}\n", "/etc/salt/minion": json.dumps(minion, indent=1) + "\n"}


def disk(build: Build, image: str) -> Image:
    """Return the image of that name; those of lvm.py and grub.py are made when they are not there."""
    if image == grub.NAME:
        return grub.image(build)
    return lvm.image(build, image) if image in lvm.LAYOUTS else build.image(image)


class Guest:
    """One minion and its machine."""

    def __init__(
        self, name: str, master: Any, events: Any, build: Build, folder: Path, image: str, repositories: str
    ) -> None:
        self.name, self.master, self.events = name, master, events
        self.cli = master.salt_cli(timeout=PATIENCE)
        files = seed(name, master, repositories)
        if image == grub.NAME:
            files["/etc/fstab"] = fstab() + grub.FSTAB
        self.machine = Machine(build, folder, disk(build, image), files)
        self.transcript: list[str] = []
        self.opts = dict(salt.config.master_config(None), color=False, state_output="full", state_verbose=True)

    # -- as an administrator does ----------------------------------------------------------------------------

    def salt(self, fun: str, *args: str) -> Answer:
        """Run ``salt NAME FUN ARGS`` and keep what it shows."""
        done = self.cli.run("--timeout=120", fun, *args, minion_tgt=self.name)
        outputter = "highstate" if fun == "state.apply" and isinstance(done.data, dict) else "nested"
        shown = salt.output.out_format({self.name: done.data}, outputter, self.opts)
        self.transcript.append(f"# salt {self.name} {shlex.join([fun, *args])}\n{shown}\n")
        return Answer(done.returncode, done.data, done.stdout, done.stderr)

    def start_in_background(self, fun: str, *args: str) -> None:
        """Run ``salt --async NAME FUN ARGS``."""
        done = self.cli.run("--async", fun, *args, minion_tgt=self.name)
        assert done.returncode == 0, done

    def switched_on(self, switch_on: Callable[[], Any]) -> None:
        """Have the machine boot by ``switch_on()`` and wait until its minion has told the master that it is there."""
        begun = time.time()
        switch_on()
        started = (self.master.id, f"salt/minion/{self.name}/start")
        found = self.events.wait_for_events([started], after_time=begun, timeout=PATIENCE)
        self.machine.check()
        assert found.found_all_events, f"minion {self.name} did not start:\n{self.machine.console()[-3000:]}"
        assert self.salt("test.ping").data is True

    def rebooted(self) -> None:
        """Reboot the host as its administrator does, and wait for its minion."""
        self.restarted_by(lambda: self.salt("system.reboot"))

    def restarted_by(self, ask: Callable[[], Answer]) -> Answer:
        """Have the host restart by what ``ask()`` asks of it, wait for its minion and return the answer."""
        begun, answers = len(self.machine.console()), []

        def restart() -> None:
            answers.append(ask())
            self.machine.wait_for_boot(begun)

        self.switched_on(restart)
        return answers[0]

    def offer(self, repository: str, option: str = "--enable") -> None:
        """Let the host see a repository."""
        done = self.salt("cmd.run", f"zypper --non-interactive modifyrepo {option} {repository}")
        assert done.rc == 0, done

    # -- as the test looks inside ----------------------------------------------------------------------------

    def start_counter(self) -> str:
        """Start a program that counts, ten times a second; returns its process number."""
        ask = self.machine.ask
        ask("systemd-run", "--quiet", "--unit=counter", "/usr/bin/python3", "-c", COUNTER)
        return self.show_unit("counter", "MainPID")

    def install_service(self) -> None:
        """Start the service that a harmful update breaks."""
        path = "/etc/systemd/system/nfs-blkmap.service"
        self.machine.ask("sh", "-c", 'printf "%s" "$1" >"$2"', "sh", SERVICE, path)
        self.machine.ask("systemctl", "enable", "--now", "nfs-blkmap")

    def service_starts(self) -> bool:
        """Tell whether that service can be started."""
        return self.machine.run(["systemctl", "restart", "nfs-blkmap"]).returncode == 0

    def hold_transitions(self) -> None:
        """Start a unit whose process sleeps in the function that live patch 4 patches."""
        self.machine.ask("mkfifo", "/run/hold")
        self.machine.ask("systemd-run", "--quiet", "--unit=nfs-blkmap", "/usr/sbin/blkmapd", "/run/hold")
        stack = f"/proc/{self.show_unit('nfs-blkmap', 'MainPID')}/stack"
        wait_until(lambda: "vfork" in self.machine.read(stack), PATIENCE, "blkmapd to sleep inside vfork")

    def wait_for_end_of(self, program: str, timeout: float) -> None:
        """Wait until no process of that name runs in the guest."""
        wait_until(lambda: self.machine.run(["pgrep", "-x", program]).returncode == 1, timeout, f"{program} to end")

    def show_unit(self, unit: str, what: str) -> str:
        """Return a property of a unit."""
        return self.machine.ask("systemctl", "show", "--property", what, "--value", unit).strip()

    def ticks(self) -> list[tuple[int, float]]:
        """Return what the counter has written: numbers, with the guest's own clock."""
        rows = [line.split() for line in self.machine.read("/var/log/counter").splitlines()]
        return [(int(row[0]), float(row[1])) for row in rows if len(row) == 2]

    def kernel(self) -> dict[str, str]:
        """Return what identifies this boot of this kernel."""
        uname, boot = self.machine.ask("uname", "-r"), self.machine.read("/proc/sys/kernel/random/boot_id")
        return {"uname": uname.strip(), "boot": boot.strip()}

    def version(self) -> str:
        """Return the mark that the live patch in force leaves in /proc/version; empty without one."""
        found = re.search(r"lp-\d+$", self.machine.read("/proc/version").strip())
        return found[0] if found else ""

    def packages(self) -> list[str]:
        """Return all installed packages."""
        return sorted(self.machine.ask("rpm", "-qa").split())

    def level(self) -> str:
        """Return the installed edition of the live patch package."""
        return self.machine.ask("rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}", LIVE_PATCH)

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs that the host remembers."""
        found = json.loads(self.machine.read("/var/lib/salt-klp/runs.json"))
        assert isinstance(found, list)
        return found

    def snapshots(self) -> list[tuple[str, str]]:
        """Return number and run of the snapshots that salt-klp has made."""
        text = self.machine.ask("snapper", "--csvout", "list", "--columns", "number,userdata")
        return re.findall(r"^(\d+),.*klp_run=([^,\"\s]+)", text, re.MULTILINE)

    def history(self) -> str:
        """Return what zypper has installed and removed."""
        return self.machine.ask("sh", "-c", "grep -v '^#' /var/log/zypp/history || :")
