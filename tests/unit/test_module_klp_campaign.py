"""What a campaign tells a run: when it is too late, what was not shown, and what a host remembers of runs."""

import json

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

NOW = 1_700_000_000
CURL = {"curl": {"old": "1-1", "new": "2-1"}}


def campaign(minion, **keys):
    """Give the host what a campaign sends with a run."""
    minion.pillar["klp"] = {"campaign": keys}


@pytest.mark.parametrize("limit", [None, 0, NOW, NOW + 1])
def test_a_run_may_begin_in_time(minion, programs, limit):
    campaign(minion, **({} if limit is None else {"start_by": limit}))
    assert minion.salt["klp.late"]() == [] and programs.calls == []


def test_a_run_that_comes_too_late_is_told_by_how_much(minion):
    campaign(minion, start_by=NOW - 90)
    (found,) = minion.salt["klp.late"]()
    assert found == (
        "this run of a campaign was to begin 90 seconds ago at the latest: the campaign has gone on without this host, "
        "and nothing was changed"
    )


@pytest.mark.parametrize("name", ["late", "unshown"])
def test_a_wrong_pillar_is_an_error(minion, name):
    campaign(minion, start_by="soon")
    with pytest.raises(SaltInvocationError, match="klp:campaign:start_by: wanted a whole number"):
        minion.salt[f"klp.{name}"]()


@pytest.fixture
def pending(minion):
    """What is pending on the host, a dict that tests change; asking for it is counted."""
    found: dict = {}
    minion.asked = []
    minion.salt["klp.pending"] = lambda sls: minion.asked.append(sls) or found
    return found


@pytest.mark.parametrize("shown", [None, {}])
def test_without_a_plan_everything_may_be_pending_and_nothing_is_asked(minion, pending, shown):
    campaign(minion, **({} if shown is None else {"shown": shown}))
    pending.update(CURL)
    assert minion.salt["klp.unshown"]() == [] and minion.asked == []


@pytest.mark.parametrize("shown", [{"curl": "2-1"}, {"curl": "2-1", "vim": "9-1"}])
def test_what_was_shown_may_be_pending_or_done_by_now(minion, pending, shown):
    campaign(minion, shown=shown)
    pending.update(CURL)
    assert minion.salt["klp.unshown"]() == [] and minion.asked == ["klp.patch"]
    pending.clear()
    assert minion.salt["klp.unshown"]() == []


@pytest.mark.parametrize(
    ("shown", "names"),
    [
        ({"curl": "2-0"}, "a1 2-1, curl 2-1"),
        ({"curl": "2-1", "a1": "2-2"}, "a1 2-1"),
        ({"vim": "2-1"}, "a1 2-1, curl 2-1"),
    ],
)
def test_what_was_not_shown_is_named(minion, pending, shown, names):
    campaign(minion, shown=shown)
    pending.update(CURL, a1={"old": None, "new": "2-1"})
    assert minion.salt["klp.unshown"]() == [
        f"pending here, but not in the plan that was shown: {names}; make a new plan"
    ]


def test_of_very_many_the_first_are_named(minion, pending):
    campaign(minion, shown={"vim": "1-1"})
    pending.update({f"p{number}": {"old": None, "new": "1"} for number in range(8)})
    (found,) = minion.salt["klp.unshown"]()
    assert "shown: p0 1, p1 1, p2 1, p3 1, p4 1, 3 more; make" in found


def run(name, opened, finished=None, backup="vol-1"):
    """Return a run as the host remembers it."""
    return {
        "run": name,
        "opened": opened,
        "finished": finished,
        "backend": "command",
        "backup": backup,
        "created": opened,
    }


def remembers(minion, *runs):
    minion.write("record/runs.json", json.dumps(runs))


def test_a_run_is_known_by_its_id(minion):
    remembers(minion, run("a", 10, 20), run("7", 30, None, None), run("a", 50, 90, "vol-3"))
    assert minion.salt["klp.run"]("a") == {"opened": 50, "finished": 90, "backup": "vol-3"}
    assert minion.salt["klp.run"]("b") is None


def test_an_id_of_digits_is_a_number_on_the_command_line(minion):
    remembers(minion, run("123456789012", 30, None, None))
    assert minion.salt["klp.run"](123456789012) == {"opened": 30, "finished": None, "backup": None}


def test_a_host_without_runs_knows_none(minion):
    assert minion.salt["klp.run"]("a") is None and minion.salt["klp.duration"]() is None


def test_the_last_finished_run_tells_how_long_runs_take(minion):
    remembers(minion, run("a", 10, 20), run("b", 50, 90), run("c", 100))
    assert minion.salt["klp.duration"]() == 40


def test_a_damaged_record_is_no_reason_against_a_guess_of_the_duration_only(minion):
    minion.write("record/runs.json", "[")
    assert minion.salt["klp.duration"]() is None
    with pytest.raises(CommandExecutionError, match="runs.json: cannot be read"):
        minion.salt["klp.run"]("a")
