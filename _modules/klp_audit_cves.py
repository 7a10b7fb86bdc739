"""
Which CVEs of the running kernel are fixed, and by what: the third file of the module ``klp_audit``.

:depends: ``zypper``, ``rpm``, ``klp``
:pillar: ``klp`` (see ``docs/reference/pillar.md``)
"""

import os
import re

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError

__virtualname__ = "klp_audit"

LIVEPATCH = "/sys/kernel/livepatch"
CVE = re.compile(r"CVE-\d{4}-\d{4,}\Z")
ERRORS = (CommandExecutionError, SaltInvocationError, ValueError)


def __virtual__():
    if "klp_cves.states" not in __utils__:
        return False, "klp_audit: _utils/klp_cves.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp_audit: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _run(argv):
    return __utils__["klp_cmd.run"](__salt__["cmd.run_all"], argv, timeout=300)["stdout"]


def _kept(name, world, reading):
    """Return ``reading()``, or what it said while ``world`` and the packages were the same."""
    world = [world, __salt__["zypper.world"]()]
    there = __utils__["klp_record.recall"](name, world)
    return there["answer"] if there else __utils__["klp_record.remember"](name, world, reading())


def _loaded():
    """Return what ``klp.status`` says; a kernel without live patching has none, and that is known."""
    if not os.path.isdir(LIVEPATCH):
        return {"transition": "ready", "active": None, "patches": []}
    return __salt__["klp.status"]()


def _told(status):
    """Return the block of the active live patch in ``klp -v patches``, kept while kernel and packages are the same."""
    if not any(patch["enabled"] for patch in status["patches"]):
        return {"rpm": None, "cves": []}
    blocks = [
        block
        for block in _kept("patches", [os.uname().release, status["patches"]], __salt__["klp.patches"])
        if block["active"]
    ]
    names = [block["name"] for block in blocks]
    if status["transition"] == "ready" and names != [status["active"]]:
        found = ", ".join(names) or "none"
        raise CommandExecutionError(f"klp -v patches says {found} is active, the kernel says {status['active']}")
    return blocks[-1] if blocks else {"rpm": None, "cves": []}


def _changelog(package, status):
    """Return the CVEs in the changelog of the installed live patch, if that is what is active; else ``None``."""
    edition = package["edition"]
    if edition is None or __salt__["klp.module"](edition) != status["active"]:
        return None
    argv = ["rpm", "-q", "--changelog", f"{package['name']}-{edition}"]
    return __utils__["klp_parse.changelog"](_kept("changelog", argv, lambda: _run(argv)))


def _active(package, status, block):
    """Return the edition of the active live patch: empty where there is none, ``None`` where that is not known."""
    if not any(patch["enabled"] for patch in status["patches"]):
        return ""
    begin = f"{package['name']}-"
    told = block["rpm"][len(begin) :] if block and block["rpm"] and block["rpm"].startswith(begin) else None
    for edition in (package["edition"], told):
        if edition and __salt__["klp.module"](edition) == status["active"]:
            return edition
    return None


def _try(reasons, function, *args):
    try:
        return function(*args)
    except ERRORS as exc:
        reasons.append(str(exc))
        return None


def kernel():
    """
    Return the package of the running kernel: ``{"release", "name", "edition"}``, the edition ``None`` if rpm has none.

    CLI Example::

        salt '*' klp_audit.kernel
    """
    parts = __utils__["klp_parse.kernel"](os.uname().release)
    name, running = f"kernel-{parts['flavour']}", __utils__["klp_checks.running_installed"]
    fitting = [item for item in __salt__["klp.rpms"]().get(name, []) if running([item], parts["version"])]
    return {"release": parts["release"], "name": name, "edition": fitting[0] if len(fitting) == 1 else None}


def _advisories(kernel_name, reasons):
    names = __utils__["klp_family.names"](os.uname().release)
    found = _try(reasons, __salt__["zypper.touching"], [kernel_name, f"{names['prefix']}*"])
    if found == []:
        reasons.append("no advisory of kernel or live patch is to be seen: are the update repositories enabled?")
    strange = sorted({cve for item in found or [] for cve in item["cves"] if not CVE.match(cve)})
    if strange:
        reasons.append(f"CVE ids of unknown form in advisories: {', '.join(strange)[:200]}")
    return [dict(item, cves=[cve for cve in item["cves"] if CVE.match(cve)]) for item in found or []]


def _facts(reasons):
    package, running = __salt__["klp.package"](), kernel()
    status = _try(reasons, _loaded)
    block = _try(reasons, _told, status) if status else None
    if running["edition"] is None:
        reasons.append(f"no package of the running kernel {running['release']} is installed, or more than one")
    facts = {
        "told": None if block is None else block["cves"],
        "changelog": _try(reasons, _changelog, package, status) if status else None,
        "advisories": _advisories(running["name"], reasons),
        "kernel": running["name"],
        "kernel_edition": running["edition"],
        "live_patch": package["name"],
        "active": _active(package, status, block) if status else None,
    }
    if status and facts["active"] is None:
        reasons.append(f"no package is known to have brought the active live patch {status['active']}")
    return facts, bool(status and status["transition"] != "ready")


def cves():
    """
    Return each CVE of kernel and live patch advisories that this host can see, with its state for the running kernel.

    Returns ``{"kernel", "live_patch" (active edition, "" for none, None for not known), "transition" (bool: one runs),
    "cves": {cve: {"state", "severity" (of the advisory, or None), "klp", "changelog" (bool or None), "advisories":
    [ids]}}, "contradictions": [lines], "reasons": [why this may be incomplete]}``. States are ``fixed_live``,
    ``fixed_kernel``, ``pending`` (a newer live patch is available), ``reboot`` (only a newer kernel has it) and
    ``unknown``, which is also what sources that contradict each other give. Slow answers are kept until packages or
    repositories change. Sources: klp(8), rpm(8) --changelog, zypper(8) list-patches.

    CLI Example::

        salt '*' klp_audit.cves
    """
    reasons = []
    facts, moving = _facts(reasons)
    found = __utils__["klp_cves.sources"](facts)
    by_state, lines = __utils__["klp_cves.states"](found, moving)
    shown = ("severity", "klp", "changelog", "advisories")
    return {
        "kernel": os.uname().release,
        "live_patch": facts["active"],
        "transition": moving,
        "cves": {
            cve: dict({key: found[cve][key] for key in shown}, state=state)
            for state, members in by_state.items()
            for cve in members
        },
        "contradictions": lines,
        "reasons": reasons,
    }
