"""
Updates in the document of a host: what is pending, what is left out and since when, what waits for a restart.
"""

import time

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_cves
import klp_hold
import klp_paths
import klp_record
import klp_restarts
import klp_sys
import klp_updates
import zypp_begun
import zypp_packages
import zypp_plan
import zypp_repositories
import zypp_solver

RECORD = "left-out"
NO_PLAN = ("metadata_age", "scriptlets")  # settings below klp:update that no plan depends on
REMEMBERED = 5000  # advisories whose first sight is kept
ERRORS = (CommandExecutionError, SaltInvocationError, ValueError, OSError)
HELD = "this host went back to live patch {} and is held there; let newer ones come with: salt {} klp.unhold"
OTHER_LEVEL = (
    "live patch of another level, or of a kernel that does not run: pillar klp:level, or a hold, keeps it away"
)


def updates(host):
    """Return ``updates`` of the document; what is not known is ``None``, and ``reason`` says why."""
    reasons = []
    found = _try(reasons, lambda: _plan(host), {"pending": {}, "left_out": []})
    reasons += found.get("reasons", [])
    listed = _try(reasons, lambda: _repositories(host, reasons), [])
    left = _try(reasons, lambda: _since(found["left_out"]), [dict(item, since=None) for item in found["left_out"]])
    return {
        "pending": {severity: found["pending"].get(severity, 0) for severity in klp_cves.SEVERITIES},
        "left_out": left,
        "restart": {
            "host": _try(reasons, lambda: klp_restarts.packages(host), None),
            "services": _try(reasons, klp_restarts.services, None),
        },
        "repositories": listed,
        "reason": "; ".join(reasons) or None,
    }


def _try(reasons, function, default):
    try:
        return function()
    except ERRORS as exc:
        reasons.append(str(exc))
        return default


def _world(host):
    """Return everything that a plan depends on; plain data."""
    settings = host.settings
    update = {key: value for key, value in settings["update"].items() if key not in NO_PLAN}
    files = klp_sys.fingerprint(
        klp_paths.ZYPP + tuple(f"{klp_paths.RECORDS}/{name}.json" for name in (klp_hold.RECORD, zypp_begun.RECORD))
    )
    return [update, settings["level"], host.release, list(files), zypp_packages.world()]


def _plan(host):
    """Return pending and left-out security advisories; asked again when packages, repositories or locks change."""
    return klp_record.kept("updates", lambda: _world(host), lambda: _ask(host))


def _ask(host):
    reasons, level = [], host.settings["level"]
    plan = _try(reasons, lambda: klp_updates.plan(host, level=level), None) or klp_updates.plan(host)
    advisories = {item["id"]: item for item in zypp_solver.advisories(host) + zypp_solver.unwanted(host)}
    left = dict(_held_back(host), **left_out(plan, zypp_packages.packages(host)))
    security = {
        key: item["severity"] if item["severity"] in klp_cves.SEVERITIES else "unspecified"
        for key, item in advisories.items()
        if item["category"] == "security"
    }
    pending = [security[key] for key in security if key not in left]
    return {
        "pending": {severity: pending.count(severity) for severity in klp_cves.SEVERITIES},
        "left_out": [
            {"id": key, "severity": security[key], "kernel": _of_kernel(plan, key), "reason": left[key]}
            for key in sorted(left)
            if key in security
        ],
        "reasons": reasons,
    }


def _held_back(host):
    """Return the advisories that a hold of ours locks, with the reason: ``{id: reason}``."""
    hold = klp_hold.held() or {"locks": []}
    own = {f"patch:{item['id']}": item["id"] for item in zypp_solver.unwanted(host)}
    return {own[lock]: HELD.format(hold["edition"], host.id) for lock in hold["locks"] if lock in own}


def _of_kernel(plan, item):
    """Return whether an advisory brings packages of the kernel itself (bool)."""
    return any(zypp_plan.kernel_package(name) for name in plan["contents"].get(item, {}))


def left_out(plan, installed):
    """
    Return the needed advisories that are still needed after a plan, with the reason: ``{id: reason}``.

    plan
        as ``klp_updates.plan`` has it.
    installed
        ``{name: "edition,edition"}``, now.
    """
    brought = dict(plan["packages"], **dict(plan["live_patch"], **plan["reload"]))
    after = dict(installed, **{name: change["new"] or "" for name, change in brought.items()})
    after = {name: editions for name, editions in after.items() if editions}
    reasons = {item["item"]: item["reason"] for item in plan["skipped"]}
    found = {item["item"]: item["reason"] for item in plan["skipped"] if item["kind"] == "advisory"}
    for item in _needed(plan, plan["advisories"], after):
        names = [name for name in plan["contents"][item] if name in reasons]
        found[item] = f"{names[0]} {reasons[names[0]]}" if names else zypp_plan.STILL_NEEDED
    found.update(dict.fromkeys(_needed(plan, plan["live_patches"], after), OTHER_LEVEL))
    return found


def _needed(plan, ids, after):
    """Return which of some advisories are needed while these packages are installed."""
    left = zypp_plan.still_needed({"advisories": ids}, plan["contents"], after, klp_cves.newer)
    return [item["item"] for item in left]


def _since(left):
    """Return left-out advisories with the time of their first sight; one that is not left out any more is forgotten."""
    seen, now = klp_record.read(RECORD, {}), int(time.time())
    kept = {item["id"]: seen.get(item["id"], now) for item in left[:REMEMBERED]}
    if kept != seen:
        klp_record.write(RECORD, kept)
    return [dict(item, since=kept.get(item["id"])) for item in left]


def _repositories(host, reasons):
    found = zypp_repositories.known(host)
    marks = zypp_repositories.frozen(found, time.time(), host.settings["update"]["metadata_age"])
    unread = [item["alias"] for item in found if item["updates"] is None]
    if unread:
        reasons.append(f"metadata of repository {', '.join(unread)} cannot be read: {zypp_repositories.LOOK}")
    return [{"alias": item["alias"], "time": item["time"], "frozen": marks[item["alias"]]} for item in found]
