"""
The live patches of a host as kernel, rpm and the klp tool tell of them. Reads only.

Source: the kernel's ABI/testing/sysfs-kernel-livepatch, klp(8), kgr(8), proc(5).
"""

import functools
import logging
import time

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_change
import klp_checks
import klp_cmd
import klp_cves
import klp_parse
import klp_paths
import klp_sys
import zypp_begun
import zypp_packages
from klp_words import count

log = logging.getLogger(__name__)

NAMED = 20  # blockers that are looked at closely
POLL = 0.5  # seconds between two looks at sysfs
LOOKS = 3  # how often the sources are asked while the kernel moves
MOVING = "a transition is still running: no second live patch is started; see klp.blockers"


def installed(host):
    """Return what is installed of kernel, live patch and tools, by one rpm query: ``{name: [editions]}``."""
    names = [f"kernel-{host.kernel['flavour']}", host.live_patch_package]
    return zypp_packages.installed(host, names + host.tools["packages"])


def missing_tools(host):
    """Return the tools of pillar ``klp:tools`` that are not installed; a pattern as ``pattern:NAME``."""
    tools, found = host.tools, installed(host)
    missing = [name for name in tools["packages"] if name not in found]
    pattern = tools["pattern"]
    if pattern and not zypp_packages.providers(host, f"pattern() = {pattern}"):
        missing.append(f"pattern:{pattern}")
    return missing


def kernel_package(host):
    """Return the package of the running kernel: ``{"release", "name", "edition" (None: rpm has none, or several)}``."""
    name, version = f"kernel-{host.kernel['flavour']}", host.kernel["version"]
    fitting = [item for item in installed(host).get(name, []) if klp_checks.running_installed([item], version)]
    return {"release": host.release, "name": name, "edition": fitting[0] if len(fitting) == 1 else None}


def waiting_kernel(host):
    """Return ``NAME-EDITION`` of the newest installed kernel of this flavour that is newer than the one that runs."""
    kernel = kernel_package(host)
    found = newer_kernels(host, kernel["edition"] or host.kernel["version"])
    newest = functools.reduce(lambda one, two: two if klp_cves.newer(two, one) else one, found) if found else None
    return newest and f"{kernel['name']}-{newest}"


def newer_kernels(host, running):
    """
    Return the editions of the installed kernels of this flavour that are newer than the running one.

    One that was given up here (SLS klp.kernel) waits for no restart.
    """
    gone = klp_change.given_up()
    editions = installed(host).get(f"kernel-{host.kernel['flavour']}", [])
    return [edition for edition in editions if edition != gone and klp_cves.newer(edition, running)]


def status(host):
    """
    Return what the kernel says, read from sysfs without a program.

    Returns ``{"kernel", "transition" (ready or in_progress), "active" (name or None), "patches": [{"name", "enabled",
    "transition"}]}``; while a transition runs, ``active`` is the live patch that comes.
    """
    found = klp_sys.live_patches()
    moving = [patch["name"] for patch in found if patch["transition"]]
    names = moving or [patch["name"] for patch in found if patch["enabled"]]
    return {
        "kernel": host.release,
        "transition": "in_progress" if moving else "ready",
        "active": names[0] if len(names) == 1 else None,
        "patches": found,
    }


def refuse_transition():
    """Raise CommandExecutionError while a transition runs; on a kernel without live patching none does."""
    if klp_sys.moving():
        raise CommandExecutionError(MOVING)


def package(host):
    """
    Return the live patch package of the running kernel: ``{"name", "edition", "level", "unfinished" (bool)}``.

    Edition and level are ``None`` where it is not installed. ``unfinished``: its installation was begun and not seen to
    end, or an older one is still there beside it.
    """
    files = klp_paths.RPM_DATABASE + (f"{klp_paths.RECORDS}/*.json",)
    return dict(host.kept("package", files, lambda: _package(host)))


