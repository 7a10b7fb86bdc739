"""
The form of pillar ``klp:kernel``: which kernel a host gets, what restarts it, how many kernels it keeps.
"""

import re

from klp_forms import FORMS

BEST, NONE, ALL = "best", "none", "all"
LEAST, MOST = 2, 20  # kernels; two are the running one and the one to fall back to
WORDS = 100  # of the command that restarts a host


def _shown(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def target_problem(value):
    """Return what is wrong with ``klp:kernel:target``, or ``None``."""
    if value is None or value in ("", NONE, BEST):
        return None
    if isinstance(value, str) and re.match(FORMS["edition"] + r"\Z", value):
        return None
    return f"wanted best, none or an edition such as 5.14.21-150500.55.19.1, found {_shown(value)}"


def keep_problem(value):
    """Return what is wrong with ``klp:kernel:keep``, or ``None``."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value == ALL or (whole and LEAST <= value <= MOST):
        return None
    return f"wanted all or a number of kernels from {LEAST} to {MOST}, found {_shown(value)}"


def reboot_problem(value):
    """Return what is wrong with ``klp:kernel:reboot``, or ``None``; its words are never shown."""
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return "wanted a list of words, the program first (no shell reads it); put numbers into quotes"
    if len(value) > WORDS:
        return f"wanted at most {WORDS} words, found {len(value)}"
    if not all(re.match(FORMS["word"] + r"\Z", word) for word in value):
        return "a word is too long or holds a control character"
    if value and not re.match(FORMS["program"] + r"\Z", value[0]):
        return "the program has to be an absolute path"
    return None


def _pattern(*forms):
    return {"type": "string", "pattern": "^(?:" + "|".join(forms) + ")$(?!\\n)"}


TARGET_SCHEMA = {"anyOf": [{"type": "null"}, _pattern("", NONE, BEST, FORMS["edition"])]}
KEEP_SCHEMA = {"anyOf": [{"const": ALL}, {"type": "integer", "minimum": LEAST, "maximum": MOST}]}
REBOOT_SCHEMA = {
    "type": "array",
    "maxItems": WORDS,
    "prefixItems": [_pattern(FORMS["program"])],
    "items": _pattern(FORMS["word"]),
}
