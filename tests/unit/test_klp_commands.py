"""The form of pillar klp:health: what is wrong is named by its key, and no argument is ever shown."""

import jsonschema
import pytest

import klp_commands
import klp_pillar

SECRET = "token-7f3a"
SHOP = {"name": "shop", "run": ["curl", "-fsS", "http://localhost/ health?"], "timeout": 5}


def problems(**health):
    """Return what is wrong with the pillar of a host."""
    return klp_pillar.check({"health": health})[1]


def test_a_host_that_declares_nothing_is_asked_nothing():
    assert klp_pillar.settings({})["health"] == {"commands": [], "services": [], "before": "refuse", "wait": 60}


@pytest.mark.parametrize(
    "commands",
    [
        [],
        [SHOP],
        [{"run": ["/usr/lib/shop/check", ""]}],
        [{"run": ["a"] * 100, "timeout": 300}],
        [{"run": ["check"], "timeout": 6}] * 50,
    ],
)
def test_commands_that_may_be_asked(commands):
    assert problems(commands=commands) == []
    jsonschema.Draft202012Validator(klp_commands.SCHEMA).validate(commands)


def without(**changed):
    """Return a command with other keys; ``None`` is a key that is not there."""
    return [{key: value for key, value in dict(SHOP, **changed).items() if value is not None}]


RUN = "run: wanted a list of words, the program first (no shell reads it), found "
WRONG = {
    "a string": (SECRET, "wanted a list of commands, found a string"),
    "a mapping": (SHOP, "wanted a list of commands, found a mapping"),
    "nothing": (None, "wanted a list of commands, found nothing"),
    "many": ([{"run": ["a"], "timeout": 1}] * 51, "wanted at most 50 commands, found 51"),
    "a line for a shell": ([f"curl -H {SECRET}"], "command 1: wanted a mapping with the key run, found a string"),
    "a list": ([["curl", SECRET]], "command 1: wanted a mapping with the key run, found a list"),
    "a wrong key": (without(cmd=[SECRET]), "command 1: 'cmd': unknown key; known here: name, run, timeout"),
    "a key that is no string": ([{7: SECRET}], "command 1: 'a number': unknown key; known here: name, run, timeout"),
    "no program": (without(run=None), f"command 1: {RUN}nothing"),
    "an empty program": (without(run=[]), f"command 1: {RUN}an empty list"),
    "a line": (without(run=f"curl {SECRET}"), f"command 1: {RUN}a string"),
    "set": (without(run={SECRET}), f"command 1: {RUN}something else"),
    "a number": (
        without(run=["nc", "localhost", 80]),
        "command 1: run: word 3 is a number, wanted a string; put it into ",
    ),
    "yes": (
        without(run=["check", True]),
        "command 1: run: word 2 is true or false, wanted a string; put it into quotes",
    ),
    "many words": (without(run=["a"] * 101), "command 1: run: wanted at most 100 words, found 101"),
    "two lines": (
        without(run=["a", f"{SECRET}\nb"]),
        "command 1: run: word 2 is too long or holds a control character",
    ),
    "long": (without(run=["a", SECRET * 200]), "command 1: run: word 2 is too long or holds a control character"),
    "an option": (without(run=["--help"]), "command 1: run: the program has to be a name, or an absolute path"),
    "a relative path": (without(run=["bin/x"]), "command 1: run: the program has to be a name, or an absolute path"),
    "a path that climbs": (without(run=["/a/../b"]), "command 1: run: the program has to be a name, or an absolute"),
    "an empty name": (without(run=[""]), "command 1: run: the program has to be a name, or an absolute path"),
    "a long wait": (without(timeout=301), "command 1: timeout: wanted 1 to 300 seconds"),
    "no wait": (without(timeout=0), "command 1: timeout: wanted 1 to 300 seconds"),
    "true": (without(timeout=True), "command 1: timeout: wanted 1 to 300 seconds"),
    "for ever": (without(timeout="300"), "command 1: timeout: wanted 1 to 300 seconds"),
    "a name of two words": (without(name=f"a {SECRET}"), "command 1: name: wanted a word of letters, digits, dots and"),
    "too long together": ([SHOP, *[{"run": ["a"]}] * 10], "their timeouts add up to 305 seconds, at most 300 are"),
    "the second": ([SHOP, {"timeout": 5}], f"command 2: {RUN}nothing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_commands_is_named_and_not_shown(case):
    value, said = WRONG[case]
    (problem,) = problems(commands=value)
    assert problem.startswith(f"pillar klp:health:commands: {said}")
    assert SECRET not in problem and len(problem) < 200 and problem.isprintable()


@pytest.mark.parametrize("case", sorted(set(WRONG) - {"too long together", "set", "a key that is no string"}))
def test_editors_say_so_too(case):
    assert not jsonschema.Draft202012Validator(klp_commands.SCHEMA).is_valid(WRONG[case][0])


def test_a_line_in_the_place_of_the_group_is_not_shown():
    (problem,) = klp_pillar.check({"health": f"curl {SECRET}"})[1]
    assert problem == "pillar klp:health: wanted a mapping of keys, found something else"


def test_commands_are_in_no_public_settings():
    settings = klp_pillar.settings({"health": {"commands": [{"run": ["check", SECRET]}], "services": ["nginx"]}})
    assert klp_pillar.public(settings)["health"] == {"services": ["nginx"], "before": "refuse", "wait": 60}


@pytest.mark.parametrize("services", [[], ["nginx"], ["postgresql@14-main", "a.service", "x.timer"], ["a"] * 50])
def test_services_that_may_be_asked_for(services):
    assert problems(services=services) == []
    jsonschema.Draft202012Validator(klp_commands.SERVICES_SCHEMA).validate(services)


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ("nginx", "wanted a list of services, found a string"),
        (["a"] * 51, "wanted at most 50 services, found 51"),
        (["nginx", 1], "service 2: wanted the name of a unit, without wildcards, found a number"),
        (["ssh*"], "service 1: wanted the name of a unit, without wildcards, found 'ssh*'"),
        (["--root=/"], "service 1: wanted the name of a unit, without wildcards, found '--root=/'"),
        (["a b"], "service 1: wanted the name of a unit, without wildcards, found 'a b'"),
        (["a\n"], "service 1: wanted the name of a unit, without wildcards, found 'a\\n'"),
        (["postgresql@"], "service 1: postgresql@ is a template, name an instance of it such as postgresql@main"),
        (["a@.service"], "service 1: a@.service is a template, name an instance of it such as postgresql@main"),
    ],
)
def test_what_is_wrong_with_services_is_named(services, said):
    assert problems(services=services) == [f"pillar klp:health:services: {said}"]
    assert not jsonschema.Draft202012Validator(klp_commands.SERVICES_SCHEMA).is_valid(services)
