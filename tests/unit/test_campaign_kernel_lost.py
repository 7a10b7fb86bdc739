"""Campaigns of kind kernel when answers, runs and orders are lost, or are not what they should be."""

import pytest

from _runners.klp import show, turning
from tests.simulation.kernel_world import TARGET, KernelHost
from tests.simulation.world import KERNEL
from tests.unit.campaigns import Year


@pytest.fixture
def year(tmp_path):
    def make(hosts=1, **klp_campaign):
        return Year(tmp_path / "klp", hosts, **klp_campaign)

    return make


def test_a_restart_stands_in_the_journal_before_it_is_sent(year):
    played = year(1)
    send, written = played.world.send, []

    def sending(jid, hosts, fun, arg, kwarg=None):
        written.append((arg[0], played.whats()[-1]))
        send(jid, hosts, fun, arg, kwarg)

    played.world.send = sending
    played.go()
    assert written == [("klp.kernel", "start"), ("klp.restart", "restart"), ("klp.kernel", "verify")]


@pytest.mark.parametrize("faults", [{"loses": True}, {"dies": 1, "down": 30.0}, {"dies": 0, "down": 30.0}])
def test_lost_answers_and_cut_runs_change_nothing_in_the_end(year, faults):
    played = year({"h1": faults})
    assert played.go().result == "done" and played.restarts() == {"h1": ["campaign"]}


def test_a_lost_answer_of_a_way_back_too(year):
    played = year({"h1": {"sick": True, "loses_back": True}}, on_failure="rollback")
    assert played.go().hosts["h1"].back == "back" and played.restarts() == {"h1": ["campaign"] * 2}


def killed_while_it_is_verified(played, times):
    step = played.world._phase

    def dies(host, jid, number):
        turned = len(host.starts) == 1 and host.job and number == 1
        if turned and times and host.job[1] == "klp.kernel":
            times.pop()
            played.world.kill(host, 5.0)
        step(host, jid, number)

    played.world._phase = dies


def test_a_verification_that_is_cut_off_is_begun_again(year):
    played = year(1)
    killed_while_it_is_verified(played, [1])
    assert played.go().result == "done" and played.whats().count("verify") == 2


def test_a_verification_that_is_cut_off_again_and_again_is_given_up(year):
    played = year(1)
    killed_while_it_is_verified(played, [1] * 9)
    played.go()
    assert played.of("h1")[0] == "failed" and "its verification was cut off 3 times" in played.of("h1")[1]


def said(played, when, **more):
    """Let hosts say something else from an entry on, until ``more`` is emptied."""
    summary = played.world._summary
    played.world._summary = lambda host, *arg: {**summary(host, *arg), **(more if when in played.whats() else {})}
    return more


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (None, f"it runs kernel {KERNEL}, and its change of kernel is not known after its run"),
        ("back", f"it runs kernel {KERNEL}, and its change of kernel is back after its run"),
    ],
)
def test_a_good_answer_is_not_believed_where_the_host_says_something_else(year, change, why):
    played = year(1)
    host = KernelHost("x")
    if change:
        host.note(played.world, change)
    said(played, "start", kernel_change=host.change)
    played.go()
    assert played.of("h1") == ("failed", why)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"kernel_change": None}, "its change of kernel is not known, and its restart was due"),
        ({"busy": ["state.highstate 1"]}, "its restart is due, and it is busy with state.highstate 1 for 30 minutes"),
        ({"kernel": 7}, "its restart is due, and it is not understood (its answer is not understood: kernel"),
    ],
)
def test_a_host_that_cannot_be_restarted_when_its_restart_is_due(year, more, why):
    played = year(1)
    said(played, "installed", **more)
    played.go()
    assert played.of("h1")[0] == "failed" and why in played.of("h1")[1]
    assert played.restarts() == {"h1": []}


def test_what_was_heard_a_moment_ago_holds_the_restart_of_others(year):
    """Both are asked at once; what one says closes the gate, and the other would be restarted with that known."""
    played = year(2)
    summary, asked = played.world._summary, []

    def says(host, *arg):
        found = summary(host, *arg)
        if "installed" not in played.whats() or host.name != "h1":
            return found
        asked.append(host.name)
        return {**found, "kernel_change": None}

    played.world._summary = says
    assert played.go().result == "stopped" and asked
    assert played.of("h1") == ("failed", "its change of kernel is not known, and its restart was due")
    assert played.restarts() == {"h1": [], "h2": []} and "restart" not in played.whats()


