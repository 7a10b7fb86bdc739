"""Jobs on the minions through the master, and what the master's event bus tells of them while they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import salt.client
import salt.config
import salt.utils.event

from .stage import StageError

Watch = Callable[[str, dict[str, Any], int], None]


@dataclass
class Return:
    """What one minion answered: the exit code the ``salt`` command would give, the data, and after how long."""

    retcode: int
    data: Any
    seconds: float


class Jobs:
    """The one who gives the orders; ``check`` raises when a daemon has died meanwhile."""

    def __init__(self, config: Path, check: Callable[[], None]) -> None:
        self._check = check
        opts = salt.config.client_config(str(config))
        self._bus = salt.utils.event.get_event("master", sock_dir=opts["sock_dir"], opts=opts, listen=True)
        self._client = salt.client.LocalClient(mopts=opts)

    def close(self) -> None:
        """Close the connections to the master."""
        self._client.destroy()
        self._bus.destroy()

    def _event(self, deadline: float, what: str) -> tuple[list[str], dict[str, Any]]:
        """Return the next event: its tag in parts, and its data."""
        while time.monotonic() < deadline:
            self._check()
            event = self._bus.get_event(wait=1, full=True)
            if event:
                return event["tag"].split("/"), event["data"]
        raise StageError(f"gave up waiting for {what}; see build/demo/*.log")

    def wait_for_minions(self, names: Sequence[str], timeout: float) -> None:
        """Wait until each minion has signed in: by its start event, or by an answer if that was missed."""
        left, deadline, asked = set(names), time.monotonic() + timeout, time.monotonic()
        while left:
            tag, data = self._event(deadline, f"the minions {', '.join(sorted(left))} to sign in")
            if tag[:2] == ["salt", "minion"] or tag[-2:-1] == ["ret"]:
                left.discard(data.get("id", ""))
            if left and time.monotonic() - asked > 5:
                asked = time.monotonic()
                self._start("test.ping", [], sorted(left))

    def _start(self, fun: str | Sequence[str], args: Sequence[Any], names: Sequence[str]) -> str:
        job = self._client.run_job(list(names), fun, arg=args, tgt_type="list", timeout=10)
        if not job:
            raise StageError(f"the master knows none of the minions {', '.join(names)}")
        return str(job["jid"])

    def run(
        self,
        fun: str | Sequence[str],
        names: Sequence[str],
        args: Sequence[Any] = (),
        watch: Watch | None = None,
        done: Callable[[str, Return], None] | None = None,
        timeout: float = 180,
    ) -> dict[str, Return]:
        """
        Run a function on some minions at once and return the answers by minion.

        A list of functions without arguments is one job too. ``watch`` gets each state as it ends and
        the number of all states, ``done`` each answer.
        """
        started = time.monotonic()
        jid = self._start(fun, args if isinstance(fun, str) else [[] for _ in fun], names)
        found: dict[str, Return] = {}
        while len(found) < len(names):
            late = ", ".join(sorted(set(names) - set(found)))
            tag, data = self._event(started + timeout, f"the end of {fun} on {late}")
            if tag[:3] != ["salt", "job", jid]:
                continue
            if tag[3] == "prog" and watch:
                watch(tag[4], data["data"]["ret"], data["data"]["len"])
            if tag[3] == "ret":
                found[tag[4]] = Return(worst(data["retcode"]), data["return"], time.monotonic() - started)
                if done:
                    done(tag[4], found[tag[4]])
        return {name: found[name] for name in names}


def worst(retcode: Any) -> int:
    """Return one exit code; a job of several functions has one for each."""
    return max(retcode.values(), default=0) if isinstance(retcode, dict) else int(retcode)
