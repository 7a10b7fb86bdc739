"""
How this host stands, and what a run would do to it: what a campaign of the master asks.
"""

import time

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_campaign
import klp_change
import klp_change_plan
import klp_change_verify
import klp_health
import klp_hold
import klp_hooks
import klp_live
import klp_preflight
import klp_restoring
import klp_retracted
import klp_rollback
import klp_runs
import klp_updates
from klp_words import count

VERSION = 3  # of both documents
PACKAGES = 5000  # pending packages that an answer may hold; the master takes no larger one
SKIPPED = 2000  # names of what is left out that an answer holds for each reason
ERRORS = (CommandExecutionError, SaltInvocationError)
STAYS = (
    "{}, and no newer one is there: a run would end as failed; first leave it with: salt {} state.apply klp.rollback"
)


def busy(host):
    """Return the jobs that are changing this host now, ``NAME JID`` each; one job may be of several functions."""
    found = []
    for job in host.salt["saltutil.running"]():
        names = job["fun"] if isinstance(job["fun"], (list, tuple)) else [job["fun"]]
        found += [f"{name} {job['jid']}" for name in names if name.startswith("state.")]
    return found


def state_summary(host, run="", services=None, application=False):
    """Return how this host stands now, with what it remembers of a run; starts one rpm and no zypper."""
    package, status, hold = klp_live.package(host), klp_live.status(host), klp_hold.of_kernel(host)
    return {
        "version": VERSION,
        "host": host.id,
        "time": int(time.time()),
        "kernel": status["kernel"],
        "transition": status["transition"],
        "package": package["name"],
        "live_patch": package["edition"],
        "active": status["active"],
        "unfinished": package["unfinished"],
        "held": hold["edition"] if hold else None,
        "restoring": bool(klp_restoring.pending()),
        "run": klp_runs.run_record(str(run)) if run else None,
        "busy": busy(host),
        "health": klp_health.health(host, services, application),
        "hooks": klp_hooks.summary(host),
        "kernel_change": klp_change.summary(),
    }


def run_preview(host, kind="patch", level="previous", apart=""):
    """
    Return how this host stands and what a run would change; refreshes the repositories, changes nothing else.

    What it says is remembered, since a run of the campaign has to keep to it.
    """
    if kind not in ("patch", "rollback", "kernel"):
        raise SaltInvocationError(f"kind: wanted patch, rollback or kernel, found {kind!r}")
    more = {"changes": {}, "target": None, "skipped": [], "refusals": [], "seconds": klp_runs.duration()}
    more["kernel_target"] = None
    answer = dict(state_summary(host), group=host.settings["group"] or None, apart=[], **more)
    try:
        answer["apart"] = _grain(host, apart) if apart else []
    except CommandExecutionError as exc:
        answer["refusals"] = [str(exc)]
        return answer
    answer["refusals"] = _patch_problems(host) if kind == "patch" else _refused(klp_preflight.problems, host)
    if answer["refusals"]:
        return answer
    try:
        if kind == "kernel":
            _kernel(host, answer)
        elif kind == "patch":
            _patch(host, answer)
        else:
            _rollback(host, answer, level)
    except ERRORS as exc:
        answer["refusals"] = [str(exc)]
    return answer


def _grain(host, name):
    """Return the values of a grain, as texts: a list (of roles, for instance) has several, no grain has none."""
    found = host.salt["grains.get"](name, None)
    values = found if isinstance(found, (list, tuple)) else [found]
    if any(isinstance(value, (dict, list, tuple, set)) for value in values):
        raise CommandExecutionError(
            f"grain {name} (pillar klp_campaign:apart): wanted a text or a list of texts, found {type(found).__name__}"
        )
    return sorted({str(value) for value in values if value is not None and value != ""})


def _refused(function, *args):
    """Return what a check says against a run; what it cannot find out is said as well."""
    try:
        return function(*args)
    except ERRORS as exc:
        return [str(exc)]


def _patch_problems(host):
    found = _refused(klp_preflight.maintenance_problems, host) or _refused(_not_enabled, host)
    return found + [sentence for sentence in _refused(klp_runs.problems, host) if sentence not in found]


def _not_enabled(host):
    """Before the kernel is locked it is unknown what is pending. Lifecycle data are needed for no live patch."""
    tools = [name for name in klp_live.missing_tools(host) if not name.startswith("lifecycle-data-")]
    missing = tools or klp_preflight.unlocked(host)
    names = ", ".join(missing)
    said = (
        f"live patching is not enabled on this host (missing or not locked: {names}); run state.apply klp there first"
    )
    return [said] if missing else []


def _patch(host, answer):
    plan = klp_updates.plan(host, level=host.settings["level"])
    changes = klp_updates.changes(plan)
    if len(changes) > PACKAGES:
        raise CommandExecutionError(f"{count(len(changes), 'package')} pending, at most {PACKAGES} are planned at once")
    answer["changes"] = {name: change["new"] for name, change in changes.items() if change["new"]}
    answer["target"] = answer["changes"].get(answer["package"], answer["live_patch"])
    answer["skipped"] = skipped(plan["skipped"])
    klp_campaign.remember(answer["changes"] or {answer["package"]: answer["target"] or "none"})
    gone = klp_retracted.of(host, answer["target"]) if answer["target"] else {"retracted": None}
    if gone["retracted"]:
        said = klp_retracted.withdrawn(answer["target"], gone["advisories"])
        raise CommandExecutionError(STAYS.format(said, host.id))
    answer["refusals"] = klp_health.before(host, lambda: not changes)


def _kernel(host, answer):
    plan = klp_change_plan.plan(host)
    wanted = answer["kernel_target"] = klp_change_plan.target_of(host, plan)
    answer["changes"], answer["target"] = dict(plan["changes"]), answer["live_patch"]
    if plan["step"] in klp_change.STAGES:
        answer["refusals"] = klp_change_verify.refused(host, klp_change.record())
    elif wanted:
        klp_campaign.remember(answer["changes"] or {wanted["package"]: wanted["release"]})
        answer["refusals"] = klp_change_plan.begin_problems(host)


def skipped(items):
    """
    Return what a run leaves out, by reason: ``[{"reason", "advisories", "packages", "more"}]``.

    items
        ``skipped`` of ``klp_updates.plan``.
    """
    reasons: dict = {}
    for item in items:
        found = reasons.setdefault(item["reason"], {"advisory": [], "package": []})
        found["advisory" if item["kind"] == "advisory" else "package"].append(item["item"])
    return [_reason(reason, found) for reason, found in sorted(reasons.items())]


def _reason(reason, found):
    """Return one of them; so many names that no answer could hold them are counted."""
    advisories, packages = found["advisory"][:SKIPPED], found["package"][:SKIPPED]
    more = len(found["advisory"]) + len(found["package"]) - len(advisories) - len(packages)
    return {"reason": reason, "advisories": advisories, "packages": packages, "more": more}


def _rollback(host, answer, level):
    target = klp_rollback.resolve(host, level)
    force = host.settings["rollback"]["force"]
    errors = [] if force or target == answer["live_patch"] else klp_health.kernel_errors()
    if errors:
        raise CommandExecutionError(klp_rollback.ERRORS.format("; ".join(errors)))
    answer["target"] = target
    if target != answer["live_patch"] or answer["held"] != target:
        answer["changes"] = {answer["package"]: target}
