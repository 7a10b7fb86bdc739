"""
Backend ``lvm``: snapshots of the logical volume that is the root volume.

A snapshot of ours is named ``klp_RUN`` and carries the tags ``klp_run=RUN`` and ``klp_host=MACHINE-ID``; other volumes
are neither taken nor touched. A restoration leaves tags on the origin, since the records on the host may themselves be
taken back by it. The id of a backup is ``VOLUME-GROUP/NAME``. For ``call`` and ``job`` see ``klp_backup_command``;
``job["root"]`` is the mount of ``/`` as ``klp_backup_look.root`` has it.

Sources: lvm(8), lvs(8), lvcreate(8), lvconvert(8), lvmthin(7); lvs of LVM 2.03 recorded in ``tests/data/lvm``.
"""

import hashlib
import json
import re

from salt.exceptions import CommandExecutionError

FIELDS = (
    "vg_name,lv_name,lv_attr,lv_size,lv_path,origin,pool_lv,data_percent,metadata_percent,lv_tags,"
    "lv_kernel_major,lv_kernel_minor,vg_free,vg_extent_size"
).split(",")
NUMBERS = ("lv_size", "vg_free", "vg_extent_size")
PERCENTS = ("data_percent", "metadata_percent")
NAME = re.compile(r"[A-Za-z0-9_+.][A-Za-z0-9_+.-]*\Z")
# lvm(8), VALID NAMES: what a name must not hold.
RESERVED = re.compile(
    r"_(cdata|cmeta|corig|cpool|cvol|iorig|mimage|mlog|pmspare|rimage|rmeta|tdata|tmeta|tpool|vdata|vorigin|wcorig|imeta)"
)
OPTIONS = {"ext3": "ro,noload", "ext4": "ro,noload", "xfs": "ro,norecovery,nouuid"}
NEARLY_FULL = 90.0  # percent of a thin pool


def volumes(text):
    """
    Read ``lvs --reportformat json --units b --nosuffix -o FIELDS``: a list of dicts with these fields.

    Sizes are int (bytes), percentages float or ``None``, ``lv_tags`` a list, and ``id`` is ``GROUP/NAME``. Raises
    ValueError for any other answer.
    """
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise ValueError(f"lvs: not JSON ({exc}): {text.strip()[:120]!r}") from exc
    reports = document.get("report") if isinstance(document, dict) else None
    if not isinstance(reports, list) or not all(isinstance(item, dict) and _rows(item) for item in reports):
        raise ValueError(f"lvs: not a report of logical volumes: {text.strip()[:120]!r}")
    return [_volume(row) for report in reports for row in report["lv"]]


def _rows(report):
    rows = report.get("lv")
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def _volume(row):
    if set(row) != set(FIELDS) or not all(isinstance(value, str) for value in row.values()):
        raise ValueError(f"lvs: not the fields that were asked for: {str(row)[:200]}")
    if not (NAME.match(row["vg_name"]) and NAME.match(row["lv_name"]) and re.match(r"[\w-]{6,12}\Z", row["lv_attr"])):
        raise ValueError(f"lvs: unknown name or attributes: {str(row)[:200]}")
    if not all(row[key].isdecimal() for key in NUMBERS):
        raise ValueError(f"lvs: a size is no number of bytes: {str(row)[:200]}")
    found = dict(row, **{key: int(row[key]) for key in NUMBERS})
    found.update({key: _percent(row[key]) for key in PERCENTS})
    return dict(
        found, lv_tags=[tag for tag in row["lv_tags"].split(",") if tag], id=f"{row['vg_name']}/{row['lv_name']}"
    )


def _percent(text):
    if not text:
        return None
    if not re.match(r"\d{1,3}(\.\d+)?\Z", text):
        raise ValueError(f"lvs: not a percentage: {text[:60]!r}")
    return float(text)


def volume_name(run, taken):
    """
    Return the name for the snapshot of a run, in LVM's alphabet and none of those in ``taken``.

    A run whose id had to be changed for that has a piece of its digest in the name.
    """
    safe = re.sub(r"[^A-Za-z0-9_.+-]", "_", run)[:48]
    if safe != run or RESERVED.search("_" + safe):
        safe = f"{RESERVED.sub('-', '_' + safe)[1:]}-{hashlib.sha256(run.encode('utf-8')).hexdigest()[:8]}"
    names = [f"klp_{safe}"] + [f"klp_{safe}-{number}" for number in range(2, 1000)]
    return next(name for name in names if name not in taken)


