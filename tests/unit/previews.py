"""What a host says of itself for a campaign, and an enabled host that says so."""

import pytest

import klp_live
import klp_updates
import zypp_solver
from _runners.klp import answers
from tests.unit.conftest import KERNEL, LP
from tests.unit.hosts import FIRST, ONE, WELL, has

NOW = 1_700_000_000


@pytest.fixture
def host(minion, monkeypatch):
    """An enabled and locked host; nothing is pending."""
    has(minion, ONE)
    minion.live_patch(FIRST)
    minion.pillar["klp"] = {"backup": {"backend": "none"}}
    minion.locked(*minion.salt["klp.settings"]()["locks"])
    minion.pending, minion.skipped, minion.jobs = {}, [], []
    minion.more = {}  # what of STATE is another in a test
    minion.salt["saltutil.running"] = lambda: minion.jobs

    def plan(host, update=None, level=None):
        assert (update, level) == (None, "latest")
        found = {"packages": minion.pending, "live_patch": {}, "reload": {}, "unfinished": {}}
        return dict(found, skipped=minion.skipped)

    def sources(host):
        patches = [{"name": FIRST, "active": True}]
        return {
            "sysfs": klp_live.status(host)["patches"],
            "transition": {"value": "ready"},
            "patches": {"value": patches},
        }

    monkeypatch.setattr(klp_updates, "plan", plan)
    monkeypatch.setattr(zypp_solver, "refresh", lambda host: ["a"])
    monkeypatch.setattr(klp_live, "sources", sources)
    return minion


STATE: dict = {
    "version": 3,
    "host": "sles1",
    "time": NOW,
    "kernel": KERNEL,
    "transition": "ready",
    "package": LP,
    "live_patch": ONE,
    "active": FIRST,
    "unfinished": False,
    "held": None,
    "restoring": False,
    "run": None,
    "busy": [],
    "health": dict(WELL, application=None),  # nobody has asked for it
    "hooks": {"before": [], "after": [], "on_failure": [], "due": None},
    "kernel_change": None,
}


def preview(host, *args):
    """Return what is added to how the host stands; the master understands the whole."""
    found = host.salt["klp_audit.run_preview"](*args)
    assert found.pop("code") is None, "the files of these tests are not in folders as Salt syncs them"
    assert answers.run_preview("sles1", found) == found
    assert {key: found[key] for key in STATE} == dict(STATE, **host.more)
    return {key: found[key] for key in found if key not in STATE}


NOTHING: dict = {"changes": {}, "target": ONE, "skipped": [], "refusals": [], "seconds": None, "kernel_target": None}
NOTHING.update(group=None, apart=[])


def refusal(*sentences):
    return dict(NOTHING, target=None, refusals=list(sentences))
