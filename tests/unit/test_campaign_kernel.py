"""Campaigns of kind kernel over simulated hosts: the one restart, who does it, when, and what becomes of hosts then."""

import pytest
from salt.exceptions import CommandExecutionError

from _runners.klp import turning
from tests.simulation.kernel_world import NOT_WELL, TARGET, TRIED
from tests.simulation.world import KERNEL, START
from tests.unit.campaigns import Year


@pytest.fixture
def year(tmp_path):
    def make(hosts=1, **klp_campaign):
        return Year(tmp_path / "klp", hosts, **klp_campaign)

    return make


def test_a_host_is_installed_restarted_and_verified(year):
    played = year(3)
    found = played.go()
    assert found.result == "done" and set(played.kernels().values()) == {(TARGET, TARGET)}
    assert played.restarts() == {"h1": ["campaign"], "h2": ["campaign"], "h3": ["campaign"]}
    order = ["begin", "open", "ready", "start", "installed", "restart", "restarted", "verify", "ended", "patched"]
    assert list(dict.fromkeys(played.whats())) == [*order, "passed", "end"]
    sent = {item["arg"][0]: item["kwarg"]["pillar"]["klp"] for item in played.world.sent.values()}
    assert sent["klp.restart"]["campaign"]["boot_id"] == dict.fromkeys(("h1", "h2", "h3"), "boot-1")
    assert sent["klp.restart"]["run"] == sent["klp.kernel"]["run"] == played.plan["id"]
    assert "shown" in sent["klp.kernel"]["campaign"] and "shown" not in sent["klp.restart"]["campaign"]


def test_without_reboot_nobody_is_restarted_and_each_is_verified_when_others_have_done_it(year):
    played = year(
        {"h1": {"by_others": 5000.0}, "h2": {"by_others": 90000.0}, "h3": {"by_others": 50.0}}, reboot=False, batch=1
    )
    found = played.go()
    assert found.result == "done" and "restart" not in played.whats()
    assert played.restarts() == {"h1": ["others"], "h2": ["others"], "h3": ["others"]}
    starts = [entry["at"] for entry in played.entries if entry["what"] == "start"]
    assert max(starts) - START < 1000, "an installed host that waits for others has no place in the batch"
    assert "klp.restart" not in [item["arg"][0] for item in played.world.sent.values()]


def test_without_reboot_a_campaign_ends_when_its_time_is_over(year):
    played = year({"h1": {}, "h2": {"by_others": 100.0}}, reboot=False, limits={"duration": 2})
    found = played.go()
    assert found.result == "expired" and {host: item.stage for host, item in found.hosts.items()} == {
        "h1": "installed",
        "h2": "verified",
    }


def test_a_host_that_came_up_with_the_old_kernel_has_failed_and_nothing_is_taken_back(year):
    played = year({"h1": {"falls_back": True}, "h2": {}}, on_failure="rollback", batch=1)
    found = played.go()
    assert (
        found.result == "stopped"
        and found.stopped["why"] == f"wave one: 1 of 2 hosts failed, limit 0 (kernel {TARGET})"
    )
    assert played.of("h1") == ("failed", TRIED) and played.of("h2") == ("waiting", None)
    assert found.hosts["h1"].back == "stays" and played.restarts() == {"h1": ["campaign"], "h2": []}
    assert played.store.quarantine() == []


def test_the_hosts_of_the_wave_go_back_when_one_is_not_well_with_the_new_kernel(year):
    played = year({"h1": {}, "h2": {"sick": True}, "h3": {"falls_back": True}}, on_failure="rollback")
    found = played.go()
    assert found.result == "stopped" and played.of("h2") == ("failed", NOT_WELL)
    assert {host: item.back for host, item in found.hosts.items()} == {"h1": "back", "h2": "back", "h3": "stays"}
    assert played.restarts() == {"h1": ["campaign"] * 2, "h2": ["campaign"] * 2, "h3": ["campaign"]}
    assert set(played.kernels().values()) == {(KERNEL, KERNEL)}
    assert {host.stage for host in played.world.hosts.values()} == {"went_back", "failed"}


def test_a_host_that_is_down_when_the_gate_fails_is_waited_for_and_goes_back(year):
    """It was in no list between its restart and its way back, and the campaign waited for ever."""
    played = year({"h1": {"sick": True}, "h2": {"boots": 900.0}, "h3": {"never": True}}, on_failure="rollback")
    found = played.go()
    assert {host: item.back for host, item in found.hosts.items()} == {"h1": "back", "h2": "back", "h3": "stays"}
    assert played.restarts() == {"h1": ["campaign"] * 2, "h2": ["campaign"] * 2, "h3": ["campaign"]}


