"""
Draw which file imports which: entry points (modules, states, runner) above, the utils below them in layers.

Usage: ``python tools/imports.py [--dot] [FOLDER]``. Prints the layers, or with ``--dot`` a graph for graphviz. Exits 1
for a cycle, and for an arrow back: a util that imports, or calls by its name, what stands above it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ABOVE = ("_modules", "_states", "_runners", "_engines")  # what Salt's loader loads; nothing imports it
UTILS = "_utils"
CALLS = {"__salt__", "__utils__", "salt", "utils"}  # __salt__["klp.status"] calls by name, and so does host.salt[...]

Graph = dict[str, list[str]]


def trees(root: Path, folder: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield ``(path without its ending, syntax tree)`` of the files of a folder, parts of a runner included."""
    for path in sorted((root / folder).rglob("*.py")):
        yield path.relative_to(root).with_suffix("").as_posix(), ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield ``(line, name)`` of each import by name, also within functions; ``from . import x`` is none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.lineno, node.module


def called(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield ``(line, module)`` of each call by a string, such as ``__salt__["klp.status"]``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Constant):
            continue
        name = getattr(node.value, "id", None) or getattr(node.value, "attr", None)
        if name in CALLS and isinstance(node.slice.value, str) and "." in node.slice.value:
            yield node.lineno, node.slice.value.split(".")[0]


def names(root: Path, folder: str) -> set[str]:
    """Return the names of the files directly in a folder."""
    return {path.stem for path in (root / folder).glob("*.py")}


def graph(root: Path) -> Graph:
    """Return the utils that each util imports."""
    utils = names(root, UTILS)
    files = {path.rpartition("/")[2]: tree for path, tree in trees(root, UTILS)}
    return {name: sorted({word for _, word in imported(tree)} & utils) for name, tree in files.items()}


def entries(root: Path) -> Graph:
    """Return the utils that each file above imports."""
    utils = names(root, UTILS)
    return {
        path: sorted({word for _, word in imported(tree)} & utils)
        for folder in ABOVE
        for path, tree in trees(root, folder)
    }


def layers(found: Mapping[str, list[str]]) -> tuple[list[list[str]], list[str]]:
    """
    Return ``(layers, rest)``: in the first layer what imports no other util, above it what imports only layers below.

    The rest are those that are in a cycle, or import one.
    """
    left = dict(found)
    made: list[list[str]] = []
    below: set[str] = set()
    while True:
        layer = sorted(name for name, words in left.items() if set(words) <= below)
        if not layer:
            return made, sorted(left)
        made.append(layer)
        below.update(layer)
        for name in layer:
            del left[name]


def problems(root: Path) -> list[tuple[str, int, str]]:
    """Return ``(path, line, what is wrong)`` of each cycle and each arrow back."""
    rest = layers(graph(root))[1]
    found = [(f"{UTILS}/{name}.py", 1, f"in a cycle of imports, or above one: {', '.join(rest)}") for name in rest]
    own = {name for folder in ABOVE for name in names(root, folder)}
    for path, tree in trees(root, UTILS):
        back = [(line, name) for line, name in imported(tree) if name in own - names(root, UTILS)]
        found += [(f"{path}.py", line, f"a util imports the entry point {name}") for line, name in back]
        by_name = [(line, name) for line, name in called(tree) if name in own | names(root, UTILS)]
        found += [
            (f"{path}.py", line, f"a util calls {name} by its name instead of importing it") for line, name in by_name
        ]
    return sorted(found)


def text(root: Path) -> str:
    """Return the layers, the entry points first."""
    lines = ["entry points"]
    lines += [f"  {path}: {', '.join(words) or 'none'}" for path, words in entries(root).items() if words]
    found = graph(root)
    made, rest = layers(found)
    for number in reversed(range(len(made))):
        lines += ["", f"layer {number}"]
        lines += [f"  {name}" + (f": {', '.join(found[name])}" if found[name] else "") for name in made[number]]
    return "\n".join([*lines, *(["", "in a cycle", f"  {', '.join(rest)}"] if rest else [])])


def dot(root: Path) -> str:
    """Return the graph in the language of graphviz."""
    arrows = [f'  "{name}" -> "{word}";' for name, words in {**entries(root), **graph(root)}.items() for word in words]
    return "\n".join(["digraph imports {", "  rankdir=TB; node [shape=box];", *arrows, "}"])


def main(argv: list[str]) -> int:
    """Print the graph and what is wrong with it."""
    folders = [word for word in argv[1:] if not word.startswith("-")]
    root = Path(folders[0] if folders else ".")
    print(dot(root) if "--dot" in argv else text(root))
    wrong = [f"{path}:{line}: {what}" for path, line, what in problems(root)]
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
