"""Commands as a page or a docstring has them, run by salt-call in a host, one after the other."""

import json
import shlex
import sys

from tests.lab.build import CHECKOUT

CALLS = CHECKOUT / "tests" / "functional" / "calls.py"


def arguments(text):
    """Return the arguments of salt-call for a command: without options of the master's side and target."""
    program, *words = shlex.split(text)
    if program == "salt-call":
        return words
    assert program == "salt", text
    while words[0].startswith("-"):
        if words.pop(0) == "-b":  # it has a value
            words.pop(0)
    return ["--local", "--retcode-passthrough", *words[1:]]


def run(host, commands, codes=None):
    """Run commands, and check their exit codes: those of ``codes``, else 0."""
    host.salt.sync()
    for name, target in (("/srv/salt-klp", CHECKOUT), ("/usr/share/salt-formulas/states", CHECKOUT / "salt")):
        link = host.path(name)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    texts = [getattr(command, "text", command) for command in commands]
    asked = json.dumps([arguments(text) for text in texts])
    done = host.run([sys.executable, str(CALLS)], input=asked, timeout=540)
    assert done.returncode == 0, done.stderr
    answers = zip(commands, texts, json.loads(done.stdout), strict=True)
    wrong = [f"{one}: exit {code}\n{told}" for one, text, (code, told) in answers if code != (codes or {}).get(text, 0)]
    assert not wrong, "\n".join(wrong)
