"""
What keeps a host at an earlier live patch after a rollback.

The record ``/var/lib/salt-klp/hold.json`` tells from where and to which edition the host went back. A lock on newer
editions of the live patch package and locks on the advisories that bring them keep every zypper from going forward;
everything else goes on being updated. ``unhold`` ends it.

Source: zypper(8) addlock; that ``zypper patch`` ends with a conflict without the locks on advisories is measured.
"""

import time

from salt.exceptions import CommandExecutionError

import klp_cmd
import klp_parse
import klp_record
import zypp_lockfile
import zypp_locks
import zypp_plan
import zypp_solver

RECORD = "hold"
FIELDS = {"package", "edition", "from", "since", "locks"}


def held():
    """Return the hold of this host: ``{"package", "edition", "from", "since", "locks"}``, or ``None``."""
    found = klp_record.read(RECORD, {})
    if found and set(found) != FIELDS:
        raise CommandExecutionError("/var/lib/salt-klp/hold.json: not what salt-klp wrote; repair it or move it away")
    return found or None


def of_kernel(host):
    """Return the hold that counts for the running kernel, or ``None``."""
    found = held()
    return found if found and found["package"] == host.live_patch_package else None


def newer_lock(hold):
    """Return the lock on every edition that is newer than what is held."""
    return f"{hold['package']}>{hold['edition']}"


def recorded_missing(hold):
    """Return, sorted, the locks of a hold that were recorded and are not there, as after a kill; starts no program."""
    return zypp_lockfile.missing(sorted(set(hold["locks"]) | {newer_lock(hold)}))


def remember(package, edition):
    """
    Record where this host goes back to, before it goes there; from where it came first is kept.

    package
        as ``klp_live.package`` has it.
    """
    old = held()
    old = old if old and old["package"] == package["name"] else None
    new = {"package": package["name"], "edition": edition, "from": package["edition"], "locks": []}
    new["since"] = int(time.time())
    if old:
        new.update({"from": old["from"], "locks": old["locks"]})
        new.update({"since": old["since"]} if old["edition"] == edition else {})
    klp_record.write(RECORD, new)


def lift(host, edition):
    """Take away our own lock that is in the way of an edition; with it zypper refuses to go further down (measured)."""
    found = of_kernel(host)
    keep = newer_lock(dict(found, edition=edition)) if found else None
    old = [lock for lock in found["locks"] if ">" in lock and lock != keep] if found else []
    if old:
        zypp_lockfile.remove(host, old)
        klp_record.write(RECORD, dict(found, locks=[lock for lock in found["locks"] if lock not in old]))


def _wanted_locks(host, hold):
    """
    Return one lock on newer editions, and one on each needed advisory that brings one and nothing but live patches.

    An advisory bundles the live patches of several kernels, each at a level of its own, with their debuginfo: it is
    locked only where that of the held package is above what is held.
    """
    needed = zypp_solver.advisories(host)
    above = [
        name
        for name, packages in zypp_solver.advisory_editions(host, needed).items()
        if _is_above(hold, packages.get(hold["package"])) and all(map(zypp_plan.live_patch_package, packages))
    ]
    return [newer_lock(hold)] + [f"patch:{name}" for name in sorted(above)]


def _is_above(hold, edition):
    ages = [klp_cmd.parsed(klp_parse.age, item) for item in (edition, hold["edition"])] if edition else [0, 0]
    return ages[0] > ages[1]


def missing_locks(host):
    """Return, sorted, the locks that are missing to keep newer live patches away; none where nothing is held."""
    found = held()
    return zypp_lockfile.missing(_wanted_locks(host, found)) if found else []


def hold(host):
    """
    Renew the locks of a host that went back, since new advisories may have come; return those that were added.

    A recorded lock that is gone and not needed any more is forgotten, as that on an advisory that was replaced.
    """
    found = held()
    if not found:
        return []
    wanted, gone = _wanted_locks(host, found), recorded_missing(found)
    klp_record.write(RECORD, dict(found, locks=sorted(set(found["locks"]) - set(gone) | set(wanted))))
    return zypp_lockfile.add(host, wanted)


def unhold(host):
    """
    Let newer live patches come again to a host that went back.

    Returns ``{"edition" (it was held at, or None), "locks": [taken away], "notes": [sentences]}``.
    """
    found = held()
    if not found:
        return {"edition": None, "locks": [], "notes": ["no live patch is held on this host"]}
    gone = zypp_lockfile.remove(host, found["locks"]) if found["locks"] else []
    klp_record.write(RECORD, {})
    left = [lock for lock in zypp_lockfile.locks() if zypp_locks.touches(lock, found["package"])]
    notes = [f"still there: {zypp_locks.describe(lock)}" for lock in left]
    return {"edition": found["edition"], "locks": gone, "notes": notes}
