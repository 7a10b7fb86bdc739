"""
A way back before anything is installed: backups of the root volume, by the backend that pillar names.

Backends: ``snapper`` (btrfs), ``lvm`` (a logical volume), ``auto`` (the one of these that fits), ``command`` (programs
of the user's, e.g. for cloud volume snapshots), ``none``. Every backup carries the id of its run: one that was
interrupted finds its backup again and does not make a second one. All is in ``/var/lib/salt-klp/runs.json``.

:depends: ``snapper`` or ``lvm2`` for these backends
:pillar: ``klp:backup``, ``klp:run`` (see ``docs/reference/pillar.md``)
"""

import logging
import random
import time

from salt.exceptions import CommandExecutionError

log = logging.getLogger(__name__)

RUNS = "runs"  # record of klp_record
FIELDS = {"run", "opened", "finished", "backend", "backup", "created"}
BACKENDS = {"snapper": "klp_snapper", "lvm": "klp_lvm", "command": "klp_backup_command"}
MACHINE_ID = "/etc/machine-id"


def __virtual__():
    if "klp_backup.current" not in __utils__:
        return False, "root_backup: _utils/klp_backup.py is missing here, run saltutil.sync_all"
    return True


def _settings():
    return __utils__["klp_pillar.settings"](__pillar__.get("klp"))


def _runs():
    runs = __utils__["klp_record.read"](RUNS, [])
    if not all(isinstance(item, dict) and FIELDS <= set(item) for item in runs):
        raise CommandExecutionError("/var/lib/salt-klp/runs.json: not what salt-klp wrote; repair it or move it away")
    return runs


def _remember(runs):
    __utils__["klp_record.write"](RUNS, runs)


def _change(run, **fields):
    _remember(__utils__["klp_backup.changed"](_runs(), run, **fields))


def _host():
    try:
        return __utils__["klp_backup.host_id"](__utils__["klp_sys.text"](MACHINE_ID))
    except ValueError as exc:
        raise CommandExecutionError(str(exc)) from exc


def _ask(verb, item, *args):
    """Let the backend of a run do one thing; it gets loaded functions only, since it calls them from _utils."""
    if item["backend"] not in BACKENDS:
        raise CommandExecutionError(f"backup {item['backup']}: was made by the unknown backend {item['backend']}")
    settings, env = _settings()["backup"], {"KLP_RUN": item["run"], "KLP_HOST": __grains__["id"]}
    caller, run, run_all = __utils__["klp_backup.caller"], __utils__["klp_cmd.run"], __salt__["cmd.run_all"]
    known = [other["backup"] for other in _runs() if other["run"] == item["run"] and other["backup"]]
    job = dict(settings, run=item["run"], host=_host(), known=known)
    if item["backend"] == "lvm":
        job["root"] = __utils__["klp_backup_look.root"]()
    answer = __utils__[f"{BACKENDS[item['backend']]}.{verb}"]
    return answer(caller(run, run_all, settings["timeout"], env), job, *args)


def _prove(item):
    """Return what can be proved about the backup of a run, or raise CommandExecutionError with what is wrong."""
    backup, host = item["backup"], _host()
    wrong = __utils__["klp_backup.other_host"](item.get("host"), host)
    if wrong:
        raise CommandExecutionError(f"backup {backup} {wrong}")
    _ask("verify", item, backup)
    argv = _ask("mounting", item, backup)
    if argv is None:
        return {"packages": None, "files": None, "altered": {}}
    caller, run, run_all = __utils__["klp_backup.caller"], __utils__["klp_cmd.run"], __salt__["cmd.run_all"]
    call = caller(run, run_all, _settings()["backup"]["timeout"], {})
    prove, expected = __utils__["klp_backup_look.prove"], {"host": host, "packages": item.get("packages")}
    tools = {"installed": __utils__["klp_parse.installed"], "digest": __utils__["klp_backup.digest"]}
    try:
        found = prove(call, argv, tools, dict(expected, altered=item.get("altered", {})))
    except CommandExecutionError as exc:
        raise CommandExecutionError(f"backup {backup}: {exc}") from exc
    return dict(found, packages=len(found["packages"]))


