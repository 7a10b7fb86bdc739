"""The page of a campaign that is driven: what it shows, when it is written, and that it never stops a campaign."""

import os
import stat
import time

import pytest

from _runners.klp import board, board_view, engine, files, standing, steering
from tests.unit.campaigns import HOSTILE, JOB, Written, under_way


def section(text, name):
    return text.partition(f'aria-labelledby="{name}-title"')[2].partition("</section>")[0]


def test_a_campaign_under_way():
    text = under_way().html(wait={"for": "wave one", "until": 1800000300})
    assert (
        '<meta http-equiv="refresh" content="10"></noscript>' in text
        and '<span class="badge info">running</span>' in text
    )
    assert "1 host running; a run may take 2.0 h" in section(text, "awaited")
    assert "wave one; the next look is at 2027-01-15 08:05:00 UTC" in section(text, "awaited")
    blocked = section(text, "blocked")
    for words in ("salt b klp.verify", "salt c klp.preflight", "salt d test.ping", "zypper: exit code 104", "no room"):
        assert words in blocked
    waves = section(text, "waves")
    assert "2 failed (limit 2), 1 unreachable (limit 2)" in waves and waves.count("<details open>") == 1
    assert "under way" in waves and "not begun" in waves and '<span class="tag bad">b <small>failed' in waves
    assert f"<code>{JOB}</code>" in section(text, "running")
    assert "wave one: started a, b" in section(text, "history") and "klp.pause" in text


def test_a_gate_that_failed_and_what_goes_back():
    found = under_way().end("a", JOB, "worse")
    found.add("gate", wave=0, why="wave one: 3 of 4 hosts failed, limit 2", back=["a", "b"], suspects=[])
    found.add("quarantine", items=[{"package": "lp", "edition": "3-1"}])
    text = found.add("back", hosts=["a"], jid="2", by=0).html(wait={"for": "the hosts that go back", "until": 0})
    assert "stopped here" in text and '<b class="late">3 failed' in text and "salt-run klp.release lp 3-1" in text
    assert "1 back waiting, 1 back running" in text and ", rollback" in text and "badge bad" in text
    assert "<title>Campaign" in text and "wave one: 3 of 4 hosts failed, limit 2" in text


def test_other_states_of_a_campaign():
    found = Written("ab", waves=[{"name": "all"}])
    assert "a person: not begun" in found.html(driven=False) and "klp.run" in found.html(driven=False)
    found.begin()
    assert "nothing: the next step is being done" in found.html() and "No host is blocked" in found.html()
    assert "interrupted, no process drives it" in found.html(driven=False)
    assert 'http-equiv="refresh" content="60"' in found.html(driven=False)
    found.start("ab", JOB).end("ab", JOB).add("patched", wave=0)
    assert "watched" in section(found.html(), "waves")
    found.check(last=True).add("passed", wave=0).add("end", result="done")
    text = found.html(driven=False)
    assert '<span class="badge good">done at' in text and 'id="again"' not in text and "What is awaited" not in text
    assert "klp.report" in text and "passed" in section(text, "waves")


def test_a_host_that_is_silent_is_blocked():
    found = Written("ab", waves=[{"name": "all"}]).begin().start("ab", JOB).add("silent", hosts=["a"])
    text = found.html()
    assert board_view.SILENT in section(text, "blocked") and "salt a klp.blockers" in text
    assert ", silent" in section(text, "running")


def test_many_hosts_are_counted():
    names = [f"h{number:03}" for number in range(300)]
    found = Written(names, waves=[{"name": "all"}], batch=300, limits={"failed": 300}).begin().start(names, JOB)
    assert "And 200 more" in section(found.html(), "running") and "And 100 more" in section(found.html(), "waves")
    text = found.end(names, JOB, "no").html()
    assert text.count("salt h") == board_view.ROWS and len(text) < 200_000


def test_what_hosts_write_is_text():
    found = Written([HOSTILE, "b"], waves=[{"name": "all"}]).begin().start([HOSTILE], JOB).end([HOSTILE], JOB, HOSTILE)
    text = found.html()
    assert "<script>alert" not in text and "&lt;script&gt;" in text and "fits into no command line" in text
    assert all(char.isprintable() or char == "\n" for char in text)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    found = {"now": 1000.0}
    monkeypatch.setattr(board.time, "monotonic", lambda: found["now"])
    return found


@pytest.fixture
def page(tmp_path):
    """A page of a campaign that is under way, and what is said of it."""
    said: list = []
    book = under_way()
    found = board.Board(str(tmp_path / board.NAME), book.found, book.entries, lambda: book.now, said.append)
    return found, tmp_path / board.NAME, said


