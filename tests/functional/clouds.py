"""Clouds, arrays and hypervisors as the ready programs for backups see them: stand-ins, whose state is in a file."""

import json
import os
import subprocess
import sys

from tests.functional import hypervisors
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
