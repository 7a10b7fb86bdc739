"""Which backend backs a host up: the one that pillar names, or the one that fits."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
from tests.unit.test_klp_runs import COMMAND, CONFIGS, host, mount, runs

__all__ = ["host"]


@pytest.mark.parametrize(
    ("backup", "answer"),
    [
        (
            {"backend": "snapper"},
            {"backend": "snapper", "reason": "pillar klp:backup:backend says so", "chosen": False},
        ),
        (COMMAND, {"backend": "command", "reason": "pillar klp:backup:backend says so", "chosen": False}),
    ],
)
def test_a_backend_that_is_named_is_not_looked_up(host, programs, backup, answer):
    host.pillar["klp"] = {"backup": dict(backup)}
    assert host.salt["root_backup.backend"]() == answer and programs.calls == []


def test_auto_takes_snapper_for_a_configured_btrfs(host, programs):
    host.pillar["klp"] = {"backup": {"backend": "auto"}}
    host.file(klp_paths.MOUNTS, mount("btrfs"))
    programs.on(CONFIGS, "config,subvolume\nroot,/\n")
    reason = "/ is btrfs on /dev/sda2 with the snapper configuration root"
    assert host.salt["root_backup.backend"]() == {"backend": "snapper", "reason": reason, "chosen": True}


def test_auto_takes_lvm_for_a_logical_volume(host):
    host.pillar["klp"] = {"backup": {"backend": "auto"}}
    host.file(klp_paths.MOUNTS, mount("xfs", "/dev/mapper/system-root", "254:0"))
    host.file(f"{klp_paths.SYSFS}/dev/block/254:0/dm/uuid", "LVM-abc\n")
    reason = "/ is xfs on /dev/mapper/system-root, a logical volume"
    assert host.salt["root_backup.backend"]() == {"backend": "lvm", "reason": reason, "chosen": True}


@pytest.mark.parametrize(
    ("kind", "uuid", "configs", "message"),
    [
        (
            "btrfs",
            None,
            {"stdout": "config,subvolume\n"},
            "snapper has no configuration root: make it with: snapper -c",
        ),
        ("btrfs", None, {"retcode": 1, "stderr": "no dbus"}, "snapper .* list-configs: exit 1: no dbus"),
        ("ext4", "CRYPT-LUKS2-abc", {}, "neither btrfs nor a logical volume; set pillar klp:backup:backend to command"),
        ("overlay", None, {}, "neither btrfs nor a logical volume"),
    ],
)
def test_auto_says_what_it_has_seen_and_what_to_set(host, programs, kind, uuid, configs, message):
    host.pillar["klp"] = {"backup": {"backend": "auto"}}
    host.file(klp_paths.MOUNTS, mount(kind))
    if uuid:
        host.file(f"{klp_paths.SYSFS}/dev/block/0:30/dm/uuid", uuid)
    programs.on(CONFIGS, configs)
    with pytest.raises(CommandExecutionError, match=f"klp:backup:backend auto: / is {kind} on /dev/sda2: {message}"):
        host.salt["root_backup.create"]()
    assert runs(host) == []
