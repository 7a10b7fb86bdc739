"""
Which live patch a level means on this host: the fourth file of the module ``klp``.

:depends: ``zypper``, ``rpm``
:pillar: ``klp:level``
"""

import os

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError

__virtualname__ = "klp"


def __virtual__():
    if "klp_parse.age" not in __utils__:
        return False, "klp: _utils/klp_parse.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _parse(reader, *texts):
    try:
        return __utils__[f"klp_parse.{reader}"](*texts)
    except ValueError as exc:
        raise CommandExecutionError(str(exc)) from exc


def _age(edition):
    return _parse("age", edition)


def available():
    """
    Return the live patches for the running kernel in the repositories, newest first.

    A list of ``{"edition", "level", "installed", "repository"}``.

    CLI Example::

        salt '*' klp.available
    """
    found = __salt__["zypper.editions"](__salt__["klp.package"]()["name"])
    found = [dict(item, level=_parse("level", item["edition"])) for item in found]
    return sorted(found, key=lambda item: _age(item["edition"]), reverse=True)


def module(edition):
    """
    Return the name that sysfs has for the live patch of an edition, of the running kernel.

    edition
        of a live patch package.

    CLI Example::

        salt '*' klp.module 3-150500.2.1
    """
    return _parse("module_name", edition, os.uname().release)


def find(level):
    """
    Return the newest edition of a level in the repositories, older or newer than what is installed.

    level
        ``latest``, a number or an edition.

    Raises CommandExecutionError where no repository has it, with those that are there.

    CLI Example::

        salt '*' klp.find 2
    """
    there = available()
    wanted = [item["edition"] for item in there if level in ("latest", item["level"], item["edition"])]
    if not wanted:
        raise CommandExecutionError(_not_there(level, __salt__["klp.package"]()["name"], there))
    return wanted[0]


def _not_there(level, name, there):
    if not __salt__["zypper.repositories"]():
        return "no enabled repositories in /etc/zypp/repos.d: register the host, or enable one with: zypper mr -e ALIAS"
    if not there:
        return (
            f"no live patch package for the running kernel: {name} is in no repository; is the live patching product "
            f"registered, and does SUSE still make live patches for this kernel? Look with: zypper search {name}"
        )
    levels = ", ".join(item["edition"] for item in there)
    return f"live patch level {level} of {name} is in no repository; there are: {levels}"


def target(level="latest", search=True):
    """
    Return the edition of the live patch package that a level means here, never an older one than is installed.

    level
        ``latest``, a number or an edition. On a host that went back the level that ``klp.held`` tells is the latest.
    search
        for ``latest``: ask the repositories whether there is a newer one than what is installed.

    Raises CommandExecutionError where no repository has it, it is below what is installed or above what is held;
    SaltInvocationError for a level of another form.

    CLI Example::

        salt '*' klp.target 3
    """
    problem = __utils__["klp_pillar.level_problem"](level)
    if problem:
        raise SaltInvocationError(f"level: {problem}")
    here, held = __salt__["klp.package"](), __salt__["klp.held"]()
    limit = held["edition"] if held and held["package"] == here["name"] else None
    if limit and here["edition"] and _age(here["edition"]) > _age(limit):
        raise CommandExecutionError(_begun(here, held))
    if here["edition"] and (level in (here["level"], here["edition"]) or (level == "latest" and not search)):
        return here["edition"]
    if level == "latest" and (limit or here["edition"]):
        return limit or _newer(here)
    wanted = find(level)
    if limit and _age(wanted) > _age(limit):
        raise CommandExecutionError(_held_back(wanted, held))
    if here["edition"] and _parse("level", wanted) < here["level"]:
        raise CommandExecutionError(_below(level, here))
    return wanted


def _newer(here):
    found = __salt__["zypper.preview"]([here["name"]])
    items = [item["edition"] for item in found["upgrade"] + found["install"] if item["name"] == here["name"]]
    return items[0] if items else here["edition"]


def _below(level, here):
    return (
        f"live patch level {level} is below the installed {here['edition']}: klp.install never goes back; "
        f"to go back: salt {__grains__['id']} klp.downgrade {level}"
    )


def _held_back(wanted, held):
    return (
        f"live patch {wanted} is held back: this host went back from {held['from']} to {held['edition']}; "
        f"give newer ones free with: salt {__grains__['id']} klp.release"
    )


def _begun(here, held):
    return (
        f"going back from {here['edition']} to {held['edition']} was begun and is not finished; finish it with: "
        f"salt {__grains__['id']} klp.downgrade, or stay with: salt {__grains__['id']} klp.release"
    )
