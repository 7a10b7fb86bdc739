"""The closed schema of the pillar key ``klp_campaign``: each wrong key or value is one sentence that names the key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import klp_pillar
from _runners.klp import schema

compare = klp_pillar.compare


def leaves(keys, path=()):
    """Yield ``(path, spec)`` of each key that holds a value."""
    for key, spec in keys.items():
        if "keys" in spec:
            yield from leaves(spec["keys"], (*path, key))
        else:
            yield (*path, key), spec


def nested(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def problems(given_settings):
    return schema.settings(given_settings, compare)[1]


LEAVES = list(leaves(schema.SCHEMA))
IDS = [":".join(path) for path, _ in LEAVES]


@pytest.mark.parametrize("empty", [None, {}])
def test_an_empty_pillar_is_three_careful_waves(empty):
    found, wrong = schema.settings(empty, compare)
    assert wrong == []
    assert [(wave["name"], wave["take"]) for wave in found["waves"]] == [
        ("canary", 1),
        ("early", "10%"),
        ("rest", "rest"),
    ]
    rest = {"hosts": [], "target": "", "batch": "10%", "soak": [1, 5, 15], "failed": 0, "unreachable": 0}
    assert all({key: wave[key] for key in rest} == rest for wave in found["waves"])
    assert (found["approve"], found["drift"], found["on_failure"], found["quarantine"]) == (
        True,
        "refuse",
        "stop",
        True,
    )
    assert found["windows"] == {"zone": "UTC", "open": [], "calendar": "", "event": "", "freeze": []}


def test_defaults_are_copies():
    schema.settings(None, compare)[0]["waves"][0]["soak"].append(9)
    schema.settings(None, compare)[0]["waves"].clear()
    assert schema.WAVES[0] == {"name": "canary", "take": 1} and len(schema.WAVES) == 3
    assert schema.settings(None, compare)[0]["soak"]["minutes"] == [1, 5, 15]


@pytest.mark.parametrize(("path", "spec"), LEAVES, ids=IDS)
def test_every_key_is_documented_and_its_default_passes(path, spec):
    assert spec["about"].endswith(".") and spec["type"] in ("bool", "int", "str", "list", "level", "own")
    assert spec["type"] != "own" or (callable(spec["check"]) and spec["kind"])
    assert spec["type"] != "int" or {"least", "most", "unit"} <= set(spec)
    assert problems(nested(path, spec["default"])) == []


@pytest.mark.parametrize(("path", "spec"), LEAVES, ids=IDS)
def test_a_wrong_value_is_one_sentence_that_names_its_key(path, spec):
    values: list = [object, 3.5, {"a": 1}, b"x", [[]], ["a\nb"], "\n", -1, 10**9]
    for value in values:
        found = problems(nested(path, value))
        assert len(found) == 1 and found[0].startswith(f"pillar klp_campaign:{':'.join(path)}: "), value
        assert "\n" not in found[0] and len(found[0]) < 400


@pytest.mark.parametrize(("path", "spec"), LEAVES, ids=IDS)
def test_an_unknown_key_is_named_at_its_place(path, spec):
    place = ":".join(("klp_campaign", *path[:-1]))
    assert problems(nested((*path[:-1], "qqq"), 1)) == [
        f"pillar {place}:qqq: unknown key; known here: {', '.join(sorted(group(path[:-1])))}"
    ]
    typo = path[-1][:-1] + "_"
    assert problems(nested((*path[:-1], typo), 1)) == [f"pillar {place}:{typo}: unknown key; did you mean {path[-1]}?"]


def group(path):
    keys = schema.SCHEMA
    for key in path:
        keys = keys[key]["keys"]
    return keys


def test_there_is_no_place_for_a_secret():
    """The schema is closed, none of its keys is one, and a key that looks like one is refused without its value."""
    assert not [path for path, spec in LEAVES if spec.get("secret") or spec.get("form") == "secret"]
    for path in ((), ("presence",), ("soak",), ("limits",), ("windows",)):
        for key in ("password", "regcode", "token"):
            found = problems(nested((*path, key), "hunter2"))
            assert len(found) == 1 and key in found[0] and "hunter2" not in found[0]


WRONG = [
    ([], "klp_campaign: wanted a mapping of keys, found []"),
    ("x", "klp_campaign: wanted a mapping of keys, found 'x'"),
    ({"target": ""}, "klp_campaign:target: wanted a target expression in one line, found ''"),
    ({"target": "a\nb"}, "klp_campaign:target: wanted a target expression in one line, found 'a\\nb'"),
    (
        {"target_type": "nodegroup"},
        "klp_campaign:target_type: wanted one of compound, glob, list, pcre, grain, grain_pcre",
    ),
    ({"exclude": ["a b"]}, "klp_campaign:exclude: 'a b' is not allowed, it has to match"),
    ({"approve": "no"}, "klp_campaign:approve: wanted true or false, found 'no'"),
    ({"batch": 0}, "klp_campaign:batch: wanted a number of hosts from 1 or a percentage such as '10%', found 0"),
    ({"batch": "101%"}, "klp_campaign:batch: wanted a number of hosts"),
    ({"batch": "0%"}, "klp_campaign:batch: wanted a number of hosts"),
    ({"batch": "10%\n"}, "klp_campaign:batch: wanted a number of hosts"),
    ({"batch": "\u0661%"}, "klp_campaign:batch: wanted a number of hosts"),
    ({"batch": True}, "klp_campaign:batch: wanted a number of hosts"),
    ({"batch": "rest"}, "klp_campaign:batch: wanted a number of hosts"),
    ({"limits": {"failed_percent": 101}}, "klp_campaign:limits:failed_percent: wanted 0 to 100 percent, found 101"),
    ({"limits": {"look": 0}}, "klp_campaign:limits:look: wanted 1 to 3600 seconds, found 0"),
    ({"limits": {"attempts": True}}, "klp_campaign:limits:attempts: wanted a whole number (runs), found True"),
    ({"soak": [1]}, "klp_campaign:soak: wanted a mapping of keys, found something else"),
    ({"soak": {"minutes": 5}}, "klp_campaign:soak:minutes: wanted a list of minutes from 0 to 10080, found 5"),
    ({"soak": {"minutes": [1, -1]}}, "klp_campaign:soak:minutes: wanted a list of minutes"),
    ({"soak": {"minutes": [True]}}, "klp_campaign:soak:minutes: wanted a list of minutes"),
    ({"level": 0}, "klp_campaign:level: wanted previous, a number from 1 or an edition"),
    ({"windows": {"zone": "Mars"}}, "klp_campaign:windows:zone: wanted a time zone that this master knows"),
    ({"windows": {"open": [{}]}}, "klp_campaign:windows:open: maintenance window 1: wanted the keys from, to"),
    ({"waves": []}, "klp_campaign:waves: wanted a list of waves, found []"),
    ({"waves": {"name": "a"}}, "klp_campaign:waves: wanted a list of waves"),
    ({"waves": ["a"]}, "klp_campaign:waves: wave 1: wanted a mapping of keys, found 'a'"),
    (
        {"waves": [{"name": "a"}, {"nam": "b"}]},
        "klp_campaign:waves: wave 2: 'nam': unknown key; known here: batch, failed, ",
    ),
    ({"waves": [{"name": "a", 3: 4}]}, "klp_campaign:waves: wave 1: '3': unknown key"),
    (
        {"waves": [{}]},
        "klp_campaign:waves: wave 1: name: wanted a word of letters, digits, dots and dashes, found None",
    ),
    ({"waves": [{"name": "a b"}]}, "klp_campaign:waves: wave 1: name: wanted a word"),
    ({"waves": [{"name": "a\n"}]}, "klp_campaign:waves: wave 1: name: wanted a word"),
    ({"waves": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}, "klp_campaign:waves: two waves have the name a"),
    (
        {"waves": [{"name": "a", "take": 0}]},
        "klp_campaign:waves: wave 1: take: wanted a number of hosts from 1 or a percentage such as '10%' or rest, ",
    ),
    ({"waves": [{"name": "a", "take": ["rest"]}]}, "klp_campaign:waves: wave 1: take: wanted a number"),
    ({"waves": [{"name": "a", "batch": "rest"}]}, "klp_campaign:waves: wave 1: batch: wanted a number"),
    ({"waves": [{"name": "a", "soak": None}]}, "klp_campaign:waves: wave 1: soak: wanted a list of minutes"),
    ({"waves": [{"name": "a", "target": 5}]}, "klp_campaign:waves: wave 1: target: wanted a target expression"),
    (
        {"waves": [{"name": "a", "hosts": []}]},
        "klp_campaign:waves: wave 1: hosts: wanted a list of minion ids, found []",
    ),
    ({"waves": [{"name": "a", "hosts": ["../x"]}]}, "klp_campaign:waves: wave 1: hosts: wanted a list of minion ids"),
    ({"waves": [{"name": "a", "hosts": "h1"}]}, "klp_campaign:waves: wave 1: hosts: wanted a list of minion ids"),
    (
        {"waves": [{"name": "a", "failed": -1}]},
        "klp_campaign:waves: wave 1: failed: wanted a number of hosts from 0, found -1",
    ),
    (
        {"waves": [{"name": "a", "unreachable": "1"}]},
        "klp_campaign:waves: wave 1: unreachable: wanted a number of hosts",
    ),
    (
        {"waves": [{"name": "a", "hosts": ["h"], "target": "*"}]},
        "klp_campaign:waves: wave 1: hosts and target exclude each other",
    ),
]


@pytest.mark.parametrize(("value", "problem"), WRONG)
def test_what_is_wrong_is_said_in_one_sentence(value, problem):
    found = problems(value)
    assert len(found) == 1 and found[0].startswith(f"pillar {problem}"), found


def test_all_that_is_wrong_is_said_at_once():
    assert len(problems({"approve": 1, "batch": 0, "limits": {"look": 0}, "x": 1})) == 4


def test_what_a_wave_does_not_say_is_said_for_all():
    wave = {"name": "b", "take": "50%", "batch": 2, "soak": [5, 1, 5], "failed": 3, "unreachable": 4, "target": "G@a:b"}
    given_settings = {
        "waves": [{"name": "a", "hosts": ["h1"]}, wave],
        "batch": 7,
        "soak": {"minutes": [3]},
        "limits": {"failed": 1, "unreachable": 2},
    }
    found, wrong = schema.settings(given_settings, compare)
    assert wrong == [] and found["waves"] == [
        {
            "name": "a",
            "take": "rest",
            "hosts": ["h1"],
            "target": "",
            "batch": 7,
            "soak": [3],
            "failed": 1,
            "unreachable": 2,
        },
        dict(wave, hosts=[], soak=[1, 5]),
    ]


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["10%", "rest"])
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*schema.WAVE_KEYS, "from", "to", "days", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.sampled_from(LEAVES), JSON)
def test_any_value_is_taken_or_said_to_be_wrong(leaf, value):
    found, wrong = schema.settings(nested(leaf[0], value), compare)
    assert len(wrong) <= 1 and all(text.isprintable() for text in wrong)
    if not wrong:
        assert {"name", "take", "hosts", "target", "batch", "soak", "failed", "unreachable"} == set(found["waves"][0])


@pytest.mark.parametrize(
    ("value", "good"), [(0, True), (1, True), (True, False), (1.0, False), ("1", False), (-1, False)]
)
def test_whole_numbers(value, good):
    assert schema.whole(value) is good


def test_long_values_are_shown_short():
    assert len(schema.show("x" * 1000)) == 60 and schema.show([1]) == "[1]"
