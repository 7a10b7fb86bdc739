"""Every example of these tests is the same on every machine and at every time."""

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.simulation.cases", "tests.simulation.chance")
settings.register_profile("unit", derandomize=True, max_examples=80, deadline=None, database=None)
settings.load_profile("unit")
