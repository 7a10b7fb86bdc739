"""
Bringing a live patch into the running kernel, by its edition.

Source: zypper(8) install; what a replaced module that is still loaded does to modprobe is measured.
"""

import os

from salt.exceptions import CommandExecutionError

import klp_level
import klp_live
import klp_paths
import klp_preflight
import klp_retracted
import zypp_write


def install(host, level="latest"):
    """Bring in the live patch that a level means here."""
    klp_preflight.require(host)
    return install_edition(host, klp_level.resolve(host, level))


def install_edition(host, edition, check=None):
    """
    Bring in one edition, not older than what is installed; installed already it is installed again.

    check
        as for ``zypp_write.install``.

    Returns ``{"changed", "notes"}``. Raises CommandExecutionError for what ``klp_preflight.problems`` tells, while a
    transition runs, and if the kernel has not taken the module.
    """
    klp_preflight.require(host)
    klp_live.refuse_transition()
    if klp_live.tool_is_there(host):
        klp_live.patches(host)  # a tool whose answer is not understood is found out before anything is installed
    package = klp_live.package(host)
    done = bring(host, [f"{package['name']}={edition}"], edition, force=edition == package["edition"], check=check)
    require_loaded(host, edition)
    return done


def bring(host, names, edition, force=False, older=False, check=None):
    """
    Install packages, one edition of the live patch package among them.

    names, force, older, check
        as for ``zypp_write.install``, which the answer is of.

    Raises CommandExecutionError for a live patch that its vendor has withdrawn, also where it is installed already.
    """
    klp_retracted.require_good(host, edition)
    _unload(host, host.module(edition))
    return zypp_write.install(host, names, force=force, older=older, check=check)


def _unload(host, module):
    """Take away a replaced copy of the module that is still loaded: it would make modprobe do nothing."""
    loaded = os.path.isdir(f"{klp_paths.MODULES}/{module}")
    if loaded and module not in [patch["name"] for patch in klp_live.status(host)["patches"]]:
        host.run(["rmmod", module], ok=None)


def require_loaded(host, edition):
    """Raise CommandExecutionError if the kernel has not taken a live patch; its transition may still run."""
    module = host.module(edition)
    names = [patch["name"] for patch in klp_live.status(host)["patches"] if patch["enabled"]]
    if module not in names:
        raise CommandExecutionError(
            f"live patch {edition} is installed, but the kernel has not taken {module} (active: "
            f"{', '.join(names) or 'none'}); look at the end of /var/log/zypp/history and at: dmesg | grep livepatch"
        )
