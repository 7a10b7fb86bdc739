"""
The one place where salt-klp starts a program.

Callers hand over ``cmd.run_all`` of Salt; nothing here knows which program it is.
"""

import logging

import salt.utils.path
from salt.exceptions import CommandExecutionError

log = logging.getLogger(__name__)

LONGEST = 1500  # characters of an answer that an error message quotes


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
    return f"{head}\n... ({len(text) - len(head) - len(tail)} characters left out) ...\n{tail}"


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
        raise CutOff(f"{' '.join(argv)}: no end within {timeout} seconds")
    if ok is not None and res["retcode"] not in ok:
        said = "its answer is not shown" if quiet else detail(res)
        raise CommandExecutionError(f"{' '.join(argv)}: {ended(res['retcode'])}: {said}")
    return res
