"""
What kind of host this is, and whether it is live patched here at all: another file of the module ``klp``.

What each family of hosts has is one table (``docs/reference/hosts.md``).

:pillar: ``klp:product``, ``klp:tools`` (see ``docs/reference/pillar.md``)
"""

import os

import salt.utils.path
from salt.exceptions import CommandExecutionError

__virtualname__ = "klp"

OS_RELEASE = "/etc/os-release"


def __virtual__():
    if "klp_family.family" not in __utils__:
        return False, "klp: _utils/klp_family.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _row():
    return __utils__["klp_family.family"](__utils__["klp_sys.text"](OS_RELEASE))


def _resolved():
    return __utils__["klp_family.resolved"](__utils__["klp_pillar.settings"](__pillar__.get("klp")), _row())


def family():
    """
    Return what this host has by its ``/etc/os-release``, a row of docs/reference/hosts.md.

    Returns ``{"name", "system", "tool", "packages", "product", "pattern", "zypp_conf", "refused"}`` and more;
    ``refused`` is why a host of this family is not live patched here, one sentence, or ``None``. A system that nobody
    knows has the name ``unknown``.

    CLI Example::

        salt '*' klp.family
    """
    row = _row()
    shown = {key: list(value) if isinstance(value, tuple) else value for key, value in row.items()}
    shown["refused"] = __utils__["klp_family.refused"](row, __utils__["klp_sys.read_only"]("/usr"))
    return {key: value for key, value in shown.items() if key not in ("systems", "marks")}


def refusal():
    """
    Return why this host is not live patched here, one sentence, or ``None``: its family, or its running kernel.

    Raises CommandExecutionError for a release of the kernel of unknown form.

    CLI Example::

        salt '*' klp.refusal
    """
    here, uname = family(), os.uname()
    if here["refused"]:
        return here["refused"]
    try:
        unsupported = __utils__["klp_parse.unsupported"](uname.release, uname.machine)
    except ValueError as exc:
        raise CommandExecutionError(str(exc)) from exc
    return __utils__["klp_family.stranger"](_row(), uname.release) or unsupported


def tools():
    """
    Return what pillar ``klp:tools`` means on this host: ``{"packages": [names], "pattern" (empty: none)}``.

    CLI Example::

        salt '*' klp.tools
    """
    return _resolved()["tools"]


def product():
    """
    Return the product that holds the live patches of this host, as pillar ``klp:product:name`` says; empty: none.

    CLI Example::

        salt '*' klp.product
    """
    return _resolved()["product"]["name"]
