"""
What an initrd holds, by lsinitrd, which is slow: the answer is kept until the file changes.
"""

import salt.utils.path
from salt.exceptions import CommandExecutionError

import klp_paths
import klp_record
import klp_sys


def path(release):
    """Return the path of the initrd of a kernel (``uname -r``)."""
    return f"{klp_paths.BOOT}/initrd-{release}"


def text(host, release):
    """Return the text of lsinitrd for the initrd of a kernel."""
    file = path(release)
    world = [file, [list(item) for item in klp_sys.fingerprint([file])]]
    return klp_record.kept(
        f"initrd-{release}", lambda: world, lambda: host.run(["lsinitrd", file], timeout=300)["stdout"]
    )


def answer(host, release):
    """Return ``{"value"}``, ``{"skipped": why it is not looked at}`` or ``{"error": why that is not known}``."""
    if not host.settings["verify"]["initrd"]:
        return {"skipped": "pillar klp:verify:initrd is false"}
    if not salt.utils.path.which("lsinitrd"):
        return {"skipped": "this host has no lsinitrd"}
    try:
        return {"value": text(host, release)}
    except CommandExecutionError as exc:
        return {"error": str(exc)}
