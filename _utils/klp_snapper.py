"""
Backend ``snapper``: snapshots of a btrfs root volume.

A snapshot of ours carries ``klp_run`` and ``klp_host`` in its userdata; others are neither taken nor touched. What a
restoration puts in place carries ``klp_restore``. For ``call`` and ``job`` see ``klp_backup_command``; ``job`` has
``version`` too, that of snapper: SLES 12 and 15 have one that answers as a table only.

Sources: snapper(8), btrfs-subvolume(8); snapper's package/snapper.changes, client/snapper.cc and
client/Command/ListSnapshots/SnappersData/Table.cc.
"""

import csv
import re

from salt.exceptions import CommandExecutionError

SNAPSHOT = "/.snapshots/{}/snapshot"
VERSION = re.compile(r"snapper (\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?")
MACHINE = (0, 8, 6)  # from here on it knows --machine-readable
MARKS = (0, 7, 0)  # and from here on --disable-used-space; its table marks the default and the active snapshot
CSV, TABLE = ["--machine-readable", "csv"], ["--table-style", "0"]
LABELS = {"#": "number"}  # of the table; the others are those of the CSV, in capitals
RULE = re.compile(r"[-+]+\Z")
NUMBER = re.compile(r"(\d+)([-+*]?)\Z")
PLACE = re.compile(r"/\.snapshots/(\d+)/snapshot\s*\Z")


def version(text):
    """Read ``snapper --version``: ``(0, 8, 6)``. Raises ValueError for anything else."""
    match = VERSION.match(text)
    if not match:
        raise ValueError(f"snapper --version: wanted snapper NUMBER, found {text.strip()[:120]!r}")
    return tuple(int(part or 0) for part in match.groups())


def configurations(text, machine=True):
    """
    Read ``snapper list-configs``: ``{configuration: subvolume}``.

    machine
        whether it answered as CSV, else as a table.
    """
    reader = _csv if machine else _table
    return {row["config"]: row["subvolume"] for row in reader("list-configs", text, ("config", "subvolume"))}


def snapshots(text, machine=True):
    """
    Read ``snapper list``.

    machine
        whether it answered as CSV, else as a table.

    Returns ``[{"id", "date", "userdata" (dict), "description", "default" (bool), "active" (bool)}]`` without number 0,
    the running system. Raises ValueError for an answer without the columns number, date and userdata.
    """
    rows = (_csv if machine else _table)("list", text, ("number", "date", "userdata"))
    return [_snapshot(row) for row in rows if row["number"] not in ("0", None)]


def _table(command, text, columns):
    """Read a table with lines of ``|``: the first line has its labels, the second is a rule."""
    lines = text.splitlines()
    names = [LABELS.get(cell.strip(), cell.strip().lower()) for cell in (lines or [""])[0].split("|")]
    _require(command, columns, names)
    if len(lines) < 2 or not RULE.match(lines[1].strip()):
        raise ValueError(f"snapper {command}: not its table: {text.strip()[:120]!r}")
    return [_marked(dict(zip(names, _cells(command, line, names)))) for line in lines[2:] if line.strip()]


def _cells(command, line, names):
    """Return the cells of a row. A description may hold ``|``: it takes what is too much."""
    cells = [cell.strip() for cell in line.split("|")]
    more = len(cells) - len(names)
    if more < 0 or (more and "description" not in names):
        raise ValueError(f"snapper {command}: unknown line {line.strip()[:120]!r}")
    at = names.index("description") if more else 0
    return cells[:at] + ["|".join(cells[at : at + more + 1])] + cells[at + more + 1 :]


def _marked(row):
    """Return a row with ``default`` and ``active``, which the table has as a sign behind the number."""
    match = NUMBER.match(row.get("number", ""))
    if not match:
        return row
    sign = match.group(2)
    said = {"default": sign in ("+", "*"), "active": sign in ("-", "*")}
    return dict(row, number=match.group(1), **{key: "yes" if value and sign else "no" for key, value in said.items()})


def _require(command, columns, header):
    for column in columns:
        if column not in header:
            raise ValueError(f"snapper {command}: no column {column} in {','.join(header)[:120]!r}")


def _csv(command, text, columns):
    try:
        reader = csv.DictReader(text.splitlines())
        header, rows = reader.fieldnames or [], list(reader)
    except csv.Error as exc:
        raise ValueError(f"snapper {command}: not CSV ({exc})") from exc
    _require(command, columns, header)
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
    return problem(_parsed(configurations, job, call(_argv(job) + ["list-configs"])["stdout"]), job["config"])


def find(call, job):
    """Return the id of the newest snapshot that this run has made but does not remember (kill -9), or ``None``."""
    known = [int(backup) for backup in job["known"] if backup.isdecimal()]
    ours = [item["id"] for item in _list(call, job) if _owner(item, job) == "ours" and item["id"].isdecimal()]
    return next((identity for identity in reversed(ours) if int(identity) > max(known, default=0)), None)


def create(call, job):
    """Make a snapshot of the root volume and return its number; the caller has seen that it is usable here."""
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
    for item in _placed(call, job):
        left = all(item["userdata"].get(key) == str(token[key]) for key in ("klp_restore", "klp_since"))
        if left and not item["default"] and not item["active"]:
            delete(call, job, item["id"])
    userdata = ",".join(f"{key}={token[key]}" for key in sorted(token)) + ",important=yes"
    options = ["-d", f"salt-klp restore {backup}", "-u", userdata]
    ambit = ["--ambit", "classic"] if job["version"] >= MACHINE else []
    call(["snapper"] + ambit + ["-c", job["config"], "rollback"] + options + [_number(backup)])


def trace(call, job):
    """
    Return what the default subvolume tells of a restoration: its userdata and ``active`` (bool), or ``None``.

    ``active``: the host has been started from it.
    """
    for item in _placed(call, job):
        if item["default"] and "klp_restore" in item["userdata"]:
            return dict(item["userdata"], active=item["active"])
    return None


def _argv(job):
    return ["snapper"] + (CSV if job["version"] >= MACHINE else TABLE)


def _parsed(reader, job, text):
    try:
        return reader(text, job["version"] >= MACHINE)
    except ValueError as exc:
        raise CommandExecutionError(f"backup: {exc}") from exc


def _list(call, job):
    """Return the snapshots; the space that they use is never computed, which takes minutes on a host with quotas."""
    plain = ["--disable-used-space"] if job["version"] >= MARKS else []
    return _parsed(snapshots, job, call(_argv(job) + ["-c", job["config"], "list"] + plain)["stdout"])


def _placed(call, job):
    """Return the snapshots with which of them is the default and the active one; an old snapper does not tell."""
    found = _list(call, job)
    if job["version"] >= MARKS:
        return found
    default = _place(call(["btrfs", "subvolume", "get-default", "/"])["stdout"])
    active = _place(job["root"]["subvolume"])
    return [dict(item, default=item["id"] == default, active=item["id"] == active) for item in found]


def _place(text):
    """Return the number of the snapshot that a path of btrfs names, or ``None``."""
    match = PLACE.search(text)
    return match.group(1) if match else None


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
