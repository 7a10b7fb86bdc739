"""The snapper of each service pack makes the backup and puts it back; one that cannot is named with its cure."""

import json

import pytest

from tests.functional.commands import command, shell
from tests.functional.conftest import LOCKS, LP, THIRD, apply
from tests.functional.refusal import refused

SNAPPER = {"backend": "snapper"}
NO_CONFIGURATION = "snapper has no configuration root: make it with: snapper -c root create-config /"


@pytest.mark.parametrize("version", ["0.5.6", "0.8.3", "0.8.15"])
def test_every_snapper_of_sles_makes_the_backup(sles, version):
    one = sles("enabled", backup=dict(SNAPPER, timeout=30))
    one.install_fake("snapper")
    one.run(["snapper", "create", "-d", "by hand | of others"])
    one.faults(snapper_version=version, snapper_quota=600)  # minutes, if it computes the space that snapshots use
    answer = apply(one, "klp.patch")
    assert answer.failed == {}
    assert answer.changes["klp-backup"]["backup"]["new"] == "2"
    assert one.salt_call("root_backup.verify", "2").data["files"] > 0
    assert apply(one, "klp.patch").failed == {}


def test_a_backup_is_put_back_by_a_snapper_that_answers_as_a_table(sles):
    one = sles("enabled", backup=SNAPPER)
    one.install_fake("snapper")
    one.faults(snapper_version="0.8.3")
    before = one.packages()
    assert apply(one, "klp.patch").failed == {}
    one.salt.pillar({"klp": {"backup": SNAPPER, "restore": {"backup": "1", "confirm": "1"}}})
    assert apply(one, "klp.restore").changes["klp-restored"] == {"restored": {"old": None, "new": "1"}}
    assert not [line for line in one.read("/var/lib/lab/snapper.argv").splitlines() if "--ambit" in line]
    assert one.salt_call("root_backup.pending_restore").data["backup"] == "1"
    number, rpm = json.loads(one.read("/var/lib/lab/snapper.default"))["number"], "/usr/lib/sysimage/rpm"
    shell(one, f"rm -r {rpm} && cp -a /.snapshots/{number}/snapshot{rpm} {rpm}")
    one.reboot()
    assert (one.packages(), one.salt_call("root_backup.pending_restore").data) == (before, None)


@pytest.mark.parametrize("version", ["0.5.6", "0.8.15"])
@pytest.mark.parametrize("locked", [False, True])
def test_a_missing_configuration_comes_with_the_command_before_anything_is_changed(sles, version, locked):
    one = sles("enabled", backup=SNAPPER)
    if locked:
        assert one.zypper("al", *LOCKS).returncode == 0
    one.install_fake("snapper")
    one.write("/var/lib/lab/snapper.configs", "{}")
    one.faults(snapper_version=version)
    refused(one, "klp.patch", {"klp-backup" if locked else "klp-repositories": NO_CONFIGURATION})
    shell(one, command(NO_CONFIGURATION))
    assert apply(one, "klp.patch").failed == {}
    assert one.editions(LP) == [THIRD]


def test_a_backend_that_is_missing_is_found_out_before_the_locks(sles):
    one = sles("enabled", backup=SNAPPER)
    refused(one, "klp.patch", {"klp-repositories": "snapper: command not found"})
    one.install_fake("snapper")
    assert apply(one, "klp.patch").failed == {}
