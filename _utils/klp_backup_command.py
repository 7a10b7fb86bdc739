"""
Backend ``command``: backups by programs of the user's, for example of a cloud or storage volume.

Nothing is known of what they make but its id. The id of the run is in their environment as ``KLP_RUN``, the minion's id
as ``KLP_HOST``. Every backend has the same functions; ``call(argv, ok)`` starts a program, ``job`` is what pillar
``klp:backup`` says with ``run``, ``host`` (machine id) and ``known`` (ids that are remembered) on top.
"""

import re

import salt.utils.path
from salt.exceptions import CommandExecutionError

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@=-]{0,255}\Z")


def printed_id(text):
    """Return the id that a backup command printed: its last line. Raises ValueError if that is no id."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("it printed no id")
    if not ID.match(lines[-1]):
        raise ValueError(f"the last line it printed is no id: {lines[-1][:120]!r}")
    return lines[-1]


def usable_here(call, job):
    """Return why no backup can be made now, one sentence, or ``None``: a program that is not there."""
    for argv in (_argv(job, key) for key in ("create", "verify")):
        if not salt.utils.path.which(argv[0]):
            return f"{argv[0]}: command not found"
    return None


def find(call, job):
    """Return ``None``: what a run has made but does not remember is found by the program itself, by ``KLP_RUN``."""
    return


def create(call, job):
    """Make a backup and return its id, the last line that the program prints."""
    argv = _argv(job, "create")
    try:
        return printed_id(call(argv)["stdout"])
    except ValueError as exc:
        raise CommandExecutionError(f"backup: {argv[0]}: {exc}") from exc


def verify(call, job, backup):
    """Raise CommandExecutionError unless the program says that the backup is good."""
    call(_argv(job, "verify") + [backup])


def mounting(call, job, backup):
    """Return ``None``: such a backup cannot be looked into from here."""
    return


def there(call, job, backup):
    """Return ``unknown``: no program is asked whether a backup is there."""
    return "unknown"


def delete(call, job, backup):
    """Delete a backup; the program has to see to it that it is one of this host."""
    call(_argv(job, "delete") + [backup])


def restore(call, job, backup, token):
    """Put a backup in place for the next start. A second call for the same one has to do no harm."""
    call(_argv(job, "restore") + [backup])


def trace(call, job):
    """Return ``None``: such a backup leaves no trace of its restoration that could be read here."""
    return


def _argv(job, key):
    if not job[key]:
        raise CommandExecutionError(f"pillar klp:backup:{key} names no program")
    return job[key]
