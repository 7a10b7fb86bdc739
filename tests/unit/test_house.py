"""The tools of this repository: the house rules, the check for Python 3.6."""

import configparser
import re
import sys
from pathlib import Path

import pytest

from tools import imports, lint_house, py36

ROOT = Path(__file__).resolve().parents[2]


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
        pytest.param("_modules/thing.py", "x = 1\n" * 600, id="entry points may be many"),
        pytest.param("_runners/thing/part.py", "def plan(kind):\n    pass\n", id="no user calls a part of a runner"),
        pytest.param("tests/a.py", "from tests.unit import hosts, tested\n", id="a module that is no test file"),
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
        ("_modules/thing.py", "__virtualname__ = 'other'\n" + GOOD_MODULE, "a module is one file"),
        ("_modules/thing.py", "x = 1\n" * 601, "601 lines"),
        ("a.py", "x = 1\n" * 401, "401 lines"),
        ("a.py", "def f():\n" + "    x = 1\n" * 40, "f: 41 lines"),
        ("a.py", "try:\n    x = 1\nexcept (OSError, Exception):\n    x = 2\n", "catches Exception"),
        ("a.py", "try:\n    x = 1\nexcept:\n    x = 2\n", "catches everything"),
        ("a.py", "run('ls', shell=True)\n", "shell must be False"),
        ("a.py", "run('ls', python_shell=wanted)\n", "python_shell must be False"),
        ("a.py", "from tests.unit.test_b import helper\n", "imports tests.unit.test_b.helper: move"),
        ("a.py", "from tests.unit import test_b as b\n", "imports tests.unit.test_b: move"),
        ("a.py", "def f():\n    from .test_b import helper\n", "imports test_b.helper: move"),
        ("a.py", "import tests.unit.test_b\n", "imports tests.unit.test_b: move"),
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


SETUP = "[metadata]\nversion = 1.0\n[options]\npy_modules =\n    low\n    klp_paths\n    klp_version\n"
PRODUCT_FILES = {
    "setup.cfg": SETUP,
    "_runners/klp.py": 'VERSION = "1.0"\n',
    "_modules/zypper.py": 'VERSION = "1.0"\nimport low\n',
    "_states/zypper.py": 'VERSION = "1.0"\nimport low\n',
    "_utils/klp_version.py": 'VERSION = "1.0"\n',
    "_utils/klp_paths.py": 'LOCKS = "/etc/zypp/locks"\n',
    "_utils/low.py": 'import klp_paths\nSAID = "see /etc/zypp/locks"\nRUN = host.salt["cmd.run_all"]\n',
}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, None),
        ({"_states/zypper.py": 'VERSION = "1.1"\n'}, "_states/zypper.py:1: VERSION is '1.1', setup.cfg says '1.0'"),
        ({"_modules/zypper.py": ""}, "_modules/zypper.py:1: VERSION is None, setup.cfg says '1.0'"),
        ({"_utils/klp_version.py": ""}, "_utils/klp_version.py:1: VERSION is None"),
        ({"_runners/klp.py": ""}, "_runners/klp.py:1: VERSION is None"),
        (
            {"install/salt-klp.spec": "Version: 1.1\n"},
            "install/salt-klp.spec:1: the version is '1.1', setup.cfg says '1.0'",
        ),
        ({"install/salt-klp.spec": "Name: x\n"}, "install/salt-klp.spec:1: the version is 'none'"),
        ({"CHANGELOG.md": "## 1.1.0\n\n## 1.0.0\n"}, "CHANGELOG.md:1: the version is '1.1.0'"),
        ({"_utils/more.py": ""}, "setup.cfg:1: py_modules and _utils do not agree on more"),
        ({"setup.cfg": SETUP + "    gone\n"}, "setup.cfg:1: py_modules and _utils do not agree on gone"),
        ({"_utils/low.py": 'X = ["/etc/zypp/locks"]\n'}, "_utils/low.py:1: /etc/zypp/locks stands in klp_paths"),
        ({"_utils/klp_paths.py": "import low\n"}, "_utils/low.py:1: in a cycle of imports"),
        ({"_utils/low.py": "import zypper\n"}, "_utils/low.py:1: a util imports the entry point zypper"),
        ({"_utils/low.py": 'def f():\n    __salt__["zypper.locks"]()\n'}, "_utils/low.py:2: a util calls zypper by"),
        ({"_utils/low.py": 'host.salt["zypper.locks"]()\n'}, "_utils/low.py:1: a util calls zypper by its name"),
        ({"_utils/low.py": '__utils__["klp_paths.x"]()\n'}, "_utils/low.py:1: a util calls klp_paths by its name"),
    ],
)
def test_house_rules_for_the_product_as_a_whole(tmp_path, changes, found):
    for name, text in {**PRODUCT_FILES, **changes}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    lines = [f"{path.relative_to(tmp_path)}:{line}: {what}" for path, line, what in lint_house.check_whole(tmp_path)]
    assert [line for line in lines if found and line.startswith(found)] or (lines == [] and found is None), lines


