"""Every command of README.md and of the pages below docs is run by a test, or is one of a few exceptions."""

import re
import shlex

import pytest
import yaml

from tests import pages
from tests.functional import commands
from tests.functional import scenes as one_host
from tests.integration import course
from tests.integration import scenes as fleet
from tools import reference

TROUBLE = str(commands.TROUBLE.relative_to(pages.CHECKOUT))
EVERYTHING = pages.everything()


def run_somewhere():
    """Return the commands that tests read from the pages and run."""
    found = [one for place in one_host.SCENES for one in one_host.mine(*place)]
    found += [one for place in {**fleet.SCENES, **fleet.BRIEF} for one in fleet.mine(*place)]
    found += commands.server_scripts()
    found += [one for place in fleet.YEARLY for one in fleet.whole(*place)]
    indented = {shlex.join(["salt", "sles1", *words]) for part in commands.sections().values() for words in part}
    here = [one for one in EVERYTHING if one.page == TROUBLE and shlex.join(shlex.split(one.text)) in indented]
    texts = {one.text for one in [*found, *here] if one.text.split()[-1] not in commands.NOT_HERE}
    return texts | set(commands.examples().values())


def made_by_make():
    """Return the targets of make that continuous integration runs, those they need included."""
    makefile = (pages.CHECKOUT / "Makefile").read_text()
    needs = {name: rest.split() for name, rest in re.findall(r"^([a-z-]+):([^#=\n]*)", makefile, re.MULTILINE)}
    found = set(re.findall(r"make ([a-z-]+)", (pages.CHECKOUT / ".ci" / "run").read_text()))
    while True:
        more = found | {need for name in found for need in needs.get(name, ()) if need != "|"}
        if more == found:
            return found & set(needs)
        found = more


RUN = run_somewhere()


def excused(command):
    """Return the reason why no test runs a command, if there is one."""
    return course.EXCEPTIONS.get(command.text) or course.EXCEPTIONS.get((command.page, command.text))


def unknown(command):
    """Tell whether a command is run by no test."""
    if command.text.startswith("make "):
        return command.text.split()[1] not in made_by_make() and not excused(command)
    return command.text not in RUN and not excused(command)


@pytest.mark.parametrize("page", sorted({command.page for command in EVERYTHING}))
def test_every_command_is_run_by_a_test_or_excused(page):
    assert [str(command) for command in EVERYTHING if command.page == page and unknown(command)] == []


def test_there_are_no_exceptions_for_what_is_not_there():
    texts = {command.text for command in EVERYTHING} | {(command.page, command.text) for command in EVERYTHING}
    assert set(course.EXCEPTIONS) - texts == set()
    assert all(reason.endswith(".") for reason in course.EXCEPTIONS.values())


PAGE = """\
# One

See `salt web1 test.ping`, not `klp.run`.

    salt web1 klp.status  # why

```text
real
```

## Two

1. First

   ```sh
   salt-run klp.plan
   make demo
   ```

   ```yaml
   salt: no
   ```

```sh
id=$(salt-run klp.plan)
salt-run klp.run $id
```
"""


def test_a_command_is_found_in_every_way_to_write_it():
    found = pages.Reader("page").read(PAGE)
    assert [(one.section, one.text) for one in found] == [
        ("One", "salt web1 test.ping"),
        ("One", "salt web1 klp.status"),
        ("Two", "salt-run klp.plan"),
        ("Two", "make demo"),
        ("Two", "id=$(salt-run klp.plan)\nsalt-run klp.run $id"),
    ]
    assert found[1].shown == ("real",)


@pytest.mark.parametrize(
    ("shown", "output", "first"),
    [
        ("a\n...\nc", "a\nb\nc", ""),
        ("a\nc", "a\nb\nc", "a"),
        ("c\n...\na", "a\nb\nc", "a"),
        ("at 10:00:01, 3 s", "at 11:22:33, 14 s", ""),
        ("wave    hosts\nrest        1", "wave  hosts\n\nrest      1", ""),
        ("rest  1", "rest  2", "rest 1"),
        ("...\nend", "no", "end"),
        ("", "", ""),
    ],
)
def test_an_output_has_what_a_page_shows(shown, output, first):
    assert pages.missing(tuple(shown.splitlines()), output) == first


def test_the_reference_is_up_to_date():
    assert {path: path.read_text() for path in reference.pages()} == reference.pages()
    assert {path.name for path in reference.FOLDER.glob("*")} == {path.name for path in reference.pages()}


@pytest.mark.parametrize("page", reference.PAGES)
def test_every_function_has_its_section_in_the_order_of_the_alphabet(page):
    headings = re.findall(r"^## (.*)", (reference.FOLDER / f"{page}.md").read_text(), re.MULTILINE)
    wanted = [f"{module}.{name}" for module, name in reference.functions(page)]
    assert headings == (sorted(wanted) or ["Beacon klp", "Grain klp"])


@pytest.mark.parametrize("path", pages.paths(), ids=lambda path: str(path.relative_to(pages.CHECKOUT)))
def test_every_example_in_yaml_can_be_read(path):
    for block in re.findall(r"^ *```yaml\n(.*?)^ *```", path.read_text(), re.MULTILINE | re.DOTALL):
        assert isinstance(yaml.safe_load(block), dict), block


@pytest.mark.parametrize(
    ("docstring", "text"),
    [
        ("Return ``x``.", "Return `x`."),
        ("See ``docs/reference/pillar.md``.", "See [pillar.md](../pillar.md)."),
        ("level\n    a number\n    or not", "* `level`:\n  a number\n  or not"),
        (":pillar: ``klp``", "* pillar: `klp`"),
        (
            "CLI Example:\n\n.. code-block:: bash\n\n    salt '*' a.b\n    salt '*' a.c",
            "CLI Example:\n\n```sh\nsalt '*' a.b\nsalt '*' a.c\n```",
        ),
        (".. code-block:: yaml\n\n    a:\n      b: []\n\nMore.", "```yaml\na:\n  b: []\n```\n\nMore."),
    ],
)
def test_a_docstring_becomes_markdown(docstring, text):
    assert reference.prose(docstring) == text
