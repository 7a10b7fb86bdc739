"""Every CLI Example of the modules, run as it stands in its docstring, in a host that it fits."""

import json

import pytest

from tests.functional.commands import SNAPPER, examples, run
from tests.functional.conftest import LOCKS

# A snapshot of somebody else, so that the first one of ours is 42, as the examples of root_backup call it.
FOREIGN = {"number": 41, "type": "single", "date": "2026-11-01 00:00:00", "description": "x", "cleanup": "number"}
FOREIGN["userdata"] = {}


def fresh(sles):
    return sles("fresh")


def converged(sles):
    return sles("converged")


def locked(sles, golden="fresh"):
    """A host whose kernel packages are locked."""
    one = sles(golden)
    assert one.salt_call("zypper.add_locks", LOCKS).rc == 0
    return one


def old_and_locked(sles):
    return locked(sles, "enabled")


def backed_up(sles):
    """A host with two backups of its own, the first of which is number 42."""
    one = sles("enabled", pillar=SNAPPER)
    one.install_fake("snapper")
    one.write("/var/lib/lab/snapper.json", json.dumps([FOREIGN]))
    for _ in range(2):
        assert one.salt_call("root_backup.create").rc == 0
        assert one.salt_call("state.single", "root_backup.finished", "run").rc == 0
    return one


LOOKS = """
klp.version klp.status klp.patches klp.blockers klp.wait klp.package klp.available klp.settings klp.preflight
klp.pending klp.held klp.verify klp_audit.host klp_audit.cves klp_audit.window klp_audit.kernels klp_audit.reboot_safety
klp_audit.health klp_audit.alarms klp_audit.alarm_events klp_audit.state_summary klp_audit.run_preview
zypper.packages zypper.needs_rebooting zypper.refresh zypper.advisories zypper.editions zypper.dry_run
zypper.pending zypper.locks
"""
BACKUPS = """
root_backup.backend root_backup.list root_backup.verify root_backup.losses root_backup.create root_backup.prune
root_backup.pending_restore root_backup.restore
"""
# A host, and the functions whose examples are run there in this order.
SCENES = [
    (converged, LOOKS),
    (converged, "klp.downgrade klp.hold klp.unhold klp.disable"),
    (locked, "klp.enable"),
    (old_and_locked, "klp.install zypper.update"),
    (fresh, "zypper.add_locks zypper.remove_locks zypper.install zypper.remove"),
    (backed_up, BACKUPS),
    (backed_up, "root_backup.delete"),
]


def test_every_example_has_a_host():
    assert sorted(name for _, names in SCENES for name in names.split()) == sorted(examples())


@pytest.mark.parametrize(("begin", "names"), SCENES, ids=[names.split()[0] for _, names in SCENES])
def test_examples_run_as_they_stand(sles, begin, names):
    found = examples()
    run(begin(sles), [found[name] for name in names.split()])
