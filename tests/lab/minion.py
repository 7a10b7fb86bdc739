"""A real minion daemon of pytest-salt-factories that lives in a lab host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attr
from saltfactories.daemons.minion import SaltMinion

from . import packages
from .build import Lab, build
from .host import Host, held_namespace, mount_namespace, nshost_argv


@attr.s(kw_only=True, slots=True)
class LabMinion(SaltMinion):
    """
    Create it with ``master.salt_minion_daemon("sles1", factory_class=LabMinion, golden="enabled")``.

    Each start makes a new host, unless ``inside`` is a running one: that one survives its minion. The root directory of
    the factories has to be visible in the host, because both sides write there: a new host gets it by itself.
    """

    lab: Lab = attr.ib(factory=build, repr=False)
    golden: str = attr.ib(default="fresh")
    kernel: str = attr.ib(default=packages.KERNEL)
    bind: list[Path] = attr.ib(factory=list)
    inside: Host | None = attr.ib(default=None, repr=False)
    _host: Host | None = attr.ib(default=None, init=False, repr=False)

    def cmdline(self, *args: Any, **kwargs: Any) -> list[str]:
        """Return the daemon's command line, wrapped so that it runs in a host."""
        command = [str(word) for word in SaltMinion.cmdline(self, *args, **kwargs)]
        if self.inside:
            return self.inside.argv(command)
        bind = [self.factories_manager.root_dir, *self.bind]
        argv = nshost_argv(self.lab, self.id, self.golden, command, bind)
        return ["env", f"FAKE_UNAME_R={self.kernel}", *argv]

    @property
    def host(self) -> Host:
        """Return the running minion's host: its files, packages, programs and faults."""
        if self.inside:
            return self.inside
        if self._host is None or self._host.pid != self.pid:
            self._host = Host.attach(self.pid, self.lab)
            self._host.name = self.id
        return self._host

    def terminate(self) -> Any:
        """End the daemon, and everything else in the host that was made for it."""
        if self.inside or not self.is_running() or not mount_namespace(self.pid):
            return SaltMinion.terminate(self)
        with held_namespace(self.pid) as namespace:
            result = SaltMinion.terminate(self)
            Host.kill_all(namespace)
        return result
