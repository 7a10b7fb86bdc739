"""Hosts that are kept apart: one at a time, the next one only beside hosts that are well, also on the way back."""

import pytest

from _runners.klp import show
from tests.simulation import campaign
from tests.simulation.book import Book
from tests.simulation.world import NEW, OLD, PACKAGE, SimHost, World, run_preview

PAIRS = {"a": ["x"], "b": ["x"], "c": ["y"], "d": ["y"], "e": ["x"], "f": ["z"]}
FAILED = "it was not started, because it is kept apart from a (cluster x), which has failed"


@pytest.fixture
def book():
    """A campaign of which a, b and e, also c and d, are kept apart; the first four are its first wave."""
    return Book(kin=PAIRS, apart="cluster", batch=4, limits={"failed": 3, "unreachable": 9}).begin()


def asked(book):
    """Return the hosts that are asked now, or what is done instead."""
    todo = book.next()
    return "".join(todo["hosts"]) if todo["do"] == "ask" else todo["do"]


def watched(book, *hosts):
    """Look at hosts as often as declared."""
    for minutes in (60, 240):
        book.now += minutes
        book.check(hosts)


def test_one_of_two_is_asked_and_the_other_one_when_it_was_found_well(book):
    assert asked(book) == "ac"
    book.add("ready", hosts={"a": None})
    book.add("start", wave=0, hosts=["a"], jid="1", by=1)
    assert asked(book) == "c", "of those that run one is enough"
    book.end("a", "1")
    assert asked(book) == "c", "it has ended, and nobody has looked at it"
    book.now += 60
    book.check("a")
    assert asked(book) == "c", "one look of two"
    book.now += 240
    book.check("a")
    assert asked(book) == "bc"
    book.start("b", "2")
    assert asked(book) == "c"


def test_the_next_wave_waits_as_well(book):
    for hosts, jid in (("ac", "1"), ("bd", "2")):
        book.start(hosts, jid).end(hosts, jid)
        watched(book, *hosts)
    book.add("patched", wave=0).check(last=True).add("passed", wave=0).add("open", wave=1)
    assert asked(book) == "efgh"


def test_without_looks_the_end_of_a_run_is_enough():
    book = Book(kin=PAIRS, apart="cluster", batch=4, soak={"minutes": []}).begin()
    book.start("ac", "1").end("a", "1")
    assert asked(book) == "b"


def test_a_host_that_is_cut_off_keeps_its_place(book):
    book.start("ac", "1")
    book.add("lost", hosts=["a"])
    assert asked(book) == "a"
    book.start("a", "2").add("unsent", hosts=["a"])
    assert asked(book) == "a", "perhaps it has begun all the same"
    book.start("a", "3").add("unbegun", hosts={"a": "busy"})
    assert asked(book) == "a", "its first run was cut off"


def test_a_host_that_has_not_begun_leaves_its_place(book):
    book.add("ready", hosts={"a": None}).add("waiting", hosts=["a"])
    assert asked(book) == "ac", "it has its turn again first of all"
    book.start("a", "1").add("unbegun", hosts={"a": "busy"})
    assert asked(book) == "ac"
    todo = book.next({"a": book.now + 30})
    assert todo["hosts"] == ["c"], "somebody else is changing it"
    assert book.next({"a": book.now})["hosts"] == ["a", "c"]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("overdue", "has failed"),
        ("refused", "was refused"),
        ("unreachable", "does not answer"),
        ("absent", "does not answer"),
    ],
)
def test_beside_a_host_that_is_not_well_none_is_started(book, what, why):
    book.start("a", "1") if what in ("overdue", "unreachable") else None
    book.add(what, hosts={"a": "no"})
    todo = book.next()
    assert todo == {"do": "spared", "hosts": {"b": FAILED.replace("has failed", why)}}
    book.do()
    assert book.found.hosts["b"].stage == "spared"
    assert asked(book) == "c"
    assert book.found.waves[0].failed + book.found.waves[0].unreachable == 1, "it counts as nothing"
    for host, jid in (("c", "2"), ("d", "3")):
        book.start(host, jid).end(host, jid)
        watched(book, host)
    book.add("patched", wave=0).check(last=True).add("passed", wave=0).add("open", wave=1)
    assert set(book.next()["hosts"]) == {"e"} and book.do() == "spared", "nor one of a later wave"
    assert asked(book) == "fgh"


def test_a_host_that_is_ready_is_spared_as_well_and_one_that_was_begun_is_finished(book):
    book.start("a", "1").end("a", "1")
    watched(book, "a")
    book.add("ready", hosts={"b": None})
    book.check(last=False, a="ill")
    assert book.next() == {"do": "spared", "hosts": {"b": FAILED}}
    other = Book(kin=PAIRS, apart="cluster", batch=4, limits={"failed": 3}).begin()
    other.start("a", "1").end("a", "1")
    watched(other, "a")
    other.start("b", "2").check(a="ill").add("lost", hosts=["b"])
    assert other.next()["hosts"] == ["b", "c"], "half of a change is left on it"


