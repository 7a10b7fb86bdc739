"""Documents of hosts that name another kernel: the best one for them, and the change to it."""

from tests import fleet as fleets
from tests.fleet import NOW, day

TARGET = {
    "release": "5.14.21-150500.55.99-default",
    "edition": "5.14.21-150500.55.99.1",
    "live_patch": "1-150500.2.1",
    "package": "kernel-default",
    "window_last": day(400),
    "estimated": False,
    "cves": {"critical": 1, "low": 2},
    "problem": None,
}

NEW, OLD = "5.14.21-150500.55.99-default", "5.14.21-150500.55.94-default"
CHANGE = {
    "stage": "verified",
    "from": OLD,
    "to": NEW,
    "edition": "5.14.21-150500.55.99.1",
    "live_patch": "1-150500.2.1",
    "fallback": True,
    "why": [],
    "at": NOW - 3 * 86400,
    "boot_id": "0f1d7a5e-3f0f-4d0e-9a51-0d8f0a3c1b11",
}


def document(host, **more):
    """Return the document of a host of which no other kernel is known."""
    return fleets.document(host, **{"kernel_target": None, **more})


def changed(host, stage, **more):
    return document(host, kernel_change={**CHANGE, "stage": stage, **more})
