"""Simulated fleets: documents of hosts as ``klp_audit.host`` returns them, as many as wanted, or one of each kind."""

import copy
import datetime
import random

from _runners.klp import fleet

NOW = 1_795_780_800  # 2026-11-27 12:00 UTC
TODAY = datetime.date(2026, 11, 27)
SETTINGS = {"share": 10, "weeks": 26, "warn": 60, "debt": 30, "old": 48}
KERNEL = "5.14.21-150500.55.{}-default"
SEVERITIES = ("critical", "important", "moderate", "low", "unspecified")
NO_LIVE_PATCH = dict.fromkeys(("package", "edition", "level", "active", "newest", "held", "retracted"))
GROUPS = ("", "web", "db", "hana-a", "hana-b", "ceph", "edge", "build")


def day(offset):
    """Return a day so many days from today."""
    return (TODAY + datetime.timedelta(offset)).isoformat()


def check(name, verdict, detail):
    """Return a check as documents have it."""
    return {"check": name, "verdict": verdict, "detail": detail}


def package(kernel):
    """Return the name of the live patch package of a kernel."""
    return "kernel-livepatch-" + kernel.rpartition("-")[0].replace(".", "_").replace("-", "_", 1) + "-default"


COVERED: dict = {
    "schema": "salt-klp/host",
    "version": 4,
    "host": "web1",
    "time": NOW - 600,
    "boot": "0f1d7a5e-3f0f-4d0e-9a51-0d8f0a3c1b11",
    "os": "sles-15.5",
    "arch": "x86_64",
    "group": "web",
    "kernel": KERNEL.format(94),
    "kernel_edition": "5.14.21-150500.55.94.1",
    "verdict": "ok",
    "checks": [],
    "transition": {"state": "ready", "blockers": []},
    "live_patch": {
        "package": package(KERNEL.format(94)),
        "edition": "5-150500.2.1",
        "level": 5,
        "active": "livepatch_5_150500_2_1",
        "newest": "5-150500.2.1",
        "held": None,
        "retracted": False,
    },
    "locks": {"missing": []},
    "taint": {"value": 0, "errors": []},
    "window": {
        "state": "open",
        "first": day(-190),
        "last": day(175),
        "days": 175,
        "estimate": None,
        "limit": None,
        "source": "/var/lib/lifecycle/data/sle-module-live-patching.lifecycle:41",
        "reason": "the lifecycle data have a line for this kernel",
    },
    "reboot": {
        "needed": False,
        "verdict": "ok",
        "kernel": KERNEL.format(94),
        "live_patch": "5-150500.2.1",
        "reasons": [],
    },
    "cves": {
        "fixed_live": ["CVE-2026-23100", "CVE-2026-21999"],
        "fixed_kernel": 812,
        "pending": [],
        "reboot": [],
        "unknown": [],
        "severity": {"CVE-2026-23100": "important", "CVE-2026-21999": "moderate"},
        "contradictions": [],
        "reason": None,
    },
    "updates": {
        "pending": dict.fromkeys(SEVERITIES, 0),
        "left_out": [],
        "restart": {"host": [], "services": []},
        "repositories": [{"alias": "SLE-Product-SLES15-SP5-Updates", "time": NOW - 86400, "frozen": False}],
        "reason": None,
    },
    "kernel_target": {
        "package": "kernel-default",
        "release": KERNEL.format(100),
        "edition": "5.14.21-150500.55.100.1",
        "live_patch": "2-150500.2.1",
        "window_last": day(330),
        "estimated": False,
        "cves": dict.fromkeys(SEVERITIES, 0),
        "problem": None,
    },
    "kernel_change": None,
    "problems": [],
}


def document(host="web1", **changes):
    """Return the document of a covered host; keys like ``window__state`` change a part of it."""
    return changed(COVERED, host=host, **changes)


def changed(found, **changes):
    """Return a copy of a document with parts of it changed."""
    found = copy.deepcopy(found)
    for path, value in changes.items():
        *folders, name = path.split("__")
        place = found
        for folder in folders:
            place = place[folder]
        place[name] = value
    return found


def _with(host, kernel, window, **changes):
    """Return the document of a host with another kernel: ``window`` is (first, last) in days from today."""
    first, last = window
    name = KERNEL.format(kernel)
    return document(
        host,
        kernel=name,
        live_patch__package=package(name),
        window__first=day(first),
        window__last=day(last),
        window__days=last,
        **changes,
    )


