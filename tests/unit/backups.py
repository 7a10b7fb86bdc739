"""Hosts with backups: a program of their own, what snapper lists, and what lvm reports."""

import json
import random

import pytest

import klp_backup_look
import klp_paths
import klp_restore
from tests.unit.loader import recorded

HOST, OTHER, RUN = "0123456789abcdef0123456789abcdef", "f" * 32, "20231114T221320Z-0000ab"
NAME = f"klp_{RUN}"
BACKUP = f"system/{NAME}"
CLASSIC = {"device": "254:0", "type": "xfs", "source": "/dev/mapper/system-root"}
TAGS = [f"klp_boot=b1,klp_restore={BACKUP},klp_since=77"]


def report(name, **changes):
    """Return a recorded report with fields of some volumes changed; ``None`` takes one away, a new name adds one."""
    document = json.loads(recorded(f"lvm/{name}.json"))
    rows = document["report"][0]["lv"]
    for volume, fields in changes.items():
        row = next(
            (row for row in rows if row["lv_name"] == volume or (volume == "klp" and "klp_" in row["lv_name"])), None
        )
        if row is None:
            row = dict(rows[-1])
            rows.append(row)
        row.update(fields or {})
        if fields is None:
            rows.remove(row)
    return json.dumps(document)


HEADER = "number,default,active,date,description,userdata\n0,no,no,,current,\n"
LIST = ["snapper", "--machine-readable", "csv", "-c", "root", "list", "--disable-used-space"]
CONFIGS = ["snapper", "--machine-readable", "csv", "list-configs"]


def row(number, default="no", active="no", **userdata):
    text = ",".join(f"{key}={value}" for key, value in userdata.items())
    return f'{number},{default},{active},2023-01-01,text,"{text}"\n'


COMMAND = {"backend": "command", "create": ["/usr/bin/backup", "new"], "verify": ["/usr/bin/backup", "check"]}
CREATE, VERIFY = ["backup", "new"], ["backup", "check"]
DAY = 24 * 3600


@pytest.fixture
def host(minion, paths, monkeypatch):
    """A host with a backup program, and run ids that can be foretold."""
    paths.update(["/usr/bin/backup", "snapper"])
    monkeypatch.setattr("salt.utils.path.which", lambda name: f"/usr/bin/{name.rsplit('/', 1)[-1]}")
    monkeypatch.setattr(random.SystemRandom, "getrandbits", lambda self, bits: 0xAB)
    minion.pillar["klp"] = {"backup": dict(COMMAND)}
    minion.programs.on(CREATE, "making it\nvol-1\n", "vol-2\n", "vol-3\n")
    minion.programs.on(VERIFY + [...])
    minion.programs.on(["snapper", "--version"], "snapper 0.8.15\nflags btrfs\n")
    equip(minion, monkeypatch)
    return minion


class Calendar:
    """The clock of a minion, asked for other moments than the present one."""

    def __init__(self, clock):
        self.time, self.strftime = clock.time, clock.strftime

    def gmtime(self, moment):
        return moment


def equip(minion, monkeypatch):
    """Give a host a machine id, packages, mounts and an answer to who looks into a backup."""
    minion.file(klp_paths.MACHINE_ID, HOST + "\n")
    minion.file(klp_paths.MOUNTS, mount("btrfs"))
    minion.rpm_qa({"glibc": "2-1", "curl": "1-1"})
    monkeypatch.setattr(klp_restore, "time", Calendar(minion.clock))
    minion.proof = {"packages": {"curl": ["1-1"], "glibc": ["2-1"]}, "files": 7, "altered": {}}

    def prove(call, argv, expected):
        minion.looked = (argv, expected)
        if isinstance(minion.proof, Exception):
            raise minion.proof
        return minion.proof

    monkeypatch.setattr(klp_backup_look, "prove", prove)


def mount(kind, source="/dev/sda2", device="0:30"):
    return f"1 0 {device} / / rw,relatime - {kind} {source} rw\n"


def runs(host):
    return [(item["run"], item["backup"], item["finished"] is not None) for item in host.salt["root_backup.list"]()]


FIRST_RUN = "T1700000000-0000ab"
