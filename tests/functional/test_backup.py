"""The way back: made before the first change, by the run that needs it, verified, remembered."""

import json
import stat

import pytest

from tests.functional.backups import RUNS, SNAPPER, installed, runs, snapshots
from tests.functional.conftest import (
    BACKUP,
    COMMAND_BACKEND,
    LOCKS,
    THIRD,
    VERIFY,
    VOLUMES,
    apply,
    settings,
    snapshot,
    volumes,
)
from tests.functional.refusal import causes

ACCEPT = {"scriptlets": "accept"}  # the lab has a package whose script fails
# Writes down the packages that are there when it is called.
WITNESS = "#!/bin/sh\nrpm -qa --qf '%{NAME}-%{VERSION}-%{RELEASE}\\n' >/var/lib/witness\n"


def remember(host, **fields):
    """Change what a host remembers of its last run."""
    found = runs(host)
    found[-1].update(fields)
    host.write(RUNS, json.dumps(found), mode=0o600)


def interrupted(sles, **klp):
    """Start a host whose run was stopped after its backup: the live patch could not be loaded."""
    one = sles("enabled", **klp)
    one.faults(post_exit=3)
    assert list(causes(apply(one, "klp.patch"))) == ["klp-newest"]
    one.faults()
    return one


@pytest.mark.parametrize("golden, sls", [("fresh", "klp"), ("enabled", "klp.patch")])
def test_backup_is_made_before_the_first_package(sles, golden, sls):
    one = sles(golden)
    before = installed(one)
    one.write(BACKUP, WITNESS + one.read(BACKUP).removeprefix("#!/bin/sh\n"), mode=0o755)
    answer = apply(one, sls)
    assert answer.failed == {}
    assert set(one.read("/var/lib/witness").splitlines()) == before
    assert installed(one) != before
    assert volumes(one) == [("vol-1", runs(one)[0]["run"], "1")]


def test_command_knows_its_run_and_its_host(sles):
    one = sles("enabled", run="spring-2024.1")
    script = one.read(BACKUP).replace("touch", 'echo "$KLP_RUN $KLP_HOST" >/var/lib/environment\ntouch', 1)
    one.write(BACKUP, script, mode=0o755)
    assert apply(one, "klp.patch").failed == {}
    assert one.read("/var/lib/environment") == f"spring-2024.1 {one.name}\n"
    assert volumes(one) == [("vol-1", "spring-2024.1", "1")]
    assert [(item["run"], item["backup"], item["backend"]) for item in runs(one)] == [
        ("spring-2024.1", "vol-1", "command")
    ]


def test_snapshot_carries_its_run(sles):
    one = sles("enabled", backup=SNAPPER)
    one.install_fake("snapper")
    answer = apply(one, "klp.patch")
    assert answer.failed == {}
    assert len(snapshots(one)) == 1
    run = runs(one)[0]
    assert snapshots(one)[0]["userdata"]["klp_run"] == run["run"]
    assert snapshots(one)[0]["userdata"]["important"] == "yes"
    assert (run["backend"], run["backup"]) == ("snapper", "1")
    assert run["finished"] is not None
    assert answer.changes["klp-backup"]["backup"]["new"] == "1"


def test_snapshots_of_others_are_neither_taken_nor_touched(sles):
    one = sles("enabled", backup=SNAPPER)
    one.install_fake("snapper")
    one.run(["snapper", "-c", "root", "create", "-t", "single", "-d", "by hand", "-u", "klp_run=other"])
    assert apply(one, "klp.patch").failed == {}
    assert [item["userdata"]["klp_run"] for item in snapshots(one)] == ["other", runs(one)[0]["run"]]


def test_snapshot_that_was_made_but_not_remembered_is_found_again(sles):
    one = sles("enabled", backup=SNAPPER)
    one.install_fake("snapper")
    one.faults(post_exit=3)
    apply(one, "klp.patch")
    one.faults()
    remember(one, backup=None, created=None)
    assert apply(one, "klp.patch").failed == {}
    assert len(snapshots(one)) == 1
    assert [item["backup"] for item in runs(one)] == ["1"]


