"""What a campaign does next, after any entries of its journal: waves, batches, limits, gates."""

import pytest

from _runners.klp import decide
from tests.simulation.book import BASE, Book
from tests.simulation.world import NEW, OLD, PACKAGE, START

WORN = "its run was cut off 3 times; when the reason is found, finish it with state.apply klp.patch on this host"

SUSPECT = [{"package": PACKAGE, "edition": NEW}]


@pytest.fixture
def book():
    return Book().begin()


def test_the_steps_of_a_wave(book):
    assert book.next() == {"do": "ask", "hosts": ["a", "b"], "wave": 0}
    book.add("ready", hosts={"a": BASE, "b": BASE})
    assert book.do(jid="1") == "start" and book.found.running == 2
    assert book.next() == {"do": "wait", "until": START + 300, "for": "wave one"}
    book.end("a", "1")
    assert book.next()["hosts"] == ["c"]
    book.start("c", "2").end("b", "1").end("c", "2").start("d", "3").end("d", "3")
    assert book.do() == "patched"
    watched = "watching wave one: 8 checks remaining"
    assert book.next() == {"do": "wait", "until": START + 60, "for": watched}
    book.now += 60
    assert book.next() == {"do": "check", "wave": 0, "hosts": list("abcd"), "last": False}
    assert book.check("abcd").next()["until"] == START + 300
    book.now += 240
    assert book.next() == {"do": "check", "wave": 0, "hosts": list("abcd"), "last": True}
    book.check(last=True)
    assert book.do() == "passed" and book.do() == "open" and book.next()["wave"] == 1
    book.pass_wave("efgh")
    assert book.next() == {"do": "end", "result": "done"}
    book.do()
    assert book.next() is None and book.found.over == book.now and book.found.counts() == {"verified": 8}


def test_each_host_is_looked_at_after_its_own_run():
    """All hosts of a wave were looked at when the last one had ended: by then the live patch was on all of them."""
    book = Book(batch=8, waves=[{"name": "all"}]).begin().start("abcdefgh", "1").end("a", "1")
    book.now += 45
    book.end("b", "1")
    assert book.next()["do"] == "wait" and book.next()["until"] == START + 60
    book.now += 15
    assert book.next() == {"do": "check", "wave": 0, "hosts": ["a"], "last": False}
    assert book.check("a").next()["until"] == START + 105
    book.now += 44
    assert book.next()["do"] != "check"
    book.now += 1
    assert book.next()["hosts"] == ["b"]
    assert book.check("b", b="it crawls").next()["why"] == "wave all: 1 of 8 hosts failed, limit 0"


def test_looks_at_single_hosts_are_not_made_for_each_of_them():
    book = Book(batch=8, waves=[{"name": "all"}]).begin().start("abcdefgh", "1").end("a", "1")
    for host in "bcd":
        book.now += 5
        book.end(host, "1")
    book.now = START + 60
    assert book.next()["hosts"] == ["a"]
    book.check("a")
    book.now += 15
    assert book.next()["do"] != "check", "so soon after the last look"
    book.now += 15
    assert book.next()["hosts"] == list("bcd")


def test_a_wave_whose_hosts_were_looked_at_one_by_one_is_looked_at_as_a_whole():
    book = (
        Book("abcd", batch=4, waves=[{"name": "all"}], soak={"minutes": [1]}).begin().start("abcd", "1").end("abc", "1")
    )
    book.now += 60
    book.check("abc").end("d", "1")
    assert [book.do(), book.next()["do"], book.next()["until"] - book.now] == ["patched", "wait", 60]
    book.now += 60
    assert book.next() == {"do": "check", "wave": 0, "hosts": list("abcd"), "last": True}
    assert book.check(last=True, a="it has crashed").next()["do"] == "gate"


def test_without_minutes_nobody_is_looked_at():
    book = Book("abcd", batch=4, waves=[{"name": "all"}], soak={"minutes": []}).begin().start("abcd", "1")
    book.end("abcd", "1")
    assert [book.do(), book.do(), book.next()["do"]] == ["patched", "passed", "end"]


