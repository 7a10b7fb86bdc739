"""
The one document of a host, from which grains, reports, metrics and evidence are made.
"""

import os
import time

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_audit_cves
import klp_change
import klp_checks
import klp_document_updates
import klp_facts
import klp_health
import klp_hold
import klp_level
import klp_live
import klp_paths
import klp_preflight
import klp_reboot
import klp_record
import klp_restoring
import klp_retracted
import klp_sys
import klp_target
import klp_verify
import klp_window
import zypp_packages

SCHEMA, VERSION = "salt-klp/host", 4
RECORD = "host"
ERRORS = (CommandExecutionError, SaltInvocationError, ValueError)
WINDOW = {"state": "unknown", "first": None, "last": None, "days": None, "estimate": None, "limit": None}
REBOOT = {"verdict": klp_checks.UNKNOWN, "kernel": None, "live_patch": None, "reasons": []}


def _try(problems, what, function, default):
    """Return ``function()``, or ``default`` with one more problem: what cannot be found out is said, never guessed."""
    try:
        return function()
    except ERRORS as exc:
        problems.append(f"{what}: {exc}")
        return default


def _os():
    """Return ``ID-VERSION_ID`` of this system."""
    lines = (klp_sys.text(klp_paths.OS_RELEASE) or "").splitlines()
    pairs = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return "-".join(pairs.get(key, "unknown").strip("\"' ") for key in ("ID", "VERSION_ID"))


def _number(text):
    return int(text) if text and text.strip().isdigit() else None


def _newest(host):
    """Return the newest edition in the repositories that was not withdrawn, kept until they change; else ``None``."""
    name = klp_live.package(host)["name"]
    return klp_record.kept(
        "newest",
        lambda: [name, VERSION, zypp_packages.world()],
        lambda: next(iter(klp_level.good(klp_level.offered(host))), None),
    )


def _live_patch(host, problems):
    package = _try(problems, "live patch package", lambda: klp_live.package(host), {})
    status = _try(problems, "kernel", lambda: klp_live.status(host), {})
    held = _try(problems, "held", klp_hold.held, None)
    return {
        "package": package.get("name"),
        "edition": package.get("edition"),
        "level": package.get("level"),
        "active": status.get("active"),
        "newest": _try(problems, "newest live patch", lambda: _newest(host), None) if package else None,
        "held": held["edition"] if held and held["package"] == package.get("name") else None,
        "retracted": _retracted(host, package.get("edition"), problems),
    }


def _retracted(host, edition, problems):
    """Return whether the vendor has withdrawn the live patch that is installed; ``None`` for not known, or for none."""
    found = _try(problems, "retracted", lambda: klp_retracted.of(host, edition) if edition else None, None)
    if found and found["reason"]:
        problems.append(f"retracted: {found['reason']}")
    return found and found["retracted"]


def _transition(host, problems):
    status = _try(problems, "transition", lambda: klp_live.status(host), None)
    if status is None:
        return {"state": "unknown", "blockers": []}
    found = _try(problems, "blockers", lambda: klp_live.blockers(host), [])
    return {"state": status["transition"], "blockers": [klp_checks.blocker_line(item) for item in found]}


def _cves(host, problems):
    lists: dict = {state: [] for state in ("fixed_live", "pending", "reboot", "unknown")}
    answer: dict = dict(lists, fixed_kernel=0, severity={}, contradictions=[], reason=None)
    found = _try(problems, "CVEs", lambda: klp_audit_cves.cves(host), None)
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


def _reboot(host, problems):
    found = _try(problems, "reboot safety", lambda: klp_reboot.reboot_safety(host), REBOOT)
    answer = {key: found[key] for key in REBOOT}
    needed = _try(problems, "reboot", lambda: zypp_packages.needs_rebooting() or _waits(host), None)
    return dict(answer, needed=needed)


def _waits(host):
    """Return whether a kernel waits for a restart (bool); SLES 12 has no flag for that."""
    return klp_live.waiting_kernel(host) is not None


def _verdict(host, problems, errors):
    """Return the verdict and the checks that are not ok: of ``klp.verify``, and of the kernel's own errors."""
    found = _try(problems, "verification", lambda: klp_verify.verify(host), None)
    if found is None:
        return klp_checks.UNKNOWN, [klp_checks.check("verification", klp_checks.UNKNOWN, problems[-1])]
    extra = [klp_checks.check("errors", klp_checks.FAILED, sentence) for sentence in errors]
    checks = found["checks"] + extra
    word = found["verdict"] if found["verdict"] == klp_checks.UNSUPPORTED else klp_checks.verdict(checks)
    return word, klp_checks.wrong(checks)


def _group(host, problems):
    return _try(problems, "pillar", lambda: host.settings["group"], "")


def document(host):
    """
    Return the one document about this host, from which grains, reports, metrics and evidence are made.

    Its schema is ``docs/reference/host.schema.json``, version 4, with an example beside it. What cannot be found out is
    ``null`` or ``unknown``, with a sentence in ``problems``; this function does not fail for it. Answers of zypper, klp
    and lsinitrd are kept until what they depend on changes. The document is written to
    ``/var/lib/salt-klp/host.json``, mode 0600, for the grain, and facts of it to the folder of pillar ``klp:facts``.
    """
    problems = []
    kernel = _try(problems, "kernel package", lambda: klp_live.kernel_package(host), {"edition": None})
    errors = _try(problems, "errors of the kernel", klp_health.kernel_errors, [])
    verdict, checks = _verdict(host, problems, errors)
    uname = os.uname()
    found = {
        "schema": SCHEMA,
        "version": VERSION,
        "host": host.id,
        "time": int(time.time()),
        "boot": klp_restoring.boot_id() or None,
        "os": _os(),
        "arch": uname.machine,
        "group": _group(host, problems),
        "kernel": uname.release,
        "kernel_edition": kernel["edition"],
        "verdict": verdict,
        "checks": checks,
        "transition": _transition(host, problems),
        "live_patch": _live_patch(host, problems),
        "locks": {"missing": _try(problems, "locks", lambda: klp_preflight.unlocked(host), None)},
        "taint": {"value": _number(klp_sys.text(klp_paths.TAINTED)), "errors": errors},
        "window": _window(host, problems),
        "reboot": _reboot(host, problems),
        "cves": _cves(host, problems),
        "updates": klp_document_updates.updates(host),
        "kernel_target": _try(problems, "kernel target", lambda: klp_target.summary(host), None),
        "kernel_change": _try(problems, "change of the kernel", klp_change.summary, None),
        "problems": problems,
    }
    _try(problems, "facts", lambda: klp_facts.write(host, found), None)
    _try(problems, "record", lambda: klp_record.write(RECORD, found), None)
    return found


def _window(host, problems):
    unknown = dict(WINDOW, source=None, reason="the window could not be read")
    found = _try(problems, "window", lambda: klp_window.window(host), unknown)
    problems += _try(problems, "lifecycle data", lambda: klp_window.lifecycle()["unknown"], [])
    return found
