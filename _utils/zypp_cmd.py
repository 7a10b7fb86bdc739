"""
How zypper is called: options, patience with its locks, and the one table of its exit codes.
"""

import html
import math
import os
import re
import time

import salt.utils.path
import salt.utils.systemd
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_cmd
import klp_paths
from klp_words import count

PACKAGE_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"
ADVISORY_ID = r"[A-Za-z0-9]([A-Za-z0-9._+-]|:[A-Za-z0-9]){0,127}"
NAME = re.compile(rf"(pattern:)?{PACKAGE_NAME}(=[A-Za-z0-9][A-Za-z0-9._+~^:-]{{0,127}})?\Z")
ADVISORY = re.compile(rf"{ADVISORY_ID}\Z")
LOCK = re.compile(rf"(patch:{ADVISORY_ID}|{PACKAGE_NAME}(>[0-9][A-Za-z0-9._+~-]{{0,127}})?)\Z")
CAPABILITY = re.compile(r"[A-Za-z0-9/][A-Za-z0-9/ ()._+:=<>~-]{0,255}\Z")

NAMES = {"package": NAME, "advisory": ADVISORY, "lock": LOCK}
GRAMMAR = {
    "package": ("packages", "a package name"),
    "advisory": ("advisories", "the id of an advisory"),
    "lock": ("locks", "NAME, NAME>EDITION or patch:ID"),
}

# zypper(8), EXIT CODES, with what was measured about them.
EXIT_CODES = {
    0: "done, or nothing to do",
    1: "a bug in zypper",
    2: "an option that this zypper does not know",
    3: "an argument that zypper does not accept",
    4: "the solver found a problem, or a file could not be written; nothing was installed",
    5: "zypper needs root",
    6: "no repositories are defined",
    7: "the zypp lock is held by somebody else",
    8: "a package could not be fetched or installed",
    100: "updates are needed",
    101: "security updates are needed",
    102: "done; asks for a reboot",
    103: "the update stack itself was updated; the same command has to be run again",
    104: "not found in any repository",
    105: "stopped by a signal",
    106: "a repository could not be read and was skipped",
    107: "installed, but the scriptlet of a package failed",
}
HOLDER = re.compile(r"locked by the application with pid (\d+) \((.*?)\)")
MESSAGE = re.compile(
    r'<message type="(?:error|warning)">(.*?)</message>|<prompt id="\d+">\s*<description>(.*?)</description>', re.DOTALL
)
PROMPT = re.compile(r'<prompt id="(\d+)">')
RPM_LOCK = ".rpm.lock"
REFUSED, ZYPP_LOCKED, NOT_FOUND = 4, 7, 104  # exit codes of zypper
SOLVER, LICENCE = "1", "10"  # prompts of zypper (src/output/prompt.h): choose a solution, agree to a licence
AGREE = "a licence has to be agreed to: install it once by hand, or allow it with pillar klp:update:licenses"
RETRY = 2  # seconds between two tries while somebody else holds the rpm lock


class NotInstallable(CommandExecutionError):
    """
    Nothing was installed because of one of the packages; without it the others may be.

    ``why`` is the clause that says it. Exit code 4 alone does not: it is also that of a broken rpm database (measured).
    """

    def __init__(self, message, why):
        super().__init__(message)
        self.why = why


def meaning(code):
    """Return one clause that says what an exit code of zypper means."""
    return EXIT_CODES.get(code, "an exit code that zypper(8) does not list")


def call(run, args, ok=(0,), xml=True, prefix=(), timeout=300, lock_timeout=300, before=None):
    """
    Run zypper once, or again while somebody else holds a lock of zypp or rpm.

    run
        ``run(argv, ok, timeout, env=...)``, as ``Host.run``.
    args
        list: options, sub-command and what follows.
    ok
        exit codes that are no error.
    xml
        ask for XML (for reading; never where packages are installed, since rpm's output may break it).
    prefix
        argv in front, e.g. ``systemd-run --scope``.
    timeout, lock_timeout
        seconds for the work and for waiting for a lock.
    before
        called before each try, and raises where zypper must not be started any more. Such a zypper does not wait for
        the lock by itself: what was true when the waiting began may have changed when it ends.

    Returns the dict of the run. Raises CommandExecutionError with the meaning of any other exit code.
    """
    argv = list(prefix) + ["zypper", "--non-interactive"] + (["--xmlout"] if xml else []) + list(args)
    deadline = time.monotonic() + lock_timeout
    while True:
        if before:
            before()
        patience = 0 if before else max(0, math.ceil(deadline - time.monotonic()))
        res = run(argv, None, timeout + patience, env={"ZYPP_LOCK_TIMEOUT": str(patience)})
        if res["retcode"] in ok:
            return res
        busy = _rpm_locked(res) or (before and res["retcode"] == ZYPP_LOCKED)
        if not busy or time.monotonic() + RETRY > deadline:
            raise _error(args, res, lock_timeout)
        time.sleep(RETRY)


