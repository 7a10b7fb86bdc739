"""
Signs of trouble on a host: errors of the kernel, services that do not run, and what pillar ``klp:health`` asks for.

Source: the kernel's admin-guide/tainted-kernels and ABI/testing/dev-kmsg.
"""

import os
import re
import time

import salt.utils.systemd
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_checks
import klp_cmd
import klp_commands
import klp_hooks
import klp_paths
import klp_restoring
import klp_runs
import klp_sys
import zypp_begun

ERRORS = (CommandExecutionError, SaltInvocationError)
SAID = 200  # characters of what a command says that are shown
PAUSE = 5  # seconds before what is not well is asked again
NAME = "health"  # of the check in klp.verify
BEFORE = (
    "not healthy before: {}; make the application well first, or patch this host all the same with pillar "
    "klp:health:before: ignore"
)
SERVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@\\-]{0,255}\Z")  # nothing that a program takes for an option


def kernel_errors():
    """
    Return what kernel log and taint tell of errors since the start of the host, one sentence each; empty: none.

    What cannot be read counts as an error.
    """
    try:
        log = [text for _, text in klp_sys.kernel_log()]
    except OSError as exc:
        return [f"the kernel log cannot be read ({exc})"]
    return klp_checks.kernel_errors(klp_sys.text(klp_paths.TAINTED), log)


def _log():
    """Return the number of the newest message of the kernel and the errors among them; ``None`` is "not known"."""
    try:
        log = klp_sys.kernel_log()
    except OSError:
        return None, None
    return max((number for number, _ in log), default=0), klp_checks.trouble(log)


def _service(host, name):
    """Return whether a service runs; ``None`` where this host cannot tell: without systemd Salt looks for processes."""
    if "service.status" not in host.salt or not salt.utils.systemd.booted():
        return None
    try:
        found = host.salt["service.status"](name)
    except CommandExecutionError:
        return None
    return found if isinstance(found, bool) else None


def health(host, services=None, application=False):
    """Return what tells whether this host is well, without a judgement: the one who asks compares two moments."""
    names = [] if services is None else services
    if not isinstance(names, list) or not all(isinstance(item, str) and SERVICE.match(item) for item in names):
        raise SaltInvocationError(f"services: wanted a list of names, found {services!r}")
    if not isinstance(application, bool):
        raise SaltInvocationError(f"application: wanted true or false, found {application!r}")
    newest, errors = _log()
    return {
        "boot": klp_restoring.boot_id() or None,
        "log": newest,
        "errors": errors,
        "tainted": (klp_sys.text(klp_paths.TAINTED) or "").strip() or None,
        "services": {name: _service(host, name) for name in names},
        "application": ill(host) if application else None,
        "patience": patience(host),
    }


# What pillar klp:health declares.


def declared(host):
    """Return the commands and services that pillar ``klp:health`` asks for on this host: ``(list, list)``."""
    commands = [item for item in host.settings["health"]["commands"] if item]
    return commands, host.settings["health"]["services"]


def patience(host):
    """Return how many seconds the commands of pillar ``klp:health`` may take together; 0 if the pillar is wrong."""
    try:
        return sum(item.get("timeout", klp_commands.TIMEOUT) for item in declared(host)[0])
    except SaltInvocationError:
        return 0


def application(host, wait=0):
    """
    Ask what pillar ``klp:health`` declares: one check for each command and service, in that order.

    wait
        seconds for which what is not well is asked again.
    """
    commands, services = declared(host)
    asked = [(_command, item) for item in commands] + [(_unit, name) for name in services]
    found, end = [ask(host, item) for ask, item in asked], time.monotonic() + wait
    while klp_checks.wrong(found) and time.monotonic() < end:
        time.sleep(PAUSE)
        for number, (ask, item) in enumerate(asked):
            if found[number]["verdict"] != klp_checks.OK:
                found[number] = ask(host, item)
    return found


def _command(_host, item):
    """Ask one command; it is told by its name, since its arguments may be nobody's business."""
    name = item.get("name") or os.path.basename(item["run"][0])
    timeout = item.get("timeout", klp_commands.TIMEOUT)
    try:
        res = klp_cmd.bounded(item["run"], timeout, 4 * SAID)
    except klp_cmd.CutOff as exc:
        return klp_checks.check(name, klp_checks.FAILED, f"command {name}: {exc}")
    except CommandExecutionError as exc:
        return klp_checks.check(name, klp_checks.UNKNOWN, f"command {name}: {exc}")
    if res["retcode"] == 0:
        return klp_checks.check(name, klp_checks.OK, f"command {name}: exit 0")
    said = f"command {name}: {klp_cmd.ended(res['retcode'])}: {_line(res['stdout']) or 'no output'}"
    return klp_checks.check(name, klp_checks.FAILED, said)


def _line(text):
    """Return the end of what a command said as one short, printable line."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= SAID else "..." + line[3 - SAID :]


def _unit(host, name):
    state = _service(host, name)
    if state is None:
        return klp_checks.check(name, klp_checks.UNKNOWN, f"service {name}: its state is not known")
    good, word = (klp_checks.OK, "runs") if state else (klp_checks.FAILED, "does not run")
    return klp_checks.check(name, good, f"service {name} {word}")


def ill(host):
    """Return what is not well of what pillar ``klp:health`` declares, one sentence each; unknown is not well."""
    try:
        return [item["detail"] for item in klp_checks.wrong(application(host))]
    except ERRORS as exc:
        return [str(exc)]


def checks(host, wait=0):
    """Return the one check of ``klp.verify`` in a list; none where pillar ``klp:health`` declares nothing."""
    if not any(declared(host)):
        return []
    found = application(host, wait)
    detail = "; ".join(item["detail"] for item in klp_checks.wrong(found) or found)
    return [klp_checks.check(NAME, klp_checks.verdict(found), detail)]


def before(host, idle=lambda: False):
    """
    Return why no run may begin on this host, one sentence or none: its application is not well.

    idle
        called without arguments where the application would be asked: whether nothing is about to change.

    It is asked once in a run. A run that was cut off goes on without being asked: the application may be down because
    of that, and going on is the cure.
    """
    if host.asked or host.settings["health"]["before"] == "ignore" or not any(declared(host)):
        return []
    if not _cut_off(host):
        found = [] if idle() else ill(host)
        if found:
            return [BEFORE.format("; ".join(found))]
    host.asked = True
    return []


def _cut_off(host):
    """
    Return whether a run was begun here and has not come to its verification, nor is given up for its age.

    Where a hook is due, that run has asked before it drained the host, which cannot be well as long as it is.
    """
    limit = time.time() - 3600 * host.settings["backup"]["max_age"]
    due = klp_hooks.due()
    return bool(zypp_begun.unfinished(host) or (due and due["since"] >= limit)) or any(
        item["finished"] is None and not item.get("judged") and item["opened"] >= limit for item in klp_runs.runs()
    )
