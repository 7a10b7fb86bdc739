"""
Jobs as processes and, with ``multiprocessing: False``, as threads of the minion: each state run has one host, which the
next run does not get, and a run that fails lets the next job begin.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.functional.conftest import FIRST, LP, SECOND, THIRD, VERIFY, VERIFY_SCRIPT
from tests.integration.conftest import PILLAR, Fleet, furnish, minion
from tests.integration.crew import results
from tests.lab.host import Host
from tests.lab.minion import LabMinion

NAMES = {"forking": True, "threading": False}
LOCKING = ("addlock", "removelock")


@pytest.fixture(scope="module")
def pair(master, lab, pillar, salt_factories):
    """Two hosts at the first level whose minions have a process, or a thread, for each job."""
    hosts = {name: Host(lab, name, "enabled", bind=[Path(salt_factories.root_dir)]) for name in NAMES}
    minions = {}
    try:
        for name, host in hosts.items():
            furnish(host.start())
            pillar.only(name)
            overrides = {"multiprocessing": NAMES[name]}
            minions[name] = minion(master, name, lab=lab, inside=host, overrides=overrides)
        with ThreadPoolExecutor() as pool:
            list(pool.map(LabMinion.start, minions.values()))
        fleet = Fleet(master, minions)
        assert fleet.run("saltutil.sync_all", names=NAMES).returncode == 0
        yield fleet
    finally:
        for daemon in minions.values():
            daemon.terminate()
        for host in hosts.values():
            host.stop()


def test_a_run_that_failed_lets_the_next_job_begin(pair):
    for name in NAMES:
        pair.host(name).write(VERIFY, "#!/bin/sh\nexit 1\n", mode=0o755)
    answer = pair.run("state.apply", "klp.patch", names=NAMES)
    for name in NAMES:
        pair.host(name).write(VERIFY, VERIFY_SCRIPT, mode=0o755)
        found = results(answer, name)
        assert (found["klp-ready"], found["klp-updates"]) == (True, False), answer
    assert pair.run("zypper.add_locks", "[bash]", names=NAMES).data == dict.fromkeys(NAMES, ["bash"])
    assert pair.run("zypper.remove_locks", "[bash]", names=NAMES).data == dict.fromkeys(NAMES, ["bash"])
    assert {name: pair.host(name).editions(LP) for name in NAMES} == dict.fromkeys(NAMES, [FIRST])


RUNS = [(SECOND, ["state.apply", "klp.patch"]), (THIRD, ["state.single", "klp.patched", "klp", "level=3"])]


@pytest.mark.parametrize(("edition", "run"), RUNS)
def test_each_run_reads_anew_and_refreshes_once(pair, pillar, edition, run):
    """What one run has refreshed and read does for all its states, and not for the next run."""
    for name in NAMES:
        pillar.only(name, {**PILLAR["klp"], "level": 2})
        pair.host(name).forget_programs()
    answer = pair.run(*run, names=NAMES)
    for name in NAMES:
        assert set(results(answer, name).values()) == {True}, answer
        assert pair.host(name).editions(LP) == [edition]
        calls = refreshed(pair.host(name))
        assert len(calls) > 1 and calls == [True] + [False] * (len(calls) - 1), (name, calls)


def refreshed(host):
    """Return for each zypper that looks into repositories whether it refreshed them, in order."""
    calls = [program.argv[1:] for program in host.started("zypper")]
    return ["--no-refresh" not in argv for argv in calls if argv != ("--version",) and not set(LOCKING) & set(argv)]
