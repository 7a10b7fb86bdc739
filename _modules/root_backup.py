"""
Backups of the root volume, made before anything is installed, by the backend that pillar names.

Backends: ``snapper`` (btrfs), ``lvm`` (a logical volume), ``auto`` (the one of these that fits), ``command`` (programs
of the user's, e.g. for cloud volume snapshots), ``none``. Every backup carries the id of its run: one that was
interrupted finds its backup again and does not make a second one. A host is never restarted here.

:depends: ``snapper`` or ``lvm2`` for these backends
:pillar: ``klp:backup``, ``klp:restore``, ``klp:run`` (see ``docs/reference/pillar.md``)
"""

VERSION = "0.2.0"
try:
    import klp_fresh

    klp_fresh.renew()
    import klp_backup
    import klp_host
    import klp_restore
    import klp_restoring
    import klp_runs
    import klp_version

    PROBLEM = klp_version.problem(VERSION, __file__)
except ImportError as exc:
    CURE = "install salt-klp again with pip" if "saltext" in __file__ else "run saltutil.sync_all"
    PROBLEM = f"salt-klp: {exc}: {CURE}"

__func_alias__ = {"list_": "list"}


def __virtual__():
    wrong = PROBLEM or klp_host.foreign(())
    return (False, wrong) if wrong else True


def _host():
    return klp_host.of(__salt__, __pillar__, __grains__)


def backend():
    """
    Return how the root volume of this host is backed up: ``{"backend", "reason" (one clause), "chosen" (bool)}``.

    With pillar ``klp:backup:backend: auto`` it is looked up: snapper for btrfs with a configuration of ``/``, lvm for a
    logical volume. Raises CommandExecutionError where there is none, or where auto finds neither.

    CLI Example:

    .. code-block:: bash

        salt '*' root_backup.backend
    """
    return klp_runs.backend(_host())


def list_():
    """
    Return the runs of this host with their backups, oldest first.

    A list of dicts with ``run``, ``opened``, ``finished``, ``backend``, ``backup`` and ``created`` (times in seconds
    since 1970, ``None`` for not yet). Once a backup was begun also ``host`` (machine id), ``packages`` (SHA-256 of the
    sorted lines NAME, tab, EDITION of all packages at that moment) and ``altered`` (files compared that were not as rpm
    has them); ``deleted`` is the id of a backup that is gone. ``when`` has the times once more, as people read them, in
    the time zone of the host: ``{"opened": "2026-11-29 14:03:12 +0100", ...}``.

    CLI Example:

    .. code-block:: bash

        salt '*' root_backup.list
    """
    return [dict(run, when=klp_backup.when(run)) for run in klp_runs.runs()]


def create():
    """
    Make a backup for the current run, or return the one it has; nothing is returned that could not be verified.

    Of older ones the newest ``klp:backup:keep`` good ones stay, as ``root_backup.prune`` tells.

    Returns ``{"run", "backend", "backup"}``. Raises CommandExecutionError if the backend fails, prints no id, or if the
    backup cannot be verified, and on a transactional host, which has snapshots of its own.

    CLI Example:

    .. code-block:: bash

        salt '*' root_backup.create
    """
    host = _host()
    with host.exclusive("root_backup.create"):
        return klp_runs.create(host)


def verify(backup):
    """
    Check that a backup of this host is there and good.

    backup
        str: id as ``root_backup.list`` shows it.

    Returns what was proved: ``{"run", "backend", "backup", "host", "created", "age" (hours), "packages", "files"}``.
    With snapper and lvm the backup was mounted read-only, is of this machine, its rpm database has the packages that
    this host had when it was made (``packages`` of them), and a sample of their files (``files``) is as installed; both
    are ``None`` for backend command, whose program alone knows. Raises CommandExecutionError otherwise.

    CLI Example:

    .. code-block:: bash

        salt '*' root_backup.verify 42
    """
    return klp_runs.verify(_host(), backup)


def delete(backup):
    """
    Delete a backup that was made here; never that of an open run, and never the last good one.

    backup
        str: id as ``root_backup.list`` shows it.

    Returns ``{"backup", "deleted" (bool)}``; false: it was gone already, and is forgotten now. Raises
    CommandExecutionError for what was not made here, and with the reason if it has to stay.

    CLI Example:

    .. code-block:: bash

        salt '*' root_backup.delete 42
    """
    host = _host()
    with host.exclusive("root_backup.delete"):
        return klp_runs.delete(host, backup)


def prune():
    """
    Delete the backups that are older than the newest ``klp:backup:keep`` good ones, and snapshots of LVM that ran full.

    The backup of the current run stays; runs that never came to their end are no exception.

    Returns ``{"deleted": [ids], "notes": [sentences]}``; what could not be deleted is a note, and is tried again the
    next time. Nothing is deleted where backend command has no program for it (pillar ``klp:backup:delete``).

    CLI Example:

    .. code-block:: bash

        salt '*' root_backup.prune
    """
    host = _host()
    with host.exclusive("root_backup.prune"):
        return klp_runs.prune(host)


def pending_restore():
    """
    Return the restoration that waits for a restart: ``{"backup", "since"}`` (seconds since 1970), or ``None``.

    One that was begun and not seen to end (a kill, a power cut) counts as well. No program is started.

    CLI Example:

    .. code-block:: bash

        salt '*' root_backup.pending_restore
    """
    return klp_restoring.pending()


def losses(backup):
    """
    Return what would be lost if a backup were put back.

    backup
        str: id of the backup or of its run, as ``root_backup.list`` shows it.

    Returns ``{"packages": {name: {"old" (now), "new" (in the backup)}}, "notes": [sentences]}``; ``packages`` is
    ``None`` for a backup that cannot be looked into.

    CLI Example:

    .. code-block:: bash

        salt '*' root_backup.losses 42
    """
    return klp_restore.losses(_host(), backup)


def restore(backup, confirm=""):
    """
    Put a backup of the root volume in place for the next start of this host. It is not restarted here.

    backup
        str: id of the backup or of its run, as ``root_backup.list`` shows it.
    confirm
        str: the same id again, to confirm that all changes since this backup (``root_backup.losses``) will be lost.

    Returns ``{"restored": id, "reboot": reason or None, "lost": as root_backup.losses has it}``. A second call before
    the restart changes nothing, and after it proves that the packages are those of the backup. Raises
    CommandExecutionError without the confirmation, for a backup that is not good, on a transactional host, and while
    something else is going on.

    CLI Example:

    .. code-block:: bash

        salt '*' root_backup.restore 42 confirm=42
    """
    host = _host()
    with host.exclusive("root_backup.restore"):
        return klp_restore.restore(host, backup, confirm)