def backend():
    """
    Return how the root volume of this host is backed up: ``{"backend", "reason" (one clause), "chosen" (bool)}``.

    With pillar ``klp:backup:backend: auto`` it is looked up: snapper for btrfs with a configuration of ``/``, lvm for a
    logical volume. Raises CommandExecutionError where there is none, or where auto finds neither.

    CLI Example::

        salt '*' root_backup.backend
    """
    wanted = _settings()["backup"]["backend"]
    if not wanted:
        raise CommandExecutionError(
            "no backup, no patching: set pillar klp:backup:backend to auto, snapper, lvm or command "
            "(docs/reference/pillar.md), or to none if this host is to be patched without a way back"
        )
    if wanted != "auto":
        return {"backend": wanted, "reason": "pillar klp:backup:backend says so", "chosen": False}
    root = __utils__["klp_backup_look.root"]()
    seen = f"/ is {root['type']} on {root['source']}"
    if root["type"] == "btrfs":
        wrong = _without_snapper()
        if not wrong:
            reason = f"{seen} with the snapper configuration {_settings()['backup']['config']}"
            return {"backend": "snapper", "reason": reason, "chosen": True}
    elif root["volume"]:
        return {"backend": "lvm", "reason": f"{seen}, a logical volume", "chosen": True}
    else:
        wrong = "neither btrfs nor a logical volume; set pillar klp:backup:backend to command, or to none"
    raise CommandExecutionError(f"pillar klp:backup:backend auto: {seen}: {wrong}")


def _without_snapper():
    try:
        return _ask("usable_here", {"run": "", "backend": "snapper"})
    except CommandExecutionError as exc:
        return str(exc)


def _new_run():
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + f"-{random.SystemRandom().getrandbits(24):06x}"


def current():
    """
    Return the run that is not finished on this host, or that pillar ``klp:run`` names; ``None`` where there is none.

    A dict as ``root_backup.list`` has it.

    CLI Example::

        salt '*' root_backup.current
    """
    return __utils__["klp_backup.current"](_runs(), _settings()["run"])


def usable():
    """
    Return the backup id that the current run can go on with, or ``None``: made by it, young enough and verified now.

    With backend ``none`` the answer is ``none``.

    CLI Example::

        salt '*' root_backup.usable
    """
    name, item = backend()["backend"], current()
    if name == "none":
        return "none"
    if not __utils__["klp_backup.usable"](item, name, time.time(), _settings()["backup"]["max_age"]):
        return None
    try:
        _prove(item)
    except CommandExecutionError as exc:
        log.warning("salt-klp: run %s cannot go on with its backup: %s", item["run"], exc)
        return None
    return item["backup"]


def create():
    """
    Make a backup for the current run, or return the one it has; nothing is returned that could not be verified.

    Returns ``{"run", "backend", "backup"}``. Raises CommandExecutionError if the backend fails, prints no id, or if the
    backup cannot be verified, and on a transactional host, which has snapshots of its own.

    CLI Example::

        salt '*' root_backup.create
    """
    refused = __utils__["zypp_cmd.transactional"]()
    if refused:
        raise CommandExecutionError(refused)
    name, found = backend()["backend"], usable()
    if found:
        return {"run": (current() or {}).get("run"), "backend": name, "backup": found}
    run, host = _open(name), _host()
    log.info("salt-klp: making a backup for run %s with backend %s", run, name)
    backup = _ask("find", dict(current(), backend=name))  # made, but not remembered (kill -9 in between)
    if not backup:
        # What is to be found in the backup is written down before it is made, so that it is in there as well.
        digest = __utils__["klp_backup.digest"](__salt__["zypper.packages"]())
        _change(run, backend=name, host=host, packages=digest, altered={})
        backup = _ask("create", current())
    # Remembered before it is verified, which may take long: a run that is killed in between does not make a second one.
    _change(run, backend=name, host=host, backup=backup, created=int(time.time()))
    altered = _prove(current())["altered"]
    if altered:
        _change(run, altered=altered)
    return {"run": run, "backend": name, "backup": backup}


def _open(name):
    """Return the id of the current run, written to the disk before anything is done for it."""
    item = current()
    if item and item["finished"] is None and (item["backup"] is None or _settings()["run"]):
        return item["run"]
    run = _settings()["run"] or _new_run()
    now = int(time.time())
    runs = __utils__["klp_backup.changed"](_runs(), item["run"], finished=now) if item else _runs()
    _remember(__utils__["klp_backup.opened"](runs, run, name, now))
    return run


def list_():
    """
    Return the runs of this host with their backups, oldest first.

    A list of dicts with ``run``, ``opened``, ``finished``, ``backend``, ``backup`` and ``created`` (times in seconds
    since 1970, ``None`` for not yet). Once a backup was begun also ``host`` (machine id), ``packages`` (SHA-256 of the
    sorted lines NAME, tab, EDITION of all packages at that moment) and ``altered`` (files compared that were not as rpm
    has them); ``deleted`` is the id of a backup that is gone.

    CLI Example::

        salt '*' root_backup.list
    """
    return _runs()


def _known(backup):
    item = __utils__["klp_backup.found"](_runs(), str(backup))
    if not item or item["backup"] != str(backup):
        known = ", ".join(item["backup"] for item in _runs() if item["backup"]) or "none"
        raise CommandExecutionError(f"backup {backup!r} is not known on this host; known: {known}")
    return item


