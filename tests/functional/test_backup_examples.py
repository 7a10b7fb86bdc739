"""The ready programs for clouds, arrays and hypervisors: one snapshot for a run, found again, never one of others."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from tests.functional import hypervisors
from tests.functional.conftest import apply
from tests.lab.build import CHECKOUT

EXAMPLES = CHECKOUT / "pillar" / "examples"
SETTINGS = "AWS_INSTANCE=i-1\nAZURE_GROUP=g\nAZURE_VM=vm\nGCE_DISK=d\nGCE_ZONE=z\nONTAP=admin@array\nSVM=s\nVOLUME=v\n"
SETTINGS += "GOVC_URL=vc.example.com\nGOVC_USERNAME=klp@vsphere.local\nGOVC_PASSWORD='s3 cret'\nGOVC_VM=web1\n"
SETTINGS += "HYPERVISOR=klp@hypervisor\n"
RUN = "20231114T221320Z-0000ab"
KINDS = {"aws": "aws", "azure": "az", "google": "gcloud", "ontap": "ssh"}
# Hypervisor -> its tool, the name of its machine, how that says on and off, and what stands in a call that makes one.
HYPERVISORS = {
    "vsphere": ("govc", "web1", "poweredOn", "poweredOff", "create"),
    "libvirt": ("virsh", "web1", "running", "shut off", "create"),
    "proxmox": ("qm", "101", "running", "stopped", "--description"),
}
# Stands in for four command lines: keeps the snapshots in a file, and refuses what the programs do not ask. Follows the
# references of AWS CLI (ec2), Azure CLI (az snapshot, az vm), gcloud (compute snapshots) and ONTAP 9 (volume snapshot).
FAKE = """\
import json, os, re, sys
kind, args, path = sys.argv[1], sys.argv[2:], os.environ["CLOUD"]
state = json.load(open(path))
text = " ".join(args)
def save():
    json.dump(state, open(path, "w"))
def value(option):
    return args[args.index(option) + 1]
def of(run, host):
    return next((name for name, tags in state["snapshots"].items() if tags == [run, host]), None)
state["calls"].append([kind] + args); save()
if state.get("fail") and state["fail"] in text:
    sys.exit("quota")
if kind == "aws":
    tags = re.search(r"klp_run,Values?=(\\S+?)[},]? .*klp_host,Values?=(\\S+)", text)
    if "describe-snapshots" in args:
        found = of(*tags.groups())
        wanted = re.search(r"snapshot-id,Values=(\\S+)", text)
        print("None" if not found or (wanted and wanted.group(1) != found) else found + "\\tcompleted")
    elif "create-snapshot" in args:
        run, host = re.search(r"klp_run,Value=([^}]+)},{Key=klp_host,Value=([^}]+)}", text).groups()
        assert value("--volume-id") == "vol-root"
        name = "snap-%d" % len(state["calls"]); state["snapshots"][name] = [run, host]; save(); print(name)
    elif "delete-snapshot" in args:
        del state["snapshots"][value("--snapshot-id")]; save()
    else:
        known = {"describe-instances": "/dev/sda1", "describe-volumes": "vol-root", "wait": ""}
        print(known[args[1]] if args[1] in known else sys.exit("aws: error: argument operation: Invalid choice"))
elif kind == "az":
    if "list" in args:
        print(of(*re.search(r"klp_run=='(.*?)' && tags.klp_host=='(.*?)'", text).groups()) or "")
    elif "create" in args:
        run, host = re.search(r"klp_run=(\\S+) klp_host=(\\S+)", text).groups()
        assert value("--source") == "disk-id"
        state["snapshots"][value("--name")] = [run, host]; save(); print(value("--name"))
    elif args[:2] == ["snapshot", "show"]:
        tags = state["snapshots"].get(value("--name")) or sys.exit("ResourceNotFound")
        print("Succeeded", *tags)
    elif "delete" in args:
        del state["snapshots"][value("--name")]; save()
    elif args[:2] == ["vm", "show"]:
        print("disk-id")
    else:
        sys.exit("'%s' is misspelled or not recognized by the system." % args[0])
