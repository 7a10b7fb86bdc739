"""
What a change of the kernel has to do next on this host, and what its transaction brings.

Nothing is changed here. The dry run sees our locks on the packages of the kernel as locks on all that is newer.
"""

import os

import salt.utils.systemd
from salt.exceptions import CommandExecutionError

import klp_campaign
import klp_change
import klp_change_boot
import klp_cmd
import klp_health
import klp_hooks
import klp_live
import klp_paths
import klp_preflight
import klp_runs
import klp_sys
import klp_target
import zypp_cmd
import zypp_opened
import zypp_packages
import zypp_parse
import zypp_plan
import zypp_solver
import zypp_write

SLS = "klp.kernel"
INSTALL, WAIT, VERIFY, DONE, NONE = "install", "wait", "verify", "done", "none"
# Packages of a kernel that have drivers: where they are installed, they come with it.
DRIVERS = ("-extra", "-optional")
FALLBACK = (
    "{}. This kernel would be the default at once, and a host that does not come up with it waits for somebody: pillar "
    "klp:kernel:without_fallback: true allows that"
)
INSTEAD = (
    "zypper would put {} in the place of the running one: set multiversion = provides:multiversion(kernel) in "
    "/etc/zypp/zypp.conf, as SUSE ships it"
)
PANIC = (
    "a kernel that panics stays halted, and needs a reset by hand before the old one starts: put panic=60 on the "
    "command line of the kernel (GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub) for the fallback"
)


def step(host):
    """
    Return what comes next: ``install``, ``wait`` (for a restart), ``verify``, or the stage ``failed``, ``back`` or
    ``went_back`` that has to be left first. Starts no program.
    """
    found = klp_change.record()
    stage, retry = found.get("stage"), host.settings["kernel"]["retry"]
    if stage in ("installed", "restarting"):
        return VERIFY if klp_change.restarted(found) else WAIT
    if stage == "installing" and host.release == found["to"]:
        return VERIFY  # cut off when GRUB was set already
    if stage == "failed" and retry and host.release == found["to"]:
        return VERIFY
    if stage == "back" or (stage in ("failed", "went_back") and not retry):
        return stage
    return INSTALL


def target(host):
    """Return the kernel that this host is to get, as ``klp_target.choose`` has it; one that was begun goes first."""
    found = klp_change.record()
    if found.get("stage") == "installing" and host.settings["kernel"]["target"] == "best":
        begun = [item for item in klp_target.kernels(host) if item["edition"] == found["edition"]]
        if begun and not begun[0]["problems"]:
            return begun[0]
    return klp_target.choose(host)


def plan(host):
    """
    Return the change of kernel that is next on this host, found out once in a job.

    ``{"step" (of ``step``, or done: this kernel runs, none: no other one is wanted), "kernel" (the target, or None),
    "packages" ({name: edition} that are to be there), "changes" ({name: edition} that the transaction brings),
    "summary" (its dry run, or None), "boot" (of klp_change_boot.look), "fallback" (bool)}``. Raises
    CommandExecutionError with the sentence that speaks against it; nothing was changed then.
    """
    if host.change is None:
        host.change = _plan(host)
    return host.change


def _plan(host):
    answer = {"step": step(host), "kernel": None, "packages": {}, "changes": {}, "summary": None}
    answer.update(boot=None, fallback=False, services=[], args=[])
    if answer["step"] != INSTALL:
        return answer
    _require(klp_preflight.problems(host) + klp_hooks.problems(host) + klp_runs.problems(host))
    zypp_solver.refresh(host)
    kernel = target(host)
    if kernel is None or kernel["release"] == host.release:
        return dict(answer, step=DONE if kernel else NONE, kernel=kernel)
    klp_live.refuse_transition()
    boot = klp_change_boot.look(host, host.release)
    if not boot["once"] and not host.settings["kernel"]["without_fallback"]:
        raise CommandExecutionError(FALLBACK.format(boot["why"]))
    answer.update(kernel=kernel, boot=boot, fallback=boot["once"], packages=_packages(host, kernel))
    _require(zypp_opened.problems(answer["packages"], sorted(opened(answer))))
    answer.update(_transaction(host, answer), services=services(host))
    _require([item for item in [klp_campaign.unshown(host, answer["changes"], whole=True)] if item])
    return answer


