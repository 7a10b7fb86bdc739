"""
A way back before anything is installed: backups of the root volume, by the backend that pillar names.

Backends: ``command`` (a program of the user's that prints an id, e.g. of a cloud volume snapshot, and one that verifies
it), ``snapper`` (its command line), ``none``. Every backup carries the id of its run, so that an interrupted run finds
its backup again instead of making a second one. Runs are remembered in ``/var/lib/salt-klp/runs.json``.

:depends: ``snapper`` for that backend
:pillar: ``klp:backup``, ``klp:run`` (see ``docs/reference/pillar.md``)
"""

import logging
import random
import time

from salt.exceptions import CommandExecutionError

log = logging.getLogger(__name__)

RUNS = "runs"  # record of klp_record
FIELDS = {"run", "opened", "finished", "backend", "backup", "created"}


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


def _run(argv, run):
    backup = _settings()["backup"]
    env = {"KLP_RUN": run, "KLP_HOST": __grains__["id"]}
    return __utils__["klp_cmd.run"](__salt__["cmd.run_all"], argv, timeout=backup["timeout"], env=env)


def _parse(reader, text, what):
    try:
        return __utils__[f"klp_backup.{reader}"](text)
    except ValueError as exc:
        raise CommandExecutionError(f"{what}: {exc}") from exc


def _snapper(args, run):
    return _run(["snapper", "-c", _settings()["backup"]["config"]] + args, run)["stdout"]


def _snapshots(run):
    argv = ["snapper", "--machine-readable", "csv", "-c", _settings()["backup"]["config"], "list"]
    return _parse("snapshots", _run(argv, run)["stdout"], "backup")


def _create_snapper(run):
    """A snapshot of this run that was made but not remembered (kill -9 in between) is found by its userdata."""
    found = __utils__["klp_backup.forgotten"](_snapshots(run), _runs(), run)
    if found:
        return found[-1]
    userdata = f"klp_run={run},important=yes"
    text = _snapper(["create", "-t", "single", "-p", "-d", f"salt-klp {run}", "-u", userdata], run)
    return _parse("printed_id", text, "backup: snapper create")


def _verify_snapper(run, backup):
    for item in _snapshots(run):
        if item["id"] == backup and item["userdata"].get("klp_run") == run:
            return
    raise CommandExecutionError(f"backup {backup}: snapper has no such snapshot of run {run}")


def _create_command(run):
    argv = _settings()["backup"]["create"]
    return _parse("printed_id", _run(argv, run)["stdout"], f"backup: {argv[0]}")


def _verify_command(run, backup):
    _run(_settings()["backup"]["verify"] + [backup], run)


CREATE = {"snapper": _create_snapper, "command": _create_command}
VERIFY = {"snapper": _verify_snapper, "command": _verify_command}


def _backend():
    backend = _settings()["backup"]["backend"]
    if not backend:
        raise CommandExecutionError(
            "no backup, no patching: set pillar klp:backup:backend to snapper or command (docs/reference/pillar.md), "
            "or to none if this host is to be patched without a way back"
        )
    return backend


def _new_run():
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + f"-{random.SystemRandom().getrandbits(24):06x}"


def current():
    """
    Return the run that is not finished on this host, or that pillar ``klp:run`` names; ``None`` where there is none.

    A dict with ``run``, ``opened``, ``finished``, ``backend``, ``backup`` and ``created`` (times: seconds since 1970).

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
    backend, item = _backend(), current()
    if backend == "none":
        return "none"
    if not __utils__["klp_backup.usable"](item, backend, time.time(), _settings()["backup"]["max_age"]):
        return None
    try:
        VERIFY[backend](item["run"], item["backup"])
    except CommandExecutionError:
        return None
    return item["backup"]


def create():
    """
    Make a backup for the current run, or return the one it has; nothing is returned that could not be verified.

    Returns ``{"run", "backend", "backup"}``. Raises CommandExecutionError if the backend fails, prints no id, or if the
    backup cannot be verified.

    CLI Example::

        salt '*' root_backup.create
    """
    backend, found = _backend(), usable()
    if found:
        return {"run": (current() or {}).get("run"), "backend": backend, "backup": found}
    run = _open(backend)
    log.info("salt-klp: making a backup for run %s with backend %s", run, backend)
    backup = CREATE[backend](run)
    # Remembered before it is verified, which may take long: a run that is killed in between does not make a second one.
    _remember(__utils__["klp_backup.changed"](_runs(), run, backend=backend, backup=backup, created=int(time.time())))
    VERIFY[backend](run, backup)
    return {"run": run, "backend": backend, "backup": backup}


def _open(backend):
    """Return the id of the current run, written to the disk before anything is done for it."""
    item = current()
    if item and item["finished"] is None and (item["backup"] is None or _settings()["run"]):
        return item["run"]
    run = _settings()["run"] or _new_run()
    now = int(time.time())
    runs = __utils__["klp_backup.changed"](_runs(), item["run"], finished=now) if item else _runs()
    _remember(__utils__["klp_backup.opened"](runs, run, backend, now))
    return run


def list_():
    """
    Return the runs of this host with their backups, oldest first.

    CLI Example::

        salt '*' root_backup.list
    """
    return _runs()


def verify(backup):
    """
    Check with the backend that a backup of this host is there and good.

    backup
        id as ``root_backup.list`` shows it.

    Returns ``{"run", "backend", "backup"}``. Raises CommandExecutionError if it is not known, not there or not good.

    CLI Example::

        salt '*' root_backup.verify 42
    """
    for item in reversed(_runs()):  # the newest: an id may come back after the backup of that id was deleted
        if item["backup"] is not None and item["backup"] == str(backup):
            if item["backend"] not in VERIFY:
                raise CommandExecutionError(f"backup {backup}: was made by the unknown backend {item['backend']}")
            VERIFY[item["backend"]](item["run"], item["backup"])
            return {"run": item["run"], "backend": item["backend"], "backup": item["backup"]}
    raise CommandExecutionError(f"backup {backup!r} is not known on this host; known: {_known_ids()}")


def _known_ids():
    return ", ".join(item["backup"] for item in _runs() if item["backup"]) or "none"


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
    _remember(__utils__["klp_backup.changed"](_runs(), item["run"], finished=int(time.time())))
    return item["run"]


__func_alias__ = {"list_": "list"}
