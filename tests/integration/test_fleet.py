"""Several hosts of one master: what is sent to them, what each of them answers, and that none of them is the other."""

import pytest

from tests.functional.conftest import KERNEL_EDITION, LOCKS, LP, THIRD, volumes
from tests.integration.conftest import GOLDEN, PILLAR
from tests.integration.crew import results, states
from tests.lab.packages import KERNEL

UPDATED = {"curl", "libopenssl1_1", "libz1", "libzypp", "nfs-client"}
MISTAKE = {**PILLAR["klp"], "transition": {"timout": 5}}
SENTENCE = "pillar klp:transition:timout: unknown key; did you mean timeout?"


def changed(answer, name):
    """Return the ids of the states that changed something, or would."""
    return {ident for ident, state in states(answer, name).items() if state["changes"]}


def locked(fleet, names):
    """Return the packages that are locked on each of some hosts."""
    answer = fleet.run("zypper.locks", names=names)
    return {name: sorted(lock["package"] for lock in locks) for name, locks in answer.data.items()}


@pytest.mark.parametrize("name", GOLDEN)
def test_an_unsynced_minion_says_what_to_do(refused, name):
    assert refused.returncode != 0
    results = {state["__id__"]: (state["result"], state["comment"]) for state in refused.data[name].values()}
    sentence = f"salt-klp is not on this minion yet, run: salt '{name}' saltutil.sync_all"
    assert results == {"klp-ready": (False, sentence)}


def test_the_status_is_that_of_each_host(fleet):
    answer = fleet.run("klp.status")
    assert answer.returncode == 0
    assert {name: status["kernel"] for name, status in answer.data.items()} == dict.fromkeys(GOLDEN, KERNEL)
    assert {name: status["transition"] for name, status in answer.data.items()} == dict.fromkeys(GOLDEN, "ready")


def test_the_prediction_names_the_changes_and_makes_none(predicted):
    answer, before, after = predicted
    assert answer.returncode == 0
    assert before == after
    assert changed(answer, "ready") == set()
    assert changed(answer, "second") == {"klp-locks"}
    assert changed(answer, "fresh") >= {"klp-backup-enable", "klp-locks", "klp-enabled"}
    assert set(results(answer, "ready").values()) == {True}
    assert None in results(answer, "fresh").values()
    assert False not in results(answer, "fresh").values()


def test_all_hosts_are_enabled_at_once(fleet, enabled):
    assert enabled.returncode == 0
    assert {name: set(results(enabled, name).values()) for name in GOLDEN} == dict.fromkeys(GOLDEN, {True})
    assert changed(enabled, "ready") == set()
    assert locked(fleet, GOLDEN) == dict.fromkeys(GOLDEN, LOCKS)


def test_all_hosts_are_patched_at_once(fleet, patched):
    assert patched.returncode == 0
    assert {name: set(results(patched, name).values()) for name in GOLDEN} == dict.fromkeys(GOLDEN, {True})
    assert changed(patched, "ready") == set()
    assert {name: set(states(patched, name)["klp-updates"]["changes"]) for name in ("fresh", "second")} == {
        "fresh": UPDATED,
        "second": {*UPDATED, LP},
    }
    for name in GOLDEN:
        assert fleet.host(name).editions(LP) == [THIRD]
        assert fleet.host(name).editions("kernel-default") == [KERNEL_EDITION]


def test_each_host_has_its_own_backups(fleet, patched):
    runs = fleet.run("root_backup.list").data
    assert {name: [run["backup"] for run in runs[name]] for name in GOLDEN} == {
        "ready": [],
        "fresh": ["vol-1", "vol-2"],
        "second": ["vol-1"],
    }
    for name in GOLDEN:
        made = [(backup, run) for backup, run, _ in volumes(fleet.host(name))]
        assert made == [(run["backup"], run["run"]) for run in runs[name]]


def test_all_hosts_are_good_afterwards(fleet, patched):
    answer = fleet.run("klp.verify")
    assert answer.returncode == 0
    assert {name: found["verdict"] for name, found in answer.data.items()} == dict.fromkeys(GOLDEN, "ok")


def test_a_change_on_one_host_is_not_seen_on_the_others(fleet, predicted):
    before = fleet.readings()
    assert fleet.run("zypper.add_locks", "[bash]", names=["second"]).data == ["bash"]
    answer = locked(fleet, GOLDEN)
    after = fleet.readings()
    assert fleet.run("zypper.remove_locks", "[bash]", names=["second"]).data == ["bash"]
    assert answer == {"ready": LOCKS, "fresh": LOCKS, "second": ["bash", *LOCKS]}
    assert {name for name in GOLDEN if after[name] != before[name]} == {"second"}
    assert fleet.readings() == before


def test_a_mistake_in_the_pillar_is_refused_on_that_minion_only(fleet, pillar, patched):
    pillar.only("second", MISTAKE)
    try:
        before = fleet.readings()
        answer = fleet.run("state.apply", "klp", names=["ready", "second"])
        assert fleet.readings() == before
    finally:
        pillar.only("second")
    assert answer.returncode != 0
    assert set(results(answer, "ready").values()) == {True}
    assert set(results(answer, "second").values()) == {False}
    assert states(answer, "second")["klp-ready"]["comment"] == SENTENCE
    assert changed(answer, "second") == set()
    assert fleet.run("state.apply", "klp", names=["ready", "second"]).returncode == 0
