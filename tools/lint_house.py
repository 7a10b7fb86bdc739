"""
Check the rules of this repository that no linter on the market knows.

Usage: ``python tools/lint_house.py [FOLDER]``. Prints ``path:line: what is wrong``, exits 1 if something is.

* Code: length of files and functions, an example in the docstring of everything that a user can call, no
  catch-all ``except``, no shell, no test file that another file imports.
* The whole of it: one version, one file for each module, imports without a cycle (``tools/imports.py``), every path of
  a host in ``klp_paths``, at most so many functions that a user can call.
* All text: no words that mean "not finished", no paths of one machine; no riddles (``tools/voice.py``).
* Markdown: no links that point nowhere.
"""

import ast
import configparser
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import imports, installed, voice  # noqa: E402 - found once the root is on the path

MAX_FILE = 400
MAX_ENTRY_POINTS = 600  # lines of a file of documented entry points of a few lines each
MAX_PUBLIC = 50  # functions of execution modules: each is a promise to users
MAX_FUNCTION = 40
GENERATED = {"page_files.py"}  # from web/, which has linters of its own
CODE = {".py", ".sls", ".jinja", ".sh"}
SCRIPTS = {"Makefile", "run", "nshost"}
TEXT = CODE | {".css", ".j2", ".js", ".md", ".yaml", ".yml", ".toml", ".cfg", ".txt"}
SKIPPED = {"build", "dist", "data", "fakebin", "node_modules"}

# Written in halves, so that this file passes its own check.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error)\b")
MACHINE_PATH = re.compile(r"(?<![\w.}\])/~-])/(?:work|home)/\w")
SHELL = re.compile(r"^\s*-?\s*python_shell:\s*[\"']?true", re.IGNORECASE)

# They name what is not to be written.
VOICED = {"CONTRIBUTING.md", "voice.py"}

# File -> how it says which version this is: the first one that is found has to be that of setup.cfg.
VERSIONS = {
    "install/salt-klp.spec": r"^Version: +(\S+)",
    "CHANGELOG.md": r"^## (\d+\.\d+\.\d+)",
    "README.md": r"\*\*Version (\d+\.\d+\.\d+)",
}

# Folder -> what the docstring of a public function in it must hold; {name} is "module.function".
EXAMPLES = {
    "_modules": ("CLI Example", r"salt(?:-call)? [^\n]*\b{name}\b"),
    "_runners": ("CLI Example", r"salt-run [^\n]*\b{name}\b"),
    "_states": ("code-block:: yaml", r"\b{name}:"),
}
# Functions of a state module that Salt calls and no user writes down.
STATE_HOOKS = {"mod_init", "mod_watch", "mod_aggregate", "mod_run_check", "mod_run_check_cmd", "mod_beacon"}


def files(root):
    """Return every text file below ``root`` that people wrote, links not followed."""
    found = []
    for folder, names, entries in os.walk(root):
        names[:] = sorted(n for n in names if n not in SKIPPED and (n[0] != "." or n == ".ci"))
        paths = (Path(folder, entry) for entry in sorted(entries))
        found += [p for p in paths if not p.is_symlink() and (p.suffix in TEXT or p.name in SCRIPTS)]
    return found


def check_text(path, text):
    """Yield what is wrong in any text file."""
    lines = text.splitlines()
    most = MAX_ENTRY_POINTS if path.parent.name in {"_modules", "_runners"} else MAX_FILE
    if (path.suffix in CODE or path.name in SCRIPTS) and path.name not in GENERATED and len(lines) > most:
        yield 1, f"{len(lines)} lines, at most {most} are allowed"
    for number, line in enumerate(lines, 1):
        for pattern, what in ((UNFINISHED, "unfinished"), (MACHINE_PATH, "a path of one machine")):
            match = pattern.search(line)
            if match:
                yield number, f"{what}: {match.group(0)}"
        if path.suffix in {".sls", ".jinja"} and SHELL.search(line):
            yield number, "a shell is asked for"
    if "tests" not in path.parts and path.name not in VOICED:
        yield from voice.problems(text)


def _body_length(node):
    """Return the number of lines of a function, decorators and docstring not counted."""
    length = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        length -= node.body[0].end_lineno - node.body[0].lineno + 1
    return length


def _caught(handler):
    """Return the names of what an ``except`` clause catches."""
    if handler.type is None:
        return ["everything"]
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return [kind.id for kind in kinds if isinstance(kind, ast.Name)]


def _imported(node):
    """Return what an import statement imports, as dotted names."""
    before = f"{node.module or ''}." if isinstance(node, ast.ImportFrom) else ""
    return [before + alias.name for alias in node.names]


def check_python(tree):
    """Yield what is wrong in the syntax tree of a Python file."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in [name for name in _imported(node) if re.search(r"\btest_", name)]:
                yield node.lineno, f"imports {name}: move what several files use to a module that is no test file"
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _body_length(node) > MAX_FUNCTION:
            yield node.lineno, f"{node.name}: {_body_length(node)} lines, at most {MAX_FUNCTION} are allowed"
        if isinstance(node, ast.ExceptHandler):
            for kind in set(_caught(node)) & {"everything", "Exception", "BaseException"}:
                yield node.lineno, f"except catches {kind}: name what can happen"
        if isinstance(node, ast.keyword) and node.arg in {"shell", "python_shell"}:
            if not (isinstance(node.value, ast.Constant) and not node.value.value):
                yield node.value.lineno, f"{node.arg} must be False: programs are started with a list"


def _literal(tree, name, default):
    """Return the value of the module-level constant ``name``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
            return ast.literal_eval(node.value)
    return default


