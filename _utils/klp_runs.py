"""
The runs of a host and their backups of the root volume, by the backend that pillar names.

Backends: ``snapper`` (btrfs), ``lvm`` (a logical volume), ``auto`` (the one of these that fits), ``command`` (programs
of the user's, e.g. for cloud volume snapshots), ``none``. Every backup carries the id of its run: one that was
interrupted finds its backup again and does not make a second one. All is in ``/var/lib/salt-klp/runs.json``.
"""

import logging
import random
import time

from salt.exceptions import CommandExecutionError

import klp_backend
import klp_backup
import klp_backup_look
import klp_family
import klp_paths
import klp_record
import klp_restoring
import klp_sys
import zypp_packages

log = logging.getLogger(__name__)

RUNS = "runs"  # record of klp_record
FIELDS = {"run", "opened", "finished", "backend", "backup", "created"}


def runs():
    """Return what is recorded of the runs of this host, oldest first."""
    found = klp_record.read(RUNS, [])
    if not all(isinstance(item, dict) and FIELDS <= set(item) for item in found):
        raise CommandExecutionError("/var/lib/salt-klp/runs.json: not what salt-klp wrote; repair it or move it away")
    return found


def _remember(runs):
    klp_record.write(RUNS, runs)


def _change(run, **fields):
    _remember(klp_backup.changed(runs(), run, **fields))


def _ask(host, verb, item, *args):
    known = [other["backup"] for other in runs() if other["run"] == item["run"] and other["backup"]]
    return klp_backend.ask(host, verb, item, *args, known=known)


def _prove(host, item):
    """Return what can be proved about the backup of a run, or raise CommandExecutionError with what is wrong."""
    backup, machine = item["backup"], klp_backend.machine_id()
    wrong = klp_backup.other_host(item.get("host"), machine)
    if wrong:
        raise CommandExecutionError(f"backup {backup} {wrong}")
    _ask(host, "verify", item, backup)
    argv = _ask(host, "mounting", item, backup)
    if argv is None:
        return {"packages": None, "files": None, "altered": {}}
    expected = {"host": machine, "packages": item.get("packages"), "altered": item.get("altered", {})}
    try:
        found = klp_backup_look.prove(klp_backend.caller(host), argv, expected)
    except CommandExecutionError as exc:
        raise CommandExecutionError(f"backup {backup}: {exc}") from exc
    return dict(found, packages=len(found["packages"]))


def backend(host):
    """
    Return how the root volume of this host is backed up: ``{"backend", "reason" (one clause), "chosen" (bool)}``.

    With pillar ``klp:backup:backend: auto`` it is looked up: snapper for btrfs with a configuration of ``/``, lvm for a
    logical volume. Raises CommandExecutionError where there is none, or where auto finds neither.
    """
    wanted = host.settings["backup"]["backend"]
    if not wanted:
        raise CommandExecutionError(
            "no backup backend is set, so nothing is installed; set pillar klp:backup:backend to auto, snapper, lvm or "
            "command (docs/reference/pillar.md), or to none to patch this host without a backup"
        )
    if wanted != "auto":
        return {"backend": wanted, "reason": "pillar klp:backup:backend says so", "chosen": False}
    root = klp_backup_look.root()
    seen = f"/ is {root['type']} on {root['source']}"
    if root["type"] == "btrfs":
        wrong = _without_snapper(host)
        if not wrong:
            reason = f"{seen} with the snapper configuration {host.settings['backup']['config']}"
            return {"backend": "snapper", "reason": reason, "chosen": True}
    elif root["volume"]:
        return {"backend": "lvm", "reason": f"{seen}, a logical volume", "chosen": True}
    else:
        wrong = "neither btrfs nor a logical volume; set pillar klp:backup:backend to command, or to none"
    raise CommandExecutionError(f"pillar klp:backup:backend auto: {seen}: {wrong}")


def _without_snapper(host):
    try:
        return _ask(host, "usable_here", {"run": "", "backend": "snapper"})
    except CommandExecutionError as exc:
        return str(exc)


def problems(host):
    """Return why no backup of the root volume can be made on this host, one sentence or none; nothing is changed."""
    try:
        name = backend(host)["backend"]
        wrong = None if name == "none" else _ask(host, "usable_here", {"run": "", "backend": name})
    except CommandExecutionError as exc:
        wrong = str(exc)
    return [wrong] if wrong else []


def _new_run():
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + f"-{random.SystemRandom().getrandbits(24):06x}"


def current(host):
    """
    Return the run that is not finished on this host, or that pillar ``klp:run`` names; ``None`` where there is none.

    A dict as ``root_backup.list`` has it.
    """
    return klp_backup.current(runs(), host.settings["run"])


