"""
A campaign that is killed again and again: the process that drives it, the master, a minion in the middle of its zypper.
In the end each host has what it would have without, and nothing was done twice that must happen once.
"""

import os
import random

import pytest

from tests.functional.conftest import LP, THIRD, writes
from tests.functional.gate import HOOK, close_gate, open_gate, pid_of, stop_in, wait_at_gate
from tests.integration.conftest import QUIET
from tests.integration.crew import CAMPAIGN, HOSTS, Crew
from tests.integration.killing import Story, has, kill_all, kill_minion
from tests.lab.host import wait_until
from tests.lab.saltcall import MASTER_DIRS

SEED = 20261127
DRIVER_KILLS = 4  # the simulation kills a driver at each of its entries
SCHEDULE = {"klp-resume": {"function": "klp.resume", "seconds": 5, "maxrunning": 1}}


@pytest.fixture(scope="module")
def crew(salt_factories, lab, pillar):
    """A fleet with a master of its own, which can be killed; its scheduler takes up what was interrupted."""
    roots = {
        "file_roots": {"base": [str(lab_root())]},
        "pillar_roots": {"base": [str(pillar.folder)]},
        "worker_threads": 3,
        **MASTER_DIRS,
    }
    master = salt_factories.salt_master_daemon("mortal-master", overrides=roots, defaults=dict(QUIET))
    pillar.only("mortal-master", {})
    with master.started():
        found = Crew(master, lab, pillar, salt_factories.root_dir)
        with found.mustered():
            yield found


def lab_root():
    """Return the file root of the checkout."""
    from tests.lab.build import CHECKOUT

    return CHECKOUT / "salt"


def kill_drivers(story):
    """Kill the process that drives: at its first two entries, later at random ones."""
    print(f"seed {SEED}")
    chance, sizes = random.Random(SEED), [1, 2]  # noqa: S311 - moments, not secrets
    while len(sizes) < DRIVER_KILLS:
        sizes.append(sizes[-1] + chance.randint(1, 3))
    for size in sizes:
        story.drive()
        story.kill_driver(size)


def kill_in_zypper(story, name):
    """Kill a minion in the middle of its zypper, which goes on alone and comes to its end; the minion stays away."""
    host, minion = story.crew.hosts[name], story.crew.minions[name]
    wait_at_gate(host)
    kill_minion(minion)
    minion.terminate()
    story.kills.append(f"minion {name} in the scriptlet of the live patch")
    handle = open_gate(host)
    wait_until(lambda: not pid_of(host, "zypper"), 60, "the end of zypper")
    os.close(handle)


def kill_master(story, what):
    """Kill the master and all its processes."""
    master = story.crew.master
    kill_all(master.pid)
    master.terminate()
    story.kills.append(f"master with {what}")


def schedule(master):
    """Let the master's scheduler take up campaigns, from its next start on."""
    folder = os.path.join(master.config_dir, "master.d")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "schedule.conf"), "w") as file:
        file.write(f"schedule: {SCHEDULE!r}\n")


@pytest.fixture(scope="module")
def story(crew):
    """The campaign, killed at a dozen moments."""
    found = Story(crew, crew.plan(limits={**CAMPAIGN["limits"], "look": 1}))
    for host in crew.hosts.values():
        host.forget_programs()
    close_gate(crew.hosts["web2"])
    stop_in(crew.hosts["web2"], HOOK)
    kill_drivers(found)

    # A driver outlives its master, and so does the campaign.
    found.drive()
    kill_in_zypper(found, "web2")
    kill_master(found, "web2 gone")
    crew.master.start()
    crew.minions["web2"].start()
    found.wait_for(lambda entries: has(entries, "lost", "web2"), "web2 to be missed")

    # Both at once, while the last wave runs: the master's scheduler is the one who goes on.
    found.wait_for(lambda entries: has(entries, "start", "web4"), "the last wave")
    found.kill_driver(0)
    kill_master(found, "the last wave running")
    schedule(crew.master)
    crew.master.start()
    found.wait_for(lambda entries: has(entries, "end"), "the scheduler to end the campaign")
    return found


def test_the_end_is_that_of_an_undisturbed_campaign(crew, story):
    print(len(story.kills), "kills:", "; ".join(story.kills))
    assert len(story.kills) >= 6
    assert story.entries()[-1]["result"] == "done", story.entries()[-20:]
    assert crew.editions(LP) == dict.fromkeys(HOSTS, [THIRD])
    code, found, _ = crew.run("klp.status", story.plan["id"])
    assert (code, found["campaign"]["verified"]) == (0, len(HOSTS))
    assert crew.run("klp.audit", 'pillar={"klp_campaign": {"target": "web*", "target_type": "glob"}}')[0] == 0


def test_each_host_has_one_backup(crew, story):
    assert crew.backups() == dict.fromkeys(HOSTS, [story.plan["id"]])


def test_each_transaction_of_zypper_was_made_once(crew, story):
    found = {name: writes(host) for name, host in crew.hosts.items()}
    once = found["web6"]
    (whole,) = once
    # The zypper that lost its minion ends with the live patch. The next run brings that in again, for the initrd, and
    # what is left of the plan.
    rest = [word for word in whole if word.partition("=")[0] != LP]
    cut = [list(args) for args in found.pop("web2") if args[:2] != ("install", "--force")]
    assert cut == [list(whole), rest]
    assert {name: args for name, args in found.items() if args != once} == {}


def test_no_job_was_given_twice(story):
    starts = [item for item in story.entries() if item["what"] == "start"]
    assert len({item["jid"] for item in starts}) == len(starts)
    begun = [host for item in starts for host in item["hosts"]]
    cut = [host for item in story.entries() if item["what"] in ("lost", "unsent") for host in item["hosts"]]
    assert sorted(begun) == sorted([*HOSTS, *cut])
    assert "web2" in cut
