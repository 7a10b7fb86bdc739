"""
Backend ``snapper``: snapshots of a btrfs root volume.

A snapshot of ours carries ``klp_run`` and ``klp_host`` in its userdata; others are neither taken nor touched. What a
restoration puts in place carries ``klp_restore``. For ``call`` and ``job`` see ``klp_backup_command``.

Sources: snapper(8), btrfs-subvolume(8).
"""

import csv

from salt.exceptions import CommandExecutionError

SNAPSHOT = "/.snapshots/{}/snapshot"


def configurations(text):
    """Read ``snapper --machine-readable csv list-configs``: ``{configuration: subvolume}``."""
    return {row["config"]: row["subvolume"] for row in _table("list-configs", text, ("config", "subvolume"))}


def snapshots(text):
    """
    Read ``snapper --machine-readable csv list``.

    Returns ``[{"id", "date", "userdata" (dict), "description", "default" (bool), "active" (bool)}]`` without number 0,
    the running system. Raises ValueError for an answer without the columns number, date and userdata.
    """
    rows = _table("list", text, ("number", "date", "userdata"))
    return [_snapshot(row) for row in rows if row["number"] not in ("0", None)]


def _table(command, text, columns):
    try:
        reader = csv.DictReader(text.splitlines())
        header, rows = reader.fieldnames or [], list(reader)
    except csv.Error as exc:
        raise ValueError(f"snapper {command}: not CSV ({exc})") from exc
    for column in columns:
        if column not in header:
            raise ValueError(f"snapper {command}: no column {column} in {','.join(header)[:120]!r}")
    return rows


def _snapshot(row):
    pairs = [pair.split("=", 1) for pair in (row["userdata"] or "").split(",") if "=" in pair]
    return {
        "id": row["number"],
        "date": row["date"],
        "userdata": {key.strip(): value.strip() for key, value in pairs},
        "description": row.get("description") or "",
        "default": row.get("default") == "yes",
        "active": row.get("active") == "yes",
    }


def problem(found, config):
    """
    Return why a configuration cannot back up the root volume, one sentence with the next command, or ``None``.

    found
        ``{configuration: subvolume}``.
    """
    if found.get(config) == "/":
        return None
    others = sorted(name for name, subvolume in found.items() if subvolume == "/")
    if others:
        return (
            f"snapper has no configuration {config} of /, but {others[0]}: set pillar klp:backup:config to {others[0]}"
        )
    if config in found:
        return f"snapper's configuration {config} is of {found[config]}, not of /: set pillar klp:backup:config"
    return f"snapper has no configuration {config}: make it with: snapper -c {config} create-config /"


def usable_here(call, job):
    """Return ``problem`` of the configuration that pillar names, as snapper knows it."""
    return problem(_parsed(configurations, _ask(call, ["list-configs"])), job["config"])


def find(call, job):
    """Return the id of the newest snapshot that this run has made but does not remember (kill -9), or ``None``."""
    known = [int(backup) for backup in job["known"] if backup.isdecimal()]
    ours = [item["id"] for item in _list(call, job) if _owner(item, job) == "ours" and item["id"].isdecimal()]
    return next((identity for identity in reversed(ours) if int(identity) > max(known, default=0)), None)


def create(call, job):
    """Make a snapshot of the root volume and return its number."""
    wrong = usable_here(call, job)
    if wrong:
        raise CommandExecutionError(wrong)
    userdata = f"klp_run={job['run']},klp_host={job['host']},important=yes"
    description = f"salt-klp {job['run']}"
    argv = ["snapper", "-c", job["config"], "create", "-t", "single", "-p", "-d", description, "-u", userdata]
    number = call(argv)["stdout"].strip()
    if not number.isdecimal():
        raise CommandExecutionError(f"backup: snapper create: wanted the number of a snapshot, found {number[:120]!r}")
    return number


def verify(call, job, backup):
    """Raise CommandExecutionError unless the snapshot is there and of this run and host."""
    item = _get(call, job, backup)
    if not item or item["userdata"].get("klp_run") != job["run"]:
        raise CommandExecutionError(f"backup {backup}: snapper has no such snapshot of run {job['run']}")
    if _owner(item, job) != "ours":
        other = item["userdata"]["klp_host"]
        raise CommandExecutionError(
            f"backup {backup} was made by another host (machine id {other}), this one is {job['host']}"
        )


def mounting(call, job, backup):
    """Return how the content of a snapshot is mounted read-only: argv of ``mount`` without the place."""
    return ["mount", "-o", "bind,ro,nosuid,nodev,noexec", SNAPSHOT.format(_number(backup))]


def there(call, job, backup):
    """Return whose the snapshot of that number is: ``ours``, ``foreign``, or ``gone`` if there is none."""
    item = _get(call, job, backup)
    return _owner(item, job) if item else "gone"


def delete(call, job, backup):
    """Delete a snapshot; the caller has seen that it is ours. Exit code 0 of snapper says nothing (measured)."""
    said = call(["snapper", "-c", job["config"], "delete", _number(backup)])["stdout"].strip()
    if _get(call, job, backup):
        raise CommandExecutionError(f"backup {backup}: snapper has not deleted it: {said[-300:] or 'no output'}")


def restore(call, job, backup, token):
    """
    Make a writable copy of a snapshot the default subvolume: the root volume of the next start.

    token
        ``{"klp_restore", "klp_since", ...}``: what the copy and the snapshot of the present root carry in their
        userdata. Copies of the same that never became the default are of a call that was killed: deleted first.
    """
    for item in _list(call, job):
        left = all(item["userdata"].get(key) == str(token[key]) for key in ("klp_restore", "klp_since"))
        if left and not item["default"] and not item["active"]:
            delete(call, job, item["id"])
    userdata = ",".join(f"{key}={token[key]}" for key in sorted(token)) + ",important=yes"
    options = ["-d", f"salt-klp restore {backup}", "-u", userdata]
    call(["snapper", "--ambit", "classic", "-c", job["config"], "rollback"] + options + [_number(backup)])


def trace(call, job):
    """
    Return what the default subvolume tells of a restoration: its userdata and ``active`` (bool), or ``None``.

    ``active``: the host has been started from it.
    """
    for item in _list(call, job):
        if item["default"] and "klp_restore" in item["userdata"]:
            return dict(item["userdata"], active=item["active"])
    return None


def _ask(call, args):
    return call(["snapper", "--machine-readable", "csv"] + args)["stdout"]


def _parsed(reader, text):
    try:
        return reader(text)
    except ValueError as exc:
        raise CommandExecutionError(f"backup: {exc}") from exc


def _list(call, job):
    return _parsed(snapshots, _ask(call, ["-c", job["config"], "list"]))


def _get(call, job, backup):
    return next((item for item in _list(call, job) if item["id"] == backup), None)


def _owner(item, job):
    data = item["userdata"]
    ours = data.get("klp_run") == job["run"] and data.get("klp_host", job["host"]) == job["host"]
    return "ours" if ours and "klp_restore" not in data else "foreign"


def _number(backup):
    if not backup.isdecimal():
        raise CommandExecutionError(f"backup {backup}: is not the number of a snapshot")
    return backup
