"""Which backend backs a host up: the one that pillar names, or the one that fits."""

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
import klp_runs
from tests.unit.backups import COMMAND, CONFIGS, host, mount, runs

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


@pytest.mark.parametrize(
    ("backup", "answer", "problems"),
    [
        (COMMAND, {}, []),
        ({"backend": "none"}, {}, []),
        (
            {},
            {},
            ["no backup backend is set, so nothing is installed; set pillar klp:backup:backend to auto, snapper, lvm "],
        ),
        ({"backend": "snapper"}, {"stdout": "config,subvolume\nroot,/\n"}, []),
        (
            {"backend": "snapper"},
            {"stdout": "config,subvolume\n"},
            ["snapper has no configuration root: make it with: snapper -c root create-config /"],
        ),
        (
            {"backend": "snapper"},
            {"retcode": 1, "stderr": "no dbus"},
            ["snapper --machine-readable csv list-configs: "],
        ),
    ],
)
def test_a_backend_is_asked_whether_it_can_work(host, programs, backup, answer, problems):
    host.pillar["klp"] = {"backup": dict(backup)}
    programs.on(CONFIGS, answer)
    found = klp_runs.problems(host.host)
    assert len(found) == len(problems) and all(
        text.startswith(begin) for text, begin in zip(found, problems, strict=False)
    )
    assert runs(host) == []


def test_a_backend_that_cannot_work_opens_no_run(host, programs):
    host.pillar["klp"] = {"backup": {"backend": "snapper"}}
    programs.on(CONFIGS, "config,subvolume\n")
    with pytest.raises(CommandExecutionError, match="^snapper has no configuration root: make it with: "):
        host.salt["root_backup.create"]()
    assert runs(host) == []


def test_a_backup_program_that_is_not_there_is_named(host, monkeypatch):
    host.pillar["klp"] = {"backup": dict(COMMAND)}
    monkeypatch.setattr("salt.utils.path.which", lambda name: None)
    assert klp_runs.problems(host.host) == ["/usr/bin/backup: command not found"]


def test_a_root_volume_that_is_no_logical_one_is_named(host, programs):
    host.pillar["klp"] = {"backup": {"backend": "lvm"}}
    programs.on(["lvs", ...], '{"report": [{"lv": []}]}')
    assert klp_runs.problems(host.host) == [
        "backup: the root file system is btrfs, backend lvm knows ext3, ext4, xfs; use snapper there"
    ]


def test_a_version_of_snapper_that_nobody_knows_is_an_error(host, programs):
    host.pillar["klp"] = {"backup": {"backend": "snapper"}}
    programs.on(["snapper", "--version"], "huh")
    assert klp_runs.problems(host.host) == ["snapper --version: wanted snapper NUMBER, found 'huh'"]


def test_a_snapper_without_marks_is_told_what_is_mounted(host, programs):
    host.pillar["klp"] = {"backup": {"backend": "snapper"}}
    programs.on(["snapper", "--version"], "snapper 0.5.6")
    programs.on(["snapper", "--table-style", "0", "list-configs"], "Config | Subvolume\n----+---\nroot | /\n")
    assert klp_runs.problems(host.host) == []
