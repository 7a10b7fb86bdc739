"""Hosts that were started and do not answer: whom they hold up, and whom not."""

from tests.simulation.book import Book
from tests.simulation.world import START


def lenient(**more):
    return Book(batch=2, limits={"failed": 1}, soak={"minutes": []}, **more).begin()


def test_the_place_of_a_silent_host_is_given_on_and_its_wave_passes_without_it():
    """One dead host held its wave for two hours; its verdict follows, in the end at the latest."""
    book = lenient().start("ab", "1").end("a", "1").add("silent", hosts=["b"])
    assert book.next() == {"do": "ask", "hosts": ["c", "d"], "wave": 0}, "two places, and b has none of them"
    book.start("cd", "2").end("cd", "2")
    assert [book.do(), book.do(), book.do()] == ["patched", "passed", "open"]
    book.start("ef", "3").end("ef", "3").start("gh", "4").end("gh", "4")
    assert [book.do(), book.do()] == ["patched", "passed"]
    assert book.next() == {"do": "wait", "until": START + 300, "for": "hosts that are silent (wave one)"}
    book.add("unreachable", hosts={"b": "no answer within 7200 seconds"})
    assert book.next() == {"do": "end", "result": "incomplete"}


def test_a_verdict_that_follows_counts_in_its_own_wave():
    book = lenient().start("ab", "1").add("silent", hosts=["b"]).end("a", "1").start("cd", "2").end("cd", "2")
    assert [book.do(), book.do(), book.do()] == ["patched", "passed", "open"]
    book.start("ef", "3").end("f", "3", "its transition does not end").add("unreachable", hosts={"b": "no answer"})
    assert book.next()["do"] == "ask", "one of each wave"
    book.add("checked", wave=0, hosts={"c": ["failed", "after its run: it crawls"]}, looked=["c"], last=False)
    assert book.next()["why"] == "wave one: 2 of 4 hosts failed (1 of them fell silent after their start), limit 1"


def test_a_silent_host_of_a_wave_that_has_passed_keeps_others_from_being_started_by_the_limit_of_its_own_wave():
    book = lenient().start("ab", "1").add("silent", hosts=["b"]).end("a", "1").start("cd", "2").end("cd", "2")
    assert [book.do(), book.do(), book.do()] == ["patched", "passed", "open"]
    book.add("checked", wave=0, hosts={"c": ["failed", "after its run: it crawls"]}, looked=["c"], last=False)
    assert book.next()["do"] == "wait" and book.next()["for"].startswith("wave one: 1 of its hosts were started and")


def test_a_host_that_was_silent_and_whose_run_was_cut_off_is_begun_again_though_its_wave_has_passed():
    book = lenient().start("ab", "1").add("silent", hosts=["b"]).end("a", "1").start("cd", "2").end("cd", "2")
    assert [book.do(), book.do(), book.do()] == ["patched", "passed", "open"]
    book.add("spoke", hosts=["b"]).add("lost", hosts=["b"])
    assert book.next() == {"do": "ask", "hosts": ["b"], "wave": 0}
    book.start("b", "9")
    book.end("b", "9")
    assert book.next() == {"do": "ask", "hosts": ["e", "f"], "wave": 1}


def test_a_host_that_was_silent_when_its_wave_passed_is_looked_at_after_its_run_like_any_other():
    book = Book(batch=2, limits={"failed": 1}, soak={"minutes": [1, 5]}).begin()
    book.start("ab", "1").add("silent", hosts=["b"]).end("a", "1").start("cd", "2").end("cd", "2").add(
        "patched", wave=0
    )
    book.check(last=True)
    assert [book.do(), book.do()] == ["passed", "open"]
    book.end("b", "1")
    book.now += 60
    assert book.next() == {"do": "check", "wave": 0, "hosts": ["b"], "last": False}
    book.add("checked", wave=0, hosts={}, looked=["b"], last=False)
    book.now += 60
    assert book.next()["do"] == "ask"
    book.now += 180
    assert book.next() == {"do": "check", "wave": 0, "hosts": ["b"], "last": False}


def test_a_way_back_waits_for_no_dead_host_but_takes_none_back_whose_run_may_still_go_on():
    book = lenient(on_failure="rollback").start("ab", "1").add("silent", hosts=["b"]).end("a", "1").start("cd", "2")
    book.end("cd", "2", "its transition does not end")
    assert [book.do(), book.do()] == ["gate", "quarantine"]
    assert book.next() == {"do": "ask_back", "hosts": ["a", "c"]}
    book.add("back", jid="3", hosts=["a", "c"], by=int(book.now) + 300).add(
        "returned", jid="3", hosts={"a": None, "c": None}
    )
    book.add("back", jid="4", hosts=["d"], by=int(book.now) + 300).add("returned", jid="4", hosts={"d": None})
    assert book.next()["do"] == "wait"
    assert book.add("unreachable", hosts={"b": "no answer"}).next() == {"do": "ask_back", "hosts": ["b"]}
