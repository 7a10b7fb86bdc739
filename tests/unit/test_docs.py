"""The generated pages, the examples and the pillar check say the same."""

import jsonschema
import pytest
import yaml

from tools import docs

MODULE = docs.load(docs.ROOT / "_utils" / "klp_pillar.py")
EXAMPLES = sorted((docs.ROOT / "pillar" / "examples").glob("*.sls"))
WRONG = [
    {"levle": 1},
    {"level": 0},
    {"level": "3\n"},
    {"update": {"reboot": "yes"}},
    {"update": {"categories": ["urgent"]}},
    {"locks": {"extra": ["kernel-*"]}},
    {"transition": {"timeout": 0}},
    {"backup": {"config": "--root=/"}},
    [],
]


@pytest.fixture(scope="module")
def schema():
    """The JSON Schema as it is shipped."""
    return yaml.safe_load(docs.SCHEMA.read_text())


def test_the_generated_pages_are_up_to_date():
    assert {path: path.read_text() for path in (docs.PAGE, docs.SCHEMA)} == docs.pages(MODULE)


def test_every_key_has_a_row_with_its_sentence():
    def sentences(group):
        for spec in group.values():
            yield spec["about"]
            yield from sentences(spec.get("keys", {}))

    text = docs.PAGE.read_text()
    assert [about for about in sentences(MODULE.SCHEMA) if about not in text] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_passes_both_checks(path, schema):
    pillar = yaml.safe_load(path.read_text())["klp"]
    assert MODULE.check(pillar)[1] == []
    jsonschema.validate(pillar, schema)


@pytest.mark.parametrize("pillar", WRONG, ids=repr)
def test_what_one_check_refuses_the_other_refuses(pillar, schema):
    assert MODULE.check(pillar)[1]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(pillar, schema)


def test_there_are_examples():
    assert len(EXAMPLES) >= 5
