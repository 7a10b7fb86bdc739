"""Every example of these tests is the same on every machine and at every time."""

from hypothesis import settings

settings.register_profile("unit", derandomize=True, max_examples=80, deadline=None, database=None)
settings.load_profile("unit")
