"""
Which edition of the live patch package a level means on this host. It is resolved once, and the edition is carried on.
"""

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_cmd
import klp_hold
import klp_levels
import klp_live
import klp_locked
import klp_parse
import klp_paths
import klp_retracted
import klp_sources
import zypp_solver


def age(edition):
    """Return a key that sorts editions of one live patch package from old to new."""
    return klp_cmd.parsed(klp_parse.age, edition)


def available(host):
    """
    Return the live patches for the running kernel in the repositories, newest first.

    Each with ``retracted``: whether its vendor has withdrawn it (bool), ``None`` where that is not known.
    """
    found = zypp_solver.editions(host, host.live_patch_package)
    return klp_retracted.marked(host, klp_cmd.parsed(klp_parse.newest_first, found))


def offered(host):
    """Return ``available``; raises where no repository could have a newer one, for then nothing is known."""
    found = available(host)
    klp_sources.require_live_patches(host)
    return found


def find(host, level):
    """
    Return the newest edition of a level in the repositories that was not withdrawn, older or newer than the installed.

    Raises CommandExecutionError where no repository has it, with those that are there, or where all were withdrawn.
    """
    editions = available(host)
    wanted = [item for item in editions if level in ("latest", item["level"], item["edition"])]
    if not wanted:
        raise CommandExecutionError(_absent(level, host.live_patch_package, editions))
    if level == "latest":
        klp_sources.require_live_patches(host)
    found = good(wanted)
    if not found:
        raise CommandExecutionError(withdrawn(host, wanted[0]["edition"], editions))
    locked = klp_locked.editions(host, host.live_patch_package)
    free = [edition for edition in found if edition not in locked]
    if not free:
        raise CommandExecutionError(f"live patch {found[0]} is not installed: its advisory is {locked[found[0]]}")
    return free[0]


def good(editions):
    """Return, newest first, the editions that were not withdrawn, as far as that is known."""
    return [item["edition"] for item in editions if not item["retracted"]]


def withdrawn(host, edition, editions):
    """Return the sentence that refuses an edition that was withdrawn, with the next good ones of ``available``."""
    lower = [item for item in good(editions) if age(item) < age(edition)][:1]
    higher = [item for item in good(editions) if age(item) > age(edition)][-1:]
    said = klp_retracted.withdrawn(edition, klp_retracted.of(host, edition)["advisories"])
    rest = f"the next good one is {' or '.join(lower + higher)}" if lower or higher else "there is no good one"
    return f"{said} and is not installed; {rest}"


def _absent(level, name, editions):
    if not zypp_solver.repositories():
        return zypp_solver.NO_REPOSITORIES
    if not editions:
        return (
            f"no live patch package for the running kernel: {name} is in no repository. Either the live patching "
            "product is not registered, or SUSE makes no more live patches for this kernel; look with: zypper search "
            f"{name}"
        )
    levels = ", ".join(item["edition"] for item in editions)
    return f"live patch level {level} of {name} is in no repository; there are: {levels}"


def checked(level, word="latest"):
    """Raise SaltInvocationError for a level of another form; ``word`` is the one that counts beside numbers."""
    problem = klp_levels.level_problem(level, word)
    if problem:
        raise SaltInvocationError(f"level: {problem}")


def resolve(host, level="latest", search=True):
    """
    Return the edition that a level means here, never an older one than is installed.

    level
        ``latest``, a number or an edition. On a host that went back ``latest`` is what it is held at.
    search
        for ``latest``: ask the repositories whether there is a newer one than what is installed.

    Raises CommandExecutionError where no repository has it, its vendor has withdrawn it, its advisory is locked, it is
    below what is installed or above what is held. What is installed stays, even if it was withdrawn.
    """
    checked(level)
    package, hold = klp_live.package(host), klp_hold.of_kernel(host)
    installed, limit = package["edition"], hold["edition"] if hold else None
    if limit and installed and age(installed) > age(limit):
        raise CommandExecutionError(_unfinished_rollback(host, installed, hold))
    if installed and (level in (package["level"], installed) or (level == "latest" and not search)):
        return installed
    if level == "latest" and limit:
        return _held(host, package, limit)
    if level == "latest" and installed:
        return _newest(host, package)
    wanted = find(host, level)
    if limit and age(wanted) > age(limit):
        raise CommandExecutionError(_held_back(host, wanted, hold))
    if installed and klp_cmd.parsed(klp_parse.level, wanted) < package["level"]:
        raise CommandExecutionError(_below(host, level, installed))
    return wanted


def _newest(host, package):
    """
    Return the newest edition that was not withdrawn and whose advisory is not locked, or what is installed.

    Asked once in a job, so that all its steps mean the same edition.
    """
    name, installed = package["name"], package["edition"]

    def read():
        klp_sources.require_live_patches(host)
        newest = zypp_solver.updates(host).get(name, {"new": installed})["new"]
        locked = klp_locked.editions(host, name)
        if newest == installed or (newest not in locked and not klp_retracted.of(host, newest)["retracted"]):
            return newest
        return ([edition for edition in good(available(host)) if edition not in locked] or [installed])[0]

    newest = host.kept(("newest", name), [f"{klp_paths.REPOSITORIES}/*"], read)
    return max(newest, installed, key=age)


def _held(host, package, limit):
    """Return what a host is held at; where that was withdrawn, the newest good one below it, or what is installed."""
    installed = package["edition"]
    if installed == limit or not klp_retracted.of(host, limit)["retracted"]:
        return limit
    editions = available(host)
    below = [item for item in good(editions) + [installed] if item and age(item) < age(limit)]
    if not below:
        raise CommandExecutionError(withdrawn(host, limit, editions))
    return max(below, key=age)


def _below(host, level, installed):
    return (
        f"live patch level {level} is below the installed {installed}: klp.install never goes back; "
        f"to go back: salt {host.id} klp.downgrade {level}"
    )


def _held_back(host, wanted, hold):
    return (
        f"live patch {wanted} is held back: this host went back from {hold['from']} to {hold['edition']}; "
        f"let newer ones come with: salt {host.id} klp.unhold"
    )


def _unfinished_rollback(host, installed, hold):
    return (
        f"going back from {installed} to {hold['edition']} was begun and is not finished; finish it with: "
        f"salt {host.id} klp.downgrade, or stay with: salt {host.id} klp.unhold"
    )