def test_it_is_written_at_each_step_but_not_all_the_time(page, clock):
    found, path, said = page
    assert found.turn(30) == 30 and path.exists() and stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    found.note({"what": "pause", "by": "anna", "number": 1, "at": 1800000000, "n": 9})
    assert (found.turn(0), found.turn(30), path.exists()) == (0, board.LEAST, False)
    clock["now"] += board.LEAST
    assert found.turn(30) == 30 and "paused by anna" in path.read_text()
    path.unlink()
    found.rest({"for": "wave one", "until": 1800000300})
    found.rest({"for": "wave one", "until": 1800000305})
    clock["now"] += board.LEAST
    assert found.turn(30) == 30 and "wave one; the next look is at 2027-01-15 08:05:05" in path.read_text()
    path.unlink()
    assert found.turn(30) == 30 and not path.exists()
    clock["now"] += board.MOST + 1
    found.turn(30)
    assert path.exists() and said == []


def test_the_last_state_is_always_written(page, clock):
    found, path, _ = page
    found.turn(30)
    path.unlink()
    assert found.turn(None) is None and path.exists()


def test_an_error_is_told_once_and_stops_nothing(page, clock):
    found, path, said = page
    path.mkdir()
    for _ in range(3):
        found.note({"what": "pause", "by": "anna", "number": 1, "at": 1800000000, "n": 9})
        clock["now"] += board.LEAST
        assert found.turn(30) == 30
    assert len(said) == 1 and "cannot be written, the campaign goes on: " in said[0] and str(path) in said[0]
    path.rmdir()
    found.write(True)
    assert path.exists()
    path.unlink()
    path.mkdir()
    found.write(True)
    assert len(said) == 2


def test_a_defect_stops_nothing(page, monkeypatch):
    found, _, said = page
    monkeypatch.setattr(board_view, "view", lambda *args: dict[str, dict]()["lost"])
    assert found.turn(30) == 30 and "'lost'" in said[0]


def test_a_campaign_that_is_run_has_a_page(master):
    name = master.plan()
    assert master.run("run", name)["retcode"] == 0
    path = standing.Standing(master.opts).store.path(name, board.NAME)
    text = open(path).read()
    assert "done at" in text and 'http-equiv="refresh"' not in text and stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_campaign_that_cannot_go_on_says_so(master, monkeypatch):
    name = master.plan()
    monkeypatch.setattr(steering.drive.Driver, "_look", lambda driver: (_ for _ in ()).throw(files.DiskError("full")))
    assert "has to wait" in master.run("run", name)["text"]
    assert (
        "interrupted, no process drives it" in open(standing.Standing(master.opts).store.path(name, board.NAME)).read()
        or "not begun" in open(standing.Standing(master.opts).store.path(name, board.NAME)).read()
    )


def test_status_says_that_a_page_is_out_of_date(tmp_path):
    path, journal = str(tmp_path / board.NAME), str(tmp_path / "journal")
    now = time.time()
    assert board.stale(path, journal, now - 10, now) is None
    assert "is out of date" in board.stale(path, journal, now - 100, now)
    for name, at in ((path, now - 100), (journal, now)):
        open(name, "w").close()
        os.utime(name, (at, at))
    assert path in board.stale(path, journal, now - 100, now)
    os.utime(path, (now, now))
    assert board.stale(path, journal, now - 100, now) is None


def test_status_looks_at_the_page_while_the_campaign_is_driven(master, monkeypatch):
    name = master.plan()
    master.run("run", name)
    found = standing.Standing(master.opts)
    monkeypatch.setattr(board, "stale", lambda *args: "The page is out of date")
    assert "out of date" not in found.answer(name)["text"]
    monkeypatch.setattr(found.store, "driven", lambda name: True)
    assert found.answer(name)["text"].endswith("\nThe page is out of date")


def test_the_engine_logs_what_keeps_a_page_from_being_written(master, caplog):
    found = engine.Engine(master.opts, 1, lambda: False, engine.Problems())
    for _ in range(2):
        found.complain("the page cannot be written")
    assert [row.levelname for row in caplog.records if "klp_campaign: the page cannot" in row.message] == ["ERROR"]


def test_a_driver_tells_what_keeps_a_page_from_being_written(master):
    said: list = []
    steering.Steering(master.opts, said.append).complain("the page cannot be written")
    assert said == ["the page cannot be written"]
