"""
Check docs/explanation/known-problems.md: its problems are numbered, each says what is done, and its tests exist.

Usage: ``python tools/ledger.py [FOLDER]``. Prints ``path:line: what is wrong``, exits 1 if something is.
"""

import ast
import re
import sys
from pathlib import Path

PAGE = "docs/explanation/known-problems.md"
HEADING = re.compile(r"### (\d+)\. \S")
# "tests/unit/test_x.py::test_y", or with the case of a parametrised test behind it: "...::test_y[case]".
TEST = re.compile(r"`(tests/[^`:]+\.py)::([A-Za-z_]\w*(?:::\w+)?)(?:\[[^`]*\])?`")
HERE, SHOWN, NOT_HANDLED = "* **Here:**", "* **Shown by:**", "* **Not handled"


def names(path):
    """Return the tests of a file, methods as ``Class::method``."""
    found: set = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            methods = [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
            found.update(f"{node.name}::{name}" for name in methods if name.startswith("test"))
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            found.add(node.name)
    return found


def problems(text):
    """Yield ``(line, lines)`` of each problem: from its heading to the next one."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("### ")]
    for start in starts:
        stop = next((n for n in range(start + 1, len(lines)) if lines[n].startswith("#")), len(lines))
        yield start + 1, lines[start:stop]


def check_form(text):
    """Yield what is wrong with the form of the problems."""
    for wanted, (line, lines) in enumerate(problems(text), 1):
        match = HEADING.match(lines[0])
        if not match or int(match.group(1)) != wanted:
            yield line, f"wanted problem {wanted}, found: {lines[0]}"
        starts = [part for part in lines if part.startswith("* **")]
        here, shown = any(HERE in part for part in starts), any(SHOWN in part for part in starts)
        if here != shown:
            yield line, f"{lines[0][4:]}: what is done here and the tests that show it belong together"
        elif not here and not any(part.startswith(NOT_HANDLED) for part in starts):
            yield line, f"{lines[0][4:]}: neither what is done here, nor that it is not handled"
        if shown and not TEST.search(" ".join(lines)):
            yield line, f"{lines[0][4:]}: no test is named"


def check_tests(root, text):
    """Yield the tests that do not exist, and what looks like a test and is none."""
    known: dict = {}
    for number, line in enumerate(text.splitlines(), 1):
        for path, name in TEST.findall(line):
            if path not in known:
                known[path] = names(root / path) if (root / path).is_file() else None
            if known[path] is None:
                yield number, f"{path}: there is no such file"
            elif name not in known[path]:
                yield number, f"{path}: there is no test {name}"
        if "tests/" in TEST.sub("", line) and "](" not in line:
            yield number, f"not of the form `tests/.../test_x.py::test_y`: {line.strip()[:100]}"


def check(root):
    """Return ``(line, what is wrong)`` of the page of a checkout, in order."""
    text = (root / PAGE).read_text(encoding="utf-8")
    found = list(check_form(text)) + list(check_tests(root, text))
    if not list(problems(text)):
        found.append((1, "no problem is told"))
    return sorted(found)


def main(argv):
    """Check a folder, the current one by default."""
    root = Path(argv[1] if len(argv) > 1 else ".")
    wrong = [f"{PAGE}:{line}: {what}" for line, what in check(root)]
    print("\n".join([*wrong, f"{len(wrong)} findings in {PAGE}"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
