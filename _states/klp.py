"""
Declares kernel live patching on SUSE Linux Enterprise: enabled, patched to a level, settled, verified.

Each state reads, compares, predicts under ``test=True``, acts, reads again and reports what it saw.
"""

import contextvars

from salt.exceptions import CommandExecutionError, SaltInvocationError


def __virtual__():
    if "klp.status" in __salt__ and "klp_state.converge" in __utils__:
        return True
    return False, "klp: module klp or _utils/klp_state.py missing here, run saltutil.sync_all"


def _here(function):
    """Return a function that finds what Salt gives to this file: called back by a util, none does before 3006."""
    context = contextvars.copy_context()
    return lambda *args: context.run(function, *args)


def _converge(name, **kwargs):
    functions = {key: _here(value) if callable(value) else value for key, value in kwargs.items()}
    return __utils__["klp_state.converge"](name, __opts__["test"], **functions)


def ready(name, refresh=False):
    """
    Ensure nothing speaks against live patching this host: pillar, kernel, settings, locks of others. Changes nothing.

    A run that a campaign sent is refused too if it comes too late.

    refresh
        also refresh the repositories and refuse if one of them cannot be read, or if they have what a campaign has not
        shown in its plan.

    .. code-block:: yaml

        klp-ready:
          klp.ready:
            - refresh: true
    """
    try:
        problems = __salt__["klp.obstacles"](refresh=refresh)
        problems = problems or __salt__["klp.unshown" if refresh else "klp.late"]()
    except (CommandExecutionError, SaltInvocationError) as exc:
        problems = [str(exc)]
    if problems:
        return __utils__["klp_state.result"](name, result=False, comment="\n".join(problems))
    return __utils__["klp_state.result"](name, comment="Nothing speaks against live patching this host")


def enabled(name, level="latest"):
    """
    Ensure the tools and a live patch package of the running kernel are installed, the product activated if need be.

    level
        level for a host that has no live patch yet: ``latest``, a number or an edition.

    .. code-block:: yaml

        klp-enabled:
          klp.enabled:
            - level: latest
            - require:
              - zypper: klp-locks
    """
    notes = []

    def read():
        missing = __salt__["klp.tools_missing"]()
        live_patch = __salt__["klp.package"]()
        return {"missing tools": missing, live_patch["name"]: live_patch["edition"]}

    def wanted(old):
        package = __salt__["klp.package"]()
        edition = package["edition"] or __salt__["klp.goal"](level)["live patch"]
        return {"missing tools": [], package["name"]: edition}

    return _converge(
        name,
        read=read,
        wanted=wanted,
        apply=lambda: notes.extend(__salt__["klp.enable"](level)["notes"]),
        done=lambda new: not new["missing tools"] and None not in new.values(),
        told=lambda now: f"tools and a live patch package of {__salt__['klp.status']()['kernel']} are installed",
        notes=lambda: notes,
    )


def patched(name, level="latest", search=False):
    """
    Ensure the live patch of the running kernel is at a level: installed, and taken by the kernel.

    level
        ``latest``, a number or an edition.
    search
        for ``latest``: look for a newer one in the repositories. Without it any live patch will do, and no zypper is
        started on a host that has one.

    .. code-block:: yaml

        klp-live-patch:
          klp.patched:
            - level: latest
            - search: true
    """
    notes = []

    def read():
        package, status = __salt__["klp.package"](), __salt__["klp.status"]()
        found = {"live patch": package["edition"], "module": status["active"]}
        return dict(found, unfinished=True) if package["unfinished"] else found

    return _converge(
        name,
        read=read,
        wanted=lambda old: __salt__["klp.goal"](level, search),
        apply=lambda: notes.extend(__salt__["klp.install"](level)["notes"]),
        told=lambda now: f"live patch {now['live patch']} is in the kernel as {now['module']}",
        notes=lambda: notes,
    )


def rolled_back(name, level="previous", force=False):
    """
    Ensure the live patch of the running kernel went back to an earlier one, and that newer ones are held away.

    level
        ``previous``, a number or an edition; on a host that is held already ``previous`` is what it is held at.
    force
        go back although kernel log or taint tell of earlier kernel errors.

    .. code-block:: yaml

        klp-rolled-back:
          klp.rolled_back:
            - level: previous
    """
    notes = []

    def read():
        package, hold = __salt__["klp.package"](), __salt__["klp.held"]() or {}
        locked = hold and not __salt__["zypper.missing_locks"]([f"{hold['package']}>{hold['edition']}"])
        found = {"live patch": package["edition"], "module": __salt__["klp.status"]()["active"]}
        found["held at"] = hold["edition"] if locked and hold["package"] == package["name"] else None
        return dict(found, unfinished=True) if package["unfinished"] else found

    def wanted(old):
        edition = __salt__["klp.earlier"](level)
        return {"live patch": edition, "module": __salt__["klp.module"](edition), "held at": edition}

    return _converge(
        name,
        read=read,
        wanted=wanted,
        apply=lambda: notes.extend(__salt__["klp.downgrade"](level, force)["notes"]),
        told=lambda now: f"live patch {now['live patch']} is in the kernel, newer ones are held away",
        notes=lambda: notes,
    )


def held(name):
    """
    Ensure the locks of a host that went back cover the newest advisories too; nothing to do on any other host.

    .. code-block:: yaml

        klp-held:
          klp.held: []
    """
    return _converge(
        name,
        read=lambda: {"missing locks": __salt__["klp.unheld"]()},
        wanted=lambda old: {"missing locks": []},
        apply=__salt__["klp.hold"],
        told=lambda now: "no live patch comes that is held away",
    )


def settled(name, timeout=300):
    """
    Ensure no transition runs: wait for its end, and name the tasks that hold it up if it does not end.

    timeout
        deadline in seconds.

    .. code-block:: yaml

        klp-settled:
          klp.settled:
            - timeout: 300
    """
    return _converge(
        name,
        read=lambda: {"transition": __salt__["klp.status"]()["transition"]},
        wanted=lambda old: {"transition": "ready"},
        apply=lambda: __salt__["klp.wait"](timeout),
        told=lambda now: "no transition is running",
    )


def verified(name):
    """
    Ensure rpm, sysfs and the klp tool agree that this host is live patched as declared. Changes nothing.

    .. code-block:: yaml

        klp-verified:
          klp.verified: []
    """
    try:
        found = __salt__["klp.verify"]()
    except (CommandExecutionError, SaltInvocationError) as exc:
        return __utils__["klp_state.result"](name, result=False, comment=f"unknown: {exc}")
    good = found["verdict"] in ("ok", "reboot_needed")
    lines = [f"{found['verdict']}: {found['kernel']} with live patch {found['live_patch'] or 'none'}"]
    lines += __utils__["klp_checks.summary"](found["checks"])
    lines += [item["detail"] for item in found["checks"] if (item["check"], item["verdict"]) == ("held", "ok")]
    result = good if good or not __opts__["test"] else None
    return __utils__["klp_state.result"](name, result=result, comment="\n".join(lines))
