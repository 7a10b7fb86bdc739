import pytest

# What they assert is explained as in a test.
names = ("campaigns", "master", "previews", "report", "wire")
pytest.register_assert_rewrite(*[f"tests.unit.{name}" for name in names])