@pytest.mark.parametrize(
    "fault, reason",
    [
        ({"stderr": "IO Error\n", "rc": 1}, "exit 1: IO Error"),
        ({"stdout": "huh\n", "command": "list"}, "backup: snapper list: no column number in 'huh'"),
        ({"stdout": "", "command": "list"}, "backup: snapper list: no column number in ''"),
        ({"stdout": "huh\n", "command": "list-configs"}, "backup: snapper list-configs: no column config in 'huh'"),
        (
            {"stdout": "config,subvolume\n", "command": "list-configs"},
            "snapper has no configuration root: make it with: snapper -c root create-config /",
        ),
        ({"stdout": "done\n", "command": "create"}, "wanted the number of a snapshot, found 'done'"),
    ],
)
def test_snapper_that_fails_stops_the_run(sles, fault, reason):
    one = sles("enabled", backup=SNAPPER)
    one.install_fake("snapper")
    one.faults(snapper=fault)
    assert one.zypper("al", *LOCKS).returncode == 0  # where it is not locked yet the preflight asks the backend
    before = installed(one)
    answer = apply(one, "klp.patch")
    assert list(causes(answer)) == ["klp-backup"]
    assert causes(answer)["klp-backup"].endswith(reason)
    assert answer.rc != 0
    assert installed(one) == before


def test_no_backup_for_nothing(sles):
    one = sles("converged")
    for sls in ("klp", "klp.patch"):
        answer = apply(one, sls)
        assert answer.failed == {}
        assert answer.changes == {}
    assert volumes(one) == []
    assert not one.exists(RUNS)
    assert [p for p in one.programs() if p.path in (BACKUP, VERIFY)] == []


def test_prediction_makes_no_backup(sles):
    one = sles("enabled")
    assert one.zypper("al", *LOCKS).returncode == 0
    answer = apply(one, "klp.patch", test=True)
    assert answer.results["klp-backup"] is None
    assert volumes(one) == []
    assert not one.exists(RUNS)


def test_none_is_a_backend_of_its_own(sles):
    one = sles("enabled", backup={"backend": "none"})
    assert apply(one, "klp.patch").failed == {}
    assert volumes(one) == []
    assert not one.exists(RUNS)


def test_run_is_finished_and_the_next_one_makes_its_own_backup(sles):
    one = sles("enabled", level=2)
    assert apply(one, "klp.patch").failed == {}
    first = runs(one)
    assert [item["finished"] is not None for item in first] == [True]
    one.salt.pillar(settings(level=3))
    assert apply(one, "klp.patch").failed == {}
    assert runs(one)[0] == first[0]
    assert [volume[0] for volume in volumes(one)] == ["vol-1", "vol-2"]
    assert [volume[1] for volume in volumes(one)] == [item["run"] for item in runs(one)]
    listed = one.salt_call("root_backup.list").data
    assert [list(item.pop("when")) for item in listed] == [["opened", "created", "finished"]] * 2
    assert listed == runs(one)


def test_interrupted_run_goes_on_with_its_backup(sles):
    one = interrupted(sles)
    opened = runs(one)[0]
    assert opened["finished"] is None
    assert apply(one, "klp.patch").failed == {}
    assert len(volumes(one)) == 1
    assert [(item["run"], item["backup"]) for item in runs(one)] == [(opened["run"], "vol-1")]
    assert runs(one)[0]["finished"] is not None


def test_backup_that_is_too_old_is_made_again(sles):
    one = interrupted(sles, backup={**COMMAND_BACKEND, "max_age": 1})
    remember(one, created=runs(one)[0]["created"] - 3601)
    assert apply(one, "klp.patch").failed == {}
    assert [volume[0] for volume in volumes(one)] == ["vol-1", "vol-2"]
    assert [item["backup"] for item in runs(one)] == ["vol-1", "vol-2"]
    assert [item["finished"] is not None for item in runs(one)] == [True, True]


