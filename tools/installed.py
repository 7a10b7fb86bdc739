"""
Check the tree that ``make install`` has written: ``python3 tools/installed.py DESTDIR [PREFIX]``, from Python 3.6 on.

The file root has real files only (SUSE's own Salt serves no links that lead out of it), all of its Python compiles, and
each link of the documentation leads to something that is installed.
"""

import ast
import os
import re
import sys

LINK = re.compile(r"\]\(<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)")


def files(folder):
    """Return the paths of all files below a folder."""
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)


def prose(text):
    """Return Markdown with its code blanked, line by line."""
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
            yield ""
        else:
            yield "" if fenced else re.sub(r"`[^`]*`", lambda m: " " * len(m.group(0)), line)


def read(path):
    """Return the text of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def links(path):
    """Yield the links of a page that lead to nothing that is there, with their lines."""
    for number, line in enumerate(prose(read(path)), 1):
        for inline, reference in LINK.findall(line):
            name = (inline or reference).partition("#")[0]
            if not name or re.match(r"[a-z][a-z0-9+.-]*:", name):
                continue
            if not os.path.exists(os.path.join(os.path.dirname(path), name)):
                yield number, name


def problems(states, docs):
    """Yield what is wrong in a file root and in the documentation."""
    for folder in (states, docs):
        if not files(folder):
            yield folder + ": nothing is there"
    for path in files(states):
        if os.path.islink(path):
            yield path + ": a link, and no file"
        elif path.endswith(".py"):
            try:
                ast.parse(read(path), path)
            except SyntaxError as exc:
                yield "%s:%s: %s" % (path, exc.lineno, exc.msg)  # noqa: UP031 - Python 3.6 or any other
    for path in files(docs):
        if path.endswith(".md"):
            for number, name in links(path):
                yield "{}:{}: link to {}, which is not installed".format(path, number, name)  # noqa: UP032


def main(argv):
    """Check the tree below DESTDIR."""
    if len(argv) not in (2, 3):
        sys.stderr.write("usage: installed.py DESTDIR [PREFIX]\n")
        return 2
    share = os.path.join(argv[1] or "/", (argv[2] if len(argv) == 3 else "/usr").lstrip("/"), "share")
    states = os.path.join(share, "salt-formulas", "states")
    docs = os.path.join(share, "doc", "packages", "salt-klp")
    wrong = list(problems(states, docs))
    print("\n".join(wrong + ["{} files, {} findings".format(len(files(states) + files(docs)), len(wrong))]))  # noqa: UP032
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
