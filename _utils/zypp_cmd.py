"""
How zypper is called: options, patience with its locks, and the one table of its exit codes.
"""

import html
import importlib.util
import math
import os
import re
import time
from typing import Any

import salt.utils.path
import salt.utils.systemd
from salt.exceptions import CommandExecutionError, SaltInvocationError


def _beside(name):
    """Return a file of this folder as a module: utils have no ``__utils__``, and an import would stay stale."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    spec: Any = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_FAMILY, _SYS = _beside("klp_family"), _beside("klp_sys")

LOCKS = "/etc/zypp/locks"
OS_RELEASE, USR = "/etc/os-release", "/usr"
NAME = re.compile(r"(pattern:)?[A-Za-z0-9][A-Za-z0-9._+-]{0,127}(=[A-Za-z0-9][A-Za-z0-9._+~:-]{0,127})?\Z")
ADVISORY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._+-]|:[A-Za-z0-9]){0,127}\Z")
LOCK = re.compile(
    r"(patch:[A-Za-z0-9]([A-Za-z0-9._+-]|:[A-Za-z0-9]){0,127}|[A-Za-z0-9][A-Za-z0-9._+-]{0,127}(>[0-9][A-Za-z0-9._+~-]{0,127})?)\Z"
)
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
MESSAGE = re.compile(r'<message type="(?:error|warning)">(.*?)</message>|<description>(.*?)</description>', re.DOTALL)
RPM_LOCK = ".rpm.lock"
RETRY = 2  # seconds between two tries while somebody else holds the rpm lock


def meaning(code):
    """Return one clause that says what an exit code of zypper means."""
    return EXIT_CODES.get(code, "an exit code that zypper(8) does not list")


def call(run, args, ok=(0,), xml=True, prefix=(), timeout=300, lock_timeout=300):
    """
    Run zypper once, or again while somebody else holds the rpm lock.

    run
        ``run(argv, ok, timeout, env)``, the caller's way to ``klp_cmd.run``.
    args
        list: sub-command and what follows.
    ok
        exit codes that are no error.
    xml
        ask for XML (for reading; never where packages are installed, since rpm's output may break it).
    prefix
        argv in front, e.g. ``systemd-run --scope``.
    timeout, lock_timeout
        seconds for the work and for waiting for the lock.

    Returns the dict of the run. Raises CommandExecutionError with the meaning of any other exit code.
    """
    argv = list(prefix) + ["zypper", "--non-interactive"] + (["--xmlout"] if xml else []) + list(args)
    deadline = time.monotonic() + lock_timeout
    while True:
        patience = max(1, math.ceil(deadline - time.monotonic()))
        res = run(argv, None, timeout + patience, {"ZYPP_LOCK_TIMEOUT": str(patience)})
        if res["retcode"] in ok:
            return res
        if not (_rpm_locked(res) and time.monotonic() + RETRY < deadline):
            raise CommandExecutionError(_refusal(args, res, lock_timeout))
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


def _refusal(args, res, lock_timeout):
    said = "\n".join(part for part in (messages(res["stdout"]), res["stderr"].strip()) if part)
    code = res["retcode"]
    if code == 7:
        pid, program = holder(said) or ("unknown", "unknown")
        return (
            f"zypper {args[0]}: after {lock_timeout} seconds the zypp lock is still held by process {pid} ({program}); "
            f"wait for its end or look at it with: ps -fp {pid}"
        )
    if _rpm_locked(res):
        return f"zypper {args[0]}: after {lock_timeout} seconds somebody else still holds the rpm lock: {said[-600:]}"
    return f"zypper {args[0]}: exit {code} ({meaning(code)}): {said[-1500:] or 'no output'}"


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


def scope():
    """Return the argv prefix that lets a zypper outlive an update of the minion that started it."""
    if salt.utils.systemd.booted() and salt.utils.path.which("systemd-run"):
        return ["systemd-run", "--quiet", "--scope"]
    return []


def transactional():
    """Return why nothing is changed in place on this host, a transactional one; ``None`` on any other."""
    return _FAMILY.transactional(_FAMILY.family(_SYS.text(OS_RELEASE)), _SYS.read_only(USR))


def zypper(run, run_all, patience, args, ok=(0,), writes=False, xml=True):
    """
    Run zypper with the patience that pillar ``klp:zypper`` gives.

    run, run_all
        ``klp_cmd.run`` and ``cmd.run_all`` of the calling module's loader.
    writes
        the call changes packages or locks: text instead of XML, in a scope of its own.

    Returns and raises what ``call`` does. Nothing is started on a lock file that would make zypper spin for ever, and
    nothing that writes on a transactional host.
    """
    refused = transactional() if writes else None
    if refused:
        raise CommandExecutionError(refused)
    if os.path.isdir(LOCKS):
        raise CommandExecutionError(f"{LOCKS} is a directory, zypper would never end: remove it")
    return call(
        lambda argv, codes, timeout, env: run(run_all, argv, codes, timeout=timeout, env=env),
        args,
        ok=ok,
        xml=xml and not writes,
        prefix=scope() if writes else (),
        timeout=patience["timeout"],
        lock_timeout=patience["lock_timeout"],
    )
