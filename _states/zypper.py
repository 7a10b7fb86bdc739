"""
Declares packages and package locks of SUSE hosts: locked, unlocked, updated.
"""

import functools

from salt.exceptions import CommandExecutionError, SaltInvocationError

VERSION = "0.2.0"
try:
    import klp_fresh

    klp_fresh.renew()
    import klp_campaign
    import klp_cves
    import klp_host
    import klp_state
    import klp_updates
    import klp_version
    import klp_words
    import zypp_lockfile
    import zypp_packages

    PROBLEM = klp_version.problem(VERSION, __file__)
except ImportError as exc:
    CURE = "install salt-klp again with pip" if "saltext" in __file__ else "run saltutil.sync_all"
    PROBLEM = f"salt-klp: {exc}: {CURE}"

INSTALLS = {
    "Already as declared": "Already as declared: {} to install",
    "Would change": "Would install {}",
    "Changed": "Installed {}",
}


def __virtual__():
    wrong = PROBLEM or klp_host.foreign()
    if wrong:
        return False, wrong
    if "zypper.locks" not in __salt__:
        return False, "zypper: the module zypper is not loaded here; it says why: salt-call zypper.locks"
    return True


def _host():
    return klp_host.of(__salt__, __pillar__, __grains__, __context__, __instance_id__)


def locked(name, packages):
    """
    Ensure zypper locks packages in every version; other locks stay untouched.

    packages
        list of str: package names.

    .. code-block:: yaml

        klp-locks:
          zypper.locked:
            - packages: [kernel-default, kernel-default-base]
    """
    host = _host()
    return klp_state.converge(
        name,
        __opts__["test"],
        host,
        read=lambda: {"locked": zypp_lockfile.locked(packages)},
        wanted=lambda old: {"locked": sorted(set(packages))},
        apply=lambda goal: zypp_lockfile.add(host, packages),
        told=lambda now: f"{klp_words.count(len(now['locked']), 'package')} locked in every version",
        missing=lambda new: f"Not locked in every version: {', '.join(sorted(set(packages) - set(new['locked'])))}",
    )


def unlocked(name, packages):
    """
    Ensure the locks that ``zypper.locked`` made on some packages are gone; locks of others stay.

    packages
        list of str: package names.

    .. code-block:: yaml

        kernel-may-change:
          zypper.unlocked:
            - packages: [kernel-default]
    """
    host = _host()
    return klp_state.converge(
        name,
        __opts__["test"],
        host,
        read=lambda: {"locked": zypp_lockfile.own(packages)},
        wanted=lambda old: {"locked": []},
        apply=lambda goal: zypp_lockfile.remove(host, packages),
        told=lambda now: "none of our locks is on these packages",
    )


def _summary(word, changes, left):
    number = len(set(changes) - {"unfinished"})
    said = INSTALLS[word].format(klp_words.count(number, "package") if number else "no packages")
    return f"{said}; {left} left out:" if left else said


def updated(name, update=None, locked=(), live_patch=None):
    """
    Ensure everything pending but the kernel is installed, by one plan and one command.

    update
        dict: settings below pillar ``klp:update`` (categories, severities, exclude, others, reboot, licenses); default:
        the pillar's. What is left out is listed in the comment with the reason.
    locked
        list of str: packages without whose locks nothing is updated. Under ``test=True`` nothing can be predicted
        without them.
    live_patch
        str or int: level of the live patch that the same command brings: ``latest``, a number or an edition; without it
        live patch packages are left alone. If it cannot be installed here, ``klp.patched`` says why.

    .. code-block:: yaml

        klp-updates:
          zypper.updated:
            - locked: [kernel-default]
            - live_patch: latest
    """
    host, outcome = _host(), {}

    def read():
        cut_off = klp_updates.unfinished(host)
        return dict(zypp_packages.packages(host), **({"unfinished": cut_off} if cut_off else {}))

    def wanted(old):
        plan = klp_updates.plan(host, update, live_patch)
        outcome.update(skipped=plan["skipped"], notes=[])
        goal = dict(zypp_packages.packages(host))
        for item, change in klp_updates.changes(plan).items():
            goal[item] = change["new"] and klp_cves.without_epoch(change["new"])
        return {item: edition for item, edition in goal.items() if edition}

    def skipped():
        return [f"Skipped {item['kind']} {item['item']}: {item['reason']}" for item in outcome.get("skipped", [])]

    check = functools.partial(klp_campaign.require_shown, host)
    try:
        missing = sorted(set(locked) - set(zypp_lockfile.locked(list(locked)))) if locked else []
    except (CommandExecutionError, SaltInvocationError) as exc:
        return klp_state.result(name, result=False, comment=str(exc))
    if missing:
        comment = f"Nothing can be said or done before these are locked: {', '.join(missing)}"
        return klp_state.result(name, result=None if __opts__["test"] else False, comment=comment)
    return klp_state.converge(
        name,
        __opts__["test"],
        host,
        read=read,
        wanted=wanted,
        apply=lambda goal: outcome.update(klp_updates.update(host, update, live_patch, check)),
        done=lambda new: "unfinished" not in new,
        missing=lambda new: f"Not installed to its end: {', '.join(sorted(new['unfinished']))}",
        summary=lambda word, changes: _summary(word, changes, len(outcome["skipped"])),
        notes=lambda: skipped() + outcome.get("notes", []),
    )
