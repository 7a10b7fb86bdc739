"""The engine of the master, over simulated hosts: what it takes, what it leaves alone, and what it says."""

import contextlib
import itertools
import logging

import pytest
from salt.exceptions import CommandExecutionError

from _runners.klp import drive, engine, files, steering, turning
from tests.simulation.world import NEW
from tests.unit import damage

BY = engine.BY
DISK = files.DiskError("/x: cannot be written (No space left on device); make room")


@pytest.fixture
def said(caplog):
    """What the engine logs as problems."""
    caplog.set_level(logging.WARNING, engine.log.name)
    return lambda: [record.getMessage().removeprefix("klp_campaign: ") for record in caplog.records]


@pytest.fixture
def serve(master, monkeypatch):
    """Serve as a master would for so many rounds; between them something is done."""

    clock = itertools.count(1000.0, 0.5)
    monkeypatch.setattr(engine.time, "monotonic", lambda: next(clock))

    def served(*between, rounds=1, every=1):
        done, left = [], list(between)

        def doze(seconds, gone):
            if left:
                left.pop(0)()
            done.append(seconds)

        monkeypatch.setattr(engine, "doze", doze)
        engine.serve(master.opts, every, lambda: len(done) >= max(rounds, len(between) + 1))
        return done

    return served


def two(master, there):
    """Begin two campaigns: over web0, and over all others."""
    names = [master.plan(target="web0"), master.plan(target="w*", exclude=["web0"])]
    for name in names:
        there.begin(name, by="anna", master="m")
    return names


def what(there, name):
    return [entry["what"] for entry in there.entries(name)]


# -- what it takes -----------------------------------------------------------------------------------------------


def test_it_drives_what_has_begun_and_sums_it_up(master, there, serve, said):
    name = master.plan()
    there.begin(name, by="anna", master="m")
    serve()
    assert there.finished(name)["state"] == "done" and not there.driven(name)
    first = there.entries(name)[0]
    assert (first["what"], first["by"]) == ("begin", "anna"), "who has approved it is no engine"
    assert said() == []


def test_it_goes_on_with_what_was_interrupted_and_says_who_does(master, there, serve):
    name = damage.begun(master, there)
    serve()
    (entry,) = [item for item in there.entries(name) if item["what"] == "resume"]
    assert (entry["by"], entry["master"]) == (BY, "master_master")
    assert master.run("status", name)["retcode"] == 0


@pytest.mark.parametrize("who", ["engine", "resume"])
def test_what_is_interrupted_meanwhile_is_taken_at_once(master, there, serve, monkeypatch, who):
    first, later = master.plan(target="web0"), master.plan(target="w*", exclude=["web0"])
    there.begin(first)
    wait = master.fleet.wait

    def begin(seconds):
        if not there.begun(later):
            there.begin(later)
        wait(seconds)

    monkeypatch.setattr(master.fleet, "wait", begin)
    if who == "engine":
        serve()
    else:
        answer = master.run("resume")
        assert (answer["retcode"], answer["campaigns"]) == (0, [first, later])
    starts = [item["at"] for item in there.entries(later) if item["what"] == "start"]
    assert starts[0] < there.entries(first)[-1]["at"], "beside the first one"
    assert what(there, later)[-1] == "end"


def test_between_two_looks_nobody_looks(master, there):
    waiting = steering.Waiting(steering.Team(steering.Steering(master.opts), "x"))
    assert waiting.newcomers(1) == ([], steering.EVERY)
    there.begin(master.plan())
    found, seconds = waiting.newcomers(1)
    assert found == [] and 0 < seconds <= steering.EVERY


def test_a_campaign_that_a_person_drives_is_left_alone_until_that_process_is_gone(master, there, serve, said):
    name, held = damage.begun(master, there), contextlib.ExitStack()
    held.enter_context(there.alone(name))
    kept = []
    serve(lambda: kept.append(what(there, name)), held.close, rounds=3)
    assert "resume" not in kept[0] and what(there, name)[-1] == "end" and said() == []


def test_a_person_who_is_quicker_keeps_the_campaign(master, there, serve, monkeypatch, said):
    name = damage.begun(master, there)
    monkeypatch.setattr(store_of(there), "driven", lambda self, name, moment=0: False)
    with there.alone(name):
        serve()
    assert "resume" not in what(there, name) and said() == []


def store_of(there):
    return type(there)