def test_house_rules_count_what_a_user_can_call(tmp_path, monkeypatch):
    (tmp_path / "_modules").mkdir()
    (tmp_path / "_modules" / "thing.py").write_text("def a():\n    pass\n\ndef b():\n    pass\n\ndef _c():\n    pass\n")
    monkeypatch.setattr(lint_house, "MAX_PUBLIC", 2)
    assert list(lint_house.check_public(tmp_path)) == []
    monkeypatch.setattr(lint_house, "MAX_PUBLIC", 1)
    assert "2 functions that a user can call, at most 1" in next(lint_house.check_public(tmp_path))[2]


def test_imports_are_drawn_in_layers(tmp_path, capsys):
    for name, text in PRODUCT_FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert imports.main(["imports", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "  _modules/zypper: low\n" in shown and "layer 1\n  low: klp_paths\n\nlayer 0\n" in shown
    assert imports.main(["imports", "--dot", str(tmp_path)]) == 0
    assert '  "low" -> "klp_paths";' in capsys.readouterr().out
    (tmp_path / "_utils" / "klp_paths.py").write_text("def f():\n    from low import g\n")
    assert imports.main(["imports", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "in a cycle\n  klp_paths, low" in out and "_utils/low.py:1: in a cycle of imports" in err


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
    assert stub.utils.decorators.depends(len) is len
    assert py36.StubFinder().find_spec("salt.utils.path") and py36.StubFinder().find_spec("json") is None


def test_a_file_that_cannot_be_imported_is_counted(tmp_path, monkeypatch, capsys):
    (tmp_path / "_utils").mkdir()
    (tmp_path / "_utils" / "bad.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "_modules").mkdir()
    (tmp_path / "_modules" / "caught.py").write_text("PROBLEM = 'no such util'\n")
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert py36.inside() == 2
    said = capsys.readouterr().out
    assert "_utils/bad.py: ModuleNotFoundError" in said and "_modules/caught.py: ImportError: no such util" in said


def test_without_python_36_the_check_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(py36, "interpreter", lambda: None)
    assert py36.main(["py36.py"]) == 0
    assert "checked by vermin only" in capsys.readouterr().out


KINDS = ("modules", "states", "utils", "grains", "beacons", "runners", "output", "engines")
LOADED = {f"_{name}": name for name in KINDS}


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
        if folder == "_utils":  # imported by name, so pip installs them as what they are
            assert "= _utils" in folders and f"saltext.klp.{name}" not in packages
            continue
        assert f"saltext.klp.{name} = {folder}" in folders
        parts = {path.parent.relative_to(ROOT / folder).parts for path in (ROOT / folder).rglob("*.py")}
        assert {".".join(("saltext.klp", name, *part)) for part in parts} <= set(packages)


PRODUCT = (*LOADED, "salt", "pillar")


def test_the_product_knows_nothing_of_the_hosts_it_is_tested_on():
    files = [path for folder in PRODUCT for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts = {path: path.read_text() for path in files if path.suffix in lint_house.TEXT}
    assert len(texts) > 30
    forbidden = re.compile(r"\b(lab|qemu(?!:///system)|debian|fakes?)\b", re.I)
    assert [path for path, text in texts.items() if forbidden.search(text)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# It is the way\n# back.", [(1, "way back")]),
        ("fine\nNobody knows, and 1 hosts failed", [(2, "1 hosts"), (2, "Nobody knows")]),
        ("of 2 + 1 hosts, web-1 hosts, 11 hosts", [(1, "1 hosts")]),
        ("unknown, 1 host, rollback", []),
    ],
)
def test_a_riddle_that_was_rewritten_does_not_come_back(tmp_path, text, found):
    page = tmp_path / "page.md"
    page.write_text(text)
    assert [(line, what.split("'")[1]) for line, what in lint_house.check(page)] == found


def test_the_page_that_names_the_riddles_may_name_them(tmp_path):
    page = tmp_path / "CONTRIBUTING.md"
    page.write_text("nobody knows")
    assert lint_house.check(page) == []
