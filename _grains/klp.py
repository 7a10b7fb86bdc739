"""
How this host stood when ``klp_audit.host`` was called last, with what the kernel says now. Starts no program.

The document is never older than it says: after a restart, or when another live patch is active than the one it tells
of, the verdict is ``unknown`` and ``stale`` is true until ``klp_audit.host`` is called again.
"""

import json
import os

DOCUMENT = "/var/lib/salt-klp/host.json"
LIVEPATCH = "/sys/kernel/livepatch"
BOOT = "/proc/sys/kernel/random/boot_id"
SEVERE = ("critical", "important")
LARGEST = 4 * 1024 * 1024  # characters of a document


def _text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read(LARGEST)
    except OSError:
        return ""


def _patches():
    """Return the names of the live patches that are enabled, and whether one is in transition; ``None``: not known."""
    if not os.path.isdir(LIVEPATCH):
        return [], None
    names = sorted(os.listdir(LIVEPATCH))
    enabled = [name for name in names if _text(f"{LIVEPATCH}/{name}/enabled").strip() == "1"]
    moving = [name for name in names if _text(f"{LIVEPATCH}/{name}/transition").strip() == "1"]
    return moving or enabled, bool(moving)


def _document():
    try:
        found = json.loads(_text(DOCUMENT))
        return {
            "boot": found["boot"],
            "kernel": found["kernel"],
            "time": found["time"],
            "verdict": found["verdict"],
            "level": found["live_patch"]["level"],
            "active": found["live_patch"]["active"],
            "window": found["window"]["state"],
            "window_last": found["window"]["last"],
            "pending_cves": len(found["cves"]["pending"]),
            "reboot_cves": len(found["cves"]["reboot"]),
            "retracted": found["live_patch"]["retracted"],
            **_updates(found["updates"]),
        }
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _updates(found):
    """Return how many severe security advisories are pending and left out, and whether that can be trusted."""
    left = [item for item in found["left_out"] if item["severity"] in SEVERE and not item["kernel"]]
    fresh = [item["frozen"] is False for item in found["repositories"]]
    return {
        "pending_updates": sum(found["pending"][word] for word in SEVERE),
        "left_out_updates": len(left),
        "updates_known": found["reason"] is None and bool(fresh) and all(fresh),
    }


def klp():
    """Return the grain ``klp``; nothing where there is neither live patching nor a document."""
    names, moving = _patches()
    told = _document()
    if told is None and not os.path.isdir(LIVEPATCH):
        return {}
    now = {
        "kernel": os.uname().release,
        "active": names[0] if len(names) == 1 else None,
        "transition": None if moving is None else "in_progress" if moving else "ready",
    }
    if told is None:
        return {"klp": dict(now, verdict="unknown", stale=True)}
    boot = told.pop("boot")
    stale = boot != (_text(BOOT).strip() or None) or told["kernel"] != now["kernel"] or told["active"] != now["active"]
    return {"klp": dict(told, stale=stale, verdict="unknown" if stale else told["verdict"], **now)}
