"""
The form of a live patch level in the pillar, and of pillar ``klp:levels``.
"""

import re

from klp_forms import FORMS

KERNELS = 200  # of klp:levels
KERNEL = r"[0-9][A-Za-z0-9._+~-]{0,127}"


def show(value):
    """Return a value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def level_problem(value, word="latest"):
    """Return what is wrong with a live patch level, or ``None``; ``word`` is the one that may stand for a level."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 999:
        return None
    if isinstance(value, str) and (value == word or re.match(FORMS["edition"] + r"\Z", value)):
        return None
    return f"wanted {word}, a number from 1 or an edition such as 3-150500.2.1, found {show(value)}"


def problem(value):
    """Return what is wrong with ``klp:levels``, or ``None``."""
    if not isinstance(value, dict):
        return f"wanted a mapping of kernels to levels, found {show(value)}"
    if len(value) > KERNELS:
        return f"wanted at most {KERNELS} kernels, found {len(value)}"
    for kernel, level in value.items():
        if not isinstance(kernel, str) or not re.match(KERNEL + r"\Z", kernel):
            return f"wanted kernels as uname -r shows them, found {show(kernel)}"
        wrong = level_problem(level)
        if wrong:
            return f"{kernel}: {wrong}"
    return None


SCHEMA = {
    "type": "object",
    "maxProperties": KERNELS,
    "propertyNames": {"pattern": "^(?:" + KERNEL + ")$(?!\\n)"},
    "additionalProperties": {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 999},
            {"type": "string", "pattern": "^(?:latest|" + FORMS["edition"] + ")$(?!\\n)"},
        ]
    },
}
