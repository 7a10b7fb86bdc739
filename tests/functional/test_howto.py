"""Every command of the how-to "Something went wrong" is run on a host that is in the trouble its section speaks of."""

import json
import re

import pytest

from tests.functional.commands import NOT_HERE, TROUBLE, sections
from tests.functional.conftest import LP, SECOND, THIRD, VERIFY, apply

HOLD = {"package": LP, "edition": SECOND, "from": THIRD, "since": 1, "locks": []}
ASKS_FOR_A_REBOOT = {"zypper --non-interactive patch --with-interactive": 102}


def harm(sles):
    return sles("converged")


def begun(sles):
    one = sles("converged")
    one.write("/var/lib/salt-klp/hold.json", json.dumps(HOLD), mode=0o600)
    assert apply(one, "klp.patch").failed
    return one


def held(sles):
    one = sles("converged")
    assert apply(one, "klp.rollback").failed == {}
    return one


def errors(sles):
    one = sles("converged")
    one.write("/proc/sys/kernel/tainted", "512\n")
    assert apply(one, "klp.rollback").failed
    return one


def stuck(sles):
    one = sles("enabled", transition={"timeout": 1})
    one.faults(transition="stay")
    assert apply(one, "klp.patch").failed
    return one


def cut_off(sles):
    one = sles("enabled")
    one.write(VERIFY, "#!/bin/sh\nexit 1\n", mode=0o755)
    assert apply(one, "klp.patch").failed
    one.write(VERIFY, "#!/bin/sh\n", mode=0o755)
    return one


def updated(sles):
    one = sles("enabled")
    assert apply(one, "klp.patch").failed == {}
    return one


def snapped(sles):
    one = sles("enabled", backup={"backend": "snapper"})
    one.install_fake("snapper")
    assert apply(one, "klp.patch").failed == {}
    return one


SCENES = {
    "The live patch does harm": harm,
    "A rollback was cut off": begun,
    "The fixed live patch is there": held,
    "The kernel has had errors": errors,
    "The transition does not end": stuck,
    "A run was cut off": cut_off,
    "One package does harm": updated,
    "An update broke the host": snapped,
    "No backup can be made": updated,
    "The verdict is not ok": updated,
    "No more live patching": updated,
}


def test_every_section_has_a_host_in_trouble():
    assert list(sections()) == list(SCENES)
    links = re.findall(r"\]\(#([a-z-]+)\)", TROUBLE.read_text())
    assert set(links) == {name.lower().replace(" ", "-") for name in SCENES}


@pytest.mark.parametrize("name", SCENES)
def test_the_commands_of_a_section(sles, name):
    one = SCENES[name](sles)
    one.salt.sync()
    for number, words in enumerate(sections()[name]):
        if words[0] in NOT_HERE:
            break
        if name == "The transition does not end" and number == 1:
            one.finish_transition()
        done = one.run(one.salt.argv(*words))
        assert done.returncode == ASKS_FOR_A_REBOOT.get(words[-1], 0), f"{words}\n{done.stdout}\n{done.stderr}"
