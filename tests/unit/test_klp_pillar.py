"""The schema of the pillar, its check, and the same schema for jsonschema."""

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from salt.exceptions import SaltInvocationError

import klp_pillar
from tests.unit.hostile import keys, pillar_with, values, words_for

DEFAULTS = klp_pillar.defaults()
COMMAND: dict = {"backend": "command", "create": ["/usr/bin/backup", "now"], "verify": ["/usr/bin/backup", "verify"]}


def leaves(schema, path=()):
    """Yield ``(path, spec)`` of each key that holds a value."""
    for key, spec in schema.items():
        if "keys" in spec:
            yield from leaves(spec["keys"], path + (key,))
        else:
            yield path + (key,), spec


def at(settings, path):
    for key in path:
        settings = settings[key]
    return settings


def nested(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


LEAVES = list(leaves(klp_pillar.SCHEMA))
IDS = [":".join(path) for path, _ in LEAVES]


@pytest.mark.parametrize(("path", "spec"), LEAVES, ids=IDS)
def test_every_key_is_documented_and_its_default_passes(path, spec):
    assert spec["about"].endswith(".") and spec["type"] in ("bool", "int", "str", "list", "level", "map", "own")
    assert at(DEFAULTS, path) == spec["default"]
    assert spec["type"] != "int" or {"least", "most", "unit"} <= set(spec)
    _, problems = klp_pillar.check(nested(path, spec["default"]))
    assert problems == []


@pytest.mark.parametrize(
    ("path", "spec"),
    keys(klp_pillar.SCHEMA),
    ids=lambda value: ":".join(value) if isinstance(value, tuple) else "",
)
def test_hostile_strings_are_refused_in_one_short_sentence_that_names_the_key(path, spec):
    for value in values(spec, words_for(spec)):
        pillar = pillar_with(path, value)
        _, problems = klp_pillar.check(pillar)
        assert len(problems) == 1, pillar
        assert problems[0].startswith(f"pillar klp:{':'.join(path)}: "), pillar
        assert not set(problems[0]) & {"\0", "\x1b", "\n"}
        assert len(problems[0]) < 300


@pytest.mark.parametrize("pillar", [None, {}])
def test_an_empty_pillar_is_all_defaults(pillar):
    assert klp_pillar.check(pillar) == (DEFAULTS, [])
    assert klp_pillar.settings(pillar) == DEFAULTS


def test_defaults_are_copies():
    klp_pillar.defaults()["update"]["categories"].clear()
    klp_pillar.settings(None)["tools"]["packages"].clear()
    assert klp_pillar.defaults() == DEFAULTS


def test_values_that_were_given_are_taken():
    pillar: dict = {"level": 3, "update": {"exclude": ["*-2871"], "reboot": True}, "backup": COMMAND}
    found = klp_pillar.settings(pillar)
    assert (found["level"], found["update"]["exclude"], found["update"]["reboot"]) == (3, ["*-2871"], True)
    assert found["update"]["licenses"] is False and found["backup"]["create"] == COMMAND["create"]
    assert found["update"]["exclude"] is not pillar["update"]["exclude"]
    shown = {"curl": "8.0-1", "libstdc++6": "13.2"}
    taken = klp_pillar.settings({"campaign": {"shown": shown, "start_by": 7}})["campaign"]
    assert (
        taken == {"shown": shown, "start_by": 7, "level": {}, "rollback": {}, "boot_id": {}}
        and taken["shown"] is not shown
    )


def test_one_hook_may_stand_alone():
    hooks = {"before": "site.drain", "after": ["site.undrain", "klp_more"]}
    found = klp_pillar.settings({"hooks": hooks})["hooks"]
    assert found == {"before": ["site.drain"], "after": ["site.undrain", "klp_more"], "on_failure": []}


WRONG = [
    ({"hooks": {"before": "klp.patch"}}, "pillar klp:hooks:before: 'klp.patch' is not allowed, it has to match"),
    ({"hooks": {"after": ["a", "klp"]}}, "pillar klp:hooks:after: 'klp' is not allowed, it has to match"),
    ({"hooks": {"after": "../a"}}, "pillar klp:hooks:after: '../a' is not allowed, it has to match"),
    ({"hooks": {"after": 7}}, "pillar klp:hooks:after: wanted a list of strings, found 7"),
    ([], "pillar klp: wanted a mapping of keys, found []"),
    ("x", "pillar klp: wanted a mapping of keys, found 'x'"),
    ({"update": None}, "pillar klp:update: wanted a mapping of keys, found None"),
    ({"levle": 1}, "pillar klp:levle: unknown key; did you mean level?"),
    ({"qqq": 1}, "pillar klp:qqq: unknown key; known here: "),
    ({3: 1}, "pillar klp:3: unknown key; known here: "),
    ({"a b": 1}, "pillar klp:'a b': unknown key"),
    ({"update": {"rebot": 1}}, "pillar klp:update:rebot: unknown key; did you mean reboot?"),
    ({"level": 0}, "pillar klp:level: wanted latest, a number from 1 or an edition such as 3-150500.2.1, found 0"),
    ({"level": True}, "pillar klp:level: wanted latest"),
    ({"level": "newest"}, "pillar klp:level: wanted latest"),
    ({"level": "3-1\n"}, "pillar klp:level: wanted latest"),
    ({"update": {"reboot": "yes"}}, "pillar klp:update:reboot: wanted true or false, found 'yes'"),
    ({"update": {"reboot": 1}}, "pillar klp:update:reboot: wanted true or false, found 1"),
    (
        {"update": {"categories": "security"}},
        "pillar klp:update:categories: wanted a list of strings, found 'security'",
    ),
    ({"update": {"categories": ["urgent"]}}, "pillar klp:update:categories: wanted one of security, recommended"),
    ({"update": {"exclude": [1]}}, "pillar klp:update:exclude: wanted a list of strings, found 1 in it"),
    ({"update": {"exclude": [""]}}, "pillar klp:update:exclude: '' is not allowed"),
    ({"locks": {"extra": ["kernel-*"]}}, "pillar klp:locks:extra: 'kernel-*' is not allowed, it has to match"),
    ({"locks": {"extra": ["-y"]}}, "pillar klp:locks:extra: '-y' is not allowed"),
    ({"transition": {"timeout": 0}}, "pillar klp:transition:timeout: wanted 1 to 86400 seconds, found 0"),
    ({"transition": {"timeout": "5"}}, "pillar klp:transition:timeout: wanted a whole number (seconds), found '5'"),
    ({"transition": {"timeout": True}}, "wanted a whole number (seconds), found True"),
    ({"transition": {"timeout": 5.0}}, "wanted a whole number (seconds), found 5.0"),
    (
        {"backup": {"backend": "tar"}},
        "pillar klp:backup:backend: wanted one of '', auto, snapper, lvm, command, none, found 'tar'",
    ),
    ({"backup": {"config": "--root=/"}}, "pillar klp:backup:config: '--root=/' is not allowed"),
    ({"backup": {"backend": "command"}}, "klp:backup:create: has to be given with klp:backup:backend command"),
    ({"backup": {"backend": "lvm", "restore": ["/a"]}}, "klp:backup:restore: means nothing without klp:backup:backend"),
    ({"backup": dict(COMMAND, delete=["a"])}, "delete: the program has to be an absolute path, found 'a'"),
    ({"rollback": {"level": "latest"}}, "pillar klp:rollback:level: wanted previous, a number from 1 or an edition"),
    ({"restore": {"confirm": "42"}}, "klp:restore:confirm: has to repeat klp:restore:backup (''), found '42'"),
    ({"restore": {"backup": "41", "confirm": "42"}}, "has to repeat klp:restore:backup ('41'), found '42'"),
    ({"restore": {"backup": "--all"}}, "pillar klp:restore:backup: '--all' is not allowed"),
    ({"backup": {"verify": ["/a"]}}, "klp:backup:verify: means nothing without klp:backup:backend command"),
    ({"backup": dict(COMMAND, create=["backup"])}, "create: the program has to be an absolute path, found 'backup'"),
    ({"backup": dict(COMMAND, create=["/a/../b"])}, "the program has to be an absolute path, found '/a/../b'"),
    ({"backup": dict(COMMAND, create=["/a", "b\nc"])}, "klp:backup:create: 'b\\nc' is not allowed"),
    ({"tools": {"packages": []}}, "pillar klp:tools: give packages or a pattern that brings the klp tool"),
    ({"run": "a" * 200}, "aaa... is not allowed"),
    ({"campaign": {"shown": ["curl"]}}, "klp:campaign:shown: wanted a mapping of strings, found ['curl']"),
    ({"campaign": {"shown": {"curl": 8.1}}}, "klp:campaign:shown: wanted a mapping of strings, found 8.1 in it"),
    ({"campaign": {"shown": {8: "1"}}}, "klp:campaign:shown: wanted a mapping of strings, found 8 in it"),
    ({"campaign": {"shown": {"curl": "1\n"}}}, "klp:campaign:shown: '1\\n' is not allowed, it has to match"),
    ({"campaign": {"shown": {"a\0": "1"}}}, "klp:campaign:shown: 'a\\x00' is not allowed, it has to match"),
    ({"campaign": {"start_by": -1}}, "klp:campaign:start_by: wanted 0 to 1099511627776 seconds since 1970, found -1"),
]
ELSE = "a number from 1 or an edition such as"
OTHER = {
    "share": {"type": "own", "default": 1, "check": lambda value: None if value == 2 else "wanted two", "about": "A."},
    "group": {"about": "B.", "keys": {"level": {"type": "level", "word": "previous", "default": 3, "about": "C."}}},
}


@pytest.mark.parametrize(
    ("given_", "settings", "problems"),
    [
        ({}, {"share": 1, "group": {"level": 3}}, []),
        ({"share": 2, "group": {"level": "previous"}}, {"share": 2, "group": {"level": "previous"}}, []),
        ({"share": 3}, {"share": 1, "group": {"level": 3}}, ["pillar other:share: wanted two"]),
        (
            {"group": {"level": "latest"}, "shre": 2},
            {"share": 1, "group": {"level": 3}},
            [
                "pillar other:shre: unknown key; did you mean share?",
                f"pillar other:group:level: wanted previous, {ELSE} 3-150500.2.1, found 'latest'",
            ],
        ),
        (None, {"share": 1, "group": {"level": 3}}, ["pillar other: wanted a mapping of keys, found None"]),
    ],
)
def test_another_schema_is_compared_in_the_same_way(given_, settings, problems):
    assert klp_pillar.compare(given_, OTHER, "other") == (settings, problems)


def test_a_value_with_a_check_of_its_own_is_copied():
    schema = {"waves": {"type": "own", "default": [{}], "check": lambda value: None, "about": "A."}}
    pillar = {"waves": [{"name": "a"}]}
    taken = klp_pillar.compare(pillar, schema, "other")[0]["waves"]
    taken[0]["name"] = "b"
    klp_pillar.compare({}, schema, "other")[0]["waves"][0]["name"] = "b"
    assert (pillar, klp_pillar.compare({}, schema, "other")[0]) == ({"waves": [{"name": "a"}]}, {"waves": [{}]})


@pytest.mark.parametrize(("pillar", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_every_mistake_has_its_sentence(pillar, sentence):
    settings, problems = klp_pillar.check(pillar)
    assert any(sentence in problem for problem in problems), problems
    assert set(settings) == set(DEFAULTS)
    with pytest.raises(SaltInvocationError):
        klp_pillar.settings(pillar)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(SaltInvocationError) as error:
        klp_pillar.settings({"level": 0, "levle": 1, "update": {"reboot": 2}})
    assert str(error.value).count("; pillar klp:") == 2


@pytest.mark.parametrize("code", ["A B", 17, ["SECRET"], "SECRET" * 99])
def test_a_wrong_secret_is_not_quoted(code):
    (problem,) = klp_pillar.check({"product": {"regcode": code}})[1]
    assert problem.startswith("pillar klp:product:regcode: ")
    assert not any(word in problem for word in ("A B", "17", "SECRET"))


@pytest.mark.parametrize(
    "pillar", [[{"product": {"regcode": "SECRET"}}], {"product": [{"regcode": "SECRET"}]}, {"product": "SECRET"}]
)
def test_a_secret_in_the_wrong_place_is_not_quoted(pillar):
    (problem,) = klp_pillar.check(pillar)[1]
    assert "wanted a mapping of keys" in problem and "SECRET" not in problem


def test_public_settings_lack_the_secrets():
    found = klp_pillar.public(klp_pillar.settings({"product": {"regcode": "SECRET"}}))
    assert found["product"] == {"name": "auto"} and "SECRET" not in repr(found)
    assert set(found) == set(DEFAULTS)


def json_schema(schema):
    """Return the schema as jsonschema knows it."""
    keys = {
        key: json_schema(spec["keys"]) if "keys" in spec else dict(value_schema(spec)) for key, spec in schema.items()
    }
    return {"type": "object", "properties": keys, "additionalProperties": False}


def text_schema(spec, empty=False):
    if "choices" in spec:
        return {"enum": list(spec["choices"])}
    form = rf"^(?:{klp_pillar.FORMS[spec['form']]})\Z"
    return {"type": "string", "pattern": form + (r"|^\Z" if empty else "")}


def value_schema(spec):
    if spec["type"] == "own":
        return spec["schema"]
    if spec["type"] == "level":
        edition = {"type": "string", "pattern": rf"^(?:{klp_pillar.FORMS['edition']})\Z"}
        return {"anyOf": [{"const": spec["word"]}, edition, {"type": "integer", "minimum": 1, "maximum": 999}]}
    if spec["type"] == "list":
        return {"type": "array", "items": text_schema(spec)}
    if spec["type"] == "map":
        return {"type": "object", "propertyNames": text_schema(spec), "additionalProperties": text_schema(spec)}
    if spec["type"] == "int":
        return {"type": "integer", "minimum": spec["least"], "maximum": spec["most"]}
    return {"type": "boolean"} if spec["type"] == "bool" else text_schema(spec, empty=True)


VALIDATOR = jsonschema.Draft202012Validator(json_schema(klp_pillar.SCHEMA))
COMBINATIONS = (
    "has to be given with",
    "means nothing without",
    "absolute path",
    "klp:tools: give packages",
    "has to repeat",
)

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["latest", "3-150500.2.1", "security", "important", "snapper", "/usr/bin/x", "a b", "-y", "a\n", ""]
    ),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 100_000),
    TEXTS,
    st.lists(TEXTS, max_size=3),
    st.dictionaries(TEXTS, TEXTS, max_size=2),
    st.sampled_from([0.5, 1e300]),
)
LIKELY = st.sampled_from(LEAVES).flatmap(lambda leaf: VALUES.map(lambda value: nested(leaf[0], value)))
TYPOS = st.dictionaries(st.sampled_from(["level", "levle", "backup", "update", "tools"]), VALUES, max_size=3)
ANYTHING = st.recursive(
    st.one_of(VALUES, st.floats(), st.binary(max_size=3)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.one_of(TEXTS, st.integers(), st.none(), st.sampled_from(list(DEFAULTS))), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def same_shape(settings, defaults):
    if not isinstance(defaults, dict):
        return not isinstance(settings, dict)
    if not defaults:  # of type map
        return isinstance(settings, dict)
    return set(settings) == set(defaults) and all(same_shape(settings[key], defaults[key]) for key in defaults)


@given(ANYTHING)
def test_anything_at_all_can_be_checked(pillar):
    settings, problems = klp_pillar.check(pillar)
    assert same_shape(settings, DEFAULTS)
    assert all(isinstance(problem, str) and problem.startswith("pillar klp") for problem in problems)
    assert klp_pillar.check(settings)[1] == [] or not problems or any(word in problems[0] for word in COMBINATIONS)


@given(st.one_of(LIKELY, TYPOS))
def test_the_check_agrees_with_jsonschema(pillar):
    problems = klp_pillar.check(pillar)[1]
    if VALIDATOR.is_valid(pillar):
        assert all(any(word in problem for word in COMBINATIONS) for problem in problems)
    else:
        assert problems


@pytest.mark.parametrize(("pillar", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_jsonschema_refuses_what_the_check_refuses(pillar, sentence):
    alone = any(word in sentence for word in COMBINATIONS) or sentence.endswith("found 5.0")
    assert alone or not VALIDATOR.is_valid(pillar)
