import pytest

names = ("campaigns", "master", "previews", "report")  # what they assert is explained as in a test
pytest.register_assert_rewrite(*[f"tests.unit.{name}" for name in names])
