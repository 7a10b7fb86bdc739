"""What a host says of itself (klp.verify), and whether it runs a job."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _runners.klp import answers
from tests.unit.wire import JSON, damaged

unclear = "its answer is not understood: {}".format
CHECKS = [
    {"check": "live patch", "verdict": "ok", "detail": "x"},
    {"check": "kernel", "verdict": "failed", "detail": "too\nold"},
]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"verdict": "ok", "checks": CHECKS}, ("ok", None)),
        ({"verdict": "failed", "checks": CHECKS}, ("failed", "kernel: too old")),
        (
            {"verdict": "blocked", "checks": [None, 1]},
            ("unknown", unclear("checks:1: wanted a mapping of certain keys, found None")),
        ),
        (
            {"verdict": "fine", "checks": []},
            (
                "unknown",
                unclear("verdict: wanted one of ok, blocked, reboot_needed, unsupported, failed, unknown, found fine"),
            ),
        ),
        ({"verdict": "ok"}, ("unknown", unclear("checks: it is missing"))),
        ("'klp.verify' is not available.", ("unknown", answers.UNSYNCED.format("h1"))),
        ("no", ("unknown", unclear("wanted a mapping of certain keys, found no"))),
        (
            "'klp' __virtual__ returned False: not a SUSE host (debian 12)",
            ("unsupported", "not a SUSE host (debian 12)"),
        ),
        ("'klp' __virtual__ returned False: klp.py has version 1", ("unknown", "klp.py has version 1")),
    ],
)
def test_verdicts(value, found):
    assert answers.verdict("h1", value) == found


@given(st.one_of(JSON, damaged({"verdict": "failed", "checks": CHECKS})))
def test_a_verdict_is_known_of_anything(value):
    verdict, why = answers.verdict("h1", value)
    assert verdict in ("ok", "blocked", "reboot_needed", "unsupported", "failed", "unknown")
    assert why is None or why.isprintable()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([], False),
        ([{"jid": "7", "fun": "state.apply"}], True),
        ([{"jid": "6"}, {"jid": "7"}], True),
        ([{"jid": 7}, {}], False),
        (["7"], None),
        ({"jid": "7"}, None),
        ("no", None),
        (None, None),
    ],
)
def test_whether_a_host_runs_a_job(value, found):
    assert answers.runs(value, "7") is found


@given(JSON)
def test_whether_a_host_runs_a_job_is_no_question_of_what_else_it_says(value):
    assert answers.runs(value, "7") in (True, False, None)
