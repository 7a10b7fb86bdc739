"""
Which CVEs of the running kernel are fixed, and by what. Reads only.

Source: klp(8), rpm(8) --changelog, zypper(8) list-patches.
"""

import os
import re

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_cves
import klp_family
import klp_live
import klp_parse
import klp_record
import klp_sources
import zypp_advisories
import zypp_packages

CVE = re.compile(r"CVE-\d{4}-\d{4,}\Z")
ERRORS = (CommandExecutionError, SaltInvocationError, ValueError)


def _kept(name, world, reading):
    """Return ``reading()``, or what it said while ``world`` and the packages were the same."""
    world = [world, zypp_packages.world()]
    return klp_record.kept(name, lambda: world, reading)


def _told(host, status):
    """Return the block of the active live patch in ``klp -v patches``, kept while kernel and packages are the same."""
    if not any(patch["enabled"] for patch in status["patches"]):
        return {"rpm": None, "cves": []}
    blocks = [
        block
        for block in _kept("patches", [os.uname().release, status["patches"]], lambda: klp_live.patches(host))
        if block["active"]
    ]
    names = [block["name"] for block in blocks]
    if status["transition"] == "ready" and names != [status["active"]]:
        found = ", ".join(names) or "none"
        raise CommandExecutionError(f"klp -v patches says {found} is active, the kernel says {status['active']}")
    return blocks[-1] if blocks else {"rpm": None, "cves": []}


def _changelog(host, package, status):
    """Return the CVEs in the changelog of the installed live patch, if that is what is active; else ``None``."""
    edition = package["edition"]
    if edition is None or host.module(edition) != status["active"]:
        return None
    argv = ["rpm", "-q", "--changelog", f"{package['name']}-{edition}"]
    return klp_parse.changelog(_kept("changelog", argv, lambda: host.run(argv, timeout=300)["stdout"]))


def _active(host, package, status, block):
    """Return the edition of the active live patch: empty where there is none, ``None`` where that is not known."""
    if not any(patch["enabled"] for patch in status["patches"]):
        return ""
    begin = f"{package['name']}-"
    told = block["rpm"][len(begin) :] if block and block["rpm"] and block["rpm"].startswith(begin) else None
    for edition in (package["edition"], told):
        if edition and host.module(edition) == status["active"]:
            return edition
    return None


def _try(reasons, function, *args):
    try:
        return function(*args)
    except ERRORS as exc:
        reasons.append(str(exc))
        return None


def _advisories(host, kernel_name, reasons):
    names = klp_family.names(os.uname().release)
    found = _try(reasons, zypp_advisories.touching, host, [kernel_name, f"{names['prefix']}*"])
    blind = _try(reasons, klp_sources.live_patches_problem, host)
    reasons += [blind] if blind else []
    if found == []:
        reasons.append("no advisory of kernel or live patch is to be seen: are the update repositories enabled?")
    strange = sorted({cve for item in found or [] for cve in item["cves"] if not CVE.match(cve)})
    if strange:
        reasons.append(f"CVE ids of unknown form in advisories: {', '.join(strange)[:200]}")
    return [dict(item, cves=[cve for cve in item["cves"] if CVE.match(cve)]) for item in found or []]


def _facts(host, reasons):
    package, running = klp_live.package(host), klp_live.kernel_package(host)
    status = _try(reasons, klp_live.status, host)
    block = _try(reasons, _told, host, status) if status else None
    if running["edition"] is None:
        reasons.append(f"no package of the running kernel {running['release']} is installed, or more than one")
    facts = {
        "told": None if block is None else block["cves"],
        "changelog": _try(reasons, _changelog, host, package, status) if status else None,
        "advisories": _advisories(host, running["name"], reasons),
        "kernel": running["name"],
        "kernel_edition": running["edition"],
        "live_patch": package["name"],
        "active": _active(host, package, status, block) if status else None,
    }
    if status and facts["active"] is None:
        reasons.append(f"no package is known to have brought the active live patch {status['active']}")
    return facts, bool(status and status["transition"] != "ready")


def _wanted(only):
    names = only.split(",") if isinstance(only, str) else only
    if not isinstance(names, list) or not all(isinstance(name, str) and CVE.match(name) for name in names):
        raise SaltInvocationError(f"only: wanted ids of CVEs such as CVE-2026-31431, found {only!r:.60}")
    return names


def cves(host, only=None):
    """
    Return each CVE of kernel and live patch advisories that this host can see, with its state for the running kernel.

    ``only`` is a list of CVEs, or their ids with commas between: no others are in the answer.

    Returns ``{"kernel", "live_patch" (active edition, "" for none, None for not known), "transition" (bool: one runs),
    "cves": {cve: {"state", "severity" (of the advisory, or None), "klp", "changelog" (bool or None), "advisories":
    [ids]}}, "contradictions": [lines], "reasons": [why this may be incomplete]}``. States are ``fixed_live``,
    ``fixed_kernel``, ``pending`` (a newer live patch is available), ``reboot`` (only a newer kernel has it) and
    ``unknown``, which is also what sources that contradict each other give. Slow answers are kept until packages or
    repositories change. Sources: klp(8), rpm(8) --changelog, zypper(8) list-patches.
    """
    wanted, reasons = None if only is None else _wanted(only), []
    facts, moving = _facts(host, reasons)
    found = klp_cves.sources(facts)
    wanted = found if wanted is None else wanted
    by_state, lines = klp_cves.states(found, moving)
    shown = ("severity", "klp", "changelog", "advisories")
    return {
        "kernel": os.uname().release,
        "live_patch": facts["active"],
        "transition": moving,
        "cves": {
            cve: dict({key: found[cve][key] for key in shown}, state=state)
            for state, members in by_state.items()
            for cve in members
            if cve in wanted
        },
        "contradictions": [line for line in lines if line.partition(": ")[0] in wanted],
        "reasons": reasons,
    }
