"""The way back, gone: what it proves about a backup, what it would lose, and what a restart finds."""

import json

import pytest

from tests.functional.backups import RUNS, SNAPPER, installed, runs, snapshots
from tests.functional.conftest import apply
from tests.functional.refusal import causes, hold_zypp_lock

RPMDB = "/usr/lib/sysimage/rpm"
FILE = "/usr/share/lab/curl"
OTHER = "0123456789abcdef0123456789abcdef"
CURL = {"old": "8.0.1-150400.5.26.1", "new": "8.0.1-150400.5.23.1"}
REBOOT = "A reboot is needed: until then the running system stays as it is"


@pytest.fixture
def patched(sles):
    """A host that was patched, with one snapshot of the time before."""
    one = sles("enabled", backup=SNAPPER)
    one.install_fake("snapper")
    one.before = installed(one)
    assert apply(one, "klp.patch").failed == {}
    assert [item["backup"] for item in runs(one)] == ["1"] and installed(one) != one.before
    return one


def pillar(host, **restore):
    """Let the pillar ask for a restoration."""
    accept = {"scriptlets": "accept"}  # the lab has a package whose script fails
    host.salt.pillar({"klp": {"backup": SNAPPER, "restore": restore, "update": accept}})


def restart(host):
    """Start the host again, from the snapshot that is the default now."""
    number = json.loads(host.read("/var/lib/lab/snapper.default"))["number"]
    for program in (["rm", "-r", RPMDB], ["cp", "-a", f"/.snapshots/{number}/snapshot{RPMDB}", RPMDB]):
        assert host.run(program).returncode == 0
    host.reboot()


def mounted(host):
    """Return what is mounted at the place where backups are looked into."""
    mounts = host.run(["cat", "/proc/self/mounts"]).stdout.splitlines()
    return [line for line in mounts if line.split()[1].startswith(("/run/salt-klp", "/var/lib/salt-klp"))]


def clean(host):
    """Tell whether nothing is left of a look into a backup."""
    return mounted(host) == [] and not host.exists("/var/lib/salt-klp/rpmdb")


def test_verification_tells_what_it_has_proved(patched):
    answer = patched.salt_call("root_backup.verify", "1")
    assert answer.rc == 0, answer.stderr
    run = runs(patched)[0]
    host = patched.read("/etc/machine-id").strip()
    assert {key: answer.data[key] for key in ("run", "backend", "backup", "host", "created")} == {
        "run": run["run"],
        "backend": "snapper",
        "backup": "1",
        "host": host,
        "created": run["created"],
    }
    assert (answer.data["packages"], answer.data["age"]) == (len(patched.before), 0.0)
    assert answer.data["files"] >= 10
    assert clean(patched)
    assert snapshots(patched)[0]["userdata"]["klp_host"] == host


@pytest.mark.parametrize(
    "spoil, reason",
    [
        (lambda one, base: one.write(f"{base}{FILE}", "spoiled"), f"file {FILE} of package curl has 7 bytes"),
        (lambda one, base: one.run(["rm", base + FILE]), f"file {FILE} of package curl is missing"),
        (lambda one, base: one.run(["ln", "-sf", FILE, base + FILE]), f"{FILE}: too many links"),
        (
            lambda one, base: one.run(["ln", "-sf", "/etc/fstab", base + FILE]),
            f"file {FILE} of package curl is missing",
        ),
        (lambda one, base: one.write(base + "/etc/machine-id", OTHER), f"it is of another host (machine id '{OTHER}')"),
        (lambda one, base: one.run(["rm", base + "/etc/machine-id"]), "it holds no /etc/machine-id"),
        (lambda one, base: one.run(["rm", "-r", base + RPMDB]), f"the rpm database {RPMDB} in it holds no packages"),
        (
            lambda one, base: one.write(f"{base}{RPMDB}/rpmdb.sqlite", "no"),
            "rpm --dbpath /var/lib/salt-klp/rpmdb -qa: ",
        ),
        (
            lambda one, base: one.run(["cp", "-a", f"{RPMDB}/.", f"{base}{RPMDB}/"]),
            "not those that this host had when it was made",
        ),
        (
            lambda one, base: one.write(RUNS, json.dumps([{**runs(one)[0], "host": OTHER}])),
            f"was made by another host (machine id {OTHER}), this one is ",
        ),
    ],
)
def test_backup_that_is_not_what_it_should_be_is_refused(patched, spoil, reason):
    spoil(patched, "/.snapshots/1/snapshot")
    answer = patched.salt_call("root_backup.verify", "1")
    assert answer.rc != 0
    assert "backup 1" in answer.stderr and reason in answer.stderr
    assert clean(patched)


def test_look_that_was_killed_is_cleaned_up_by_the_next_one(patched):
    for program in (
        ["mkdir", "-p", "/run/salt-klp/backup", "/var/lib/salt-klp/rpmdb"],
        ["mount", "-o", "bind,ro", "/.snapshots/1/snapshot", "/run/salt-klp/backup"],
        ["cp", f"{RPMDB}/rpmdb.sqlite", "/var/lib/salt-klp/rpmdb/"],
    ):
        assert patched.run(program).returncode == 0
    assert len(mounted(patched)) == 1
    assert patched.salt_call("root_backup.verify", "1").rc == 0
    assert clean(patched)


