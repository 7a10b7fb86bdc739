"""What is told of a campaign while it is driven: every entry of its journal has its words."""

from _runners.klp import campaign as states
from _runners.klp import looking, show
from tests.simulation import campaign
from tests.simulation.book import BASE
from tests.simulation.world import SimHost, World

WAVES = [{"name": "canary", "take": 1}, {"name": "rest"}]

EVERY: dict[str, dict] = {
    "begin": {},
    "clock": {"by": -7200},
    "off": {},
    "open": {"wave": 0},
    "ready": {"hosts": {"h00": BASE}},
    "start": {"wave": 0, "hosts": ["h00"], "jid": "1"},
    "absent": {"hosts": {"h00": "no"}},
    **{what: {"hosts": {"h00": "no"}} for what in ("refused", "spared", "unreachable", "overdue")},
    "lost": {"hosts": ["h00"]},
    "failed": {"hosts": {"h00": "no"}},
    "waiting": {"hosts": ["h00"]},
    "patched": {"wave": 1},
    "passed": {"wave": 2},
    "late": {"hosts": ["h00"], "until": 1},
    "gate": {"why": "x {y}", "wave": 0},
    "quarantine": {"items": [{"package": "p", "edition": "1-1"}]},
    "back": {"hosts": ["h00"], "jid": "1"},
    "again": {"hosts": ["h00"]},
    "stays": {"hosts": {"h00": None, "h01": "no"}},
    "pause": {"by": "anna"},
    "resume": {"by": "anna"},
    "abort": {"by": "anna"},
    "end": {"result": "done"},
    "ended": {"hosts": {"h00": None, "h01": "no"}, "jid": "1"},
    "returned": {"hosts": {"h00": None, "h01": "no"}, "jid": "1"},
    "silent": {"hosts": ["h00"]},
    "spoke": {"hosts": ["h00"]},
    "checked": {"wave": 0, "hosts": {"h00": ["failed", "no"]}, "looked": ["h00"], "last": False},
    "looked": {"hosts": {"h00": ["failed", "no"]}},
    "unbegun": {"hosts": {"h00": "no"}},
    "unsent": {"hosts": ["h00"]},
    "installed": {"hosts": {"h00": "boot-1"}, "jid": "1"},
    "restart": {"hosts": {"h00": "boot-1"}, "jid": "1", "by": 1},
    "unrestarted": {"hosts": {"h00": "no"}},
    "restarted": {"hosts": {"h00": BASE}},
    "verify": {"hosts": ["h00"], "jid": "1", "by": 1},
}


def test_every_entry_that_a_campaign_takes_has_its_words():
    made = campaign.plan(World([SimHost(f"h{number:02}") for number in range(3)]), waves=WAVES)
    kinds = {name[4:] for name in dir(states.Campaign) if name.startswith("_on_")}
    assert kinds == set(EVERY) and set(show.TEXTS) == kinds - {"ended", "returned", "checked", "looked"}
    for what, fields in EVERY.items():
        lines = show.line(made, {"what": what, "at": 1, "n": 1, **fields})
        assert lines and all(line.isprintable() and line for line in lines), what
    assert show.line(made, {"what": "gate", **EVERY["gate"]}) == ["STOP: x {y}"]
    assert show.line(made, {"what": "passed", "wave": 2}) == ["wave late: passed"]
    good = show.line(made, {**EVERY["checked"], "what": "checked", "hosts": {}})
    assert good == ["wave canary, a look at h00: all is well"]
    assert show.line(made, {"what": "looked", "hosts": {}}) == ["a last look at all hosts: all is well"]
    assert show.line(made, {"what": "stays", **EVERY["stays"]}) == ["h00, h01: does not go back", "  h01: no"]
    assert show.line(made, {"what": "returned", **EVERY["returned"]}) == ["h00: went back", "h01: FAILED: no"]
    assert looking.MISSES == 2