def test_a_host_that_answers_after_its_wave_keeps_the_others_waiting_until_it_was_found_well(book):
    book.start("ac", "1").end("c", "1").add("unreachable", hosts={"a": "silent"})
    assert book.do() == "spared"
    watched(book, "c")
    book.start("d", "2").end("d", "2")
    watched(book, "d")
    book.add("patched", wave=0).check(last=True).add("passed", wave=0).add("open", wave=1).end("a", "1")
    assert "e" not in asked(book)
    for _ in range(2):
        book.add("checked", wave=0, hosts={}, looked=["a"], last=False)
    assert "e" in asked(book)


def test_hosts_without_the_grain_are_kept_apart_from_nobody():
    book = Book(kin={"a": ["x"]}, apart="cluster", batch=4).begin()
    assert asked(book) == "abcd"
    assert asked(Book(kin=PAIRS, batch=4).begin()) == "abcd", "the key is not set"


def test_a_host_with_two_values_is_kept_apart_by_each():
    book = Book(kin={"a": ["x"], "b": ["x", "y"], "c": ["y"]}, apart="cluster", batch=4).begin()
    assert asked(book) == "acd"
    book.start("a", "1")
    assert asked(book) == "cd"
    book.start("c", "2").end("a", "1")
    watched(book, "a")
    assert asked(book) == "d"


def test_only_hosts_that_had_their_turn_are_given_up():
    book = Book(
        names="ab", kin={"a": ["x"], "b": ["x"]}, apart="cluster", limits={"failed": 3, "unreachable": 3}
    ).begin()
    book.add("absent", hosts={"a": "no", "b": "no"}).add("patched", wave=0).add("passed", wave=0)
    book.add("open", wave=1).add("patched", wave=1).add("passed", wave=1)
    book.add("late", hosts=["a", "b"], until=int(book.now) + 5).add("open", wave=2)
    book.start("a", "1").add("lost", hosts=["a"])
    book.now += 60
    assert book.next({"a": book.now + 30}) == {"do": "absent", "hosts": {"a": "it has not come back in time"}}
    book.do(hosts={"a": "no"}, do="absent")
    assert book.do() == "spared"


# -- the way back ------------------------------------------------------------------------------------------------------


def stopped(**bad):
    """Return a campaign that goes back with a, b, c, d, of which these have failed."""
    kin = {"a": ["x"], "b": ["x"], "c": ["y"], "d": ["y"]}
    book = Book(kin=kin, apart="cluster", batch=4, on_failure="rollback", limits={"failed": 0}).begin()
    for hosts, jid in (("ac", "1"), ("bd", "2")):
        book.start(hosts, jid).end(hosts, jid)
        watched(book, *hosts)
    book.check(last=True, **bad)
    assert [book.do(), book.do()] == ["gate", "quarantine"]
    return book


def back(book):
    """Return the hosts that are asked whether they go back, or what is done instead."""
    todo = book.next()
    return "".join(todo["hosts"]) if todo["do"] == "ask_back" else todo


def test_hosts_go_back_one_at_a_time_and_those_that_failed_first():
    book = stopped(b="ill")
    assert back(book) == "bc"
    book.add("back", hosts=["b", "c"], jid="3")
    assert back(book)["do"] == "wait"
    book.add("again", hosts=["b"])
    assert back(book) == "b", "it was cut off, and is finished first"
    book.add("back", hosts=["b"], jid="4").add("returned", hosts={"b": None}, jid="4")
    assert back(book) == "a"
    book.add("returned", hosts={"c": None}, jid="3")
    assert back(book) == "ad"


def test_a_host_whose_way_back_was_cut_off_goes_on_with_it_first():
    book = stopped(d="ill")
    assert back(book) == "ad"
    book.add("back", hosts=["a", "d"], jid="3").add("again", hosts=["a"]).add("returned", hosts={"d": None}, jid="3")
    assert back(book) == "ca", "b is well, and waits"


def test_a_host_that_is_well_stays_where_another_one_does_not_come_back():
    book = stopped(b="ill")
    book.add("back", hosts=["b", "c"], jid="3").add("returned", hosts={"b": "no way back", "c": "no way back"}, jid="3")
    assert book.next() == {
        "do": "stays",
        "apart": True,
        "hosts": {
            "a": "it is kept apart from b (cluster x), which did not go back",
            "d": "it is kept apart from c (cluster y), which did not go back",
        },
    }
    book.do()
    assert book.found.hosts["a"].why == "going back: it is kept apart from b (cluster x), which did not go back"
    assert book.next()["do"] in ("look", "end")


def test_hosts_that_failed_go_back_one_after_the_other_whatever_becomes_of_the_others():
    book = stopped(a="ill", b="ill")
    assert back(book) == "ac"
    book.add("back", hosts=["a"], jid="3").add("returned", hosts={"a": "no"}, jid="3")
    assert back(book) == "bc"


def test_a_host_that_stays_because_of_another_one_keeps_nobody_else():
    kin = {"a": ["x"], "b": ["x", "y"], "c": ["y"]}
    book = Book(kin=kin, apart="cluster", batch=4, on_failure="rollback", limits={"failed": 0}).begin()
    for hosts, jid in (("ac", "1"), ("bd", "2")):
        book.start(hosts, jid).end(hosts, jid)
        watched(book, *hosts)
    book.check(last=True, a="ill")
    assert [book.do(), book.do()] == ["gate", "quarantine"]
    book.add("stays", hosts={"a": "it does not answer"})
    assert book.do() == "stays"
    assert back(book) == "cd"


