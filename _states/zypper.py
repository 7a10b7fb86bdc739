"""
Declares package locks and package updates of SUSE hosts.
"""

import contextvars


def __virtual__():
    if "zypper.locks" in __salt__ and "klp_state.converge" in __utils__:
        return True
    return False, "zypper: module or _utils/klp_state.py missing here, run saltutil.sync_all"


def _here(function):
    """Return a function that finds what Salt gives to this file: called back by a util, none does before 3006."""
    context = contextvars.copy_context()
    return lambda *args: context.run(function, *args)


def _converge(name, **kwargs):
    functions = {key: _here(value) if callable(value) else value for key, value in kwargs.items()}
    return __utils__["klp_state.converge"](name, __opts__["test"], **functions)


def locked(name, packages):
    """
    Ensure zypper keeps every version of some packages as it is; other locks stay untouched.

    packages
        list of package names, no globs. A lock for one version, one repository or a patch does not count.

    .. code-block:: yaml

        klp-locks:
          zypper.locked:
            - packages: [kernel-default, kernel-default-base]
    """
    return _converge(
        name,
        read=lambda: {"locked": __salt__["zypper.locked"](packages)},
        wanted=lambda old: {"locked": sorted(set(packages))},
        apply=lambda: __salt__["zypper.add_locks"](packages),
        told=lambda now: f"{len(now['locked'])} packages are locked in every version",
        missing=lambda new: f"Not locked in every version: {', '.join(sorted(set(packages) - set(new['locked'])))}",
    )


def unlocked(name, packages):
    """
    Ensure the locks that ``zypper.locked`` made on some packages are gone; locks of others stay.

    packages
        list of package names.

    .. code-block:: yaml

        kernel-may-change:
          zypper.unlocked:
            - packages: [kernel-default]
    """
    return _converge(
        name,
        read=lambda: {"locked": __salt__["zypper.own_locks"](packages)},
        wanted=lambda old: {"locked": []},
        apply=lambda: __salt__["zypper.remove_locks"](packages),
        told=lambda now: "none of our locks is on these packages",
    )


def updated(name, update=None, locked=()):
    """
    Ensure everything pending but the kernel and its live patch is installed.

    update
        settings below pillar ``klp:update`` (categories, severities, exclude, others, reboot, licenses); default: the
        pillar's. What is left out is listed in the comment with the reason.
    locked
        packages without whose locks nothing is updated. Under ``test=True`` nothing can be predicted without them.

    .. code-block:: yaml

        klp-updates:
          zypper.updated:
            - locked: [kernel-default]
    """
    outcome = {}

    def wanted(old):
        plan = __salt__["zypper.pending"](update)
        outcome.update(skipped=plan["skipped"], notes=[])
        return dict(old, **{item: change["new"] for item, change in plan["packages"].items()})

    def lines():
        skipped = [f"Skipped {item['kind']} {item['item']}: {item['reason']}" for item in outcome["skipped"]]
        return outcome["notes"] + skipped

    missing = sorted(set(locked) - set(__salt__["zypper.locked"](list(locked)))) if locked else []
    if missing:
        comment = f"Nothing can be said or done before these are locked: {', '.join(missing)}"
        return __utils__["klp_state.result"](name, result=None if __opts__["test"] else False, comment=comment)
    return _converge(
        name,
        read=__salt__["zypper.packages"],
        wanted=wanted,
        apply=lambda: outcome.update(__salt__["zypper.update"](update)),
        done=lambda new: True,
        told=lambda now: f"nothing is left to install, {len(outcome['skipped'])} skipped",
        notes=lines,
    )
