"""Every function that a user can call shows how, under the name that the user calls."""

import ast

import pytest

from tests.unit.loader import ROOT


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
    assert f"CLI Example::\n\n    salt '*' {name}" in text
    assert text.split("\n")[0].endswith((".", ":"))


@pytest.mark.parametrize(("name", "text"), list(public_functions("_runners")))
def test_a_runner_function_has_an_example_for_the_command_line(name, text):
    assert f"CLI Example::\n\n    salt-run {name}" in text
    assert text.split("\n")[0].endswith((".", ":"))


@pytest.mark.parametrize(("name", "text"), list(public_functions("_states")))
def test_a_state_has_an_example_in_yaml(name, text):
    example = text.partition(".. code-block:: yaml\n")[2]
    assert f" {name}:" in example
    assert text.startswith("Ensure ")


@pytest.mark.parametrize(("name", "text"), list(public_functions("_utils")))
def test_a_function_of_utils_says_what_it_does(name, text):
    assert text.split("\n\n")[0]
