"""The registration code: what SUSEConnect was called with, and the files of a host that hold it."""

import json
import os
import stat

CODE = "LAB-REGCODE-0001"
WRONG = "LAB-REGCODE-9999"
PRODUCT = "sle-module-live-patching/15.5/x86_64"
CALLS = "/var/lib/lab/suseconnect.argv"
FOLDERS = ["/boot", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr/local/sbin", "/var"]


def calls(host):
    """Return the arguments of each SUSEConnect."""
    return [json.loads(line) for line in host.read(CALLS).splitlines()] if host.exists(CALLS) else []


def activations(host):
    """Return the arguments of each SUSEConnect that changes something."""
    return [args for args in calls(host) if args != ["--status"]]


def files_with(host, secret):
    """Return the files of a host that hold a secret, of those that were written since it was started."""
    root, found = str(host.path("/")), set()
    born = os.stat(f"/proc/{host.pid}").st_mtime - 1
    for folder in FOLDERS:
        for where, folders, names in os.walk(f"{root}{folder}"):
            if folder == "/root":
                folders.clear()
            for path in (os.path.join(where, name) for name in names):
                status = os.lstat(path)
                if stat.S_ISREG(status.st_mode) and status.st_ctime >= born:
                    with open(path, "rb") as file:
                        if secret.encode() in file.read():
                            found.add(path.removeprefix(root))
    return found
