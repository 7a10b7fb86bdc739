"""What keeps a campaign from starting hosts: people, maintenance windows, its time; and the way back."""

import pytest

from _runners.klp import decide
from tests.simulation.book import BASE, Book
from tests.simulation.world import START


@pytest.fixture
def book():
    return Book().begin()


def test_while_it_is_paused_nobody_is_started(book):
    book.start("a", "1").add("ready", hosts={"b": BASE}).add("pause", by="anna", number=1)
    assert book.do() == "waiting"
    assert book.next() == {"do": "wait", "until": START + 300, "for": "paused by anna"}
    book.end("a", "1").add("resume", by="otto", number=2)
    assert book.found.wish == 2 and book.next()["hosts"] == ["b", "c"]


def test_after_an_abort_what_runs_is_finished_and_nothing_else(book):
    book.start("ab", "1").add("ready", hosts={"c": BASE}).add("abort", by="anna", number=1)
    assert book.do() == "waiting"
    assert book.next()["for"] == "the hosts that still run"
    book.end("a", "1").add("lost", hosts=["b"])
    assert [book.do(), book.next()] == ["failed", {"do": "look", "hosts": ["a"]}]
    assert book.add("looked", hosts={}).next() == {"do": "end", "result": "aborted"}
    assert book.found.stopped["why"] == "aborted by anna" and book.found.hosts["b"].why == decide.CUT.format("patch")


def test_an_abort_between_the_waves(book):
    assert book.pass_wave("abcd").pass_wave("efgh").add("abort", by="anna", number=1).next()["result"] == "aborted"


def going_back():
    book = (
        Book(on_failure="rollback", batch=2)
        .begin()
        .start("ab", "1")
        .end("a", "1")
        .start("c", "2")
        .end("b", "1", "no")
        .end("c", "2", "no")
    )
    assert [book.do(), book.do()] == ["gate", "quarantine"]
    assert book.next() == {"do": "ask_back", "hosts": ["a", "b"]}
    return book.add("back", hosts=["a", "b"], jid="9", by=0)


def test_the_way_back_goes_by_batches():
    book = going_back()
    assert book.found.running == 2 and book.next() == {
        "do": "wait",
        "until": START + 300,
        "for": "the hosts that go back",
    }
    assert book.next({"c": START + 9})["until"] == START + 9
    assert book.next({"c": START - 9})["until"] == START + 300, "nobody looks every second at a batch that is full"
    book.add("returned", hosts={"a": None}, jid="9").add("again", hosts=["b"])
    assert book.next()["hosts"] == ["c", "b"] and book.found.jobs == {}
    book.add("stays", hosts={"c": None, "b": "it does not answer"})
    assert book.next() == {"do": "look", "hosts": ["a"]}
    assert book.add("looked", hosts={"a": ["failed", "it crawls"]}).next() == {"do": "end", "result": "stopped"}
    assert [book.found.hosts[name].back for name in "abc"] == ["back", "stays", "stays"]
    assert book.found.hosts["b"].why == "no; going back: it does not answer" and book.found.hosts["a"].backs == 1


def test_who_was_cut_off_and_then_away_is_not_forgotten_either():
    book = (
        Book("abc", waves=[{"name": "all"}], limits={"unreachable": 1}).begin().start("a", "1").add("lost", hosts=["a"])
    )
    book.add("absent", hosts={"a": "no"}).pass_wave("bc", "2")
    assert [book.do(), book.do()] == ["late", "open"]
    book.add("abort", by="anna", number=1)
    assert book.next() == {"do": "failed", "hosts": {"a": decide.CUT.format("patch")}}


def test_the_way_back_can_be_paused():
    book = going_back().add("returned", hosts={"a": None, "b": None}, jid="9").add("pause", by="anna", number=1)
    assert book.next() == {"do": "wait", "until": START + 300, "for": "paused by anna"}
    assert book.add("resume", by="anna", number=2).next() == {"do": "ask_back", "hosts": ["c"]}


def test_the_way_back_can_be_aborted():
    book = going_back().add("abort", by="anna", number=1)
    assert book.found.hosts["c"].back == "stays" and book.found.hosts["c"].why == "no; going back: aborted by anna"
    assert book.next()["for"] == "the hosts that go back"
    assert book.add("returned", hosts={"a": None, "b": "no"}, jid="9").next()["do"] == "look"
    assert book.add("looked", hosts={}).next() == {"do": "end", "result": "stopped"}


NIGHT = {"zone": "UTC", "open": [{"from": "22:00", "to": "23:00"}]}


def test_outside_of_the_maintenance_windows_nobody_is_started():
    book = Book(windows=NIGHT).begin()
    assert book.next() == {
        "do": "wait",
        "until": START + 300,
        "for": "outside of the maintenance windows, the next one opens 2027-01-15 22:00 UTC",
    }
    book.now = START + 14 * 3600 - 10
    assert book.next()["until"] == START + 14 * 3600
    book.now += 10
    assert book.next()["do"] == "ask"
    book.add("ready", hosts={"a": BASE, "b": BASE})
    assert book.next()["by"] == book.now + 300
    book.now += 3500
    book.add("waiting", hosts=["a", "b"]).add("ready", hosts={"a": BASE, "b": BASE})
    assert book.next()["by"] == START + 15 * 3600, "a host that gets it after the end of the window refuses"
    book.now += 70
    assert book.next()["do"] == "start"
    book.now += 1
    assert book.do() == "waiting", "a host that gets its job after the end refuses, and that is a failed one"
    assert book.next() == {"do": "wait", "until": book.now + 1, "for": "the maintenance window is about to close"}
    book.now += 29
    assert book.next()["for"] == "outside of the maintenance windows, the next one opens 2027-01-16 22:00 UTC"


def test_a_maintenance_window_that_never_opens_is_waited_for_until_the_time_is_over():
    past = {"rrule": "FREQ=DAILY;UNTIL=20261231", "from": "10:00", "to": "11:00"}
    book = Book(windows={"zone": "UTC", "open": [past]}).begin()
    assert book.next()["for"] == "outside of the maintenance windows, none opens within 400 days"


def test_when_its_time_is_over_nobody_is_started(book):
    book.start("a", "1")
    book.now += 336 * 3600 + 1
    assert book.next()["for"] == "its time is over"
    assert book.end("a", "1").next() == {"do": "look", "hosts": ["a"]}
    assert book.add("looked", hosts={}).next() == {"do": "end", "result": "expired"}


def test_when_its_time_is_over_a_gate_still_fails(book):
    """The last host failed, the time was over, and nobody heard of it: nothing was banned."""
    book.start("a", "1")
    book.now += 336 * 3600 + 1
    assert book.end("a", "1", "no").next()["do"] == "gate"


def test_what_is_done_is_done_however_long_it_took(book):
    book.pass_wave("abcd").pass_wave("efgh")
    book.now += 336 * 3600 + 1
    assert book.add("looked", hosts={}).next() == {"do": "end", "result": "done"}


def test_when_its_time_is_over_nobody_is_tried_again():
    book = (
        Book("abcd", waves=[{"name": "one"}], limits={"unreachable": 1})
        .begin()
        .add("absent", hosts={"a": "no"})
        .pass_wave("bcd")
    )
    book.now += 336 * 3600 + 1
    assert book.next()["do"] == "look"
    assert book.add("looked", hosts={}).next() == {"do": "end", "result": "expired"}