def _require(problems):
    if problems:
        raise CommandExecutionError("; ".join(problems))


def _packages(host, kernel):
    """Return the packages that have to be there for a kernel, ``{name: edition}``."""
    live, found = kernel["live_patch"], zypp_packages.packages(host)
    wanted = {kernel["package"]: kernel["edition"], live["package"]: live["edition"]}
    wanted.update(kernel["kmps"].get("install", {}))
    for name in [kernel["package"] + part for part in DRIVERS]:
        if name in found:
            there = [item["edition"] for item in zypp_solver.editions(host, name)]
            if kernel["edition"] not in there:
                raise CommandExecutionError(
                    f"{name} is installed here, and no repository has its edition {kernel['edition']}: the new kernel "
                    "would lack its drivers; remove it, or choose another kernel (pillar klp:kernel:target)"
                )
            wanted[name] = kernel["edition"]
    return wanted


def opened(plan_):
    """Return the packages of a plan whose locks are opened for it: ``{name: edition}``."""
    return {name: edition for name, edition in plan_["packages"].items() if zypp_plan.kernel_package(name)}


def _missing(host, packages):
    """Return what has still to come, as zypper takes it; again what may have been cut off."""
    found, begun = zypp_packages.packages(host), klp_change.record()
    again = begun["packages"] if begun.get("stage") == "installing" else {}
    there = {name for name in packages if packages[name] in found.get(name, "").split(",")}
    forced = sorted(name for name in there if again.get(name) == packages[name])
    names = sorted(set(packages) - there) + forced
    return [f"{name}={packages[name]}" for name in names], bool(forced)


def _transaction(host, answer):
    """Return ``{"args", "summary", "changes"}`` of the command that brings what is missing, by its dry run."""
    names, force = _missing(host, answer["packages"])
    if not names:
        return {"args": [], "summary": None, "changes": {}}
    args = ["install", "--no-recommends"] + (["--force"] if force else []) + zypp_cmd.check_names(names)
    with zypp_opened.opened(host, opened(answer)):
        text = host.zypper(args[:1] + ["--dry-run"] + args[1:], ok=(0, 102, 103))["stdout"]
    found = klp_cmd.parsed(zypp_parse.summary, text)
    _require_only(host, found, answer["packages"])
    return {"args": args, "summary": found, "changes": zypp_write.arriving(found)}


def _require_only(host, summary, packages):
    """Raise CommandExecutionError for what a dry run holds besides these packages and must not, here or elsewhere."""
    over = [item for item in summary["upgrade"] + summary["downgrade"] if zypp_plan.kernel_package(item["name"])]
    if over:
        raise CommandExecutionError(INSTEAD.format(over[0]["name"]))
    rest = {
        action: [
            item for item in summary[action] if action == "remove" or packages.get(item["name"]) != item["edition"]
        ]
        for action in summary
        if action != "nothing"
    }
    gone = [f"remove {item['name']}-{item['edition']}" for item in rest["remove"] if item["kind"] == "package"]
    wrong = gone or zypp_solver.forbidden(host, dict(rest, nothing=False), allow_reboot=False)
    if wrong:
        raise CommandExecutionError(
            f"zypper install: refused before anything was installed, because it would {', '.join(wrong)}"
        )


