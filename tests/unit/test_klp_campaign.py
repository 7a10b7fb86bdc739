"""What a campaign tells a run: when it is too late, what was not shown, and what a host remembers of runs."""

import os

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_campaign
import klp_paths
import klp_preflight
import klp_runs
import klp_updates
from tests.unit.hosts import remembers, shows

NOW = 1_700_000_000
CURL = {"curl": "2-1"}


def campaign(minion, **keys):
    """Give the host what a campaign sends with a run."""
    minion.pillar["klp"] = {"campaign": keys}


@pytest.mark.parametrize("limit", [None, 0, NOW, NOW + 1])
def test_a_run_may_begin_in_time(minion, programs, limit):
    campaign(minion, **({} if limit is None else {"start_by": limit}))
    assert klp_campaign.late(minion.host) is None and programs.calls == []


def test_a_run_that_comes_too_late_is_told_by_how_much(minion):
    campaign(minion, start_by=NOW - 90)
    assert klp_campaign.late(minion.host) == (
        "this run of a campaign was to begin 90 seconds ago at the latest: the campaign has gone on without this host, "
        "and nothing was changed"
    )


@pytest.mark.parametrize(
    "ask",
    [
        klp_campaign.late,
        lambda host: klp_campaign.unshown(host, CURL),
        lambda host: klp_campaign.require_shown(host, CURL),
    ],
)
def test_a_wrong_pillar_is_an_error(minion, ask):
    campaign(minion, start_by="soon")
    with pytest.raises(SaltInvocationError, match="klp:campaign:start_by: wanted a whole number"):
        ask(minion.host)


@pytest.mark.parametrize("shown", [None, {}])
def test_without_a_plan_everything_may_be_pending(minion, shown):
    campaign(minion, **({} if shown is None else {"shown": shown}))
    assert klp_campaign.unshown(minion.host, CURL) is None
    klp_campaign.require_shown(minion.host, CURL)


@pytest.mark.parametrize("shown", [{"curl": "2-1"}, {"curl": "2-1", "vim": "9-1"}])
@pytest.mark.parametrize("packages", [CURL, {}], ids=["pending", "done by now"])
def test_what_was_shown_may_be_pending_or_done_by_now(minion, shown, packages):
    shows(minion, shown)
    assert klp_campaign.unshown(minion.host, packages) is None
    klp_campaign.require_shown(minion.host, packages)


@pytest.mark.parametrize(
    ("shown", "names"),
    [
        ({"curl": "2-0"}, "a1 2-1, curl 2-1"),
        ({"curl": "2-1", "a1": "2-2"}, "a1 2-1"),
        ({"vim": "2-1"}, "a1 2-1, curl 2-1"),
    ],
)
def test_what_was_not_shown_is_named(minion, shown, names):
    shows(minion, shown)
    packages = dict(CURL, a1="2-1")
    said = f"pending here, but not in the plan that was shown: {names}; make a new plan"
    assert klp_campaign.unshown(minion.host, packages) == said
    with pytest.raises(CommandExecutionError) as error:
        klp_campaign.require_shown(minion.host, packages)
    assert str(error.value) == said


NEWS = "this host does not know what the plan has shown, but it was something else than curl 2-1, which is pending here"


def test_a_plan_that_the_host_has_forgotten_is_kept_to_as_a_whole(minion):
    shows(minion, {"curl": "2-1", "vim": "9-1"}, known=False)
    assert klp_campaign.unshown(minion.host, CURL, whole=True) == f"{NEWS}; make a new plan"
    assert klp_campaign.unshown(minion.host, {"vim": "9-1", "curl": "2-1"}) is not None, "it may be a part of the run"
    assert klp_campaign.unshown(minion.host, {"vim": "9-1", "curl": "2-1"}, whole=True) is None
    klp_campaign.require_shown(minion.host, CURL)  # what is left of that run, after it was cut off


def test_a_plan_for_other_hosts_lets_nothing_be_installed(minion):
    campaign(minion, shown={"another": klp_campaign.digest(CURL)})
    klp_campaign.remember(CURL)
    said = f"the plan of this campaign has not shown anything for {minion.host.id}; make a new plan"
    assert klp_campaign.unshown(minion.host, CURL, whole=True) == said
    assert klp_campaign.unshown(minion.host, {}) is None


@pytest.mark.parametrize("text", ["[", "{}", '{"curl": "2-2"}', "[1]"])
def test_what_was_remembered_is_believed_only_if_it_is_what_was_shown(minion, text):
    shows(minion, {"curl": "2-2"})
    shows(minion, {"curl": "2-0"})
    minion.file(f"{klp_paths.SHOWN}/{klp_campaign.digest({'curl': '2-0'})}.json", text)
    assert klp_campaign.unshown(minion.host, {"curl": "2-2"}, whole=True).startswith("this host does not know")


