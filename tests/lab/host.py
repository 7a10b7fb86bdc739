"""A SLES-like host of the lab, seen from the machine: its programs, files, packages, live patches, faults."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from . import grub, packages
from .build import CHECKOUT, HERE, Lab, build
from .saltcall import Answer, Salt

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = "/var/lib/lab/programs"
PRELOAD = "/usr/lib/lab/preload.so"
FAULTS = "/etc/lab/faults.json"
SYSFS = "/sys/kernel/livepatch"
HOOK = "/usr/sbin/klp-test-hook"
KERNEL_VERSION = "#1 SMP PREEMPT_DYNAMIC Tue Jul 4 08:11:52 UTC 2023 (b2a976e)"
# Salt's own grains start this for every salt-call; it says nothing about the product.
NOISE = ("rpm", "--eval", "%{_host_cpu}")
FAKES = {"SUSEConnect": "/usr/sbin/SUSEConnect", "snapper": "/usr/bin/snapper"}


@dataclass(frozen=True)
class Program:
    """One program that was started in a host: by which executable, which file, with which arguments."""

    pid: int
    ppid: int
    caller: str
    path: str
    argv: tuple[str, ...]


def mount_namespace(pid: int | str) -> str | None:
    """Return the identity of a process' mount namespace, or None when the process is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return None


@contextmanager
def held_namespace(pid: int) -> Iterator[str]:
    """Hold a host's mount namespace, so that no other host gets its identity meanwhile; refuse the machine's."""
    with open(f"/proc/{pid}/ns/mnt", "rb") as file:
        identity = os.readlink(f"/proc/self/fd/{file.fileno()}")
        if identity == mount_namespace("self"):
            raise ValueError(f"process {pid} does not run in a lab host")
        yield identity


def processes(namespace: str) -> list[int]:
    """Return the processes that live in a mount namespace."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and mount_namespace(name) == namespace]


def unescape(field: str) -> str:
    """Return a field of the program log as it was before it was escaped."""
    plain = {"t": "\t", "n": "\n", "\\": "\\"}
    return re.sub(r"\\(.)", lambda match: plain[match[1]], field)


def wait_until(condition: Callable[[], object], timeout: float, what: str) -> None:
    """Wait until ``condition()`` is true; raise TimeoutError, naming ``what``, after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s for {what}")
        time.sleep(0.01)


