"""
Package locks of SUSE hosts: the second file of the module ``zypper``.

Locks are read from their file, never by zypper: as root it would need the zypp lock for that. Locks of others are never
touched; which ones were added here is remembered in ``/var/lib/salt-klp/locks.json``.

:depends: ``zypper``
"""

import salt.utils.path
from salt.exceptions import CommandExecutionError

__virtualname__ = "zypper"

LOCKS = "/etc/zypp/locks"
OWN_LOCKS = "locks"


def __virtual__():
    if "zypp_cmd.zypper" not in __utils__:
        return False, "zypper: _utils/zypp_cmd.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "zypper: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _check_names(names):
    return __utils__["zypp_cmd.check_names"](names)


def _check_locks(names):
    return __utils__["zypp_cmd.check_names"](names, "lock")


def _zypper(args):
    patience = __utils__["klp_pillar.settings"](__pillar__.get("klp"))["zypper"]
    run = __utils__["klp_cmd.run"]
    return __utils__["zypp_cmd.zypper"](run, __salt__["cmd.run_all"], patience, args, writes=True)


def locks():
    """
    Return the records of the lock file, read without zypper.

    A list of dicts with ``package``, ``type``, ``match_type``, ``case_sensitive``, ``version``, ``repo``, ``comment``,
    ``other`` and ``line``. No file is no lock; a file that cannot be read is an error. Source: locks(5), measured.

    CLI Example::

        salt '*' zypper.locks
    """
    try:
        with open(LOCKS, encoding="utf-8", newline="\n") as handle:
            text = handle.read()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as exc:
        raise CommandExecutionError(f"{LOCKS}: cannot be read ({exc}); no lock counts until it is repaired") from exc
    return __utils__["zypp_locks.records"](text)


def locked(packages):
    """
    Return, sorted, those of some packages that are locked in every version.

    packages
        list of package names. A lock for one version, one repository or a patch does not count.

    CLI Example::

        salt '*' zypper.locked '[kernel-default]'
    """
    return __utils__["zypp_locks.locked"](locks(), _check_names(packages))


def add_locks(packages):
    """
    Lock packages, all of them by one zypper call, and check that each lock bites.

    packages
        list of package names (no globs), to be kept in every version; ``NAME>EDITION`` keeps only what is newer from
        coming, ``patch:ID`` an advisory.

    Returns the list of those that were not locked before. Other locks stay. Raises CommandExecutionError where a lock
    does not bite afterwards. Source: zypper(8) addlock; its exit code says nothing (measured).

    CLI Example::

        salt '*' zypper.add_locks '[kernel-default, kernel-default-base]'
    """
    missing = missing_locks(packages)
    if not missing:
        return []
    own = __utils__["klp_record.read"](OWN_LOCKS, [])
    __utils__["klp_record.write"](OWN_LOCKS, sorted(set(own) | set(missing)))
    _change("addlock", missing)
    without = missing_locks(missing)
    if without:
        raise CommandExecutionError(f"zypper addlock: no effect on {', '.join(without)}; look at {LOCKS}")
    return missing


def missing_locks(packages):
    """
    Return, sorted, those of some locks that are not there.

    packages
        list of what ``zypper.add_locks`` takes.

    CLI Example::

        salt '*' zypper.missing_locks '[kernel-default]'
    """
    return __utils__["zypp_locks.absent"](locks(), _check_locks(packages))


def _change(command, wanted):
    """Add or remove locks, with one call for packages and one for advisories."""
    advisories = [item[len("patch:") :] for item in wanted if item.startswith("patch:")]
    plain = [item for item in wanted if not item.startswith("patch:")]
    for kind, names in (("package", plain), ("patch", advisories)):
        if names:
            _zypper([command] + (["--type", kind] if kind == "patch" else []) + names)


def own_locks(packages):
    """
    Return, sorted, those of some locks that were made by ``zypper.add_locks`` and are still there.

    packages
        list of what ``zypper.add_locks`` takes.

    CLI Example::

        salt '*' zypper.own_locks '[kernel-default]'
    """
    mine = set(_check_locks(packages)) & set(__utils__["klp_record.read"](OWN_LOCKS, []))
    there = locks()
    return sorted(name for name in mine if any(__utils__["zypp_locks.plain"](lock, name) for lock in there))


def remove_locks(packages):
    """
    Take away locks that ``zypper.add_locks`` made; locks of others stay.

    packages
        list of what ``zypper.add_locks`` takes.

    Returns the list of those that were taken away. Raises CommandExecutionError where a lock stays.

    CLI Example::

        salt '*' zypper.remove_locks '[kernel-default]'
    """
    there = own_locks(packages)
    if there:
        _change("removelock", there)
    left = own_locks(packages)
    own = __utils__["klp_record.read"](OWN_LOCKS, [])
    __utils__["klp_record.write"](OWN_LOCKS, sorted((set(own) - set(packages)) | set(left)))
    if left:
        raise CommandExecutionError(f"zypper removelock: no effect on {', '.join(left)}; look at {LOCKS}")
    return there