def usable(host):
    """
    Return the backup id that the current run can go on with, or ``None``: made by it, young enough and verified now.

    With backend ``none`` the answer is ``none``.
    """
    name, item = backend(host)["backend"], current(host)
    if name == "none":
        return "none"
    if not klp_backup.usable(item, name, time.time(), host.settings["backup"]["max_age"]):
        return None
    try:
        _prove(host, item)
    except CommandExecutionError as exc:
        log.warning("salt-klp: run %s cannot go on with its backup: %s", item["run"], exc)
        return None
    return item["backup"]


def create(host):
    """
    Make a backup for the current run, or return the one it has; nothing is returned that could not be verified.

    Older ones are deleted as ``prune`` does, those that can never be good again before the new one is made.

    Returns ``{"run", "backend", "backup"}``. Raises CommandExecutionError if the backend fails, prints no id, or if the
    backup cannot be verified, and on a transactional host, which has snapshots of its own.
    """
    refused = klp_family.transactional(host.family, klp_sys.read_only(klp_paths.USR))
    if refused:
        raise CommandExecutionError(refused)
    name, found = backend(host)["backend"], usable(host)
    if found:
        return {"run": (current(host) or {}).get("run"), "backend": name, "backup": found}
    wrong = _ask(host, "usable_here", {"run": "", "backend": name})
    if wrong:
        raise CommandExecutionError(wrong)
    run, machine = _open(host, name), klp_backend.machine_id()
    log.info("salt-klp: making a backup for run %s with backend %s", run, name)
    backup = _ask(host, "find", dict(current(host), backend=name))  # made, but not remembered (kill -9 in between)
    if not backup:
        delete_spent(host)
        # What is to be found in the backup is written down before it is made, so that it is in there as well.
        digest = klp_backup.digest(zypp_packages.packages(host))
        _change(run, backend=name, host=machine, packages=digest, altered={})
        backup = _ask(host, "create", current(host))
    # Remembered before it is verified, which may take long: a run that is killed in between does not make a second one.
    _change(run, backend=name, host=machine, backup=backup, created=int(time.time()))
    altered = _prove(host, current(host))["altered"]
    if altered:
        _change(run, altered=altered)
    for note in prune(host)["notes"]:
        log.warning("salt-klp: %s", note)
    return {"run": run, "backend": name, "backup": backup}


def open_run(host):
    """Return the id of the current run, which is written to the disk now if there is none yet."""
    item = current(host)
    return item["run"] if item and item["finished"] is None else _open(host, backend(host)["backend"])


def _open(host, name):
    """
    Return the id of the current run, written to the disk before anything is done for it.

    A backup that a run cannot go on with stays in mind, with the run as it was: it is deleted with the old ones.
    """
    item = current(host)
    if item and item["finished"] is None and item["backup"] is None:
        return item["run"]
    run = host.settings["run"] or _new_run()
    now = int(time.time())
    known = klp_backup.changed(runs(), item["run"], finished=now) if item else runs()
    _remember(klp_backup.opened(known, run, name, now))
    return run


def _known(backup):
    item = klp_backup.found(runs(), str(backup))
    if not item or item["backup"] != str(backup):
        known = ", ".join(item["backup"] for item in runs() if item["backup"]) or "none"
        raise CommandExecutionError(f"backup {backup!r} is not known on this host; known: {known}")
    return item


def verify(host, backup):
    """
    Check that a backup of this host is there and good.

    backup
        id as ``root_backup.list`` shows it.

    Returns what was proved: ``{"run", "backend", "backup", "host", "created", "age" (hours), "packages", "files"}``.
    With snapper and lvm the backup was mounted read-only, is of this machine, its rpm database has the packages that
    this host had when it was made (``packages`` of them), and a sample of their files (``files``) is as installed; both
    are ``None`` for backend command, whose program alone knows. Raises CommandExecutionError otherwise.
    """
    item = _known(backup)
    found = _prove(host, item)
    answer = {key: item.get(key) for key in ("run", "backend", "backup", "host", "created")}
    age = round((time.time() - item["created"]) / 3600, 1)
    return dict(answer, age=age, packages=found["packages"], files=found["files"])


def finish(host):
    """
    Mark the current run as finished: the next one makes a backup of its own.

    Without pillar ``klp:run`` all that are open end with it: they were begun before it and never came to their end.
    Returns the id of the run, or ``None`` where none was open.
    """
    item = current(host)
    if not item or item["finished"] is not None:
        return None
    pinned, now = host.settings["run"], int(time.time())
    over = [other for other in runs() if other["finished"] is None and pinned in ("", other["run"])]
    _remember([dict(other, finished=now) if other in over else other for other in runs()])
    return item["run"]


def judge(host, judged):
    """
    Record whether the current run has come to its verification; one that has not may be in the middle of a change.

    judged
        bool; false: it goes on changing this host.
    """
    item = current(host)
    if item and item["finished"] is None and item.get("judged", False) != judged:
        _change(item["run"], judged=judged)


