"""
Bringing a new kernel and its live patch in beside the running one, and letting it be started once.

In this order, so that a power cut anywhere leaves the old kernel as the next one or as the default: the old kernel
becomes the default, the packages come, the new kernel is started once.
"""

import os

from salt.exceptions import CommandExecutionError

import klp_campaign
import klp_change
import klp_change_boot
import klp_change_keep
import klp_change_plan
import klp_checks
import klp_cves
import klp_family
import klp_initrd
import klp_parse
import klp_paths
import klp_runs
import zypp_opened
import zypp_packages
import zypp_write

REBOOT = "reboot_needed: {} with live patch {} is installed beside {}"
NEXT = (
    "Restart this host, or let a campaign of kind kernel do it, and run: salt {} state.apply klp.kernel; to take it "
    "back: salt {} state.apply klp.kernel_back"
)


def reading(host, plan):
    """Return what a plan changes as it is now: packages with their editions, the stage, and what GRUB starts next."""
    found = zypp_packages.packages(host)
    names = sorted(set(plan["packages"]) | set(plan["changes"]))
    there = {name: found[name] for name in names if name in found}
    there["stage"] = klp_change.record().get("stage")
    return dict(there, **_boot(klp_change_boot.upcoming(host))) if plan["boot"]["saved"] else there


def _boot(found):
    once = f"{found['next']} (once)" if found["once"] else found["next"]
    return {"next start": once, "default": found["default"]}


def goal(host, plan, old):
    """Return the reading that a plan leads to."""
    new, kernel = dict(old, stage="installed"), plan["kernel"]
    for name, edition in plan["changes"].items():
        edition = klp_cves.without_epoch(edition)
        there = set(old.get(name, "").split(",")) - {""}
        beside = edition in there or any(item["name"] == name for item in plan["summary"]["install"])
        new[name] = ",".join(sorted({edition} | (there if beside else set())))
    if not plan["boot"]["saved"]:
        return new
    if plan["fallback"]:
        return dict(new, **_boot({"next": kernel["release"], "default": host.release, "once": True}))
    return dict(new, **_boot({"next": kernel["release"], "default": kernel["release"], "once": False}))


def install(host, plan):
    """Carry a plan out; every stage is on the disk before it begins. Returns notes."""
    kernel, boot = plan["kernel"], plan["boot"]
    klp_campaign.require_shown(host, plan["changes"])
    record = klp_change.remember(_begun(host, plan), "installing")
    klp_change_keep.remember(kernel["edition"])
    if boot["saved"]:
        klp_change_boot.make_default(host, host.release)
    notes = []
    if plan["args"]:
        with zypp_opened.opened(host, klp_change_plan.opened(plan)):
            notes = zypp_write.transaction(host, plan["args"], plan["summary"], begun=False)
    _require_installed(host, plan)
    _require_initrd(host, kernel)
    _arm(host, plan)
    klp_change.remember(record, "installed")
    host.change = None
    return notes


def _begun(host, plan):
    """Return the record of a plan; what is known of an attempt that was cut off is kept."""
    kernel, old = plan["kernel"], klp_change.record()
    again = old.get("stage") == "installing"
    found = {"from": host.release, "to": kernel["release"], "edition": kernel["edition"]}
    found.update(live_patch=kernel["live_patch"]["edition"], fallback=plan["fallback"])
    found.update(run=(klp_runs.current(host) or {}).get("run") or "")
    found["default"] = old["default"] if again else plan["boot"]["default"]
    found["services"] = old["services"] if again and old["services"] else plan["services"]
    return dict(found, packages=dict(old["packages"] if again else {}, **plan["changes"]))


def _require_installed(host, plan):
    """Raise CommandExecutionError where a package is not there, or the running kernel is not any more."""
    found, running = zypp_packages.packages(host), host.kernel["version"]
    for name, edition in sorted(plan["packages"].items()):
        if edition not in found.get(name, "").split(","):
            raise CommandExecutionError(f"zypper install: wanted {name} {edition}, found {found.get(name, 'nothing')}")
    name = f"kernel-{host.kernel['flavour']}"
    if not klp_checks.running_installed(found.get(name, "").split(","), running):
        raise CommandExecutionError(f"{name} of the running kernel is gone: it stays as it is in memory; install it")
    for release in (plan["kernel"]["release"], host.release):
        if not os.path.exists(klp_initrd.path(release)):
            raise CommandExecutionError(f"{klp_initrd.path(release)} is not there; run dracut --force --kver {release}")


def _require_initrd(host, kernel):
    """Raise CommandExecutionError unless the initrd of a kernel is known to hold its live patch."""
    release = kernel["release"]
    module = klp_parse.module_name(kernel["live_patch"]["edition"], release)
    found = klp_checks.initrd(klp_initrd.answer(host, release), [module], klp_family.names(release))
    if found["verdict"] not in (klp_checks.OK, klp_checks.SKIPPED):
        raise CommandExecutionError(
            f"kernel {release} is installed, but its initrd has not its live patch: {found['detail']}; run dracut "
            f"--force --kver {release}, and the same command again"
        )


def _arm(host, plan):
    """Let GRUB start the new kernel: once, or from now on where it cannot do that, and that is allowed."""
    kernel = plan["kernel"]["release"]
    if plan["fallback"]:
        klp_change_boot.make_default(host, host.release)  # a scriptlet of the kernel may have chosen the new one
        klp_change_boot.start_once(host, kernel, host.release)
    elif plan["boot"]["saved"]:
        klp_change_boot.make_default(host, kernel)
    elif klp_change_boot.upcoming(host)["next"] not in (kernel, None):
        raise CommandExecutionError(f"the boot loader would not start {kernel} next: make it the default by hand")


def disarmed(host, found):
    """Return whether somebody has taken the one start of the new kernel out of GRUB since it was set (bool)."""
    return found["fallback"] and klp_change_boot.upcoming(host)["next"] != found["to"]


def rearm(host, found, _wait, test):
    """Let GRUB start the new kernel once again: ``(good, lines)``; with ``test`` nothing is written."""
    if test:
        return True, [f"Would let GRUB start {found['to']} once again"]
    klp_change_boot.make_default(host, found["from"])
    klp_change_boot.start_once(host, found["to"], found["from"])
    return True, waiting(host, found)


def waiting(host, found):
    """Return the lines that say what waits for a restart."""
    lines = [REBOOT.format(found["to"], found["live_patch"], found["from"])]
    if found["fallback"]:
        lines.append(f"The next start is {found['to']}, once; if it does not come up healthy, {found['from']} again")
    return lines + [NEXT.format(host.id, host.id)]


def planned(host, plan):
    """Return the lines that say what a plan would do, for ``test=True`` and a run alike."""
    kernel = plan["kernel"]
    window = kernel["window"] or {}
    until = f", live patches until {window['last']}" if window.get("last") else ""
    estimated = " (estimated)" if until and window.get("estimated") else ""
    lines = [f"Kernel {kernel['release']}{until}{estimated}; CVEs that it closes: {len(kernel['cves'] or {})}"]
    room = kernel["boot"]
    if room["needed"] is not None:
        lines.append(f"{klp_paths.BOOT}: needs {room['needed'] >> 20} MiB, {room['free'] >> 20} MiB are free")
    return lines + klp_change_plan.warnings(plan)
