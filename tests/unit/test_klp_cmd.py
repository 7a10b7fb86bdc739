"""The one place that starts a program."""

import logging
import re

import pytest
from salt.exceptions import CommandExecutionError

import klp_cmd


class RunAll:
    """``cmd.run_all`` with one answer."""

    def __init__(self, retcode=0, stdout="", stderr=""):
        self.answer = {"retcode": retcode, "stdout": stdout, "stderr": stderr, "pid": 1}

    def __call__(self, cmd, **options):
        self.cmd, self.options = cmd, options
        return self.answer


@pytest.fixture(autouse=True)
def installed(paths):
    """The programs that are installed."""
    return paths


def test_a_program_gets_a_list_no_shell_and_the_c_locale():
    run_all = RunAll(stdout="ready")
    res = klp_cmd.run(run_all, ["klp", "status"])
    assert (res["retcode"], res["stdout"], res["stderr"]) == (0, "ready", "")
    assert run_all.cmd == ["/usr/bin/klp", "status"]
    assert run_all.options == {
        "python_shell": False,
        "env": {"LC_ALL": "C"},
        "timeout": 60,
        "stdin": "",
        "ignore_retcode": True,
        "output_loglevel": "debug",
    }


def test_a_program_gets_more_variables_and_text_on_standard_input():
    run_all = RunAll()
    klp_cmd.run(run_all, ["klp"], env={"KLP_RUN": "1"}, stdin="text", timeout=5)
    assert run_all.options["env"] == {"LC_ALL": "C", "KLP_RUN": "1"}
    assert (run_all.options["stdin"], run_all.options["timeout"]) == ("text", 5)


def test_a_missing_program_is_not_started(installed):
    installed.discard("klp")
    run_all = RunAll()
    with pytest.raises(CommandExecutionError, match="^klp: command not found$"):
        klp_cmd.run(run_all, ["klp", "status"])
    assert not hasattr(run_all, "cmd")


@pytest.mark.parametrize(
    ("stdout", "stderr", "said"),
    [
        ("out\n", "err\n", "err"),
        ("out\n", " \n", "out"),
        ("", "", "no output"),
        (None, None, "no output"),
        ("", "begin" + "x" * 2000 + "end", klp_cmd.shortened("begin" + "x" * 2000 + "end")),
    ],
)
def test_an_exit_code_that_was_not_expected_is_an_error(stdout, stderr, said):
    with pytest.raises(CommandExecutionError) as error:
        klp_cmd.run(RunAll(3, stdout, stderr), ["klp", "-v", "patches"], ok=(0, 1))
    assert str(error.value) == f"klp -v patches: exit 3: {said}"


@pytest.mark.parametrize(("code", "said"), [(1, "exit 1"), (137, "exit 137"), (-9, "was killed by signal 9")])
def test_a_program_ends_by_itself_or_is_killed(code, said):
    assert klp_cmd.ended(code) == said
    with pytest.raises(CommandExecutionError) as error:
        klp_cmd.run(RunAll(code), ["rpm", "-q"])
    assert str(error.value) == f"rpm -q: {said}: no output"


@pytest.mark.parametrize("text", ["", "short", "a\nb\n", "x" * klp_cmd.LONGEST])
def test_a_text_that_is_short_enough_stays_as_it_is(text):
    assert klp_cmd.shortened(text) == text


def test_a_long_answer_is_cut_in_the_middle_at_line_ends():
    lines = [f"line {number}" for number in range(1000)]
    head, left, tail = re.split(r"\n\.\.\. \((\d+) characters left out\) \.\.\.\n", klp_cmd.shortened("\n".join(lines)))
    assert head.splitlines() == lines[: len(head.splitlines())]
    assert tail.splitlines() == lines[-len(tail.splitlines()) :]
    assert 2 * klp_cmd.LONGEST // 3 < len(head) + len(tail) <= klp_cmd.LONGEST
    assert int(left) == len("\n".join(lines)) - len(head) - len(tail)


@pytest.mark.parametrize("longest", [10, 11, 1500])
def test_a_long_line_is_cut_where_it_is(longest):
    text = "begin " + "x" * 5000 + " end"
    head, left, tail = klp_cmd.shortened(text, longest).split("\n")
    half = longest // 2
    assert (head, tail) == (text[:half], text[-half:])
    assert left == f"... ({len(text) - 2 * half} characters left out) ..."


def test_a_text_that_is_not_known_is_an_error_and_never_nothing():
    assert klp_cmd.parsed(int, "7") == 7
    with pytest.raises(CommandExecutionError, match="invalid literal for int"):
        klp_cmd.parsed(int, "x")


def test_expected_exit_codes_are_no_errors():
    assert klp_cmd.run(RunAll(1), ["klp"], ok=(0, 1))["retcode"] == 1
    assert klp_cmd.run(RunAll(99), ["klp"], ok=None)["retcode"] == 99


@pytest.mark.parametrize("ok", [(0,), (0, 1), None])
def test_a_missed_deadline_is_an_error_whatever_is_expected(ok):
    run_all = RunAll(1, "[Errno] ... Timed out after 5 seconds", "")
    with pytest.raises(CommandExecutionError, match="^klp status: no end within 5 seconds$"):
        klp_cmd.run(run_all, ["klp", "status"], ok=ok, timeout=5)


def test_a_program_may_talk_of_timeouts():
    said = "mirror: Timed out after 60 seconds"
    assert klp_cmd.run(RunAll(0, said), ["klp"])["stdout"] == said


def test_secrets_are_nowhere_to_be_seen(caplog):
    caplog.set_level(logging.DEBUG)
    run_all = RunAll(1, "code ABC is bad", "ABC")
    with pytest.raises(CommandExecutionError) as error:
        klp_cmd.run(run_all, ["klp"], stdin="ABC", secrets=["ABC"])
    assert run_all.options["output_loglevel"] == "quiet"
    assert str(error.value) == "klp: exit 1: *****"
    res = klp_cmd.run(run_all, ["klp"], ok=None, stdin="ABC", secrets=["ABC"])
    assert (res["stdout"], res["stderr"]) == ("code ***** is bad", "*****")
    assert "ABC" not in caplog.text


def test_a_quiet_answer_is_neither_logged_nor_quoted():
    run_all = RunAll(1, "ABC", "")
    with pytest.raises(CommandExecutionError, match="^klp: exit 1: its answer is not shown$"):
        klp_cmd.run(run_all, ["klp"], quiet=True)
    assert run_all.options["output_loglevel"] == "quiet"
