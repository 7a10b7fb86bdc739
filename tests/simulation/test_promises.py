"""Campaigns without accidents, each for one promise that random ones show only if the dice fall so."""

from __future__ import annotations

import pytest

from tests.simulation import campaign
from tests.simulation.afterwards import alone, gone_back
from tests.simulation.oracle import Watcher
from tests.simulation.world import NEW, OLD, OLDER, START, SimHost, World

ALL = [{"name": "all"}]
LOOK = 30


def driven(folder, hosts, **klp_campaign):
    """Drive a campaign over hosts; return the world, what the judge has seen, and the campaign."""
    world = World(hosts)
    made = campaign.plan(world, **{"waves": ALL, "limits": {"look": LOOK}, **klp_campaign})
    watch = Watcher(made, world)
    found = campaign.go(campaign.saved(folder, made), made["id"], world, watch)
    assert alone(world, made) == [] and gone_back(world, watch) == []
    return world, watch, found


def stages(found):
    return {host: item.stage for host, item in found.hosts.items()}


def test_each_host_is_looked_at_so_many_minutes_after_its_own_run(tmp_path):
    hosts = [SimHost(f"h{number:02}", 60.0 + 137 * (number % 7)) for number in range(24)]
    world, watch, found = driven(tmp_path, hosts, batch=4, soak={"minutes": [2, 10]})
    assert found.result == "done" and world.time - START > 1800, "the first hosts have waited for the last ones"
    for host, looks in watch.looks.items():
        assert 2 <= len(looks) <= 3, "twice after its run, and once more at the end of the wave"
        for minutes, moment in zip([2, 10], looks):  # noqa: B905
            late = moment - world.hosts[host].verified - 60 * minutes
            assert -1 <= late <= 2 * LOOK + 10, (host, minutes, late)


@pytest.mark.parametrize("which", [3, 620, 1190])
def test_a_look_is_at_all_hosts_however_many(tmp_path, which):
    hosts = [SimHost(f"h{number:04}", 60.0) for number in range(1200)]
    hosts[which].faults["ails"] = 10.0
    _, watch, found = driven(tmp_path, hosts, batch="100%", soak={"minutes": [1]}, quarantine=False)
    assert found.result == "stopped" and [host for host, stage in stages(found).items() if stage != "verified"] == [
        f"h{which:04}"
    ]
    assert watch.last or all(watch.looks.values()), "all were looked at, before the gate or after it"


def test_what_goes_wrong_after_the_last_soak_is_seen_before_the_end(tmp_path):
    waves = [{"name": "one", "take": 2}, {"name": "two"}]
    hosts = [SimHost(f"h{number}", 900.0) for number in range(6)]
    hosts[0].faults["ails"] = 100.0  # after its look, and long before the end
    _, watch, found = driven(tmp_path, hosts, waves=waves, batch=2, soak={"minutes": [1]})
    assert stages(found)["h0"] == "failed" and watch.last


def test_each_host_goes_back_to_what_it_had(tmp_path):
    had = [OLD, OLDER, None, OLDER, OLD, None, OLD, OLDER]
    hosts = [SimHost(f"h{number}", 60.0, edition=edition) for number, edition in enumerate(had)]
    hosts.append(SimHost("h8", 60.0, edition=NEW, behind=True))
    hosts.append(SimHost("h9", 300.0, bad="klp-verify: not verified"))
    world, watch, found = driven(tmp_path, hosts, batch="100%", on_failure="rollback", soak={"minutes": []})
    assert found.result == "stopped" and {host: item.back for host, item in found.hosts.items()} == {
        **{f"h{number}": "back" if edition else None for number, edition in enumerate(had)},
        "h8": None,
        "h9": "back",
    }
    ends = [world.hosts[f"h{number}"].edition for number in range(8)]
    assert ends == [edition or NEW for edition in had]


def test_a_host_that_was_refused_before_its_first_change_is_not_suspected(tmp_path):
    hosts = [SimHost(f"h{number}", 60.0) for number in range(4)]
    hosts[1].faults["refuses"] = 1
    _, watch, found = driven(tmp_path, hosts, batch=2, on_failure="rollback", soak={"minutes": []})
    assert found.result == "stopped" and stages(found)["h1"] == "failed"
    assert watch.stopped["back"] == [] and watch.stopped["suspects"] == [], "h0 got it and is well, h1 did not get it"
    assert [entry["untouched"] for entry in watch.entries if "untouched" in entry] == [["h1"]]


@pytest.mark.parametrize("phase", range(4))
@pytest.mark.parametrize(("on_restart", "stage", "runs"), [("fail", "failed", 1), ("again", "verified", 2)])
def test_a_host_that_reboots_in_the_middle_of_its_run(tmp_path, phase, on_restart, stage, runs):
    hosts = [SimHost(f"h{number}", 60.0) for number in range(6)]
    hosts[2].faults.update(reboots=phase, down=120.0)
    more = {"on_restart": on_restart, "soak": {"minutes": []}, "limits": {"look": LOOK, "failed": 1}}
    world, _, found = driven(tmp_path, hosts, batch=2, **more)
    assert stages(found)["h2"] == stage and len(world.hosts["h2"].started) == runs
    assert world.hosts["h2"].restarts == 1


@pytest.mark.parametrize("phase", range(4))
def test_a_host_whose_kernel_crashes_at_each_run_crashes_once(tmp_path, phase):
    hosts = [SimHost(f"h{number}", 60.0) for number in range(6)]
    hosts[0].faults.update(crashes=phase, down=120.0)
    world, watch, found = driven(tmp_path, hosts, batch=2, soak={"minutes": []}, limits={"look": LOOK, "failed": 0})
    assert world.hosts["h0"].restarts == 1 and found.result == "stopped"
    gate = next(entry["n"] for entry in watch.entries if entry["what"] == "gate")
    assert not [entry for entry in watch.entries if entry["what"] == "start" and entry["n"] > gate]


def test_a_host_that_is_slow_and_speaks_is_not_silent(tmp_path):
    hosts = [SimHost(f"h{number}", 3000.0 if number == 0 else 60.0) for number in range(6)]
    _, watch, found = driven(tmp_path, hosts, batch=2, soak={"minutes": []}, limits={"look": LOOK, "silent": 10})
    whats = [entry["what"] for entry in watch.entries]
    assert found.result == "done" and "silent" not in whats and "spoke" not in whats


def test_nobody_begins_after_the_end_of_the_window(tmp_path):
    """Hosts take longer than what is left of the window: each job says when it is too late for them to begin."""
    rules = {"zone": "UTC", "open": [{"from": "08:00", "to": "08:20"}]}  # the world begins at 08:00
    hosts = [SimHost(f"h{number:02}", 70.0) for number in range(40)]
    _, watch, found = driven(tmp_path, hosts, batch=1, soak={"minutes": []}, windows=rules)
    starts = [entry for entry in watch.entries if entry["what"] == "start"]
    near = [entry["by"] - entry["at"] for entry in starts if entry["by"] - entry["at"] < 300]
    assert found.result == "done" and near and min(near) >= 30, "some were started just before the end"