def test_a_host_that_is_only_installed_is_disarmed_and_not_restarted(year):
    played = year(
        {"h1": {"sick": True}, "h2": {}},
        on_failure="rollback",
        windows={"open": [{"from": "08:00", "to": "09:00"}]},
        limits={"failed": 0},
    )
    played.world.hosts["h2"].seconds = 2500.0  # then the window is not open for long enough any more
    found = played.go()
    assert {host: item.back for host, item in found.hosts.items()} == {"h1": "back", "h2": "back"}
    assert played.restarts() == {"h1": ["campaign"] * 2, "h2": []} and played.world.hosts["h2"].once is None


def test_without_reboot_hosts_go_back_when_others_restart_them(year):
    played = year(
        {"h1": {"by_others": 100.0}, "h2": {"by_others": 900.0, "sick": True}}, reboot=False, on_failure="rollback"
    )
    found = played.go()
    assert {host: item.back for host, item in found.hosts.items()} == {"h1": "back", "h2": "back"}
    assert played.restarts() == {"h1": ["others"] * 2, "h2": ["others"] * 2}
    assert set(played.kernels().values()) == {(KERNEL, KERNEL)}


def test_the_time_of_a_campaign_ends_also_for_those_that_wait_to_go_back(year):
    played = year(
        {"h1": {"by_others": 100.0, "sick": True}}, reboot=False, on_failure="rollback", limits={"duration": 3}
    )
    with played.driver() as driver:
        played.until(driver, "gate")
        del played.world.hosts["h1"].faults["by_others"]
        turning.turn([driver])
    played.found = driver.campaign
    assert (
        played.found.hosts["h1"].back == "stays"
        and "restart it, then run state.apply klp.kernel_back" in played.of("h1")[1]
    )


def test_a_host_that_does_not_come_back_is_unreachable(year):
    played = year({"h1": {"never": True}, "h2": {}}, batch=1)
    found = played.go()
    assert found.result == "stopped" and played.restarts() == {"h1": ["campaign"], "h2": []}
    assert played.of("h1") == ("unreachable", "it has not come back within 30 minutes after its restart was asked for")


def test_one_that_comes_back_late_is_verified_all_the_same(year):
    played = year(
        {"h1": {"boots": 3000.0}, "h2": {"seconds": 4000.0}}, limits={"failed": 1, "unreachable": 1, "restart": 20}
    )
    found = played.go()
    assert "unreachable" in played.whats() and found.result == "done" and played.restarts()["h1"] == ["campaign"]


@pytest.mark.parametrize("fault", ["deaf", "mute"])
def test_an_order_to_restart_that_is_lost_is_given_again_and_the_host_restarts_once(year, fault):
    played = year({"h1": {fault: 1}})
    assert played.go().result == "done" and played.restarts() == {"h1": ["campaign"]}
    assert played.whats().count("restart") == (2 if fault == "deaf" else 1)
    assert [entry["hosts"] for entry in played.entries if entry["what"] == "unrestarted"] == (
        [{"h1": "its restart had not begun"}] if fault == "deaf" else []
    )


def test_orders_that_never_reach_a_host_come_to_an_end(year):
    played = year({"h1": {"deaf": 100}})
    played.go()
    why = "its restart was asked for 3 times and has not begun; restart it, then run state.apply klp.kernel there"
    assert played.of("h1") == ("failed", why) and played.restarts() == {"h1": []}


def test_a_host_that_refuses_or_does_not_go_down_has_failed(year):
    played = year({"h1": {"says_no": "hook site.drain failed"}, "h2": {"stuck_down": True}}, limits={"failed": 1})
    played.go()
    assert played.of("h1") == ("failed", "its restart: hook site.drain failed")
    assert played.of("h2") == ("failed", "it answers, and has not restarted within 30 minutes")


def test_a_host_that_somebody_else_has_restarted_before_its_turn_is_not_restarted_again(year):
    played = year({"h1": {"by_others": 1.0}, "h2": {}})
    assert played.go().result == "done" and played.restarts() == {"h1": ["others"], "h2": ["campaign"]}


def test_an_order_that_comes_when_somebody_else_has_restarted_the_host_restarts_nobody(year):
    """The refusal of the host is no failure: it has another boot id, which is what it was asked for."""
    played = year(1)
    send = played.world.send

    def late(jid, hosts, fun, arg, kwarg=None):
        if arg == ["klp.restart"] and not played.world.hosts["h1"].starts:
            played.world.start(played.world.hosts["h1"], "others")
            played.world.advance(100.0)
        send(jid, hosts, fun, arg, kwarg)

    played.world.send = late
    assert played.go().result == "done" and played.restarts() == {"h1": ["others"]}
    assert played.world.hosts["h1"].refused == 1