OLD: dict = {
    "live_patch__edition": "3-150500.1.2",
    "live_patch__level": 3,
    "live_patch__active": "livepatch_3_150500_1_2",
}
SEVERITY = {
    "CVE-2026-31431": "critical",
    "CVE-2026-23100": "important",
    "CVE-2026-22871": "important",
    "CVE-2026-21999": "moderate",
    "CVE-2025-68724": "low",
}
NONE: dict[str, int] = dict.fromkeys(SEVERITIES, 0)
GLIBC = {
    "id": "SUSE-SLE-Module-Basesystem-15-SP5-2026-1375",
    "severity": "important",
    "kernel": False,
    "reason": "asks for a reboot; allow it with pillar klp:update:reboot",
    "since": NOW - 9 * 86400,
}
KERNEL_ITSELF = {
    "id": "SUSE-SLE-Module-Basesystem-15-SP5-2026-2871",
    "severity": "important",
    "kernel": True,
    "reason": "needs kernel-default, and the kernel stays as it is",
    "since": NOW - 86400,
}
FROZEN = {"alias": "SLE-Module-Basesystem15-SP5-Updates", "time": NOW - 45 * 86400, "frozen": True}
# One host of each kind that an answer can have, in turn: covered, pending, reboot, expired, unclear, stalled, unlocked,
# unpatchable, updates, left_out, unknown.
EACH = [
    document("web1"),
    document(
        "web2",
        **OLD,
        cves__pending=["CVE-2026-31431", "CVE-2026-23100"],
        cves__fixed_live=["CVE-2026-21999"],
        cves__severity=SEVERITY,
    ),
    _with(
        "db1",
        88,
        (-260, 105),
        group="db",
        verdict="reboot_needed",
        checks=[check("reboot", "reboot_needed", "CVE-2026-31431 is fixed only in a newer kernel")],
        cves__reboot=["CVE-2026-31431", "CVE-2026-22871", "CVE-2025-68724"],
        cves__severity=SEVERITY,
    ),
    _with(
        "db2",
        59,
        (-460, -95),
        group="db",
        window__state="expired",
        cves__reboot=["CVE-2026-22871"],
        cves__severity=SEVERITY,
        reboot__verdict="failed",
        reboot__reasons=["the initrd of 5.14.21-150500.55.94-default has no live patch"],
    ),
    document(
        "edge1",
        group="edge",
        kernel="6.4.0-150600.23.25-rt",
        live_patch__package="kernel-livepatch-6_4_0-150600_23_25-rt",
        window__state="unknown",
        window__last=None,
        window__days=None,
        window__first=day(-150),
        window__estimate={"last": day(215), "days": 215},
        window__source=None,
        window__reason="the lifecycle data have no line for this kernel",
        cves__unknown=["CVE-2026-22871"],
        cves__severity=SEVERITY,
    ),
    _with(
        "hana1",
        94,
        (-190, 175),
        group="hana",
        verdict="blocked",
        checks=[check("transition", "blocked", "livepatch_5_150500_2_1 is still in transition")],
        transition__state="in_progress",
        transition__blockers=["hdbindexserver (pid 4121, unit sapinit.service, package sap-hana)"],
        cves__pending=["CVE-2026-23100"],
        cves__fixed_live=["CVE-2026-21999"],
        cves__severity=SEVERITY,
    ),
    _with(
        "build1",
        99,
        (-335, 30),
        group="build",
        verdict="failed",
        checks=[check("locks", "failed", "not locked in every version: kernel-default")],
        locks__missing=["kernel-default"],
    ),
    document(
        "old1",
        group="",
        os="sles-15.2",
        kernel="5.3.18-22-preempt",
        verdict="unsupported",
        checks=[check("kernel", "unsupported", "live patches are made for the flavours default and rt only")],
        live_patch=NO_LIVE_PATCH,
        window__state="unknown",
        window__first=None,
        window__last=None,
        window__days=None,
        window__reason="no live patches are made for this kernel",
        reboot__verdict="unknown",
        cves__fixed_live=[],
        cves__severity={},
        cves__reason="no live patches are made for this kernel",
        updates__reason="no live patches are made for this kernel",
    ),
    document("mail1", group="", updates__pending={**NONE, "critical": 1, "important": 3, "low": 2}),
    document("mail2", group="", updates__left_out=[GLIBC, KERNEL_ITSELF]),
    document("mail3", group="", updates__repositories=[FROZEN]),
]
# Of forty hosts these have updates that are pending, left out, or of a mirror that stands still.
UPDATES: dict = {
    3: {"updates__pending": {**NONE, "important": 4, "moderate": 11}},
    9: {"updates__left_out": [GLIBC, KERNEL_ITSELF, {**GLIBC, "id": "SUSE-2026-77", "severity": "low"}]},
    15: {"updates__repositories": [FROZEN]},
    21: {"updates__restart": {"host": [], "services": ["cron.service", "sshd.service"]}},
}
# As klp_audit.host told of a host with a real zypper and rpm before its first state.apply klp.
NEVER: dict = {
    "live_patch": {**NO_LIVE_PATCH, "package": "lp", "newest": "3-1.1"},
    "verdict": "failed",
    "checks": [
        check("transition", "unknown", "klp: command not found"),
        check("active", "unknown", "klp: command not found"),
        check("package", "failed", "wanted one edition of lp, found none"),
        check("uname", "failed", "uname -v has no live patch mark: #1 SMP"),
        check("initrd", "failed", "the initrd has no dracut module kernel-livepatch"),
        check("locks", "failed", "not locked in every version: kernel-default"),
    ],
    "locks__missing": ["kernel-default"],
    "window__state": "unknown",
    "window__last": None,
    "window__reason": "no lifecycle data of live patches are installed",
    "cves__pending": ["CVE-2026-1000"],
    "cves__reboot": ["CVE-2026-1001"],
    "cves__severity": {"CVE-2026-1000": "important", "CVE-2026-1001": "important"},
}
SILENT = {"lost1": "The minion did not answer within 60 seconds."}


