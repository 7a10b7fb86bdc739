"""
What campaigns leave on the master's disk, readable by its user only: plans, journals, wishes, quarantine.

Below ``/var/lib/salt-klp`` (master option ``klp_folder``): ``campaigns/ID/plan.json`` (never changed again),
``journal``, ``approval.json`` (who began it, which hash, its hosts once more, and whether its journal has an entry),
``wish.json`` (a pause or abort request), ``summary.json`` (how it ended); ``quarantine.json``; ``history`` (who
released a live patch, or set a campaign aside).

A file that is damaged, of another version or not readable stops its own campaign and no other: it is not over, and
keeps its hosts.
"""

from __future__ import annotations

import contextlib
import os
import re

from salt.exceptions import CommandExecutionError

import klp_version

from . import files, folders, shelf
from . import journal as journals
from . import planning as plans
from .quarantine import Quarantine

ID = re.compile(r"[0-9a-f]{12}\Z")
KEPT = 50  # plans that never ran
DAY = 86400


@contextlib.contextmanager
def fitting(there, name):
    """Say of entries that do not fit their plan that the journal is damaged."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as exc:
        path = there.path(name, "journal")
        raise there.cured(files.DamagedError(f"{path}: does not fit its plan ({exc!r:.80})"), name) from exc


def _sealed(summary):
    """Return a summary as it is kept: with its hash, and the version that has made it."""
    return {"summary": summary, "hash": plans.digest(summary), "program": klp_version.VERSION}


class Store(Quarantine):
    """All that belongs to the campaigns of this master."""

    def __init__(self, folder, master=None):
        """``master``: user that the master runs as."""
        super().__init__(folder)
        self.campaigns = os.path.join(folder, "campaigns")
        folders.prepare(folder, master)

    # -- campaigns -------------------------------------------------------------------------------------------

    def path(self, name, *parts):
        """Return a path of a campaign. Raises CommandExecutionError for what is no id: nothing leaves the folder."""
        if not isinstance(name, str) or not ID.match(name):
            raise CommandExecutionError(f"{name!r:.60} is no id of a plan or campaign; look with: salt-run klp.status")
        return os.path.join(self.campaigns, name, *parts)

    def ids(self):
        """Return the ids of all plans and campaigns, oldest first; a folder that a kill left without a plan is none."""
        try:
            names = [name for name in os.listdir(self.campaigns) if ID.match(name)]
        except OSError as exc:
            raise files.unreadable(self.campaigns, exc) from exc
        return sorted((name for name in names if self._is_one(name)), key=lambda name: (self._made(name), name))

    def _is_one(self, name):
        try:
            return any(files.exists(self.path(name, file)) for file in ("plan.json", "journal", "approval.json"))
        except files.DamagedError:
            return True

    def _made(self, name):
        try:
            return os.stat(self.path(name, "plan.json")).st_mtime_ns
        except OSError:
            return 0

    def save(self, plan):
        """Write a plan; of those that never ran the newest ``KEPT`` stay, of campaigns those that are young enough."""
        try:
            os.makedirs(self.path(plan["id"]), mode=0o700, exist_ok=True)
            files.own(self.path(plan["id"]))
        except OSError as exc:
            raise files.unwritable(self.path(plan["id"]), exc) from exc
        files.write(self.path(plan["id"], "plan.json"), plan)
        files.flush(self.campaigns)
        with self.beginning():  # no plan begins that is deleted here
            idle = [name for name in self.ids() if name != plan["id"] and self._idle(name)]
            for name in idle[: 1 - KEPT]:
                shelf.remove(self.campaigns, name)
            shelf.sweep(self.campaigns)

    def _idle(self, name):
        try:
            return not self.begun(name)
        except files.DamagedError:
            return False

    def forget(self, days, now):
        """Delete the campaigns that ended more than so many days ago; those that the quarantine names stay."""
        try:
            named = {item["campaign"] for item in self.quarantine()}
        except files.DamagedError:
            return
        with self.beginning():
            for name in self.ids():
                found = self.finished(name)
                if found and name not in named and found["over"] + days * DAY < now:
                    shelf.remove(self.campaigns, name)

    def plan(self, name):
        """Return a plan, checked against its hash. Raises DamagedError, and says if there is none."""
        path = self.path(name, "plan.json")
        try:
            found = files.read(path, None, files.LARGE)
            if found is not None:
                return plans.check(found, name)
        except files.DamagedError as exc:
            raise self.cured(exc, name) from exc
        if self.begun(name):
            raise self.cured(files.DamagedError(f"{path}: is missing"), name)
        raise CommandExecutionError(f"there is no plan {name}; make one with: salt-run klp.plan")

    def cured(self, exc, name):
        """Return the error with what can be done about a campaign."""
        aside = f"{exc.cure}, or set the campaign aside: salt-run klp.set_aside {name}"
        return files.DamagedError(exc.why, aside if exc.aside else exc.cure, aside=False)

    def begun(self, name):
        """Return whether a plan has become a campaign: its approval says so too, where the journal is gone."""
        return files.exists(self.path(name, "journal")) or files.exists(self.path(name, "approval.json"))

    def begin(self, name, **who):
        """Let a plan become a campaign: from now on its hosts are taken. ``who``: what its first entry says of that."""
        plan = self.plan(name)
        journals.Journal(self.path(name, "journal")).close()
        files.flush(self.path(name))
        self._approve(name, {**who, "hash": plan["hash"], "hosts": sorted(plan["hosts"]), "started": False})

    def _approve(self, name, approval):
        files.write(self.path(name, "approval.json"), approval)

    def _approval(self, name):
        """Return what was written when a campaign began, nothing where that is damaged. Raises where it is root's."""
        try:
            found = files.read(self.path(name, "approval.json"), None, files.LARGE)
        except files.DamagedError as exc:
            if not exc.aside:
                raise
            found = None
        return found if isinstance(found, dict) else {}

    def approval(self, name):
        """Return what the first entry of a journal says: who began the campaign, which hash, and the format."""
        found = self._approval(name)
        known = {key: found[key] for key in ("by", "master", "hash") if isinstance(found.get(key), str)}
        return {"format": journals.FORMAT, "program": klp_version.VERSION, **known}

    def started(self, name):
        """Write down that a journal has its first entry: from now on an empty one is damage."""
        found = self._approval(name)
        if found.get("started") is not True:
            self._approve(name, {**found, "started": True})

    def entries(self, name):
        """Return the entries of a campaign's journal; none where it has not begun."""
        try:
            found = journals.read(self.path(name, "journal"))
            if not found:
                self._refuse_lost(name, found)
            return found or []
        except files.DamagedError as exc:
            raise self.cured(exc, name) from exc

    def _refuse_lost(self, name, found):
        """Raise DamagedError for a journal that is gone, or empty and had an entry: never "nothing has happened"."""
        path = self.path(name, "journal")
        if found is None and files.exists(self.path(name, "approval.json")):
            raise files.DamagedError(f"{path}: is missing")
        if self._approval(name).get("started"):
            raise files.DamagedError(journals.EMPTY.format(path))

    def open_campaigns(self):
        """Return the ids of the campaigns that have begun and are not over, oldest first; damaged ones are not over."""
        return [name for name in self.ids() if self.holds(name)]

    def holds(self, name):
        """Return whether the hosts of a campaign are taken."""
        return self._begun(name) and not self.over(name)

    def _begun(self, name):
        try:
            return self.begun(name)
        except files.DamagedError:
            return True

    def over(self, name):
        """Return whether a campaign has come to its end; one whose files do not say so has not."""
        try:
            return bool(self.finished(name)) or journals.last(self.path(name, "journal")) == "end"
        except files.DamagedError:
            return False

    def finished(self, name):
        """Return how a campaign ended, ``None`` where this version has not summed it up yet, or it is damaged."""
        try:
            found = files.read(self.path(name, "summary.json"), None)
        except files.DamagedError:
            return None
        found = found if isinstance(found, dict) else {}
        summary = found.get("summary")
        good = isinstance(summary, dict) and summary.get("id") == name and found == _sealed(summary)
        return summary if good else None

    def set_aside(self, name, who, now, master=None):
        """
        Move a campaign out of the way, written into the history first. Its hosts are free then.

        Returns where it is, and its hosts (``None``: unknown). Raises BusyError while a process drives it.
        """
        folder = os.path.isdir(self.path(name))
        with self.beginning():
            with files.locked(self.path(name, "driver"), wait=False) if folder else contextlib.nullcontext():
                try:
                    hosts = self._hosts(name)
                except files.DamagedError:
                    hosts = None
                self.note("set_aside", now, campaign=name, by=who, master=master, hosts=hosts)
                return shelf.set_aside(self.campaigns, name, now), hosts

    def finish(self, name, summary):
        """Sum up a campaign that is over, so that nobody has to read its journal for that again."""
        files.write(self.path(name, "summary.json"), _sealed(summary))

    def taken(self, but=""):
        """Return the hosts of all campaigns that are not over, with the id of theirs."""
        return self.occupied(but)[0]

    def occupied(self, but=""):
        """
        Return the hosts of all campaigns that are not over, and the campaigns whose hosts are unknown.

        Returns ``({host: id}, {id: DamagedError})``. A plan that is damaged has its hosts in its approval once more.
        """
        hosts, lost = {}, {}
        for name in self.open_campaigns():
            try:
                hosts.update(dict.fromkeys(() if name == but else self._hosts(name), name))
            except files.DamagedError as exc:
                lost[name] = exc
        return hosts, lost

    def _hosts(self, name):
        try:
            return list(self.plan(name)["hosts"])
        except files.DamagedError as exc:
            hosts = self._approval(name).get("hosts")
            if isinstance(hosts, list) and all(isinstance(host, str) for host in hosts):
                return hosts
            raise exc

    @contextlib.contextmanager
    def alone(self, name):
        """Keep every other process from driving a campaign; raises BusyError where one does."""
        self.plan(name)
        with files.locked(self.path(name, "driver"), wait=False):
            yield

    @contextlib.contextmanager
    def opened(self, name):
        """Open the journal of a campaign, for who drives it alone."""
        found = self._opened(name)
        files.flush(self.path(name))
        try:
            if found.entries:
                self.started(name)
            yield found
        finally:
            found.close()

    @contextlib.contextmanager
    def driving(self, name):
        """Be the one process that drives a campaign, with its journal; raises BusyError where there is one."""
        with self.alone(name), self.opened(name) as found:
            yield found

    def _opened(self, name):
        path = self.path(name, "journal")
        try:
            if not files.exists(path):
                self._refuse_lost(name, None)
            return journals.Journal(path, least=int(self._approval(name).get("started") is True))
        except files.DamagedError as exc:
            raise self.cured(exc, name) from exc

    def driven(self, name, moment=files.MOMENT):
        """Return whether a process drives a campaign now; within a moment (seconds) who only looks is gone again."""
        try:
            with files.locked(self.path(name, "driver"), wait=False, moment=moment):
                return False
        except files.BusyError:
            return True

    def engine(self):
        """Return the context of the one engine that drives what waits; raises BusyError where there is one."""
        return files.locked(os.path.join(self.folder, "engine"), wait=False)

    def attended(self):
        """Return whether an engine of this master runs."""
        try:
            with self.engine():
                return False
        except files.BusyError:
            return True

    def beginning(self):
        """Return the context in which a campaign begins: one at a time, so that no host gets into two."""
        return files.locked(os.path.join(self.folder, "begin"), wait=True)

    # -- pause and abort requests ------------------------------------------------------------------------------

    def gate(self, name):
        """Return the context in which hosts are started, and in which wishes are made: never both at once."""
        return files.locked(self.path(name, "gate"), wait=True)

    def wish(self, name, want, who, now, master=None):
        """
        Write down that a campaign is to pause, to go on or to end; no host is started after a pause or an end returns.

        Who wants the end is not overruled: after that nothing else can be wished.
        """
        self.plan(name)
        with self.gate(name):
            old = self.wished(name) or {"number": 0, "want": None}
            if old["want"] == "abort":
                return
            wish = {"number": old["number"] + 1, "want": want, "by": who, "at": int(now), "master": master}
            files.write(self.path(name, "wish.json"), wish)

    def wished(self, name):
        """Return the last wish, ``None`` where nobody ever had one."""
        path = self.path(name, "wish.json")
        found = files.read(path, None)
        good = isinstance(found, dict) and found.get("want") in ("pause", "resume", "abort")
        if found is not None and not (good and type(found.get("number")) is int and isinstance(found.get("by"), str)):
            raise files.DamagedError(f"{path}: is damaged", "remove it, and say again what you want", aside=False)
        return found