class Host:
    """One host; use it as a context manager, or attach to a process that nshost started."""

    def __init__(
        self,
        lab: Lab,
        name: str,
        golden: str = "fresh",
        kernel: str = packages.KERNEL,
        bind: Sequence[str | Path] = (),
    ) -> None:
        self.lab = lab
        self.name = name
        self.golden = golden
        self.kernel = kernel
        self.bind = list(bind)
        self.pid = 0
        self.salt = Salt(self)
        self._holder: subprocess.Popen[str] | None = None

    # -- life ------------------------------------------------------------------------------------------------

    def __enter__(self) -> Host:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @classmethod
    def attach(cls, pid: int, lab: Lab | None = None) -> Host:
        """Return the host that the running process ``pid`` lives in, for example a minion's daemon."""
        environ = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        settings = dict(item.split("=", 1) for item in environ if "=" in item)
        if "FAKE_UNAME_R" not in settings:
            raise ValueError(f"process {pid} does not run in a lab host")
        host = cls(lab or build(), f"pid{pid}", golden="", kernel=settings["FAKE_UNAME_R"])
        host.pid = pid
        return host

    def start(self) -> Host:
        """Boot the host: a process that only waits holds its namespace."""
        command = ["sh", "-c", "echo ready; exec cat"]
        argv = nshost_argv(self.lab, self.name, self.golden, command, self.bind)
        env = {**os.environ, "FAKE_UNAME_R": self.kernel}
        self._holder = subprocess.Popen(
            argv, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._holder.stdout and self._holder.stderr
        if not select.select([self._holder.stdout], [], [], 60)[0] or self._holder.stdout.readline() != "ready\n":
            self._holder.kill()
            raise RuntimeError(f"host {self.name} did not start: {self._holder.stderr.read()}")
        self.pid = self._holder.pid
        self.forget_programs()
        return self

    def stop(self) -> None:
        """Kill every process of the host; its files vanish with the last one."""
        if mount_namespace(self.pid):
            with held_namespace(self.pid) as namespace:
                self.kill_all(namespace)
        if self._holder:
            self._holder.communicate(timeout=30)
        self._holder, self.pid = None, 0

    @staticmethod
    def kill_all(namespace: str, keep: tuple[int, ...] = ()) -> None:
        """Kill the processes of a held namespace until none is left; zombies have no namespace."""

        def gone() -> bool:
            found = set(processes(namespace)) - set(keep)
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            return not found

        wait_until(gone, 30, "the processes of the host to die")

    def reboot(self, kernel: str | None = None) -> None:
        """
        Boot again: all processes end, the live patch of the initrd is loaded.

        kernel
            release; default: what GRUB of the host starts, without one the same again.
        """
        kernel = kernel or grub.boot(self)
        with held_namespace(self.pid) as namespace:
            self.kill_all(namespace, keep=(self.pid,))
        self.kernel = kernel or self.kernel
        self._run_quietly("/usr/lib/lab/boot", self.kernel)

    # -- files -----------------------------------------------------------------------------------------------

    def path(self, name: str | Path) -> Path:
        """Return the machine's path of a host's file; absolute links in the host lead out of it."""
        return Path(f"/proc/{self.pid}/root") / str(name).lstrip("/")

    def read(self, name: str) -> str:
        """Return the text of a file in the host."""
        return self.path(name).read_text()

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write a file in the host and make its directory; in place of a link that leads out of the host."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() and os.readlink(path).startswith("/"):  # as /usr/sbin/shutdown, to systemctl
            path.unlink()
        path.write_text(text)
        path.chmod(mode)

    def exists(self, name: str) -> bool:
        """Tell whether a file is there in the host."""
        return self.path(name).exists()

    # -- programs --------------------------------------------------------------------------------------------

    def argv(self, argv: Sequence[str], env: dict[str, str] | None = None, count: bool = True) -> list[str]:
        """Return the command line that runs ``argv`` in the host; ``env`` is added to a clean environment."""
        settings = {
            "PATH": PATH,
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "FAKE_UNAME_R": self.kernel,
            "FAKE_UNAME_V": KERNEL_VERSION,
            **({"LAB_PROGRAMS": PROGRAMS} if count else {}),
            **(env or {}),
            "LD_PRELOAD": PRELOAD,
        }
        enter = ["nsenter", "-t", str(self.pid), "-m", "-u", "-r", "-w", "--", "env", "-i"]
        return [*enter, *(f"{key}={value}" for key, value in settings.items()), *map(str, argv)]

    def run(
        self,
        argv: Sequence[str],
        env: dict[str, str] | None = None,
        input: str | None = None,
        timeout: float = 300,
        count: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the host; what it starts is counted if ``count``, itself it is not."""
        stdin: dict[str, Any] = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        return subprocess.run(self.argv(argv, env, count), text=True, capture_output=True, timeout=timeout, **stdin)

    def popen(self, argv: Sequence[str], env: dict[str, str] | None = None, **kwargs: Any) -> subprocess.Popen[str]:
        """Start a program in the host and return; ``.pid`` is the program itself, ``stop`` ends it."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.DEVNULL)
        kwargs.setdefault("stderr", subprocess.DEVNULL)
        process = subprocess.Popen(self.argv(argv, env, True), text=True, **kwargs)
        environ = Path(f"/proc/{process.pid}/environ")

        def started() -> bool:
            return process.poll() is not None or f"LD_PRELOAD={PRELOAD}".encode() in environ.read_bytes()

        wait_until(started, 30, f"{argv[0]} to start")
        return process

    def _run_quietly(self, *argv: str) -> str:
        """Run a program for the test itself: not counted, and it must succeed."""
        done = self.run(argv, count=False)
        if done.returncode:
            raise RuntimeError(f"{shlex.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def salt_call(self, fun: str, *args: Any, **kwargs: Any) -> Answer:
        """Call a Salt function as users do; the arguments are those of ``Salt.call``."""
        return self.salt.call(fun, *args, **kwargs)

    def zypper(self, *args: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run ``zypper -n`` in the host."""
        return self.run(["zypper", "-n", *args], **kwargs)

    def programs(self) -> list[Program]:
        """Return the programs started since the last ``forget_programs``, in order."""
        if not self.exists(PROGRAMS):
            return []
        rows = [map(unescape, line.split("\t")) for line in self.read(PROGRAMS).split("\n") if line]
        return [Program(int(pid), int(ppid), caller, path, tuple(argv)) for pid, ppid, caller, path, *argv in rows]

    def forget_programs(self) -> None:
        """Start counting programs at zero."""
        self.write(PROGRAMS, "", mode=0o666)

    def started(self, name: str, caller: str = "") -> list[Program]:
        """Return the programs called ``name`` that an executable with the prefix ``caller`` started."""
        found = [p for p in self.programs() if os.path.basename(p.path) == name and p.argv != NOISE]
        return [p for p in found if os.path.basename(p.caller).startswith(caller)]

    def count(self, name: str, caller: str = "") -> int:
        """Return how often ``name`` was started; ``caller`` is a prefix such as python, zypper, salt."""
        return len(self.started(name, caller))

    # -- packages --------------------------------------------------------------------------------------------

    def packages(self) -> dict[str, list[str]]:
        """Return all installed packages with their editions."""
        text = self._run_quietly("rpm", "-qa", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\\n")
        found: dict[str, list[str]] = {}
        for line in sorted(text.splitlines()):
            name, edition = line.split()
            found.setdefault(name, []).append(edition)
        return found

    def editions(self, name: str) -> list[str]:
        """Return the installed editions of a package, sorted; none when it is not installed."""
        done = self.run(["rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}\\n", name], count=False)
        return sorted(done.stdout.split()) if done.returncode == 0 else []

    def locks(self) -> str:
        """Return the text of the lock file; empty when there is none."""
        return self.read("/etc/zypp/locks") if self.exists("/etc/zypp/locks") else ""

    def repo(self, alias: str, on: bool = True) -> None:
        """Enable or disable a repository."""
        self._run_quietly("zypper", "-n", "mr", "-e" if on else "-d", alias)

    def add_repo(self, alias: str, url: str | Path = "") -> None:
        """Add and refresh a repository; without ``url`` the one that the lab has under this name."""
        url = str(url) or f"dir://{self.lab.repos / alias}"
        self._run_quietly("zypper", "-n", "ar", "--no-gpgcheck", url, alias)
        self._run_quietly("zypper", "-n", "ref", alias)

    # -- live patches, faults, fakes -------------------------------------------------------------------------

    def faults(self, **faults: Any) -> None:
        """Say what goes wrong from now on; without arguments nothing does. README.md lists the names."""
        self.write(FAULTS, json.dumps(faults))

    def live_patches(self) -> dict[str, dict[str, int]]:
        """Return the live patches that the kernel seems to have, with ``enabled`` and ``transition``."""
        found: dict[str, dict[str, int]] = {}
        for patch in sorted(self.path(SYSFS).iterdir()):
            try:
                found[patch.name] = {key: int((patch / key).read_text()) for key in ("enabled", "transition")}
            except FileNotFoundError:
                continue
        return found

    def load(self, name: str, enabled: int = 1, transition: int = 0) -> None:
        """Put a live patch into the fake kernel."""
        self._run_quietly(HOOK, "set", name, str(enabled), str(transition))

    def unload(self, name: str) -> None:
        """Take a live patch out of the fake kernel."""
        self._run_quietly(HOOK, "unload", name)

    def finish_transition(self) -> None:
        """End the running transition: the new live patch replaces the others."""
        moving = [name for name, patch in self.live_patches().items() if patch["transition"]]
        if len(moving) != 1:
            raise RuntimeError(f"no transition is running: {self.live_patches()}")
        self._run_quietly(HOOK, "finish", moving[0])

    def install_fake(self, name: str) -> None:
        """Install a fake program; SUSEConnect also disables the repositories that it is to activate."""
        self.write(FAKES[name], (HERE / "fakes" / name).read_text(), mode=0o755)
        if name == "SUSEConnect":
            for alias in (packages.LP_POOL, packages.LP_UPDATES):
                self.repo(alias, on=False)


def nshost_argv(lab: Lab, name: str, golden: str, command: Sequence[str], bind: Sequence[str | Path] = ()) -> list[str]:
    """Return the command line that runs ``command`` in a new host; the checkout and Salt are visible."""
    wanted = [CHECKOUT, lab.root, Path(sys.prefix), Path(sys.base_prefix), *map(Path, bind)]
    argv = [str(lab.nshost), name, str(lab.golden(golden))]
    for path in dict.fromkeys(path.resolve() for path in wanted):
        if path.is_dir() and str(path) not in ("/", "/usr", "/usr/local"):
            argv += ["--bind", str(path)]
    return [*argv, "--", *command]
