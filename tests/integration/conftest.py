"""A real master, real minions in lab hosts, and what happens to them: each step is a fixture that runs once."""

import json
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.functional.conftest import BACKUP, BACKUP_SCRIPT, COMMAND_BACKEND, VERIFY, VERIFY_SCRIPT
from tests.integration import user
from tests.lab.build import CHECKOUT
from tests.lab.host import Host
from tests.lab.minion import LabMinion
from tests.lab.saltcall import MASTER_DIRS

GOLDEN = {"ready": "converged", "fresh": "fresh", "second": "enabled"}
# The %post of the lab's nfs-client fails.
PILLAR = {"klp": {"backup": COMMAND_BACKEND, "transition": {"timeout": 120}, "update": {"scriptlets": "accept"}}}
QUIET = {"enable_fqdns_grains": False, "enable_gpu_grains": False, "log_level_logfile": "warning"}


@pytest.fixture(scope="session")
def salt_factories_config():
    """Everything in one directory of its own, with a short name: it holds UNIX sockets."""
    root = tempfile.mkdtemp(prefix="klp-")
    user.prepare(Path(root))
    yield {
        "code_dir": None,
        "root_dir": root,
        "start_timeout": 120,
        "slow_stop": False,
        "inject_sitecustomize": False,
    }
    shutil.rmtree(root)


@pytest.fixture
def tmp_path(tmp_path, salt_factories):
    """A folder that the user of the master can write into; those of pytest belong to root alone."""
    return user.place(Path(salt_factories.root_dir)) if user.NAME != "root" else tmp_path


class Pillar:
    """The pillar of the fleet: the same for all, until ``only`` says something else for one minion."""

    def __init__(self, folder, files):
        self.folder, self.files = folder, files  # files: a file root beside that of the checkout, for SLS of a site
        self._write("top", {"base": {"*": ["{{ grains['id'] }}"]}}, head="")

    def _write(self, name, data, head="#!json\n"):
        (self.folder / f"{name}.sls").write_text(head + json.dumps(data) + "\n")

    def only(self, name, klp=None):
        """Give one minion a pillar of its own below ``klp``; without one it has that of all again."""
        self._write(name, PILLAR if klp is None else {"klp": klp})


@pytest.fixture(scope="session")
def pillar(salt_factories):
    """The pillar, which the master reads."""
    folders = [Path(salt_factories.root_dir) / name for name in ("site-pillar", "site-files")]
    for folder in folders:
        folder.mkdir()
    found = Pillar(*folders)
    for name in (*GOLDEN, "mortal"):
        found.only(name)
    return found


def new_master(salt_factories, pillar, **settings):
    """Make a master with the checkout's file root, this pillar, and settings of its own; it lets every minion in."""
    roots = {
        "user": user.NAME,
        "file_roots": {"base": [str(CHECKOUT / "salt"), str(pillar.files)]},
        "pillar_roots": {"base": [str(pillar.folder)]},
        "worker_threads": 3,
        **MASTER_DIRS,
        # A host that one file of tests leaves and the next one sets up anew has the same name and another key.
        "open_mode": True,
    }
    daemon = salt_factories.salt_master_daemon("master", overrides={**roots, **settings}, defaults=dict(QUIET))
    user.install(Path(daemon.config["root_dir"]))
    return daemon


@pytest.fixture(scope="session")
def master(salt_factories, pillar):
    """A running master."""
    daemon = new_master(salt_factories, pillar)
    with daemon.started():
        yield daemon


class Fleet:
    """The minions by name, and the ``salt`` command of their master."""

    def __init__(self, master, minions):
        self.cli = master.salt_cli(timeout=180)
        self.minions = minions

    def host(self, name):
        """Return the lab host of a minion."""
        return self.minions[name].host

    def run(self, fun, *args, names=tuple(GOLDEN), **kwargs):
        """Run ``salt -L NAMES FUN ARGS``: one job on all these minions."""
        return self.cli.run("-L", fun, *args, minion_tgt=",".join(names), **kwargs)

    def readings(self):
        """Return what rpm and the lock file say on every host."""
        return {name: (minion.host.packages(), minion.host.locks()) for name, minion in self.minions.items()}


def furnish(host):
    """Give a host the backup command that the pillar names."""
    host.write(BACKUP, BACKUP_SCRIPT, mode=0o755)
    host.write(VERIFY, VERIFY_SCRIPT, mode=0o755)


def minion(master, name, **kwargs):
    """Make a minion of the master; the factories write into the dict that they get as defaults."""
    settings = {**QUIET, "acceptance_wait_time": 1, "mine_enabled": False}
    return master.salt_minion_daemon(name, factory_class=LabMinion, defaults=settings, **kwargs)


@pytest.fixture(scope="session")
def unsynced(master, lab):
    """The running minions, which have nothing of this formula yet."""
    minions = {name: minion(master, name, lab=lab, golden=golden) for name, golden in GOLDEN.items()}
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(LabMinion.start, minions.values()))
        for daemon in minions.values():
            furnish(daemon.host)
        yield Fleet(master, minions)
    finally:
        for daemon in minions.values():
            daemon.terminate()


@pytest.fixture(scope="session")
def refused(unsynced):
    """What ``state.apply klp`` answers before saltutil.sync_all."""
    return unsynced.run("state.apply", "klp")


@pytest.fixture(scope="session")
def fleet(unsynced, refused):
    """The minions after saltutil.sync_all."""
    done = unsynced.run("saltutil.sync_all")
    assert done.returncode == 0, done
    for name in GOLDEN:
        assert "modules.klp" in done.data[name]["modules"]
    return unsynced


@pytest.fixture(scope="session")
def predicted(fleet):
    """What ``state.apply klp test=True`` says, and the hosts before and after it."""
    before = fleet.readings()
    return fleet.run("state.apply", "klp", "test=True"), before, fleet.readings()


@pytest.fixture(scope="session")
def enabled(fleet, predicted):
    """What ``state.apply klp`` says, on all at once."""
    return fleet.run("state.apply", "klp")


@pytest.fixture(scope="session")
def patched(fleet, enabled):
    """What ``state.apply klp.patch`` says, on all at once."""
    return fleet.run("state.apply", "klp.patch")


@pytest.fixture
def mortal(master, lab, salt_factories):
    """A synced minion in a host that survives it, with a process that holds the next transition up."""
    with Host(lab, "mortal", "enabled", bind=[Path(salt_factories.root_dir)]) as host:
        furnish(host)
        daemon = minion(master, "mortal", lab=lab, inside=host)
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.terminate()
