import pytest

# What they assert is explained as in a test.
names = ("crew", "killing", "scenes")
pytest.register_assert_rewrite(*[f"tests.integration.{name}" for name in names])