# -- whole campaigns ---------------------------------------------------------------------------------------------------


ALL = [{"name": "all"}]


def test_two_nodes_of_a_cluster_are_patched_one_after_the_other(tmp_path):
    nodes = [SimHost(f"db{number}", 300.0, apart=["ha"]) for number in (1, 2, 3)]
    there = World([*nodes, SimHost("web", 300.0)])
    found = campaign.whole(
        tmp_path, there, waves=[{"name": "all"}], batch=4, apart="cluster", soak={"minutes": [1, 15]}
    )
    assert found.result == "done"
    begun = [host.started[0][0] for host in nodes]
    assert all(after - before >= 300 + 900 for before, after in zip(begun, begun[1:], strict=False)), begun
    planned = found.plan["waves"][0]["seconds"]
    assert planned == 3 * (300 + 900) and 0 <= there.hosts["db3"].started[0][0] + 1200 - begun[0] - planned < 600


def test_the_other_node_is_not_touched_after_one_has_failed(tmp_path):
    there = World([SimHost("db1", apart=["ha"], bad="klp-verify: no"), SimHost("db2", apart=["ha"]), SimHost("web")])
    limits = {"failed": 1}
    found = campaign.whole(
        tmp_path, there, waves=[{"name": "all"}], apart="cluster", limits=limits, soak={"minutes": []}
    )
    assert found.result == "incomplete" and there.hosts["web"].edition == NEW
    assert not there.hosts["db2"].started and there.hosts["db2"].edition == OLD
    text = show.status_text(found, False, there.time)
    why = "it was not started, because it is kept apart from db1 (cluster ha), which has failed"
    assert f"  db2: spared: {why}" in text


# -- the plan ----------------------------------------------------------------------------------------------------------


def plan(hosts, apart="cluster", **more):
    return campaign.plan(World(hosts), apart=apart, **more)


def test_the_plan_says_who_is_kept_apart():
    there = [SimHost("a", apart=["x"]), SimHost("b", apart=["x"]), SimHost("c", apart=["y"]), SimHost("d")]
    made = plan(there)
    assert [item["apart"] for item in made["hosts"].values()] == [["x"], ["x"], ["y"], []]
    assert "\nkept apart by cluster, one host of each value at a time: 3 hosts, 2 values\n" in show.plan_text(made)
    assert "\n  without cluster, kept apart from nobody: d\n" in show.plan_text(made)
    assert "kept apart" not in show.plan_text(plan(there, apart=""))
    groups = plan([SimHost("a", group="db"), SimHost("b")], apart="klp:group")
    assert [item["apart"] for item in groups["hosts"].values()] == [["db"], []]


def test_a_value_that_is_told_twice_counts_once():
    assert plan([SimHost("a", apart=["x", "x"])])["hosts"]["a"]["apart"] == ["x"]


def left_out(more=None, **facts):
    """Return who is left out of a plan over a and b, which are kept apart, of c and of what else there is."""
    there = World([SimHost("a", apart=["x"]), SimHost("b", apart=["x"]), SimHost("c", apart=["y"])])
    for name, what in (more or {}).items():
        there.hosts[name].faults["previews"] = what
    made = campaign.plan(there, apart="cluster", **facts)
    return made, {host: why for host, (_, why) in made["left_out"].items()}


LEFT = "it is kept apart from a (cluster x), which is left out ({})"


def test_hosts_beside_one_that_is_left_out_are_left_out(monkeypatch):
    def previews(world, host):
        return host.faults.get("previews", run_preview(world, host))

    monkeypatch.setattr(campaign, "run_preview", previews)
    made, found = left_out({"a": "nonsense"}, known={"a": ["x"]})
    assert found["b"] == LEFT.format("refused") and set(made["hosts"]) == {"c"} and made["unclear"] == []
    made, found = left_out({"a": "nonsense"}, known={"a": None})
    assert set(found) == {"a"} and made["unclear"] == ["a"]
    assert "\n  not known of hosts that are not in this plan: a\n" in show.plan_text(made)
    _, found = left_out(exclude=["a"])
    assert set(found) == {"a"}, "somebody has decided that"
    _, found = left_out(busy={"a": "c123"})
    assert found["b"] == LEFT.format("refused")
    _, found = left_out(busy={"far": "c123"}, known={"far": ["z", "y"]})
    assert found == {"c": "it is kept apart from far (cluster y), which is in campaign c123"}
    made, found = left_out(busy={"far": "c123"}, known={"far": None})
    assert found == {} and made["unclear"] == ["far"]


def test_a_host_that_has_nothing_to_do_is_no_reason():
    there = [SimHost("a", apart=["x"], edition=NEW), SimHost("b", apart=["x"])]
    assert set(plan(there)["hosts"]) == {"b"} and PACKAGE in plan(there)["offers"].popitem()[1]["changes"]