def test_an_order_that_comes_late_is_waited_for(year):
    """The host says that it is on its way down, although the campaign believes the order to be lost."""
    played = year(1)
    host = played.world.hosts["h1"]

    def going():
        host.note(played.world, "restarting")
        played.world._at(played.world.time + 100.0, played.world.start, host, "campaign")

    played.on["installed"] = going
    assert played.go().result == "done" and "restart" not in played.whats()


def test_salt_refuses_the_job_that_restarts(year):
    played = year(1)
    send, denied = played.world.send, [1]

    def sending(jid, hosts, fun, arg, kwarg=None):
        if arg == ["klp.restart"] and denied:
            denied.pop()
            raise turning.RefusedError("no")
        send(jid, hosts, fun, arg, kwarg)

    played.world.send = sending
    with played.driver() as driver, pytest.raises(turning.RefusedError):
        turning.turn([driver])
    assert played.whats()[-1] == "unrestarted"
    assert played.go().result == "done" and played.restarts() == {"h1": ["campaign"]}


def test_restarts_that_meet_other_states_are_asked_for_again(year):
    played = year(1)
    played.on["restart"] = lambda: played.world.hosts["h1"].faults.update(conflicts=1)
    assert played.go().result == "done" and played.restarts() == {"h1": ["campaign"]}


def test_hosts_that_need_no_other_kernel_are_left_out(year):
    played = year({"h1": {}, "h2": {}})
    preview = played.world.preview
    played.world.preview = lambda host: {**preview(host), "kernel_target": None, "kernel_change": None}
    from tests.simulation import campaign

    made = campaign.plan(played.world, "kernel", reboot=True)
    assert made["left_out"]["h1"] == ["nothing to do", "it gets no other kernel (its pillar klp:kernel:target)"]
    played.world.preview = lambda host: {**preview(host), "kernel": TARGET, "changes": {}}
    made = campaign.plan(played.world, "kernel")
    assert made["left_out"]["h1"] == ["nothing to do", f"it runs kernel {TARGET} already"]
    played.world.hosts["h1"].note(played.world, "installed")
    played.world.preview = lambda host: {**preview(host), "kernel_target": None}
    made = campaign.plan(played.world, "kernel")
    assert made["hosts"]["h1"]["note"] == "its change of kernel is installed already"


@pytest.mark.parametrize("reboot", [True, False])
def test_the_status_says_what_is_awaited(year, reboot):
    played = year({"h1": {"by_others": 900.0, "sick": True}}, reboot=reboot, on_failure="rollback")
    texts = []

    def look(entry):
        played.entries.append(entry)
        texts.append(show.status_text(played.driven.campaign, True, played.world.time))

    with played.driver() as driver:
        played.driven = driver
        driver.say = look
        turning.turn([driver])
    text = "\n".join(texts)
    if reboot:
        assert "h1: restarts, asked for at 2027-01-15" in text and "h1: goes back: restarts, asked for at" in text
    else:
        assert "h1: installed, waits for its restart by others since 2027-01-15" in text
        assert "h1: goes back: the old kernel is the default, waits for its restart by others since" in text
    assert "h1: restarted at 2027-01-15" in text


def test_the_report_of_what_is_still_installed_has_the_next_command(year):
    from _runners.klp import telling

    played = year(1, reboot=False, limits={"duration": 1})
    assert telling.between(played.go(), "h1").endswith("restart it, then: salt 'h1' state.apply klp.kernel")


def test_an_abort_while_a_host_restarts_on_its_way_back_leaves_it(year):
    played = year({"h1": {"sick": True}}, on_failure="rollback")
    with played.driver() as driver:
        played.until(driver, "back")
        for _ in range(500):
            if [entry for entry in played.entries if entry["what"] == "restart" and entry.get("way")]:
                break
            nap = driver.step()
            played.world.wait(nap or 0)
        played.wish("abort")
        turning.turn([driver])
    assert driver.campaign.hosts["h1"].back == "stays" and "aborted by anna" in driver.campaign.hosts["h1"].why


@pytest.mark.parametrize("fault", [{"deaf": 100}, {}])
def test_a_way_back_whose_restart_never_begins_stays(year, fault):
    played = year({"h1": {"sick": True}}, on_failure="rollback")
    played.on["gate"] = lambda: played.world.hosts["h1"].faults.update(fault)
    played.go()
    assert played.found.hosts["h1"].back == ("stays" if fault else "back")
