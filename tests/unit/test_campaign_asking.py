"""Asking the hosts for a plan: how many at a time, and whether they have the master's version of salt-klp."""

import copy
import shutil

import pytest
import salt.config

import klp_version
from _runners.klp import asking
from tests.unit.loader import ROOT

FOLDERS = [f"_{name}" for name in klp_version.FOLDERS]


@pytest.fixture
def roots(tmp_path):
    """A file root as an administrator has it, with files of others in it."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / "srv" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "srv" / "_modules" / "other.py").write_text("")
    (tmp_path / "srv" / "_runners" / "klp").mkdir(parents=True)
    (tmp_path / "srv" / "_runners" / "klp.py").write_text("")
    return tmp_path / "srv"


@pytest.fixture
def minion(roots, tmp_path, monkeypatch):
    """What a minion has after ``saltutil.sync_all``: the same files, in folders without the line before the name."""
    place = tmp_path / "extmods"
    for folder in FOLDERS:
        shutil.copytree(roots / folder, place / folder[1:])
    (place / "modules" / "own.py").write_text("")
    (place / "utils" / "__pycache__").mkdir()
    monkeypatch.setattr(klp_version, "__file__", str(place / "utils" / "klp_version.py"))
    return place


@pytest.fixture
def master(roots, tmp_path):
    """Options of a master with this file root; ``envs`` are others."""

    def options(**envs):
        found = copy.deepcopy(salt.config.DEFAULT_MASTER_OPTS)
        folders = {"cachedir": str(tmp_path / "cache"), "sock_dir": str(tmp_path / "sock")}
        return {**found, **folders, "file_roots": {"base": [str(roots)], **envs}}

    return options


def test_a_minion_that_was_synced_has_what_its_master_has(master, minion):
    assert asking.code(master()) == klp_version.code("sha256") != klp_version.code("md5")


@pytest.mark.parametrize("change", ["changed", "missing", "left over"])
def test_a_minion_with_other_files_has_another_version(master, minion, change):
    place = minion / "utils" / "klp_paths.py"
    if change == "missing":
        place.unlink()
    else:
        (minion / "states" / "klp_old.py" if change == "left over" else place).write_text("VERSION = 1\n")
    assert asking.code(master()) != klp_version.code("sha256") is not None


def test_of_two_environments_nobody_knows_which_a_minion_gets(master, roots):
    assert asking.code(master(test=[str(roots)])) is None


def test_another_environment_that_does_not_have_it_does_not_matter(master, minion, tmp_path):
    assert asking.code(master(test=[str(tmp_path / "sock")])) == klp_version.code("sha256")


def test_a_master_that_serves_nothing_of_it_has_none(master, roots):
    for folder in FOLDERS:
        shutil.rmtree(roots / folder)
    assert asking.code(master()) is None


def test_a_host_without_synced_files_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(klp_version, "__file__", str(tmp_path / "here" / "utils" / "klp_version.py"))
    assert klp_version.code("sha256") is None


class Slow:
    """What reaches hosts that take their time; it counts how many questions are open."""

    def __init__(self):
        self.open, self.most, self.turns = [], 0, 0

    def question(self, hosts, fun, arg, timeout):
        return Pending(self, hosts)

    def listen(self, until, jids):
        assert until == 7 and sorted(jids) == sorted(jid for one in self.open for jid in one.jids)
        self.turns += 1


class Pending:
    until = 7

    def __init__(self, reach, hosts):
        self.reach, self.found, self.left = reach, dict.fromkeys(hosts, True), 3
        self.jids = [f"jid of {hosts[0]}"]
        reach.open.append(self)
        reach.most = max(reach.most, len(reach.open))

    def over(self):
        self.left -= 1
        if not self.left:
            self.reach.open.remove(self)
        return not self.left


def test_many_hosts_are_asked_side_by_side_and_not_all_at_once():
    reach, lines = Slow(), list[str]()
    settings = {"presence": {"timeout": 1, "outlook": 2}, "sync": False, "level": "latest"}
    hosts = [f"h{number:05}" for number in range(4900)]
    found = asking.Asking(reach, settings, "patch", "", None, lines.append).ask(hosts)
    assert sorted(found) == hosts and reach.most == asking.ABREAST == 4
    assert reach.turns <= 3 * 2 * 3, "ten parts, four at a time, two questions each"
    assert len(lines) == 10 and lines[-1].startswith("asked 4900 of 4900 hosts, 0 of the last ")