def test_what_is_paused_waits_for_a_person_and_is_not_read_again_and_again(master, there, serve, monkeypatch):
    name = master.plan()
    there.begin(name)
    master.run("pause", name)
    serve()
    assert "pause" in what(there, name) and master.fleet.sent == {}
    real = steering.Steering.waits
    reads: list = []
    orders: list = []

    def read(self, name):
        reads.append(name)
        return real(self, name)

    monkeypatch.setattr(steering.Steering, "waits", read)

    def order():
        assert len(reads) == 1, "three looks, one of which has read the journal"
        with there.engine() if not there.attended() else contextlib.nullcontext():
            orders.append(master.run("resume", name, wait=False))

    serve(lambda: None, lambda: None, order, rounds=5)
    assert orders[0]["retcode"] == 6 and "the engine of this master drives campaign" in orders[0]["text"]
    assert what(there, name)[-1] == "end"
    assert [item["by"] for item in there.entries(name) if item["what"] == "resume"] == ["sudo_anna"]


def test_a_wish_to_end_that_nobody_has_read_is_heard(master, there, serve):
    name = master.plan()
    there.begin(name)
    master.run("pause", name)
    master.run("run", name)
    there.wish(name, "abort", "sudo_anna", master.fleet.time)
    serve()
    assert there.entries(name)[-1]["result"] == "aborted"


# -- what is left to it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "resume"])
def test_nothing_is_left_to_an_engine_that_is_not_there(master, there, command):
    name = master.plan()
    sentence = master.refused(command, name, wait=False)
    assert sentence.startswith("no engine klp_campaign runs on this master") and "leave out wait=False" in sentence
    assert not there.begun(name)
    assert master.refused(command, name, wait="no") == "wait: wanted true or false, found 'no'"


def test_what_is_left_to_it_has_begun_and_is_driven_by_nobody_else(master, there):
    name = master.plan()
    with there.engine():
        answer = master.run("run", name, wait=False)
        assert (answer["retcode"], answer["campaign"]["state"]) == (6, "running")
        assert there.begun(name) and there.entries(name) == [] and not there.driven(name)
        assert master.run("resume", wait=False)["text"] == "the engine of this master drives all that waits"
        with there.alone(name):  # the engine has taken it already
            assert master.run("run", name, wait=False)["retcode"] == 6
            assert master.run("resume", name, wait=False)["retcode"] == 6
        assert "salt-run klp.run" in master.refused("resume", master.plan(target="web0"), wait=False)


