"""
Putting a backup of the root volume back: the second file of the module ``root_backup``. It never reboots a host.

A restoration has three stages: begun, prepared (the backup takes the place of the root volume at the next start), done
(the host has been started since, and its packages are those of the backup). What is done leaves a trace outside of the
volume that is put back where the backend can: in snapper's userdata, in LVM's tags; and in
``/var/lib/salt-klp/restore.json``.

:depends: ``snapper`` or ``lvm2`` for these backends
:pillar: ``klp:backup``, ``klp:restore`` (see ``docs/reference/pillar.md``)
"""

import logging
import os
import time

from salt.exceptions import CommandExecutionError, SaltInvocationError

__virtualname__ = "root_backup"

log = logging.getLogger(__name__)

RESTORE = "restore"  # record of klp_record
FIELDS = {"backup", "run", "backend", "since", "boot", "packages", "stage"}
BACKENDS = {"snapper": "klp_snapper", "lvm": "klp_lvm", "command": "klp_backup_command"}
BOOT_ID = "/proc/sys/kernel/random/boot_id"
ZYPP_PID = "/run/zypp.pid"
PROC = "/proc"


def __virtual__():
    if "klp_backup.stage" not in __utils__:
        return False, "root_backup: _utils/klp_backup.py is missing here, run saltutil.sync_all"
    return __virtualname__


def _settings():
    return __utils__["klp_pillar.settings"](__pillar__.get("klp"))


def _boot():
    return (__utils__["klp_sys.text"](BOOT_ID) or "").strip()


def _record():
    record = __utils__["klp_record.read"](RESTORE, {})
    if record and not set(record) >= FIELDS:
        raise CommandExecutionError(
            "/var/lib/salt-klp/restore.json: not what salt-klp wrote; repair it or move it away"
        )
    return record


def _remember(record):
    __utils__["klp_record.write"](RESTORE, record)


def _call(run):
    """Return how programs are started: loaded functions only, since it is called from _utils."""
    env = {"KLP_RUN": run, "KLP_HOST": __grains__["id"]}
    caller, timeout = __utils__["klp_backup.caller"], _settings()["backup"]["timeout"]
    return caller(__utils__["klp_cmd.run"], __salt__["cmd.run_all"], timeout, env)


def _ask(verb, item, *args):
    """Let the backend of a run do one thing."""
    job = dict(_settings()["backup"], run=item["run"], host=item.get("host"), known=[], boot=_boot())
    if item["backend"] == "lvm":
        job["root"] = __utils__["klp_backup_look.root"]()
    answer = __utils__[f"{BACKENDS[item['backend']]}.{verb}"]
    return answer(_call(item["run"]), job, *args)


def _item(backup):
    item = __utils__["klp_backup.found"](__salt__["root_backup.list"](), str(backup))
    if not item:
        known = ", ".join(run["backup"] for run in __salt__["root_backup.list"]() if run["backup"]) or "none"
        raise CommandExecutionError(f"backup {backup!r} is not known on this host; known: {known}")
    return item


def pending_restore():
    """
    Return the restoration that waits for a reboot: ``{"backup", "since"}`` (seconds since 1970), or ``None``.

    One that was begun and not seen to end (a kill, a power cut) counts as well. No program is started.

    CLI Example::

        salt '*' root_backup.pending_restore
    """
    record = _record()
    if not record or record["boot"] != _boot() or record["stage"] == "done":
        return None
    return {"backup": record["backup"], "since": record["since"]}


def restoration(backup):
    """
    Return how far the restoration of a backup is.

    backup
        id of the backup or of its run, as ``root_backup.list`` shows it.

    Returns ``{"backup", "stage" (none, begun, prepared or done), "since"}``. What was done before this host was patched
    anew is ``none`` again. Raises CommandExecutionError where the host was started since but its packages are not those
    of the backup.

    CLI Example::

        salt '*' root_backup.restoration 42
    """
    if not str(backup):
        raise SaltInvocationError(
            f"no backup is named in pillar klp:restore:backup; see: salt '{__grains__['id']}' root_backup.list"
        )
    runs, record = __salt__["root_backup.list"](), _record()
    item = __utils__["klp_backup.found"](runs, str(backup)) or {}
    wanted = item.get("backup", str(backup))
    if item.get("backend") or record:
        name = item.get("backend") or record["backend"]
    else:
        name = __salt__["root_backup.backend"]()["backend"]
    trace = _ask("trace", {"run": item.get("run", ""), "backend": name}) if name in BACKENDS else None
    if trace and not item and trace.get("klp_restore_run") == str(backup):
        wanted = trace["klp_restore"]  # the records of the run may have been put back with the root volume
    found = __utils__["klp_backup.stage"](wanted, record, trace, _boot(), runs)
    if found["stage"] == "done" and (record.get("backup"), record.get("stage")) != (wanted, "done"):
        _same_packages(wanted, found["packages"])
        proved = {"run": item.get("run"), "backend": name, "since": found["since"], "packages": found["packages"]}
        _remember(dict(proved, backup=wanted, boot=_boot(), stage="done"))  # packages may change from now on
    return {"backup": wanted, "stage": found["stage"], "since": found["since"]}


def _same_packages(backup, packages):
    now = __utils__["klp_backup.digest"](__salt__["zypper.packages"]())
    if packages and packages != now:
        raise CommandExecutionError(
            f"backup {backup} was to be restored and the host was started since, but its packages are not those of the "
            "backup: was it started from another volume or snapshot?"
        )


