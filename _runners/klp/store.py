"""
What campaigns leave on the master's disk, readable by its user only: plans, journals, wishes, quarantine.

Below ``/var/lib/salt-klp`` (master option ``klp_folder``): ``campaigns/ID/plan.json`` (never changed again),
``campaigns/ID/journal``, ``campaigns/ID/wish.json`` (what a person wants of it), ``quarantine.json``. Locks are those
of flock(2): the kernel lets go of them when their holder dies, by whatever.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time

from salt.exceptions import CommandExecutionError

from . import journal as journals
from . import planning as plans

ID = re.compile(r"[0-9a-f]{12}\Z")
PATIENCE = 60  # seconds that a lock is waited for that is held for moments only
MOMENT = 0.3  # the same for the lock of a driver: somebody may just be looking whether it is held
KEPT = 50  # plans that never ran


class BusyError(CommandExecutionError):
    """Somebody else holds the lock."""


def _read(path, default):
    try:
        with open(path, encoding="utf-8") as handle:
            return json.load(handle)
    except FileNotFoundError:
        return default
    except (OSError, ValueError, RecursionError) as exc:
        raise CommandExecutionError(f"{path}: cannot be read ({exc}); repair it or move it away") from exc


def _write(path, value):
    """Write a file anew, flushed to the disk before it takes the place of the old one."""
    try:
        handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as new:
            json.dump(value, new, sort_keys=True)
            new.flush()
            os.fsync(new.fileno())
        os.rename(path + ".new", path)
        flush(os.path.dirname(path))
    except OSError as exc:
        raise CommandExecutionError(f"{path}: cannot be written ({exc.strerror})") from exc


def flush(folder):
    """Bring what was made, renamed or deleted in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _locked(path, wait):
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + (PATIENCE if wait else MOMENT)
        while not _taken(handle):
            if time.monotonic() > deadline:
                raise BusyError(f"{path} is held by another process")
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _taken(handle):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Store:
    """All that belongs to the campaigns of this master."""

    def __init__(self, folder):
        self.folder = folder
        self.campaigns = os.path.join(folder, "campaigns")
        try:
            os.makedirs(self.campaigns, mode=0o700, exist_ok=True)
            os.chmod(folder, 0o700)
        except OSError as exc:
            raise CommandExecutionError(
                f"{folder}: {exc.strerror}; make it for the user of the master: install -d -m 0700 -o USER {folder}"
            ) from exc

    # -- campaigns -------------------------------------------------------------------------------------------

    def path(self, name, *parts):
        """Return a path of a campaign. Raises CommandExecutionError for what is no id: nothing leaves the folder."""
        if not isinstance(name, str) or not ID.match(name):
            raise CommandExecutionError(f"{name!r:.60} is no id of a plan or campaign; look with: salt-run klp.status")
        return os.path.join(self.campaigns, name, *parts)

    def ids(self):
        """Return the ids of all plans and campaigns, oldest first; a folder that a kill left without a plan is none."""
        names = [name for name in os.listdir(self.campaigns) if ID.match(name)]
        names = [name for name in names if os.path.exists(self.path(name, "plan.json"))]
        return sorted(names, key=lambda name: (self._made(name), name))

    def _made(self, name):
        try:
            return os.stat(self.path(name, "plan.json")).st_mtime_ns
        except FileNotFoundError:
            return 0

    def save(self, plan):
        """Write a plan; of those that never ran the newest ``KEPT`` stay."""
        os.makedirs(self.path(plan["id"]), mode=0o700, exist_ok=True)
        _write(self.path(plan["id"], "plan.json"), plan)
        flush(self.campaigns)
        with self.beginning():  # no plan begins that is deleted here
            idle = [name for name in self.ids() if name != plan["id"] and not self.begun(name)]
            for name in idle[: 1 - KEPT]:
                shutil.rmtree(self.path(name))

    def plan(self, name):
        """Return a plan, checked against its hash."""
        found = _read(self.path(name, "plan.json"), None)
        if found is None:
            raise CommandExecutionError(f"there is no plan {name}; make one with: salt-run klp.plan")
        return plans.check(found, name)

    def begun(self, name):
        """Return whether a plan has become a campaign."""
        return os.path.exists(self.path(name, "journal"))

    def begin(self, name):
        """Let a plan become a campaign: from now on its hosts are taken."""
        self.plan(name)
        journals.Journal(self.path(name, "journal")).close()
        flush(self.path(name))

    def entries(self, name):
        """Return the entries of a campaign's journal; none where it has not begun."""
        return journals.read(self.path(name, "journal")) if self.begun(name) else []

    def open_campaigns(self):
        """Return the ids of the campaigns that have begun and are not over, oldest first."""
        return [name for name in self.ids() if self.begun(name) and not self._over(name)]

    def _over(self, name):
        return journals.last(self.path(name, "journal")) == "end"

    def taken(self, but=""):
        """Return the hosts of all campaigns that are not over, with the id of theirs."""
        return {host: name for name in self.open_campaigns() if name != but for host in self.plan(name)["hosts"]}

    @contextlib.contextmanager
    def driving(self, name):
        """Be the one process that drives a campaign, with its journal; raises BusyError where there is one."""
        self.plan(name)
        with _locked(self.path(name, "driver"), wait=False):
            found = journals.Journal(self.path(name, "journal"))
            flush(self.path(name))
            try:
                yield found
            finally:
                found.close()

    def driven(self, name):
        """Return whether a process drives a campaign now."""
        try:
            with _locked(self.path(name, "driver"), wait=False):
                return False
        except BusyError:
            return True

    def beginning(self):
        """Return the context in which a campaign begins: one at a time, so that no host gets into two."""
        return _locked(os.path.join(self.folder, "begin"), wait=True)

    # -- what a person wants -----------------------------------------------------------------------------------

    def gate(self, name):
        """Return the context in which hosts are started, and in which wishes are made: never both at once."""
        return _locked(self.path(name, "gate"), wait=True)

    def wish(self, name, want, who, now):
        """
        Write down that a campaign is to pause, to go on or to end; no host is started after a pause or an end returns.

        Who wants the end is not overruled: after that nothing else can be wished.
        """
        self.plan(name)
        with self.gate(name):
            old = _read(self.path(name, "wish.json"), {"number": 0, "want": None})
            if old["want"] == "abort":
                return
            wish = {"number": old["number"] + 1, "want": want, "by": who, "at": int(now)}
            _write(self.path(name, "wish.json"), wish)

    def wished(self, name):
        """Return the last wish, ``None`` where nobody ever had one."""
        return _read(self.path(name, "wish.json"), None)

    # -- quarantine --------------------------------------------------------------------------------------------

    def _quarantine(self):
        return os.path.join(self.folder, "quarantine.json")

    def quarantine(self):
        """Return the live patches that are kept away: ``[{"package", "edition", "campaign", "since", "why"}]``."""
        return _read(self._quarantine(), [])

    def ban(self, items, campaign, why, now):
        """Put live patches into quarantine; those that are in it already stay as they are."""
        with _locked(os.path.join(self.folder, "quarantine"), wait=True):
            banned = self.quarantine()
            known = {(item["package"], item["edition"]) for item in banned}
            new = [dict(item, campaign=campaign, since=int(now), why=why) for item in items]
            _write(self._quarantine(), banned + [i for i in new if (i["package"], i["edition"]) not in known])

    def release(self, package, edition):
        """Take a live patch out of quarantine; returns whether it was in it."""
        with _locked(os.path.join(self.folder, "quarantine"), wait=True):
            banned = self.quarantine()
            left = [item for item in banned if (item["package"], item["edition"]) != (package, edition)]
            if len(left) < len(banned):
                _write(self._quarantine(), left)
            return len(left) < len(banned)
