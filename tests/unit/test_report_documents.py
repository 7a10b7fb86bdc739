"""Documents of hosts that may say anything: believed only in the form of the schema."""

import copy
import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _runners.klp import answers, documents, shape
from tests import fleet
from tests.unit import foreign
from tests.unit.loader import ROOT

SCHEMA = json.loads((ROOT / "docs" / "reference" / "host.schema.json").read_text())
VALID = jsonschema.Draft202012Validator(SCHEMA)
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


def changed(path, value, document=GOOD):
    found = copy.deepcopy(document)
    place = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return found


def test_the_schema_of_the_documentation_is_that_of_the_form():
    VALID.check_schema(SCHEMA)
    assert documents.schema() == SCHEMA


def test_honest_documents_are_taken_as_they_are():
    some, _ = fleet.one_of_each()
    for host, document in {**some, **fleet.documents(50, seed=1)}.items():
        VALID.validate(document)
        assert documents.document(host, json.loads(json.dumps(document))) == document


def test_a_document_of_a_host_that_is_updated_later_is_taken():
    older = {key: value for key, value in GOOD.items() if key not in ("kernel_target", "kernel_change")}
    expected = dict(GOOD, kernel_target=None, kernel_change=None)
    assert documents.document("web1", dict(older, version=3)) == expected
    assert "version 2, wanted 4" in refused(dict(older, version=2))
    assert "version 3.0, wanted 4" in refused(dict(older, version=3.0))
    assert "kernel_target: it is missing" in refused(older)


@pytest.mark.parametrize("path", list(paths(GOOD)), ids=":".join)
@pytest.mark.parametrize("value", [3.5, {"a": 1}, [7], True], ids=str)
def test_a_value_of_another_type_is_refused(path, value):
    flags = (("reboot", "needed"), ("live_patch", "retracted"), ("kernel_target", "estimated"))
    if path in flags and value is True:
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
        (dict(GOOD, version=1), "its document has version 1, wanted 4; bring both to one version"),
        (dict(GOOD, host="web2"), "its document is of another host: web2"),
    ],
)
def test_what_is_no_document_of_the_host_is_named(value, said):
    assert refused(value) == said


WRONG: list = [
    ("verdict", "fine", "verdict: wanted one of ok, blocked, "),
    ("time", 2**62, "time: wanted a whole number from 0 to 253402300799, found 4611686018427387904"),
    ("time", -1, "time: wanted a whole number from 0 to "),
    ("time", True, "time: wanted a whole number from 0 to "),
    ("boot", "b" * 900_000, "boot: wanted the id of a boot, found bbb"),
    ("kernel", "5.14\n-default", "kernel: wanted a name or an edition, found '5.14\\n-default'"),
    ("kernel", None, "kernel: wanted a name or an edition, found None"),
    ("live_patch:level", 10**9, "live_patch:level: wanted a whole number from 0 to 1000000, found 1000000000"),
    ("live_patch:level", 10**5000, "it is too large"),
    ("live_patch:newest", "1" * 300, "live_patch:newest: wanted a name or an edition, found 111"),
    ("window:last", "tomorrow", "window:last: wanted a day (YYYY-MM-DD), found tomorrow"),
    ("window:last", "\u0662\u0660\u0662\u0666-01-01", "window:last: wanted a day (YYYY-MM-DD), found "),
    ("window:days", 2**40, "window:days: wanted a whole number from -4000000 to 4000000, found "),
    ("window:estimate", {"last": "x", "days": 1}, "window:estimate:last: wanted a day (YYYY-MM-DD), found x"),
    ("window:limit", {"max_level": 1}, "window:limit:reached: it is missing"),
    ("window", {None: 1}, "window:state: it is missing"),
    ("cves:reboot", ["CVE-1"], "cves:reboot:1: wanted a CVE, found CVE-1"),
    ("cves:reboot", ["CVE-2023-0001"] * 2, "cves:reboot: wanted each value once"),
    ("cves:severity", {"CVE-2023-0001": "x"}, "cves:severity:CVE-2023-0001: wanted one of critical, "),
    ("cves:severity", {7: "low"}, "cves:severity: a key: wanted a CVE, found 7"),
    ("cves:severity", {None: "low"}, "cves:severity: a key: wanted a CVE, found None"),
    ("cves:severity", [], "cves:severity: wanted a mapping of at most 80000 keys, found a list of 0 values"),
    ("cves:fixed_kernel", 2**63, "cves:fixed_kernel: wanted a whole number from 0 to 1000000, found "),
    ("updates:pending:low", -1, "updates:pending:low: wanted a whole number from 0 to 1000000, found -1"),
    ("updates:pending:nil", 1, "updates:pending: unknown key nil"),
    ("updates:repositories", [{"alias": "a", "time": 2**62, "frozen": None}], "updates:repositories:1:time: "),
    ("problems", "x" * 2_000_000, "it is too large (more than 1000000 characters)"),
    ("problems", [["x"]], "problems:1: wanted a text, found a list of 1 value"),
]