def _package(host):
    name = host.live_patch_package
    editions = [{"edition": edition} for edition in installed(host).get(name, [])]
    newest = (klp_cmd.parsed(klp_parse.newest_first, editions) or [{"edition": None, "level": None}])[0]
    edition = newest["edition"]
    return {
        "name": name,
        "edition": edition,
        "level": newest["level"],
        "unfinished": len(editions) > 1 or (edition is not None and edition == zypp_begun.recorded(name)),
    }


def tool_is_there(host):
    """Return whether the klp tool of this family is installed (bool)."""
    return bool(salt.utils.path.which(host.family["tool"]))


def patches(host):
    """Return the live patches that the klp tool knows: ``[{"name", "active", "rpm", "cves"}]``."""
    return klp_cmd.parsed(klp_parse.patches, host.run([host.family["tool"], "-v", "patches"])["stdout"])


def sources(host):
    """
    Return what the kernel and the klp tool say of one moment.

    Returns ``{"sysfs": [as status has it], "transition", "patches"}``, the last two ``{"value"}`` or ``{"error"}``.
    The kernel is read before and after the tool is asked, and both are asked again where it has moved in between, as
    it does when somebody else's rpm loads a live patch just then.
    """
    tool = host.family["tool"]
    for _ in range(LOOKS):
        found = {
            "sysfs": klp_sys.live_patches(),
            "transition": _answer(host, klp_parse.transition, [tool, "status"]),
            "patches": _answer(host, klp_parse.patches, [tool, "-v", "patches"]),
        }
        if klp_sys.live_patches() == found["sysfs"]:
            break
    return found


def _answer(host, reader, argv):
    """Return ``{"value"}`` of what a program said, or ``{"error"}`` with the reason why that is not known."""
    try:
        return {"value": reader(host.run(argv)["stdout"])}
    except (CommandExecutionError, ValueError) as exc:
        return {"error": str(exc)}


def blockers(host):
    """
    Return the tasks that hold a transition up; the tool is asked only while one runs.

    A list of ``{"pid", "command", "comm", "unit", "package", "state", "stack"}``, unknown ones ``None``; at most NAMED.
    """
    if status(host)["transition"] == "ready":
        return []
    found = klp_cmd.parsed(klp_parse.blockers, host.run([host.family["tool"], "-v", "blocking"])["stdout"])
    return [_blocker(host, item) for item in found[:NAMED]]


def _blocker(host, item):
    task = klp_sys.task(item["pid"])
    owner = None
    if task["exe"]:
        res = host.run(["rpm", "-qf", "--qf", "%{NAME}\\n", task["exe"]], ok=None)
        owner = res["stdout"].strip() if res["retcode"] == 0 else None
    return {
        "pid": item["pid"],
        "command": item["command"],
        "comm": task["comm"],
        "unit": klp_cmd.parsed(klp_parse.unit, task["cgroup"] or ""),
        "package": owner,
        "state": task["state"],
        "stack": item["stack"] or task["stack"],
    }


def wait(host, timeout=None):
    """Wait until no transition runs: ``{"transition": "ready", "seconds"}``; the deadline raises with the blockers."""
    timeout = host.settings["transition"]["timeout"] if timeout is None else timeout
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or timeout < 0:
        raise SaltInvocationError(f"timeout: wanted seconds, found {timeout!r}")
    started, told = time.monotonic(), 0.0
    while status(host)["transition"] != "ready":
        spent = time.monotonic() - started
        if spent >= timeout:
            raise CommandExecutionError(_stalled(host, timeout))
        if spent - told >= 15:
            told = spent
            log.info("salt-klp: the transition still runs, %d s of at most %d s", spent, timeout)
        time.sleep(POLL)
    return {"transition": "ready", "seconds": round(time.monotonic() - started, 1)}


def _stalled(host, timeout):
    try:
        found = [klp_checks.blocker_line(item) for item in blockers(host)]
    except CommandExecutionError as exc:
        found = [str(exc)]
    names = "; ".join(found) or "no task that klp could name"
    return (
        f"the transition of the live patch did not end within {count(timeout, 'second')}, held up by: {names}; "
        "no other change was started; stop or restart these tasks, then run the same command again"
    )