def test_at_the_end_all_hosts_are_looked_at_a_last_time():
    """A host of an early wave that fell ill later was never seen."""
    book = Book(on_failure="rollback").begin().pass_wave("abcd")
    book.now += 3600
    book.add("open", wave=1).pass_wave("efgh")
    assert book.next() == {"do": "look", "hosts": list("abcd")}, "the others were looked at just now"
    again = Book(on_failure="rollback").begin().pass_wave("abcd")
    again.now += 3600
    again.add("open", wave=1).pass_wave("efgh").add("looked", hosts={"b": ["failed", "it crawls"]})
    found = again.next()
    assert found["why"] == "wave one: 1 of 4 hosts failed, limit 0" and found["back"] == list("abcd")
    assert [again.do(), again.do(), again.next()["do"]] == ["gate", "quarantine", "ask_back"]
    assert book.add("looked", hosts={}).next() == {"do": "end", "result": "done"}


def test_the_wave_that_has_not_passed_goes_back_with_an_earlier_one_that_fails_at_the_last_look():
    book = Book(on_failure="rollback", limits={"duration": 1}).begin().pass_wave("abcd")
    book.now += 4000
    book.add("open", wave=1).start("ef", "2").end("ef", "2")
    book.now += 200
    assert book.next() == {"do": "look", "hosts": list("abcdef")}, "its time is over"
    found = book.add("looked", hosts={"b": ["failed", "it crawls"]}).next()
    assert found["why"] == "wave one: 1 of 4 hosts failed, limit 0" and found["back"] == list("abcdef")


def test_a_run_that_could_not_begin_does_not_undo_an_earlier_one_of_that_host():
    book = Book(on_failure="rollback").begin().start("ab", "1").add("lost", hosts=["a"])
    book.start("a", "2").add("unbegun", hosts={"a": "busy"}).end("b", "1", "no")
    assert book.next()["back"] == ["a", "b"], "what was cut off may have installed it"


def test_a_host_that_is_silent_keeps_others_from_being_started_until_it_speaks():
    book = Book(batch=2).begin().start("ab", "1").end("a", "1").add("silent", hosts=["b"])
    found = book.next()
    assert (found["do"], found["until"]) == ("wait", START + 60)
    assert found["for"].startswith(
        "wave one: 1 of its hosts were started and have not answered for 10 minutes; nothing further"
    )
    assert book.add("ready", hosts={"c": BASE}).do() == "waiting"
    assert book.add("spoke", hosts=["b"]).next()["hosts"] == ["c"]
    book.add("silent", hosts=["b"])
    assert book.next()["do"] == "wait"
    assert book.end("b", "1").next()["hosts"] == ["c", "d"] and book.found.wave.silent == 0


def test_hosts_that_may_fail_may_be_silent():
    book = (
        Book(batch=2, limits={"failed": 1, "unreachable": 1})
        .begin()
        .start("ab", "1")
        .end("a", "1")
        .add("silent", hosts=["b"])
    )
    assert book.next()["hosts"] == ["c", "d"]
    assert (
        book.add("unreachable", hosts={"b": "no answer"}).start("c", "2").add("silent", hosts=["c"]).next()["do"]
        == "wait"
    )


def test_what_was_asked_too_long_ago_is_asked_again(book):
    book.add("ready", hosts={"a": BASE, "b": BASE})
    book.now += decide.FRESH
    assert book.next()["do"] == "start"
    book.now += 1
    assert book.do() == "waiting" and book.next()["hosts"] == ["a", "b"]


def test_hosts_that_get_something_else_share_one_job():
    book = Book(editions={"b": NEW, "d": NEW}).begin()
    assert set(book.plan["hosts"]) == {"a", "c", "e", "f", "g", "h"}, "the others have it already"
    book.plan["hosts"]["c"]["offer"] = "other"
    book.add("ready", hosts={"a": BASE, "c": BASE, "e": BASE})
    assert book.next()["hosts"] == ["a", "c", "e"]