@pytest.mark.parametrize(("path", "value", "said"), WRONG, ids=[f"{row[0]}-{n}" for n, row in enumerate(WRONG)])
def test_what_is_wrong_with_a_document_is_said_with_its_path(path, value, said):
    found = refused(changed(path.split(":"), value))
    assert found.startswith(f"its answer is not understood: {said}") and len(found) < 400


def test_an_unknown_key_and_a_deep_value_are_refused():
    assert refused({**GOOD, None: 1}) == "its answer is not understood: unknown key None"
    assert refused({**GOOD, "x" * 10**5: 1}).startswith("its answer is not understood: unknown key xxx")
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    sentence = "its answer is not understood: it is nested too deeply (more than 40 levels)"
    assert refused(changed(["problems"], deep)) == refused(deep) == sentence


def leaves(form, path=()):
    """Yield the path and the form of every value in a document that is no mapping of certain keys itself."""
    for key, inner in form.forms.items():
        if isinstance(inner, shape.Record):
            yield from leaves(inner, (*path, key))
        elif path + (key,) not in (("schema",), ("version",), ("host",)):
            yield (*path, key), inner


@pytest.mark.parametrize("place", list(leaves(documents.DOCUMENT)), ids=lambda place: ":".join(place[0]))
def test_a_report_can_be_made_of_all_that_the_form_admits(place):
    """One host for each value at its ends, and for each kind of host that has the rest of the document."""
    path, form = place
    some, _ = fleet.one_of_each()
    found: dict = {}
    for value in foreign.ends(form) + foreign.many(form):
        for base in list(some.values())[::4]:
            host = f"h{len(found):03}"
            one = changed(path, value, dict(base, host=host))
            one["cves"].update({key: [] for key in documents.STATES if path[0] == "cves" and key != path[-1]})
            found[host] = documents.document(host, one)
    foreign.report(found, {"lost": "no answer"})


def test_a_report_can_be_made_of_documents_that_are_at_all_ends_at_once():
    ends = foreign.ends(documents.DOCUMENT)
    for one in ends:
        one["cves"] = dict(one["cves"], fixed_live=[], reboot=[], unknown=[])
    foreign.report({f"h{n}": documents.document(f"h{n}", dict(one, host=f"h{n}")) for n, one in enumerate(ends)})


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
        assert "checks:1" in refused(changed(("checks",), [wrong]))


def test_no_advisory_is_dropped_that_a_host_leaves_out():
    """A list that is cut could lose the only severe one, and the host would be covered."""
    one = {"id": "a", "severity": "low", "kernel": False, "reason": "r", "since": None}
    many = [one] * 300 + [dict(one, severity="critical")]
    found = documents.document("web1", changed(("updates", "left_out"), many))["updates"]
    assert found["left_out"] == many
    assert "updates:left_out: wanted a list of at most" in refused(
        changed(("updates", "left_out"), [one] * (documents.LONGEST + 1))
    )


def test_too_many_cves_are_refused():
    many = [f"CVE-2023-{number:05}" for number in range(documents.LONGEST + 1)]
    assert "cves:reboot: wanted a list of at most" in refused(changed(("cves", "reboot"), many))


@given(foreign.any_of(documents.DOCUMENT))
def test_a_report_can_be_made_of_anything_that_the_form_admits(found):
    found["host"] = "web1"
    seen: set = set()
    for state in documents.STATES:
        found["cves"][state] = [cve for cve in found["cves"][state] if cve not in seen]
        seen.update(found["cves"][state])
    foreign.report({"web1": documents.document("web1", found), "web2": fleet.document("web2")})


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
    VALID.validate(json.loads(json.dumps(found)))


def test_the_example_of_the_documentation_is_one():
    example = json.loads((ROOT / "docs" / "reference" / "host.example.json").read_text())
    VALID.validate(example)
    assert documents.document("web1", example) == example
