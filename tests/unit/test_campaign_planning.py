"""The plan: who gets what and when, who is left out and why, and a hash over all of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from salt.exceptions import CommandExecutionError

import klp_campaign
import klp_pillar
from _runners.klp import planning, show
from _runners.klp.planning import digest
from tests.simulation.world import KERNEL, NEW, OLD, PACKAGE, START
from tests.unit.campaigns import JSON, answer, make

HELD = {"package": PACKAGE, "edition": NEW, "campaign": "f" * 12}


def test_a_plan_says_what_each_host_gets():
    found = make({"h1": answer(), "h2": answer("h2", changes={"curl": "8.0-1"}, target=OLD)})
    assert found["waves"] == [
        {
            "name": "all",
            "batch": "10%",
            "soak": [1, 5, 15],
            "failed": 0,
            "unreachable": 0,
            "hosts": ["h1", "h2"],
            "groups": {"": 2},
            "seconds": 120 + 15 * 60,
        }
    ]
    assert found["left_out"] == {} and found["created"] == START and found["kind"] == "patch"
    assert found["hosts"]["h1"] == {
        "kernel": KERNEL,
        "package": PACKAGE,
        "target": NEW,
        "seconds": 60,
        "note": None,
        "before": OLD,
        "offer": found["hosts"]["h1"]["offer"],
        "group": None,
        "apart": [],
    }
    offers = [found["offers"][found["hosts"][name]["offer"]] for name in ("h1", "h2")]
    assert offers[0] == {"package": PACKAGE, "target": NEW, "changes": {"curl": "8.0-1", PACKAGE: NEW}}
    assert offers[1] == {"package": PACKAGE, "target": OLD, "changes": {"curl": "8.0-1"}}


def test_hosts_that_get_the_same_share_one_offer():
    found = make({f"h{number}": answer(f"h{number}") for number in range(50)})
    assert len(found["offers"]) == 1 and len(found["hosts"]) == 50


@pytest.mark.parametrize(
    ("said", "more", "kind", "why"),
    [
        (answer(), {"exclude": ["h?"]}, "excluded", "pillar klp_campaign:exclude"),
        (answer(), {"busy": {"h1": "e" * 12}}, "refused", "it is in campaign eeeeeeeeeeee, which is not over"),
        (None, {}, "unreachable", "no answer within 30 seconds"),
        ("no", {}, "refused", "no"),
        (answer("h2"), {}, "refused", "its answer is of another host: h2"),
        (answer(refusals=["no\nbackup", "a kernel"]), {}, "refused", "no backup; a kernel"),
        (
            answer(time=int(START) - 100),
            {},
            "refused",
            "its clock is off by more than 60 seconds; set it right first (chronyc makestep)",
        ),
        (
            answer(refusals=["x"], time=0),
            {},
            "refused",
            "x; its clock is off by more than 60 seconds; set it right first (chronyc makestep)",
        ),
        (answer(changes={}), {}, "nothing to do", f"live patch {OLD}, no updates"),
        (answer(changes={}, target=None, live_patch=None), {}, "nothing to do", "live patch none, no updates"),
        (
            answer(changes={PACKAGE: NEW}),
            {"banned": [HELD]},
            "nothing to do",
            f"live patch {NEW} is in quarantine since campaign ffffffffffff",
        ),
        (
            answer(live_patch=None),
            {"banned": [HELD]},
            "refused",
            f"live patch {NEW} is in quarantine since campaign ffffffffffff, and the host has none yet; see",
        ),
    ],
)
def test_who_is_left_out_and_why(said, more, kind, why):
    found = make({"h1": said, "h9": answer("h9")} if said else {"h9": answer("h9")}, names=["h1", "h9"], **more)
    seen, reason = found["left_out"]["h1"]
    assert seen == kind and reason.startswith(why) and "h1" not in found["hosts"]
    assert [wave["hosts"] for wave in found["waves"]] == [[name for name in ["h9"] if name in found["hosts"]]]


def test_the_reasons_of_a_host_are_few_and_short():
    found = make({"h1": answer(refusals=["x" * 5000] * 5000)})
    assert len(found["left_out"]["h1"][1]) < 6 * 305


def test_what_is_in_quarantine_is_kept_away_and_the_rest_is_brought():
    found = make({"h1": answer()}, banned=[HELD])
    item = found["hosts"]["h1"]
    assert (item["target"], item["before"]) == (OLD, OLD) and item["note"].startswith(
        f"live patch {NEW} is in quarantine"
    )
    assert found["offers"][item["offer"]]["changes"] == {"curl": "8.0-1"}
    assert planning.pillar(found, ["h1"], "run", 5) == {
        "run": "run",
        "campaign": {"start_by": 5, "level": {"h1": OLD}, "shown": {"h1": digest({"curl": "8.0-1"})}},
    }


@pytest.mark.parametrize(
    "banned",
    [[dict(HELD, edition="9-9")], [dict(HELD, package="kernel-livepatch-other")], []],
    ids=["edition", "package", "no"],
)
def test_only_what_is_in_quarantine_is_kept_away(banned):
    assert make({"h1": answer()}, banned=banned)["hosts"]["h1"]["target"] == NEW


def test_a_host_that_has_it_already_is_not_touched_by_quarantine():
    found = make({"h1": answer(live_patch=NEW, changes={"curl": "1"})}, banned=[HELD])
    assert found["hosts"]["h1"]["note"] is None and found["hosts"]["h1"]["target"] == NEW


def test_quarantine_does_not_keep_anybody_from_going_back():
    found = make({"h1": answer(live_patch="4-1", target=NEW, changes={PACKAGE: NEW})}, "rollback", banned=[HELD])
    assert found["hosts"]["h1"]["target"] == NEW
    assert planning.pillar(found, ["h1"], "run", 5) == {
        "run": "run",
        "campaign": {"start_by": 5, "rollback": {"h1": NEW}},
    }


def test_a_live_patch_that_was_left_half_way_is_finished_and_nothing_else_comes_with_it():
    found = make({"h1": answer(changes={}, unfinished=True, target=OLD)})
    shown = planning.pillar(found, ["h1"], "run", 5)["campaign"]["shown"]
    assert shown == {"h1": digest({PACKAGE: OLD})}, "an empty one would let everything be installed"
    nothing = make({"h1": answer(changes={}, unfinished=True, target=None, live_patch=None)})
    assert planning.pillar(nothing, ["h1"], "run", 5) == {
        "run": "run",
        "campaign": {"start_by": 5, "level": {}, "shown": {"h1": digest({PACKAGE: "none"})}},
    }


def test_a_host_may_get_something_else_only_if_the_pillar_says_so():
    said = {"h1": answer()}
    assert planning.pillar(make(said), ["h1"], "run", 5) == {
        "run": "run",
        "campaign": {
            "start_by": 5,
            "level": {"h1": NEW},
            "shown": {"h1": digest({PACKAGE: NEW, "curl": "8.0-1"})},
        },
    }
    assert planning.pillar(make(said, drift="follow"), ["h1"], "run", 5) == {
        "run": "run",
        "campaign": {"start_by": 5, "level": {"h1": NEW}},
    }


def test_the_way_back_leads_to_what_the_host_had():
    assert planning.pillar(make({"h1": answer()}), ["h1"], "run", 5, back=True) == {
        "run": "run",
        "campaign": {"start_by": 5, "rollback": {"h1": OLD}},
    }


def test_one_job_tells_each_host_what_it_may_do_and_no_other_one():
    found = make({"h1": answer(), "h2": answer("h2", changes={"vim": "9-1"}, target=OLD)})
    hosts = sorted(found["hosts"])
    job = planning.pillar(found, hosts, "run", 5)["campaign"]
    assert job["level"] == {"h1": NEW, "h2": OLD}
    assert job["shown"] == {"h1": digest({"curl": "8.0-1", PACKAGE: NEW}), "h2": digest({"vim": "9-1"})}
    own, problems = klp_pillar.check({"campaign": job}, "h2")
    assert (own["level"], problems) == (OLD, [])


def test_the_size_of_a_job_does_not_depend_on_what_hosts_get():
    """A job that named the packages of 500 hosts would be larger than a minion takes."""
    updates = {f"package-{number}": f"{number}-1" for number in range(1000)}
    few, many = (make({"h1": answer(changes=changes)}) for changes in ({"curl": "1-1"}, updates))
    small, large = (len(json.dumps(planning.pillar(one, ["h1"], "run", 5))) for one in (few, many))
    assert small == large < 250


def test_the_digest_is_the_same_on_master_and_host():
    packages = {"zlib": "1-1", "caf\u00e9": "1~2-1", 'a"b': "2-2"}
    assert planning.digest(packages) == klp_campaign.digest(dict(reversed(packages.items())))


def test_the_pillar_of_a_run_is_one_that_hosts_accept():
    check = klp_pillar.check
    for kind in planning.KINDS:
        target: dict = {
            "release": "6.4.0-1-default",
            "edition": "6.4.0-1.1",
            "live_patch": None,
            "package": "kernel-default",
        }
        target.update(fallback=True, window_last=None, cves=0)
        found = make({"h1": answer(kernel_target=target)}, kind)
        for back in (False, True):
            assert check(planning.pillar(found, ["h1"], found["id"], int(START), back))[1] == []


def test_absent_hosts_may_be_a_reason_for_no_plan():
    names = [f"h{number}" for number in range(7)]
    with pytest.raises(
        CommandExecutionError, match=r"no plan: no answer from 7 hosts \(h0, h1, h2, h3, h4 and 2 more\)"
    ):
        make({}, names=names, presence={"absent": "refuse"})
    with pytest.raises(CommandExecutionError, match=r"no answer from 1 host \(h1\), and pillar"):
        make({}, names=["h1"], presence={"absent": "refuse"})
    assert make({"h1": answer()}, presence={"absent": "refuse"})["left_out"] == {}


@pytest.mark.parametrize(("count", "named"), [(1, r"1 host \(h0\)"), (7, r"7 hosts \(h0, h1, h2, h3, h4, \.\.\.\)")])
def test_a_host_in_no_wave_is_an_error(count, named):
    said = {f"h{number}": answer(f"h{number}") for number in range(count)}
    with pytest.raises(CommandExecutionError, match=rf"waves: no wave takes {named}; let a last wave take rest"):
        make(said, waves=[{"name": "a", "hosts": ["h9"]}], members=[{"h9"}])


def test_waves_are_filled_in_order_and_empty_ones_stay():
    said = {f"h{number:02}": answer(f"h{number:02}", seconds=100) for number in range(12)}
    waves = [
        {"name": "a", "take": 1, "soak": []},
        {"name": "b", "take": "25%"},
        {"name": "c", "hosts": ["x"]},
        {"name": "d"},
    ]
    found = make(said, waves=waves, members=[None, None, {"x"}, None], batch=3)
    assert [(wave["name"], len(wave["hosts"]), wave["seconds"]) for wave in found["waves"]] == [
        ("a", 1, 100),
        ("b", 3, 100 + 900),
        ("c", 0, 0),
        ("d", 8, 267 + 900),
    ]


def mixed(hosts, now=START, **klp_campaign):
    """Return the plan over hosts with these groups, mixed."""
    said = {name: answer(name, group=group) for name, group in hosts.items()}
    return make(said, now=now, order="mixed", **klp_campaign)


FLEET = {**{f"web{number:02}": "web" for number in range(20)}, "db1": "db", "db2": "db", "lone": None}


def test_a_wave_has_hosts_of_each_group_and_the_plan_says_how_many():
    waves = [{"name": "canary", "take": 3}, {"name": "rest"}]
    found = mixed(FLEET, waves=waves)
    assert [wave["groups"] for wave in found["waves"]] == [
        {"": 1, "db": 1, "web": 1},
        {"db": 1, "web": 19},
    ]
    assert found["hosts"]["db1"]["group"] == "db" and found["hosts"]["lone"]["group"] is None


def test_the_same_hosts_come_first_in_a_plan_that_is_made_again():
    waves = [{"name": "canary", "take": 3}, {"name": "rest"}]
    first, again = mixed(FLEET, waves=waves), mixed(FLEET, START + 50, waves=waves, batch=7)
    assert first["id"] != again["id"] and first["seed"] == again["seed"]
    assert [wave["hosts"] for wave in first["waves"]] == [wave["hosts"] for wave in again["waves"]]
    other = make({name: answer(name, target="9-9") for name in FLEET}, order="mixed", waves=waves)
    assert other["seed"] != first["seed"] and other["waves"][0]["hosts"] != first["waves"][0]["hosts"]


def test_the_text_of_a_plan_says_of_which_groups_its_waves_are():
    found = show.plan_text(mixed(FLEET, waves=[{"name": "canary", "take": 3}, {"name": "rest"}]))
    assert "\ncanary (no group 1, db 1, web 1):\n" in found and "\nrest (db 1, web 19):\n" in found
    assert "\nall:\n" in show.plan_text(mixed({"a": None, "b": None})), "no word of groups where there are none"


@given(st.dictionaries(st.text(), JSON))
def test_a_digest_does_not_depend_on_the_order_of_keys(value):
    assert planning.digest(value) == planning.digest(dict(reversed(value.items())))


@given(st.dictionaries(st.sampled_from([f"h{number}" for number in range(9)]), JSON | st.just("good"), max_size=9))
def test_of_any_answers_a_plan_is_made_and_every_host_is_somewhere(said):
    said = {name: answer(name) if value == "good" else value for name, value in said.items()}
    names = [f"h{number}" for number in range(9)]
    found = make(said, names=names, waves=[{"name": "a", "take": 2}, {"name": "b"}])
    planned = [host for wave in found["waves"] for host in wave["hosts"]]
    assert sorted([*planned, *found["left_out"]]) == names and set(found["hosts"]) == set(planned)
    assert len(found["offers"]) <= 1 and planning.check(json.loads(json.dumps(found)), found["id"])


def test_ids_that_no_minion_can_have():
    good, bad = planning.host_ids(["b", "a", "a", "../x", "a b", "", "h\n", 7, "x" * 301, "-x", "\x1b[0m"])
    assert good == ["a", "b"] and bad == sorted(["../x", "a b", "", "h", "7", "x" * 297 + "...", "-x", "[0m"])


def test_where_most_hosts_have_another_time_it_is_the_master_that_is_off():
    hosts = {name: answer(name, time=int(START) - 900) for name in ("h1", "h2")}
    with pytest.raises(
        CommandExecutionError, match="^no plan: 2 of 3 hosts with another time than this master; set its"
    ):
        make({**hosts, "h3": answer("h3"), "h4": "no", "h5": answer("h5", time=2**63), "h6": answer("h6", time="0")})
    found = make({"h1": hosts["h1"], "h2": answer("h2"), "h3": "no"})
    assert list(found["left_out"]) == ["h1", "h3"], "half of them are not most of them"