elif kind == "gcloud":
    if "list" in args:
        print(of(*re.search(r"klp_run=(\\S+) AND labels.klp_host=(\\S+)", text).groups()) or "")
    elif "create" in args:
        state["snapshots"][args[3]] = re.search(r"klp_run=(\\S+?),klp_host=(\\S+)", text).groups(); save()
        print("Creating")
    elif "describe" in args:
        tags = state["snapshots"].get(args[3]) or sys.exit("not found")
        print("READY", *tags)
    elif "delete" in args:
        del state["snapshots"][args[3]]; save()
    else:
        sys.exit("ERROR: (gcloud) Invalid choice: %s" % args[0])
else:
    args = args[-1].split()
    name = value("-snapshot") if "-snapshot" in args else None
    if "show" in args:
        print("vserver volume snapshot comment")
        for name, tags in state["snapshots"].items():
            print(f"s v {name} \\"klp_run={tags[0]},klp_host={tags[1]}\\"")
    elif "create" in args:
        state["snapshots"][name] = re.search(r"klp_run=(\\S+?),klp_host=(\\S+)", text).groups(); save()
    elif "delete" in args:
        del state["snapshots"][name]; save()
    else:
        sys.exit("Error: %s is not a recognized command" % args[0])
"""


class Cloud:
    """A cloud or array whose command line is a fake, and the program that uses it."""

    making = "create"

    def __init__(self, kind, folder):
        self.program, self.folder, self.state = EXAMPLES / f"{kind}-root-snapshot", folder, folder / "state.json"
        self.settings = folder / "settings"
        self.settings.write_text(SETTINGS)
        self.settings.chmod(0o600)
        self.begin(kind)

    def begin(self, kind):
        """Install the stand-in."""
        self.change(snapshots={}, calls=[])
        (self.folder / "fake.py").write_text(FAKE)
        self.install(KINDS[kind], self.folder / "fake.py")

    def install(self, name, path):
        """Put a program on the path."""
        fake = self.folder / name
        fake.write_text(f'#!/bin/sh\nexec {sys.executable} {path} {name} "$@"\n')
        fake.chmod(0o755)

    def change(self, **fields):
        """Change the state of the cloud."""
        old = self.read() if self.state.exists() else {}
        self.state.write_text(json.dumps({**old, **fields}))

    def read(self):
        """Return the state of the cloud."""
        return json.loads(self.state.read_text())

    @property
    def snapshots(self):
        """Return the names of the snapshots that are there."""
        return list(self.read()["snapshots"])

    def run(self, *args, run=RUN, host="sles1", by=(), **more):
        """Call the program as salt-klp does, or by a shell of another kind."""
        env = {"PATH": f"{self.folder}:{os.environ['PATH']}", "KLP_RUN": run, "KLP_HOST": host, "LC_ALL": "C"}
        env.update(CLOUD=str(self.state), ROOT_SNAPSHOT=str(self.settings), **more)
        return subprocess.run(
            [*by, str(self.program), *args],
            env=env,
            text=True,
            capture_output=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    def create(self, **more):
        """Make a snapshot and return its name, the last line."""
        answer = self.run("create", **more)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.splitlines()[-1]


class Hypervisor(Cloud):
    """A hypervisor with one machine that runs, and the program on both of them."""

    def begin(self, kind):
        """Install the stand-ins, and the key of the host with its forced command."""
        self.tool, self.machine, self.on, self.off, self.making = HYPERVISORS[kind]
        forced = [str(self.program), "for", self.machine]
        self.change(chain=[], calls=[], power=self.on, forced=forced)
        for name in (self.tool, "ssh"):
            self.install(name, hypervisors.__file__)

    @property
    def snapshots(self):
        """Return the names of the snapshots that are there."""
        return [item["name"] for item in self.read()["chain"]]

    def restore(self, name):
        """Put a snapshot back, where an administrator does it."""
        return self.run(*(["restore", name] if self.tool == "govc" else ["for", self.machine, "restore", name]))

    def asked(self, command):
        """Log in with the host's key."""
        return self.run("for", self.machine, SSH_ORIGINAL_COMMAND=command)


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
    one.salt.pillar(install(one, kind))
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
