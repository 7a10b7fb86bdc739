"""
Could this host have said something else than "nothing is pending"? Only then that is believed.

A host is asked by the contents of its enabled repositories, never by their names: they differ with the server that a
host is registered at. Repositories hold updates where they have advisories (updateinfo).

* Updates: one of them speaks of a package that is installed here, apart from live patching. Where none of them has
  an advisory yet, the product is new, and nothing is an answer.
* Live patches: one of them speaks of live patches, of whatever kernel: there may be none yet for a new kernel, and that
  is an answer. Or it holds the live patch package of the running kernel. Or it has no advisory yet, and belongs to
  the same service as a repository that holds that package (a new product). The packages of a product as it was
  delivered are no updates, and what is only installed is in no repository.

Source: zypper tells a host without updates by ``<appletinfo status="no-update-repositories"/>`` (zypper, src/update.cc:
not one advisory in all enabled repositories), and by nothing where those of one product are missing.
"""

import shlex

from salt.exceptions import CommandExecutionError

import klp_hold
import klp_record
import zypp_packages
import zypp_repositories
import zypp_solver

UNREAD = "repository {} cannot be read, so what it has is not known; look with: zypper refresh"
UPDATES = "no enabled repository has updates of what is installed here, so nothing is known of pending ones; {}"
LIVE = "no enabled repository has updates of live patches, so nothing is known of newer ones; {}"
ENABLE = "enable them with: zypper mr -e {}"
REGISTER = "register this host (SUSEConnect), or give it the channels of updates, then run: zypper refresh"
ACTIVATE = "activate the product {} (SUSEConnect --list-extensions), or give this host its channels"


def require_updates(host):
    """Raise CommandExecutionError where nothing would be known of pending updates."""
    _raise(updates_problem(host))


def require_live_patches(host):
    """Raise CommandExecutionError where nothing would be known of newer live patches."""
    _raise(live_patches_problem(host))


def advisories(host):
    """Return the needed advisories, as ``zypp_solver.advisories`` does; raises where nothing is known of them."""
    found = zypp_solver.advisories(host)
    require_updates(host)
    return found


def problems(host):
    """
    Return why a maintenance run would know nothing of what is pending, one sentence each.

    Live patches matter where pillar ``klp:level`` wants the newest one, and the host is not held at another.
    """
    newest = host.settings["level"] == "latest" and not klp_hold.of_kernel(host)
    found = [updates_problem(host)] + ([live_patches_problem(host)] if newest else [])
    return sorted({problem for problem in found if problem}, reverse=True)


def _raise(problem):
    if problem:
        raise CommandExecutionError(problem)


def updates_problem(host):
    """Return why nothing is known of pending updates, one sentence, or ``None``."""
    found = zypp_repositories.known(host)
    updates = [item for item in found if item["updates"]]
    if any(item["others"] for item in updates):
        return _unread(found)
    # Python cannot unpack every file; zypper can, and says itself where there is no advisory at all.
    strange = any(item["others"] is None for item in updates) and zypp_solver.some_advisory(host)
    if strange or (updates and all(item["empty"] for item in updates)):
        return _unread(found)
    return _unread(found) or _missing(host, UPDATES, "others", REGISTER)


def live_patches_problem(host):
    """Return why nothing is known of newer live patches, one sentence, or ``None``."""
    found = zypp_repositories.known(host)
    if any(item["updates"] and item["live_patches"] for item in found) or _held_by(host, found):
        return _unread(found)
    return _unread(found) or _missing(host, LIVE, "live_patches", ACTIVATE.format(host.product or "of live patches"))


def _unread(found):
    names = ", ".join(item["alias"] for item in found if item["updates"] is None)
    return UNREAD.format(names) if names else None


def _held_by(host, found):
    """Return whether a repository of updates holds live patches of this kernel, or is new beside one that does."""
    updates = [item for item in found if item["updates"]]
    if not updates:
        return False
    names = _holders(host)
    services = {item["service"] for item in found if item["name"] in names}
    return any(item["name"] in names or (item["empty"] and item["service"] in services) for item in updates)


def _holders(host):
    """Return the names of the repositories that hold the running kernel's live patch package, by zypper; kept."""
    name = host.live_patch_package
    return klp_record.kept(
        "holders",
        lambda: [name, zypp_packages.world()],
        lambda: sorted({item["repository"] for item in zypp_solver.editions(host, name)}),
    )


def _missing(host, sentence, what, register):
    """Return the sentence with its cure: the repositories that are disabled and have it, or how to get some."""
    everything = zypp_repositories.repositories()
    disabled = [item for item in everything if not item["enabled"]]
    if len(disabled) == len(everything):
        return zypp_solver.NO_REPOSITORIES
    read = zypp_repositories.read(disabled)
    spoken = zypp_repositories.subjects(host, zypp_repositories.updateinfo(read), "disabled")
    names = [alias for alias in read if (spoken.get(alias) or {}).get(what)]
    names += [alias for alias in read if read[alias] is None and _hints(alias.lower(), what)]
    return sentence.format(ENABLE.format(" ".join(map(shlex.quote, names))) if names else register)


def _hints(alias, what):
    """Return whether an alias hints at what a repository has that was never fetched; only to name a cure."""
    return "update" in alias and (what == "others" or "live" in alias)
