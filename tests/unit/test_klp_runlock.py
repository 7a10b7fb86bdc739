"""Two runs exclude each other: the second one is told which process has the lock, and it is free with its end."""

import gc
import json
import os
import threading

import pytest
from salt.exceptions import CommandExecutionError

import klp_paths
import klp_runlock
from tests.unit.hosts import ONE, another_run, has, is_free, lock_path, repository, wrote


@pytest.fixture(autouse=True)
def own_job(minion):
    """Each test is a job of its own, with a lock file of its own."""
    yield
    klp_runlock.release()


def said(handle):
    with open(handle, encoding="utf-8") as file:
        return json.load(file)


def test_the_lock_says_who_has_it_and_is_private():
    assert klp_runlock.take("klp.install") is True
    found = said(lock_path())
    assert (found["pid"], found["what"], found["since"]) == (os.getpid(), "klp.install", 1_700_000_000)
    assert os.stat(lock_path()).st_mode & 0o777 == 0o600 and not is_free()
    klp_runlock.release()
    assert is_free()


def test_the_second_run_is_told_which_process_has_the_lock(minion, programs):
    has(minion, ONE)
    repository(minion)
    with another_run("klp.patch"), pytest.raises(CommandExecutionError) as error:
        minion.salt["klp.install"]()
    assert str(error.value) == (
        "process 4711 is changing this host (klp.patch, since T1700000000), and only one run at a time may do so; wait "
        "until it ends, or look at it with: ps -fp 4711"
    )
    assert programs.calls == [] and wrote(minion) == []
    assert klp_runlock.take("now the other one has ended") is True


@pytest.mark.parametrize("text", ["", "[", "[]", "7", '{"pid": 1}', '{"pid": "x", "what": 1, "since": 2}', "\udcff"])
def test_a_lock_file_of_another_form_names_nobody_and_counts_all_the_same(minion, text):
    with another_run("x"):
        with open(lock_path(), "wb") as handle:
            handle.write(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(CommandExecutionError, match="^another run of salt-klp is changing this host; wait for its"):
            klp_runlock.take("klp.install")


def test_what_another_one_does_is_quoted_shortly():
    with another_run("x" * 500), pytest.raises(CommandExecutionError) as error:
        klp_runlock.take("klp.install")
    assert f"({'x' * 60}, since" in str(error.value)


def test_the_same_job_may_take_it_again_and_keeps_it_to_its_end(minion):
    with minion.host.exclusive("outer"):
        with minion.host.exclusive("inner"):
            assert said(lock_path())["what"] == "outer"
        assert not is_free()
    assert is_free()


def test_a_run_of_the_formula_keeps_it_over_its_states(minion):
    assert klp_runlock.take("a run of the formula klp") is True
    with minion.host.exclusive("klp-live-patch"):
        pass
    assert not is_free() and klp_runlock.take("again") is False


def test_an_error_sets_it_free(minion):
    def break_():
        with minion.host.exclusive("x"):
            raise CommandExecutionError("broke")

    with pytest.raises(CommandExecutionError, match="^broke$"):
        break_()
    assert is_free()


def in_thread(function):
    """Return what a function returned or raised in another thread, as a job of a minion without processes."""
    answers = []

    def call():
        try:
            answers.append(function())
        except CommandExecutionError as exc:
            answers.append(str(exc))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return answers[0]


def test_jobs_of_one_minion_exclude_each_other_too():
    klp_runlock.take("klp.install")
    refused = in_thread(lambda: klp_runlock.take("klp.hold"))
    assert refused.startswith(f"process {os.getpid()} is changing this host (klp.install, since T1700000000)")


def test_the_end_of_a_job_frees_the_lock_whatever_is_kept_of_it(minion):
    kept = {}

    def job():
        kept["host"] = minion.host
        return klp_runlock.take("a run of the formula klp")

    assert in_thread(job) is True
    gc.collect()
    assert is_free() and kept["host"]


def test_a_sync_in_the_middle_of_a_run_does_not_lock_it_out(monkeypatch):
    """The new file knows nothing of the lock that the old one took for this job."""
    assert klp_runlock.take("a run of the formula klp") is True
    monkeypatch.setattr(klp_runlock, "_job", threading.local())
    assert klp_runlock.take("klp-live-patch") is False
    assert not is_free()


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_lock_file_that_cannot_be_opened_is_an_error(minion, kind):
    os.makedirs(klp_paths.RUN)
    os.makedirs(lock_path()) if kind == "folder" else os.symlink("/etc/passwd", lock_path())
    with pytest.raises(CommandExecutionError, match="run.lock: (Is a directory|Too many levels of symbolic links)"):
        klp_runlock.take("x")


def test_a_full_disk_takes_the_message_away_and_not_the_lock(monkeypatch):
    monkeypatch.setattr(os, "pwrite", lambda *args: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert klp_runlock.take("x") is True
    assert not is_free() and os.path.getsize(lock_path()) == 0
