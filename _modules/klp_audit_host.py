"""
The one document of a host, what alarms are made from, and its edges: the fifth file of the module ``klp_audit``.

:depends: ``zypper``, ``rpm``
:pillar: ``klp`` (see ``docs/reference/pillar.md``)
"""

import os
import time

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError

__virtualname__ = "klp_audit"

SCHEMA, VERSION = "salt-klp/host", 1
TAINTED = "/proc/sys/kernel/tainted"
BOOT = "/proc/sys/kernel/random/boot_id"
OS_RELEASE = "/etc/os-release"
RECORD = "host"
ERRORS = (CommandExecutionError, SaltInvocationError, ValueError)
WINDOW = {"state": "unknown", "first": None, "last": None, "days": None, "estimate": None, "limit": None}
REBOOT = {"verdict": "unknown", "kernel": None, "live_patch": None, "reasons": []}


def __virtual__():
    if "klp_checks.verdict" not in __utils__:
        return False, "klp_audit: _utils/klp_checks.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp_audit: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _try(problems, what, function, default):
    """Return ``function()``, or ``default`` with one more problem: what cannot be found out is said, never guessed."""
    try:
        return function()
    except ERRORS as exc:
        problems.append(f"{what}: {exc}")
        return default


def _os():
    """Return ``ID-VERSION_ID`` of this system."""
    lines = (__utils__["klp_sys.text"](OS_RELEASE) or "").splitlines()
    pairs = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return "-".join(pairs.get(key, "unknown").strip("\"' ") for key in ("ID", "VERSION_ID"))


def _number(text):
    return int(text) if text and text.strip().isdigit() else None


def _newest():
    """Return the newest edition in the repositories, kept until they change; ``None`` where they have none."""
    name = __salt__["klp.package"]()["name"]
    there = __utils__["klp_record.recall"]("newest", [name, __salt__["zypper.world"]()])
    if there:
        return there["answer"]
    found = __salt__["klp.available"]()
    now = [name, __salt__["zypper.world"]()]  # zypper itself may have brought its caches up to date
    return __utils__["klp_record.remember"]("newest", now, found[0]["edition"] if found else None)


def _live_patch(problems):
    package = _try(problems, "live patch package", __salt__["klp.package"], {})
    status = _try(problems, "kernel", __salt__["klp.status"], {})
    held = _try(problems, "held", __salt__["klp.held"], None)
    return {
        "package": package.get("name"),
        "edition": package.get("edition"),
        "level": package.get("level"),
        "active": status.get("active"),
        "newest": _try(problems, "newest live patch", _newest, None) if package else None,
        "held": held["edition"] if held and held["package"] == package.get("name") else None,
    }


def _transition(problems):
    status = _try(problems, "transition", __salt__["klp.status"], None)
    if status is None:
        return {"state": "unknown", "blockers": []}
    found = _try(problems, "blockers", __salt__["klp.blockers"], [])
    return {"state": status["transition"], "blockers": [__utils__["klp_checks.blocker_line"](item) for item in found]}


def _cves(problems):
    lists: dict = {state: [] for state in ("fixed_live", "pending", "reboot", "unknown")}
    answer: dict = dict(lists, fixed_kernel=0, severity={}, contradictions=[], reason=None)
    found = _try(problems, "CVEs", __salt__["klp_audit.cves"], None)
    if found is None:
        return dict(answer, reason=problems[-1])
    for cve, item in found["cves"].items():
        if item["state"] == "fixed_kernel":
            answer["fixed_kernel"] += 1
            continue
        answer[item["state"]].append(cve)
        if item["severity"]:
            answer["severity"][cve] = item["severity"]
    return dict(answer, contradictions=found["contradictions"], reason="; ".join(found["reasons"]) or None)


def _reboot(problems):
    found = _try(problems, "reboot safety", __salt__["klp_audit.reboot_safety"], REBOOT)
    answer = {key: found[key] for key in REBOOT}
    return dict(answer, needed=_try(problems, "reboot", __salt__["zypper.needs_rebooting"], None))


def _verdict(problems, errors):
    """Return verdict and reasons: those of ``klp.verify``, and errors of the kernel, which that does not look at."""
    found = _try(problems, "verification", __salt__["klp.verify"], None)
    if found is None:
        return "unknown", [problems[-1]]
    extra = [__utils__["klp_checks.check"]("errors", "failed", sentence) for sentence in errors]
    checks = found["checks"] + extra
    word = found["verdict"] if found["verdict"] == "unsupported" else __utils__["klp_checks.verdict"](checks)
    return word, __utils__["klp_checks.summary"](checks)


def _group(problems):
    return _try(problems, "pillar", lambda: __utils__["klp_pillar.settings"](__pillar__.get("klp"))["group"], "")


def host():
    """
    Return the one document about this host, from which grains, reports, metrics and evidence are made.

    Its schema is ``docs/reference/host.schema.json``, version 1, with an example beside it. What cannot be found out is
    ``null`` or ``unknown``, with a sentence in ``problems``; this function does not fail for it. Answers of zypper, klp
    and lsinitrd are kept until what they depend on changes. The document is written to
    ``/var/lib/salt-klp/host.json``, mode 0600, for the grain.

    CLI Example::

        salt '*' klp_audit.host
    """
    problems = []
    kernel = _try(problems, "kernel package", __salt__["klp_audit.kernel"], {"edition": None})
    errors = _try(problems, "errors of the kernel", __salt__["klp.kernel_errors"], [])
    verdict, reasons = _verdict(problems, errors)
    uname = os.uname()
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "host": __grains__["id"],
        "time": int(time.time()),
        "boot": (__utils__["klp_sys.text"](BOOT) or "").strip() or None,
        "os": _os(),
        "arch": uname.machine,
        "group": _group(problems),
        "kernel": uname.release,
        "kernel_edition": kernel["edition"],
        "verdict": verdict,
        "reasons": reasons,
        "transition": _transition(problems),
        "live_patch": _live_patch(problems),
        "locks": {"missing": _try(problems, "locks", __salt__["klp.unlocked"], None)},
        "taint": {"value": _number(__utils__["klp_sys.text"](TAINTED)), "errors": errors},
        "window": _window(problems),
        "reboot": _reboot(problems),
        "cves": _cves(problems),
        "problems": problems,
    }
    _try(problems, "record", lambda: __utils__["klp_record.write"](RECORD, document), None)
    return document


def _window(problems):
    unknown = dict(WINDOW, source=None, reason="the window could not be read")
    found = _try(problems, "window", __salt__["klp_audit.window"], unknown)
    problems += _try(problems, "lifecycle data", lambda: __salt__["klp_audit.lifecycle"]()["unknown"], [])
    return found
