"""
The record of a change of kernel: which one comes, how far it is, and why it failed. Starts no program.

It is ``/var/lib/salt-klp/kernel.json``. Each stage is on the disk before what it tells of is begun.
"""

import time

from salt.exceptions import CommandExecutionError

import klp_record
import klp_restoring

RECORD = "kernel"
# In their order. installing: packages are about to come. installed: the next start is one of the new kernel, the
# default is the old one. restarting: SLS klp.restart was asked for. verified: the new kernel is the default. failed:
# ``why`` tells. back: the old kernel is the default again, and waits for a restart. went_back: it was started.
STAGES = ("installing", "installed", "restarting", "verified", "failed", "back", "went_back")
WAITING = ("installed", "restarting", "back")  # for a restart
TEXTS = ("from", "to", "edition", "live_patch", "boot_id", "run")
SHOWN = ("stage", "fallback", "why", "at", *TEXTS)
# For klp.kernel alone: what was installed ({name: edition}), the default entry of before, the units that ran.
OWN = {"packages": {}, "default": "", "services": []}


def record():
    """Return the whole record of the last change of kernel of this host, ``{}`` where there was none."""
    found = klp_record.read(RECORD, {})
    if found and not _written(found):
        raise CommandExecutionError(f"{klp_record.path(RECORD)}: not what salt-klp wrote; repair it or move it away")
    return dict(OWN, **found) if found else {}


def _written(found):
    """Return whether a record is one that ``remember`` has written."""
    good = set(SHOWN) <= set(found) <= set(SHOWN) | set(OWN) and found["stage"] in STAGES
    good = good and isinstance(found["fallback"], bool) and _texts(found["why"])
    good = good and type(found["at"]) is int and 0 <= found["at"] < 2**33
    good = good and _texts([found[name] for name in TEXTS])
    packages, default = found.get("packages", {}), found.get("default", "")
    good = good and isinstance(packages, dict) and _texts(list(packages.values()))
    return good and isinstance(default, str) and _texts(found.get("services", []))


def _texts(value):
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def read(_host=None):
    """
    Return the last change of kernel of this host, or ``None`` where there was none.

    ``{"stage" (of STAGES), "from", "to" (releases, uname -r), "edition" (of the new kernel's package), "live_patch"
    (edition), "fallback" (bool: it is started once, with the old one as default), "why" ([sentences]), "at" (seconds
    since 1970), "boot_id" (of the start in which that stage was reached), "run" (id of the run, or empty)}``. A damaged
    record is an error that names it.
    """
    found = record()
    return {key: found[key] for key in SHOWN} if found else None


def remember(found, stage, why=()):
    """
    Write a stage of a change of kernel to the disk, and return the record as it is now.

    found
        the record until now; a new one needs no ``stage``, ``why``, ``at`` and ``boot_id``.
    """
    new = dict(OWN, **found)
    new.update(stage=stage, why=list(why), at=int(time.time()), boot_id=klp_restoring.boot_id())
    klp_record.write(RECORD, new)
    return new


def given_up():
    """Return the edition of a kernel that is installed and was given up here, or is about to be; else ``None``."""
    try:
        found = record()
    except CommandExecutionError:
        return None
    return found["edition"] if found.get("stage") in ("failed", "back", "went_back") else None


def restarted(found):
    """Return whether the host was started anew since the stage of a record was reached (bool)."""
    return found["boot_id"] != klp_restoring.boot_id()


def summary():
    """Return what a campaign of the master is told of it: as ``read``, without ``run``; no boot id is ``None``."""
    found = read()
    if found:
        del found["run"]
        found["boot_id"] = found["boot_id"] or None
    return found
