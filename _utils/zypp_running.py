"""
Is a zypper at work on this host?

Source: libzypp's ZYppGlobalLock (the file of its process), proc(5).
"""

import os

import klp_paths
import klp_sys


def problem():
    """Return that a zypper is at work, one clause with its process, or ``None``."""
    pid = (klp_sys.text(klp_paths.ZYPP_PID) or "").strip()
    if not pid.isdecimal() or not os.path.exists(f"{klp_paths.PROC}/{pid}"):
        return None
    return f"process {pid} ({klp_sys.task(pid)['comm'] or 'unknown'}) holds the zypp lock; wait for its end"
