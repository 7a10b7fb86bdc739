"""How Salt starts the engine klp_campaign, and what it finds or misses then."""

import os

import pytest
import salt.loader

from _runners.klp import engine
from tests.unit.loader import load


class Runners(dict):
    """What salt.loader.runner returns."""

    def missing_fun_string(self, name):
        why = "No module named 'klp_fresh': install it again on this master: make install, or its RPM"
        return f"'klp' __virtual__ returned False: salt-klp: {why}"


@pytest.fixture
def started(master, monkeypatch, caplog):
    """Start the engine as Salt does: ``(what it served, what it logged, its naps)``."""
    served: list = []
    naps: list = []
    monkeypatch.setattr(master.runner, "_part", lambda name: engine)
    monkeypatch.setattr(engine, "serve", lambda opts, every, gone: served.append((opts, every, gone())))
    found = [Runners({"klp.resume": master.runner.resume})]
    monkeypatch.setattr(salt.loader, "utils", lambda opts: "utils")
    monkeypatch.setattr(salt.loader, "runner", lambda opts, utils: found[min(len(naps), len(found) - 1)])

    def start(*before, **options):
        found[:0] = before
        module = load("_engines", "klp_campaign", __opts__={**master.opts, "__role": "master"})
        monkeypatch.setattr(module.time, "sleep", naps.append)
        module.start(**options)
        return served, [record.getMessage() for record in caplog.records], naps

    return start


def test_it_is_an_engine_of_a_master_only():
    assert load("_engines", "klp_campaign", __opts__={"__role": "master"}).__virtual__() is True
    assert load("_engines", "klp_campaign", __opts__={"__role": "minion"}).__virtual__()[0] is False


def test_it_starts_with_the_runner_of_this_master(master, started):
    served, said, _ = started(every=3)
    assert served == [({**master.opts, "__role": "master"}, 3, False)] and said == []


@pytest.mark.parametrize("every", [0, 301, "10", True, None])
def test_a_wrong_option_is_said_and_stops_nothing(started, every):
    served, said, _ = started(every=every, limit=1)
    assert served[0][1] == 10
    assert said == [
        "klp_campaign: option limit is not known; there is: every",
        f"klp_campaign: option every: wanted seconds from 1 to 300, found {every!r}; it is 10 now",
    ]


def test_without_the_runner_it_says_so_once_and_looks_again(started):
    served, said, naps = started(Runners(), Runners())
    assert len(served) == 1 and naps == [10, 10]
    (sentence,) = said
    assert sentence.startswith("klp_campaign: no campaign is driven: 'klp' __virtual__ returned False")
    assert sentence.endswith("install it again on this master: make install, or its RPM")


def test_without_a_master_it_does_not_even_start(started, monkeypatch):
    parents = iter([7, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    assert started()[0] == []
