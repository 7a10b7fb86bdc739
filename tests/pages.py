"""The commands that README.md and the pages below docs show, in order, with the output that stands below them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.build import CHECKOUT

# What a command line of a page may begin with; a block of anything else is one script.
PROGRAMS = {"salt", "salt-run", "salt-call", "salt-key", "make", "git", "install", "systemctl", "zypper"}
INLINE = re.compile(r"`((?:salt|salt-run|salt-call|salt-key|make) [^`]+)`")
LEFT_OUT = "..."
# What differs from run to run: moments, durations, ids, hashes, numbers of processes.
VARIABLE = [
    (r"\d{4}-\d\d-\d\d", "DATE"),
    (r"\d\d:\d\d:\d\d(\.\d+)?", "TIME"),
    (r"\b\d{8}T\d{6}Z-[0-9a-f]{6}\b", "RUN"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"\bc[0-9a-f]{11}\b", "ID"),
    (r"\b\d+(\.\d+)? (ms|s|min|seconds)\b", "SPAN"),
    (r"\bprocess \d+\b", "process N"),
    (r"[ -]{2,}", " "),  # the widths of columns follow from these
]


@dataclass(frozen=True)
class Command:
    """A command line of a page, or a whole script; ``shown`` is the output that the page has for it."""

    page: str
    section: str
    line: int
    text: str
    shown: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, str]:
        """Return page and heading."""
        return self.page, self.section

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


@dataclass
class Reader:
    """One pass over a page; ``found`` has its commands."""

    page: str
    section: str = ""
    language: str | None = None
    block: list[tuple[int, str]] = field(default_factory=list)
    found: list[Command] = field(default_factory=list)

    def read(self, text: str) -> list[Command]:
        """Return the commands of a page."""
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip().startswith("```"):
                self._fence(line.strip()[3:])
            elif self.language is not None:
                self.block.append((number, line.strip() if self.language == "sh" else line))
            elif line.startswith("#"):
                self.section = line.lstrip("# ")
            elif line.startswith("    "):
                self._add(number, line.strip())
            else:
                for inline in INLINE.findall(line):
                    self._add(number, inline)
        return self.found

    def _fence(self, language: str) -> None:
        if self.language is None:
            self.language, self.block = language, []
            return
        if self.language == "sh" and all(line.split()[0] in PROGRAMS for _, line in self.block):
            for number, line in self.block:
                self._add(number, line)
        elif self.language == "sh":
            self._add(self.block[0][0], "\n".join(line for _, line in self.block))
        elif self.language == "text" and self.found and self.found[-1].section == self.section:
            last = self.found.pop()
            lines = tuple(line.rstrip() for _, line in self.block)
            self.found.append(Command(last.page, last.section, last.line, last.text, last.shown or lines))
        self.language = None

    def _add(self, line: int, text: str) -> None:
        command = text if "\n" in text else re.sub(r"\s+# .*$", "", text)
        self.found.append(Command(self.page, self.section, line, command))


def paths() -> list[Path]:
    """Return the pages."""
    return [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]


def commands(page: str | Path, section: str | None = None) -> list[Command]:
    """Return the commands of a page, named from the root of the checkout, or of one section of it."""
    path = CHECKOUT / page
    found = Reader(str(path.relative_to(CHECKOUT))).read(path.read_text(encoding="utf-8"))
    return [command for command in found if section in (None, command.section)]


def everything() -> list[Command]:
    """Return the commands of all pages."""
    return [command for path in paths() for command in commands(path)]


def files(page: str) -> dict[str, str]:
    """Return the YAML files that a page shows; each begins with a comment that names it."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```yaml\n( *)# (/\S+)[^\n]*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return {name: re.sub(f"^{indent}", "", body, flags=re.MULTILINE) for indent, name, body in blocks}


def plain(line: str) -> str:
    """Return a line of output without what differs from run to run."""
    for pattern, word in VARIABLE:
        line = re.sub(pattern, word, line)
    return line.strip()


def chunks(shown: tuple[str, ...]) -> Iterator[list[str]]:
    """Yield the parts of an output between the lines that tell that something is left out."""
    part: list[str] = []
    for line in (*shown, LEFT_OUT):
        if line.strip() == LEFT_OUT:
            yield part
            part = []
        elif line.strip():
            part.append(plain(line))


def missing(shown: tuple[str, ...], output: str) -> str:
    """Return the first line that a page shows and an output has not at its place; empty if it has all of them."""
    lines = [plain(line) for line in output.splitlines() if line.strip()]
    at = 0
    for part in filter(None, chunks(shown)):
        starts = [n for n in range(at, len(lines)) if lines[n : n + len(part)] == part]
        if not starts:
            return next((line for line in part if line not in lines[at:]), part[0])
        at = starts[0] + len(part)
    return ""
