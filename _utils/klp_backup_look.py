"""
A look into a backup of the root volume: mounted read-only at a private place, compared, unmounted again.

What is proved: it is of this host, its rpm database is readable and gives a known list of packages, and a sample of the
files of these packages is as it was installed. Whatever a killed look has left behind is cleaned up by the next one.

Sources: proc(5) on mountinfo, mount(8), rpm(8), rpm's queryformat.
"""

import fcntl
import hashlib
import os
import re
import shutil
import stat
import time

from salt.exceptions import CommandExecutionError

import klp_backup
import klp_cmd
import klp_parse
import klp_paths
from klp_words import count

MOUNTINFO = re.compile(r"\d+ \d+ (\d+:\d+) (\S+) (/\S*) \S+ (?:\S+ )*?- (\S+) (\S*) \S+\Z")
PATIENCE = 120  # seconds to wait for another look to end
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
# What a restored system needs above all: so many files of each, before one of each of the others.
ABOVE_ALL = re.compile(
    r"(kernel-(default|azure|rt|64kb)|(?:kernel-livepatch|kgraft-patch)-\d.*|libzypp|zypper|rpm|systemd|glibc|bash)\Z"
)
SPREAD, EACH, FILES = 60, 3, 50
ALGORITHMS = {"(none)": "md5", "1": "md5", "2": "sha1", "8": "sha256", "9": "sha384", "10": "sha512", "11": "sha224"}
NOT_COMPARED = 1 | 8 | 64  # flags of a file: config, missingok, ghost
COMPARED = 1 | 2  # flags of rpm -V: digest and size are to be verified
FORMAT = "[%{=FILEDIGESTALGO}\\t%{FILEDIGESTS}\\t%{LONGFILESIZES}\\t%{FILEFLAGS}\\t%{FILEVERIFYFLAGS}\\t%{FILEMODES}"
FORMAT += "\\t%{FILESTATES}\\t%{=NAME}\\t%{FILENAMES}\\n]"
NO_DISK = {"/.snapshots", "/"}


def mounts(text):
    """
    Read ``/proc/PID/mountinfo``: ``[{"device" (major:minor), "subvolume", "point", "type", "source"}]``, as mounted.

    Raises ValueError for a line of another form.
    """
    found = []
    for line in text.splitlines():
        match = MOUNTINFO.match(line)
        if not match:
            raise ValueError(f"mountinfo: unknown line {line[:200]!r}")
        keys = ("device", "subvolume", "point", "type", "source")
        found.append(dict(zip(keys, [_plain(part) for part in match.groups()])))
    return found


def _plain(text):
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def _table(path=None):
    path = path or klp_paths.MOUNTS
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            return mounts(handle.read())
    except (OSError, ValueError) as exc:
        raise CommandExecutionError(f"{path}: {exc}") from exc


def covering(found, path):
    """Return the mount that ``path`` (absolute, without links) lives on; of two at one point the later covers."""
    inside = [item for item in found if (path + "/").startswith(item["point"].rstrip("/") + "/")]
    return max(enumerate(inside), key=lambda pair: (len(pair[1]["point"]), pair[0]))[1]


def root(table=None, sysfs=None):
    """Return the mount of ``/`` with ``volume`` (bool) on top: it is a logical volume of LVM."""
    item = covering(_table(table), "/")
    try:
        with open(
            f"{sysfs or klp_paths.SYSFS}/dev/block/{item['device']}/dm/uuid", encoding="ascii", errors="replace"
        ) as handle:
            return dict(item, volume=handle.read().startswith("LVM-"))
    except OSError:
        return dict(item, volume=False)


def untouched(table=None):
    """Return, sorted, the mount points of disks that are no part of the root volume, and so of no backup of it."""
    disks = [item for item in _table(table) if item["source"].startswith("/dev/") and item["point"] not in NO_DISK]
    return sorted({item["point"] for item in disks if not item["point"].startswith(klp_paths.RUN)})


def files(text):
    """
    Read rpm's answer to FORMAT: the regular files that are as the package has them, if nothing is wrong.

    Returns ``[{"package", "path", "size", "digest", "algorithm"}]`` without configuration and ghosts. A line of another
    form raises ValueError.
    """
    found = []
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) != 9 or not all(re.match(r"-?\d+\Z", part) for part in parts[2:7]) or parts[8][:1] != "/":
            raise ValueError(f"rpm -q: unknown line {line[:200]!r}")
        size, flags, verify, mode, state = (int(part) for part in parts[2:7])
        algorithm = ALGORITHMS.get(parts[0])
        if not algorithm:
            raise ValueError(f"rpm -q: unknown digest algorithm in {line[:200]!r}")
        regular = stat.S_ISREG(mode & 0xFFFF) and state == 0 and parts[1]
        if regular and not flags & NOT_COMPARED and verify & COMPARED == COMPARED:
            item = {"package": parts[7], "path": parts[8], "size": size}
            found.append(dict(item, digest=parts[1], algorithm=algorithm))
    return found


