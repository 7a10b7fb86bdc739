"""A plan that is read back: only what was shown is run, and only what this program can use."""

import copy
import json

import pytest
from hypothesis import given
from salt.exceptions import CommandExecutionError

from _runners.klp import decide, files, planning, show
from _runners.klp.campaign import Campaign
from tests.simulation.world import START
from tests.unit.campaigns import JSON, answer, make


def leaves(value, path=()):
    """Yield the way to every value of a document that holds no other."""
    if isinstance(value, (dict, list)) and value:
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))
    else:
        yield path


PLAN = make({"h1": answer(), "h2": "no"}, names=["h1", "h2"])
LEAVES = [path for path in leaves(PLAN) if path not in (("hash",), ("id",))]


def test_a_plan_is_plain_json():
    assert json.loads(json.dumps(PLAN)) == PLAN and planning.check(json.loads(json.dumps(PLAN)), PLAN["id"]) == PLAN
    assert PLAN["id"] == "c" + PLAN["hash"][:11] and len(PLAN["hash"]) == 64


@pytest.mark.parametrize("path", LEAVES, ids=str)
def test_the_hash_covers_everything(path):
    changed = copy.deepcopy(PLAN)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = "something else"
    assert planning.identified(changed)["id"] != PLAN["id"]
    for wrong in (changed, planning.identified(changed)):
        with pytest.raises(
            CommandExecutionError, match="is not what was shown: its hash is another one; make a new plan"
        ):
            planning.check(wrong, PLAN["id"])


ODD: list = [None, True, 7, -1, 2**70, 1e308, "", "\ud800", "x" * 10**5, "9999-99-99", [], [7], [[]], {}, {"": None}]


def rehashed(path, value, plan):
    """Return a plan with another value, as somebody would write it who knows how its hash is made."""
    changed = copy.deepcopy(plan)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return planning.identified(changed)


def use(plan):
    """Do with a plan what a campaign does with it before any host has answered."""
    found = Campaign(plan)
    show.plan_text(plan)
    show.status_text(found, False, START)
    planning.pillar(plan, list(plan["hosts"]), plan["id"], START)
    decide.step(found, START)
    found.apply({"what": "begin", "at": START, "n": 1})
    decide.step(found, START)


@pytest.mark.parametrize("path", LEAVES, ids=str)
def test_a_plan_whose_hash_is_right_and_whose_form_is_not_is_refused_or_can_be_used(path):
    refusals = []
    for value in ODD:
        wrong = rehashed(path, value, PLAN)
        try:
            use(planning.check(json.loads(json.dumps(wrong)), wrong["id"]))
        except files.DamagedError as exc:
            refusals.append(str(exc))
    assert refusals
    assert all(len(said) < 500 and said.isprintable() for said in refusals)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("kind",), "both", "kind: wanted one of patch, rollback, kernel, found both"),
        (("created",), 2**62, "created: wanted a whole number from 0 to "),
        (("hosts", "h1", "kernel"), "a b", "hosts:h1:kernel: wanted a name or an edition, found a b"),
        (("hosts", "h1", "offer"), "0" * 12, "hosts:h1:offer: wanted one of offers"),
        (("hosts",), {}, "waves: wanted each host of the plan once"),
        (("waves", 0, "hosts"), ["h1", "h1"], "waves: wanted each host of the plan once"),
        (("waves", 0, "batch"), "1000%", "waves:1:batch: wanted a number of hosts from 1 or a percentage"),
        (("waves",), [], "waves: wanted as many as there are in settings:waves"),
        (("settings", "limits", "silent"), 0, "settings:limits:silent: wanted a whole number from 1 to 10080, found 0"),
        (("settings", "windows", "zone"), "Mars", "settings:windows:zone: "),
        (("settings", "windows"), {}, "settings:windows:zone: it is missing"),
        (("left_out",), {"h2": "no"}, "left_out:h2: wanted a list of at most 2 values, found no"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_with_its_path(path, value, said):
    wrong = rehashed(path, value, PLAN)
    with pytest.raises(files.DamagedError) as raised:
        planning.check(wrong, wrong["id"])
    assert str(raised.value).startswith(f"plan {wrong['id']} cannot be used: {said}")
    assert str(raised.value).endswith("; make a new plan")


@pytest.mark.parametrize("key", ["hash", "id"])
def test_the_hash_itself_is_checked(key):
    with pytest.raises(CommandExecutionError):
        planning.check(dict(PLAN, **{key: "0" * len(PLAN[key])}), PLAN["id"])
    with pytest.raises(CommandExecutionError):
        planning.check(PLAN, "0" * 12)


@given(JSON)
def test_anything_else_is_no_plan(value):
    with pytest.raises(CommandExecutionError):
        planning.check(value, "0" * 12)
