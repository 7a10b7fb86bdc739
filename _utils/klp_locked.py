"""
Advisories that an administrator has locked (``zypper addlock -t patch ID``), without those that a hold of ours locks.
"""

import klp_hold
import zypp_lockfile
import zypp_solver
import zypp_unwanted


def advisories(host):
    """
    Return the needed advisories that somebody else has locked, as ``zypp_solver.advisories`` does.

    Each has ``plain`` (bool) as well: its lock is the one that ``zypper addlock -t patch ID`` makes.
    """
    hold = klp_hold.held()
    own = set(hold["locks"]) if hold else set()
    found = [item for item in zypp_solver.unwanted(host) if f"patch:{item['id']}" not in own]
    missing = zypp_lockfile.missing([f"patch:{item['id']}" for item in found]) if found else []
    return [dict(item, plain=f"patch:{item['id']}" not in missing) for item in found]


def editions(host, name):
    """
    Return the editions of a package whose advisories somebody else has locked: ``{edition: why it stays out}``.

    No zypper is started where no lock of others is one of advisories.
    """
    if all(lock["type"] == "package" for lock in zypp_lockfile.locks()):
        return {}
    found = {item["id"]: item for item in advisories(host)}
    contents = zypp_solver.advisory_editions(host, list(found.values()))
    return {
        packages[name]: zypp_unwanted.reason(found[ident]) for ident, packages in contents.items() if name in packages
    }
