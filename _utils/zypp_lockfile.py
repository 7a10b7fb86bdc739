"""
Package locks of a host. They are read from their file, never by zypper: as root it would need the zypp lock for that.

Locks of others are never touched. Which ones were made here is recorded before they are made.

Source: locks(5), zypper(8) addlock, removelock; measured.
"""

from salt.exceptions import CommandExecutionError

import klp_paths
import klp_record
import zypp_cmd
import zypp_locks

OWN = "locks"  # record of klp_record


def locks():
    """Return the records of the lock file; no file is no lock, a file that cannot be read is an error."""
    try:
        with open(klp_paths.LOCKS, encoding="utf-8", newline="\n") as handle:
            text = handle.read()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as exc:
        raise CommandExecutionError(
            f"{klp_paths.LOCKS}: cannot be read ({exc}); no lock counts until it is repaired"
        ) from exc
    return zypp_locks.records(text)


def locked(names):
    """Return, sorted, those of some packages that are locked in every version."""
    return zypp_locks.locked(locks(), zypp_cmd.check_names(names))


def missing(names):
    """Return, sorted, those of some locks (``NAME``, ``NAME>EDITION``, ``patch:ID``) that are not there."""
    return zypp_locks.absent(locks(), zypp_cmd.check_names(names, "lock"))


def recorded():
    """Return what is recorded as made here, whether it is still there or not."""
    return klp_record.read(OWN, [])


def own(names):
    """Return, sorted, those of some locks that were made here and are still there."""
    return _present(set(zypp_cmd.check_names(names, "lock")) & set(recorded()))


def _present(names):
    found = locks()
    return sorted(name for name in names if any(zypp_locks.plain(lock, name) for lock in found))


def add(host, names, lock_timeout=None):
    """
    Lock packages, those that are missing by one zypper call for each kind, and check that each lock bites.

    lock_timeout
        seconds to wait for the zypp lock; default: pillar ``klp:zypper:lock_timeout``.

    Returns the list of those that were not locked before.
    """
    absent = missing(names)
    if not absent:
        return []
    _record(set(recorded()) | set(absent))
    _change(host, "addlock", absent, lock_timeout)
    without = missing(absent)
    if without:
        raise CommandExecutionError(f"zypper addlock: no effect on {', '.join(without)}; look at {klp_paths.LOCKS}")
    return absent


def remove(host, names):
    """
    Take away locks that were made here; locks of others stay.

    Returns the list of those that were taken away. Raises CommandExecutionError where a lock stays.
    """
    ours = own(names)
    if ours:
        _change(host, "removelock", ours)
    left = own(names)
    _record((set(recorded()) - set(names)) | set(left))
    if left:
        raise CommandExecutionError(f"zypper removelock: no effect on {', '.join(left)}; look at {klp_paths.LOCKS}")
    return ours


def forget_absent():
    """Forget what is recorded as made here and is not in the lock file, as after a kill."""
    _record(_present(recorded()))


def _record(names):
    if sorted(names) != recorded():
        klp_record.write(OWN, sorted(names))


def _change(host, command, wanted, lock_timeout=None):
    """Add or remove locks, with one call for packages and one for advisories."""
    advisories = [item[len("patch:") :] for item in wanted if item.startswith("patch:")]
    plain = [item for item in wanted if not item.startswith("patch:")]
    for kind, names in (("package", plain), ("patch", advisories)):
        if names:
            args = [command] + (["--type", kind] if kind == "patch" else []) + names
            host.zypper(args, writes=True, lock_timeout=lock_timeout)
