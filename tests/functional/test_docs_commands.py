"""Every command of the pages that is about one host, run by salt-call in lab hosts: examples, how-tos, reference."""

import pytest

from tests.functional.commands import run
from tests.functional.scenes import SCENES, mine

# Exit codes other than 0, and why.
CODES = {
    "salt '*' state.apply klp.restore": 2,  # nothing is restored without a confirmation; it lists what would be lost
    "salt sles1 klp.verify": 1,  # of the page about hooks: the host may still be drained
    "salt HOST state.apply klp.kernel": 2,  # of the page about refusals: its host is refused, too
}


@pytest.mark.parametrize("place", SCENES, ids=lambda place: f"{place[0]} {place[1] or ''}".strip())
def test_the_commands_of_a_page(sles, place):
    commands = mine(*place)
    assert commands, "the page has no such section any more, or no commands in it"
    run(SCENES[place](sles), commands, CODES)