def one_of_each():
    """Return eleven hosts that differ in what is wrong with them, and one that did not answer."""
    return {item["host"]: copy.deepcopy(item) for item in EACH}, dict(SILENT)


def summary_of_each():
    """Return the summary of one host of each kind."""
    found, silent = one_of_each()
    return fleet.summary(found, silent, SETTINGS, NOW)


def documents(number, seed=0):
    """Return so many simulated documents: about 25 kernels, 12 levels, 300 CVEs and some groups."""
    chance = random.Random(seed)  # noqa: S311
    kernels = [_kernel(index) for index in range(25)]
    weights = [1 + index * index for index in range(25)]
    cves = sorted({f"CVE-{chance.randint(2024, 2026)}-{chance.randint(1000, 69999)}" for _ in range(300)})
    severity = {cve: chance.choices(SEVERITIES, (2, 25, 50, 18, 5))[0] for cve in cves}
    chosen = chance.choices(kernels, weights, k=number)
    found = (_simulated(chance, f"srv{index:05}", chosen[index], cves, severity) for index in range(number))
    return {item["host"]: changed(item, **UPDATES.get(index % 40, {})) for index, item in enumerate(found)}


def _kernel(index):
    """Return a kernel: the first ones are the oldest, some windows are unknown, some CVEs have no live patch."""
    first = -410 + index * 16
    state = "unknown" if index % 12 == 5 else "expired" if first < -365 else "open"
    reboot = {3: 4, 7: 2, 12: 1}.get(index, 6 if state == "expired" else 0)
    name = KERNEL.format(7 + index * 5)
    return {"name": name, "first": first, "state": state, "start": index * 6, "reboot": reboot, "unknown": index == 9}


def _simulated(chance, host, kernel, cves, severity):
    level = chance.choices((12, 11, 10, chance.randint(2, 9)), (86, 8, 3, 3))[0]
    lists = _lists(kernel, level, cves)
    edition, last, known = f"{level}-150500.2.1", kernel["first"] + 365, kernel["state"] != "unknown"
    found = document(
        host,
        group=chance.choice(GROUPS),
        time=NOW - chance.randint(60, 20 * 3600),
        kernel=kernel["name"],
        live_patch__package=package(kernel["name"]),
        live_patch__edition=edition,
        live_patch__level=level,
        live_patch__active=f"livepatch_{level}_150500_2_1",
        live_patch__newest="12-150500.2.1",
        window__state=kernel["state"],
        window__first=day(kernel["first"]),
        window__last=day(last) if known else None,
        window__days=last if known else None,
        window__estimate=None if known else {"last": day(last), "days": last},
    )
    found["cves"].update(lists, severity={cve: severity[cve] for names in lists.values() for cve in names})
    return _disturbed(chance, found)


def _lists(kernel, level, cves):
    """Return the CVEs of a host: an older kernel has more of them, and a higher level fixes more."""
    mine = cves[kernel["start"] :]
    live, waiting = mine[: level * 13], mine[level * 13 : 12 * 13]
    end = len(mine) - kernel["reboot"]
    return {
        "fixed_live": live,
        "pending": waiting,
        "reboot": mine[end:],
        "unknown": mine[end - 2 : end] if kernel["unknown"] else [],
    }


def _disturbed(chance, found):
    """Return a document in which, now and then, something is wrong."""
    fate = chance.random()
    if fate < 0.004:
        blockers = [f"postgres (pid {chance.randint(400, 9000)}, unit postgresql.service)"]
        return changed(found, verdict="blocked", transition={"state": "in_progress", "blockers": blockers})
    if fate < 0.008:
        return changed(found, verdict="failed", taint__errors=["a warning of the kernel was logged"])
    if fate < 0.018:
        return changed(found, locks__missing=["kernel-default"])
    if fate < 0.022:
        return changed(found, live_patch={**NO_LIVE_PATCH, "package": found["live_patch"]["package"]})
    if fate < 0.030:
        empty: dict = {"fixed_live": [], "pending": [], "reboot": [], "unknown": [], "severity": {}}
        found["cves"].update(empty, reason="zypper: repository SLE-Module-Live-Patching was not read")
        return changed(found, verdict="unknown", problems=["zypper: repository SLE-Module-Live-Patching was not read"])
    return found
