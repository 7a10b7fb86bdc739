"""What the readings of a host say in the tests of its document, and the document that is made of them."""

from tests.unit.conftest import KERNEL, LP

EDITION, THIRD, MODULE = "5.14.21-150500.55.7.1", "3-150500.2.1", "livepatch_3_150500_2_1"
WINDOW = {
    "state": "open",
    "first": "2023-06-26",
    "last": "2024-07-18",
    "days": 247,
    "estimate": None,
    "limit": None,
    "source": "f:1",
    "reason": "live patches are made until 2024-07-18",
}
SAFE = {
    "verdict": "ok",
    "entry": "SLES",
    "kernel": KERNEL,
    "live_patch": THIRD,
    "initrd": True,
    "purge": {},
    "snapshot": None,
    "reasons": [],
}


def cve(state, severity="important"):
    return {"state": state, "severity": severity, "klp": None, "changelog": None, "advisories": []}


CVES = {
    "cves": {
        "CVE-2023-0001": cve("fixed_live"),
        "CVE-2023-0002": cve("pending"),
        "CVE-2023-0003": cve("reboot", "critical"),
        "CVE-2023-0004": cve("unknown", None),
        "CVE-2023-0005": cve("fixed_kernel"),
        "CVE-2023-0006": cve("fixed_kernel"),
    },
    "contradictions": ["CVE-2023-0004: they differ"],
    "reasons": [],
}
CHECKS = [
    {"check": "transition", "verdict": "ok", "detail": "ready"},
    {"check": "initrd", "verdict": "skipped", "detail": "no lsinitrd"},
    {"check": "reboot", "verdict": "reboot_needed", "detail": "an update asks"},
]


UPDATES: dict = {
    "pending": dict.fromkeys(("critical", "important", "moderate", "low", "unspecified"), 0),
    "left_out": [
        {"id": "A-1", "severity": "important", "kernel": False, "reason": "excluded", "since": 1699000000},
    ],
    "restart": {"host": ["dbus-1-1.14-1.1"], "services": None},
    "repositories": [{"alias": "Updates", "time": None, "frozen": None}],
    "reason": "the metadata are of the future",
}
TARGET: dict = {
    "package": "kernel-default",
    "release": "5.14.21-150500.55.12-default",
    "edition": "5.14.21-150500.55.12.1",
    "live_patch": "1-150500.11.3.2",
    "window_last": "2024-08-01",
    "estimated": False,
    "cves": {"critical": 0, "important": 5, "moderate": 0, "low": 0, "unspecified": 0},
    "problem": None,
}
CHANGE: dict = {
    "stage": "installed",
    "from": KERNEL,
    "to": TARGET["release"],
    "edition": TARGET["edition"],
    "live_patch": "1-150500.11.3.2",
    "fallback": True,
    "why": [],
    "at": 1700000000,
    "boot_id": "b1",
}
DOCUMENT: dict = {
    "schema": "salt-klp/host",
    "version": 4,
    "host": "sles1",
    "time": 1700000000,
    "boot": "b1",
    "os": "sles-15.5",
    "arch": "x86_64",
    "group": "",
    "kernel": KERNEL,
    "kernel_edition": EDITION,
    "verdict": "reboot_needed",
    "checks": [{"check": "reboot", "verdict": "reboot_needed", "detail": "an update asks"}],
    "transition": {"state": "ready", "blockers": []},
    "live_patch": {
        "package": LP,
        "edition": THIRD,
        "level": 3,
        "active": MODULE,
        "newest": "4-1.1",
        "held": None,
        "retracted": False,
    },
    "locks": {"missing": []},
    "taint": {"value": 32768, "errors": []},
    "window": WINDOW,
    "reboot": {"needed": True, "verdict": "ok", "kernel": KERNEL, "live_patch": THIRD, "reasons": []},
    "cves": {
        "fixed_live": ["CVE-2023-0001"],
        "fixed_kernel": 2,
        "pending": ["CVE-2023-0002"],
        "reboot": ["CVE-2023-0003"],
        "unknown": ["CVE-2023-0004"],
        "severity": {
            "CVE-2023-0001": "important",
            "CVE-2023-0002": "important",
            "CVE-2023-0003": "critical",
        },
        "contradictions": ["CVE-2023-0004: they differ"],
        "reason": None,
    },
    "updates": UPDATES,
    "kernel_target": TARGET,
    "kernel_change": CHANGE,
    "problems": [],
}
AVAILABLE: list = [
    {"edition": "5-1.1", "level": 5, "retracted": True},
    {"edition": "4-1.1", "level": 4, "retracted": None},
    {"edition": THIRD, "level": 3, "retracted": False},
]
