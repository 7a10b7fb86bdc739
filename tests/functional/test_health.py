"""An application that has to be well before the first change of a run and at its end, on a host with a real zypper."""

import pytest

from tests.functional.conftest import apply, settings, snapshot, writes
from tests.functional.refusal import causes, refused
from tests.lab.host import wait_until

SHOP = "/usr/local/bin/shop"
TOKEN = "TOKEN-nobody-may-see-this-51c0"
HEALTH = {"commands": [{"name": "shop", "run": [SHOP, TOKEN], "timeout": 3}], "wait": 1}
BEFORE = (
    "not healthy before: command shop: {}; make the application well first, or patch this host all the same with "
    "pillar klp:health:before: ignore"
)
# Hangs with a child, as a client of a database that does not answer.
HANGS = "#!/bin/sh\nsleep 1000 &\necho $! >/run/child\nwait\n"
NEW_ONE_HURTS = "#!/bin/sh\nrpm -q tool-2.0 >/dev/null || exit 0\necho no answer; exit 7\n"


@pytest.fixture
def shop(sles, mirror):
    """Start a host with one pending update and an application whose check is ``script``."""

    def start_host(script):
        host = sles("converged", health=HEALTH)
        host.write(SHOP, script, mode=0o755)
        mirror(host, "tool")
        return host

    return start_host


def hung(host):
    """Return whether the child of a check that hangs still runs."""
    return host.run(["kill", "-0", host.read("/run/child").strip()]).returncode == 0


def test_ill_host_is_refused_before_anything_is_changed(shop):
    one = shop(HANGS)
    said = BEFORE.format("no end within 3 seconds")
    for test in (True, None):
        refused(one, "klp.patch", {"klp-repositories": said}, test=test)
    wait_until(lambda: not hung(one), 10, "the child of the check to be gone")
    preview = one.salt_call("klp_audit.run_preview").data
    assert (preview["refusals"], preview["health"]["patience"]) == ([said], 3)
    one.salt.pillar(settings(health={**HEALTH, "commands": [{"run": ["/no/such/check", TOKEN]}]}))
    said = one.salt_call("klp_audit.run_preview").data["refusals"]
    assert said == [BEFORE.format("not found, or not executable").replace("shop", "check", 1)]


def test_application_that_falls_ill_fails_the_run_and_says_why(shop):
    one = shop(NEW_ONE_HURTS)
    answer = apply(one, "klp.patch")
    assert causes(answer).keys() == {"klp-verified"} and one.editions("tool") == ["2.0-1.1"]
    assert "health: failed: command shop: exit 7: no answer" in answer.failed["klp-verified"]
    assert TOKEN not in answer.stdout + answer.stderr
    found = one.salt_call("klp.verify").data
    assert {item["check"]: item["verdict"] for item in found["checks"]}["health"] == "failed"
    assert one.salt_call("klp_audit.host").data["verdict"] == "failed"

    # Nothing is pending any more; what is left is to be well, and that is found out by the same command.
    one.write(SHOP, "#!/bin/sh\n", mode=0o755)
    answer = apply(one, "klp.patch")
    assert (answer.failed, writes(one)) == ({}, [])
    was = snapshot(one)
    assert apply(one, "klp.patch").changes == {} and snapshot(one) == was
