"""
Readings of the kernel: sysfs, procfs and small files. No program is started here.

Source: the kernel's ABI/testing/sysfs-kernel-livepatch and proc(5).
"""

import glob
import os
import re

from salt.exceptions import CommandExecutionError

import klp_paths

NOT_SEEN = "nothing is known of live patches in this kernel: it offers none, or /sys is not mounted"
RECORDS = 1000000  # more than any ring buffer holds
RECORD = re.compile(r"\d+,(\d+),[^;]*;(.*)")  # priority, number, microseconds, flags; text


def _number(path):
    with open(path, encoding="ascii") as handle:
        text = handle.read().strip()
    if text not in ("0", "1"):
        raise CommandExecutionError(f"{path}: unknown value {text!r}")
    return text == "1"


def live_patches(root=None):
    """
    Return what the kernel says of its live patches, by name: ``[{"name", "enabled" (bool), "transition" (bool)}]``.

    A directory may vanish while it is read, then that patch is gone. Raises CommandExecutionError where the kernel
    has no live patching at all.
    """
    root = root or klp_paths.LIVEPATCH
    try:
        names = sorted(os.listdir(root))
    except OSError as exc:
        raise CommandExecutionError(f"{root}: {exc.strerror}; {NOT_SEEN}") from exc
    found = []
    for name in names:
        path = os.path.join(root, name)
        try:
            reading = {key: _number(os.path.join(path, key)) for key in ("enabled", "transition")}
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise CommandExecutionError(f"{path}: {exc.strerror}") from exc
        found.append(dict(reading, name=name))
    return found


def moving():
    """Return the names of the live patches in transition; none on a kernel that offers no live patching."""
    if not os.path.isdir(klp_paths.LIVEPATCH):
        return []
    return [patch["name"] for patch in live_patches() if patch["transition"]]


def text(path):
    """Return the text of a file, or ``None`` where it cannot be read (a task may be gone, a stack hidden)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return None


def task(pid, proc=None):
    """
    Return what procfs tells about a task: ``{"comm", "exe", "cgroup", "stack", "state"}``; ``None`` is "not readable".

    pid
        int.
    """
    base = os.path.join(proc or klp_paths.PROC, str(pid))
    try:
        exe = os.readlink(os.path.join(base, "exe")).replace(" (deleted)", "")
    except OSError:
        exe = None
    status = text(os.path.join(base, "status")) or ""
    state = [line.split(":", 1)[1].strip() for line in status.splitlines() if line.startswith("State:")]
    stack = text(os.path.join(base, "stack"))
    return {
        "comm": (text(os.path.join(base, "comm")) or "").strip() or None,
        "exe": exe,
        "cgroup": text(os.path.join(base, "cgroup")),
        "stack": [line.strip() for line in stack.splitlines()] if stack else None,
        "state": state[0] if state else None,
    }


def fingerprint(patterns):
    """
    Return a value that changes when one of the files does; readings made from them may be kept as long as it does not.

    patterns
        list of globs.
    """
    seen = []
    for pattern in patterns:
        for path in sorted(glob.glob(pattern)):
            try:
                stat = os.stat(path)
            except OSError:
                continue
            seen.append((path, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(seen)


def option(paths, section, key):
    """Return the value of ``key`` in ini files (globs), the last file wins; ``None`` where no file has it."""
    found, inside = None, False
    for path in [path for pattern in paths for path in sorted(glob.glob(pattern))]:
        for line in (text(path) or "").splitlines():
            line = line.strip()
            if line.startswith("["):
                inside = line == f"[{section}]"
            elif inside and "=" in line and not line.startswith(("#", ";")):
                name, value = line.split("=", 1)
                found = value.strip() if name.strip() == key else found
        inside = False
    return found


def read_only(path):
    """Return whether ``path`` is on a file system that is mounted read-only (a transactional host's /usr)."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def kernel_log(path=None):
    """
    Return the messages in the ring buffer of the kernel, oldest first: ``[(number, text)]``, numbers rise until a boot.

    Read without waiting for new ones; those that are overwritten meanwhile are left out. Raises OSError where it
    cannot be read. Source: the kernel's ABI/testing/dev-kmsg.
    """
    handle, records = os.open(path or klp_paths.KMSG, os.O_RDONLY | os.O_NONBLOCK), []
    try:
        while len(records) < RECORDS:
            try:
                records.append(os.read(handle, 8192))
            except BlockingIOError:
                break
            except BrokenPipeError:
                continue
            if not records[-1]:
                break
    finally:
        os.close(handle)
    found = map(RECORD.match, b"".join(records).decode("utf-8", "replace").splitlines())
    return [(int(match.group(1)), match.group(2)) for match in found if match]