def test_a_host_remembers_few_plans(minion, monkeypatch):
    monkeypatch.setattr(klp_campaign, "KEPT", 2)
    for number, name in enumerate(["a", "b", "c"]):
        klp_campaign.remember({name: "1-1"})
        os.utime(f"{klp_paths.SHOWN}/{klp_campaign.digest({name: '1-1'})}.json", (number, number))
    klp_campaign.remember({"d": "1-1"})
    known = [name for name in "abcd" if klp_campaign._remembered(klp_campaign.digest({name: "1-1"}))]
    assert known == ["c", "d"]


def test_a_disk_that_takes_nothing_costs_no_plan(minion, monkeypatch):
    monkeypatch.setattr(klp_paths, "SHOWN", "/proc/none/shown")
    klp_campaign.remember(CURL)
    shows(minion, CURL)
    assert klp_campaign.unshown(minion.host, CURL, whole=True) is None


@pytest.mark.parametrize(("key", "group"), [("level", ()), ("rollback", ("rollback",))])
def test_the_level_that_a_campaign_has_for_this_host_is_its_own(minion, key, group):
    campaign(minion, **{key: {minion.host.id: "3-1", "another": "4-1"}})
    found = minion.host.settings
    for name in group:
        found = found[name]
    assert found["level"] == "3-1"
    campaign(minion, **{key: {"another": "nonsense"}})
    assert minion.host.check()[1] == []
    campaign(minion, **{key: {minion.host.id: "--help"}})
    with pytest.raises(SaltInvocationError, match=f"pillar klp:campaign:{key}:.*wanted .*, found '--help'"):
        print(minion.host.settings)


def test_of_very_many_the_first_are_named(minion):
    shows(minion, {"vim": "1-1"})
    found = klp_campaign.unshown(minion.host, {f"p{number}": "1" for number in range(8)})
    assert "shown: p0 1, p1 1, p2 1, p3 1, p4 1, 3 more; make" in found


@pytest.fixture
def pending(minion, monkeypatch):
    """What is pending on the host, a dict that tests change; asking for it is counted."""
    found: dict = {"packages": {}, "live_patch": {}, "reload": {}, "unfinished": {}}
    minion.asked = []
    monkeypatch.setattr(klp_preflight, "problems", lambda host: [])
    monkeypatch.setattr(klp_preflight, "maintenance_problems", lambda host: [])
    monkeypatch.setattr(klp_updates, "plan", lambda host, level: minion.asked.append(level) or found)
    return found


@pytest.mark.parametrize("shown", [None, {}])
def test_the_state_asks_the_repositories_for_a_plan_that_was_shown_only(minion, pending, shown):
    campaign(minion, **({} if shown is None else {"shown": shown}))
    pending["packages"] = {"curl": {"old": "1-1", "new": "2-1"}}
    assert minion.states["klp"].ready("x", refresh=True)["result"] is True
    assert minion.asked == []


@pytest.mark.parametrize("part", ["packages", "live_patch", "reload", "unfinished"])
def test_the_state_refuses_whatever_part_of_a_run_was_not_shown(minion, pending, part):
    shows(minion, {"vim": "1-1"})
    pending[part] = {"curl": "2-1" if part == "unfinished" else {"old": "1-1", "new": "2-1"}}
    found = minion.states["klp"].ready("x", refresh=True)
    assert (found["result"], minion.asked) == (False, ["latest"])
    assert found["comment"] == "pending here, but not in the plan that was shown: curl 2-1; make a new plan"
    shows(minion, {"curl": "2-1"})
    assert minion.states["klp"].ready("x", refresh=True)["result"] is True


def test_what_goes_with_an_update_need_not_be_shown(minion, pending):
    shows(minion, {"vim": "1-1"})
    pending["packages"] = {"curl": {"old": "1-1", "new": None}}
    assert minion.states["klp"].ready("x", refresh=True)["result"] is True


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


def test_a_run_is_known_by_its_id(minion):
    remembers(minion, "runs", [run("a", 10, 20), run("7", 30, None, None), run("a", 50, 90, "vol-3")])
    assert klp_runs.run_record("a") == {"opened": 50, "finished": 90, "backup": "vol-3"}
    assert klp_runs.run_record("b") is None


def test_an_id_of_digits_is_a_number_on_the_command_line(minion):
    remembers(minion, "runs", [run("123456789012", 30, None, None)])
    assert klp_runs.run_record(123456789012) == {"opened": 30, "finished": None, "backup": None}


def test_a_host_without_runs_knows_none(minion):
    assert klp_runs.run_record("a") is None and klp_runs.duration() is None


def test_the_last_finished_run_tells_how_long_runs_take(minion):
    remembers(minion, "runs", [run("a", 10, 20), run("b", 50, 90), run("c", 100)])
    assert klp_runs.duration() == 40


def test_a_damaged_record_is_no_reason_against_a_guess_of_the_duration_only(minion):
    minion.file(f"{klp_paths.RECORDS}/runs.json", "[")
    assert klp_runs.duration() is None
    with pytest.raises(CommandExecutionError, match="runs.json: cannot be read"):
        klp_runs.run_record("a")