def chosen(names):
    """Return the packages whose files are compared: those that matter above all, then a spread over the others."""
    known = [name for name in sorted(names) if PACKAGE.match(name) and name != "gpg-pubkey"]
    first = [name for name in known if ABOVE_ALL.match(name)]
    rest = [name for name in known if name not in first]
    return first + rest[:: max(1, len(rest) // SPREAD)][:SPREAD]


def sample(found, wanted=lambda path: True):
    """
    Return at most FILES of some files: EACH of what matters above all, one of every other package; always the same.

    wanted
        called with a path; returns whether that file can be compared.
    """
    packages = {}
    for item in sorted(found, key=lambda item: (item["package"], "/vmlinu" not in item["path"], item["path"])):
        packages.setdefault(item["package"], []).append(item)
    taken = []
    for name in sorted(packages, key=lambda name: (not ABOVE_ALL.match(name), name)):
        there, number = packages[name], EACH if ABOVE_ALL.match(name) else 1
        step = max(1, len(there) // number)
        spread = there[::step] + [item for place, item in enumerate(there) if place % step]
        taken += [item for item in spread[: 4 * number] if wanted(item["path"])][:number]
    return taken[:FILES]


def inside(base, path):
    """Return where ``path`` leads below ``base`` if that were the root, links resolved as a chroot would do it."""
    todo, done, links = [part for part in path.split("/") if part], [], 0
    while todo:
        part = todo.pop(0)
        if part in (".", ".."):
            done = done[:-1] if part == ".." else done
            continue
        here = os.path.join(base, *(done + [part]))
        if not os.path.islink(here):
            done.append(part)
            continue
        target, links = os.readlink(here), links + 1
        if links > 40:
            raise CommandExecutionError(f"{path}: too many links")
        done = [] if target.startswith("/") else done
        todo = [piece for piece in target.split("/") if piece] + todo
    return os.path.join(base, *done)


def _fingerprint(path, algorithm):
    """Return ``(size, digest)`` of a regular file, or ``None`` where there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        seen = hashlib.new(algorithm)  # named by rpm; nothing secret
        for block in iter(lambda: os.read(handle, 1 << 20), b""):
            seen.update(block)
        return os.fstat(handle).st_size, seen.hexdigest()
    finally:
        os.close(handle)


def _on_root(path, live, table):
    """Return whether a path of the running system is on the root volume itself."""
    place = inside(live, path)
    real = place[len(live.rstrip("/")) :]
    if covering(table, real)["point"] != "/":
        return False
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    return os.stat(place).st_dev == os.stat(live).st_dev


def _compare(point, item, live, altered):
    """
    Return the digest of a file that is not as rpm has it, or ``None`` if it is.

    It may be so only if this host has the same file, now or (``altered``) when the backup was made: that is a faithful
    copy of a file that somebody has changed by hand.
    """
    found = _fingerprint(inside(point, item["path"]), item["algorithm"])
    if found == (item["size"], item["digest"]):
        return None
    if found and (
        found[1] == altered.get(item["path"]) or found == _fingerprint(inside(live, item["path"]), item["algorithm"])
    ):
        return found[1]
    what = f"has {count(found[0], 'byte')} and digest {found[1][:16]}" if found else "is missing"
    raise CommandExecutionError(
        f"file {item['path']} of package {item['package']} {what}, the rpm database says "
        f"{count(item['size'], 'byte')} and digest {item['digest'][:16]}"
    )


def look(call, argv, reader, place=None, copy=None, table=None):
    """
    Mount a backup read-only, return ``reader(point)`` and unmount it again, whatever happens.

    call
        ``call(argv, ok)`` starts a program.
    argv
        of ``mount``, without the place.
    reader
        called with the folder where it is mounted; may fill the folder ``copy``, which is empty before and gone after.
    place, copy, table
        folders of our own and the table of mounts.
    """
    place, copy = place or klp_paths.RUN, copy or klp_paths.RPMDB_COPY
    point = os.path.join(place, "backup")
    with _alone(place):
        _clean(call, point, copy, table)
        for folder in (point, copy):
            os.makedirs(folder, mode=0o700)
        try:
            call(argv + [point])
            if not os.statvfs(point).f_flag & os.ST_RDONLY:
                raise CommandExecutionError(f"{' '.join(argv)}: is not mounted read-only")
            return reader(point)
        finally:
            _clean(call, point, copy, table)


class _alone:
    """One look at a time: a lock that ends with its process."""

    def __init__(self, place):
        os.makedirs(place, mode=0o700, exist_ok=True)
        os.chmod(place, 0o700)
        self.path = os.path.join(place, "lock")

    def __enter__(self):
        self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                if time.monotonic() >= deadline:
                    os.close(self.handle)
                    said = f"another look into a backup did not end within {PATIENCE} seconds"
                    raise CommandExecutionError(said) from exc
            time.sleep(0.5)

    def __exit__(self, *args):
        os.close(self.handle)


def _clean(call, point, copy, table):
    """Unmount what is mounted at or below ``point`` and remove the folders."""
    for item in reversed(_table(table)):
        if (item["point"] + "/").startswith(point + "/") and call(["umount", item["point"]], None)["retcode"]:
            call(["umount", "--lazy", item["point"]])
    if os.path.isdir(point):
        os.rmdir(point)
    if os.path.isdir(copy):
        shutil.rmtree(copy)


def packages(call, point, live="/", copy=None, table=None):
    """
    Return the packages in the rpm database of a mounted backup, ``{name: [editions]}``; a copy of it is read.

    call
        ``call(argv, ok)`` starts a program.
    point
        folder where it is mounted.
    live
        the root of the running system.
    """
    copy = copy or klp_paths.RPMDB_COPY
    path = call(["rpm", "--eval", "%{_dbpath}"])["stdout"].strip()
    if not re.match(r"/[^\x00-\x1f\x7f]*\Z", path):
        raise CommandExecutionError(f"rpm --eval %{{_dbpath}}: wanted a path, found {path[:120]!r}")
    if not _on_root(path, live, _table(table)):
        raise CommandExecutionError(f"the rpm database {path} is not on the root volume: no backup of that holds it")
    source = inside(point, path)
    names = sorted(os.listdir(source)) if os.path.isdir(source) else []
    for name in names:
        if stat.S_ISREG(os.lstat(os.path.join(source, name)).st_mode):
            shutil.copyfile(os.path.join(source, name), os.path.join(copy, name), follow_symlinks=False)
    text = _rpm(call, copy, ["-qa", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n"])
    found = klp_cmd.parsed(klp_parse.installed, text)
    if not found:
        raise CommandExecutionError(f"the rpm database {path} in it holds no packages")
    return found


def _rpm(call, database, args):
    res = call(["rpm", "--dbpath", database] + args, None)
    if res["retcode"] or "error:" in res["stderr"]:
        said = (res["stderr"] or res["stdout"]).strip()[-600:]
        raise CommandExecutionError(f"rpm --dbpath {' '.join([database] + args[:1])}: {said or 'no output'}")
    return res["stdout"]


def prove(call, argv, expected, live="/", place=None, copy=None, table=None):
    """
    Look into a backup and return what was found, or raise CommandExecutionError with what is wrong.

    call
        ``call(argv, ok)`` starts a program.
    argv
        of ``mount``, without the place.
    expected
        ``host`` (machine id), ``packages`` (their digest, or ``None``), ``altered`` (``{path: digest}``: files that
        were not as rpm has them when the backup was made).

    Returns ``{"packages": {name: [editions]}, "files": number of files compared, "altered": {path: digest}}``.
    """
    copy = copy or klp_paths.RPMDB_COPY

    def reader(point):
        _same_host(inside(point, "etc/machine-id"), expected["host"])
        there = packages(call, point, live, copy, table)
        if expected["packages"] not in (None, klp_backup.digest(there)):
            raise CommandExecutionError(
                f"its rpm database has {count(len(there), 'package')}, not those that this host had when it was made"
            )
        known = klp_cmd.parsed(files, _rpm(call, copy, ["-q", "--qf", FORMAT] + chosen(there)))
        mounted = _table(table)
        taken = sample(known, lambda path: _on_root(path, live, mounted))
        if not taken:
            raise CommandExecutionError("no file of its packages could be compared")
        seen = {item["path"]: _compare(point, item, live, expected["altered"]) for item in taken}
        odd = {path: found for path, found in seen.items() if found}
        return {"packages": there, "files": len(taken), "altered": odd}

    return look(call, argv, reader, place, copy, table)


def _same_host(path, host):
    try:
        with open(path, encoding="ascii", errors="replace") as handle:
            found = handle.read(64).strip()
    except OSError as exc:
        raise CommandExecutionError(f"it holds no /etc/machine-id ({exc.strerror})") from exc
    if found != host:
        raise CommandExecutionError(f"it is of another host (machine id {found[:40]!r}), this one is {host}")
