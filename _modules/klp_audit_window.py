"""
How long SUSE makes live patches for the running kernel: the fourth file of the module ``klp_audit``.

:depends: ``rpm``
:pillar: ``klp:window``
"""

import datetime
import os
import time

import salt.utils.path
from salt.exceptions import CommandExecutionError

__virtualname__ = "klp_audit"

# In the order of zypper-lifecycle: what is read later goes over what was read before.
LIFECYCLE = ("/var/lib/lifecycle/data", "/usr/lib/lifecycle/data", "/usr/share/lifecycle/data")
PRODUCTS = "/etc/products.d"
LARGEST = 4 * 1024 * 1024  # characters of one file


def __virtual__():
    if "klp_lifecycle.window" not in __utils__:
        return False, "klp_audit: _utils/klp_lifecycle.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp_audit: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _products():
    """Return the installed products, and all that hold live patches: one may be there by its repositories only."""
    names = os.listdir(PRODUCTS) if os.path.isdir(PRODUCTS) else []
    always = __utils__["klp_family.products"]()
    return sorted({name[:-5] for name in names if name.endswith(".prod")} | set(always))


def lifecycle():
    """
    Return the lifecycle data of the installed products: ``{"lines": [...], "unknown": [sentences]}``.

    CLI Example::

        salt '*' klp_audit.lifecycle
    """
    lines, unknown = [], []
    for path in [f"{folder}/{name}.lifecycle" for name in _products() for folder in LIFECYCLE]:
        if not os.path.exists(path):
            continue
        text = __utils__["klp_sys.text"](path)
        if text is None or len(text) > LARGEST:
            unknown.append(f"{path}: cannot be read, or is larger than {LARGEST} characters")
            continue
        found, strange = __utils__["klp_lifecycle.read"](text, path)
        lines, unknown = lines + found, unknown + strange
    shown = [dict(line, date=line["date"] and line["date"].isoformat()) for line in lines]
    return {"lines": shown, "unknown": unknown}


def _built(kernel):
    """Return the build time of the running kernel's package, or ``None``."""
    if kernel["edition"] is None:
        return None
    argv = ["rpm", "-q", "--qf", "%{BUILDTIME}\\n", f"{kernel['name']}-{kernel['edition']}"]
    world = [argv, __salt__["zypper.world"]()]
    there = __utils__["klp_record.recall"]("built", world)
    if there:
        return there["answer"]
    said = __utils__["klp_cmd.run"](__salt__["cmd.run_all"], argv)["stdout"].strip()
    if not said.isdigit():
        raise CommandExecutionError(f"rpm -q: unknown build time {said[:80]!r}")
    return __utils__["klp_record.remember"]("built", world, int(said))


def window():
    """
    Return how long live patches are made for the running kernel.

    Returns ``{"state" (open, expired or unknown), "first" (build date of the kernel's package), "last", "days" (until
    then), "estimate": {"last", "days"} or None, "limit": {"max_level", "reached"} or None, "source" (FILE:LINE),
    "reason"}``; dates are ``YYYY-MM-DD``. Without a line for this kernel the state is ``unknown``, and the estimate is
    one year from the build. Source: the lifecycle data of the installed products, read as zypper-lifecycle does.

    CLI Example::

        salt '*' klp_audit.window
    """
    settings = __utils__["klp_pillar.settings"](__pillar__.get("klp"))["window"]
    read = [
        dict(line, date=line["date"] and datetime.datetime.strptime(line["date"], "%Y-%m-%d").date())
        for line in lifecycle()["lines"]
    ]
    today = datetime.datetime.fromtimestamp(time.time(), datetime.timezone.utc).date()
    built = _built(__salt__["klp_audit.kernel"]())
    return __utils__["klp_lifecycle.window"](read, __salt__["klp.package"](), built, today, settings["max_level"])


def window_problems():
    """
    Return why a maintenance run is refused for its window, as pillar ``klp:window:refuse`` says; one sentence or none.

    CLI Example::

        salt '*' klp_audit.window_problems
    """
    refused = __utils__["klp_pillar.settings"](__pillar__.get("klp"))["window"]["refuse"]
    if not refused:
        return []
    found = window()
    if found["state"] not in refused:
        return []
    said = (
        f"the window of kernel {os.uname().release} is {found['state']} ({found['reason']}), and pillar "
        "klp:window:refuse says to stop: plan a reboot into a newer kernel, see klp_audit.reboot_safety"
    )
    return [said]
