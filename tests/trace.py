"""
Runs inside a host: one call of Salt, and what it costs in salt-klp itself: functions called, moves from file to file.

    python tests/trace.py state.single klp.patched live-patch level=3

Standard output is JSON: ``answer``; ``calls`` of functions in files of salt-klp, but for loading them; ``entries``,
those of these that go from one file to another, or from Salt to one; ``moves``, the entries but for those of PLUMBING,
which every question goes through and a reader has seen once; ``functions`` (``{FILE.FUNCTION: calls}``), ``seconds``.
"""

import collections
import json
import os
import sys
import time

import salt.client
import salt.config
import salt.utils.args

FOLDER = "/extmods/"  # where a sync puts them
PARTS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>")  # no functions with a name
LOADING = ("<module>", "__virtual__")
PLUMBING = ("klp_cmd.parsed", "klp_host.kept", "klp_host.run", "klp_sys.fingerprint")


class Tracer:
    """Counts, as a profile function of the interpreter."""

    def __init__(self):
        self.functions: collections.Counter[str] = collections.Counter()
        self.entries = self.moves = 0
        self._loading = 0
        self._files: list[str] = []  # those of salt-klp on the stack
        self._places: list[str] = []  # the same without plumbing

    def __call__(self, frame, event, _argument):
        code = frame.f_code
        if event not in ("call", "return") or FOLDER not in code.co_filename or code.co_name in PARTS:
            return
        self._loading += (code.co_name in LOADING) * (1 if event == "call" else -1)
        if self._loading or code.co_name in LOADING:
            return
        name = f"{os.path.basename(code.co_filename)[:-3]}.{code.co_name}"
        for stack in [self._files] + [self._places] * (name not in PLUMBING):
            if event == "return":
                stack.pop()
                continue
            self.entries += stack is self._files and stack[-1:] != [code.co_filename]
            self.moves += stack is self._places and stack[-1:] != [code.co_filename]
            stack.append(code.co_filename)
        self.functions[name] += event == "call"


def trace(arguments):
    """Return what one call says and costs."""
    opts = salt.config.minion_config("/etc/salt/minion")
    opts["file_client"] = "local"
    caller, tracer = salt.client.Caller(mopts=opts), Tracer()
    words, keywords = salt.utils.args.parse_input(arguments, condition=False)
    begun = time.monotonic()
    sys.setprofile(tracer)
    try:
        answer = caller.cmd(*words, **keywords)
    finally:
        sys.setprofile(None)
    return {
        "answer": answer,
        "calls": sum(tracer.functions.values()),
        "entries": tracer.entries,
        "moves": tracer.moves,
        "functions": dict(tracer.functions.most_common()),
        "seconds": round(time.monotonic() - begun, 2),
    }


if __name__ == "__main__":
    json.dump(trace(sys.argv[1:]), sys.stdout)
