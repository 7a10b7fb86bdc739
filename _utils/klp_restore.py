"""
Putting a backup of the root volume back. It never restarts a host.

A restoration has three stages: begun, prepared (the backup takes the place of the root volume at the next start), done
(the host has been started since, and its packages are those of the backup). What is done leaves a trace outside of the
volume that is put back where the backend can: in snapper's userdata, in LVM's tags; and in
``/var/lib/salt-klp/restore.json``.
"""

import logging
import time

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_backend
import klp_backup
import klp_backup_look
import klp_family
import klp_live
import klp_paths
import klp_restoring
import klp_runs
import klp_state
import klp_sys
import zypp_packages
import zypp_running

log = logging.getLogger(__name__)


def _item(backup):
    item = klp_backup.found(klp_runs.runs(), str(backup))
    if not item:
        known = ", ".join(run["backup"] for run in klp_runs.runs() if run["backup"]) or "none"
        raise CommandExecutionError(f"backup {backup!r} is not known on this host; known: {known}")
    return item


def restoration(host, backup):
    """
    Return how far the restoration of a backup is.

    backup
        id of the backup or of its run, as ``root_backup.list`` shows it.

    Returns ``{"backup", "stage" (none, begun, prepared or done), "since"}``. What was done before this host was patched
    anew is ``none`` again. Raises CommandExecutionError where the host was started since but its packages are not those
    of the backup.
    """
    if not str(backup):
        raise SaltInvocationError(
            f"no backup is named in pillar klp:restore:backup; see: salt '{host.id}' root_backup.list"
        )
    runs, record = klp_runs.runs(), klp_restoring.record()
    item = klp_backup.found(runs, str(backup)) or {}
    wanted = item.get("backup", str(backup))
    if item.get("backend") or record:
        name = item.get("backend") or record["backend"]
    else:
        name = klp_runs.backend(host)["backend"]
    asked = {"run": item.get("run", ""), "backend": name}
    trace = klp_backend.ask(host, "trace", asked) if name in klp_backend.BACKENDS else None
    if trace and not item and trace.get("klp_restore_run") == str(backup):
        wanted = trace["klp_restore"]  # the records of the run may have been put back with the root volume
    found = klp_backup.stage(wanted, record, trace, klp_restoring.boot_id(), runs)
    if found["stage"] == "done" and (record.get("backup"), record.get("stage")) != (wanted, "done"):
        _same_packages(host, wanted, found["packages"])
        proved = {"run": item.get("run"), "backend": name, "since": found["since"], "packages": found["packages"]}
        # packages may change from now on
        klp_restoring.remember(dict(proved, backup=wanted, boot=klp_restoring.boot_id(), stage="done"))
    return {"backup": wanted, "stage": found["stage"], "since": found["since"]}


def _same_packages(host, backup, packages):
    now = klp_backup.digest(zypp_packages.packages(host))
    if packages and packages != now:
        raise CommandExecutionError(
            f"backup {backup} was to be restored and the host was started since, but its packages are not those of the "
            "backup: was it started from another volume or snapshot?"
        )


def losses(host, backup):
    """
    Return what would be lost if a backup were put back.

    backup
        id of the backup or of its run, as ``root_backup.list`` shows it.

    Returns ``{"packages": {name: {"old" (now), "new" (in the backup)}}, "notes": [sentences]}``; ``packages`` is
    ``None`` for a backup that cannot be looked into.
    """
    item = _item(backup)
    argv = klp_backend.ask(host, "mounting", item, item["backup"])
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(item["created"]))
    notes = [f"Everything that has been changed or made on the root volume since {made} is lost"]
    elsewhere = klp_backup_look.untouched()
    if elsewhere:
        notes.append(f"Not touched, since they are no part of it: {', '.join(elsewhere)}")
    notes.append("The live patch that is in the kernel stays there until the host is restarted")
    if argv is None:
        notes.append(
            f"Which packages change is unknown: backup {item['backup']} of backend command cannot be looked into"
        )
        return {"packages": None, "notes": notes}
    call = klp_backend.caller(host, item["run"])
    found = klp_backup_look.look(call, argv, lambda point: klp_backup_look.packages(call, point))
    then = {name: ",".join(sorted(editions)) for name, editions in found.items()}
    return {"packages": klp_state.difference(zypp_packages.packages(host), then), "notes": notes}


