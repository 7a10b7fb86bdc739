"""
What this host's live patch is, and what keeps it there. Reads only.

:depends: ``zypper``, ``rpm``
:pillar: ``klp`` (see ``docs/reference/pillar.md``)
"""

import salt.utils.path


def __virtual__():
    if "klp_parse.age" not in __utils__:
        return False, "klp_audit: _utils/klp_parse.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp_audit: command zypper not found, this is not a SUSE host"
    return True


def level():
    """
    Return the live patch of the running kernel with the newest one there is, and what holds newer ones away.

    Returns ``{"kernel", "package", "edition" (installed, or None), "module" (active in the kernel, or None), "newest"
    (in the repositories, or None), "held" (as klp.held, or None), "held_away" (editions that are not let in), "locks"
    (records of the lock file that touch the package, one line each)}``. Starts one zypper.

    CLI Example::

        salt '*' klp_audit.level
    """
    package, status, held = __salt__["klp.package"](), __salt__["klp.status"](), __salt__["klp.held"]()
    held = held if held and held["package"] == package["name"] else None
    age = __utils__["klp_parse.age"]
    there = [item["edition"] for item in __salt__["klp.available"]()]
    touches, describe = __utils__["zypp_locks.touches"], __utils__["zypp_locks.describe"]
    return {
        "kernel": status["kernel"],
        "package": package["name"],
        "edition": package["edition"],
        "module": status["active"],
        "newest": there[0] if there else None,
        "held": held,
        "held_away": [item for item in there if held and age(item) > age(held["edition"])],
        "locks": [describe(lock) for lock in __salt__["zypper.locks"]() if touches(lock, package["name"])],
    }
