"""
The live patches that no campaign installs, and the history of what persons did that is in no journal of a campaign.
"""

from __future__ import annotations

import os

from . import files, records
from . import journal as journals

CURE = (
    "no campaign starts a host before it is repaired; restore it from a backup, or move it away: nothing is in "
    "quarantine then (salt-run klp.report says of each campaign what it has put there)"
)
KEYS = ("package", "edition", "campaign", "why")


class Quarantine:
    """The quarantine of a master, in its folder."""

    def __init__(self, folder):
        self.folder = folder

    def _quarantine(self):
        return os.path.join(self.folder, "quarantine.json")

    def quarantine(self):
        """
        Return the live patches that are kept away: ``[{"package", "edition", "campaign", "since", "why"}]``.

        Raises DamagedError: what cannot be read is never "nothing is in quarantine".
        """
        path = self._quarantine()
        try:
            found = files.read(path, [])
        except files.DamagedError as exc:
            raise files.DamagedError(exc.why, CURE if exc.aside else exc.cure, aside=False) from exc
        problem = records.quarantine_problem(found)
        if problem:
            raise files.DamagedError(f"{path}: is damaged: {problem}", CURE, aside=False)
        return found

    def _changing(self):
        return files.locked(os.path.join(self.folder, "quarantine"), wait=True)

    def ban(self, items, campaign, why, now):
        """Put live patches into quarantine; those that are in it already stay as they are."""
        with self._changing():
            banned = self.quarantine()
            known = {(item["package"], item["edition"]) for item in banned}
            new = [dict(item, campaign=campaign, since=int(now), why=why) for item in items]
            files.write(self._quarantine(), banned + [i for i in new if (i["package"], i["edition"]) not in known])

    def release(self, package, edition, who, now, master=None):
        """Take a live patch out of quarantine, written into the history first; returns whether it was in it."""
        with self._changing():
            banned = self.quarantine()
            found = [item for item in banned if (item["package"], item["edition"]) == (package, edition)]
            for item in found:
                self.note("release", now, by=who, master=master, **{key: item[key] for key in KEYS})
            if found:
                files.write(self._quarantine(), [item for item in banned if item not in found])
            return bool(found)

    def note(self, what, now, **fields):
        """Write into the history what a person has done; who holds a lock of the folder does that alone."""
        with files.locked(os.path.join(self.folder, "noting"), wait=True):
            try:
                history = journals.Journal(os.path.join(self.folder, "history"))
            except files.DamagedError as exc:
                cure = "move it away: it is only a record of who did what" if exc.aside else exc.cure
                raise files.DamagedError(exc.why, cure, aside=False) from exc
            try:
                history.append({"what": what, "at": int(now), **fields})
            finally:
                history.close()

    def history(self):
        """Return what persons did: ``[{"what" (release or set_aside), "at", "by", "campaign", ...}]``, oldest first."""
        return journals.read(os.path.join(self.folder, "history")) or []
