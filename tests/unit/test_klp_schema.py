"""What strings of the pillar may look like, whatever key they stand at."""

import re

import pytest

from klp_schema import FORMS

HOSTILE = {"an option": "--root=/", "a second line": "name\nid", "a terminal's escape": "a\x1b[2Jb", "a nul": "a\0b"}


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"word", "secret"}))
@pytest.mark.parametrize("case", HOSTILE)
def test_no_name_can_be_taken_for_an_option_or_break_a_line(form, case):
    assert not re.match(FORMS[form] + r"\Z", HOSTILE[case])
