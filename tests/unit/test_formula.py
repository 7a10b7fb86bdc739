"""The form of the formula for SUSE Manager: what it gives is a pillar that is accepted."""

import pytest
import yaml

from tests.unit.loader import ROOT, load

klp_pillar = load("_utils", "klp_pillar")
FORM = yaml.safe_load((ROOT / "metadata" / "form.yml").read_text())
TYPES = {"text": str, "number": int, "boolean": bool, "select": str}
GROUPS = ("namespace", "group")
# What may stand at an element of a form; a name that begins otherwise is a key of the pillar.
WORDS = {"$type", "$name", "$default", "$help", "$values", "$optional", "$minItems", "$itemName", "$prototype"}


def value(element):
    """Return what a form gives for an element that nobody has changed."""
    if element["$type"] in GROUPS:
        return {key: value(part) for key, part in element.items() if not key.startswith("$")}
    return [] if element["$type"] == "edit-group" else element["$default"]


def leaves(element, path=()):
    """Yield path and element of everything that can be filled in."""
    for key, part in element.items():
        if key.startswith("$"):
            continue
        if part["$type"] in GROUPS:
            yield from leaves(part, (*path, key))
        else:
            yield (*path, key), part


LEAVES = list(leaves(FORM))


def changed(path, new):
    """Return the pillar of the form with one value changed."""
    pillar = {key: value(part) for key, part in FORM.items()}
    place = pillar
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return pillar


def test_the_form_as_it_stands_gives_a_pillar_that_is_accepted():
    pillar = {key: value(part) for key, part in FORM.items()}
    assert list(pillar) == ["klp"]
    assert klp_pillar.check(pillar["klp"])[1] == []


@pytest.mark.parametrize(("path", "element"), LEAVES, ids=[":".join(path) for path, _ in LEAVES])
def test_every_field_is_a_key_of_the_schema_and_takes_what_can_be_chosen(path, element):
    assert set(element) <= WORDS and element["$name"]
    if element["$type"] == "edit-group":
        assert klp_pillar.check(changed(path, ["SUSE-2023-1"])["klp"])[1] == []
        return
    assert isinstance(element["$default"], TYPES[element["$type"]])
    choices = element.get("$values", [True, False] if element["$type"] == "boolean" else [element["$default"]])
    for choice in choices:
        assert klp_pillar.check(changed(path, choice)["klp"])[1] == []


def test_a_wrong_value_of_a_form_is_refused_with_its_key():
    (problem,) = klp_pillar.check(changed(("klp", "backup", "keep"), 0)["klp"])[1]
    assert problem.startswith("pillar klp:backup:keep: ")


def test_the_metadata_says_what_the_formula_is():
    found = yaml.safe_load((ROOT / "metadata" / "metadata.yml").read_text())
    assert set(found) == {"description", "group", "after"}
    assert found["group"] == "general_system_configuration"