def public(tree):
    """Return the functions of a file that a user can call."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [node for node in functions if not node.name.startswith("_") and node.name not in STATE_HOOKS]


def check_examples(path, tree):
    """Yield the public functions whose docstring does not show how to call them."""
    rule = EXAMPLES.get(path.parent.name)
    if rule is None:
        return
    heading, pattern = rule
    if _literal(tree, "__virtualname__", path.stem) != path.stem:
        yield 1, "__virtualname__: a module is one file, which has its name"
    aliases = _literal(tree, "__func_alias__", {})
    for node in public(tree):
        name = f"{path.stem}.{aliases.get(node.name, node.name)}"
        _, found, example = (ast.get_docstring(node) or "").partition(heading)
        if not found or not re.search(pattern.format(name=re.escape(name)), example):
            yield node.lineno, f"{node.name}: the docstring has no '{heading}' that shows {name}"


def anchors(text):
    """Return the names by which the headings of a Markdown text can be linked to."""
    found = set()
    fenced = False
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        match = re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if match and not fenced:
            found.add(re.sub(r"[^\w\- ]", "", match.group(1).lower()).replace(" ", "-"))
    return found


def check_links(path, text):
    """Yield the links of a Markdown file that point nowhere in this repository."""
    for number, line in enumerate(installed.prose(text), 1):
        for target in re.findall(r"\]\(<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)", line):
            link = target[0] or target[1]
            if re.match(r"[a-z][a-z0-9+.-]*:", link):
                continue
            name, _, anchor = link.partition("#")
            file = path.parent / name if name else path
            if not file.exists():
                yield number, f"link to {name}, which is not there"
            elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8")):
                yield number, f"link to {link}: no such heading"


def check(path):
    """Return everything that is wrong in one file, as pairs of line and sentence."""
    text = path.read_text(encoding="utf-8")
    found = list(check_text(path, text))
    if path.suffix == ".py":
        tree = ast.parse(text, str(path))
        found += list(check_python(tree)) + list(check_examples(path, tree))
    if path.suffix == ".md":
        found += list(check_links(path, text))
    return sorted(found)


def trees(root, folders):
    """Yield path and syntax tree of the Python files directly in these folders."""
    for path in sorted(path for folder in folders for path in (root / folder).glob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"), str(path))


def check_version(root):
    """Yield the files that have another version than setup.cfg."""
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg", encoding="utf-8")
    wanted = config["metadata"]["version"]
    paths = {root / "_utils" / "klp_version.py", root / "_runners" / "klp.py"}
    paths |= {path for path, _ in trees(root, ("_modules", "_states"))}
    for path in sorted(paths):
        found = _literal(ast.parse(path.read_text(encoding="utf-8")), "VERSION", None)
        if found != wanted:
            yield path, 1, f"VERSION is {found!r}, setup.cfg says {wanted!r}"
    for name, pattern in VERSIONS.items():
        text = (root / name).read_text(encoding="utf-8") if (root / name).exists() else ""
        for found in re.findall(pattern, text, re.MULTILINE)[:1] or ["none"]:
            if text and found != wanted:
                yield root / name, 1, f"the version is {found!r}, setup.cfg says {wanted!r}"
    utils = {path.stem for path, _ in trees(root, ("_utils",))}
    for name in sorted(utils ^ set(config["options"]["py_modules"].split())):
        yield root / "setup.cfg", 1, f"py_modules and _utils do not agree on {name}"


def check_paths(root):
    """Yield the paths of a host that stand elsewhere than in klp_paths."""
    home = root / "_utils" / "klp_paths.py"
    values = [node.value for node in ast.walk(ast.parse(home.read_text())) if isinstance(node, ast.Constant)]
    known = {value for value in values if isinstance(value, str) and value.startswith("/")}
    for path, tree in trees(root, ("_modules", "_states", "_utils")):
        for node in ast.walk(tree) if path != home else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known:
                yield path, node.lineno, f"{node.value} stands in klp_paths as well"


def check_public(root):
    """Yield a finding if execution modules have too many functions."""
    count = sum(len(public(tree)) for _, tree in trees(root, ("_modules",)))
    if count > MAX_PUBLIC:
        yield root / "_modules", 1, f"{count} functions that a user can call, at most {MAX_PUBLIC} are allowed"


def check_whole(root):
    """Return what is wrong with the files of the product together; nothing where there are none."""
    if not (root / "_utils").is_dir():
        return []
    arrows = [(root / path, line, what) for path, line, what in imports.problems(root)]
    return [*check_version(root), *check_paths(root), *check_public(root), *arrows]


def main(argv):
    """Check a folder, the current one by default."""
    root = Path(argv[1] if len(argv) > 1 else ".")
    checked = files(root)
    wrong = [f"{path}:{line}: {what}" for path in checked for line, what in check(path)]
    wrong += [f"{path}:{line}: {what}" for path, line, what in check_whole(root)]
    print("\n".join(wrong + [f"{len(checked)} files, {len(wrong)} findings"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