def _forget(item):
    _remember(klp_backup.forgotten(runs(), item))


def _good(host, item):
    try:
        return bool(_prove(host, item))
    except CommandExecutionError:
        return False


def _remove(host, item):
    """Delete a backup, first with its backend, then from memory; returns whether it was still there."""
    whose = _ask(host, "there", item, item["backup"])
    if whose == "foreign":
        raise CommandExecutionError(
            f"backup {item['backup']}: what {item['backend']} has under this id is not of run {item['run']} of this "
            "host; it is left alone"
        )
    if whose != "gone":
        log.info("salt-klp: deleting backup %s of run %s", item["backup"], item["run"])
        _ask(host, "delete", item, item["backup"])
    _forget(item)
    return whose != "gone"


def delete(host, backup):
    """
    Delete a backup that was made here; never that of an open run, and never the last good one.

    backup
        id as ``root_backup.list`` shows it.

    Returns ``{"backup", "deleted" (bool)}``; false: it was gone already, and is forgotten now. Raises
    CommandExecutionError for what was not made here, and with the reason if it has to stay.
    """
    item = _known(backup)
    wrong = klp_backup.other_host(item.get("host"), klp_backend.machine_id())
    if wrong:
        raise CommandExecutionError(f"backup {item['backup']} {wrong}: it is left alone")
    pending = klp_restoring.pending()
    if pending and pending["backup"] == item["backup"]:
        raise CommandExecutionError(f"backup {item['backup']} is being restored: restart the host first")
    if item["finished"] is None:
        raise CommandExecutionError(f"backup {item['backup']} is of run {item['run']}, which is not finished")
    others = [other for other in reversed(runs()) if other["backup"] and other != item]
    if _good(host, item) and not any(_good(host, other) for other in others):
        raise CommandExecutionError(f"backup {item['backup']} is the last good one of this host: it stays")
    return {"backup": item["backup"], "deleted": _remove(host, item)}


def prune(host):
    """
    Delete the backups that are older than the newest ``klp:backup:keep`` good ones, and those that are spent.

    The backup of the current run stays and counts as one of them if it is good, finished or not; runs that were never
    finished are no exception. What is being restored stays, and what another machine has made. Returns ``{"deleted":
    [ids], "notes": [sentences]}``; what could not be deleted is a note, and is tried again the next time. Nothing is
    deleted where backend command has no program for it.
    """
    keep, answer, own = host.settings["backup"]["keep"], delete_spent(host), current(host)
    items = _prunable(host)
    if len(items) <= keep:
        return answer
    good = int(own in items and _good(host, own))
    for item in items:
        if item != own and good < keep:
            good += _good(host, item)
        elif item != own:
            _prune(host, item, answer)
    return answer


def _prunable(host):
    """Return the runs with a backup that may be deleted here, newest first."""
    delete = host.settings["backup"]["delete"]
    return [item for item in reversed(runs()) if item["backup"] and (item["backend"] != "command" or delete)]


def delete_spent(host):
    """Delete backups that can never be good again: snapshots of LVM that ran full; the answer is that of prune."""
    answer, own = {"deleted": [], "notes": []}, current(host)
    for item in _prunable(host):
        if item != own and item["backend"] == "lvm" and _spent(host, item):
            _prune(host, item, answer)
    return answer


def _spent(host, item):
    try:
        return _ask(host, "spent", item, item["backup"])
    except CommandExecutionError:
        return False


def _has_to_stay(item):
    """Return whether a backup is being restored, or is of another machine (bool)."""
    pending, machine = klp_restoring.pending() or {}, klp_backend.machine_id()
    return pending.get("backup") == item["backup"] or bool(klp_backup.other_host(item.get("host"), machine))


def _prune(host, item, answer):
    try:
        if _has_to_stay(item):
            return
        if _ask(host, "there", item, item["backup"]) == "foreign":
            _forget(item)  # our own is gone, and somebody else's has its number now
        elif _remove(host, item):
            answer["deleted"].append(item["backup"])
    except CommandExecutionError as exc:
        answer["notes"].append(f"Backup {item['backup']} of run {item['run']} could not be deleted: {exc}")


def run_record(name):
    """
    Return what this host remembers of a run: ``{"opened", "finished" (seconds since 1970, or None), "backup"}``.

    name
        id of the run or campaign; ``None`` where nothing is known of it, as when there was nothing to change.
    """
    found = [item for item in runs() if item["run"] == str(name)]
    return {key: found[-1][key] for key in ("opened", "finished", "backup")} if found else None


def duration():
    """Return how many seconds the last finished run of this host took (int), or ``None`` where there was none."""
    try:
        known = runs()
    except CommandExecutionError:
        return None
    spent = [item["finished"] - item["opened"] for item in known if item["finished"] is not None]
    return spent[-1] if spent else None