def test_backup_from_the_future_is_made_again(sles):
    one = interrupted(sles)
    remember(one, created=runs(one)[0]["created"] + 86400)
    assert apply(one, "klp.patch").failed == {}
    assert len(volumes(one)) == 2


def test_backup_that_is_gone_is_made_again(sles):
    one = interrupted(sles)
    one.write(VOLUMES, "")
    predicted = one.salt_call("state.single", "root_backup.taken", "backup", test=True)
    assert predicted.changes == {"backup": {"backup": {"old": None, "new": "a verified backup of this run"}}}
    answer = one.salt_call("root_backup.verify", "vol-1")
    assert answer.rc != 0
    assert f"{VERIFY} vol-1: exit 1" in answer.stderr
    assert apply(one, "klp.patch").failed == {}
    assert [item["run"] for item in runs(one)][1] == volumes(one)[0][1]
    assert one.salt_call("root_backup.verify", "vol-1").rc == 0


def test_backup_of_another_backend_is_none(sles):
    one = interrupted(sles)
    one.install_fake("snapper")
    one.salt.pillar({"klp": {"backup": SNAPPER, "update": ACCEPT}})
    assert apply(one, "klp.patch").failed == {}
    assert len(snapshots(one)) == 1


def test_pinned_run_has_one_backup_for_ever(sles):
    one = sles("enabled", run="spring", level=2)
    assert apply(one, "klp.patch").failed == {}
    one.salt.pillar({"klp": {"backup": COMMAND_BACKEND, "run": "spring", "level": 3, "update": ACCEPT}})
    answer = apply(one, "klp.patch")
    assert answer.failed == {}
    assert one.editions("kernel-livepatch-5_14_21-150500_55_7-default") == [THIRD]
    assert [volume[:2] for volume in volumes(one)] == [("vol-1", "spring")]
    one.salt.pillar({"klp": {"backup": COMMAND_BACKEND, "run": "summer", "update": ACCEPT}})
    assert one.salt_call("root_backup.create").data == {"run": "summer", "backend": "command", "backup": "vol-2"}
    finished = one.salt_call("state.single", "root_backup.finished", "backup").changes
    assert finished == {"backup": {"open run": {"old": "summer", "new": None}}}
    assert [item["run"] for item in runs(one)] == ["spring", "summer"]


def test_record_is_for_root_only(sles):
    one = sles("enabled")
    assert apply(one, "klp.patch").failed == {}
    folder = one.path("/var/lib/salt-klp")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys(("runs.json", "locks.json", "begun.json", "scriptlets.json"), 0o600)


@pytest.mark.parametrize("text", ["", "{", "[{]", '{"run": 1}', "\0\0\0\0", '"run"', "[1]", '[{"run": "r1"}]'])
def test_damaged_record_is_an_error_and_not_nothing(sles, text):
    one = sles("enabled")
    assert one.zypper("al", *LOCKS).returncode == 0
    one.write(RUNS, text)
    one.salt.sync()
    before = snapshot(one)
    answer = apply(one, "klp.patch")
    assert list(causes(answer)) == ["klp-repositories"]
    assert causes(answer)["klp-repositories"].startswith(f"{RUNS}: ")
    assert causes(answer)["klp-repositories"].endswith("; repair it or move it away")
    assert answer.rc != 0
    assert snapshot(one) == before
    for fun in ("root_backup.list", "root_backup.create", "root_backup.prune"):
        assert one.salt_call(fun).rc != 0
    for state in ("root_backup.taken", "root_backup.finished"):
        assert one.salt_call("state.single", state, "backup").failed["backup"].startswith(f"{RUNS}: ")
    assert volumes(one) == []
