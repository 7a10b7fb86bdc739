"""A Salt master on this machine and one minion in each lab host, with everything they need, and their end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lab import packages
from tests.lab.build import CHECKOUT, Lab
from tests.lab.host import Host, held_namespace, mount_namespace, nshost_argv, wait_until
from tests.lab.saltcall import MASTER_DIRS

LOGS = CHECKOUT / "build" / "demo"
COMMON = {
    "user": "root",
    "log_level": "warning",
    "log_level_logfile": "quiet",
    "log_file": "/dev/null",
    "log_fmt_console": "%(asctime)s [%(levelname)-8s] [%(name)s] %(message)s",
    "enable_fqdns_grains": False,
    "enable_gpu_grains": False,
}


class StageError(Exception):
    """The demonstration itself cannot go on; the text is for the person in front of it."""


def free_ports(count: int) -> list[int]:
    """Return TCP ports of the loopback interface that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def answers(path: Path) -> bool:
    """Tell whether a UNIX socket takes connections."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


class Stage:
    """Use it as a context manager: the end stops all processes and removes the temporary directory."""

    def __init__(self, lab: Lab, goldens: Mapping[str, str], pillar: Mapping[str, Any]) -> None:
        self.lab = lab
        self.goldens = dict(goldens)
        self.pillar = pillar
        self.hosts: dict[str, Host] = {}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._root = Path(tempfile.mkdtemp(prefix="salt-klp-demo-"))

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- begin -----------------------------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        """The master's configuration file, which Salt's client reads too."""
        return self._root / "master.d" / "master"

    def start(self) -> None:
        """Start master and minions at once; the minions sign in as soon as the master listens."""
        LOGS.mkdir(parents=True, exist_ok=True)
        ports = dict(zip(("publish_port", "ret_port"), free_ports(2), strict=True))
        self._write_pillar()
        self._configure("master", self._master(ports))
        self._launch("master", self._argv("master", "master"))
        for name, golden in self.goldens.items():
            self._configure(name, self._minion(name, ports))
            argv = nshost_argv(self.lab, name, golden, self._argv("minion", name), [self._root])
            self._launch(name, argv)

    def _write_pillar(self) -> None:
        folder = self._root / "pillar"
        folder.mkdir()
        (folder / "top.sls").write_text('{"base": {"*": ["demo"]}}\n')
        (folder / "demo.sls").write_text("#!json\n" + json.dumps(self.pillar, indent=1) + "\n")

    def _master(self, ports: Mapping[str, int]) -> dict[str, Any]:
        return {
            **COMMON,
            **ports,
            "interface": "127.0.0.1",
            "root_dir": str(self._root / "master"),
            "file_roots": {"base": [str(CHECKOUT / "salt")]},
            "pillar_roots": {"base": [str(self._root / "pillar")]},
            "auto_accept": True,
            "worker_threads": 3,
            **MASTER_DIRS,
        }

    def _minion(self, name: str, ports: Mapping[str, int]) -> dict[str, Any]:
        return {
            **COMMON,
            "id": name,
            "master": "127.0.0.1",
            "master_port": ports["ret_port"],
            "publish_port": ports["publish_port"],
            "acceptance_wait_time": 1,
            "state_events": True,
            "mine_enabled": False,
        }

    def _configure(self, name: str, settings: Mapping[str, Any]) -> None:
        folder = self._root / f"{name}.d"
        folder.mkdir()
        kind = "master" if name == "master" else "minion"
        (folder / kind).write_text(json.dumps(settings, indent=1) + "\n")

    def _argv(self, kind: str, name: str) -> list[str]:
        program = Path(sys.executable).parent / f"salt-{kind}"
        return [sys.executable, str(program), "-c", str(self._root / f"{name}.d")]

    def _launch(self, name: str, argv: list[str]) -> None:
        env = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        with open(LOGS / f"{name}.log", "wb") as log:
            self._daemons[name] = subprocess.Popen(
                argv,
                cwd="/",
                env={**env, "LANG": "C.UTF-8", "FAKE_UNAME_R": packages.KERNEL},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for_master(self, timeout: float) -> None:
        """Wait until the master's event bus can be listened to."""
        bus = self._root / "master/var/run/salt/master/master_event_pub.ipc"

        def up() -> bool:
            self.check()
            return answers(bus)

        try:
            wait_until(up, timeout, "the Salt master to listen")
        except TimeoutError as exc:
            raise StageError(f"{exc}; see {self.log('master')}") from exc

    def runner(self, *args: str) -> tuple[int, Any]:
        """Run ``salt-run ARGS`` on the master; return its exit code and its document."""
        program = Path(sys.executable).parent / "salt-run"
        argv = [sys.executable, str(program), "-c", str(self.config.parent), "--out=json", *args]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            text = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no answer"]
            raise StageError(f"salt-run {args[0]}: {text[-1]}") from None

    def attach(self) -> None:
        """Look into the hosts of the running minions, and count their programs from now on."""
        for name in self.goldens:
            host = Host.attach(self._daemons[name].pid, self.lab)
            host.name = name
            host.forget_programs()
            self.hosts[name] = host

    def check(self) -> None:
        """Raise StageError if a daemon is gone."""
        for name, daemon in self._daemons.items():
            if daemon.poll() is not None:
                kind = "master" if name == "master" else f"minion {name}"
                raise StageError(f"the Salt {kind} ended (exit {daemon.returncode}); see {self.log(name)}")

    @staticmethod
    def log(name: str) -> str:
        """Return the log of a daemon, as a person names it."""
        return str((LOGS / f"{name}.log").relative_to(CHECKOUT))

    # -- end -------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End all that was started, whatever state it is in, and remove the private files."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for name, daemon in reversed(self._daemons.items()):
            if name != "master" and mount_namespace(daemon.pid) not in (None, mount_namespace("self")):
                with held_namespace(daemon.pid) as namespace:
                    Host.kill_all(namespace)
            end_session(daemon, gently=name == "master")
        shutil.rmtree(self._root, ignore_errors=True)


def end_session(daemon: subprocess.Popen[bytes], gently: bool) -> None:
    """End a daemon and everything in its session; a gentle end gives it some seconds to do so itself."""
    if gently and daemon.poll() is None:
        daemon.terminate()
        try:
            daemon.wait(timeout=5)
        except subprocess.TimeoutExpired:
            daemon.kill()
    wait_until(lambda: not kill_session(daemon.pid), 30, "the processes of the demonstration to die")
    daemon.wait(timeout=30)


def kill_session(session: int) -> list[int]:
    """Send SIGKILL to the living processes of a session; returns which they were."""
    found = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            if os.getsid(pid) == session and mount_namespace(pid):  # a zombie has no namespace
                os.kill(pid, signal.SIGKILL)
                found.append(pid)
        except ProcessLookupError:
            continue
    return found
