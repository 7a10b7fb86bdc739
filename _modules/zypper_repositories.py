"""
Repositories of SUSE hosts: the third file of the module ``zypper``.

:depends: ``zypper``
"""

import os

import salt.utils.path
from salt.exceptions import CommandExecutionError

__virtualname__ = "zypper"

REPOSITORIES = "/etc/zypp/repos.d"


def __virtual__():
    if "zypp_cmd.zypper" not in __utils__:
        return False, "zypper: _utils/zypp_cmd.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "zypper: command zypper not found, this is not a SUSE host"
    return __virtualname__


def repositories():
    """
    Return the aliases of the enabled repositories, read from their files without zypper.

    CLI Example::

        salt '*' zypper.repositories
    """
    found = []
    for name in sorted(os.listdir(REPOSITORIES)) if os.path.isdir(REPOSITORIES) else []:
        if name.endswith(".repo"):
            found += __utils__["zypp_parse.enabled_repositories"](__utils__["klp_sys.text"](f"{REPOSITORIES}/{name}"))
    return found


def refresh():
    """
    Refresh the metadata of all enabled repositories; one that cannot be read is an error that names it.

    Returns the list of refreshed repositories. Source: zypper(8) refresh.

    CLI Example::

        salt '*' zypper.refresh
    """
    there = repositories()
    if not there:
        raise CommandExecutionError(
            f"no enabled repositories in {REPOSITORIES}: register the host, or enable one with: zypper mr -e ALIAS"
        )
    patience = __utils__["klp_pillar.settings"](__pillar__.get("klp"))["zypper"]
    run, run_all = __utils__["klp_cmd.run"], __salt__["cmd.run_all"]
    res = __utils__["zypp_cmd.zypper"](run, run_all, patience, ["refresh"], ok=(0, 4), xml=False)
    skipped = __utils__["zypp_parse.skipped_repositories"](res["stdout"] + res["stderr"])
    if res["retcode"] or skipped:
        said = __utils__["klp_cmd.detail"](res)
        raise CommandExecutionError(
            f"repository {', '.join(skipped) or 'unknown'} cannot be read (zypper exit {106 if skipped else 4}): {said}"
        )
    return there
