"""salt-call in a lab host, the way a user calls it, and its answer as data."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .build import CHECKOUT

# What `make install` writes for a master; this one loads what is in the checkout.
MASTER_DIRS = {
    "runner_dirs": [str(CHECKOUT / "_runners")],
    "utils_dirs": [str(CHECKOUT / "_utils")],
    "states_dirs": [str(CHECKOUT / "_states")],
    "outputter_dirs": [str(CHECKOUT / "_output")],
    "engines_dirs": [str(CHECKOUT / "_engines")],
}
MINION = {
    "file_client": "local",
    "file_roots": {"base": [str(CHECKOUT / "salt")]},
    "pillar_roots": {"base": ["/srv/pillar"]},
    "log_level": "quiet",
    "log_level_logfile": "quiet",
    "enable_fqdns_grains": False,
    "enable_gpu_grains": False,
    "grains_cache": False,
    "use_superseded": [],
}


CACHE = "/var/cache/salt/minion"
_SENT: dict[tuple[tuple[str, int, int], ...], bytes] = {}


def _sources() -> Iterator[tuple[str, int, int]]:
    """Yield path, size and time of every file that a sync sends."""
    for folder in ("_modules", "_states", "_utils"):
        for path in sorted((CHECKOUT / folder).glob("*.py")):
            yield str(path), path.stat().st_size, path.stat().st_mtime_ns


def _pack(cache: Path) -> bytes:
    """Return what a sync has left in the minion's cache, as an archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("extmods", "files"):
            archive.add(cache / name, arcname=name)
    return buffer.getvalue()


@dataclass
class Answer:
    """What salt-call said: exit code, the value of ``local`` (None when there is none) and the raw texts."""

    rc: int
    data: Any
    stdout: str
    stderr: str

    @property
    def states(self) -> dict[str, dict[str, Any]]:
        """Return the single states of a state run by id; a second one of an id gets its name added."""
        if not isinstance(self.data, dict):
            raise AssertionError(f"no state run: rc {self.rc}\n{self.stdout}\n{self.stderr}")
        found: dict[str, dict[str, Any]] = {}
        for state in sorted(self.data.values(), key=lambda state: state["__run_num__"]):
            ident = state["__id__"]
            found[ident if ident not in found else f"{ident} {state['name']}"] = state
        return found

    def _column(self, name: str) -> dict[str, Any]:
        return {ident: state[name] for ident, state in self.states.items()}

    @property
    def changes(self) -> dict[str, Any]:
        """Return the changes of the states that have any."""
        return {ident: changes for ident, changes in self._column("changes").items() if changes}

    @property
    def results(self) -> dict[str, bool | None]:
        """Return the result of each state."""
        return self._column("result")

    @property
    def comments(self) -> dict[str, str]:
        """Return the comment of each state."""
        return self._column("comment")

    @property
    def failed(self) -> dict[str, str]:
        """Return the comments of the states whose result is False."""
        return {ident: self.comments[ident] for ident, result in self.results.items() if result is False}


def decode(stdout: str) -> Any:
    """Return the value of ``local`` in the output of salt-call, or None."""
    try:
        return json.loads(stdout)["local"]
    except (ValueError, KeyError, TypeError):
        return None


class Machine(Protocol):
    """What this file needs of a host."""

    name: str

    def path(self, name: str) -> Path: ...

    def write(self, name: str, text: str) -> None: ...

    def exists(self, name: str) -> bool: ...

    def run(
        self,
        argv: Sequence[str],
        *,
        env: dict[str, str] | None = None,
        timeout: float = 300,
        count: bool = True,
    ) -> subprocess.CompletedProcess[str]: ...


class Salt:
    """The masterless minion of a host; the first call sends the extension modules to it."""

    def __init__(self, host: Machine) -> None:
        self.host = host
        self._synced = False

    def pillar(self, data: dict[str, Any]) -> None:
        """Let ``data`` be the pillar of the host from now on."""
        self.host.write("/srv/pillar/top.sls", '{"base": {"*": ["lab"]}}\n')
        self.host.write("/srv/pillar/lab.sls", "#!json\n" + json.dumps(data) + "\n")

    def configure(self, **settings: Any) -> None:
        """Write the minion's configuration; ``settings`` are added to that of the lab."""
        config = {**MINION, "id": self.host.name, **settings}
        self.host.write("/etc/salt/minion", json.dumps(config, indent=1) + "\n")

    def argv(self, *args: str) -> list[str]:
        """Return the command line of salt-call."""
        program = Path(sys.executable).parent / "salt-call"
        options = ["--local", "--out", "json", "--retcode-passthrough", "--config-dir", "/etc/salt"]
        return [sys.executable, str(program), *options, *args]

    def sync(self) -> None:
        """
        Send the extension modules to the host, as users do before the first state run.

        The first host of a test process is really synced; the others get what that has put into its cache (a sync takes
        two seconds), until a file of the product changes.
        """
        if not self.host.exists("/etc/salt/minion"):
            self.configure()
        if not self.host.exists("/srv/pillar/top.sls"):
            self.pillar({})
        cache, sources = self.host.path(CACHE), tuple(_sources())
        if sources not in _SENT:
            done = self.host.run(self.argv("saltutil.sync_all", "refresh=False"), count=False)
            if done.returncode:
                raise RuntimeError(f"saltutil.sync_all failed: {done.stdout}{done.stderr}")
            _SENT[sources] = _pack(cache)
        else:
            cache.mkdir(parents=True, exist_ok=True)
            with tarfile.open(fileobj=io.BytesIO(_SENT[sources])) as archive:
                # Packed by ourselves. The Python of Debian 12 (3.11.2) knows no filters yet.
                archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
                archive.extractall(cache)  # noqa: S202
        self._synced = True

    def call(
        self,
        fun: str,
        *args: Any,
        test: bool | None = None,
        pillar: dict[str, Any] | None = None,
        timeout: float = 600,
        env: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> Answer:
        """Call a Salt function in the host; ``pillar`` replaces the host's for this and later calls."""
        if pillar is not None:
            self.pillar(pillar)
        if not self._synced:
            self.sync()
        if test is not None:
            kwargs["test"] = test
        words = [text(arg) for arg in args] + [f"{key}={text(value)}" for key, value in kwargs.items()]
        done = self.host.run(self.argv(fun, *words), timeout=timeout, env=env)
        return Answer(done.returncode, decode(done.stdout), done.stdout, done.stderr)


def text(value: Any) -> str:
    """Return an argument as salt-call reads it: words as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
