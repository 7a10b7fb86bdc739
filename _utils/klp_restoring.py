"""
The record of the last restoration of a backup: does one wait for a restart? Starts no program.
"""

from salt.exceptions import CommandExecutionError

import klp_paths
import klp_record
import klp_sys

RECORD = "restore"
FIELDS = {"backup", "run", "backend", "since", "boot", "packages", "stage"}


def boot_id():
    """Return the id of this start of the host."""
    return (klp_sys.text(klp_paths.BOOT_ID) or "").strip()


def record():
    """Return what is recorded of the last restoration, ``{}`` where there was none."""
    found = klp_record.read(RECORD, {})
    if found and not set(found) >= FIELDS:
        raise CommandExecutionError(
            "/var/lib/salt-klp/restore.json: not what salt-klp wrote; repair it or move it away"
        )
    return found


def remember(found):
    """Record how far a restoration is; ``{}``: there is none."""
    klp_record.write(RECORD, found)


def pending():
    """
    Return the restoration that waits for a restart: ``{"backup", "since"}`` (seconds since 1970), or ``None``.

    One that was begun and not seen to end (a kill, a power cut) counts as well.
    """
    found = record()
    if not found or found["boot"] != boot_id() or found["stage"] == "done":
        return None
    return {"backup": found["backup"], "since": found["since"]}
