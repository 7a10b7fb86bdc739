"""The commands of the tutorials and of the pages about fleets, as they stand there, on a real master."""

import pytest

from tests.integration.course import Course
from tests.integration.scenes import BRIEF, SCENES, mine


@pytest.fixture(scope="module")
def course(salt_factories, lab, tmp_path_factory):
    """The master and its minions."""
    found = Course(salt_factories, lab, tmp_path_factory.mktemp("course"))
    with found.master.started():
        try:
            found.open()
            yield found
        finally:
            found.close()


@pytest.mark.parametrize("place", {**SCENES, **BRIEF}, ids=lambda place: f"{place[0]} {place[1] or ''}".strip())
def test_the_commands_of_a_page(course, place):
    commands = mine(*place)
    assert commands or place in BRIEF, "the page has no such section any more, or no commands in it"
    {**SCENES, **BRIEF}[place](course, commands)
