"""
Kernel live patches of SUSE Linux Enterprise hosts: what is active, what holds it up, and bringing in the next one.

:depends: ``zypper``, ``rpm``; ``klp`` (on SLES 12 ``kgr``) for patches, blockers and verify; ``rmmod``
:pillar: ``klp`` (see ``docs/reference/pillar.md``)
"""

import logging
import os
import time

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError

log = logging.getLogger(__name__)

NAMED = 20  # blockers that are looked at closely
POLL = 0.5  # seconds between two looks at sysfs
MODULES = "/sys/module"
UNFINISHED = "unfinished"  # record of klp_record: the live patch whose installation was begun


def __virtual__():
    if "klp_parse.patches" not in __utils__:
        return False, "klp: _utils/klp_parse.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp: command zypper not found, this is not a SUSE host"
    return True


def _run(argv, ok=(0,), timeout=60, **kwargs):
    return __utils__["klp_cmd.run"](__salt__["cmd.run_all"], argv, ok, timeout=timeout, **kwargs)


def _parse(reader, text):
    """Read ``text`` with a pure parser; unknown text is an error, never 'nothing'."""
    try:
        return __utils__[f"klp_parse.{reader}"](text)
    except ValueError as exc:
        raise CommandExecutionError(str(exc)) from exc


def _settings():
    return __utils__["klp_pillar.settings"](__pillar__.get("klp"))


def _kernel():
    return _parse("kernel", os.uname().release)


def _tool():
    return __salt__["klp.family"]()["tool"]


def rpms():
    """
    Return what is installed of kernel, live patch and tools, by one rpm query: ``{name: [editions]}``.

    CLI Example::

        salt '*' klp.rpms
    """
    kernel = _kernel()
    names = [f"kernel-{kernel['flavour']}", _parse("package_name", kernel["release"])]
    return __salt__["zypper.installed"](names + __salt__["klp.tools"]()["packages"])


def tools_missing():
    """
    Return the tools of pillar ``klp:tools`` that are not installed; a pattern as ``pattern:NAME``.

    CLI Example::

        salt '*' klp.tools_missing
    """
    tools, found = __salt__["klp.tools"](), rpms()
    missing = [name for name in tools["packages"] if name not in found]
    pattern = tools["pattern"]
    if pattern and not __salt__["zypper.provided"](f"pattern() = {pattern}"):
        missing.append(f"pattern:{pattern}")
    return missing


def status():
    """
    Return what the kernel says, read from sysfs without a program.

    Returns ``{"kernel", "transition" (ready or in_progress), "active" (name or None), "patches": [{"name", "enabled",
    "transition"}]}``; while a transition runs, ``active`` is the live patch that comes. Source: sysfs-kernel-livepatch.

    CLI Example::

        salt '*' klp.status
    """
    patches_ = __utils__["klp_sys.live_patches"]()
    moving = [patch["name"] for patch in patches_ if patch["transition"]]
    enabled = [patch["name"] for patch in patches_ if patch["enabled"]]
    names = moving or enabled
    return {
        "kernel": os.uname().release,
        "transition": "in_progress" if moving else "ready",
        "active": names[0] if len(names) == 1 else None,
        "patches": patches_,
    }


def patches():
    """
    Return the live patches that the ``klp`` tool knows, with what they fix.

    A list of ``{"name", "active" (bool), "rpm" (name-edition or None), "cves" (list)}``. Source: klp(8).

    CLI Example::

        salt '*' klp.patches
    """
    return _parse("patches", _run([_tool(), "-v", "patches"])["stdout"])


def blockers():
    """
    Return the tasks that hold a transition up; asked of the tool only while one runs.

    A list of ``{"pid", "command", "comm", "unit", "package", "state", "stack"}``, unknown ones ``None``;
    at most the first 20. Source: klp(8), proc(5).

    CLI Example::

        salt '*' klp.blockers
    """
    if status()["transition"] == "ready":
        return []
    found = _parse("blockers", _run([_tool(), "-v", "blocking"])["stdout"])
    return [_blocker(item) for item in found[:NAMED]]


def _blocker(item):
    task = __utils__["klp_sys.task"](item["pid"])
    owner = None
    if task["exe"]:
        res = _run(["rpm", "-qf", "--qf", "%{NAME}\\n", task["exe"]], ok=None)
        owner = res["stdout"].strip() if res["retcode"] == 0 else None
    return {
        "pid": item["pid"],
        "command": item["command"],
        "comm": task["comm"],
        "unit": _parse("unit", task["cgroup"] or ""),
        "package": owner,
        "state": task["state"],
        "stack": item["stack"] or task["stack"],
    }


def wait(timeout=None):
    """
    Wait until no transition runs.

    timeout
        seconds; default: pillar ``klp:transition:timeout``.

    Returns ``{"transition": "ready", "seconds": S}``. Raises CommandExecutionError at the deadline, with the blockers.
    Nothing is forced, and nothing is sent to the tasks.

    CLI Example::

        salt '*' klp.wait timeout=120
    """
    timeout = _settings()["transition"]["timeout"] if timeout is None else timeout
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or timeout < 0:
        raise SaltInvocationError(f"timeout: wanted seconds, found {timeout!r}")
    started, told = time.monotonic(), 0.0
    while status()["transition"] != "ready":
        spent = time.monotonic() - started
        if spent >= timeout:
            raise CommandExecutionError(_blocked(timeout))
        if spent - told >= 15:
            told = spent
            log.info("salt-klp: the transition still runs, %d of at most %d seconds", spent, timeout)
        time.sleep(POLL)
    return {"transition": "ready", "seconds": round(time.monotonic() - started, 1)}


