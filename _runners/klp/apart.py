"""
Hosts that are kept apart: of those with the same value (of a grain, or of ``klp:group``) one is changed at a time.

A host is *busy* from the moment it is ready until it is known to be well, and *ill* when it has failed, was refused, is
silent, or has not gone back. Next to a busy host no other one is started, next to an ill one none ever.
"""

from __future__ import annotations

import collections

from . import stages

GROUP = "klp:group"
BUSY, ILL = "busy", "ill"
NOT_STARTED = "it was not started, because it is kept apart from {} ({} {}), which {}"
NOT_RESTARTED = (
    "it was not restarted, because it is kept apart from {} ({} {}), which {}; the new kernel is installed: restart it "
    "when that one is well, then run state.apply klp.kernel there"
)
KEPT = "it is kept apart from {} ({} {}), which {}"
STUCK = "did not go back"
WHY = {
    stages.FAILED: "has failed",
    stages.REFUSED: "was refused",
    stages.UNREACHABLE: "does not answer",
    stages.ABSENT: "does not answer",
}


class Apart:
    """Which hosts of a campaign keep others from being changed now; follows its journal."""

    def __init__(self, campaign):
        self.campaign, self.name = campaign, campaign.plan["settings"].get("apart", "")
        planned = campaign.plan["hosts"] if self.name else {}
        self.values = {host: item["apart"] for host, item in planned.items() if item["apart"]}
        self.members = collections.defaultdict(list)
        for host, values in self.values.items():
            for value in values:
                self.members[value].append(host)
        self.marks: dict = {}  # host -> busy or ill
        self.hosts: dict = {BUSY: collections.defaultdict(dict), ILL: collections.defaultdict(dict)}
        self.stuck: set = set()  # hosts whose rollback has failed

    # -- following the journal -------------------------------------------------------------------------------------

    def apply(self, entry):
        """Take an entry of the journal, after the campaign has taken it."""
        if not self.values:
            return
        if entry["what"] in ("returned", "stays") and not entry.get("apart"):
            self.stuck.update(host for host, why in entry["hosts"].items() if why)
        # These do not name the hosts that they are about: a look at a whole wave, the end of all starts, another clock.
        every = entry.get("last") or entry["what"] in ("gate", "abort", "clock")
        parts = [self.values] if every else [entry.get(key) or () for key in ("hosts", "looked", "untouched")]
        for part in parts:
            for host in part:
                if host in self.values:
                    self._mark(host)

    def _mark(self, host):
        old, new = self.marks.get(host), self._state(host)
        if old == new:
            return
        self.marks[host] = new
        for value in self.values[host]:
            if old:
                del self.hosts[old][value][host]
                if not self.hosts[old][value]:
                    del self.hosts[old][value]
            if new:
                self.hosts[new][value][host] = None

    def _state(self, host):
        item = self.campaign.hosts[host]
        if item.back in (stages.BACK_RUNNING, stages.BACK_INSTALLED, stages.BACK_RESTARTING) or (
            item.back == stages.BACK_WAITING and item.backs
        ):
            return BUSY
        if item.back == stages.BACK:
            return None
        if host in self.stuck or item.stage in (stages.FAILED, stages.REFUSED, stages.UNREACHABLE, stages.ABSENT):
            return ILL
        armed = item.stage == stages.INSTALLED and not self.campaign.stopped  # then nobody is restarted any more
        if armed or item.stage in (stages.READY, *stages.ACTIVE) or (item.stage == stages.WAITING and item.touched):
            return BUSY
        looks = self.campaign.waves[item.wave].looks
        if item.stage == stages.VERIFIED and not self.campaign.stopped and any(host in hosts for hosts in looks):
            return BUSY
        return None

    # -- what the decisions ask ------------------------------------------------------------------------------------

    def _others(self, host, kind, ignored=()):
        """Yield the hosts of a kind, with the value, that a host is kept apart from."""
        for value in self.values.get(host, ()):
            for other in self.hosts[kind].get(value, ()):
                if other != host and other not in ignored:
                    yield other, value

    def free(self, queue, now, ignored):
        """
        Yield those hosts of a queue that may be asked now whether they are ready, each without regard to the others.

        ignored
            hosts that did not answer, or are being changed by somebody else, with the moment when they are asked again.
        """
        waits = {
            value: host
            for host, until in (ignored.items() if self.values else ())
            if until > now and host in queue
            for value in self.values.get(host, ())
        }
        for host in queue:
            if ignored.get(host, 0) <= now and not self._blocked(host, waits):
                yield host

    def _blocked(self, host, waits):
        for value in self.values.get(host, ()):
            busy = self.hosts[BUSY].get(value, ())
            if value in waits or len(busy) > (host in busy):
                return True
        return False

    def pick(self, hosts, count):
        """Return the first hosts, at most so many, of which no two are kept apart."""
        found: list = []
        there: set = set()
        for host in hosts:
            if len(found) >= count:
                break
            if there.isdisjoint(self.values.get(host, ())):
                found.append(host)
                there.update(self.values.get(host, ()))
        return found

    def spared(self, wave):
        """Return the hosts of a wave that are not to be started any more, ``{host: why}``."""
        found = {}
        for value in list(self.hosts[ILL]):
            for host in self.members[value]:
                text = self._spare(host, wave)
                other = next(self._others(host, ILL), None) if text else None
                if other:
                    found[host] = self._why(text, *other)
        return found

    def _spare(self, host, wave):
        """Return how it is said of a host of a wave that it stays as it is, ``None`` where something has begun."""
        item = self.campaign.hosts[host]
        if (host in wave.queue or host in wave.ready) and not item.touched:
            return NOT_STARTED
        installed = item.stage == stages.INSTALLED and item.wave == wave.number
        return NOT_RESTARTED if installed and self.campaign.plan["settings"].get("reboot") else None

    # -- restarts ------------------------------------------------------------------------------------------------------

    def beside(self, host):
        """Return whether a host is kept apart from one that is being changed, or is down (bool)."""
        return next(self._others(host, BUSY), None) is not None

    def down(self, host):
        """Return why a host that rolls back is not restarted: another one may be down; ``None``: none is."""
        silent = (stages.UNREACHABLE, stages.ABSENT)
        others = (pair for pair in self._others(host, ILL) if self.campaign.hosts[pair[0]].stage in silent)
        other = next(others, None)
        return self._why(KEPT, *other) if other else None

    def _why(self, text, other, value):
        item = self.campaign.hosts[other]
        return text.format(other, self.name, value, STUCK if other in self.stuck else WHY[item.stage])

    # -- rollback ----------------------------------------------------------------------------------------------------

    def stays(self):
        """Return the hosts that do not go back, ``{host: why}``: they are well, and another one is not."""
        found = {}
        for value in list(self.hosts[ILL]):
            for host in self.members[value]:
                if host in self.campaign.back_queue and self._well(host):
                    lasting = next(self._others(host, ILL, self.campaign.back_queue), None)
                    if lasting:
                        found[host] = self._why(KEPT, *lasting)
        return found

    def _well(self, host):
        return self.marks.get(host) != ILL and not self.campaign.hosts[host].backs

    def returning(self, now, ignored):
        """Yield the hosts that may be asked now whether they go back: a well one has no ill one beside it."""
        for host in self.free(self.campaign.back_queue, now, ignored):
            if not self._well(host) or next(self._others(host, ILL), None) is None:
                yield host


# -- the plan ----------------------------------------------------------------------------------------------------------


def values(name, answer):
    """Return by what a host is kept apart, a list of texts, as it says in its checked preview."""
    if name == GROUP:
        return [answer["group"]] if answer["group"] else []
    return sorted(set(answer["apart"])) if name else []


def left_out(name, planned, missing, elsewhere):
    """
    Return the hosts that a plan has to leave out because of others, ``{host: why}``.

    planned
        ``{host: its values}`` of those that could be changed.
    missing
        ``{host: (its values, or None where they are not known, why it is left out)}``.
    elsewhere
        ``{host: (its values or None, id of the campaign that has it)}``.
    """
    there: dict = {}
    for text, hosts in (("which is left out ({})", missing), ("which is in campaign {}", elsewhere)):
        for host, (known, why) in hosts.items():
            for value in known or ():
                there.setdefault(value, f"it is kept apart from {host} ({name} {value}), {text.format(why)}")
    return {
        host: next(there[value] for value in known if value in there)
        for host, known in planned.items()
        if any(value in there for value in known)
    }
