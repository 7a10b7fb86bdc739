"""
Is this host live patched as declared? rpm, sysfs, the klp tool and the initrd are compared.

Source: the checks of SUSE's kernel QA (openQA, lib/klp.pm).
"""

import os

from salt.exceptions import CommandExecutionError

import klp_checks
import klp_family
import klp_health
import klp_hold
import klp_hooks
import klp_initrd
import klp_level
import klp_live
import klp_parse
import klp_paths
import klp_preflight
import klp_restoring
import klp_retracted
import klp_sys
import zypp_begun
import zypp_lockfile
import zypp_packages
import zypp_scriptlets


def verify(host, wait=0):
    """
    Compare what rpm, sysfs and the klp tool say about this host, and what a restart would find.

    wait
        seconds for which the application (pillar ``klp:health``) may need to become well.

    Returns ``{"verdict", "kernel", "live_patch" (edition or None), "cves" (list), "checks": [{"check", "verdict",
    "detail"}]}``.
    """
    answer = {"kernel": host.release, "live_patch": None, "cves": [], "checks": []}
    try:
        unsupported = host.unsupported_reason()
    except CommandExecutionError as exc:
        unsupported = str(exc)
    if unsupported:
        checks = [klp_checks.check("kernel", klp_checks.UNSUPPORTED, unsupported)]
        return dict(answer, verdict=klp_checks.UNSUPPORTED, checks=checks)
    package, said = klp_live.package(host), klp_live.sources(host)
    checks = _kernel_checks(host, package, said) + _package_checks(host)
    checks += klp_health.checks(host, wait) + klp_hooks.checks(host)
    told = [cve for patch in said["patches"].get("value", []) if patch["active"] for cve in patch["cves"]]
    verdict = klp_checks.verdict(checks)
    return dict(answer, verdict=verdict, live_patch=package["edition"], cves=sorted(told), checks=checks)


def _kernel_checks(host, package, said):
    kernel, sysfs, uname = host.kernel, said["sysfs"], os.uname()
    editions = klp_live.installed(host).get(package["name"], [])
    modules = klp_parse.modules(host.run(["rpm", "-ql", package["name"]])["stdout"]) if editions else []
    kernels = klp_live.installed(host).get(f"kernel-{kernel['flavour']}", [])
    unsigned = host.settings["verify"]["unsigned_modules"]
    hold = klp_hold.of_kernel(host)
    return [
        klp_checks.transition(sysfs, said["transition"], klp_live.blockers(host)),
        klp_checks.active(sysfs, said["patches"]),
        klp_checks.package(sysfs, said["patches"], package["name"], editions, modules),
        _retracted(host, package["edition"]),
        klp_checks.kernel(uname.release, kernels, kernel["flavour"], kernel["version"]),
        klp_checks.uname(uname.version),
        klp_checks.taint(klp_sys.text(klp_paths.TAINTED), unsigned),
        klp_checks.initrd(klp_initrd.answer(host, uname.release), modules, klp_family.names(uname.release)),
    ] + ([_held(package, hold)] if hold else [])


def _retracted(host, edition):
    unknown: dict = {"retracted": None, "advisories": [], "read": False}
    try:
        found = klp_retracted.of(host, edition) if edition else unknown
    except CommandExecutionError as exc:
        found = dict(unknown, reason=str(exc))
    return klp_checks.retracted(edition, found, klp_retracted.withdrawn(edition, found["advisories"]), host.id)


def _package_checks(host):
    update = host.settings["update"]
    accept, acknowledged = update["scriptlets"] == "accept", update["acknowledged"]
    return [
        klp_checks.locks(klp_preflight.unlocked(host)),
        klp_checks.unfinished(zypp_begun.unfinished(host)),
        klp_checks.scriptlets(zypp_scriptlets.failed(host), accept, acknowledged),
        klp_checks.reboot(zypp_packages.needs_rebooting(), klp_restoring.pending(), klp_live.waiting_kernel(host)),
    ]


def _held(package, hold):
    missing = zypp_lockfile.missing([klp_hold.newer_lock(hold)])
    above = package["edition"] is not None and klp_level.age(package["edition"]) > klp_level.age(hold["edition"])
    return klp_checks.held(package["edition"], above, hold, missing)