def test_a_batch_is_filled_up_by_quarters():
    book = Book("abcdefghijklmnop", batch=8, waves=[{"name": "all"}]).begin()
    book.start("abcdefgh", "1").end("a", "1")
    assert book.next()["do"] == "wait"
    assert book.end("b", "1").next()["hosts"] == ["i", "j"]


def test_hosts_that_are_not_to_be_asked_now_wait(book):
    later = {"a": START + 30, "b": START + 7, "d": START - 1}
    assert book.next(later)["hosts"] == ["c", "d"]
    assert book.next(dict.fromkeys("abcd", START + 7)) == {"do": "wait", "until": START + 7, "for": "wave one"}
    assert book.next(dict.fromkeys("abcd", START + 7000))["until"] == START + decide.NAP


def test_a_host_that_was_cut_off_has_its_turn_first_and_not_for_ever(book):
    book.start("ab", "1").add("lost", hosts=["b"])
    assert book.next() == {"do": "ask", "hosts": ["b"], "wave": 0}
    book.start("b", "2").add("lost", hosts=["b"]).start("b", "3").add("lost", hosts=["b"])
    assert book.next() == {"do": "failed", "hosts": {"b": WORN}}
    assert book.do() == "failed" and book.found.hosts["b"].attempt == 3


def test_a_run_is_as_old_as_its_first_beginning(book):
    book.start("a", "1").add("lost", hosts=["a"])
    book.now += 500
    book.start("a", "2")
    item = book.found.hosts["a"]
    assert (item.started, item.since, item.attempt, item.jid) == (START, START + 500, 2, "2")


def test_no_host_is_begun_more_often_than_allowed_behind_another_that_was_cut_off(book):
    """Only the first one of the queue was looked at: the one behind it was started without an end."""
    for jid in ("1", "2", "3"):
        book.start("b", jid).add("lost", hosts=["b"])
    book.start("a", "4").add("lost", hosts=["a"])
    assert list(book.found.wave.queue)[:2] == ["a", "b"]
    assert book.next() == {"do": "failed", "hosts": {"b": WORN}}


def test_who_was_cut_off_when_the_campaign_stops_is_said_to_be_so(book):
    """Hosts that were ready went to the head of the queue, and those behind them were forgotten."""
    book.start("ab", "1").add("lost", hosts=["b"]).add("ready", hosts={"c": BASE}).end("a", "1", "no")
    assert [book.do() for _ in range(3)] == ["gate", "quarantine", "waiting"]
    assert list(book.found.wave.queue) == ["c", "b", "d"]
    assert book.next() == {"do": "failed", "hosts": {"b": decide.CUT.format("patch")}}
    assert [book.do(), book.do()] == ["failed", "end"]
    assert book.stages() == "ffww" + "wwww" and book.found.hosts["c"].attempt == 0


@pytest.mark.parametrize(
    ("settings", "failed", "unreachable", "why"),
    [
        ({}, "a", "", "wave one: 1 of 4 hosts failed, limit 0"),
        ({}, "", "a", "wave one: 1 of 4 hosts failed (1 of them fell silent after their start), limit 0"),
        ({"limits": {"failed": 1}}, "", "a", "wave one: 1 of 4 hosts unreachable, limit 0"),
        ({"limits": {"failed": 2, "unreachable": 1}}, "a", "b", None),
        ({"limits": {"failed": 1, "unreachable": 1}}, "ab", "", "wave one: 2 of 4 hosts failed, limit 1"),
        ({"limits": {"failed_percent": 49}}, "ab", "", "wave one: 2 of 4 hosts failed, limit 1"),
        ({"limits": {"failed_percent": 50, "failed": 1}}, "ab", "", None),
        ({"limits": {"failed": 1, "unreachable_percent": 25}}, "", "a", None),
        (
            {"limits": {"failed": 1, "unreachable_percent": 24}},
            "",
            "a",
            "wave one: 1 of 4 hosts unreachable, limit 0",
        ),
    ],
)
def test_a_gate_fails_when_more_hosts_fail_than_may(settings, failed, unreachable, why):
    book = Book(batch=4, **settings).begin().start("abcd", "1").end(failed, "1", "no")
    book.add("unreachable", hosts=dict.fromkeys(unreachable, "no answer"))
    found = book.next()
    if why is None:
        assert found["do"] == "wait"
        return
    assert found == {"do": "gate", "wave": 0, "why": why, "back": [], "suspects": SUSPECT}
    book.do()
    assert book.found.stopped == {"why": why, "wave": 0, "at": START, "suspects": SUSPECT}
    assert book.do() == "quarantine" and book.found.quarantined == SUSPECT
    assert book.next() == {"do": "wait", "until": START + 300, "for": "the hosts that still run"}
    book.end([host for host in "abcd" if host not in failed + unreachable], "1")
    assert book.next()["do"] == "look"
    assert book.add("looked", hosts={}).next() == {"do": "end", "result": "stopped"}


