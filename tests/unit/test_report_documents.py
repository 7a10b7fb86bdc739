"""Documents of hosts that may say anything: believed only in the form of the schema."""

import copy
import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _runners.klp import answers, documents, shape
from tests import fleet
from tests.unit.loader import ROOT

SCHEMA = json.loads((ROOT / "docs" / "reference" / "host.schema.json").read_text())
GOOD = fleet.document("web1")


def refused(value, host="web1"):
    with pytest.raises(answers.NonsenseError) as raised:
        documents.document(host, value)
    return str(raised.value)


def paths(value, path=()):
    """Yield the path of every value in a document."""
    for key in value:
        yield (*path, key)
        if isinstance(value[key], dict) and key not in ("severity",):
            yield from paths(value[key], (*path, key))


def changed(path, value):
    found = copy.deepcopy(GOOD)
    place = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return found


def test_honest_documents_are_taken_as_they_are():
    some, _ = fleet.one_of_each()
    for host, document in {**some, **fleet.documents(50, seed=1)}.items():
        jsonschema.validate(document, SCHEMA)
        assert documents.document(host, json.loads(json.dumps(document))) == document


@pytest.mark.parametrize("path", list(paths(GOOD)), ids=":".join)
@pytest.mark.parametrize("value", [3.5, {"a": 1}, [7], True], ids=str)
def test_a_value_of_another_type_is_refused(path, value):
    if path in (("reboot", "needed"), ("live_patch", "retracted")) and value is True:
        return
    if path == ("cves", "severity"):
        return
    assert refused(changed(path, value))


@pytest.mark.parametrize("path", list(paths(GOOD)), ids=":".join)
def test_a_missing_key_and_an_unknown_one_are_refused(path):
    found = copy.deepcopy(GOOD)
    place = found
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    assert refused(found)
    place[path[-1] + "x"] = 1
    assert refused(found)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("'klp_audit.host' is not available.", answers.UNSYNCED.format("web1")),
        ("Traceback\nlong", "its answer is no document: Traceback long"),
        (None, "its answer is no document: None"),
        ({"schema": "other"}, "its answer is no document: {'schema': 'other'}"),
        (dict(GOOD, version=1), "its document has version 1, wanted 3; bring both to one version"),
        (dict(GOOD, host="web2"), "its document is of another host: web2"),
        (dict(GOOD, verdict="fine"), "document:verdict: found fine"),
        (changed(("window", "last"), "tomorrow"), "document:window:last: found tomorrow"),
        (changed(("window", "estimate"), {"last": "x", "days": 1}), "document:window:estimate:last: found x"),
        (changed(("cves", "reboot"), ["CVE-1"]), "document:cves:reboot: found CVE-1"),
        (changed(("cves", "reboot"), ["CVE-2023-0001"] * 2), "document:cves:reboot: found one CVE twice"),
        (changed(("cves", "severity"), {"CVE-2023-0001": "x"}), "document:cves:severity: found CVE-2023-0001: x"),
        (changed(("cves", "severity"), {7: "low"}), "document:cves:severity: found 7: low"),
        (changed(("cves", "severity"), []), "document:cves:severity: found []"),
        (
            dict(GOOD, problems="x" * 2000000),
            "its answer is not understood: it is too large (more than 1000000 characters)",
        ),
    ],
)
def test_nonsense_is_named(value, said):
    assert refused(value) == said


def test_one_cve_in_two_states_is_refused():
    found = copy.deepcopy(GOOD)
    found["cves"].update(pending=["CVE-2023-0001"], reboot=["CVE-2023-0001"])
    assert refused(found) == "its document has one CVE in two states"


def test_texts_are_cleaned_and_bounded():
    found = documents.document("web1", changed(("problems",), ["a\x1b[31m\nb", "c" * 1000] + ["d"] * 300))
    assert found["problems"][0] == "a [31m b"
    assert len(found["problems"][1]) == shape.TEXT
    assert len(found["problems"]) == documents.LINES


def test_checks_are_cleaned_and_bounded():
    one = {"check": "initrd", "verdict": "failed", "detail": "a\x1b[31m\nb"}
    found = documents.document("web1", changed(("checks",), [one] * 300))["checks"]
    assert found == [dict(one, detail="a [31m b")] * documents.LINES
    for wrong in (dict(one, verdict="skipped"), dict(one, more=1), {"check": "initrd"}, "initrd", 7):
        assert "document:checks" in refused(changed(("checks",), [wrong]))


def test_no_advisory_is_dropped_that_a_host_leaves_out():
    """A list that is cut could lose the only severe one, and the host would be covered."""
    one = {"id": "a", "severity": "low", "kernel": False, "reason": "r", "since": None}
    many = [one] * 300 + [dict(one, severity="critical")]
    found = documents.document("web1", changed(("updates", "left_out"), many))["updates"]
    assert found["left_out"] == many
    assert "document:updates:left_out" in refused(changed(("updates", "left_out"), [one] * (documents.LONGEST + 1)))


def test_too_many_cves_are_refused():
    many = [f"CVE-2023-{number:05}" for number in range(documents.LONGEST + 1)]
    assert "document:cves:reboot" in refused(changed(("cves", "reboot"), many))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(list(paths(GOOD))), ANYTHING)
def test_nothing_but_a_refusal_or_a_document_of_the_schema_comes_out(path, value):
    try:
        found = documents.document("web1", changed(path, value))
    except answers.NonsenseError:
        return
    jsonschema.validate(json.loads(json.dumps(found)), SCHEMA)


def test_the_example_of_the_documentation_is_one():
    example = json.loads((ROOT / "docs" / "reference" / "host.example.json").read_text())
    jsonschema.validate(example, SCHEMA)
    assert documents.document("web1", example) == example
