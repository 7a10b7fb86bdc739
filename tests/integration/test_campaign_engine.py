"""
The engine of a real master: it goes on with a campaign whose driver was killed, takes another one that is left to it
meanwhile, and ends both after the master was started again.
"""

import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from _runners.klp import journal
from tests.functional.conftest import LP, THIRD
from tests.integration.conftest import QUIET
from tests.integration.crew import Crew
from tests.lab.build import CHECKOUT
from tests.lab.host import wait_until
from tests.lab.saltcall import MASTER_DIRS

HOSTS = ("web1", "web2", "web3")
BY = "engine klp_campaign"
QUICK = {"waves": [{"name": "all"}], "batch": 1, "target_type": "list", "limits": {"look": 1, "host_timeout": 240}}


class Engines(Crew):
    """A fleet whose master drives campaigns by itself."""

    def entries(self, plan):
        """Return what the journal of a campaign has."""
        path = self.folder() / "campaigns" / plan["id"] / "journal"
        return journal.read(path) or [] if path.exists() else []

    def wait_for(self, plan, what, host=None):
        """Wait until the journal has such an entry (about this host); return it."""

        def found():
            wanted = [item for item in self.entries(plan) if item["what"] == what]
            return [item for item in wanted if host is None or host in item["hosts"]]

        try:
            wait_until(found, 240, what)
        except TimeoutError:
            raise AssertionError(f"{what} {host}: {self.entries(plan)[-20:]}\n{self.logged()[-5000:]}") from None
        return found()[0]

    def logged(self):
        """Return what the master has logged."""
        path = Path(self.master.config["log_file"])
        return path.read_text(errors="replace") if path.exists() else ""

    def engine(self):
        """Return the process of the engine, ``None`` where there is none: the one that has its lock."""
        lock = str(self.folder() / "engine")
        for process in psutil.Process(self.master.pid).children(recursive=True):
            try:
                if lock in [os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir()]:
                    return process
            except OSError:  # it is just ending
                continue
        return None


@pytest.fixture(scope="module")
def crew(salt_factories, lab, pillar, tmp_path_factory):
    """Three hosts, and a master with the engine, as the how-to says."""
    roots = {
        "file_roots": {"base": [str(CHECKOUT / "salt")]},
        "pillar_roots": {"base": [str(pillar.folder)]},
        "worker_threads": 3,
        "engines": [{"klp_campaign": {"every": 1}}],
        **MASTER_DIRS,
        "runner_dirs": [str(shutil.copytree(CHECKOUT / "_runners", tmp_path_factory.mktemp("installed") / "_runners"))],
    }
    master = salt_factories.salt_master_daemon("engine-master", overrides=roots, defaults=dict(QUIET))
    pillar.only("engine-master", {})
    with master.started():
        found = Engines(master, lab, pillar, salt_factories.root_dir)
        with found.mustered(HOSTS):
            yield found


@pytest.fixture(scope="module")
def plans(crew):
    """Two plans: of web1 and web2 one after the other, and of web3."""
    return crew.plan(**QUICK, target="web1,web2"), crew.plan(**QUICK, target="web3")


@pytest.fixture(scope="module")
def first(crew, plans):
    """A campaign whose driver is killed while the first of its two hosts runs."""
    made, _ = plans
    driver = crew.start("klp.run", made["id"])
    crew.wait_for(made, "start", "web1")
    time.sleep(2)  # the engine looks at least once
    assert "resume" not in [item["what"] for item in crew.entries(made)], "a person drives it"
    driver.send_signal(signal.SIGKILL)
    driver.communicate(timeout=30)
    return made


@pytest.fixture(scope="module")
def second(crew, plans, first):
    """A campaign that is left to the engine, which drives the first one meanwhile."""
    _, made = plans
    crew.wait_for(first, "resume")
    code, found, _ = crew.run("klp.run", made["id"], "wait=False")
    assert (code, found["campaign"]["state"]) == (6, "running"), found
    crew.wait_for(made, "start", "web3")
    return made


@pytest.fixture(scope="module")
def ended(crew, first, second):
    """Both campaigns after the master was stopped and started again; how long the engine took to stop."""
    engine, begun = crew.engine(), time.monotonic()
    assert engine, crew.logged()[-5000:]
    crew.master.terminate()
    stopped = time.monotonic() - begun
    assert not engine.is_running(), "it ends with its master"
    crew.master.start()
    for made in (first, second):
        assert crew.wait_for(made, "end")["result"] == "done"
    print(f"stopped after {stopped:.1f} s", [len(crew.entries(made)) for made in (first, second)])
    return stopped


def test_the_engine_goes_on_after_a_kill_of_the_driver_and_after_a_restart_of_the_master(crew, first, second, ended):
    assert crew.editions(LP) == dict.fromkeys(HOSTS, [THIRD])
    assert crew.backups() == {"web1": [first["id"]], "web2": [first["id"]], "web3": [second["id"]]}
    for made, hosts in ((first, ["web1", "web2"]), (second, ["web3"])):
        entries = crew.entries(made)
        starts = [host for item in entries if item["what"] == "start" for host in item["hosts"]]
        unsent = [host for item in entries if item["what"] == "unsent" for host in item["hosts"]]
        assert sorted(starts) == sorted([*hosts, *unsent]), "none but those that a master took with it when it stopped"
        assert {item["by"] for item in entries if item["what"] == "resume"} == {BY}
    assert crew.entries(second)[0]["by"] != BY, "a person has approved it"


def test_a_campaign_is_taken_while_another_one_is_driven(crew, first, second, ended):
    assert crew.wait_for(second, "start")["at"] < crew.wait_for(first, "end")["at"]


def test_the_engine_starts_again_after_a_kill_and_with_new_files(crew, ended):
    def another(old):
        found = crew.engine()
        return found if found and found.pid != old.pid else None

    wait_until(crew.engine, 30, "the engine")
    killed = crew.engine()
    killed.kill()
    wait_until(lambda: another(killed), 60, "an engine after the kill")
    stale = crew.engine()
    file = Path(crew.master.config["runner_dirs"][0]) / "klp" / "turning.py"
    file.write_text(file.read_text() + "\n")
    wait_until(lambda: another(stale), 60, "an engine with the new file")
    assert ended < 20
    # What the engine tells as progress is of level INFO; the others are problems.
    told = [line for line in crew.logged().splitlines() if "klp_campaign: " in line and "[INFO" not in line]
    assert told == [] and "could not be started!" not in crew.logged()
