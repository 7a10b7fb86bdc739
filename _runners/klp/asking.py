"""
Asking the hosts for a plan: whether they answer, whether they have this version of salt-klp, and what they would get.
"""

from __future__ import annotations

import itertools
import re

import salt.fileserver

import klp_version

from . import decide
from .words import count

PREVIEW = "klp_audit.run_preview"
ABREAST = 4  # parts of decide.ASK hosts each that are asked at the same time
SYNCED = re.compile(r"_(?:{})/{}".format("|".join(klp_version.FOLDERS), klp_version.OURS))


def code(opts):
    """
    Return the digest of salt-klp as minions get it from this master, made as ``klp_version.code`` of a minion does.

    ``None`` where no environment of the file server has it, or more than one: which one a minion gets is unknown then.
    """
    files = salt.fileserver.Fileserver(opts)
    found = []
    for env in files.envs():
        names = sorted(name for name in files.file_list({"saltenv": env}) if SYNCED.fullmatch(name))
        sums = [(name[1:], files.file_hash({"saltenv": env, "path": name}).get("hsum")) for name in names]
        found += [klp_version.digest(sums)] if sums else []
    return found[0] if len(found) == 1 else None


def together(reach, talks):
    """
    Hold talks with hosts, some of them at a time.

    talks
        generators that yield a question (hosts, fun, arg, timeout in seconds), and get what was answered.
    """
    waiting, live = iter(talks), []
    while True:
        for talk in itertools.islice(waiting, ABREAST - len(live)):
            live.append([talk, reach.question(*next(talk))])
        if not live:
            return
        over = [pair for pair in live if pair[1].over()]
        for pair in over:
            try:
                pair[1] = reach.question(*pair[0].send(pair[1].found))
            except StopIteration:
                live.remove(pair)
        if not over:
            reach.listen(min(question.until for _, question in live), [jid for _, one in live for jid in one.jids])


class Asking:
    """
    The questions of one plan.

    reach, settings, kind, by
        what reaches the hosts; settings of the plan; its kind; the grain by which hosts are kept apart.
    mine
        digest of salt-klp on this master, ``None``: not known, and all hosts are sent it.
    say
        called with a line of progress.
    """

    def __init__(self, reach, settings, kind, by, mine, say):
        self.reach, self.patience, self.sync = reach, settings["presence"], settings["sync"]
        self.arg, self.mine, self.say = [kind, settings["level"], by], mine, say
        self.previews: dict = {}
        self.done = 0

    def ask(self, hosts):
        """Return what hosts answer, ``{host: its preview as it is}`` of those that do."""
        parts = [hosts[first : first + decide.ASK] for first in range(0, len(hosts), decide.ASK)]
        together(self.reach, (self._talk(part, len(hosts)) for part in parts))
        return self.previews

    def _talk(self, part, total):
        """Find out first who answers at all, since some never do; send salt-klp only to those that have another."""
        present = yield part, "test.ping", [], self.patience["timeout"]
        found, others = {}, sorted(present)
        if self.mine or not self.sync:
            found = (yield others, PREVIEW, self.arg, self.patience["outlook"]) if others else {}
            others = sorted(host for host in found if self._is_other(found[host]))
        if self.sync and others:
            self.say(f"sending salt-klp to {count(len(others), 'host')} with another version of it")
            yield others, "saltutil.sync_all", [], self.patience["outlook"]
            found.update((yield others, PREVIEW, self.arg, self.patience["outlook"]))
        self.previews.update(found)
        self.done += len(part)
        absent = len(part) - len(present)
        self.say(f"asked {self.done} of {count(total, 'host')}, {absent} of the last {len(part)} do not answer")

    def _is_other(self, answer):
        return not isinstance(answer, dict) or answer.get("code") != self.mine
