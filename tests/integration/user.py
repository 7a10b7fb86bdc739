"""
The user that the master of the integration tests runs as: root, or what ``MASTER_USER`` names, as SUSE's packages do.

Salt gives up root's rights by itself, in the daemon and in each command. What these then have to read (Python, the
checkout, pillar) may lie in a folder that only root can enter, such as /root: the processes of the tests get a view of
the machine in which everybody can.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.lab.build import CHECKOUT

NAME = os.environ.get("MASTER_USER") or "root"
CLONE_NEWNS = 0x00020000


def prepare(root: Path) -> None:
    """Make the user where it is missing, and let it read what a master reads; ``root`` is the folder of its files."""
    if NAME == "root":
        return
    try:
        pwd.getpwnam(NAME)
    except KeyError:
        subprocess.run(["useradd", "--system", "--no-create-home", NAME], check=False)  # another worker may be quicker
    root.chmod(0o755)
    _open({Path(sys.base_prefix), CHECKOUT})


def install(root: Path) -> None:
    """Make the folder of campaigns of a master, as make install and the package make it; ``root`` is its root_dir."""
    folder, user = root / "var/lib/salt-klp", pwd.getpwnam(NAME)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    os.chown(folder, user.pw_uid, user.pw_gid)


def place(root: Path) -> Path:
    """Return a new folder of the user of the master."""
    folder, user = Path(tempfile.mkdtemp(dir=root)), pwd.getpwnam(NAME)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _open(wanted: set[Path]) -> None:
    """Let this process and its children see only what is wanted in the folders that only root can enter."""
    closed = {path: next(_closed(path), None) for path in wanted}
    if not any(closed.values()):
        return
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "no mount namespace")
    _mount("--make-rprivate", "/")
    for place in {path for path in closed.values() if path}:
        held = [path for path in wanted if closed[path] == place]
        handles = {path: os.open(path, os.O_PATH) for path in held}
        _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(place))
        for path, handle in handles.items():
            path.mkdir(parents=True)
            _mount("--no-canonicalize", "--bind", f"/proc/{os.getpid()}/fd/{handle}", str(path))
            os.close(handle)


def _closed(path: Path) -> Iterator[Path]:
    """Yield the folders above a path that only root can enter, the outermost first."""
    for place in reversed(path.parents):
        if not place.stat().st_mode & 0o001:
            yield place


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)
