"""Every command of the pages that is about one host, run by salt-call in lab hosts: examples, how-tos, reference."""

import json
import shlex
import sys

import pytest

from tests import pages
from tests.functional.conftest import LOCKS, TOOLS, apply
from tests.lab.build import CHECKOUT

CALLS = CHECKOUT / "tests" / "functional" / "calls.py"
MODULES = ("klp", "klp_audit", "root_backup", "zypper")
SNAPPER = {"klp": {"backup": {"backend": "snapper"}}}
SNAPSHOTS = "/var/lib/lab/snapper.json"
# A snapshot of somebody else, so that the first one of ours is 42, as the examples of root_backup call it.
FOREIGN = {"number": 41, "type": "single", "date": "2026-11-01 00:00:00", "description": "x", "cleanup": "number"}
FOREIGN["userdata"] = {}


def enabled(sles):
    return sles("enabled")


def converged(sles):
    return sles("converged")


def fresh(sles):
    return sles("fresh")


def patched(sles):
    one = sles("enabled", pillar=SNAPPER)
    one.install_fake("snapper")
    assert apply(one, "klp.patch").failed == {}
    return one


def locked(sles, golden="fresh"):
    """A host whose kernel packages are locked."""
    one = sles(golden)
    assert one.salt_call("zypper.add_locks", LOCKS).rc == 0
    return one


def old_and_locked(sles):
    return locked(sles, "enabled")


def with_tools(sles):
    """A host with the tools, and nothing that needs them."""
    one = sles("fresh")
    assert one.zypper("install", TOOLS).returncode == 0
    return one


def backed_up(sles):
    """A host with two backups of its own, the first of which is number 42."""
    one = sles("enabled", pillar=SNAPPER)
    one.install_fake("snapper")
    one.write(SNAPSHOTS, json.dumps([FOREIGN]))
    for _ in range(2):
        done = one.salt_call("root_backup.create")
        assert done.rc == 0, done
        assert one.salt_call("root_backup.finish").rc == 0
    return one


# Page and section (None: all of them) -> the host that their commands are run on, in their order.
SCENES: dict = {
    ("README.md", "On a real Salt master"): enabled,
    ("README.md", "The way back"): patched,
    ("README.md", "Looking at a host"): converged,
    ("docs/how-to/report.md", "One host"): converged,
    ("docs/how-to/report.md", "Alarms"): converged,
    ("docs/how-to/refusals.md", None): converged,
    ("docs/how-to/something-went-wrong.md", "One package does harm"): patched,
    ("docs/reference/pillar.md", "Pillar"): converged,
    ("docs/reference/hosts.md", "Hosts"): converged,
    **{(f"docs/reference/modules/{name}.md", None): converged for name in MODULES},
}
# Examples that change a host, or need one that they fit: each line has a host of its own.
ALONE = {
    "klp.bring": enabled,
    "klp.disable": converged,
    "klp.downgrade": converged,
    "klp.enable": locked,
    "klp.hold": converged,
    "klp.install": enabled,
    "klp.release": converged,
    "root_backup.verify root_backup.losses root_backup.restoration root_backup.restore": backed_up,
    "root_backup.delete": backed_up,
    "zypper.add_locks": fresh,
    "zypper.removal zypper.remove": with_tools,
    "zypper.remove_locks": locked,
    "zypper.update": old_and_locked,
}
# Exit codes other than 0, and why.
CODES = {
    "salt '*' state.apply klp.restore": 2,  # nothing is restored without a confirmation; it lists what would be lost
}


def arguments(command):
    """Return the arguments of salt-call for a command of a page: without options of the master's side and target."""
    program, *words = shlex.split(command.text)
    if program == "salt-call":
        return words
    assert program == "salt", command
    while words[0].startswith("-"):
        words.pop(0)
    return ["--local", "--retcode-passthrough", *words[1:]]


def mine(page, section):
    """Return the commands of a scene: those for one host."""
    return [found for found in pages.commands(page, section) if found.text.startswith(("salt ", "salt-call "))]


def function(command):
    """Return the function that a command calls."""
    return shlex.split(command.text)[2]


def run(host, commands):
    """Run commands in a host, one after the other, and check their exit codes."""
    host.salt.sync()
    link = host.path("/srv/salt-klp")
    link.unlink(missing_ok=True)
    link.symlink_to(CHECKOUT)
    asked = json.dumps([arguments(command) for command in commands])
    done = host.run([sys.executable, str(CALLS)], input=asked, timeout=540)
    assert done.returncode == 0, done.stderr
    answers = zip(commands, json.loads(done.stdout), strict=True)
    wrong = [f"{one}: exit {code}\n{told}" for one, (code, told) in answers if code != CODES.get(one.text, 0)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("place", SCENES, ids=lambda place: f"{place[0]} {place[1] or ''}".strip())
def test_the_commands_of_a_page(sles, place):
    alone = " ".join(ALONE).split()
    commands = [command for command in mine(*place) if place[1] or function(command) not in alone]
    assert commands, "the page has no such section any more, or no commands in it"
    run(SCENES[place](sles), commands)


@pytest.mark.parametrize("names", ALONE)
def test_examples_that_change_a_host(sles, names):
    page = f"docs/reference/modules/{names.split('.')[0]}.md"
    examples = {function(command): command for command in mine(page, None)}
    run(ALONE[names](sles), [examples[name] for name in names.split()])