def restore(host, backup, confirm=""):
    """
    Put a backup of the root volume in place for the next start of this host. It is not restarted here.

    backup
        id of the backup or of its run, as ``root_backup.list`` shows it.
    confirm
        the same id again, to confirm that all changes since this backup (``root_backup.losses``) will be lost.

    Returns ``{"restored": id, "reboot": reason or None, "lost": as root_backup.losses has it}``. A second call before
    the restart changes nothing, and after it proves that the packages are those of the backup. Raises
    CommandExecutionError without the confirmation, for a backup that is not good, on a transactional host, and while
    something else is going on.
    """
    found, nothing = restoration(host, backup), {"packages": {}, "notes": []}
    if found["stage"] in ("prepared", "done"):
        reboot = _reboot(found["backup"]) if found["stage"] == "prepared" else None
        return {"restored": found["backup"], "reboot": reboot, "lost": nothing}
    refused = klp_family.transactional(host.family, klp_sys.read_only(klp_paths.USR))
    if refused:
        raise CommandExecutionError(refused)
    item = _item(backup)
    _ready(host, item)
    klp_runs.verify(host, item["backup"])
    lost = losses(host, item["backup"])
    if str(confirm) != str(backup):
        raise CommandExecutionError(_unconfirmed(host, backup, lost))
    _prepare(host, item, found["since"])
    return {"restored": item["backup"], "reboot": _reboot(item["backup"]), "lost": lost}


def _prepare(host, item, since):
    """Put a backup in place; what was begun before (``since``) is gone on with, not begun anew."""
    since = since or int(time.time())
    record = {key: item[key] for key in ("backup", "run", "backend")}
    record.update(since=since, boot=klp_restoring.boot_id(), packages=item.get("packages"), stage="begun")
    token = {
        "klp_restore": item["backup"],
        "klp_restore_run": item["run"],
        "klp_since": since,
        "klp_boot": klp_restoring.boot_id(),
    }
    if item.get("packages"):
        token["klp_packages"] = item["packages"]
    log.warning("salt-klp: restoring backup %s of run %s", item["backup"], item["run"])
    klp_restoring.remember(record)
    try:
        klp_backend.ask(host, "restore", item, item["backup"], token)
    except CommandExecutionError:
        trace, runs = klp_backend.ask(host, "trace", item), klp_runs.runs()
        if klp_backup.stage(item["backup"], record, trace, klp_restoring.boot_id(), runs)["stage"] != "prepared":
            klp_restoring.remember({})  # nothing has been put in place: patching may go on
        raise
    klp_restoring.remember(dict(record, stage="prepared"))


def _ready(host, item):
    """Raise unless this backup could be put back now."""
    if item["backend"] == "command" and not host.settings["backup"]["restore"]:
        raise CommandExecutionError(
            f"backup {item['backup']} was made by a program of backend command, and pillar klp:backup:restore names "
            "none that puts it back: stop the host, put the root volume back from it with the tools of your cloud or "
            "storage, and start the host"
        )
    pending = klp_restoring.pending()
    if pending and pending["backup"] != item["backup"]:
        raise CommandExecutionError(f"backup {pending['backup']} is being restored: restart the host first")
    busy = _transition(host) or zypp_running.problem()
    if busy:
        raise CommandExecutionError(f"nothing is restored now: {busy}")


def _transition(host):
    try:
        moving = klp_live.status(host)["transition"] != "ready"
    except CommandExecutionError:
        return None  # no live patching in this kernel, which may be why it is to be restored
    return "a transition of the live patch is running; wait for its end: klp.wait" if moving else None


def _reboot(backup):
    return f"backup {backup} takes the place of the root volume when the host is started again: restart it"


def _unconfirmed(host, backup, lost):
    lines = [f"nothing is restored without a confirmation; with backup {backup}:"]
    lines += klp_backup.told(lost)
    lines.append(
        f"if that is wanted, set pillar klp:restore:confirm: {backup} and run: salt '{host.id}' state.apply klp.restore"
    )
    return "\n".join(lines)
