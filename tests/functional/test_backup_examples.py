"""The ready programs for clouds and arrays: one snapshot for a run, found again, deleted only if it is ours."""

import json
import os
import subprocess
import sys

import pytest

from tests.lab.build import CHECKOUT

EXAMPLES = CHECKOUT / "pillar" / "examples"
SETTINGS = "AWS_INSTANCE=i-1\nAZURE_GROUP=g\nAZURE_VM=vm\nGCE_DISK=d\nGCE_ZONE=z\nONTAP=admin@array\nSVM=s\nVOLUME=v\n"
RUN = "20231114T221320Z-0000ab"
KINDS = {"aws": "aws", "azure": "az", "google": "gcloud", "ontap": "ssh"}
# Stands in for the four command lines: keeps the snapshots in a file, knows nothing but what the programs ask.
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
        print({"describe-instances": "/dev/sda1", "describe-volumes": "vol-root"}.get(args[1], ""))
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
    else:
        print("disk-id")
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
"""


class Cloud:
    """A cloud or array whose command line is a fake, and the program that uses it."""

    def __init__(self, kind, folder):
        self.program, self.folder, self.state = EXAMPLES / f"{kind}-root-snapshot", folder, folder / "state.json"
        self.change(snapshots={}, calls=[])
        (folder / "fake.py").write_text(FAKE)
        (folder / "settings").write_text(SETTINGS)
        fake = folder / KINDS[kind]
        fake.write_text(f'#!/bin/sh\nexec {sys.executable} {folder}/fake.py {KINDS[kind]} "$@"\n')
        fake.chmod(0o755)

    def change(self, **fields):
        """Change the state of the cloud."""
        old = json.loads(self.state.read_text()) if self.state.exists() else {}
        self.state.write_text(json.dumps({**old, **fields}))

    @property
    def snapshots(self):
        """Return the snapshots that are there, by name."""
        return json.loads(self.state.read_text())["snapshots"]

    def run(self, *args, run=RUN, host="sles1"):
        """Call the program as salt-klp does."""
        env = {"PATH": f"{self.folder}:{os.environ['PATH']}", "KLP_RUN": run, "KLP_HOST": host, "LC_ALL": "C"}
        env.update(CLOUD=str(self.state), ROOT_SNAPSHOT=str(self.folder / "settings"))
        return subprocess.run(
            [str(self.program), *args], env=env, text=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL
        )


@pytest.fixture(params=sorted(KINDS))
def cloud(request, tmp_path):
    """One cloud after the other."""
    return Cloud(request.param, tmp_path)


def test_one_snapshot_for_a_run_however_often_it_is_asked_for(cloud):
    first = cloud.run("create")
    assert first.returncode == 0, first.stderr
    name = first.stdout.splitlines()[-1]
    assert cloud.run("create").stdout.splitlines()[-1] == name
    assert list(cloud.snapshots) == [name]
    assert cloud.run("verify", name).returncode == 0
    assert cloud.run("create", run="20231115T000000Z-0000ac").stdout.splitlines()[-1] != name
    assert len(cloud.snapshots) == 2


def test_only_a_snapshot_of_this_host_and_run_is_good_or_deleted(cloud):
    name = cloud.run("create").stdout.splitlines()[-1]
    for other in ({"host": "sles2"}, {"run": "r2"}):
        assert cloud.run("verify", name, **other).returncode == 1
        assert cloud.run("delete", name, **other).returncode == 0
        assert list(cloud.snapshots) == [name]
    assert cloud.run("delete", name).returncode == 0
    assert cloud.snapshots == {}
    assert cloud.run("delete", name).returncode == 0
    assert cloud.run("verify", name).returncode != 0


def test_a_snapshot_that_cannot_be_made_is_an_error(cloud):
    cloud.change(fail="create")
    answer = cloud.run("create")
    assert answer.returncode != 0 and "quota" in answer.stderr and cloud.snapshots == {}


@pytest.mark.parametrize("command", ["create", "verify", "delete"])
def test_a_cloud_that_does_not_answer_is_an_error(cloud, command):
    name = cloud.run("create").stdout.splitlines()[-1]
    cloud.change(fail="snapshot")
    assert cloud.run(command, *[name] * (command != "create")).returncode != 0
    assert list(cloud.snapshots) == [name]


@pytest.mark.parametrize("args", [(), ("restore", "x"), ("verify",), ("create", "x")])
def test_what_is_not_understood_is_an_error(cloud, args):
    answer = cloud.run(*args)
    assert answer.returncode == 2 and "usage: " in answer.stderr and cloud.snapshots == {}
