"""The generated pages, the examples and the checks of the pillar say the same."""

import ast
import json
import re
import sys

import jsonschema
import pytest
import yaml

import klp_checks
from _runners.klp import outcome
from _runners.klp import schema as campaign
from tools import docs, reference

MODULE = docs.load(docs.ROOT / "_utils" / "klp_pillar.py")
EXAMPLES = sorted((docs.ROOT / "pillar" / "examples").glob("*.sls"))
CAMPAIGNS = sorted((docs.ROOT / "pillar" / "campaigns").glob("*.sls"))
WRONG = [
    {"levle": 1},
    {"level": 0},
    {"level": "3\n"},
    {"update": {"reboot": "yes"}},
    {"update": {"categories": ["urgent"]}},
    {"locks": {"extra": ["kernel-*"]}},
    {"transition": {"timeout": 0}},
    {"backup": {"config": "--root=/"}},
    {"campaign": {"shown": ["curl"]}},
    {"campaign": {"shown": {"curl": 8.1}}},
    {"campaign": {"shown": {"curl": "8\n"}}},
    {"campaign": {"shown": {"cu\nrl": "8"}}},
    [],
]
WRONG_CAMPAIGNS = [
    [],
    {"wave": []},
    {"target": ""},
    {"target": "web\n*"},
    {"target": 5},
    {"target_type": "ipcidr"},
    {"exclude": "web1"},
    {"plan": "../x"},
    {"plan": "abc\n"},
    {"approve": "no"},
    {"level": "latest"},
    {"max_age": 0},
    {"presence": {"late": -1}},
    {"batch": 0},
    {"batch": "0%"},
    {"batch": "101%"},
    {"batch": "10 %"},
    {"batch": "10%\n"},
    {"batch": "rest"},
    {"batch": True},
    {"soak": {"minutes": 5}},
    {"soak": {"minutes": [10081]}},
    {"soak": {"minutes": [True]}},
    {"soak": {"services": ["--help"]}},
    {"limits": {"failed_percent": 101}},
    {"on_failure": "undo"},
    {"windows": {"zone": ""}},
    {"windows": {"zone": 1}},
    {"windows": {"open": {"from": "22:00", "to": "05:00"}}},
    {"windows": {"open": ["22:00"]}},
    {"windows": {"open": [{"from": "22:00"}]}},
    {"windows": {"open": [{"from": 1320, "to": "05:00"}]}},
    {"windows": {"open": [{"from": "24:00", "to": "05:00"}]}},
    {"windows": {"open": [{"from": "22:00", "to": "05:00", "days": ["mon"], "rrule": "FREQ=DAILY"}]}},
    {"windows": {"open": [{"from": "22:00", "to": "05:00", "since": "2027-01-01"}]}},
    {"windows": {"open": [{"from": "22:00", "to": "05:00", "rrule": 5}]}},
    {"windows": {"calendar": "maintenance.ics"}},
    {"windows": {"calendar": ["/x.ics"]}},
    {"windows": {"calendar": "/x.ics", "event": "a\nb"}},
    {"windows": {"freeze": "2027-12-24"}},
    {"windows": {"freeze": ["24.12.2027"]}},
    {"windows": {"freeze": [{"from": "2027-12-24"}]}},
    {"windows": {"open": [{"from": "22:00\n", "to": "05:00"}]}},
    {"windows": {"open": [{"from": "22:00", "to": "05:00", "day": ["mon"]}]}},
    {"windows": {"open": [{"from": "22:00", "to": "05:00", "days": []}]}},
    {"windows": {"open": [{"from": "22:00", "to": "05:00", "days": ["monday"]}]}},
    {"windows": {"open": [{"from": "22:00", "to": "05:00", "days": "mon"}]}},
    {"waves": []},
    {"waves": {"name": "all"}},
    {"waves": ["all"]},
    {"waves": [{"take": 1}]},
    {"waves": [{"name": "a b"}]},
    {"waves": [{"name": "a\n"}]},
    {"waves": [{"name": "a", "take": 0}]},
    {"waves": [{"name": "a", "take": "all"}]},
    {"waves": [{"name": "a", "tke": 1}]},
    {"waves": [{"name": "a", "hosts": []}]},
    {"waves": [{"name": "a", "hosts": ["-x"]}]},
    {"waves": [{"name": "a", "hosts": "web1"}]},
    {"waves": [{"name": "a", "target": ""}]},
    {"waves": [{"name": "a", "hosts": ["web1"], "target": "web*"}]},
    {"waves": [{"name": "a", "batch": "rest"}]},
    {"waves": [{"name": "a", "soak": [-1]}]},
    {"waves": [{"name": "a", "failed": "10%"}]},
    {"waves": [{"name": "a", "unreachable": -1}]},
]
# What a JSON Schema cannot say.
ALONE = [
    {"windows": {"zone": "Europe/Nowhere"}},
    {"windows": {"open": [{"from": "22:00", "to": "22:00"}]}},
    {"windows": {"open": [{"from": "22:00", "to": "05:00", "rrule": "FREQ=HOURLY"}]}},
    {"windows": {"open": [{"from": "22:00", "to": "05:00", "rrule": "FREQ=WEEKLY"}]}},
    {"windows": {"freeze": ["2027-02-30"]}},
    {"windows": {"freeze": [{"from": "2027-12-24", "to": "2027-12-23"}]}},
    {"windows": {"event": "SAP"}},
    {"waves": [{"name": "a"}, {"name": "a", "take": 1}]},
]