def _blocked(timeout):
    try:
        found = [__utils__["klp_checks.blocker_line"](item) for item in blockers()]
    except CommandExecutionError as exc:
        found = [str(exc)]
    names = "; ".join(found) or "no task that klp could name"
    return (
        f"the transition of the live patch did not end within {timeout} seconds, held up by: {names}; "
        "nothing else was started; end or restart these and run the same command again"
    )


def package():
    """
    Return the live patch package of the running kernel: ``{"name", "edition", "level", "unfinished" (bool)}``.

    Edition and level are ``None`` where it is not installed. ``unfinished``: its installation was begun and not seen to
    end, as after a kill or a power cut; the initrd may lack it, or the one before is still there. ``klp.install``
    mends that.

    CLI Example::

        salt '*' klp.package
    """
    name = _parse("package_name", os.uname().release)
    editions = sorted(rpms().get(name, []), key=__utils__["klp_parse.age"])
    edition = editions[-1] if editions else None
    begun = __utils__["klp_record.read"](UNFINISHED, {}).get("edition")
    return {
        "name": name,
        "edition": edition,
        "level": _parse("level", edition) if edition else None,
        "unfinished": len(editions) > 1 or (edition is not None and edition == begun),
    }


def pending(sls="klp.patch"):
    """
    Return the package changes that an SLS of this formula would make now: ``{name: {"old", "new"}}``.

    sls
        ``klp`` (steady state) or ``klp.patch`` (maintenance run).

    CLI Example::

        salt '*' klp.pending klp.patch
    """
    found = {}
    for part in _pending(sls):
        found.update(part)
    return found


def idle(sls="klp.patch"):
    """
    Return whether an SLS of this formula has nothing to change here (bool); looks no further than the first change.

    sls
        ``klp`` (steady state) or ``klp.patch`` (maintenance run).

    CLI Example::

        salt '*' klp.idle klp.patch
    """
    return not any(_pending(sls))


def _pending(sls):
    if sls not in ("klp", "klp.patch"):
        raise SaltInvocationError(f"sls: wanted klp or klp.patch, found {sls!r}")
    if sls == "klp":
        yield _pending_live_patch(search=False)
        yield {name: {"old": None, "new": "newest"} for name in tools_missing()}
    else:
        yield {name: {"old": "not locked", "new": "locked"} for name in __salt__["klp.unlocked"]()}
        yield __salt__["zypper.pending"]()["packages"]
        yield _pending_live_patch(search=True)


def _pending_live_patch(search):
    here, goal = package(), __salt__["klp.goal"](_settings()["level"], search=search)
    same = here["edition"] == goal["live patch"]
    if same and status()["active"] == goal["module"] and not here["unfinished"]:
        return {}
    return {here["name"]: {"old": None if same else here["edition"], "new": goal["live patch"]}}


def install(level="latest"):
    """
    Bring in a live patch of the running kernel. Its transition starts; ``klp.wait`` waits for the end.

    level
        ``latest``, a number or an edition, not lower than what is installed.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError while a
    transition runs, for a level that ``klp.target`` refuses, and if the kernel has not taken the module.

    CLI Example::

        salt '*' klp.install latest
    """
    if salt.utils.path.which(_tool()):
        patches()  # a tool whose answer nobody knows is found out before anything is installed
    now, here, edition = status(), package(), __salt__["klp.target"](level)
    if now["transition"] != "ready":
        raise CommandExecutionError("a transition is still running: no second live patch is started; see klp.blockers")
    any_edition = level == "latest" and not __salt__["klp.held"]()
    name = here["name"] if any_edition else f"{here['name']}={edition}"
    done = bring([name], edition, force=edition == here["edition"])
    loaded(edition)
    return done


def bring(names, edition, force=False, older=False):
    """
    Install packages, the live patch package among them, so that an end half way is noticed: ``klp.package`` tells.

    names, force, older
        as for ``zypper.install``, which the answer is of.
    edition
        of the live patch package.

    CLI Example::

        salt '*' klp.bring '[kernel-livepatch-5_14_21-150500_55_7-default]' 3-150500.2.1
    """
    refused = __salt__["klp.refusal"]()
    if refused:
        raise CommandExecutionError(refused)
    __utils__["klp_record.write"](UNFINISHED, {"edition": edition})
    _unload(__salt__["klp.module"](edition))
    done = __salt__["zypper.install"](names, force=force, older=older)
    __utils__["klp_record.write"](UNFINISHED, {})
    return done


def _unload(module):
    """A replaced copy of the module that is still loaded would make modprobe do nothing (measured): take it away."""
    there = os.path.isdir(f"{MODULES}/{module}")
    if there and module not in [patch["name"] for patch in status()["patches"]]:
        _run(["rmmod", module], ok=None)


def loaded(edition):
    """
    Check that the kernel has taken a live patch that was just installed; its transition may still run.

    edition
        of the live patch package.

    Returns the name of the module. Raises CommandExecutionError if it is not enabled.

    CLI Example::

        salt '*' klp.loaded 3-150500.2.1
    """
    module = __salt__["klp.module"](edition)
    names = [patch["name"] for patch in status()["patches"] if patch["enabled"]]
    if module not in names:
        raise CommandExecutionError(
            f"live patch {edition} is installed, but the kernel has not taken {module} (active: "
            f"{', '.join(names) or 'none'}); look at the end of /var/log/zypp/history and at: dmesg | grep livepatch"
        )
    return module