def test_the_limits_of_a_wave_are_its_own():
    waves = [{"name": "one", "take": 4, "failed": 2}, {"name": "two"}]
    book = Book(waves=waves, batch=4).begin().start("abcd", "1").end("ab", "1", "no")
    assert book.next()["do"] == "wait" and book.end("c", "1", "no").next()["do"] == "gate"


def test_with_rollback_the_hosts_of_the_wave_go_back(book):
    book = Book(on_failure="rollback", editions={"b": None}).begin()
    assert book.plan["hosts"]["b"]["before"] is None
    book.start("ab", "1").end("a", "1", "no")
    assert book.next()["back"] == ["a"], "who had no live patch before has nothing to go back to"
    assert book.next()["suspects"] == SUSPECT


def test_who_gets_no_live_patch_is_no_reason_for_quarantine():
    book = Book(on_failure="rollback").begin()
    for host in "ab":
        book.plan["hosts"][host]["target"] = OLD
    book.start("ab", "1").end("a", "1", "no")
    assert (book.next()["back"], book.next()["suspects"]) == ([], [])
    assert [book.do() for _ in range(1)] == ["gate"] and book.next()["do"] == "wait"


def test_hosts_that_were_never_started_say_nothing_about_a_live_patch():
    """A wave whose started hosts are all well stopped the fleet, and banned and took back what had done no harm."""
    book = Book(on_failure="rollback").begin().start("ab", "1").end("ab", "1")
    book.add("refused", hosts={"c": "its clock is off"})
    found = book.next()
    assert found["why"] == "wave one: 1 of 4 hosts failed, limit 0"
    assert (found["do"], found["back"], found["suspects"]) == ("gate", [], [])


def test_a_run_that_was_refused_before_its_first_change_says_nothing_about_a_live_patch():
    """A new update in a repository banned a good live patch: hosts refuse what the plan has not shown."""
    book = Book(on_failure="rollback").begin().start("ab", "1").end("a", "1")
    book.add("ended", jid="1", hosts={"b": "pending here, but not in the plan"}, untouched=["b"])
    assert (book.next()["do"], book.next()["back"], book.next()["suspects"]) == ("gate", [], [])
    book = Book(on_failure="rollback").begin().start("ab", "1").end("a", "1")
    book.add("lost", hosts=["b"]).start("b", "2")
    book.add("ended", jid="2", hosts={"b": "pending here, but not in the plan"}, untouched=["b"])
    assert book.next()["suspects"] == SUSPECT, "its first run may have changed something"


def test_without_quarantine_nothing_is_banned():
    book = Book(quarantine=False).begin().start("ab", "1").end("ab", "1", "no")
    assert [book.do(), book.do()] == ["gate", "end"] and book.found.quarantined == []


def test_in_a_rollback_nobody_goes_back_further_and_nothing_is_banned():
    book = Book(on_failure="rollback")
    book.plan["kind"] = "rollback"
    book.begin().start("ab", "1").end("ab", "1", "no")
    assert (book.next()["back"], book.next()["suspects"]) == ([], [])


def late(**klp_campaign):
    """Return a book whose second wave runs; a host of the first one has never answered to its run."""
    book = Book(limits={"failed": 1, "unreachable": 1}, **klp_campaign).begin().start("ab", "1").end("b", "1")
    book.add("unreachable", hosts={"a": "no answer"}).pass_wave("cd")
    assert book.stages() == "uvvv" + "wwww" and list(book.found.jobs) == ["1"]
    assert book.do() == "open"
    return book