def needed(origin, percent):
    """Return ``{"extents", "bytes"}`` of a classic snapshot with room for ``percent`` of its origin."""
    extent = origin["vg_extent_size"]
    extents = max(1, -(-origin["lv_size"] * percent // (100 * extent)))
    return {"extents": extents, "bytes": extents * extent}


def problem(origin, found, percent):
    """
    Return why no snapshot of ``origin`` can be made, one sentence with the next command, or ``None``.

    found
        all volumes.
    percent
        room in a classic snapshot.
    """
    if origin["pool_lv"]:
        return _pool_problem(origin, found)
    free, need = origin["vg_free"], needed(origin, percent)["bytes"]
    if free >= need:
        return None
    return (
        f"volume group {origin['vg_name']} has {_mib(free)} free, a snapshot with room for {percent} percent of "
        f"{origin['id']} ({_mib(origin['lv_size'])}) needs {_mib(need)}: add a disk "
        f"(vgextend {origin['vg_name']} DEVICE) or set pillar klp:backup:size to less"
    )


def _pool_problem(origin, found):
    pool_id = f"{origin['vg_name']}/{origin['pool_lv']}"
    pool = next((item for item in found if item["id"] == pool_id), None)
    if pool is None or pool["data_percent"] is None or pool["metadata_percent"] is None:
        return f"thin pool {pool_id}: lvs does not tell how full it is"
    for key, what, option in (("data_percent", "data", "size"), ("metadata_percent", "metadata", "poolmetadatasize")):
        if pool[key] >= NEARLY_FULL:
            command = f"lvextend --{option} +SIZE {pool_id}"
            return f"thin pool {pool_id}: its {what} is {pool[key]:g} percent full, extend it with: {command}"
    return None


def _mib(size):
    return f"{size // 1048576} MiB"


def origin_of(found, root):
    """
    Return the volume that is the root volume. Raises ValueError if there is none, or if a snapshot of it is no backup.

    root
        ``{"device" (major:minor), "type", "source"}``, the mount of ``/``.
    """
    if root["type"] not in OPTIONS:
        known = ", ".join(sorted(OPTIONS))
        hint = "; use snapper there" if root["type"] == "btrfs" else ""
        raise ValueError(f"the root file system is {root['type']}, backend lvm knows {known}{hint}")
    for item in found:
        if f"{item['lv_kernel_major']}:{item['lv_kernel_minor']}" == root["device"]:
            return item
    raise ValueError(f"the root volume {root['source']} ({root['device']}) is no logical volume that lvs shows")


def usable_here(call, job):
    """Raise CommandExecutionError where / is no logical volume. Room is looked for when old ones are gone."""
    _origin(_list(call), job)


def find(call, job):
    """Return the id of the snapshot that this run has made but does not remember (kill -9), or ``None``."""
    found = _list(call)
    origin = _origin(found, job)
    ours = [item["id"] for item in found if _owner(item, job) == "ours" and item["origin"] == origin["lv_name"]]
    return next((identity for identity in reversed(ours) if identity not in job["known"]), None)


def create(call, job):
    """Make a snapshot of the root volume, thin if that is, and return its id."""
    found = _list(call)
    origin = _origin(found, job)
    wrong = problem(origin, found, job["size"])
    if wrong:
        raise CommandExecutionError(wrong)
    name = volume_name(job["run"], [item["lv_name"] for item in found if item["vg_name"] == origin["vg_name"]])
    argv = ["lvcreate", "--yes", "--snapshot", "--name", name, "--setactivationskip", "n"]
    argv += ["--addtag", f"klp_run={job['run']}", "--addtag", f"klp_host={job['host']}"]
    if not origin["pool_lv"]:
        argv += ["--extents", str(needed(origin, job["size"])["extents"])]
    call(argv + [origin["id"]])
    return f"{origin['vg_name']}/{name}"


def verify(call, job, backup):
    """Raise CommandExecutionError unless the snapshot is there, of this run and host, and has not run full."""
    found = _list(call)
    item = next((item for item in found if item["id"] == backup), None)
    if not item or f"klp_run={job['run']}" not in item["lv_tags"]:
        raise CommandExecutionError(f"backup {backup}: LVM has no such snapshot of run {job['run']}")
    host = _tag(item, "klp_host")
    if host != job["host"]:
        raise CommandExecutionError(
            f"backup {backup} was made by another host (machine id {host}), this one is {job['host']}"
        )
    if item["vg_name"] != _origin(found, job)["vg_name"] or item["origin"] != _origin(found, job)["lv_name"]:
        raise CommandExecutionError(f"backup {backup}: is a snapshot of {item['origin'] or 'nothing'}, not of /")
    full = not item["pool_lv"] and (item["data_percent"] is None or item["data_percent"] >= 100)
    if item["lv_attr"][4] not in "a-" or full:
        raise CommandExecutionError(
            f"backup {backup}: the snapshot is not valid (lvs: {item['lv_attr']}, {item['data_percent']} percent "
            "full); one that runs full is lost, give it more room with pillar klp:backup:size"
        )


def spent(call, job, backup):
    """
    Return whether a snapshot of ours can never be good again (bool): a classic one that ran full is lost.

    One that is being merged is none: it may be suspended for a moment, and its merge is tried again if it failed.
    """
    item = next((item for item in _list(call) if item["id"] == backup), None)
    if not item or _owner(item, job) != "ours" or item["pool_lv"] or item["lv_attr"][0] == "S":
        return False
    return item["lv_attr"][4] in "IS" or (item["data_percent"] or 0) >= 100


def mounting(call, job, backup):
    """Return how a snapshot is mounted read-only, its journal left alone: argv of ``mount`` without the place."""
    path = next((item["lv_path"] for item in _list(call) if item["id"] == backup), None)
    if not path or not path.startswith("/dev/"):
        raise CommandExecutionError(f"backup {backup}: lvs names no device of it")
    kind = job["root"]["type"]
    return ["mount", "-t", kind, "-o", OPTIONS[kind] + ",nosuid,nodev,noexec", path]


def there(call, job, backup):
    """Return whose the volume of that id is: ``ours``, ``foreign``, or ``gone`` if there is none."""
    return next((_owner(item, job) for item in _list(call) if item["id"] == backup), "gone")


def delete(call, job, backup):
    """Remove a snapshot; the caller has seen that it is ours."""
    call(["lvremove", "--yes", backup])


def restore(call, job, backup, token):
    """
    Merge a snapshot into the root volume when that is activated next, which is at the next start.

    token
        ``{"klp_restore", ...}``: tags for the origin, where they stay, and for the snapshot: a thin one takes the
        origin's name and place, with its own tags.
    """
    found = _list(call)
    origin = _origin(found, job)
    for item in [origin] + [item for item in found if item["id"] == backup]:
        _retag(call, item, token)
    if not _merging(origin):
        call(["lvconvert", "--yes", "--merge", backup])


def _retag(call, item, token):
    tags = [f"{key}={value}" for key, value in sorted(token.items())]
    old = [tag for tag in item["lv_tags"] if tag.split("=", 1)[0] in token and tag not in tags]
    new = [tag for tag in tags if tag not in item["lv_tags"]]
    options = [word for tag in old for word in ("--deltag", tag)] + [word for tag in new for word in ("--addtag", tag)]
    if options:
        call(["lvchange"] + options + [item["id"]])


def trace(call, job):
    """
    Return what the root volume tells of a restoration: its tags as a dict and ``active`` (bool), or ``None``.

    ``active``: the host has been started since; where it was not, a merge has to be waiting.
    """
    origin = _origin(_list(call), job)
    tags = dict(tag.split("=", 1) for tag in origin["lv_tags"] if tag.startswith("klp_") and "=" in tag)
    if "klp_restore" not in tags:
        return None
    started = tags.get("klp_boot") != job["boot"]
    return dict(tags, active=started) if started or _merging(origin) else None


def _merging(origin):
    return origin["lv_attr"][0] == "O"


def _list(call):
    argv = ["lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", ",".join(FIELDS)]
    try:
        return volumes(call(argv)["stdout"])
    except ValueError as exc:
        raise CommandExecutionError(f"backup: {exc}") from exc


def _origin(found, job):
    try:
        return origin_of(found, job["root"])
    except ValueError as exc:
        raise CommandExecutionError(f"backup: {exc}") from exc


def _tag(item, key):
    return next((tag.split("=", 1)[1] for tag in item["lv_tags"] if tag.startswith(key + "=")), None)


def _owner(item, job):
    ours = _tag(item, "klp_run") == job["run"] and _tag(item, "klp_host") == job["host"]
    # After a thin merge the root volume itself carries the tags of the snapshot, and other snapshots have no origin.
    is_root = f"{item['lv_kernel_major']}:{item['lv_kernel_minor']}" == job["root"]["device"]
    return "ours" if ours and item["lv_name"].startswith("klp_") and not is_root else "foreign"