@pytest.mark.parametrize("seconds", [1.0, 40.0])
def test_a_host_that_restarts_once_more_by_itself_has_failed(year, seconds):
    """Before or while it is verified: that is no restart of the campaign."""
    played = year({"h1": {"twice": seconds, "seconds": 120.0}})
    played.go()
    assert played.of("h1")[0] in ("failed", "verified") and played.restarts() == {"h1": ["campaign", "itself"]}
    assert played.whats().count("restart") == 1


@pytest.mark.parametrize("want", ["pause", "abort"])
def test_nobody_is_restarted_when_a_person_has_stopped_it(year, want):
    played = year(2)
    played.on["installed"] = lambda: played.wish(want)
    played.go()
    assert played.restarts() == {"h1": [], "h2": []} and "restart" not in played.whats()
    if want == "pause":
        played.wish("resume")
        assert played.go().result == "done" and played.restarts() == {"h1": ["campaign"], "h2": ["campaign"]}


def test_whoever_was_restarted_is_verified_although_the_campaign_is_aborted(year):
    """Else its old kernel would stay the default, and its hooks would not be run."""
    played = year(2)
    with played.driver() as driver:
        played.until(driver, "restart")
        played.wish("abort")
        turning.turn([driver])
    assert driver.campaign.result == "aborted" and driver.campaign.counts() == {"verified": 2}


def test_a_restart_waits_for_a_window_that_stays_open_long_enough(year):
    played = year(
        {"h1": {"seconds": 2000.0}}, windows={"open": [{"from": "08:00", "to": "09:00"}]}
    )  # it begins at 08:00
    assert played.go().result == "done"
    ((moment, _),) = played.world.hosts["h1"].starts
    assert moment - START >= 23 * 3600, "the next day"


def test_a_plan_whose_windows_are_all_too_short_is_none(year):
    with pytest.raises(
        CommandExecutionError, match="the longest of the next maintenance windows is open for 20 minutes"
    ):
        year(1, windows={"open": [{"from": "08:00", "to": "08:20"}]})
    assert year(1, windows={"open": [{"from": "08:00", "to": "08:20"}]}, reboot=False).plan["hosts"]


def test_hosts_that_are_kept_apart_are_never_down_together(year):
    kin = {"apart": ["db"]}
    played = year({"h1": dict(kin), "h2": dict(kin), "h3": dict(kin)}, apart="cluster", soak={"minutes": [1]})
    assert played.go().result == "done"
    assert set(map(tuple, played.restarts().values())) == {("campaign",)}
    moments = sorted(host.starts[0][0] for host in played.world.hosts.values())
    assert all(later - earlier > 90 for earlier, later in zip(moments, moments[1:]))  # noqa: B905


@pytest.mark.parametrize("jump", [-9000.0, 9000.0])
def test_a_clock_that_jumps_restarts_nobody_twice_and_gives_nobody_up(year, jump):
    played = year({"h1": {"boots": 600.0}, "h2": {}})
    with played.driver() as driver:
        played.until(driver, "restart")
        played.world.skew += jump
        driver.step()
        played.world.skew -= jump
        turning.turn([driver])
    assert driver.campaign.result == "done" and set(map(tuple, played.restarts().values())) == {("campaign",)}


def test_a_wish_that_comes_while_hosts_are_asked_is_heeded(year):
    played = year(1)
    ask = played.world.ask

    def asked(hosts, fun, arg, timeout):
        if played.whats()[-1:] == ["installed"]:
            played.wish("pause")
        return ask(hosts, fun, arg, timeout)

    played.world.ask = asked
    played.go()
    assert played.whats()[-2:] == ["installed", "pause"] and played.restarts() == {"h1": []}


def test_a_gate_that_fails_while_hosts_are_asked_is_heeded(year):
    played = year({"h1": {}, "h2": {"bad": "no", "slow_answer": 100.0}})
    ask = played.world.ask

    def asked(hosts, fun, arg, timeout):
        if played.whats()[-1:] == ["installed"]:
            played.world.advance(200.0)
        return ask(hosts, fun, arg, timeout)

    played.world.ask = asked
    played.go()
    assert played.found.result == "stopped" and played.restarts() == {"h1": [], "h2": []}
