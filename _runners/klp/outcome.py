"""
What the public functions of the runner return, with the exit codes, and what a person is told meanwhile.
"""

from __future__ import annotations

import inspect
import sys
import time

from .words import count

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
    "unknown": 10,
}
REFUSED = 1
HINTS = {"cve": "for example: salt-run klp.cve CVE-2026-31431"}  # for whoever has left out an argument


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


def stopped(names):
    """Return the answer to a signal, as Ctrl-C sends one: ``names`` are the campaigns that were driven."""
    if not names:
        text = "stopped by a signal; no campaign was driven; see what is there with: salt-run klp.status"
        return answer(REFUSED, text, error="stopped by a signal")
    one = f" {names[0]}" if len(names) == 1 else ""
    text = (
        "stopped by a signal: hosts that run finish, and no further one is started. The journal has all that was done; "
        f"go on with: salt-run klp.resume{one}"
    )
    return answer(RETCODES["interrupted"], text, error="stopped by a signal", campaigns=list(names))


def misuse(name, parameters, args, kwargs):
    """Return what is wrong with the arguments of a public function, in one sentence."""
    takes = ", ".join(parameters) or "none"
    unknown = sorted(set(kwargs) - set(parameters))
    if unknown:
        return f"klp.{name} does not know the argument {', '.join(unknown)}; it takes: {takes}"
    if len(args) > len(parameters):
        return f"klp.{name} was given {count(len(args), 'argument')}; it takes: {takes}"
    first = list(parameters)[: len(args)]
    twice = [key for key in kwargs if key in first]
    if twice:
        return f"klp.{name} was given {twice[0]} twice; it takes: {takes}"
    empty = inspect.Parameter.empty
    missing = [key for key, item in parameters.items() if item.default is empty and key not in {*first, *kwargs}]
    hint = HINTS.get(name, "see what is there with: salt-run klp.status")
    return f"klp.{name} needs {', '.join(missing)}; {hint}"
