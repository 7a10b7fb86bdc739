"""
Hosts that are kept apart, as the judge sees them: from what the hosts say of themselves, and from the journal.
"""

from __future__ import annotations

import collections

BAD = ("failed", "refused", "unreachable", "absent")


def relatives(plan, world):
    """Return for each host of a plan those that it is kept apart from, as the hosts themselves say."""
    name, values, by = plan["settings"]["apart"], {}, collections.defaultdict(set)
    for host in plan["hosts"]:
        item = world.hosts[host]
        values[host] = {item.group} - {None} if name == "klp:group" else set(item.apart) if name else set()
        for value in values[host]:
            by[value].add(host)
    return {host: set().union(*(by[value] for value in found)) - {host} for host, found in values.items()}


class Kin:
    """What a Watcher asserts of hosts that are kept apart."""

    def __init__(self, watch):
        self.watch, self.others = watch, relatives(watch.plan, watch.world)
        self.stuck: set = set()  # hosts whose way back has failed
        self.backs: collections.Counter = collections.Counter()  # ways back that were begun

    def start(self, hosts):
        """No host is started beside one that is being changed, or is not well."""
        for host in hosts:
            for other in self.others[host]:
                assert other not in hosts and not self.watch.world.hosts[other].job, f"{host} is changed with {other}"
                assert not self._pending(other), f"{host} is started before {other} is known to be well"
                begun = host in self.watch.touched
                assert begun or not self._bad(other), f"{host} is started, and {other} is not well"

    def _number(self, host):
        return next(number for number, hosts in enumerate(self.watch.waves) if host in hosts)

    def _watched(self, host):
        return len(self.watch.looks[host]) >= len(self.watch._soak(self._number(host)))

    def _pending(self, host):
        """Whether a host is being changed, or has not been looked at as often as declared since."""
        stage = self.watch.stage[host]
        if stage == "verified":
            return not self._watched(host)
        return stage in ("ready", "running") or (stage == "waiting" and host in self.watch.touched)

    def _bad(self, host):
        return self.watch.stage[host] in BAD

    def spared(self, hosts):
        """A host is left alone only because of one that is not well."""
        for host in hosts:
            assert any(map(self._bad, self.others[host])), f"{host} is spared, and all others are well"

    def back(self, hosts):
        """One goes back at a time, and one that is well only if no other one stays ill."""
        for host in hosts:
            for other in self.others[host]:
                assert other not in hosts and not self.watch.world.hosts[other].job, f"{host} is changed with {other}"
                assert self.watch.back.get(other) != "running", f"{host} goes back before {other} has ended"
                well = self.watch.stage[host] == "verified" and not self.backs[host]
                assert not well or not self._lasting(other), f"{host} goes back, and {other} is not well"
            self.backs[host] += 1

    def _lasting(self, host):
        """Whether a host is not well, and has not gone back."""
        return (self.watch.stage[host] in BAD or host in self.stuck) and self.watch.back.get(host) != "back"

    def stays(self, entry):
        """A host is kept from going back only by one that is not well, and does not go back itself any more."""
        if not entry.get("apart"):
            self.stuck.update(host for host, why in entry["hosts"].items() if why)
            return
        for host in entry["hosts"]:
            lasting = [other for other in self.others[host] if self._lasting(other)]
            assert self.watch.stage[host] == "verified", f"{host} is not well itself"
            assert any(self.watch.back.get(other) != "waiting" for other in lasting), (
                f"{host} stays, all others are well"
            )
