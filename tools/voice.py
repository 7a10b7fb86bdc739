"""
Phrases that this project has had and does not write any more: each was a riddle, or not the field's word.

The style guide of CONTRIBUTING.md says why; ``tools/lint_house.py`` looks for them in all text but the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

GAP = r"(?:[ \t]+|[ \t]*\n[ \t]*(?:(?:#|\*|//)[ \t]+)?)"  # a blank, or the end of a line and the mark of a comment

# What is not written (a regular expression; a blank is any gap, also the end of a line) -> what is.
PHRASES = {
    r"nobody knows": "unknown",
    r"nobody can (?:say|tell|look into)": "unknown; status unknown; cannot be read",
    r"nobody understands": "unrecognised",
    r"answers? for many hosts": "administrators of large fleets",
    r"would be so anyway": "the defaults",
    r"at your place": "on your system",
    r"live patch(?:es)? free": "release from quarantine",
    r"ways? back": "rollback (live patch, kernel) or restore (backup)",
    r"has got": "has; synced",
    r"held away": "held back",
    r"nothing is left to install": "no packages to install",
    r"at half time": "halfway through the timeout",
    r"(?:made|makes?) anew": "rebuild; make again",
    r"the same again: yes": "repeat the id to confirm",
    r"(?<![\d.,:/-])1 (?:hosts|packages|days|hours|minutes|seconds|CVEs|times|files|commands)": "1 host",
    r"a person wants": "a pause or abort request",
    r"falls? ill": "fail",
    r"is an error that quotes it": "is reported as an error and quoted",
    r"looks at hosts are left": "checks remaining",
}
FOUND = {re.compile(rf"\b{phrase}\b".replace(" ", GAP), re.IGNORECASE): words for phrase, words in PHRASES.items()}


def problems(text: str) -> Iterator[tuple[int, str]]:
    """Yield ``(line, what is wrong)`` of each phrase in a text that is not written here."""
    for pattern, words in FOUND.items():
        for match in pattern.finditer(text):
            phrase = re.sub(GAP, " ", match.group(0))
            yield text.count("\n", 0, match.start()) + 1, f"'{phrase}' is not written here, but: {words}"
