"""
The folder of campaigns: made for the user of the master, and believed only where nobody else can write into it.

What is made here is for this user only. A folder that is there keeps its mode: it may be one that others need, as /srv.
"""

from __future__ import annotations

import os
import pwd
import shlex

from salt.exceptions import CommandExecutionError

from . import files

OTHERS, GROUP, STICKY = 0o002, 0o020, 0o1000
USE_ANOTHER = "or name another folder with master option klp_folder"


def prepare(folder, master=None):
    """
    Make the folder of campaigns where it is missing, and the one below it.

    master
        user that the master runs as; default: that of this process.

    Raises CommandExecutionError where it cannot be made or used, and where somebody else could write into it.
    """
    user = _user(master)
    campaigns = os.path.join(folder, "campaigns")
    try:
        os.makedirs(os.path.dirname(os.path.abspath(folder)), exist_ok=True)
        if _made(folder) and os.geteuid() == 0:
            os.chown(folder, user.pw_uid, user.pw_gid)
        if _made(campaigns):
            files.own(campaigns)
        problem = _problem(folder, user) or _problem(campaigns, user)
    except OSError as exc:
        raise CommandExecutionError(_unusable(folder, exc, user.pw_name)) from exc
    if problem:
        raise CommandExecutionError(problem)


def _user(name):
    try:
        return pwd.getpwnam(name) if name else pwd.getpwuid(os.geteuid())
    except KeyError:  # Salt refuses such a name itself; a user id may have no name, in a container
        return pwd.struct_passwd((str(os.geteuid()), "x", os.geteuid(), os.getegid(), "", "/", ""))


def _made(path):
    """Make a folder, and return whether it was missing."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    return True


def _unusable(folder, exc, user):
    where = shlex.quote(folder)
    if exc.errno in files.DENIED and os.path.lexists(folder):
        return f"{folder}: {exc.strerror} (as user {files.user()}); {files.given(os.path.join(folder, 'x'))}"
    return f"{folder}: {exc.strerror}; make it for the user of the master: install -d -m 0700 -o {user} {where}"


def _problem(path, user):
    """Return why what is in a folder could be somebody else's, one sentence, or ``None``."""
    found = os.stat(path)
    if found.st_uid not in (0, os.geteuid(), user.pw_uid):
        return (
            f"{path}: belongs to another user (id {found.st_uid}), who could change what campaigns have written down; "
            f"{files.given(os.path.join(path, 'x'))}, {USE_ANOTHER}"
        )
    loose = found.st_mode & OTHERS or (found.st_mode & GROUP and found.st_gid not in (0, os.getegid(), user.pw_gid))
    above = next((place for place in _above(path) if _open_to_all(place)), None)
    if loose or above:
        return (
            f"{above or path}: others can write into it, and could change what campaigns have written down; run: "
            f"chmod go-w {shlex.quote(above or path)}, {USE_ANOTHER}"
        )
    return None


def _above(path):
    """Yield the folders that a folder is in."""
    path = os.path.abspath(path)
    while path != os.path.dirname(path):
        path = os.path.dirname(path)
        yield path


def _open_to_all(path):
    mode = os.stat(path).st_mode
    return bool(mode & OTHERS and not mode & STICKY)
