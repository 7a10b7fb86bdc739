"""How the demonstration looks: lines while it runs, a table at the end. Plain text where there is no terminal."""

from __future__ import annotations

import re
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.status import Status
from rich.table import Table
from rich.text import Text

from .report import Record

LIVE_PATCH = re.compile(r"kernel-livepatch-\d")
COLOURS = {"ok": "bold green", "blocked": "bold yellow", "reboot_needed": "yellow"}
PLAIN_WIDTH = 130  # where there is no terminal
COLUMNS: dict[str, Literal["left", "right"]] = {
    "host": "left",
    "kernel": "left",
    "live patch\nbefore": "left",
    "live patch\nafter": "left",
    "packages\nupdated": "right",
    "verdict": "left",
    "seconds": "right",
    "zypper\ncalls*": "right",
}


def change(changes: Mapping[str, Any]) -> str:
    """Return in a few words what a state changed; nothing for what is only written down."""
    if len(changes) > 2:
        live = {name: changes[name]["new"] for name in changes if LIVE_PATCH.match(name)}
        rest = [name for name in changes if name not in live]
        packages = [f"{len(rest)} packages: {', '.join(rest)}"]
        return ", ".join([f"live patch {edition}" for edition in live.values()] + packages)
    return ", ".join(filter(None, (part(key, value) for key, value in changes.items())))


def part(key: str, value: Any) -> str:
    """Return one change: a list by its length, a package by its new edition."""
    new = value.get("new") if isinstance(value, Mapping) else value
    if isinstance(new, list):
        return f"{len(new)} packages {key}" if new else ""
    return "" if key in ("open run", "module") else f"{key} {new}"


def shorten(text: str, width: int) -> str:
    """Return one line of at most ``width`` characters."""
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= width else line[: max(width - 3, 1)] + "..."