def services(host):
    """
    Return, sorted, the services that run now and are started with the host; none where systemd does not run.

    Started with the host: a target wants them, and no socket, path or timer starts them. What D-Bus starts on demand
    (``NetworkManager-dispatcher``) is enabled by an alias only, and ends by itself when it is idle.

    Raises CommandExecutionError where it does not tell: what runs would be unknown after the restart. Source:
    systemd.unit(5), systemctl(1).
    """
    if not salt.utils.systemd.booted():
        return []
    listed = host.run(["systemctl", "list-units", "--state=running", "--type=service", "--no-legend", "--plain"])[
        "stdout"
    ]
    names = [line.split()[0] for line in listed.splitlines() if line.strip()]
    units = _shown(host, names, "UnitFileState,WantedBy,RequiredBy,TriggeredBy")
    return sorted(name for name in names if name in units and _with_the_host(units[name]))


def stopped(host, names):
    """
    Return, sorted, which of these services do not run now; raises CommandExecutionError where systemd does not tell.

    It asks for these alone: a list of all unit files takes longer than D-Bus waits on a host that has just started. A
    service on D-Bus that was started with the host and has ended well is idle (``snapperd`` after a minute), and runs
    when it is asked. Source: systemctl(1), org.freedesktop.systemd1(5).
    """
    units = _shown(host, names, "SubState,Type,Result,ExecMainStartTimestampMonotonic")
    return sorted(name for name in names if not _runs(units.get(name, {})))


def _runs(unit):
    begun = unit.get("ExecMainStartTimestampMonotonic", "0") != "0"
    idle = unit.get("SubState") == "dead" and unit.get("Type") == "dbus" and unit.get("Result") == "success" and begun
    return unit.get("SubState") == "running" or idle


def _shown(host, names, properties):
    """Return ``{service: {property: text}}``."""
    if not names:
        return {}
    shown = host.run(["systemctl", "show", f"--property=Id,{properties}", *names])["stdout"]
    units = [dict(line.split("=", 1) for line in text.splitlines() if "=" in line) for text in shown.split("\n\n")]
    return {unit["Id"]: unit for unit in units if "Id" in unit}


def _with_the_host(unit):
    wanted = f"{unit.get('WantedBy', '')} {unit.get('RequiredBy', '')}".split()
    enabled = unit.get("UnitFileState") == "enabled" and not unit.get("TriggeredBy")
    return enabled and any(name.endswith(".target") for name in wanted)


def target_of(host, plan_):
    """
    Return what a plan leads to, for a campaign, or ``None``: ``{"release", "edition", "live_patch" (edition),
    "package", "fallback" (bool), "window_last" (or None), "cves" (how many it closes)}``.

    Of a change that has begun the record tells, which knows neither window nor CVEs.
    """
    kernel, found = plan_["kernel"], klp_change.record()
    if kernel:
        live, cves = kernel["live_patch"] or {}, len(kernel["cves"] or {})
        answer = {"release": kernel["release"], "edition": kernel["edition"], "package": kernel["package"]}
        answer.update(live_patch=live.get("edition"), window_last=(kernel["window"] or {}).get("last"), cves=cves)
        return dict(answer, fallback=plan_["fallback"])
    if plan_["step"] in (NONE, INSTALL) or not found:
        return None
    answer = {"release": found["to"], "edition": found["edition"], "package": f"kernel-{host.kernel['flavour']}"}
    return dict(answer, live_patch=found["live_patch"], fallback=found["fallback"], window_last=None, cves=0)


def warnings(plan_):
    """Return what has to be said before a kernel is started, one line each."""
    found = [] if plan_["fallback"] else [f"No fallback: {plan_['boot']['why']}"]
    parameters = klp_sys.text(os.path.join(klp_paths.PROC, "cmdline")) or ""
    if plan_["fallback"] and klp_change_boot.panic(parameters) is None:
        found.append(f"Warning: {PANIC}")
    return found


def begin_problems(host):
    """Return why a change of kernel may not begin now: the application of this host is not well."""
    return klp_health.before(host, lambda: plan(host)["step"] != INSTALL)


def idle(host):
    """Return whether SLS klp.kernel installs nothing and writes nothing to the boot loader for a new kernel (bool)."""
    return plan(host)["step"] != INSTALL
