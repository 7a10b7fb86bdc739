"""What the demonstration found, as plain records; pure functions on what the jobs returned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

States = Mapping[str, Mapping[str, Any]]
Record = dict[str, Any]
FACTS_BEFORE = ("klp.status", "klp.package", "zypper.packages")
FACTS_AFTER = (*FACTS_BEFORE, "klp.verify", "zypper.locks", "root_backup.list")
SKIPPED = re.compile(r"Skipped (?P<kind>\w+) (?P<item>\S+): (?P<reason>.*)")
NEWEST = "3-150500.2.1"
GLIBC = "SUSE-SLE-Module-Basesystem-15-SP5-2023-3500"  # asks for a reboot
ZYPPER_CALLS = 6  # what one maintenance run may need; one of them asks what wants a reboot


def states(returned: Any) -> dict[str, Mapping[str, Any]]:
    """Return the single states of a state run by id, in their order; none if it did not come that far."""
    if not isinstance(returned, dict):
        return {}
    found = sorted(returned.values(), key=lambda state: int(state.get("__run_num__", 0)))
    return {state.get("__id__", state.get("name", "")): state for state in found}


def failures(returned: Any) -> list[str]:
    """Return why a state run failed, without the states that only follow; the text itself if nothing was run."""
    if not isinstance(returned, dict):
        return [str(line) for line in returned] if isinstance(returned, list) else [str(returned)]
    return [
        state["comment"]
        for state in states(returned).values()
        if state["result"] is False and "requisite failed" not in state["comment"]
    ]


def skipped(returned: Any) -> list[dict[str, str]]:
    """Return what the updates left out and why, as the state told it."""
    comment = states(returned).get("klp-updates", {}).get("comment", "")
    return [match.groupdict() for match in map(SKIPPED.fullmatch, comment.splitlines()) if match]


def updated(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, dict[str, str | None]]:
    """Return the packages whose editions changed, as rpm says."""
    names = sorted(set(before) | set(after))
    changed = [name for name in names if before.get(name) != after.get(name)]
    return {name: {"old": before.get(name), "new": after.get(name)} for name in changed}


def blockers(verify: Mapping[str, Any]) -> str | None:
    """Return the line that names what holds the transition up, or None."""
    for check in verify["checks"]:
        if check["verdict"] == "blocked":
            return str(check["detail"])
    return None


def verdict(verify: Mapping[str, Any], returned: Any) -> str:
    """Return the host's verdict; a run that failed for another reason than a blocker is never good."""
    found = str(verify["verdict"])
    return "failed" if found in ("ok", "reboot_needed") and (failures(returned) or not states(returned)) else found


def outcome(facts: Mapping[str, Any], before: Mapping[str, Any], runs: list[Record], returned: Any) -> Record:
    """
    Return what came of some runs on a host.

    ``facts`` are the answers of FACTS_AFTER, ``before`` is what ``begin`` returned, ``runs`` a list of ``{"sls",
    "retcode", "zypper_calls", "seconds"}``, ``returned`` the answer of the maintenance run.
    """
    verify = facts["klp.verify"]
    backups = [run["backup"] for run in facts["root_backup.list"] if run["backup"]]
    return {
        "verdict": verdict(verify, returned),
        "kernel_before": before["kernel"],
        "kernel_after": verify["kernel"],
        "live_patch_before": before["live_patch"],
        "live_patch_after": verify["live_patch"],
        "transition": facts["klp.status"]["transition"],
        "blocker": blockers(verify),
        "failures": failures(returned),
        "locks": sorted(lock["package"] for lock in facts["zypper.locks"] if lock["version"] is None),
        "backup_id": backups[-1] if backups else None,
        "updated": updated(before["packages"], facts["zypper.packages"]),
        "skipped": skipped(returned),
        "zypper_calls": sum(run["zypper_calls"] for run in runs),
        "seconds": round(sum(run["seconds"] for run in runs), 1),
        "runs": runs,
    }


