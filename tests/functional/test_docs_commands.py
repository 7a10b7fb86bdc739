"""Every command of the pages that is about one host, run by salt-call in lab hosts: examples, how-tos, reference."""

import pytest

from tests import pages
from tests.functional.commands import run
from tests.functional.conftest import apply
from tests.functional.test_cli_examples import SNAPPER


def enabled(sles):
    return sles("enabled")


def converged(sles):
    return sles("converged")


def patched(sles):
    one = sles("enabled", pillar=SNAPPER)
    one.install_fake("snapper")
    assert apply(one, "klp.patch").failed == {}
    return one


# Page and section (None: all of them) -> the host that their commands are run on, in their order. The examples of
# docs/reference/modules are those of the docstrings (test_cli_examples.py).
SCENES: dict = {
    ("README.md", "On a real Salt master"): enabled,
    ("README.md", "The way back"): patched,
    ("README.md", "Looking at a host"): converged,
    ("docs/how-to/report.md", "One host"): converged,
    ("docs/how-to/report.md", "Alarms"): converged,
    ("docs/how-to/refusals.md", None): converged,
    ("docs/how-to/something-went-wrong.md", "One package does harm"): patched,
    ("docs/reference/pillar.md", "Pillar"): converged,
    ("docs/reference/hosts.md", "Hosts"): converged,
}
# Exit codes other than 0, and why.
CODES = {
    "salt '*' state.apply klp.restore": 2,  # nothing is restored without a confirmation; it lists what would be lost
}


def mine(page, section):
    """Return the commands of a scene: those for one host."""
    return [found for found in pages.commands(page, section) if found.text.startswith(("salt ", "salt-call "))]


@pytest.mark.parametrize("place", SCENES, ids=lambda place: f"{place[0]} {place[1] or ''}".strip())
def test_the_commands_of_a_page(sles, place):
    commands = mine(*place)
    assert commands, "the page has no such section any more, or no commands in it"
    run(SCENES[place](sles), commands, CODES)
