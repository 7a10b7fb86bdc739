"""The hosts that the commands of the pages about one host are run on."""

import json
import re

from tests import pages
from tests.functional.commands import SNAPPER
from tests.functional.conftest import apply
from tests.lab import grub
from tests.lab.build import CHECKOUT

HOOKS = "docs/how-to/hooks.md"
DUE = {"around": "klp.patch", "run": None, "since": 1795918385, "stage": "changing", "after": ["site.undrain"]}
# What the hooks of the page call. Each knows the arguments of the page only, and fails for any other.
CALLED = {
    # ss(8): -H without a head line, -t TCP, -n numbers; a line for each session. The first time there is one.
    "ss": """[ "$*" = "-Htn state established sport = :80" ] || exit 255
[ -e /run/asked-ss ] || echo "0 0 192.0.2.11:80 192.0.2.1:51234"
touch /run/asked-ss""",
    # curl(1): 7 is "failed to connect to host", as at the first time here.
    "curl": """[ "$*" = "-fsS --max-time 5 -o /dev/null http://localhost/" ] || exit 2
[ -e /run/asked-curl ] || { touch /run/asked-curl; exit 7; }""",
    # crmsh: "node standby [<node>]" and "node online [<node>]" mean this node without a name.
    "crm": """case "$*" in "--wait node standby" | "--wait node online") echo "$3" >/run/crm ;; *) exit 1 ;; esac""",
    # pacemaker/cts/cli/regression.crm_mon.exp has both forms of the list of nodes.
    "crm_mon": """[ "$*" = -1 ] || exit 64
printf 'Cluster Summary:\\n  * Current DC: sles2 (version 2.1.2) - partition with quorum\\n\\nNode List:\\n'
case "$(cat /run/crm)" in
    standby) printf '  * Node sles1: standby\\n  * Online: [ sles2 ]\\n' ;;
    *) printf '  * Online: [ sles1 sles2 ]\\n' ;;
esac""",
    "crm_node": '[ "$*" = -n ] && echo sles1',
}


def enabled(sles):
    return sles("enabled")


def converged(sles):
    return sles("converged")


def patched(sles):
    one = sles("enabled", pillar=SNAPPER)
    one.install_fake("snapper")
    assert apply(one, "klp.patch").failed == {}
    return one


def with_grub(sles):
    """Return a host that a new kernel can be started on once."""
    one = sles("enabled")
    grub.install(one)
    return one


def with_new_kernel(sles):
    """The same, and the new kernel waits for its start."""
    one = with_grub(sles)
    assert apply(one, "klp.kernel").failed == {}
    return one


def drained(sles):
    """Return a host with the hooks of the page, whose run was cut off: it is drained, and in standby."""
    hooks = {"before": ["site.drain", "site.leave"], "after": ["site.join", "site.undrain"]}
    one = sles("enabled", hooks=hooks)
    one.salt.configure(file_roots={"base": [str(CHECKOUT / "salt"), "/srv/salt"]})
    page = (CHECKOUT / HOOKS).read_text()
    for path, text in re.findall(r"^# (/srv/salt/site/\w+\.sls)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        one.write(path, text)
    for name, text in CALLED.items():
        one.write(f"/usr/bin/{name}", f"#!/bin/sh\n{text}\n", mode=0o755)
    one.write("/srv/www/htdocs/alive", "web\n")
    one.write("/run/crm", "standby\n")
    one.write("/var/lib/salt-klp/hooks.json", json.dumps(DUE), mode=0o600)
    return one


# Page and section (None: all of them) -> the host that their commands are run on, in their order. The examples of
# docs/reference/modules are those of the docstrings (test_cli_examples.py).
SCENES: dict = {
    ("README.md", "On a real Salt master"): enabled,
    ("README.md", "Rollback and restore"): patched,
    ("README.md", "Looking at a host"): converged,
    ("docs/how-to/report.md", "One host"): converged,
    ("docs/how-to/report.md", "Alarms"): converged,
    ("docs/how-to/refusals.md", None): converged,
    ("docs/how-to/yearly-kernel.md", "On one host"): with_grub,
    ("docs/how-to/yearly-kernel.md", "Rollback"): with_new_kernel,
    ("docs/how-to/something-went-wrong.md", "One package does harm"): patched,
    (HOOKS, None): drained,
    ("docs/how-to/what-comes.md", None): converged,
    ("docs/how-to/large-fleet.md", None): converged,
    ("docs/how-to/staging.md", None): converged,
    ("docs/reference/pillar.md", "Pillar"): converged,
    ("docs/reference/hosts.md", "Hosts"): converged,
}


def mine(page, section):
    """Return the commands of a scene: those for one host."""
    return [found for found in pages.commands(page, section) if found.text.startswith(("salt ", "salt-call "))]
