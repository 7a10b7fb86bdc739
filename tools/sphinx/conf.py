"""
What Sphinx makes of the Markdown pages: ``make docs``.

The pages are read where they lie, from the root of the checkout, so that their links are the same here and on a forge.
The order of the pages is that of the links in docs/index.md; a page that it does not lead to is an error.
"""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START = "docs/index"

project = "salt-klp"
author = "the salt-klp project"
project_copyright = author
(version,) = re.findall(r"^version = (\S+)", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
release = version

extensions = ["myst_parser"]
myst_heading_anchors = 4
root_doc = START
include_patterns = ["*.md", "docs/**.md", "tests/lab/README.md"]
exclude_patterns = [".*", "build", "dist", "_*", "salt", "pillar", "bench", "demo", "tools", "install", "metadata"]
nitpicky = True
smartquotes = False  # "--option" stays as it is

html_theme = "furo"
html_title = f"salt-klp {version}"
html_extra_path = ["extra"]  # the way from the folder to the start page
html_show_sourcelink = False
html_copy_source = False


def parts(text):
    """Yield ``(heading, pages)`` for each part of the start page that links to pages."""
    for part in text.split("\n## ")[1:]:
        links = re.findall(r"\]\(([^)#\s]+\.md)\)", part)
        if links:
            yield part.splitlines()[0], dict.fromkeys(links)


def tree(heading, pages):
    """Return the part of the menu that has these pages."""
    names = ("/" + os.path.normpath(f"docs/{page}").removesuffix(".md") for page in pages)
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {heading}", *names, "```", ""])


def without_folders(name, text):
    """Return a page whose links to folders, which only a forge can show, are mere text."""

    def shown(link):
        return link[1] if ((ROOT / name).parent / link[2]).is_dir() else link[0]

    return re.sub(r"\[([^\]]+)\]\(([^)#:\s]+)\)", shown, text)


def prepare(app, name, source):
    """Take from a page what only a forge has, and give the start page the menu that a forge does not need."""
    source[0] = without_folders(name, source[0])
    if name == START:
        source[0] += "\n".join(tree(heading, pages) for heading, pages in parts(source[0]))


def setup(app):
    """Let Sphinx call what is above."""
    app.connect("source-read", prepare)
    return {"parallel_read_safe": True}
