"""
Make docs/reference/modules/*.md from the docstrings of what Salt loads: one page for each module, functions by name.

``python tools/reference.py`` writes them, ``python tools/reference.py --check`` fails if they are not what it would
write. The files are parsed, never imported: neither Salt nor anything else has to be there.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference" / "modules"
# Page -> title, what it is about, and the files that are told of.
PAGES = {
    "klp": (
        "Execution module klp",
        "Live patches of one host: what is active, what is pending, bringing one in, going back.",
        ["_modules"],
    ),
    "klp_audit": ("Execution module klp_audit", "What is known about one host; reads only.", ["_modules"]),
    "root_backup": ("Execution module root_backup", "Backups of the root volume of one host.", ["_modules"]),
    "zypper": ("Execution module zypper", "Packages, locks and repositories of one host.", ["_modules"]),
    "states": ("State modules", "What an SLS can declare. The formula is made of these.", ["_states"]),
    "runner": ("Runner klp", "Campaigns and reports: commands of the master.", ["_runners"]),
    "engine": ("Engine klp_campaign", "Campaigns that go on by themselves.", ["_engines"]),
    "beacon_and_grain": (
        "Beacon klp and grain klp",
        "Alarms as events, and facts for targets.",
        ["_beacons", "_grains"],
    ),
}
NOTE = "This page is made from the docstrings by `python tools/reference.py`."
# What Salt calls, and nobody writes down.
HOOKS = {"_beacons": {"validate", "beacon"}, "_grains": {"klp"}}
LANGUAGES = {"bash": "sh"}  # as all pages call it


def literal(tree, name, default):
    """Return the value of a constant of a module."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
            return ast.literal_eval(node.value)
    return default


def sources(page):
    """Yield ``(folder, name of the module, syntax tree)`` of the files of a page."""
    for folder in PAGES[page][2]:
        for path in sorted((ROOT / folder).glob("*.py")):
            if folder != "_modules" or path.stem == page:
                yield folder, path.stem, ast.parse(path.read_text(), str(path))


def functions(page):
    """Return ``{(module, function): syntax tree}`` of what a user can call, by name."""
    found = {}
    for folder, name, tree in sources(page):
        aliases = literal(tree, "__func_alias__", {})
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name[0] != "_" and node.name not in HOOKS.get(folder, ()):
                found[name, aliases.get(node.name, node.name)] = node
    return dict(sorted(found.items()))


def inline(text):
    """Return a line of a docstring as Markdown: code in single quotes, pages as links."""
    text = re.sub(r"``docs/reference/([\w.-]+)``", r"[\1](../\1)", text)
    return text.replace("``", "`")


def fenced(lines, language):
    """Return an indented block as a fenced one."""
    while not lines[-1].strip():
        lines = lines[:-1]
    margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return [f"```{language}", *(line[margin:] for line in lines), "```"]


def blocks(text):
    """Yield the blocks of a docstring, lists of lines: paragraphs, and what is indented below ``::`` as one."""
    found: list = []
    for line in text.splitlines():
        code = bool(found) and (found[0].startswith(".. code-block") or found[0].endswith("::"))
        if not line.strip() and not code and found:
            yield found
            found = []
        elif code and line.strip() and not line.startswith(" "):
            yield found
            found = [line]
        elif line.strip() or code:
            found.append(line)
    if found:
        yield found


def definitions(lines):
    """Return terms with an indented explanation, as a list."""
    found = []
    for line in lines:
        if not line.startswith(" "):
            term = re.sub(r"^:(\w+):", r"\1:", line)
            found.append("* " + (inline(term) if term != line else f"`{line}`:"))
        else:
            found.append("  " + inline(line.strip()))
    return found


def markdown(block):
    """Return a block of a docstring as lines of Markdown."""
    head, rest = block[0], [line for line in block[1:] if line.strip()]
    if head.startswith(".. code-block::"):
        language = head.split("::")[1].strip()
        return fenced(block[2:] if not block[1].strip() else block[1:], LANGUAGES.get(language, language))
    if head.endswith("::"):
        return [f"{inline(head[:-2])}:", "", *fenced(rest, "text")]
    if head.startswith(":") or any(line.startswith(" ") for line in rest):
        return definitions(block)
    return [inline(line) for line in block]


def prose(text):
    """Return a docstring as Markdown."""
    return "\n\n".join("\n".join(markdown(block)).rstrip() for block in blocks(text.strip()))


def signature(name, node):
    """Return how a function is called; a state's name and leading arguments of Salt are as they are."""
    return f"`{name}({ast.unparse(node.args)})`"


def head(page):
    """Return the first lines of a page, with what each file says about itself."""
    title, about, folders = PAGES[page]
    parts = [f"# {title}", about, NOTE]
    for folder, name, tree in sources(page):
        heading = [f"## {title_of(folder, name)}"] if folder in HOOKS else []
        if folder != "_states":
            parts += [*heading, prose(ast.get_docstring(tree) or "")]
    return parts


def title_of(folder, name):
    """Return the heading of a file of which only the docstring is shown."""
    return f"{folder.strip('_').removesuffix('s').capitalize()} {name}"


def page_text(page):
    """Return the text of a page."""
    found = functions(page)
    parts = head(page)
    if found:
        names = (f"[{module}.{name}](#{module}{name})" for module, name in found)
        parts += ["By name:", "\n".join(f"* {name}" for name in names)]
    for (module, name), node in found.items():
        text = prose(ast.get_docstring(node) or "")
        parts += [f"## {module}.{name}", signature(f"{module}.{name}", node), text]
    return "\n\n".join(parts) + "\n"


def pages():
    """Return ``{path: text}`` of all generated files."""
    return {FOLDER / f"{page}.md": page_text(page) for page in PAGES}


def main():
    """Write the pages, or with ``--check`` return 1 if one of them is not up to date or does not belong there."""
    made = pages()
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    stale += sorted(set(FOLDER.glob("*.md")) - set(made))
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)}: not up to date, run: python tools/reference.py")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(made[path]) if path in made else path.unlink()
        print(f"{path.relative_to(ROOT)}: {'written' if path in made else 'removed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
