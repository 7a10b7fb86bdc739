"""Every function that a user can call shows how; every example of the pillar says what it sets."""

import ast
import os
import re
from itertools import takewhile

import pytest
import yaml

import klp_schema
from _runners.klp import schema
from tests.unit.loader import ROOT

EXAMPLES = ROOT / "pillar" / "examples"
PILLARS = sorted(EXAMPLES.glob("*.sls"))
CAMPAIGNS = sorted((ROOT / "pillar" / "campaigns").glob("*.sls"))


def constant(tree, name, default):
    """Return the value of a module's constant, read without importing it."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", None) for target in node.targets] == [name]:
            return ast.literal_eval(node.value)
    return default


def public_functions(folder):
    """Yield ``(file:function, virtual name, docstring)`` of all public functions."""
    for path in sorted((ROOT / folder).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        virtual, alias = constant(tree, "__virtualname__", path.stem), constant(tree, "__func_alias__", {})
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                name = f"{virtual}.{alias.get(node.name, node.name)}"
                yield pytest.param(name, ast.get_docstring(node) or "", id=f"{path.stem}:{name}")


@pytest.mark.parametrize(("name", "text"), list(public_functions("_modules")))
def test_an_execution_function_has_an_example_for_the_command_line(name, text):
    assert f"CLI Example:\n\n.. code-block:: bash\n\n    salt '*' {name}" in text
    assert text.split("\n")[0].endswith((".", ":"))


@pytest.mark.parametrize(("name", "text"), list(public_functions("_runners")))
def test_a_runner_function_has_an_example_for_the_command_line(name, text):
    assert f"CLI Example:\n\n.. code-block:: bash\n\n    salt-run {name}" in text
    assert text.split("\n")[0].endswith((".", ":"))


@pytest.mark.parametrize(("name", "text"), list(public_functions("_states")))
def test_a_state_has_an_example_in_yaml(name, text):
    example = text.partition(".. code-block:: yaml\n")[2]
    assert f" {name}:" in example
    assert text.startswith("Ensure ")


@pytest.mark.parametrize(("name", "text"), list(public_functions("_utils")))
def test_a_function_of_utils_says_what_it_does(name, text):
    assert text.split("\n\n")[0]


def leaves(pillar):
    """Yield the name of every key of a pillar that has a value of its own, and the value."""
    for key, value in pillar.items():
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield key, value


def comment(path):
    """Return what an example says of itself: its lines before the first key."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(takewhile(lambda line: line.startswith("#"), lines))


@pytest.mark.parametrize("path", PILLARS, ids=lambda path: path.stem)
def test_an_example_sets_nothing_that_its_comment_does_not_say(path):
    said = set(re.findall(r"\w+", comment(path))) | set(comment(path).split())
    pillar = yaml.safe_load(path.read_text(encoding="utf-8"))["klp"]
    assert [key for key, _ in leaves(pillar) if key not in said] == []


@pytest.mark.parametrize("path", PILLARS, ids=lambda path: path.stem)
def test_an_example_that_is_not_about_backups_switches_none_off(path):
    backend = yaml.safe_load(path.read_text(encoding="utf-8"))["klp"]["backup"]["backend"]
    assert backend != "none" or path.stem == "no-backup"


@pytest.mark.parametrize("path", [*PILLARS, *CAMPAIGNS], ids=lambda path: path.stem)
def test_an_example_with_a_level_as_a_number_says_that_it_is_another_live_patch_for_each_kernel(path):
    pillar = yaml.safe_load(path.read_text(encoding="utf-8"))
    levels = [value for key, value in leaves(pillar) if key == "level"]
    assert not any(isinstance(level, int) for level in levels) or "each kernel" in comment(path).replace("\n# ", " ")


@pytest.mark.parametrize("program", sorted(EXAMPLES.glob("*-root-snapshot")), ids=lambda path: path.name)
def test_a_program_has_its_example(program):
    name = program.name.replace("-root-snapshot", "")
    backup = yaml.safe_load((EXAMPLES / f"{name}.sls").read_text(encoding="utf-8"))["klp"]["backup"]
    assert backup["backend"] == "command"
    for verb in ("create", "verify", "delete"):
        assert backup[verb] == [f"/usr/local/sbin/{program.name}", verb]
    assert os.access(str(program), os.X_OK)


@pytest.mark.parametrize(
    "keys", [klp_schema.SCHEMA["level"], klp_schema.SCHEMA["rollback"]["keys"]["level"], schema.SCHEMA["level"]]
)
def test_the_reference_says_what_a_level_as_a_number_is(keys):
    assert "for each kernel" in keys["about"]