class Show:
    """Everything that is printed; it keeps the clock."""

    def __init__(self, console: Console | None = None) -> None:
        plain = not sys.stdout.isatty()
        self.console = console or Console(width=PLAIN_WIDTH if plain else None, highlight=False)
        self.started = time.monotonic()
        self._status: Status | None = None
        self._where: dict[str, str] = {}

    # -- while it runs ---------------------------------------------------------------------------------------

    def line(self, text: str | Text = "", style: str = "") -> None:
        """Print one line."""
        self.console.print(text if isinstance(text, Text) else Text(text), style=style or None, soft_wrap=True)

    def headline(self, command: str) -> None:
        """Print the command that a user would type for what comes now."""
        self.line()
        self.line(f"$ {command}", style="bold")

    def step(self, text: str, host: str = "", what: str = "", style: str = "", whole: bool = False) -> None:
        """Print one thing that has happened, with the time since the start; cut to the width unless ``whole``."""
        head = f"{time.monotonic() - self.started:6.1f} s  " + (f"{host:<6} {what:<18} " if host else "")
        lines = self._wrapped(text, len(head)) if whole else [shorten(text, self.console.width - len(head))]
        for number, line in enumerate(lines):
            self.line(Text(" " * len(head) if number else head, style="dim") + Text(line, style=style))

    def _wrapped(self, text: str, indent: int) -> list[str]:
        """Return lines that fit beside ``indent`` columns; one line where nobody looks at a terminal."""
        if not self.console.is_terminal:
            return [text]
        return textwrap.wrap(text, max(self.console.width - indent, 30), break_long_words=False) or [""]

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show at the bottom of a terminal what is waited for."""
        self._where = {}
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(text) as self._status:
            yield
        self._status = None

    def state(self, host: str, state: Mapping[str, Any], total: int) -> None:
        """Print a state that has ended, if it changed something or failed by itself."""
        ident, comment = state["__id__"], state["comment"]
        self._where[host] = f"{host}: {state['__run_num__'] + 1}/{total} {ident}"
        if self._status:
            self._status.update("   ".join(self._where.values()))
        if state["result"] is False and "requisite failed" not in comment:
            self.step(comment, host, ident, style="yellow", whole=True)
        elif change(state["changes"]):
            self.step(change(state["changes"]), host, ident)

    def ended(self, host: str) -> None:
        """Take a host out of what is shown at the bottom."""
        self._where.pop(host, None)
        if self._status:
            self._status.update("   ".join(self._where.values()) or "reading what the hosts say")

    def fleet(self, text: str, code: int) -> None:
        """Print what the report on the fleet says, without the names of its files."""
        for line in text.partition("\nwritten:")[0].splitlines():
            indent = len(line) - len(line.lstrip())
            self._paragraph(line.strip(), indent, style="bold" if line.lstrip().startswith("salt ") else "")
        self.line(f"exit code {code}; the page is build/demo/report/report.html", style="dim")

    # -- at the end ------------------------------------------------------------------------------------------

    def table(self, records: Sequence[Record]) -> None:
        """Print one line a host, and one more for a host that was run again."""
        table = Table(box=box.SIMPLE_HEAD if self.console.is_terminal else box.MARKDOWN, collapse_padding=True)
        for name, side in COLUMNS.items():
            table.add_column(name, justify=side, overflow="fold", no_wrap=True)
        for item in records:
            table.add_row(*row(item["host"], item, item["kernel_before"], item["live_patch_before"]))
            later = item.get("after_release")
            if later:
                table.add_row(*row(f"{item['host']}, later", later, item["kernel_after"], item["live_patch_after"]))
        if Measurement.get(self.console, self.console.options.update(width=1000), table).maximum > self.console.width:
            for column in table.columns:
                column.no_wrap = False
        self.line()
        self.console.print(table)
        self.line("* state.apply klp + state.apply klp.patch", style="dim")

    def left_out(self, records: Sequence[Record]) -> None:
        """Print what the updates left out and why; hosts with the same list share it."""
        groups: dict[tuple[tuple[str, ...], ...], list[str]] = {}
        for item in records:
            rows: tuple[tuple[str, ...], ...] = tuple(
                (skip["kind"], skip["item"], skip["reason"]) for skip in item["skipped"]
            )
            groups.setdefault(rows, []).append(item["host"])
        for rows, hosts in groups.items():
            self.line()
            self.line(f"Left out on {', '.join(hosts)}{':' if rows else ': nothing'}", style="bold")
            for reason, items in by_reason(rows).items():
                self._paragraph(f"{', '.join(items)}", 2)
                self._paragraph(reason, 6, style="dim")

    def _paragraph(self, text: str, indent: int, style: str = "") -> None:
        for line in self._wrapped(text, indent):
            self.line(" " * indent + line, style=style)

    def way_on(self, item: Record) -> None:
        """Print why a host did not get to the end, and what to do about it."""
        if item["verdict"] == "ok":
            return
        self.line()
        self.line(f"{item['host']} was {item['verdict'].upper()}", style=COLOURS.get(item["verdict"], "bold red"))
        for text in item["failures"] or [item["blocker"] or "no reason was given"]:
            self._paragraph(text, 2)
        self._paragraph(f"next: salt '{item['host']}' state.apply klp.patch", 2, style="bold")
        later = item.get("after_release")
        if later:
            self._paragraph(f"that is what was done here: {later['verdict']}, with the same backup", 2)


def by_reason(rows: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """Return what was left out, by reason."""
    found: dict[str, list[str]] = {}
    for kind, item, reason in rows:
        found.setdefault(reason, []).append(f"{kind} {item}")
    return found


def row(name: str, item: Record, kernel: str, before: str | None) -> list[Text]:
    """Return the cells of one line of the table."""
    good = item["verdict"]
    moving = "\n(in transition)" if item["transition"] != "ready" else ""
    cells = [
        name,
        kernel if kernel == item["kernel_after"] else f"{kernel} -> {item['kernel_after']}",
        before or "none",
        f"{item['live_patch_after'] or 'none'}{moving}",
        str(len(item["updated"])),
        good if good == "ok" else good.upper(),
        f"{item['seconds']:.1f}",
        " + ".join(str(run["zypper_calls"]) for run in item["runs"]),
    ]
    return [Text(cell, style=COLOURS.get(good, "bold red") if number == 5 else "") for number, cell in enumerate(cells)]
