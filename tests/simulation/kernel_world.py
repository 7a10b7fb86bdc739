"""
Simulated hosts that get another kernel and restart; what they do follows ``_utils/klp_change*.py``.

SLS klp.kernel installs, and the next start is one of the new kernel, once; after it the same SLS verifies. klp.restart
restarts a host only if its boot id is still the one that the campaign has named, and after a delay in which it answers.
klp.kernel_back makes the old kernel the default; after a restart the same SLS says that it went back.

Faults besides those of ``world``: ``falls_back`` (the new kernel does not come up, the old one does), ``never`` (it
does not come back from a restart), ``sick`` (the new kernel runs and is not well), ``boots`` (seconds of a start),
``stuck_down`` (it is asked to restart, and does not), ``deaf`` (so many orders to restart never reach it), ``mute`` (so
many answers to orders are lost), ``by_others`` (seconds after an installation or a way back, when somebody else
restarts it), ``twice`` (seconds after its restart, when it restarts by itself), ``says_no`` (klp.restart fails there).
"""

from __future__ import annotations

from tests.simulation.world import KERNEL, SimHost, World, state, state_summary

TARGET = "5.14.21-150500.55.19-default"
EDITION, LIVE_PATCH = "5.14.21-150500.55.19.1", "1-150500.11.3.1"
DELAY = 10.0  # seconds between the answer of klp.restart and the end of the host (klp_change_restart.DELAY)
BOOT = 90.0
NOT_WELL = "klp-verify: kernel log: BUG: unable to handle page fault"
TRIED = f"kernel {TARGET} was started once and did not come up: this host came up with {KERNEL} again"


class KernelHost(SimHost):
    """A host with two kernels."""

    def __init__(self, name, seconds=60.0, **more):
        super().__init__(name, seconds, **more)
        self.kernel, self.default, self.once = KERNEL, KERNEL, None
        self.change: dict | None = None
        self.orders: list = []  # (moment, stage) of each order to restart that it carries out
        self.starts: list = []  # (moment, why) of each start of the host
        self.downs: list = []  # (from, until, why) of each restart
        self.going = False  # whether it is about to go down
        self.refused = 0  # orders that named an earlier start

    def note(self, world, stage, why=()):
        """Write a stage of its change of kernel."""
        self.change = {
            "stage": stage,
            "from": KERNEL,
            "to": TARGET,
            "edition": EDITION,
            "live_patch": LIVE_PATCH,
            "fallback": True,
            "why": list(why),
            "at": int(world.time),
            "boot_id": self.boot,
        }

    @property
    def stage(self):
        """The stage of its change of kernel."""
        return self.change["stage"] if self.change else None


