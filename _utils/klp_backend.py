"""
One dispatcher for the backends of backups: each has the same functions, which get a way to start programs and a job.
"""

from salt.exceptions import CommandExecutionError

import klp_backup
import klp_backup_command
import klp_backup_look
import klp_cmd
import klp_lvm
import klp_paths
import klp_restoring
import klp_snapper
import klp_sys

BACKENDS = {"snapper": klp_snapper, "lvm": klp_lvm, "command": klp_backup_command}


def machine_id():
    """Return the machine id of this host, which its backups carry."""
    try:
        return klp_backup.host_id(klp_sys.text(klp_paths.MACHINE_ID))
    except ValueError as exc:
        raise CommandExecutionError(str(exc)) from exc


def caller(host, run=None):
    """
    Return how a backend starts a program: ``call(argv, ok=(0,))`` with the deadline of pillar ``klp:backup:timeout``.

    run
        id of the run, for the program's environment.
    """
    env = {} if run is None else {"KLP_RUN": run, "KLP_HOST": host.id}
    timeout = host.settings["backup"]["timeout"]
    return lambda argv, ok=(0,): host.run(argv, ok, timeout=timeout, env=env)


def _snapper(host):
    """Return the version of snapper on this host."""
    return host.kept(
        "snapper",
        klp_paths.RPM_DATABASE,
        lambda: klp_cmd.parsed(klp_snapper.version, host.run(["snapper", "--version"])["stdout"]),
    )


def ask(host, verb, item, *args, known=()):
    """
    Let the backend of a run do one thing, a function of its module.

    item
        the run: ``{"run", "backend"}`` and more.
    known
        ids of backups that are remembered of this run.
    """
    backend = BACKENDS.get(item["backend"])
    if backend is None:
        raise CommandExecutionError(f"backup {item.get('backup')}: was made by the unknown backend {item['backend']}")
    job = dict(host.settings["backup"], run=item["run"], host=machine_id(), known=list(known))
    job["boot"] = klp_restoring.boot_id()
    if backend is klp_snapper:
        job["version"] = _snapper(host)
    if backend is klp_lvm or job.get("version", klp_snapper.MARKS) < klp_snapper.MARKS:
        job["root"] = klp_backup_look.root()
    return getattr(backend, verb)(caller(host, item["run"]), job, *args)