def test_who_begins_a_campaign_drives_it(master, there, monkeypatch):
    """The engine looks between the beginning and the driving, and finds it driven."""
    name, begin, seen = master.plan(), type(there).begin, []

    def look(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        seen.append(self.driven(name, 0))

    monkeypatch.setattr(type(there), "begin", look)
    assert master.run("run", name)["retcode"] == 0 and seen == [True]


def test_what_a_person_wants_is_written_down_also_where_another_process_is_quicker(master, there, monkeypatch):
    name = master.plan()
    there.begin(name)
    master.run("pause", name)
    with there.alone(name):
        assert "another process drives campaign" in master.refused("resume", name)
        assert there.wished(name)["want"] == "resume"
        monkeypatch.setattr(type(there), "driven", lambda *args: False)
        assert master.run("abort", name)["retcode"] == 0
    assert there.wished(name)["want"] == "abort"


# -- what goes wrong ---------------------------------------------------------------------------------------------


def test_a_damaged_campaign_is_said_once_and_the_others_go_on(master, there, serve, said):
    ill = damage.begun(master, there)
    whole = open(there.path(ill, damage.JOURNAL), "rb").read()
    damage.flipped(there.path(ill, damage.JOURNAL))
    other = master.plan(target="w*", exclude=["web0"])
    there.begin(other)

    def repair():
        open(there.path(ill, damage.JOURNAL), "wb").write(whole)

    serve(lambda: None, lambda: None, repair, rounds=5)
    (sentence,) = said()
    assert sentence.startswith(f"campaign {ill} has to wait: ") and f"salt-run klp.set_aside {ill}" in sentence
    assert what(there, ill)[-1] == what(there, other)[-1] == "end"


@pytest.mark.parametrize("error", [DISK, KeyError("web0")], ids=["disk", "defect"])
def test_what_cannot_go_on_is_said_once_and_tried_later_and_later(master, there, serve, said, monkeypatch, error):
    ill, other = two(master, there)
    clock, step = [1000.0], drive.Driver.step
    tries: list = []

    def fail(self):
        if self.plan["id"] == ill and len(tries) < 4:
            tries.append(clock[0])
            raise error
        return step(self)

    def later():
        clock[0] += 10

    monkeypatch.setattr(drive.Driver, "step", fail)
    monkeypatch.setattr(engine.time, "monotonic", lambda: clock[0])
    serve(*[later] * 20, every=10)
    assert [late - soon for soon, late in zip(tries, tries[1:], strict=False)] == [10, 20, 40]
    (sentence,) = said()
    assert sentence.startswith(f"campaign {ill} has to wait: ") and ("a defect" in sentence) == (error is not DISK)
    assert what(there, ill)[-1] == what(there, other)[-1] == "end"
    assert {host.edition for host in master.fleet.hosts.values()} == {NEW}


def test_a_problem_that_was_away_is_said_again(said, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(engine.time, "monotonic", lambda: clock[0])
    problems = engine.Problems()
    for at in (0, 800, 1600, 2600):
        clock[0] = at
        problems.say("full")
    assert said() == ["full", "full"]


def test_a_master_that_is_away_is_said_once_and_waited_for(master, there, serve, said, monkeypatch):
    name, send, away = damage.begun(master, there), master.fleet.send, [True]

    def gone(*args):
        if away:
            raise turning.GoneError("the master does not take jobs")
        return send(*args)

    monkeypatch.setattr(master.fleet, "send", gone)
    monkeypatch.setattr(turning, "PATIENCE", -1)
    serve(lambda: None, away.clear)
    assert said() == ["the master does not take jobs"] and what(there, name)[-1] == "end"
    assert not there.driven(name)


def test_a_person_who_resumes_all_is_told_that_the_master_is_gone(master, there, monkeypatch):
    name = damage.begun(master, there)

    def gone(*args):
        raise turning.GoneError("the master does not take jobs")

    monkeypatch.setattr(master.fleet, "ask", gone)
    monkeypatch.setattr(turning, "PATIENCE", -1)
    answer = master.run("resume")
    assert (answer["retcode"], answer["campaigns"], answer["error"]) == (9, [name], "the master does not take jobs")


def test_a_folder_that_cannot_be_read_stops_none_that_is_driven(master, there, serve, said, monkeypatch):
    ill = damage.begun(master, there)
    looks, real = [], type(there).open_campaigns

    def fail(self):
        looks.append(1)
        if len(looks) > 1:
            raise files.DamagedError("/x: cannot be read (Input/output error)")
        return real(self)

    monkeypatch.setattr(type(there), "open_campaigns", fail)
    serve()
    assert what(there, ill)[-1] == "end" and len(looks) > 2
    assert said() == ["/x: cannot be read (Input/output error); restore it from a backup"]


def test_without_a_folder_it_says_so_and_waits(master, serve, said, tmp_path):
    (tmp_path / "file").write_text("")
    master.opts["klp_folder"] = str(tmp_path / "file")
    assert serve(rounds=3, every=7) == [7, 7, 7]
    (sentence,) = said()
    assert "make it for the user of the master: install -d -m 0700 -o root " in sentence


def test_two_engines_are_one_too_many(master, there, serve, said):
    name, other = damage.begun(master, there), contextlib.ExitStack()
    other.enter_context(there.engine())
    serve(lambda: None, other.close)
    assert said() == ["another engine drives the campaigns of this master"] and what(there, name)[-1] == "end"


# -- its end -----------------------------------------------------------------------------------------------------


def test_it_ends_with_its_master_also_in_the_middle(master, there, monkeypatch, said):
    name, wait = damage.begun(master, there), master.fleet.wait
    over: list = []

    def end(seconds):
        over.append(seconds)
        wait(seconds)

    monkeypatch.setattr(master.fleet, "wait", end)
    engine.serve(master.opts, 1, lambda: bool(over))
    assert what(there, name)[-1] != "end" and not there.driven(name) and not there.attended()
    assert said() == []
    assert master.run("resume")["retcode"] == 0


def test_it_ends_when_its_files_have_changed_and_all_of_them_have_come(master, serve, monkeypatch):
    own = engine.turning.__file__
    changes, real = [1, 1, 2, 3, 3, 4], files.seen
    monkeypatch.setattr(engine, "stamp", lambda: {own: 1})
    monkeypatch.setattr(files, "seen", lambda path: changes.pop(0) if path == own else real(path))
    serve(rounds=50)
    assert changes == [4]


def test_it_knows_its_files():
    found = engine.stamp()
    assert engine.klp_fresh.__file__ in found and all(found.values())


def test_it_dozes_only_as_long_as_its_master_is_there(monkeypatch):
    naps: list = []
    monkeypatch.setattr(engine.time, "sleep", naps.append)
    engine.doze(60, lambda: len(naps) == 3)
    engine.doze(0, lambda: False)
    assert naps == [engine.BREATH] * 3


def test_a_defect_in_the_command_of_a_person_is_not_hidden(monkeypatch):
    class Ill:
        plan = {"id": "x"}

        def step(self):
            raise KeyError("x")

    with pytest.raises(KeyError):
        turning.turn([Ill()], drop=lambda driver, exc: None)
    with pytest.raises(CommandExecutionError):
        turning.turn([], more=raising(engine.EndedError("x")))


def raising(exc):
    def more(left):
        raise exc

    return more
