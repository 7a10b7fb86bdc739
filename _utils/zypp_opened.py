"""
Locks of ours, opened for zypper of this job alone.

It is given a configuration that names another lock file: a copy without them, and with locks on all that is newer. The
lock file itself stays as it is, so that every other zypper sees all locks meanwhile, and after a kill as well.

Source: ZConfig.cc of libzypp (ZYPP_CONF, locksfile.path); measured.
"""

import contextlib
import glob
import os
import tempfile

from salt.exceptions import CommandExecutionError

import klp_paths
import klp_sys
import zypp_lockfile
import zypp_locks


def problems(names, ours):
    """
    Return the locks of others that keep packages away, one sentence each.

    names
        ``{name: edition}`` of what is to come.
    ours
        names of packages whose locks of ours are opened.
    """
    own = zypp_lockfile.own(ours)
    return [
        f"{zypp_locks.describe(lock)} keeps {name}-{edition} away; remove it or make it narrower"
        for lock in zypp_lockfile.locks()
        if not any(zypp_locks.plain(lock, item) for item in own)
        for name, edition in sorted(names.items())
        if zypp_locks.in_the_way(lock, name, edition)
    ]


@contextlib.contextmanager
def opened(host, names):
    """
    Let zypper of this job install some packages, not newer than so, that we have locked in every version.

    names
        ``{name: edition}``.
    """
    text = klp_sys.text(klp_paths.LOCKS) or ""
    ours = zypp_lockfile.own(sorted(names))
    locks = zypp_locks.without(text, ours) + "".join(zypp_locks.newer_record(name, names[name]) for name in ours)
    files = [path for pattern in host.family["zypp_conf"] for path in sorted(glob.glob(pattern))]
    conf = "\n".join([klp_sys.text(path) or "" for path in files])
    with contextlib.ExitStack() as stack:
        host.zypp_conf = stack.enter_context(_folder(conf, locks))
        stack.callback(setattr, host, "zypp_conf", None)
        yield


@contextlib.contextmanager
def _folder(conf, locks):
    """Give the path of a configuration with a lock file of its own; both vanish with the end."""
    try:
        os.makedirs(klp_paths.RUN, mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="opened-", dir=klp_paths.RUN) as folder:
            named = f"{conf}\n[main]\nlocksfile.path = {folder}/locks\n"
            for name, said in (("locks", locks), ("zypp.conf", named)):
                with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as handle:
                    handle.write(said)
            yield os.path.join(folder, "zypp.conf")
    except OSError as exc:
        raise CommandExecutionError(f"{klp_paths.RUN}: cannot be written ({exc.strerror})") from exc