class KernelWorld(World):
    """Hosts that restart; ``down`` are those that are down because of that."""

    def preview(self, host):
        """Return what klp_audit.run_preview of a host says to kind kernel."""
        more = {"group": host.group, "apart": host.apart, "seconds": int(host.seconds), "skipped": [], "refusals": []}
        done = host.stage == "verified"
        target = {
            "release": TARGET,
            "edition": EDITION,
            "live_patch": LIVE_PATCH,
            "package": "kernel-default",
            "fallback": True,
            "window_last": "2028-05-31",
            "cves": 12,
        }
        changes = {} if done else {"kernel-default": EDITION, "kernel-livepatch-5_14_21-150500_55_19-default": "1-1"}
        return dict(self._summary(host), changes=changes, target=LIVE_PATCH, kernel_target=target, **more)

    def _summary(self, host, *arg):
        return dict(state_summary(self, host, *arg), kernel=host.kernel, kernel_change=host.change)

    def _say(self, host, fun, arg):
        if fun == "klp_audit.state_summary" and "says" not in host.faults:
            return self._summary(host, *arg)
        return super()._say(host, fun, arg)

    # -- runs ------------------------------------------------------------------------------------------------------

    def _receive(self, host, jid, sls, kwarg):
        if sls == "klp.restart" and host.faults.get("deaf"):
            host.faults["deaf"] -= 1
            return
        if not host.going or sls == "klp.restart":
            super()._receive(host, jid, sls, kwarg)

    def _phase(self, host, jid, number):
        if not host.job or host.job[0] != jid:
            return
        if host.job[1] == "klp.kernel" and number == 0:
            self._drain(host)
        steps = STEPS[host.job[1]]
        dies = host.faults.get("dies") if host.job[1] == "klp.kernel" else None
        if dies == number and [sls for _, _, sls in host.started].count("klp.kernel") == 1:
            self.kill(host, host.faults.get("down", 90.0))
            return
        if number == len(steps):
            self._end(host)
            return
        why = steps[number](self, host, host.job[2])
        if why:
            self._end(host, why)
            return
        seconds = 2.0 if host.job[1] == "klp.restart" else host.seconds
        self._at(self.time + seconds / len(steps), self._phase, host, jid, number + 1)

    def _end(self, host, why=None):
        jid, sls, _ = host.job
        host.job = None
        if (
            sls != "klp.restart"
            and host.stage != "installed"
            and not (sls == "klp.kernel_back" and host.stage == "back")
        ):
            host.drained = None
        if sls == "klp.restart" and host.faults.get("mute"):
            host.faults["mute"] -= 1
            return
        loses = {"klp.kernel": "loses", "klp.kernel_back": "loses_back"}.get(sls)
        if loses and host.faults.pop(loses, None):
            return
        if host.stage == "verified" and sls == "klp.kernel":
            host.verified = self.time
            if "ails" in host.faults:
                self._at(self.time + host.faults["ails"], self._oops, host)
        name = {"klp.kernel": "klp-kernel", "klp.restart": "klp-restart", "klp.kernel_back": "klp-kernel-back"}[sls]
        value = host.faults["nonsense"] if "nonsense" in host.faults else state(name, not why, why or "ok", 1)
        self._at(self.time + host.faults.get("slow_answer", 0.0), self._return, host, jid, value)

    def _has_restarted(self, host):
        return host.change is not None and host.change["boot_id"] != host.boot

    def _begin(self, host, klp):
        if host.faults.get("bad") and host.change is None:
            return host.faults["bad"]
        if host.stage == "failed":
            return "; ".join(host.change["why"])
        if host.stage in ("back", "went_back"):
            return f"This host goes back to kernel {KERNEL}"
        if host.change is None:
            host.note(self, "installing")
        return None

    def _install(self, host, klp):
        if host.stage == "installing":
            host.transactions.append(EDITION) if EDITION not in host.transactions else None
            host.once = TARGET
            host.note(self, "installed")
            self._others(host)
        return None

    def _others(self, host):
        """Somebody else restarts a host that waits for it."""
        if "by_others" in host.faults:
            self._at(self.time + host.faults["by_others"], self._start_waiting, host)

    def _start_waiting(self, host):
        if host.stage in ("installed", "back") and not self._has_restarted(host) and not host.going:
            self.start(host, "others")

    def _judge(self, host, klp):
        if not self._has_restarted(host) or host.stage not in ("installed", "restarting"):
            return None
        why = [] if host.kernel == TARGET else [TRIED]
        why = why or ([NOT_WELL] if host.faults.get("sick") else [])
        if why:
            host.default, host.once = KERNEL, None
            host.note(self, "failed", why)
            return "; ".join(why)
        host.default = TARGET
        host.note(self, "verified")
        return None

    def _restart(self, host, klp):
        asked = klp["campaign"]["boot_id"][host.name]
        if asked != host.boot:
            host.refused += 1
            return f"this host was started again since (boot id {host.boot}, asked was {asked}): not restarted"
        if host.stage not in ("installed", "restarting", "back") or self._has_restarted(host):
            return "no change of kernel waits for a restart on this host: it is not restarted"
        if host.faults.get("says_no"):
            return host.faults["says_no"]
        host.note(self, "back" if host.stage == "back" else "restarting")
        if not host.going and not host.faults.get("stuck_down"):
            host.orders.append((self.time, host.stage))
            host.going = True
            self._at(self.time + DELAY, self._go_down, host, host.boot)
        return None

    def _go_down(self, host, boot):
        if host.boot == boot and host.going:
            self.start(host, "campaign")

    def start(self, host, why):
        """A host goes down and comes up with the next kernel, with the old one where the new one does not start."""
        host.going, host.job = False, None
        seconds = 10.0**7 if host.faults.get("never") else host.faults.get("boots", BOOT)
        self.kill(host, seconds)
        host.kernel = host.once or host.default
        if host.kernel == TARGET and host.faults.get("falls_back"):
            host.kernel = host.default
        host.once = None
        host.starts.append((self.time, why))
        host.downs.append((self.time, self.time + seconds, why))
        host.boot, host.log, host.errors = f"boot-{len(host.starts) + 1}", 100, []
        if "twice" in host.faults and why == "campaign":
            self._at(self.time + seconds + host.faults.pop("twice"), self.start, host, "itself")

    def _go_back_kernel(self, host, klp):
        if host.change is None:
            return "no change of kernel is recorded on this host: there is nothing to go back from"
        if host.faults.get("stuck"):
            return host.faults["stuck"]
        if host.kernel != TARGET:
            host.default, host.once = KERNEL, None
            host.note(self, "went_back")
        elif host.stage == "back":
            return f"kernel {TARGET} came up again" if self._has_restarted(host) else None
        else:
            host.default, host.once = KERNEL, None
            host.note(self, "back")
            self._others(host)
        return None


STEPS: dict = {
    "klp.kernel": (KernelWorld._begin, KernelWorld._install, KernelWorld._judge),
    "klp.restart": (KernelWorld._restart,),
    "klp.kernel_back": (KernelWorld._go_back_kernel,),
}
