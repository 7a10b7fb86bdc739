"""A master with the runner klp, over simulated hosts that answer what a plan and an audit ask."""

import copy
import json
from collections.abc import Callable

import salt.loader
import salt.pillar
import salt.utils.minions

from _runners.klp import commands, outcome, serving, steering, survey
from tests.simulation.world import NEW, SimHost, World, run_preview
from tests.unit.loader import load

WAVES = [{"name": "canary", "take": 1}, {"name": "rest"}]
PREVIEW = "klp_audit.run_preview"
QUICK = {"order": "name", "soak": {"minutes": []}, "waves": WAVES, "batch": 2}


class Fleet(World):
    """Simulated hosts that also answer what a plan and an audit ask."""

    closed = 0

    def _say(self, host, fun, arg):
        if fun == "klp_audit.run_preview":
            return dict(run_preview(self, host), code=host.faults.get("code", "this"))
        if fun == "klp.verify":
            return {"verdict": "ok" if host.edition == NEW else "blocked", "checks": []}
        if fun == "saltutil.sync_all":
            host.faults.pop("code", None)
        return True if fun in ("test.ping", "saltutil.sync_all") else super()._say(host, fun, arg)

    def close(self):
        self.closed += 1


class Master:
    """A master with a pillar, accepted minions and a folder; ``run`` calls a public function as salt-run does."""

    def __init__(self, folder, monkeypatch):
        self.fleet = Fleet([SimHost(f"web{number}") for number in range(4)])
        self.pillar: dict = {"klp_campaign": copy.deepcopy(QUICK)}
        self.opts = {"id": "master_master", "root_dir": str(folder), "master_job_cache": "local_cache"}
        self.context: dict = {}
        self.targets: list = []
        self.mine: Callable = lambda target, fun, target_type: {}
        self.dunders = {
            "__opts__": self.opts,
            "__context__": self.context,
            "__salt__": {"mine.get": lambda target, fun, target_type: self.mine(target, fun, target_type)},
        }
        self.runner = load("_runners", "klp", **self.dunders)
        monkeypatch.setattr(
            self.runner,
            "_part",
            {"commands": commands, "outcome": outcome, "survey": survey, "serving": serving}.__getitem__,
        )
        monkeypatch.setattr(steering.hands, "Hands", lambda opts, campaign: self.fleet)
        monkeypatch.setattr(commands.asking, "code", lambda opts: "this")
        monkeypatch.setattr(commands.time, "time", lambda: self.fleet.time)
        monkeypatch.setattr(commands.salt.utils.user, "get_specific_user", lambda: "sudo_anna")
        monkeypatch.setattr(salt.loader, "grains", lambda opts: {"id": opts["id"]})
        monkeypatch.setattr(salt.pillar, "get_pillar", self.get_pillar)
        monkeypatch.setattr(salt.utils.minions.CkMinions, "__init__", lambda checker, opts: None)
        monkeypatch.setattr(salt.utils.minions.CkMinions, "check_minions", self.check_minions)

    def get_pillar(self, opts, grains, ident, env):
        assert (grains, ident, env) == ({"id": ident}, "master_master", "base")
        compiled = copy.deepcopy(self.pillar)
        return type("Compiler", (), {"compile_pillar": lambda self: compiled})()

    def check_minions(self, expression, kind, greedy):
        assert greedy is False
        self.targets.append((expression, kind))
        names = sorted(self.fleet.hosts)
        return {"minions": [] if expression == "none*" else names[:1] if expression == "web0" else names}

    def run(self, name, *args, **kwargs):
        answer = getattr(self.runner, name)(*args, **kwargs)
        json.dumps(answer)
        assert self.context["retcode"] == answer["retcode"]
        assert answer["outputter"] == "klp"
        return answer

    def plan(self, **campaign):
        answer = self.run("plan", pillar={"klp_campaign": campaign} if campaign else None)
        assert answer["retcode"] == 0, answer
        return answer["plan"]["id"]

    def refused(self, *args, **kwargs):
        answer = self.run(*args, **kwargs)
        assert answer["retcode"] == 1
        assert answer["text"] == f"refused: {answer['error']}"
        return answer["error"]