@pytest.fixture(scope="module")
def schema():
    """The JSON Schema as it is shipped."""
    return yaml.safe_load(docs.SCHEMA.read_text())


@pytest.fixture(scope="module")
def campaign_schema():
    """The JSON Schema of a campaign as it is shipped."""
    found = yaml.safe_load(docs.CAMPAIGN_SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def problems(pillar):
    """Return what the master says of pillar klp_campaign."""
    return campaign.settings(pillar, MODULE.compare)[1]


def test_the_generated_pages_are_up_to_date():
    assert {path: path.read_text() for path in docs.pages()} == docs.pages()


def test_the_pages_are_made_without_salt(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "salt"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert {path: path.read_text() for path in docs.pages()} == docs.pages()
    assert docs.load_part("schema").__name__ not in sys.modules


@pytest.mark.parametrize(
    ("keys", "path"), [(MODULE.SCHEMA, docs.PAGE), (campaign.SCHEMA, docs.CAMPAIGN_PAGE)], ids=["klp", "klp_campaign"]
)
def test_every_key_has_a_row_with_its_sentence(keys, path):
    def sentences(group):
        for spec in group.values():
            yield spec["about"]
            yield from sentences(spec.get("keys", {}))

    text = path.read_text()
    assert [about for about in sentences(keys) if about not in text] == []
    assert all(about.endswith(".") for about in sentences(keys))


def words(text, heading):
    """Return the words in the first column of the table below a heading."""
    return re.findall(r"^\| `(\w+)` \|", text.partition(f"## {heading}\n")[2].partition("\n## ")[0], re.MULTILINE)


def test_the_verdicts_are_the_same_everywhere():
    assert tuple(words(docs.CAMPAIGN_PAGE.read_text(), "Verdicts")) == klp_checks.VERDICTS
    shipped = json.loads(docs.HOST_SCHEMA.read_text())
    assert tuple(shipped["properties"]["verdict"]["enum"]) == klp_checks.VERDICTS
    verify = reference.functions("klp")["klp", "verify"]
    assert [word for word in klp_checks.VERDICTS if f"``{word}``" not in (ast.get_docstring(verify) or "")] == []


def test_the_page_of_a_campaign_has_every_key_of_a_wave_and_every_exit_code():
    text = docs.CAMPAIGN_PAGE.read_text()
    assert set(words(text, "Waves")) == campaign.WAVE_KEYS
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert codes == {outcome.REFUSED, *outcome.RETCODES.values()}


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


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda path: path.stem)
def test_every_campaign_passes_both_checks(path, campaign_schema):
    (key, pillar), *others = yaml.safe_load(path.read_text()).items()
    assert (key, others) == ("klp_campaign", [])
    assert problems(pillar) == []
    jsonschema.validate(pillar, campaign_schema)
    assert path.read_text().startswith("# ")


def test_the_defaults_of_a_campaign_pass_both_checks(campaign_schema):
    found = MODULE.defaults(campaign.SCHEMA)
    assert problems(found) == []
    jsonschema.validate(found, campaign_schema)


@pytest.mark.parametrize("pillar", WRONG_CAMPAIGNS, ids=repr)
def test_of_a_campaign_too_what_one_check_refuses_the_other_refuses(pillar, campaign_schema):
    assert all(problem.startswith("pillar klp_campaign") for problem in problems(pillar))
    assert problems(pillar)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(pillar, campaign_schema)


@pytest.mark.parametrize("pillar", ALONE, ids=repr)
def test_what_a_schema_cannot_say_the_master_refuses(pillar, campaign_schema):
    assert problems(pillar)
    jsonschema.validate(pillar, campaign_schema)


def test_there_are_examples():
    assert len(EXAMPLES) >= 5 and len(CAMPAIGNS) >= 4
