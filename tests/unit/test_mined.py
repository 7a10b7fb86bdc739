"""Documents read from the files of the mine: the same answer as ``mine.get`` gives, or none at all."""

import importlib
import os
from types import SimpleNamespace

import msgpack
import pytest
import salt.cache
import salt.config
import salt.daemons.masterapi
import salt.version

from _runners.klp import documents, emergency, mined
from tests import fleet

FIXED, WAITS, OTHER, LONG = "CVE-2026-23100", "CVE-2026-31431", "CVE-2026-2310", "CVE-2026-" + "1" * 19
CVES = [FIXED, WAITS, OTHER, LONG]
REBOOT = {"cves__reboot": [OTHER], "kernel_target__cves": {**fleet.NONE, "critical": 1}}


@pytest.fixture
def mine(tmp_path):
    """A master whose mine has what a test puts into it, by Salt's own functions."""
    return Mine(tmp_path)


class Mine:
    def __init__(self, folder):
        self.opts = dict(salt.config.DEFAULT_MASTER_OPTS, root_dir=str(folder), cachedir=str(folder / "cache"))
        self.opts.update(pki_dir=str(folder / "pki"), id="a_master", sock_dir=str(folder / "sock"), __role="master")
        self.cache = salt.cache.Cache(self.opts)
        os.makedirs(folder / "pki" / "minions")
        self.keys = folder / "pki" / "minions"

    def put(self, host, value):
        """Put it in as the master does for ``mine.update``; the bank is that of ``_mine_get`` of this Salt."""
        (self.keys / host).write_text("key")
        data = {"test.ping": True, mined.FUNCTION: value}
        bank, key = ("mine", host) if salt.version.__saltstack_version__ >= "3008" else (f"minions/{host}", "mine")
        self.cache.store(bank, key, data)

    def get(self, host):
        """Return what ``mine.get`` of this Salt has; its runner would look up the addresses of this machine first."""
        master = SimpleNamespace(opts=self.opts, cache=self.cache)
        load = {"id": "a_master", "fun": mined.FUNCTION, "tgt": "*", "tgt_type": "glob"}
        return salt.daemons.masterapi.RemoteFuncs._mine_get(master, load, skip_verify=True).get(host)

    def quick(self, host="web1"):
        return mined.Reader(mined.folder(self.opts)).document(host)


def document(**more):
    usual = {
        "cves__pending": [WAITS, LONG],
        "cves__severity": {FIXED: "important", WAITS: "critical"},
        "cves__contradictions": ["x"],
    }
    return fleet.document(**{**usual, **more})


def test_the_file_says_what_the_mine_says(mine):
    mine.put("web1", document())
    slow = emergency.brief(documents.document("web1", mine.get("web1")), CVES)
    assert emergency.brief(mine.quick(), CVES) == slow
    assert slow.states == ["fixed_live", "pending", None, "pending"]


@pytest.mark.parametrize(
    "more",
    [
        {"cves__reboot": ["CVE-2025-1000"], "kernel_target": None},
        {"cves__reason": "zypper: exit code 6"},
        {"cves__unknown": ["CVE-2025-1000"]},
        {"version": 3},
        {**REBOOT, "cves__severity": {OTHER: "critical"}},
        {**REBOOT, "cves__severity": {}, "kernel_target__cves": {**fleet.NONE, "unspecified": 1}},
        {"updates__repositories": [fleet.FROZEN, {**fleet.FROZEN, "time": None}]},
    ],
)
def test_whatever_an_honest_host_says_is_the_same_both_ways(mine, more):
    found = document(**more)
    if found["version"] == 3:
        del found["kernel_target"], found["kernel_change"]
    mine.put("web1", found)
    slow = emergency.brief(documents.document("web1", mine.get("web1")), [*CVES, "CVE-2025-1000"])
    assert emergency.brief(mine.quick(), [*CVES, "CVE-2025-1000"]) == slow


def without(*keys):
    found = document()
    for key in keys:
        del found[key]
    return found


BAD = {
    "text": "'klp_audit.host' is not available.",
    "list": [1],
    "another host": document(host="web2"),
    "another schema": document(schema="x"),
    "version 5": document(version=5),
    "version of another type": document(version=4.0),
    "true": document(version=True),
    "no CVEs": without("cves"),
    "CVEs of another form": document(cves=[]),
    "no target": without("kernel_target"),
    "a bad name": document(cves__fixed_live=[FIXED, "CVE-2026-1"]),
    "two names in one": document(cves__fixed_live=[f"{FIXED}\xae{WAITS}"]),
    "no list": document(cves__fixed_live={FIXED: 1}),
    "a bad time": document(time=-1),
    "a bad group": document(group=7),
    "a bad repository": document(updates__repositories=[{"alias": 7}]),
    "no repositories": document(updates={}),
    "a bad reason": document(cves__reason=7),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_plain_document_is_left_to_the_mine(mine, name):
    mine.put("web1", BAD[name])
    assert mine.quick() is None


def test_what_a_minion_lets_only_some_see_is_left_to_the_mine(mine):
    """mine_functions with allow_tgt: salt/utils/mine.py, wrap_acl_structure."""
    wrap = importlib.import_module("salt.utils.mine").wrap_acl_structure
    mine.put("web1", wrap(document(), allow_tgt="db*"))
    assert mine.quick() is None
    mine.put("web1", {**document(), **wrap(1, allow_tgt="db*")})
    assert mine.quick() is None


@pytest.mark.parametrize(
    "more",
    [
        {"cves__severity": {FIXED: "bad"}},
        {**REBOOT, "cves__severity": {OTHER: "critical", "CVE-2026-1000": 7}},
        {**REBOOT, "cves__severity": {OTHER: "critical", "CVE-2026-1000": []}},
        {**REBOOT, "cves__severity": [OTHER]},
        {**REBOOT, "cves__severity": [], "kernel_target__cves": {**fleet.NONE, "unspecified": 1}},
    ],
)
def test_a_bad_severity_is_seen_when_it_is_read(mine, more):
    mine.put("web1", document(**more))
    with pytest.raises(mined.ShapeError):
        emergency.brief(mine.quick(), CVES)


DEEP = b"\x81\xa1x" + b"\x91" * 5000 + b"\x00"


def test_damaged_files_are_left_to_the_mine(mine):
    mine.put("web1", document())
    path = mined.folder(mine.opts).format("web1")
    whole = open(path, "rb").read()
    for damaged in (
        b"",
        whole[: len(whole) // 2],
        b"\xc1",
        b"\x91\x01",
        msgpack.packb({mined.FUNCTION: 1}),
        b"\xff" * 99,
    ):
        open(path, "wb").write(damaged)
        assert mine.quick() is None
    os.truncate(path, mined.LARGEST + 1)
    assert mine.quick() is None
    os.unlink(path)
    assert mine.quick() is None


@pytest.mark.parametrize("more", [{"cache": "redis"}, {"mine_get": {".*": ["test.ping"]}}, {"cachedir": ""}])
def test_other_caches_and_rules_are_left_to_the_mine(mine, more):
    mine.put("web1", document())
    assert mine.quick() is not None
    mine.opts.update(more)
    assert mine.quick() is None


@pytest.mark.parametrize(("version", "path"), [("3007.1", "minions/web1/mine.p"), ("3008.0", "mine/web1.p")])
def test_the_place_is_that_of_the_salt_that_runs(monkeypatch, version, path):
    found = importlib.import_module("salt.version").SaltStackVersion.parse(version)
    monkeypatch.setattr(salt.version, "__saltstack_version__", found)
    assert mined.folder({"cachedir": "/c"}).format("web1") == f"/c/{path}"
