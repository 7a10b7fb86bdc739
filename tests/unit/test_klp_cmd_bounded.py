"""Programs of the administrator, which may do anything: here they are really started."""

import contextlib
import logging
import os
import signal
import subprocess
import time

import pytest
from salt.exceptions import CommandExecutionError

import klp_cmd
from tests.lab.host import wait_until

POPEN = subprocess.Popen.__init__


@pytest.fixture
def real(monkeypatch, no_program_is_started):
    """Programs are really started."""
    monkeypatch.setattr(subprocess.Popen, "__init__", POPEN)


def sh(script, *args, **kwargs):
    return klp_cmd.bounded(["sh", "-c", script, *args], *kwargs.pop("timeout", (5,)), **kwargs)


def test_a_program_has_no_input_no_terminal_and_no_shell(real):
    assert klp_cmd.bounded(["echo", "$HOME;", "*"], 5) == {"retcode": 0, "stdout": "$HOME; *\n"}
    assert sh("cat; pwd; echo $LC_ALL; echo err >&2; exit 3") == {"retcode": 3, "stdout": "/\nC\nerr\n"}
    assert sh("kill -9 $$")["retcode"] == -9


def test_only_the_end_of_what_a_program_says_is_kept(real):
    begun = time.monotonic()
    found = sh("head -c 20000000 /dev/zero | tr '\\0' x; printf '\\377end'", longest=10)
    assert (found, time.monotonic() - begun < 5) == ({"retcode": 0, "stdout": "xxxxxx\ufffdend"}, True)


def alive(folder):
    """Return whether the process that wrote its id runs."""
    pid = (folder / "pid").read_text().strip()
    with contextlib.suppress(FileNotFoundError):
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] not in "ZX"
    return False


@pytest.mark.parametrize("script", ["sleep 60 & echo $! >{}; wait", "sleep 60 & echo $! >{}; exec >&- 2>&-; wait"])
def test_a_program_that_hangs_is_killed_with_its_children(real, tmp_path, script):
    begun = time.monotonic()
    with pytest.raises(klp_cmd.CutOff, match="^no end within 0.3 seconds$"):
        sh(script.format(tmp_path / "pid"), timeout=(0.3,))
    assert time.monotonic() - begun < 3
    wait_until(lambda: not alive(tmp_path), 5, "its child to be gone")


def test_a_program_that_never_stops_talking_is_killed(real):
    with pytest.raises(klp_cmd.CutOff, match="^no end within 0.3 seconds$"):
        klp_cmd.bounded(["yes"], 0.3)


def test_nobody_waits_for_what_a_program_has_left_behind(real, tmp_path):
    begun = time.monotonic()
    found = sh("sleep 60 & echo $! >$0; echo well", str(tmp_path / "pid"))
    assert (found, alive(tmp_path)) == ({"retcode": 0, "stdout": "well\n"}, True)
    assert time.monotonic() - begun < 3
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_program_that_the_kernel_does_not_let_go_of_is_not_waited_for(real, monkeypatch):
    killed: list = []
    monkeypatch.setattr(klp_cmd, "REAP", 0.1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "killpg", lambda group, number: killed.append(group))
        with pytest.raises(klp_cmd.CutOff):
            klp_cmd.bounded(["sleep", "60"], 0.1)
    os.killpg(killed[0], signal.SIGKILL)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (None, 0, "not found, or not executable"),
        ("x", 0o644, "not found, or not executable"),
        ("\0\1\2", 0o755, "cannot be started: Exec format error"),
        ("#!/no/such/interpreter\n", 0o755, "cannot be started: No such file or directory"),
    ],
)
def test_a_program_that_cannot_be_started_is_an_error(real, tmp_path, text, mode, said):
    path = tmp_path / "program"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(CommandExecutionError, match=f"^{said}$"):
        klp_cmd.bounded([str(path), "SECRET"], 5)


def test_arguments_of_such_a_program_are_not_logged(real, caplog):
    caplog.set_level(logging.DEBUG)
    klp_cmd.bounded(["echo", "SECRET"], 5)
    assert "salt-klp starts: " in caplog.text and "SECRET" not in caplog.text
