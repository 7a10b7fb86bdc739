"""The form of the formula for SUSE Manager: its pillar is accepted, or refused with the key of the field."""

import copy
import re

import pytest
import yaml

from tests.unit import uyuni
from tests.unit.form import FILLED, FORM, LEAVES, NEEDED, with_
from tests.unit.loader import ROOT, load

klp_pillar = load("_utils", "klp_pillar")
WORDS = {"$type", "$name", "$default", "$help", "$values", "$optional", "$minItems", "$itemName", "$prototype", "$min"}
WORDS |= {"$max", "$match", "$ifEmpty", "$visible"}


def get(values, path):
    for key in path.split(":"):
        values = values[key]
    return values


def checked(values, group=None):
    """Return settings and problems of the pillar that comes of a form which was saved with these values."""
    pillar = uyuni.pillar(FORM, group or {}, uyuni.saved(FORM, values))
    return klp_pillar.check(pillar["klp"])


def test_the_form_that_nobody_has_filled_gives_the_defaults_but_that_alarms_repair_locks():
    found, problems = klp_pillar.check(uyuni.pillar(FORM, {}, {})["klp"])
    wanted = klp_pillar.defaults()
    wanted["backup"]["backend"], wanted["alarms"]["repair_locks"] = "auto", True
    assert (found, problems) == (wanted, [])


def test_the_form_that_was_saved_untouched_gives_the_same():
    found, problems = checked(uyuni.shown(FORM))
    wanted = klp_pillar.defaults()
    wanted["backup"]["backend"], wanted["alarms"]["repair_locks"] = "auto", True
    wanted["health"]["commands"] = [{}]  # the sample that the browser shows
    assert (found, problems) == (wanted, [])


@pytest.mark.parametrize("path", LEAVES)
def test_a_field_names_its_key_and_has_the_range_of_the_schema(path):
    element = LEAVES[path]
    assert set(element) <= WORDS and element["$name"] and element["$help"].endswith(f"({path})")
    spec = {"keys": klp_pillar.SCHEMA}
    for key in path.split(":")[1:]:
        spec = spec["keys"][key]
    if element["$type"] == "number":
        assert (element["$min"], element["$max"], element["$default"]) == (spec["least"], spec["most"], spec["default"])
    if element["$type"] == "boolean":
        assert "$optional" not in element and "$ifEmpty" not in element  # they would take false away


@pytest.mark.parametrize("path", FILLED)
def test_a_field_that_was_filled_is_what_the_host_has(path):
    given, wanted = FILLED[path]
    found, problems = checked(with_(path, copy.deepcopy(given)))
    assert problems == []
    assert get({"klp": found}, path) == wanted


@pytest.mark.parametrize(
    "path", [path for path, element in LEAVES.items() if element["$type"] in ("select", "boolean")]
)
def test_every_choice_is_accepted_and_kept(path):
    for choice in LEAVES[path].get("$values", [True, False]):
        values = with_(path, choice)
        if choice == "command":
            values = with_("klp:backup:create", FILLED["klp:backup:create"][0])
        found, problems = checked(values)
        assert (get({"klp": found}, path), problems) == (choice, [])


@pytest.mark.parametrize("path", [path for path, element in LEAVES.items() if element["$type"] == "number"])
def test_the_ends_of_a_range_are_accepted_and_kept(path):
    for number in (LEAVES[path]["$min"], LEAVES[path]["$max"]):
        found, problems = checked(with_(path, number))
        assert (get({"klp": found}, path), problems) == (number, [])


@pytest.mark.parametrize(
    "path", [path for path, part in LEAVES.items() if part["$type"] in ("text", "number", "password")]
)
def test_an_emptied_field_is_its_default_or_is_refused_with_its_key(path):
    found, problems = checked(with_(path, ""))
    if path in NEEDED:
        (problem,) = problems
        assert problem.startswith(f"pillar {path}: is empty; wanted a whole number")
    else:
        assert (get({"klp": found}, path), problems) == (get({"klp": klp_pillar.defaults()}, path), [])


@pytest.mark.parametrize("path", [path for path, element in LEAVES.items() if element["$type"] == "edit-group"])
def test_a_list_whose_items_were_all_removed_or_emptied_is_its_default(path):
    for items in ([], [uyuni.sample(LEAVES[path])]):
        if items and LEAVES[path]["$prototype"].get("$type") == "select" and items != [""]:
            continue  # the sample is a choice
        found, problems = checked(with_(path, items))
        default = get({"klp": klp_pillar.defaults()}, path)
        assert problems == [] and get({"klp": found}, path) in (default, [{}])


def test_what_a_group_of_systems_has_holds_where_the_system_says_nothing():
    group = uyuni.saved(FORM, with_("klp:group", "web"))
    found, problems = klp_pillar.check(uyuni.pillar(FORM, group, {})["klp"])
    assert (found["group"], problems) == ("web", [])


@pytest.mark.parametrize(
    ("path", "given", "problem"),
    [
        (
            "klp:level",
            "newest",
            "pillar klp:level: wanted latest, a number from 1 or an edition such as 3-150500.2.1, ",
        ),
        ("klp:backup:keep", "5", "pillar klp:backup:keep: wanted a whole number (backups), found '5'"),
        ("klp:levels", [["web servers", "latest"]], "pillar klp:levels: wanted kernels as uname -r shows them, "),
        ("klp:levels", [["6.4.0-1-default", "5"]], "pillar klp:levels: 6.4.0-1-default: wanted latest, a number "),
        ("klp:health:services", ["*"], "pillar klp:health:services: service 1: "),
    ],
)
def test_what_the_browser_lets_through_is_refused_with_the_key_of_the_field(path, given, problem):
    problems = checked(with_(path, given))[1]
    assert len(problems) == 1 and problems[0].startswith(problem)


@pytest.mark.parametrize(("text", "good"), [("latest", True), ("", True), ("3-150500.2.1", True), ("3", False)])
def test_the_browser_stops_a_level_that_is_none(text, good):
    # The browser puts ^ and $ around $match, without brackets.
    assert bool(re.search("^" + LEAVES["klp:level"]["$match"] + "$", text)) is good


def test_the_level_of_a_kernel_goes_over_the_level():
    pillar = {"level": "1-1", "levels": {"6.4.0-1-default": "2-150500.2.1"}}
    assert klp_pillar.check(pillar, "web1", "6.4.0-1-default")[0]["level"] == "2-150500.2.1"
    assert klp_pillar.check(pillar, "web1", "6.4.0-2-default")[0]["level"] == "1-1"


def test_the_metadata_says_what_the_formula_is():
    found = yaml.safe_load((ROOT / "metadata" / "metadata.yml").read_text())
    assert set(found) == {"description", "group", "after"}
    assert found["group"] == "general_system_configuration"