def losses(backup):
    """
    Return what would be lost if a backup were put back.

    backup
        id of the backup or of its run, as ``root_backup.list`` shows it.

    Returns ``{"packages": {name: {"old" (now), "new" (in the backup)}}, "notes": [sentences]}``; ``packages`` is
    ``None`` for a backup that nobody can look into.

    CLI Example::

        salt '*' root_backup.losses 42
    """
    item = _item(backup)
    argv = _ask("mounting", item, item["backup"])
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(item["created"]))
    notes = [f"Everything that has been changed or made on the root volume since {made} is lost"]
    elsewhere = __utils__["klp_backup_look.untouched"]()
    if elsewhere:
        notes.append(f"Not touched, since they are no part of it: {', '.join(elsewhere)}")
    notes.append("The live patch that is in the kernel stays there until the host is restarted")
    if argv is None:
        notes.append(
            f"Which packages change is not known: nobody can look into backup {item['backup']} of backend command"
        )
        return {"packages": None, "notes": notes}
    look, packages = __utils__["klp_backup_look.look"], __utils__["klp_backup_look.packages"]
    call, installed = _call(item["run"]), __utils__["klp_parse.installed"]
    there = look(call, argv, lambda point: packages(call, installed, point))
    then = {name: ",".join(sorted(editions)) for name, editions in there.items()}
    return {"packages": __utils__["klp_state.difference"](__salt__["zypper.packages"](), then), "notes": notes}


def restore(backup, confirm=""):
    """
    Put a backup of the root volume in place for the next start of this host. It is not rebooted here.

    backup
        id of the backup or of its run, as ``root_backup.list`` shows it.
    confirm
        the same again: yes, what ``root_backup.losses`` tells may be lost.

    Returns ``{"restored": id, "reboot": reason or None, "lost": as root_backup.losses has it}``. A second call before
    the reboot changes nothing, and after it proves that the packages are those of the backup. Raises
    CommandExecutionError without the confirmation, for a backup that is not good, on a transactional host, and while
    something else is going on.

    CLI Example::

        salt '*' root_backup.restore 42 confirm=42
    """
    found, nothing = restoration(backup), {"packages": {}, "notes": []}
    if found["stage"] in ("prepared", "done"):
        reboot = _reboot(found["backup"]) if found["stage"] == "prepared" else None
        return {"restored": found["backup"], "reboot": reboot, "lost": nothing}
    refused = __utils__["zypp_cmd.transactional"]()
    if refused:
        raise CommandExecutionError(refused)
    item = _item(backup)
    _ready(item)
    __salt__["root_backup.verify"](item["backup"])
    lost = losses(item["backup"])
    if str(confirm) != str(backup):
        raise CommandExecutionError(_unconfirmed(backup, lost))
    _prepare(item, found["since"])
    return {"restored": item["backup"], "reboot": _reboot(item["backup"]), "lost": lost}


def _prepare(item, since):
    """Put a backup in place; what was begun before (``since``) is gone on with, not begun anew."""
    since = since or int(time.time())
    record = {key: item[key] for key in ("backup", "run", "backend")}
    record.update(since=since, boot=_boot(), packages=item.get("packages"), stage="begun")
    token = {"klp_restore": item["backup"], "klp_restore_run": item["run"], "klp_since": since, "klp_boot": _boot()}
    if item.get("packages"):
        token["klp_packages"] = item["packages"]
    log.warning("salt-klp: restoring backup %s of run %s", item["backup"], item["run"])
    _remember(record)
    try:
        _ask("restore", item, item["backup"], token)
    except CommandExecutionError:
        trace, runs = _ask("trace", item), __salt__["root_backup.list"]()
        if __utils__["klp_backup.stage"](item["backup"], record, trace, _boot(), runs)["stage"] != "prepared":
            _remember({})  # nothing has been put in place: patching may go on
        raise
    _remember(dict(record, stage="prepared"))


def _ready(item):
    """Raise unless this backup could be put back now."""
    if item["backend"] == "command" and not _settings()["backup"]["restore"]:
        raise CommandExecutionError(
            f"backup {item['backup']} was made by a program of backend command, and pillar klp:backup:restore names "
            "none that puts it back: stop the host, put the root volume back from it with the tools of your cloud or "
            "storage, and start the host"
        )
    pending = pending_restore()
    if pending and pending["backup"] != item["backup"]:
        raise CommandExecutionError(f"backup {pending['backup']} is being restored: restart the host first")
    busy = _transition() or _zypper()
    if busy:
        raise CommandExecutionError(f"nothing is restored now: {busy}")


def _transition():
    try:
        moving = __salt__["klp.status"]()["transition"] != "ready"
    except CommandExecutionError:
        return None  # no live patching in this kernel, which may be why it is to be restored
    return "a transition of the live patch is running; wait for its end: klp.wait" if moving else None


def _zypper():
    pid = (__utils__["klp_sys.text"](ZYPP_PID) or "").strip()
    if not pid.isdecimal() or not os.path.exists(f"{PROC}/{pid}"):
        return None
    return (
        f"process {pid} ({__utils__['klp_sys.task'](pid)['comm'] or 'unknown'}) holds the zypp lock; wait for its end"
    )


def _reboot(backup):
    return f"backup {backup} takes the place of the root volume when the host is started again: restart it"


def _unconfirmed(backup, lost):
    lines = [f"nothing is restored without a confirmation; with backup {backup}:"]
    lines += __utils__["klp_backup.told"](lost)
    lines.append(
        f"if that is wanted, set pillar klp:restore:confirm: {backup} and run: salt '{__grains__['id']}' state.apply "
        "klp.restore"
    )
    return "\n".join(lines)
