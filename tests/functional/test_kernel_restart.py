"""The restart that a campaign asks for: once, with hooks before and after it, on a host with a real zypper and GRUB."""

from tests.functional import hooks
from tests.functional.conftest import NEW_KERNEL, apply, settings
from tests.functional.hooks import HOOKS, hook, log
from tests.functional.kernels import stage
from tests.functional.refusal import causes
from tests.lab import grub

hooked = hooks.hooked  # the fixture

REQUESTS = "/var/lib/lab/restarts"
ROUND = ["drained", "undrained"]


def boot_id(host):
    return host.read("/proc/sys/kernel/random/boot_id").strip()


def restart(host, boot, **klp):
    """Apply klp.restart as a campaign does that has seen this boot id."""
    host.salt.pillar(settings(hooks=HOOKS, campaign={"boot_id": {host.name: boot}}, **klp))
    return apply(host, "klp.restart")


def requests(host):
    """Return how shutdown was called; Salt asks it for its version, to find out what starts the host."""
    found = host.read(REQUESTS).splitlines() if host.exists(REQUESTS) else []
    return [words for words in found if words != "--version"]


def test_one_restart_with_hooks_around_it(hooked):
    one = hooked("enabled", pending=False)
    grub.install(one, saved_entry="SLES 15-SP5")
    one.write("/usr/sbin/shutdown", f'#!/bin/sh\necho "$@" >>{REQUESTS}\n', mode=0o755)
    assert apply(one, "klp").failed == {}
    assert apply(one, "klp.kernel").failed == {}
    assert (log(one), stage(one)) == (ROUND, "installed")
    first = boot_id(one)

    said = (
        "nothing but a campaign of kind kernel with klp_campaign:reboot: true restarts a host, and none has asked for "
    )
    said += f"it: restart this host by hand, then run: salt {one.name} state.apply klp.kernel"
    assert causes(apply(one, "klp.restart"))["klp-restart"] == said
    assert (log(one), requests(one)) == (ROUND, [])

    answer = restart(one, first)
    assert answer.failed == {}
    assert answer.comments["klp-restart"].endswith("it is restarted in 1 minute by system.reboot")
    assert (log(one), requests(one), stage(one)) == (ROUND + ROUND[:1], ["-r 1"], "restarting")

    one.reboot()
    said = f"this host was started again since the campaign asked for a restart (boot id {boot_id(one)}, asked was "
    assert causes(restart(one, first))["klp-restart"] == f"{said}{first}): not restarted"
    assert requests(one) == ["-r 1"]
    answer = apply(one, "klp.kernel")
    assert (answer.failed, one.kernel, stage(one)) == ({}, NEW_KERNEL, "verified")
    assert log(one) == ROUND + ROUND


def test_a_host_that_cannot_be_drained_is_not_restarted(hooked):
    one = hooked("enabled", pending=False)
    grub.install(one)
    one.write("/usr/sbin/shutdown", f'#!/bin/sh\necho "$@" >>{REQUESTS}\n', mode=0o755)
    assert apply(one, "klp").failed == {}
    assert apply(one, "klp.kernel").failed == {}
    hook(one, "site.drain", command="false")
    answer = restart(one, boot_id(one))
    assert "klp-restart-hook-before" in answer.failed
    assert (log(one), requests(one), stage(one)) == (ROUND + ROUND[1:], [], "installed")
