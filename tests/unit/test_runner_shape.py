"""The forms of foreign data: what they take, what they say, and the JSON Schema that takes the same."""

import datetime
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _runners.klp import shape
from _runners.klp.shape import Choice, Const, Each, Flag, Line, Maybe, Pairs, Plain, Record, ShapeError, Whole, Word

NAME = Word("[a-z]{1,8}", "a name")
ROW = Record({"name": NAME.says("Its name."), "n": Maybe(Whole(-1, 9))}, closed=True)
WHOLE = Record(
    {
        "version": Const(3),
        "kind": Maybe(Choice("a", "b")),
        "on": Flag(),
        "rows": Each(ROW, 3),
        "names": Each(NAME, 4, unique=True),
        "counts": Pairs(NAME, Whole(0, 5), 2),
        "said": Maybe(Line(20)),
        "row": Maybe(ROW),
    },
    absent={"said": None},
    closed=True,
)
GOOD: dict = {
    "version": 3,
    "kind": "a",
    "on": True,
    "rows": [{"name": "x", "n": None}],
    "names": ["a", "b"],
    "counts": {"a": 1},
    "said": "yes",
    "row": {"name": "y", "n": 9},
}


def said(form, value):
    with pytest.raises(ShapeError) as raised:
        form.take(value)
    return str(raised.value)


def test_what_has_the_form_is_taken():
    assert WHOLE.take(GOOD) == GOOD
    assert WHOLE.take({key: GOOD[key] for key in GOOD if key != "said"}) == dict(GOOD, said=None)
    assert Record({"a": Flag()}).take({"a": True, 1: 2}) == {"a": True}
    assert Plain().take({1: [2]}) == {1: [2]}


def test_what_may_be_missing_is_each_time_a_new_one():
    form = Record({"a": Each(NAME, 2)}, absent={"a": []})
    form.take({})["a"].append("x")
    assert form.take({}) == {"a": []}


def test_sentences_are_cleaned_and_lists_of_them_cut():
    assert Each(Line(9), 5, kept=2).take(["a\x1b[1m\nb", "c" * 99, "d"]) == ["a [1m b", "cccccc..."]
    assert "at most 5" in said(Each(Line(9), 5, kept=2), ["a"] * 6)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"version": True}, "version: wanted 3, found True"),
        ({"version": 3.0}, "version: wanted 3, found 3.0"),
        ({"kind": "c"}, "kind: wanted one of a, b, found c"),
        ({"kind": ["a"]}, "kind: wanted one of a, b, found a list of 1 value"),
        ({"on": 1}, "on: wanted true or false, found 1"),
        ({"rows": [GOOD["row"], {"name": "y", "n": True}]}, "rows:2:n: wanted a whole number from -1 to 9, found True"),
        ({"rows": [{"name": "y", "n": 10}]}, "rows:1:n: wanted a whole number from -1 to 9, found 10"),
        ({"rows": [{"name": "y", "n": 10**5000}]}, "rows:1:n: wanted a whole number from -1 to 9, found a number of "),
        ({"rows": [{"name": "y", "n": float("nan")}]}, "rows:1:n: wanted a whole number from -1 to 9, found nan"),
        ({"rows": [{"name": "y\n", "n": 1}]}, "rows:1:name: wanted a name, found 'y\\n'"),
        ({"rows": [{"name": "\ud800", "n": 1}]}, "rows:1:name: wanted a name, found '\\ud800'"),
        ({"rows": [{"name": b"y", "n": 1}]}, "rows:1:name: wanted a name, found a value of type bytes"),
        ({"rows": ({"name": "y", "n": 1},)}, "rows: wanted a list of at most 3 values, found a value of type tuple"),
        ({"rows": [{"name": "y"}]}, "rows:1:n: it is missing"),
        ({"rows": [{"name": "y", "n": 1, "N": 1}]}, "rows:1: unknown key N"),
        ({"names": ["a", "a"]}, "names: wanted each value once"),
        ({"counts": {"a": 1, "b": 2, "c": 3}}, "counts: wanted a mapping of at most 2 keys, found a mapping of 3 keys"),
        ({"counts": {None: 1}}, "counts: a key: wanted a name, found None"),
        ({"counts": {"a": datetime.datetime(2026, 1, 1)}}, "counts:a: wanted a whole number from 0 to 5, found a va"),
        ({"row": set()}, "row: wanted a mapping of certain keys, found a list of 0 values"),
        ({"said": ["x"]}, "said: wanted a text, found a list of 1 value"),
        ({1: 1}, "unknown key 1"),
        ({"x" * 10**6: 1}, "unknown key xxx"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(more, why):
    found = said(WHOLE, {**GOOD, **more})
    assert found.startswith(why) and len(found) < 500 and found.isprintable()


def test_an_error_is_as_long_as_its_form_is_deep():
    form: Any = NAME
    for _ in range(5):
        form = Pairs(Plain(), form, 9)
    value: Any = "?"
    for _ in range(5):
        value = {"k" * 10**5: value}
    assert len(said(form, value)) < 5 * 70


ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-20, 20), st.floats(), st.text(max_size=5), st.sampled_from(["a", "b\n"])
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "name", "n", ""]), inner),
    max_leaves=6,
)


@st.composite
def damaged(draw, value):
    """Return a value of which one part is anything, or missing, or one more."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 5)):
            return {**value, key: draw(damaged(value[key]))}
        return {name: value[name] for name in value if name != key}
    if isinstance(value, list) and value and draw(st.booleans()):
        return [*value[1:], draw(damaged(value[0])), *draw(st.lists(st.just(value[0]), max_size=4))]
    return draw(ANYTHING)


def same(form, value):
    """Assert that a form takes what its JSON Schema takes; JSON does not tell 1.0 from 1."""
    value = json.loads(json.dumps(value), parse_float=lambda text: float(text) + 0.5)
    schema = jsonschema.Draft202012Validator(form.json(), format_checker=jsonschema.FormatChecker())
    try:
        form.take(value)
    except ShapeError as exc:
        assert not schema.is_valid(value), str(exc)
    else:
        schema.validate(value)


@given(damaged(GOOD))
def test_the_json_schema_takes_the_same(value):
    jsonschema.Draft202012Validator.check_schema(WHOLE.json())
    same(WHOLE, value)


def test_descriptions_are_in_the_json_schema():
    assert ROW.json()["properties"]["name"]["description"] == "Its name." and not NAME.about
    assert Maybe(NAME.says("x")).json() == {
        "type": ["string", "null"],
        "pattern": "^(?:[a-z]{1,8})$(?!\\n)",
        "description": "x",
    }
    assert Plain().json() == {}


@pytest.mark.parametrize("value", [[[]] * shape.MOST, {1: 2**64}, ["x"] * 600000, b"x" * shape.MOST])
def test_what_is_too_large_is_not_looked_into(value):
    with pytest.raises(ShapeError, match="^it is too large"):
        shape.bounded(value)


def test_what_is_too_deep_is_not_followed():
    value: list = []
    for _ in range(100000):
        value = [value]
    with pytest.raises(ShapeError, match="^it is nested too deeply"):
        shape.bounded(value)
