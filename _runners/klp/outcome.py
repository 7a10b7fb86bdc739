"""
What the public functions of the runner return, with the exit codes, and what a person is told meanwhile.
"""

from __future__ import annotations

import sys
import time

RETCODES = {
    "done": 0,
    "incomplete": 2,
    "stopped": 3,
    "aborted": 4,
    "paused": 5,
    "running": 6,
    "expired": 7,
    "open": 8,
    "interrupted": 9,
}
REFUSED = 1


def answer(retcode, text, **document):
    """Return what a public function returns; Salt's outputter ``klp`` shows the text, ``--out=json`` all of it."""
    return {"retcode": retcode, "outputter": "klp", "text": text, **document}


def refusal(exc):
    """Return the answer to what cannot be done: one sentence."""
    return answer(REFUSED, f"refused: {exc}", error=str(exc))


def progress(line):
    """Tell a person what is being done; documents go to standard output, so this does not."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()
