"""Hosts that are kept apart, as the public functions of the runner see them: over several campaigns."""

import pytest
import salt.utils.minions

from _runners.klp import commands, targets
from tests.simulation.world import SimHost


@pytest.fixture
def cache(master, monkeypatch):
    """What the master has of its minions: {host: (grains, pillar)}."""
    known: dict = {}
    monkeypatch.setattr(
        salt.utils.minions, "get_minion_data", lambda minion, opts: (minion, *known.get(minion, (None, None)))
    )
    return known


@pytest.mark.parametrize(
    ("name", "grains", "pillar", "wanted"),
    [
        ("cluster", {"cluster": "a"}, None, ["a"]),
        ("site:rack", {"site": {"rack": ["r2", 7, "", None, 7]}}, None, ["7", "r2"]),
        ("cluster", {"id": "h"}, {}, []),
        ("cluster", {}, {}, None),  # what a cache without it says
        ("cluster", None, {}, None),
        ("klp:group", {"klp": {"group": "no"}}, {"klp": {"group": "db"}}, ["db"]),
        ("klp:group", {}, {"klp": {}}, []),
        ("klp:group", {}, None, None),
    ],
)
def test_what_the_master_knows_without_asking(cache, name, grains, pillar, wanted):
    cache["h"] = (grains, pillar)
    assert targets.kept_apart({}, "h", name) == wanted
    assert targets.kept_apart({}, "other", name) is None


@pytest.mark.parametrize(("name", "arg"), [("cluster", "cluster"), ("klp:group", ""), ("", "")])
def test_hosts_are_asked_for_the_grain(master, monkeypatch, name, arg):
    asked: list = []
    say = master.fleet._say

    def answer(host, fun, arg):
        asked.append((fun, arg))
        return say(host, fun, arg)

    monkeypatch.setattr(master.fleet, "_say", answer)
    master.plan(apart=name)
    assert {tuple(arg) for fun, arg in asked if fun == "klp_audit.run_preview"} == {("patch", "previous", arg)}


def test_the_neighbour_of_a_host_that_does_not_answer_is_left_out(master, cache):
    for number in (0, 1):
        master.fleet.hosts[f"web{number}"].apart = ["ha"]
    master.fleet.hosts["web0"].down_until = master.fleet.time + 10**6
    answer = master.run("plan", pillar={"klp_campaign": {"apart": "cluster"}})
    assert sorted(answer["plan"]["hosts"]) == ["web1", "web2", "web3"] and answer["plan"]["unclear"] == ["web0"]
    assert "not known of hosts that are not in this plan: web0" in answer["text"]
    cache["web0"] = ({"cluster": "ha"}, {})
    answer = master.run("plan", pillar={"klp_campaign": {"apart": "cluster"}})
    assert sorted(answer["plan"]["hosts"]) == ["web2", "web3"]
    assert "web1: it is kept apart from web0 (cluster ha), which is left out (unreachable)" in answer["text"]


def test_two_campaigns_never_have_two_that_are_kept_apart(master, cache):
    for number in (0, 1):
        master.fleet.hosts[f"web{number}"].apart = ["ha"]
    master.fleet.hosts["zdb"] = SimHost("zdb", apart=["ha"])
    cache["web0"] = cache["web1"] = cache["zdb"] = ({"cluster": "ha"}, {})
    one = master.plan(apart="cluster", target="web0", exclude=["zdb"])
    other = master.plan(apart="cluster", exclude=["web0", "zdb"])
    commands.Commands(master.opts, None).store.begin(one)
    error = master.refused("run", other)
    wanted = f"it is kept apart from web0 (cluster ha), which is in campaign {one}"
    assert error == (
        f"1 host of plan {other}: to be kept apart from another campaign (web1: {wanted}); "
        f"end that campaign first, or make a new plan"
    )
    answer = master.run("plan", pillar={"klp_campaign": {"apart": "cluster", "exclude": ["web0"]}})
    assert sorted(answer["plan"]["hosts"]) == ["web2", "web3"] and f"zdb: {wanted}" in answer["text"]