def test_a_late_failure_counts_once():
    book = late().end("a", "1", "no")
    assert book.stages() == "fvvv" + "wwww" and book.found.waves[0].unreachable == 0 and book.next()["do"] == "ask"


def test_a_late_success_counts():
    book = late().end("a", "1")
    assert book.stages() == "vvvv" + "wwww" and book.found.jobs == {} and book.next()["do"] == "ask"
    assert book.found.waves[0].unreachable == 0
    book.now += 60
    assert book.next() == {"do": "check", "wave": 0, "hosts": ["a"], "last": False}, "it is looked at all the same"


def test_the_unreachable_are_counted_while_it_is_the_turn_of_their_wave():
    book = late().add("absent", hosts={"e": "no", "f": "no"})
    assert book.next()["why"] == "wave two: 2 of 4 hosts unreachable, limit 1"


LATE: dict = {"limits": {"unreachable": 2}, "presence": {"late": 600}, "waves": [{"name": "late"}], "batch": 2}


def test_those_that_did_not_answer_have_a_last_wave():
    """Also if a wave of the plan is called as the last one is."""
    book = Book("abcd", **LATE).begin().add("absent", hosts={"a": "no", "b": "no"}).pass_wave("cd")
    assert book.next() == {"do": "late", "hosts": ["a", "b"], "until": START + 600}
    book.do()
    assert book.found.counts() == {"waiting": 2, "verified": 2} and book.found.waves[0].unreachable == 0
    assert book.found.waves[1].name == "late" and book.do() == "open"
    assert book.next()["hosts"] == ["a", "b"]
    assert book.next({"a": START + 30, "b": START + 30})["until"] == START + 30
    book.start("a", "2")
    book.now += 600
    assert book.next({"b": book.now + 30})["do"] == "wait", "a host still runs"
    book.end("a", "2")
    gone = {"b": "it has not come back in time"}
    assert book.next({"b": book.now + 30}) == {"do": "absent", "hosts": gone}
    book.add("absent", hosts=gone)
    assert book.do() == "patched" and book.check(last=True).do() == "passed"
    assert book.next() == {"do": "look", "hosts": ["c", "d"]}
    assert book.add("looked", hosts={}).next() == {"do": "end", "result": "incomplete"}


def test_more_unreachable_hosts_than_may_be_stop_also_a_wave_that_is_called_late():
    book = Book("abcd", **dict(LATE, limits={"unreachable": 1})).begin().add("absent", hosts={"a": "no", "b": "no"})
    assert book.next()["why"] == "wave late: 2 of 4 hosts unreachable, limit 1"


def test_a_failure_in_the_last_wave_of_all_stops_as_any_other():
    book = Book("abcd", **LATE).begin().add("absent", hosts={"a": "no"}).pass_wave("bcd")
    book.do()
    book.do()
    book.start("a", "2").end("a", "2", "no")
    assert book.next()["why"] == "wave late: 1 of 1 host failed, limit 0"


def test_a_host_that_was_left_out_of_the_plan_keeps_the_fleet_from_being_done():
    book = Book(waves=[{"name": "all"}]).begin()
    book.plan["left_out"]["x"] = ["refused", "no backup"]
    assert book.pass_wave("abcdefgh").next() == {"do": "end", "result": "incomplete"}
    book.plan["left_out"]["x"] = ["nothing to do", "no updates"]
    assert book.next() == {"do": "end", "result": "done"}


def test_an_empty_wave_passes_without_being_watched():
    waves = [{"name": "none", "hosts": ["x"]}, {"name": "all"}]
    book = Book(waves=waves)
    assert [book.do() for _ in range(5)] == ["begin", "open", "patched", "passed", "open"]


def test_a_wave_without_a_verified_host_is_not_watched():
    book = Book("ab", waves=[{"name": "all"}], limits={"failed": 2}).begin().start("ab", "1").end("ab", "1", "no")
    assert [book.do(), book.do(), book.next()] == ["patched", "passed", {"do": "end", "result": "incomplete"}]