def test_losses_are_told_and_nothing_is_done_without_confirmation(patched):
    lost = patched.salt_call("root_backup.losses", runs(patched)[0]["run"]).data
    assert lost["packages"]["curl"] == CURL
    assert lost["notes"][0].startswith("Everything that has been changed or made on the root volume since 20")
    pillar(patched, backup="1")
    predicted = apply(patched, "klp.restore", test=True)
    assert predicted.results["klp-restored"] is None
    assert predicted.changes["klp-restored"] == {"restored": {"old": None, "new": "1"}}
    assert "Package curl: 8.0.1-150400.5.26.1 becomes 8.0.1-150400.5.23.1" in predicted.comments["klp-restored"]
    assert predicted.comments["klp-restored"].endswith("It needs pillar klp:restore:confirm: 1")
    refused = apply(patched, "klp.restore")
    assert list(causes(refused)) == ["klp-restored"] and refused.rc != 0
    said = causes(refused)["klp-restored"].splitlines()
    assert said[0] == "nothing is restored without a confirmation; with backup 1:"
    assert "Package curl: 8.0.1-150400.5.26.1 becomes 8.0.1-150400.5.23.1" in said
    assert said[-1] == (
        f"if that is wanted, set pillar klp:restore:confirm: 1 and run: salt '{patched.name}' state.apply klp.restore"
    )
    assert len(snapshots(patched)) == 1 and not patched.exists("/var/lib/salt-klp/restore.json")


def test_restoration_waits_for_the_restart_and_is_proved_after_it(patched):
    pillar(patched, backup="1", confirm="1")
    answer = apply(patched, "klp.restore")
    assert answer.results["klp-restored"] is True
    assert answer.changes == {"klp-restored": {"restored": {"old": None, "new": "1"}}}
    assert answer.comments["klp-restored"].endswith(REBOOT)
    assert patched.salt_call("root_backup.pending_restore").data["backup"] == "1"
    assert len(snapshots(patched)) == 3
    again = apply(patched, "klp.restore")
    assert again.changes == {} and again.comments["klp-restored"].endswith(REBOOT)
    assert again.comments["klp-restored"].startswith("Already as declared: backup 1 takes the place")
    assert len(snapshots(patched)) == 3
    restart(patched)
    assert patched.salt_call("root_backup.pending_restore").data is None
    done = apply(patched, "klp.restore")
    assert done.results["klp-restored"] is True and "klp-restored" not in done.changes
    assert done.comments["klp-restored"].startswith("Already as declared: backup 1 is in force")
    assert installed(patched) == patched.before
    assert len(snapshots(patched)) == 3
    assert patched.salt_call("root_backup.restore", "1", "1").data == {
        "restored": "1",
        "reboot": None,
        "lost": {"packages": {}, "notes": []},
    }


def test_restart_from_another_volume_is_noticed(patched):
    pillar(patched, backup="1", confirm="1")
    assert apply(patched, "klp.restore").results["klp-restored"] is True
    patched.reboot()
    assert "but its packages are not those of the backup" in causes(apply(patched, "klp.restore"))["klp-restored"]


def test_restoration_that_was_killed_is_gone_on_with(patched):
    pillar(patched, backup="1", confirm="1")
    patched.faults(snapper_killed="rollback")
    assert "klp-restored" in causes(apply(patched, "klp.restore"))
    patched.faults()
    assert apply(patched, "klp.restore").results["klp-restored"] is True
    assert [bool(item["userdata"].get("klp_restore")) for item in snapshots(patched)] == [False, True, True, True]


def test_nothing_is_restored_while_zypper_runs(patched):
    hold_zypp_lock(patched)
    pillar(patched, backup="1", confirm="1")
    said = causes(apply(patched, "klp.restore"))["klp-restored"]
    assert said.startswith("nothing is restored now: process ") and said.endswith(
        "holds the zypp lock; wait for its end"
    )
    assert len(snapshots(patched)) == 1


@pytest.mark.parametrize(
    "restore, reason",
    [
        ({}, "no backup is named in pillar klp:restore:backup; see: salt "),
        ({"backup": "7"}, "backup '7' is not known on this host; known: 1"),
        ({"backup": "1", "confirm": "2"}, "pillar klp:restore:confirm: has to repeat klp:restore:backup"),
    ],
)
def test_wrong_pillar_is_refused(patched, restore, reason):
    pillar(patched, **restore)
    for test in (True, None):
        assert causes(apply(patched, "klp.restore", test=test))["klp-restored"].startswith(reason)


def test_only_what_was_made_here_is_deleted_and_never_the_last_good_one(patched):
    answer = patched.salt_call("root_backup.delete", "1")
    assert answer.rc != 0 and "backup 1 is the last good one of this host: it stays" in answer.stderr
    patched.run(["snapper", "-c", "root", "create", "-t", "single", "-d", "by hand"])
    assert "is not known on this host" in patched.salt_call("root_backup.delete", "2").stderr
    assert patched.salt_call("root_backup.create").data["backup"] == "3"
    assert "which is not finished" in patched.salt_call("root_backup.delete", "3").stderr
    assert patched.salt_call("root_backup.delete", "1").data == {"backup": "1", "deleted": True}
    assert [item["number"] for item in snapshots(patched)] == [2, 3]
    assert runs(patched)[0]["backup"] is None and runs(patched)[0]["deleted"] == "1"


def test_old_backups_are_deleted_when_a_run_has_ended(patched):
    patched.run(["snapper", "-c", "root", "create", "-t", "single", "-d", "by hand"])
    assert patched.salt_call("root_backup.create").data["backup"] == "3"
    patched.salt.pillar({"klp": {"backup": {**SNAPPER, "keep": 1}}})
    answer = apply(patched, "klp")
    assert answer.failed == {}
    assert answer.changes["klp-finished"]["backups"] == {"old": ["1", "3"], "new": ["3"]}
    assert [item["number"] for item in snapshots(patched)] == [2, 3]
    assert apply(patched, "klp").changes == {}