def begin(facts: Mapping[str, Any]) -> Record:
    """Return what a host was like before; ``facts`` are the answers of FACTS_BEFORE."""
    return {
        "kernel": facts["klp.status"]["kernel"],
        "live_patch": facts["klp.package"]["edition"],
        "packages": facts["zypper.packages"],
    }


def _always(item: Record) -> Iterable[tuple[bool, str]]:
    kernels = [name for name in item["updated"] if re.fullmatch(r"kernel-(default|firmware).*", name)]
    calls = [run["zypper_calls"] for run in item["runs"] if run["sls"] == "klp.patch"]
    yield item["kernel_before"] == item["kernel_after"], f"the kernel became {item['kernel_after']}"
    yield not kernels, f"kernel packages were touched: {', '.join(kernels)}"
    yield "kernel-default" in item["locks"], "kernel-default is not locked"
    yield item["live_patch_after"] == NEWEST, f"the live patch is {item['live_patch_after']}, wanted {NEWEST}"
    yield max(calls, default=0) <= ZYPPER_CALLS, f"klp.patch called zypper {max(calls, default=0)} times"


def _fine(item: Record, since: str = "") -> Iterable[tuple[bool, str]]:
    said = "; ".join(item["failures"])
    yield item["verdict"] == "ok", f"the verdict{since} is {item['verdict']}, wanted ok{': ' if said else ''}{said}"
    yield item["transition"] == "ready", f"a transition is running{since}"


def _ready(item: Record) -> Iterable[tuple[bool, str]]:
    yield from _fine(item)
    yield not item["updated"], f"it was converged, but changed: {', '.join(item['updated'])}"
    yield item["runs"][0]["zypper_calls"] == 0, "it was converged, but state.apply klp called zypper"


def _fresh(item: Record) -> Iterable[tuple[bool, str]]:
    yield from _fine(item)
    yield bool(item["updated"]), "nothing was updated"
    yield bool(item["backup_id"]), "it has no backup"
    yield bool(item["skipped"]), "nothing is told of what was left out"


def _held(item: Record) -> Iterable[tuple[bool, str]]:
    said, later = "; ".join(item["failures"]), item.get("after_release")
    yield item["verdict"] == "blocked", f"the verdict is {item['verdict']}, wanted blocked"
    yield item["runs"][-1]["retcode"] != 0, "the exit code of the run that was blocked is 0"
    yield "blkmapd" in said and "package nfs-client" in said, f"the blocker was not named: {said or 'no failure'}"
    if later is None:
        yield False, "it was not tried again"
        return
    yield from _fine(later, " after the blocker was gone")
    yield later["backup_id"] == item["backup_id"], "the second run made a second backup"
    yield not later["updated"], f"the second run changed again: {', '.join(later['updated'])}"


EXPECTED = {"ready": _ready, "fresh": _fresh, "held": _held}


def fleet_problems(fleet: Record) -> list[str]:
    """Return what is not as it should be in the report on the fleet: what is left out is seen there, host by host."""
    found = [] if fleet["retcode"] else ["klp.report: its exit code is 0, although glibc is left out"]
    rows = {row["host"]: row for row in fleet["hosts"]}
    for name in EXPECTED:
        why = "; ".join(rows[name]["why"]) if name in rows else "no row"
        if "left out (since" not in why or GLIBC not in why:
            found.append(f"klp.report: {name}: the advisory {GLIBC} is not named as left out: {why}")
    hosts = {row["id"]: row["hosts"] for row in fleet["left_out"]}.get(GLIBC, 0)
    return found if hosts == len(EXPECTED) else [*found, f"klp.report: {GLIBC} is left out on {hosts} hosts"]


def problems(records: Iterable[Record]) -> list[str]:
    """Return what is not as it should be, one sentence each; an empty list is success."""
    found, seen = [], set()
    for item in records:
        seen.add(item["host"])
        checks = [*_always(item), *EXPECTED[item["host"]](item)]
        found += [f"{item['host']}: {sentence}" for good, sentence in checks if not good]
    return found + [f"{host}: no record" for host in EXPECTED if host not in seen]