def messages(text):
    """Return the errors, warnings and solver problems in zypper's XML as one text; other text comes back as it is."""
    found = MESSAGE.findall(text)
    return "\n".join(html.unescape(part).strip() for pair in found for part in pair if part.strip()) or text.strip()


def holder(text):
    """Return ``(pid, program)`` of who holds the zypp lock according to zypper, or ``None``."""
    match = HOLDER.search(text)
    return (int(match.group(1)), match.group(2)) if match else None


def _rpm_locked(res):
    return res["retcode"] == 8 and RPM_LOCK in res["stdout"] + res["stderr"]


def _error(args, res, lock_timeout):
    message, prompts = _refusal(args, res, lock_timeout), set(PROMPT.findall(res["stdout"]))
    asked = res["retcode"] == REFUSED and prompts & {SOLVER, LICENCE}
    if not asked and res["retcode"] != NOT_FOUND:
        return (klp_cmd.CutOff if res["retcode"] < 0 else CommandExecutionError)(message)
    lines = messages(res["stdout"]).splitlines()
    why = "; ".join([line.strip() for line in lines if line.startswith("Problem: ")] or lines[:1])
    return NotInstallable(message, AGREE if LICENCE in prompts else why)


def _refusal(args, res, lock_timeout):
    said = "\n".join(part for part in (messages(res["stdout"]), res["stderr"].strip()) if part)
    code, command = res["retcode"], next(word for word in args if not word.startswith("-"))
    waited = count(lock_timeout, "second")
    if code == ZYPP_LOCKED:
        pid, program = holder(said) or ("unknown", "unknown")
        return (
            f"zypper {command}: the zypp lock is still held after {waited}, by process {pid} ({program}); "
            f"wait until it ends, or look at it with: ps -fp {pid}"
        )
    if _rpm_locked(res):
        return f"zypper {command}: after {waited} somebody else still holds the rpm lock: {said[-600:]}"
    if code == REFUSED and LICENCE in PROMPT.findall(res["stdout"]):
        return f"zypper {command}: exit {code}: {AGREE}"
    how = f"exit {code} ({meaning(code)})" if code >= 0 else klp_cmd.ended(code)
    return f"zypper {command}: {how}: {klp_cmd.shortened(said) or 'no output'}"


def check_names(names, what="package"):
    """Return ``names`` as a list; anything but a list of names of packages, advisories or locks is a mistake."""
    if not isinstance(names, (list, tuple)) or not names:
        raise SaltInvocationError(f"{GRAMMAR[what][0]}: wanted a list of names, found {names!r}")
    for name in names:
        if not isinstance(name, str) or not NAMES[what].match(name):
            raise SaltInvocationError(f"{what} {repr(name)[:140]}: not {GRAMMAR[what][1]}")
    return list(names)


def check_capability(text):
    """Return ``text``; anything but a capability as rpm writes it (``pattern() = lp_sles``) is the caller's mistake."""
    if not isinstance(text, str) or not CAPABILITY.match(text):
        raise SaltInvocationError(f"capability {repr(text)[:300]}: not a capability")
    return text


def check_capabilities(found, path):
    """Return capabilities of a file; one of another form is an error that names the file: zypper cannot be asked."""
    for text in found:
        if not CAPABILITY.match(text):
            raise CommandExecutionError(f"{path} (or its folder .d): provides: {repr(text)[:99]} is no capability")
    return list(found)


def scope():
    """Return the argv prefix that lets a zypper outlive an update of the minion that started it."""
    if salt.utils.systemd.booted() and salt.utils.path.which("systemd-run"):
        return ["systemd-run", "--quiet", "--scope"]
    return []


def zypper(run, patience, args, ok=(0,), writes=False, xml=True, before=None):
    """
    Run zypper with the patience that pillar ``klp:zypper`` gives.

    run, before
        as for ``call``.
    patience
        ``{"timeout", "lock_timeout"}`` in seconds.
    writes
        the call changes packages or locks: text instead of XML, in a scope of its own.

    Returns and raises what ``call`` does. Nothing is started on a lock file that would make zypper spin for ever.
    """
    if os.path.isdir(klp_paths.LOCKS):
        raise CommandExecutionError(f"{klp_paths.LOCKS} is a directory, zypper would never end: remove it")
    return call(
        run,
        args,
        ok=ok,
        xml=xml and not writes,
        prefix=scope() if writes else (),
        timeout=patience["timeout"],
        lock_timeout=patience["lock_timeout"],
        before=before,
    )
