"""
The one place where salt-klp starts a program.

Callers hand over ``cmd.run_all`` of Salt; nothing here knows which program it is. Programs of the administrator that
may do anything are started by ``bounded``: Salt keeps all that a program says in memory, and kills it without its
children.
"""

import contextlib
import logging
import os
import select
import signal
import subprocess
import time

import salt.utils.path
from salt.exceptions import CommandExecutionError

from klp_words import count

log = logging.getLogger(__name__)

LONGEST = 1500  # characters of an answer that an error message quotes
CHUNK, PULSE, REAP = 65536, 0.1, 5  # bytes that are read at once; seconds between two looks, and for a killed program


class CutOff(CommandExecutionError):
    """A program did not come to its own end: it was killed, or ran into its deadline; its children may still run."""


def parsed(reader, *args):
    """Return ``reader(*args)`` of a pure parser; text that it does not know is an error, never "nothing"."""
    try:
        return reader(*args)
    except ValueError as exc:
        raise CommandExecutionError(str(exc)) from exc


def detail(res):
    """
    Return what a program said, for an error message: standard error first, else standard output.

    res
        the dict of ``cmd.run_all``.
    """
    return shortened((res["stderr"] or "").strip() or (res["stdout"] or "").strip() or "no output")


def shortened(text, longest=LONGEST):
    """Return a text that is not longer than it may be: cut in the middle, at line ends where it has lines."""
    if len(text) <= longest:
        return text
    half = longest // 2
    head, tail = text[:half], text[-half:]
    head = head.rsplit("\n", 1)[0] if "\n" in head else head
    tail = tail.split("\n", 1)[1] if "\n" in tail else tail
    return f"{head}\n... ({count(len(text) - len(head) - len(tail), 'character')} left out) ...\n{tail}"


def ended(code):
    """Return how a program ended: its exit code, or the signal that killed it."""
    return f"exit {code}" if code >= 0 else f"was killed by signal {-code}"


def _hide(text, secrets):
    for secret in secrets:
        text = (text or "").replace(secret, "*****")
    return text


def _timed_out(res, timeout):
    """Salt reports a timeout as exit code 1 with a sentence on standard output (measured)."""
    return res["retcode"] != 0 and f"Timed out after {timeout} second" in (res["stdout"] or "")


def run(run_all, argv, ok=(0,), timeout=60, stdin="", env=None, secrets=(), quiet=False):
    """
    Start one program without a shell, wait for its end and return what it said.

    run_all
        ``cmd.run_all`` of Salt.
    argv
        list of strings; the first is looked up on PATH.
    ok
        exit codes that are not an error, or ``None`` for all of them.
    timeout
        deadline in seconds.
    stdin
        text given to the program; it is closed after that, so that nothing can ask a question.
    env
        dict of variables on top of ``LC_ALL=C``.
    secrets
        strings that must not be seen in the log or in what is returned.
    quiet
        the answer itself is secret: it is neither logged nor quoted in an error.

    Returns a dict with ``retcode`` (int), ``stdout`` and ``stderr``. Raises CommandExecutionError for a missing
    program, another exit code and a missed deadline.
    """
    program = salt.utils.path.which(argv[0])
    if not program:
        raise CommandExecutionError(f"{argv[0]}: command not found")
    log.debug("salt-klp starts: %s", " ".join(argv))
    res = run_all(
        [program] + list(argv[1:]),
        python_shell=False,
        env=dict({"LC_ALL": "C"}, **(env or {})),
        timeout=timeout,
        stdin=stdin,
        ignore_retcode=True,
        output_loglevel="quiet" if secrets or quiet else "debug",
    )
    res = dict(res, stdout=_hide(res["stdout"], secrets), stderr=_hide(res["stderr"], secrets))
    if _timed_out(res, timeout):
        raise CutOff(f"{' '.join(argv)}: no end within {count(timeout, 'second')}")
    if ok is not None and res["retcode"] not in ok:
        said = "its answer is not shown" if quiet else detail(res)
        raise CommandExecutionError(f"{' '.join(argv)}: {ended(res['retcode'])}: {said}")
    return res


def bounded(argv, timeout, longest=LONGEST):
    """
    Start a program that may do anything: without a shell, a terminal or input, in a process group of its own.

    argv
        list of strings; the first is looked up on PATH.
    timeout
        deadline in seconds; the whole process group is killed then.
    longest
        bytes that are kept of what it says, on both streams; the end of it.

    Returns ``{"retcode", "stdout"}``. Raises CutOff at the deadline, CommandExecutionError if it cannot be started. No
    message holds an argument.
    """
    child, deadline = _start(argv), time.monotonic() + timeout
    try:
        said = _read(child, deadline, longest)
        code = child.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as exc:
        _kill(child)
        raise CutOff(f"no end within {count(timeout, 'second')}") from exc
    finally:
        child.stdout.close()
    return {"retcode": code, "stdout": said.decode(errors="replace")}


def _start(argv):
    program = salt.utils.path.which(argv[0])
    if not program:
        raise CommandExecutionError("not found, or not executable")
    log.debug("salt-klp starts: %s", program)
    try:
        return subprocess.Popen(  # noqa: S603 - a list, without a shell
            [program] + list(argv[1:]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env=dict(os.environ, LC_ALL="C"),
        )
    except (OSError, ValueError) as exc:
        raise CommandExecutionError(f"cannot be started: {getattr(exc, 'strerror', None) or exc}") from exc


def _read(child, deadline, longest):
    """
    Read what a program says to its end, and keep the end of it.

    One that has ended may have left a child behind that keeps the pipe open: nobody waits for that.
    """
    said, pipe, ended = b"", child.stdout.fileno(), False
    poll = select.poll()
    poll.register(pipe, select.POLLIN | select.POLLHUP)
    while time.monotonic() < deadline:
        if poll.poll(0 if ended else 1000 * PULSE):
            chunk = os.read(pipe, CHUNK)
            said = (said + chunk)[-longest:]
            if not chunk:
                return said
        elif ended:
            return said
        else:
            ended = child.poll() is not None
    raise subprocess.TimeoutExpired(child.args[0], 0)


def _kill(child):
    """Kill a program with its process group; one that the kernel does not let go of is not waited for."""
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(REAP)
