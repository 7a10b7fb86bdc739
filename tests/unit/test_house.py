"""The tools of this repository: the coverage gate, the house rules, the check for Python 3.6."""

import configparser
import json
import re
import sys
from pathlib import Path

import pytest

from tools import coverage_gate, lint_house, py36

ROOT = Path(__file__).resolve().parents[2]


def summary(lines, run, branches=0, taken=0):
    return {
        "num_statements": lines,
        "covered_lines": run,
        "num_branches": branches,
        "covered_branches": taken,
    }


@pytest.mark.parametrize(
    ("lines", "run", "branches", "taken", "code"),
    [
        pytest.param(100, 95, 50, 0, 0, id="branches do not lower the lines"),
        pytest.param(1000, 949, 50, 50, 1, id="branches do not lift the lines"),
        pytest.param(0, 0, 0, 0, 1, id="nothing measured is not good"),
    ],
)
def test_coverage_gate_judges_lines_alone(tmp_path, capsys, lines, run, branches, taken, code):
    totals = summary(lines, run, branches, taken)
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"files": {"_utils/a.py": {"summary": totals}}, "totals": totals}))
    assert coverage_gate.main(["coverage_gate", str(report)]) == code
    assert "TOTAL" in capsys.readouterr().out


def test_coverage_gate_takes_another_limit(tmp_path, capsys):
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"files": {}, "totals": summary(100, 60)}))
    assert coverage_gate.main(["coverage_gate", str(report), "60"]) == 0
    assert "60.00 % of the lines, at least 60 %" in capsys.readouterr().out


def test_coverage_gate_names_the_lines_that_were_not_run():
    files = {"_utils/a.py": {"summary": summary(10, 6), "missing_lines": [3, 5, 6, 7]}}
    assert "3, 5-7" in coverage_gate.table({"files": files, "totals": summary(10, 6)})


GOOD_MODULE = '''
__func_alias__ = {"list_": "list"}

def list_():
    """
    Return everything.

    CLI Example:

    .. code-block:: bash

        salt '*' thing.list
    """
    return run(["ls"], shell=False)

def _hidden():
    pass
'''

GOOD_STATE = '''
def there(name):
    """
    Ensure it is there.

    .. code-block:: yaml

        it:
          thing.there: []
    """

def mod_watch(name):
    pass
'''


GOOD_RUNNER = '''
def plan(kind="patch"):
    """
    Make a plan.

    CLI Example::

        salt-run thing.plan
    """
'''


def findings(tmp_path, name, text):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return [what for _, what in lint_house.check(path)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("_modules/thing.py", GOOD_MODULE),
        ("_states/thing.py", GOOD_STATE),
        ("_runners/thing.py", GOOD_RUNNER),
        pytest.param("_runners/thing/part.py", "def plan(kind):\n    pass\n", id="no user calls a part of a runner"),
        pytest.param("_output/thing.py", "def output(data):\n    pass\n", id="Salt calls an outputter"),
    ],
)
def test_house_rules_accept_good_code(tmp_path, name, text):
    assert findings(tmp_path, name, text) == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        (
            "_modules/thing.py",
            GOOD_MODULE.replace("thing.list", "other.list"),
            "'CLI Example' that shows thing.list",
        ),
        ("_modules/thing.py", "def seen():\n    pass\n", "no 'CLI Example'"),
        ("_states/thing.py", GOOD_STATE.replace("code-block:: yaml", "text"), "no 'code-block:: yaml'"),
        ("_runners/thing.py", "def plan():\n    pass\n", "no 'CLI Example'"),
        ("_runners/thing.py", GOOD_RUNNER.replace("salt-run", "salt"), "'CLI Example' that shows thing.plan"),
        ("_runners/thing.py", GOOD_RUNNER.replace("thing.plan", "thing.run"), "'CLI Example' that shows thing.plan"),
        ("a.py", "x = 1\n" * 401, "401 lines"),
        ("a.py", "def f():\n" + "    x = 1\n" * 40, "f: 41 lines"),
        ("a.py", "try:\n    x = 1\nexcept (OSError, Exception):\n    x = 2\n", "catches Exception"),
        ("a.py", "try:\n    x = 1\nexcept:\n    x = 2\n", "catches everything"),
        ("a.py", "run('ls', shell=True)\n", "shell must be False"),
        ("a.py", "run('ls', python_shell=wanted)\n", "python_shell must be False"),
        ("a.sls", "  - python_shell: True\n", "a shell is asked for"),
        ("a.yaml", "# TO" + "DO: later\n", "unfinished"),
        ("a.md", "See /ho" + "me/me/notes.\n", "a path of one machine"),
        ("a.md", "[b](b.md)\n", "b.md, which is not there"),
        ("a.md", "# One heading\n[b](#another-heading)\n", "no such heading"),
        ("a.md", "[ref]: b.md\n", "b.md, which is not there"),
    ],
)
def test_house_rules_name_what_is_wrong(tmp_path, name, text, found):
    assert [what for what in findings(tmp_path, name, text) if found in what]


