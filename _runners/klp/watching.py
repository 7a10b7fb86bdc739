"""
Watching hosts after their runs: whether they are still well.
"""

from __future__ import annotations

from . import answers, decide
from . import campaign as states
from .driving import Base


class Watching(Base):
    """The part of a driver that watches patched hosts."""

    def _do_check(self, todo):
        bad = self._watched(todo["hosts"], todo["last"])
        looked = [] if todo["last"] else todo["hosts"]
        self._write("checked", wave=todo["wave"], hosts=bad, looked=looked, last=todo["last"])

    def _do_look(self, todo):
        self._write("looked", hosts=self._watched(todo["hosts"], True))

    def _watched(self, hosts, last):
        """Return what is wrong with patched hosts, ``{host: [stage, why]}``; the silent ones are asked twice."""
        services, found, bad = self.plan["settings"]["soak"]["services"], {}, {}
        for first in range(0, len(hosts), decide.ASK):
            part = hosts[first : first + decide.ASK]
            found.update(self._ask(part, well=True))
            silent = [host for host in part if host not in found]
            found.update(self._ask(silent, well=True) if silent else {})
        for host in hosts:
            why = self._unwell(host, found.get(host), services, last)
            if why:
                stage = states.UNREACHABLE if host not in found else states.FAILED
                bad[host] = [stage, f"after its run: {why}"]
        return bad

    def _unwell(self, host, got, services, last):
        if got is None:
            return "it does not answer any more"
        if isinstance(got, answers.NonsenseError):
            return str(got)
        wrong = answers.unwell(got["health"], self.campaign.hosts[host].base, services)
        if last and got["transition"] != "ready":
            wrong.append("the transition of the live patch has not ended")
        late = answers.drained(got)
        return "; ".join(wrong + ([late] if late else []))
