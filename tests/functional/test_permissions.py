"""Every file that a host has got by this formula, and who may read it."""

import os
import stat
import time

import pytest

from tests.functional.registration import FOLDERS

MINE = ("/var/lib/salt-klp", "/var/cache/salt-klp", "/run/salt-klp")
# What zypper, rpm, Salt, scriptlets, the backup command of the tests and the programs of the host write.
OTHERS = (
    "/boot/initrd-",
    "/etc/lab",
    "/etc/zypp",
    "/root",
    "/run/lock",
    "/run/zypp.pid",
    "/srv",
    "/tmp",
    "/var/adm",
    "/var/cache/salt/",
    "/var/cache/zypp",
    "/var/lib/lab",
    "/var/lib/rpm",
    "/var/lib/volumes",
    "/var/lib/zypp",
    "/var/log/zypp",
    "/var/run",
)


def written(host, since):
    """Return what was written in a host since a moment (ns), without what packages own: path and mode."""
    root = str(host.path("/"))
    owned = set(host.run(["rpm", "-qal"], count=False).stdout.split())
    found = {}
    for folder in FOLDERS:
        for place, folders, names in os.walk(root + folder):
            for path in (os.path.join(place, name) for name in [*names, *folders]):
                status, name = os.lstat(path), path.removeprefix(root)
                if status.st_ctime_ns >= since and name not in owned:
                    found[name] = stat.S_IMODE(status.st_mode)
    return found


@pytest.mark.parametrize("umask", ["000", "077"])
def test_what_is_written_is_for_root_alone_whatever_the_umask(sles, umask):
    one = sles("fresh")
    one.salt.sync()
    since = time.time_ns()
    for words in (
        ("state.apply", "klp"),
        ("state.apply", "klp.patch"),
        ("klp_audit.host",),
        ("state.apply", "klp.rollback"),
    ):
        done = one.run(["sh", "-c", 'umask "$0"; exec "$@"', umask, *one.salt.argv(*words)])
        assert done.returncode == 0, done.stdout
    found = written(one, since)
    mine = {path: mode for path, mode in found.items() if path.startswith(MINE)}
    assert {path for path in mine if path in MINE} == set(MINE)
    assert {path.rsplit("/", 1)[1] for path in mine} >= {
        "locks.json",
        "hold.json",
        "runs.json",
        "host.json",
        "newest.json",
    }
    folders = {path for path in mine if one.path(path).is_dir()}
    assert mine == {path: 0o700 if path in folders else 0o600 for path in mine}
    folder_of_others = {path for path in found if one.path(path).is_dir()}  # changed by what is in them
    assert [path for path in found if not path.startswith((*MINE, *OTHERS)) and path not in folder_of_others] == []
