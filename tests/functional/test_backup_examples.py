"""The ready programs for clouds, arrays and hypervisors: one snapshot for a run, found again, never one of others."""

import json
import sys

import pytest
import yaml

from tests.functional import hypervisors
from tests.functional.clouds import EXAMPLES, HYPERVISORS, KINDS, SETTINGS, Cloud, Hypervisor
from tests.functional.conftest import apply


@pytest.fixture(params=sorted([*KINDS, *HYPERVISORS]))
def cloud(request, tmp_path):
    """One cloud after the other."""
    return (Cloud if request.param in KINDS else Hypervisor)(request.param, tmp_path)


@pytest.fixture(params=sorted(HYPERVISORS))
def hypervisor(request, tmp_path):
    """One hypervisor after the other."""
    return Hypervisor(request.param, tmp_path)


@pytest.fixture
def vsphere(tmp_path):
    """A vCenter."""
    return Hypervisor("vsphere", tmp_path)


@pytest.fixture
def proxmox(tmp_path):
    """A node of Proxmox VE."""
    return Hypervisor("proxmox", tmp_path)


def test_one_snapshot_for_a_run_however_often_it_is_asked_for(cloud):
    name = cloud.create()
    assert cloud.create() == name
    assert cloud.snapshots == [name]
    answer = cloud.run("verify", name)
    assert answer.returncode == 0, answer.stderr
    assert cloud.create(run="20231115T000000Z-0000ac") != name
    assert len(cloud.snapshots) == 2


def test_only_a_snapshot_of_this_host_and_run_is_good_or_deleted(cloud):
    name = cloud.create()
    for other in ({"host": "sles2"}, {"run": "r2"}):
        assert cloud.run("verify", name, **other).returncode == 1
        assert cloud.run("delete", name, **other).returncode == 0
        assert cloud.snapshots == [name]
    assert cloud.run("delete", name).returncode == 0
    assert cloud.snapshots == []
    assert cloud.run("delete", name).returncode == 0
    assert cloud.run("verify", name).returncode != 0


def test_another_id_is_neither_good_nor_deleted(cloud):
    name = cloud.create()
    assert cloud.run("verify", f"{name}-x").returncode != 0
    assert cloud.run("delete", f"{name}-x").returncode == 0
    assert cloud.snapshots == [name]


def test_a_snapshot_that_cannot_be_made_is_an_error(cloud):
    cloud.change(fail=cloud.making)
    answer = cloud.run("create")
    assert answer.returncode != 0 and "quota" in answer.stderr and cloud.snapshots == []
    assert answer.stdout == ""


@pytest.mark.parametrize("command", ["create", "verify", "delete"])
def test_a_cloud_that_does_not_answer_is_an_error(cloud, command):
    name = cloud.create()
    cloud.change(fail="snapshot")
    assert cloud.run(command, *[name] * (command != "create")).returncode != 0
    assert cloud.snapshots == [name]


def test_a_shell_that_goes_on_after_an_error_deletes_nothing_and_says_so(cloud):
    """Not as sh, bash goes on after an error in a command that is substituted."""
    name = cloud.create()
    cloud.change(fail="snapshot")
    assert cloud.run("delete", name, by=["bash"]).returncode != 0
    assert cloud.snapshots == [name]


@pytest.mark.parametrize("args", [(), ("frob", "x"), ("verify",), ("create", "x")])
def test_what_is_not_understood_is_an_error(cloud, args):
    answer = cloud.run(*args)
    assert answer.returncode == 2 and "usage: " in answer.stderr and cloud.snapshots == []


def test_a_machine_that_runs_is_not_put_back(hypervisor):
    name = hypervisor.create()
    answer = hypervisor.restore(name)
    assert answer.returncode == 1 and "shut it down first" in answer.stderr
    assert "reverted" not in hypervisor.read() and hypervisor.read()["power"] == hypervisor.on


def test_a_machine_that_is_off_is_put_back_and_starts_from_its_disks(hypervisor):
    name = hypervisor.create()
    hypervisor.change(power=hypervisor.off)
    answer = hypervisor.restore(name)
    assert answer.returncode == 0, answer.stderr
    state = hypervisor.read()
    assert (state["reverted"], state["power"]) == (name, hypervisor.on)
    assert not state.get("resumed") and not state.get("killed")
    # The program of its own snapshot knows it still: a second time does no harm.
    hypervisor.change(power=hypervisor.off)
    assert hypervisor.restore(name).returncode == 0


def test_what_is_not_there_is_not_put_back(hypervisor):
    hypervisor.change(power=hypervisor.off)
    answer = hypervisor.restore("klp-x@sles1")
    assert answer.returncode == 1 and "no such snapshot" in answer.stderr
    assert hypervisor.read()["power"] == hypervisor.off


@pytest.mark.parametrize("host", ["web 1", "web;reboot", "$(reboot)", "a/b", "web1\nx", "-x y"])
def test_a_name_that_is_no_plain_word_is_refused(hypervisor, host):
    answer = hypervisor.run("create", host=host)
    assert answer.returncode == 2 and "is no plain word" in answer.stderr
    assert hypervisor.snapshots == []


