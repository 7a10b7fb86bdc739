"""Commands as a page or a docstring has them, run by salt-call in a host, one after the other."""

import ast
import json
import re
import shlex
import sys

from tests import pages
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


def command(reason):
    """Return the command at the end of a refusal, as a shell takes it."""
    return reason.rsplit(" with: ", 1)[1]


def shell(one, text):
    """Run a command as a person would."""
    done = one.run(["sh", "-c", text])
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


SNAPPER = {"klp": {"backup": {"backend": "snapper"}, "update": {"scriptlets": "accept"}}}


def examples():
    """Return the CLI Examples of the modules: ``{function: command}``."""
    found = {}
    for path in sorted((CHECKOUT / "_modules").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                text = ast.get_docstring(node) or ""
                (command,) = re.findall(r"CLI Example:\n\n\.\. code-block:: bash\n\n\s+(salt .*)", text)
                found[f"{path.stem}.{node.name.rstrip('_')}"] = command
    return found


TROUBLE = CHECKOUT / "docs" / "how-to" / "something-went-wrong.md"
NOT_HERE = ("system.reboot",)  # in tests/system


def sections():
    """Return the commands of each section, without the name of the host."""
    found = {}
    for part in TROUBLE.read_text().split("\n## ")[1:]:
        lines = [line.strip() for line in part.splitlines() if line.startswith("    ")]
        assert all(line.startswith("salt sles1 ") for line in lines), lines
        found[part.splitlines()[0]] = [shlex.split(line)[2:] for line in lines]
    return found


SERVER_PAGE = "docs/how-to/suse-manager.md"
SERVER_SECTION = "Bring it in"


def server_scripts():
    """Return the scripts of the page."""
    return [
        command
        for command in pages.commands(SERVER_PAGE, SERVER_SECTION)
        if "mgrctl" in command.text or "make" in command.text
    ]
