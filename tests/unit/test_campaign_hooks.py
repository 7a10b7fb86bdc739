"""Hooks of hosts as a campaign sees them: in its plan, and where a host may still be drained."""

import pytest

from _runners.klp import answers, planning, show
from tests.simulation import campaign
from tests.simulation.game import Game
from tests.simulation.world import NEW, PHASES, START, SimHost, World, run_preview, state_summary

NONE: dict = {"before": [], "after": [], "on_failure": [], "due": None}
DUE = {"around": "klp.patch", "since": int(START), "stage": "changing"}
SINCE = "hook after is due since 2027-01-15 08:00:00 UTC, it may still be drained"
STILL = SINCE + ": salt 'h1' state.apply klp.patch"


@pytest.fixture
def game(tmp_path):
    """Make a campaign over hosts with hooks: ``game({"h1": {faults}}, settings...)``."""

    def make(hosts, **klp_campaign):
        return Game(
            tmp_path / "klp", {name: {"hooks": True, **faults} for name, faults in hosts.items()}, **klp_campaign
        )

    return make


def told(name="h1", hooks=NONE, **more):
    """Return what a host says that it would get, with other hooks."""
    world = World([SimHost(name)])
    return dict(run_preview(world, world.hosts[name]), hooks=hooks, **more)


def planned(*said):
    settings = campaign.settings(waves=[{"name": "all"}], order="name")
    facts = {"kind": "patch", "master": "m", "hosts": sorted(item["host"] for item in said), "asked": START}
    facts.update(answers={item["host"]: item for item in said}, members=[None], busy={}, strange={}, quarantine=[])
    return planning.make(facts, settings, START)


def shown(plan):
    """Return the lines of a plan between its waves and its hash."""
    return show.plan_text(plan).split("\n\n", 2)[2].rpartition("\n\nhash")[0].split("\n")


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_the_plan_shows_which_hosts_have_which_hooks():
    drain = dict(NONE, before=["site.drain"], after=["site.undrain", "site.check"])
    alarm = dict(NONE, on_failure=["site.alarm"])
    plan = planned(told("h1", drain), told("h2", alarm), told("h3"), told("h4", drain))
    assert plan["hooks"] == [
        {"before": ["site.drain"], "after": ["site.undrain", "site.check"], "on_failure": [], "hosts": ["h1", "h4"]},
        {"before": [], "after": [], "on_failure": ["site.alarm"], "hosts": ["h2"]},
    ]
    assert shown(plan)[4:] == [
        "hooks around the runs:",
        "  2 x before site.drain; after site.undrain, site.check",
        "      h1, h4",
        "  1 x on_failure site.alarm",
        "      h2",
    ]


def test_a_plan_with_very_many_hooks_stays_short_and_one_without_any_says_nothing():
    plan = planned(*(told(f"h{number}", dict(NONE, before=[f"site.drain{number}"])) for number in range(25)))
    assert shown(plan)[-1] == "  and 5 more, all of them with --out=json"
    assert "hooks" not in show.plan_text(planned(told("h1"))) and planned(told("h1"))["hooks"] == []
    old = {key: value for key, value in planned(told("h1")).items() if key != "hooks"}
    assert "hooks" not in show.plan_text(old)


def test_a_host_that_may_still_be_drained_is_in_the_plan_although_it_has_nothing_else_to_do():
    due = dict(NONE, after=["site.undrain"], due=DUE)
    idle = {"changes": {}, "target": NEW, "live_patch": NEW}
    plan = planned(told("h1", due, **idle), told("h2", due), told("h3", **idle))
    note = SINCE + "; its run does it"
    assert (plan["hosts"]["h1"]["note"], plan["hosts"]["h1"]["after"]) == (note, True)
    assert plan["hosts"]["h2"]["note"] == note and "after" not in plan["hosts"]["h2"]
    assert plan["left_out"] == {"h3": ["nothing to do", f"live patch {NEW}, no updates"]}
    assert f"  1 x hook after\n      h1   ({note})" in "\n".join(shown(plan))


def test_a_host_that_runs_is_not_drained_for_ever():
    due = dict(NONE, due=DUE)
    assert answers.drained(told("h1", due)) == STILL
    assert answers.drained(told("h1", due, busy=["state.apply 1"])) is None is answers.drained(told("h1"))


@pytest.mark.parametrize(
    ("hooks", "why"),
    [
        (None, "hooks: wanted a mapping of certain keys, found None"),
        ({"before": []}, "hooks:after: it is missing"),
        (dict(NONE, before=["a b"]), "hooks:before:1: wanted the name of an SLS, found a b"),
        (
            dict(NONE, due=dict(DUE, since=-1)),
            "hooks:due:since: wanted a whole number from 0 to 253402300799, found -1",
        ),
        (dict(NONE, due=dict(DUE, stage="x")), "hooks:due:stage: wanted one of before, changing, after, found x"),
        (
            dict(NONE, due=dict(DUE, around="a'; reboot")),
            "hooks:due:around: wanted the name of an SLS, found a'; reboot",
        ),
    ],
)
def test_hooks_of_another_form_are_nonsense(hooks, why):
    with pytest.raises(answers.NonsenseError) as error:
        answers.run_preview("h1", told("h1", hooks))
    assert str(error.value) == f"its answer is not understood: {why}"


# -- the campaign ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", range(len(PHASES)))
def test_a_host_whose_run_is_killed_is_undrained_by_the_run_that_is_begun_again(game, phase):
    played = game({"h1": {"dies": phase}, "h2": {}}, soak={"minutes": [1]})
    assert played.go().result == "done"
    assert [host.drained for host in played.world.hosts.values()] == [None, None]


def test_a_host_that_was_drained_before_the_campaign_is_undrained_by_it(game):
    played = game({"h1": {}}, soak={"minutes": [1]})
    played.world.hosts["h1"].drained = int(START)
    assert played.go().result == "done" and played.world.hosts["h1"].drained is None


def test_a_host_that_has_nothing_else_to_do_is_undrained_too(game, monkeypatch):
    start = SimHost.__init__

    def drained(host, *args, **kwargs):
        start(host, *args, **kwargs)
        host.edition, host.updated, host.drained = NEW, True, int(START)

    monkeypatch.setattr(SimHost, "__init__", drained)
    played = game({"h1": {}})
    assert played.plan["hosts"]["h1"]["after"] is True
    assert played.go().result == "done" and played.world.hosts["h1"].drained is None


def test_a_host_that_restarted_in_mid_run_and_is_drained_still_says_so(game):
    played = game({"h1": {"dies": 3}})
    with played.driver() as driver:
        played.until(driver, "start")
        played.world.hosts["h1"].boot = "boot-2"
    assert played.go().result == "stopped" and played.world.hosts["h1"].drained
    stage, why = played.of("h1")
    assert stage == "failed" and why.startswith(
        "it restarted in the middle of its run (another boot id); hook after is"
    )
    assert why.endswith(": salt 'h1' state.apply klp.patch")


def test_a_look_at_a_host_that_is_drained_fails_it(game):
    played = game({"h1": {}, "h2": {}}, soak={"minutes": [1]})
    with played.driver() as driver:
        played.until(driver, "patched")
        said = state_summary(played.world, played.world.hosts["h1"], application=True)
        said.update(time=int(START + 300), hooks=dict(NONE, due=DUE))
        played.world.hosts["h1"].faults["says"] = said
    assert played.go().result == "stopped"
    assert played.of("h1") == ("failed", f"after its run: {STILL}")