@pytest.mark.parametrize("kind", ["libvirt", "proxmox"])
@pytest.mark.parametrize(
    "command",
    [
        "",
        "bash",
        "restore r h x",
        "create r",
        "create r h x",
        "delete r h",
        "create r h;reboot",
        "create $(id) h",
        "* * *",
    ],
)
def test_the_key_of_a_host_can_do_one_thing(kind, command, tmp_path):
    hypervisor = Hypervisor(kind, tmp_path)
    hypervisor.create()
    before = hypervisor.read()
    answer = hypervisor.asked(command)
    assert answer.returncode == 2, answer.stderr
    after = hypervisor.read()
    assert [after[key] for key in ("chain", "power")] == [before[key] for key in ("chain", "power")]


def test_a_password_is_in_no_list_of_processes_and_in_no_file_that_others_read(vsphere):
    name = vsphere.create()
    for args in (["verify", name], ["delete", name]):
        answer = vsphere.run(*args)
        assert "s3 cret" not in answer.stdout + answer.stderr
    assert "s3 cret" not in json.dumps(vsphere.read()["calls"])
    for mode in (0o644, 0o640, 0o604):
        vsphere.settings.chmod(mode)
        answer = vsphere.run("create")
        assert answer.returncode == 1 and "chmod 600" in answer.stderr and vsphere.snapshots == []


def test_a_snapshot_of_vsphere_is_of_quiet_disks_without_memory(vsphere):
    vsphere.change(chain=[{"name": "of somebody else", "memory": True}])
    vsphere.create()
    assert vsphere.read()["chain"][1]["memory"] is False and vsphere.read()["chain"][1]["quiet"] == "true"


def test_two_snapshots_of_one_name_are_none_that_is_good(vsphere):
    name = vsphere.create()
    vsphere.change(chain=vsphere.read()["chain"] * 2)
    assert vsphere.run("verify", name).returncode == 1
    vsphere.change(power=vsphere.off)
    assert vsphere.restore(name).returncode == 1 and "reverted" not in vsphere.read()


def test_a_snapshot_of_proxmox_that_is_half_made_is_not_good(proxmox):
    name = proxmox.create()
    proxmox.change(chain=[{"name": name, "memory": False, "state": "prepare"}])
    assert proxmox.run("verify", name).returncode == 1
    answer = proxmox.run("create")
    assert answer.returncode == 1 and f"qm delsnapshot 101 {name} --force" in answer.stderr


def test_the_longest_id_of_a_run_has_room_in_a_name_of_proxmox(proxmox):
    name = proxmox.create(run="r" * 128, host="web1.example.com")
    assert len(name) <= 40 and proxmox.run("verify", name, run="r" * 128, host="web1.example.com").returncode == 0


def test_a_storage_that_cannot_go_back_so_far_leaves_the_machine_off(proxmox):
    name = proxmox.create()
    proxmox.create(run="r2")
    proxmox.change(power=proxmox.off)
    answer = proxmox.restore(name)
    assert answer.returncode != 0 and "is not most recent snapshot" in answer.stderr
    assert proxmox.read()["power"] == "stopped"


def install(one, kind):
    """Give a host of the lab the ready program, its settings and a hypervisor; return what the pillar has for it."""
    tool, machine, running, _, _ = HYPERVISORS[kind]
    program = f"/usr/local/sbin/{kind}-root-snapshot"
    one.write(program, (EXAMPLES / f"{kind}-root-snapshot").read_text(), mode=0o755)
    one.write("/etc/sysconfig/root-snapshot", SETTINGS, mode=0o600)
    state = {"chain": [], "calls": [], "power": running, "forced": [program, "for", machine]}
    one.write("/var/lib/cloud.json", json.dumps(state))
    for name in (tool, "ssh"):
        call = f'CLOUD=/var/lib/cloud.json exec {sys.executable} {hypervisors.__file__} {name} "$@"'
        one.write(f"/usr/local/bin/{name}", f"#!/bin/sh\nexport PATH=/usr/local/bin:$PATH\n{call}\n", mode=0o755)
    return yaml.safe_load((EXAMPLES / f"{kind}.sls").read_text())


@pytest.mark.parametrize("kind", sorted(HYPERVISORS))
def test_a_run_that_was_put_back_goes_on_with_its_snapshot(sles, kind):
    one = sles("enabled")
    pillar = install(one, kind)
    pillar["klp"]["update"] = {"scriptlets": "accept"}  # the lab has a package whose script fails
    one.salt.pillar(pillar)
    runs = "/var/lib/salt-klp/runs.json"
    assert apply(one, "klp.patch").failed == {}
    chain = json.loads(one.read("/var/lib/cloud.json"))["chain"]
    done = json.loads(one.read(runs))[-1]
    assert [item["name"] for item in chain] == [done["backup"]] and done["finished"]
    # The disks have what the host knew when it asked for the snapshot.
    one.write(runs, json.dumps([dict(done, finished=None, backup=None, created=None)]), mode=0o600)
    again = one.salt_call("root_backup.create").data
    assert again == {"run": done["run"], "backend": "command", "backup": done["backup"]}
    assert json.loads(one.read("/var/lib/cloud.json"))["chain"] == chain
    refused = one.salt_call("root_backup.restore", done["backup"], confirm=done["backup"])
    assert refused.rc != 0 and "stop the host" in refused.stderr