def verify(backup):
    """
    Check that a backup of this host is there and good.

    backup
        id as ``root_backup.list`` shows it.

    Returns what was proved: ``{"run", "backend", "backup", "host", "created", "age" (hours), "packages", "files"}``.
    With snapper and lvm the backup was mounted read-only, is of this machine, its rpm database has the packages that
    this host had when it was made (``packages`` of them), and a sample of their files (``files``) is as installed; both
    are ``None`` for backend command, whose program alone knows. Raises CommandExecutionError otherwise.

    CLI Example::

        salt '*' root_backup.verify 42
    """
    item = _known(backup)
    found = _prove(item)
    answer = {key: item.get(key) for key in ("run", "backend", "backup", "host", "created")}
    age = round((time.time() - item["created"]) / 3600, 1)
    return dict(answer, age=age, packages=found["packages"], files=found["files"])


def finish():
    """
    Mark the current run as finished: the next one makes a backup of its own.

    Returns the id of the run, or ``None`` where none was open.

    CLI Example::

        salt '*' root_backup.finish
    """
    item = current()
    if not item or item["finished"] is not None:
        return None
    _change(item["run"], finished=int(time.time()))
    return item["run"]


def _forget(item):
    _remember(__utils__["klp_backup.forgotten"](_runs(), item))


def _good(item):
    try:
        return bool(_prove(item))
    except CommandExecutionError:
        return False


def _remove(item):
    """Delete a backup, first with its backend, then from memory; returns whether it was still there."""
    whose = _ask("there", item, item["backup"])
    if whose == "foreign":
        raise CommandExecutionError(
            f"backup {item['backup']}: what {item['backend']} has under this id is not of run {item['run']} of this "
            "host; it is left alone"
        )
    if whose != "gone":
        log.info("salt-klp: deleting backup %s of run %s", item["backup"], item["run"])
        _ask("delete", item, item["backup"])
    _forget(item)
    return whose != "gone"


def delete(backup):
    """
    Delete a backup that was made here; never that of an open run, and never the last good one.

    backup
        id as ``root_backup.list`` shows it.

    Returns ``{"backup", "deleted" (bool)}``; false: it was gone already, and is forgotten now. Raises
    CommandExecutionError for what was not made here, and with the reason if it has to stay.

    CLI Example::

        salt '*' root_backup.delete 42
    """
    item = _known(backup)
    wrong = __utils__["klp_backup.other_host"](item.get("host"), _host())
    if wrong:
        raise CommandExecutionError(f"backup {item['backup']} {wrong}: it is left alone")
    pending = __salt__["root_backup.pending_restore"]()
    if pending and pending["backup"] == item["backup"]:
        raise CommandExecutionError(f"backup {item['backup']} is being restored: restart the host first")
    if item["finished"] is None:
        raise CommandExecutionError(f"backup {item['backup']} is of run {item['run']}, which is not finished")
    others = [other for other in reversed(_runs()) if other["backup"] and other != item]
    if _good(item) and not any(_good(other) for other in others):
        raise CommandExecutionError(f"backup {item['backup']} is the last good one of this host: it stays")
    return {"backup": item["backup"], "deleted": _remove(item)}


def prune():
    """
    Delete the backups of finished runs that are older than the newest ``klp:backup:keep`` good ones.

    Returns ``{"deleted": [ids], "notes": [sentences]}``; what could not be deleted is a note, and is tried again the
    next time. Nothing is deleted where backend command has no program for it (pillar ``klp:backup:delete``).

    CLI Example::

        salt '*' root_backup.prune
    """
    settings, answer, good = _settings()["backup"], {"deleted": [], "notes": []}, 0
    items = [item for item in reversed(_runs()) if item["backup"] and item["finished"] is not None]
    items = [item for item in items if item["backend"] != "command" or settings["delete"]]
    pending = (__salt__["root_backup.pending_restore"]() or {}).get("backup")
    if len(items) <= settings["keep"]:
        return answer
    for item in items:
        if good < settings["keep"]:
            good += _good(item)
        elif item["backup"] != pending:
            _prune(item, answer)
    return answer


def _prune(item, answer):
    try:
        wrong = __utils__["klp_backup.other_host"](item.get("host"), _host())
        if wrong:
            return
        if _ask("there", item, item["backup"]) == "foreign":
            _forget(item)  # our own is gone, and somebody else's has its number now
        elif _remove(item):
            answer["deleted"].append(item["backup"])
    except CommandExecutionError as exc:
        answer["notes"].append(f"Backup {item['backup']} of run {item['run']} could not be deleted: {exc}")


__func_alias__ = {"list_": "list"}
