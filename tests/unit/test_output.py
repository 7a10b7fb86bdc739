"""The outputter: the text of the runner, and of runs on hosts what counts, each cause once."""

import pytest

from tests.unit.loader import load

output = load("_output", "klp").output


def state(number, result, comment="", changes=None):
    return {"result": result, "comment": comment, "changes": changes or {}, "__run_num__": number}


def tag(ident):
    return f"klp_|-{ident}_|-{ident}_|-ready"


CAUSE = "live patch 3 is not to be had"
RUN = {
    tag("klp-finished"): state(4, False, "One or more requisite failed: klp.patch.klp-live-patch"),
    tag("klp-live-patch"): state(2, False, CAUSE),
    tag("klp-updates"): state(3, False, "One or more requisite failed: klp.patch.klp-live-patch"),
    tag("klp-backup"): state(1, True, "snapshot 7 was made", {"backup": {"old": None, "new": "7"}}),
    tag("klp-ready"): state(0, True, "nothing speaks against it"),
}
FAILED = f"""\
web1: FAILED: 1 failed, 1 changed, 1 as declared, 2 not run since another state failed
  changed: klp-backup: snapshot 7 was made
  failed: klp-live-patch: {CAUSE}"""


def test_the_text_of_the_runner_is_shown():
    assert output({"text": "a table", "retcode": 0}) == "a table"
    assert output("an error of Salt") == "an error of Salt"
    assert output({"text": 5, "retcode": 0}) == "{'retcode': 0, 'text': 5}"
    assert output({}) == "{}"


def test_one_cause_is_printed_once():
    assert output({"web1": RUN}) == FAILED


def test_a_host_where_all_is_as_declared_is_one_line():
    good = {tag("klp-ready"): state(0, True, "nothing speaks against it"), tag("b"): state(1, True)}
    assert output({"web1": good, "web2": good}) == "web1: good: 2 as declared\nweb2: good: 2 as declared"


def test_what_a_dry_run_would_change_is_shown():
    assert output({"web1": {tag("klp-level"): state(0, None, ["level 3 would be installed", "level 2 is"])}}) == (
        "web1: good: 1 would change\n  would change: klp-level: level 3 would be installed\n      level 2 is"
    )


def test_a_run_without_states_has_failed():
    said = ["Rendering SLS 'base:klp' failed: why"]
    assert output({"web1": said}) == "web1: FAILED: no state was run\n  Rendering SLS 'base:klp' failed: why"


def test_a_host_that_did_not_answer_is_a_line():
    silent = "Minion did not return. [No response]"
    assert output({"web1": silent, "web2": RUN}) == f"web1: {silent}\n{FAILED.replace('web1', 'web2')}"


@pytest.mark.parametrize("data", [{"web1": True}, {"web1": {"kernel": 5}}, {"web1": []}, {"web1": {}}, {"web1": [5]}])
def test_other_answers_are_shown_whole(data):
    assert output(data) == str(data)


def test_a_host_cannot_write_to_the_terminal():
    hostile = {"x_|-\x1b[2J_|-y_|-z": state(0, False, "good\x1b[1A\x07")}
    assert output({"web\x1b1": hostile}) == "web?1: FAILED: 1 failed\n  failed: ?[2J: good?[1A?"


def test_a_tag_of_another_form_is_shown_as_it_is():
    assert output({"web1": {"odd": state("x", False, None)}}) == "web1: FAILED: 1 failed\n  failed: odd: "
