"""``salt-run klp.version``: what this master has, what it serves, and what is wrong with that."""

import json
import os

import pytest
from salt.version import __saltstack_version__

from _runners.klp import serving
from klp_version import VERSION
from tests.unit.loader import ROOT

FOLDERS = ("_beacons", "_grains", "_modules", "_states", "_utils")


class Files:
    """Salt's file server over folders, one environment each."""

    roots: dict = {}

    def __init__(self, opts):
        assert opts["fileserver_list_cache_time"] == 0

    def envs(self):
        return list(self.roots)

    def file_list(self, load):
        root = self.roots[load["saltenv"]]
        return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]

    def find_file(self, path, env):
        found = self.roots[env] / path
        return {"path": str(found), "rel": path} if found.is_file() else {"path": "", "rel": ""}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A file root as `make install` makes it, which Salt serves."""
    root = tmp_path / "states"
    for name in ("klp/init.sls", "_runners/klp.py", "_modules/zypper.py", "_modules/other.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    for folder in FOLDERS:
        (root / folder).mkdir(exist_ok=True)
        (root / folder / "klp.py").write_text("")
    (root / "_utils" / "klp_version.py").write_text((ROOT / "_utils" / "klp_version.py").read_text())
    monkeypatch.setattr(Files, "roots", {"base": root})
    monkeypatch.setattr(serving.salt.fileserver, "Fileserver", Files)
    return root


def version(root):
    return serving.version({"user": "salt"}, str(root / "_runners" / "klp.py"))


def test_what_is_served_is_counted_and_nothing_of_others(tree):
    assert version(tree) == {
        "retcode": 0,
        "outputter": "klp",
        "text": f"salt-klp {VERSION}, runner {tree}/_runners/klp.py\n"
        f"Salt {__saltstack_version__}, master run by user salt\n"
        "environment base serves 1 klp, 1 _beacons, 1 _grains, 2 _modules, 1 _states, 2 _utils\n"
        "all is as it should be",
        "version": VERSION,
        "runner": f"{tree}/_runners/klp.py",
        "served": {"base": {"klp": 1, "_beacons": 1, "_grains": 1, "_modules": 2, "_states": 1, "_utils": 2}},
        "problems": [],
    }


def wrong(root):
    """Return the only problem, which sets the exit code and stands in the text."""
    found = version(root)
    (problem,) = found["problems"]
    assert found["retcode"] == 1 and f"wrong: {problem}" in found["text"]
    return problem


def test_a_file_root_that_nobody_has_named_is_named(tree, monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(Files, "roots", {"base": tmp_path / "empty"})
    assert wrong(tree) == (
        "no environment has the SLS files of salt-klp; add this line to your file_roots, under base (look with: "
        f"salt-run config.get file_roots): - {tree}"
    )


def test_a_runner_that_is_installed_alone_does_not_know_the_folder(tree, monkeypatch, tmp_path):
    monkeypatch.setattr(Files, "roots", {})
    (tmp_path / "extmods" / "runners").mkdir(parents=True)
    found = serving.version({}, str(tmp_path / "extmods" / "runners" / "klp.py"))
    assert found["problems"][0].endswith(": - the folder that holds klp and _modules, as `make install` makes it")
    assert "master run by user unknown" in found["text"]


def test_what_pip_has_installed_knows_its_formula(tree, monkeypatch, tmp_path):
    package = tmp_path / "saltext" / "klp"
    for folder in ("runners", "formula/klp"):
        (package / folder).mkdir(parents=True)
    (package / "formula/klp/init.sls").write_text("")
    monkeypatch.setattr(Files, "roots", {})
    found = serving.version({}, str(package / "runners" / "klp.py"))
    assert found["problems"][0].endswith(f": - {package}/formula")


def test_links_that_are_not_followed_are_named_with_the_cure(tree, monkeypatch, tmp_path):
    checkout = tmp_path / "checkout"
    (checkout / "klp").mkdir(parents=True)
    (checkout / "klp" / "init.sls").write_text("")
    monkeypatch.setattr(Files, "roots", {"base": checkout})
    assert wrong(tree) == (
        f"environment base serves the SLS files but not {', '.join(FOLDERS)}: this Salt does not follow links that "
        "lead out of a file root, as those of a checkout do; install the files with `make install`, and name in their "
        f"place {tree}"
    )


def test_another_version_for_minions_is_said(tree):
    (tree / "_utils" / "klp_version.py").write_text('VERSION = "0.1.0"\n')
    assert wrong(tree) == (
        f"environment base serves version 0.1.0, this runner is {VERSION}: install both from one source, then "
        "salt '*' saltutil.sync_all"
    )


@pytest.mark.parametrize("text", ["", 'VERSION = "' + 50 * "9" + '"\n'])
def test_a_version_that_cannot_be_read_is_not_another_one(tree, text):
    (tree / "_utils" / "klp_version.py").write_text(text)
    assert version(tree)["problems"] == []


def test_two_environments_are_said(tree, monkeypatch):
    monkeypatch.setattr(Files, "roots", {"base": tree, "prod": tree})
    assert wrong(tree) == "more than one environment has it (base, prod): a minion gets files of all of them"


def test_a_file_that_vanished_is_no_version(tree, monkeypatch):
    monkeypatch.setattr(Files, "find_file", lambda self, path, env: {"path": "", "rel": ""})
    assert version(tree)["problems"] == []
    assert json.dumps(version(tree)) and os.path.isdir(tree)


def test_the_runner_answers(master, monkeypatch):
    monkeypatch.setattr(Files, "roots", {})
    monkeypatch.setattr("salt.fileserver.Fileserver", Files)
    found = master.run("version")
    assert (found["retcode"], found["version"]) == (1, VERSION)
