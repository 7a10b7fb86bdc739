"""What a hostile minion says crashes nothing: each case is one that did, or would without the forms of foreign data."""

import pytest

from _runners.klp import answers, documents, planning
from tests import fleet
from tests.unit import foreign
from tests.unit.wire import PREVIEW, SUMMARY, planned

NOT_UNDERSTOOD = "its answer is not understood: "


def unhealthy(**more):
    return dict(SUMMARY, health=dict(SUMMARY["health"], **more))


def test_taint_flags_of_5000_digits_are_not_counted():
    with pytest.raises(answers.NonsenseError, match=f"^{NOT_UNDERSTOOD}health:tainted: "):
        found = answers.state_summary("h1", unhealthy(tainted="9" * 5000))
        answers.unwell(found["health"], SUMMARY["health"], [])


def test_a_package_without_a_name_is_in_no_plan():
    plan = planned(dict(PREVIEW, changes={None: "1", "curl": "2"}))
    assert list(plan["hosts"]) == ["h2"]
    kind, why = plan["left_out"]["h1"]
    assert kind == planning.REFUSED and why.startswith(NOT_UNDERSTOOD + "changes: ")


def test_the_id_of_a_boot_is_no_book():
    with pytest.raises(answers.NonsenseError, match=f"^{NOT_UNDERSTOOD}health:boot: "):
        answers.state_summary("h1", unhealthy(boot="b" * 900_000))


def test_a_document_of_a_time_that_no_calendar_has_is_in_no_report():
    with pytest.raises(answers.NonsenseError, match=f"^{NOT_UNDERSTOOD}time: "):
        foreign.report({"h1": documents.document("h1", fleet.document("h1", time=2**62))})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("patch", [" "]),
        ("patch", {"a": {"result": False, "comment": " "}}),
        ("patch", {"a": {"result": False, "comment": ""}, "b": {"result": False, "comment": "\n"}}),
        ("patch", ""),
        ("rollback", []),
    ],
)
def test_a_failure_without_a_word_is_a_failure(kind, value):
    """No reason is how a driver knows a success."""
    done, why = answers.ended(kind, {"return": value})
    assert not done and why.endswith("it failed, and does not say why")


@pytest.mark.parametrize("value", ["", " ", "\x00", "'klp_audit' __virtual__ returned False:  \n"])
def test_an_answer_without_a_word_is_nonsense_with_a_reason(value):
    with pytest.raises(answers.NonsenseError, match="^it failed, and does not say why"):
        answers.state_summary("h1", value)
