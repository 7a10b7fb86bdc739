import pytest

# What they assert is explained as in a test.
names = ("checkout", "commands", "documents", "kernels", "refusal", "scenes")
pytest.register_assert_rewrite(*[f"tests.functional.{name}" for name in names])