def test_house_rules_leave_code_in_markdown_and_other_sites_alone(tmp_path):
    text = "# One `heading`\n`[b](b.md)` [c](https://example.com/x) [d](#one-heading)\n```\n[b](b.md)\n```\n"
    assert findings(tmp_path, "a.md", text) == []


def test_a_long_docstring_does_not_make_a_function_long(tmp_path):
    text = 'def f():\n    """\n' + "    word\n" * 60 + '    """\n    return 1\n'
    assert findings(tmp_path, "a.py", text) == []


def test_house_rules_fail_by_exit_code(tmp_path, capsys):
    (tmp_path / "a.sh").write_text("true\n")
    assert lint_house.main(["lint_house", str(tmp_path)]) == 0
    (tmp_path / "a.sh").write_text("# FIX" + "ME\n")
    assert lint_house.main(["lint_house", str(tmp_path)]) == 1
    assert "a.sh:1: unfinished" in capsys.readouterr().out


def test_house_rules_look_at_the_whole_tree():
    seen = {path.relative_to(ROOT).as_posix() for path in lint_house.files(ROOT)}
    assert {"Makefile", ".ci/run", "tools/lint_house.py", "CONTRIBUTING.md"} <= seen
    assert not [name for name in seen if name.startswith(("build/", ".git/", "salt/_"))]


def test_every_folder_of_the_minion_is_checked_for_python_36():
    makefile = (ROOT / "Makefile").read_text()
    check = next(line for line in makefile.splitlines() if line.startswith("check:"))
    assert "lint-py36" in check and "vermin" in makefile and "--target=3.6-" in makefile
    synced = next(line for line in makefile.splitlines() if line.startswith("SYNCED"))
    assert all(folder in synced for folder in py36.FOLDERS)


def test_stubs_stand_in_for_salt():
    stub = py36.Stub("salt")
    assert issubclass(stub.exceptions.CommandExecutionError, Exception)
    assert stub.exceptions.CommandExecutionError is stub.exceptions.CommandExecutionError
    assert stub.utils.decorators.depends(summary) is summary
    assert py36.StubFinder().find_spec("salt.utils.path") and py36.StubFinder().find_spec("json") is None


def test_a_file_that_cannot_be_imported_is_counted(tmp_path, monkeypatch, capsys):
    (tmp_path / "_utils").mkdir()
    (tmp_path / "_utils" / "bad.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert py36.inside() == 1
    assert "_utils/bad.py: ModuleNotFoundError" in capsys.readouterr().out


def test_without_python_36_the_check_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(py36, "interpreter", lambda: None)
    assert py36.main(["py36.py"]) == 0
    assert "checked by vermin only" in capsys.readouterr().out


LOADED = {f"_{name}": name for name in ("modules", "states", "utils", "grains", "beacons", "runners", "output")}


def test_every_folder_that_salt_loads_is_linked_linted_and_installed():
    """The names of the packages are those that Salt's loader looks for in an entry point (salt/loader/__init__.py)."""
    assert {path.name for path in ROOT.glob("_*") if path.is_dir()} == set(LOADED)
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"_\w+", makefile.split("SYNCED := ")[1].splitlines()[0])) >= set(LOADED)
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    packages, folders = config["options"]["packages"].split(), config["options"]["package_dir"].split("\n")
    for folder, name in LOADED.items():
        assert (ROOT / "salt" / folder).resolve() == ROOT / folder
        assert f"saltext.klp.{name} = {folder}" in folders
        parts = {path.parent.relative_to(ROOT / folder).parts for path in (ROOT / folder).rglob("*.py")}
        assert {".".join(("saltext.klp", name, *part)) for part in parts} <= set(packages)


PRODUCT = (*LOADED, "salt", "pillar")


def test_the_product_knows_nothing_of_the_hosts_it_is_tested_on():
    files = [path for folder in PRODUCT for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts = {path: path.read_text() for path in files if path.suffix in lint_house.TEXT}
    assert len(texts) > 30
    assert [path for path, text in texts.items() if re.search(r"\b(lab|qemu|debian|fakes?)\b", text, re.I)] == []
