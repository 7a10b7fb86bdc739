"""
A sync brings a running master and a running minion to another version without a restart: modules, states, runners and a
beacon answer with what was synced last. What came in part only says so in one sentence.
"""

import json
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.conftest import QUIET, minion
from tests.integration.crew import Crew
from tests.lab.build import CHECKOUT
from tests.lab.minion import LabMinion

NAME = "probed"
NO_PLANS = "no plans yet"  # what klp.status says, in one of the parts of the runner
KINDS = ("modules", "states", "utils", "runners", "grains", "beacons", "output")
# What the real files have: the constant, and the try with the imports, of which the probes have their own.
VERSION = re.compile(r'^VERSION = ".*"$', re.MULTILINE)
HEADER = re.compile(r"^VERSION = .*?^    PROBLEM = f.*?\n", re.MULTILINE | re.DOTALL)
IMPORTS = re.compile(r"(?<=klp_fresh\.renew\(\)\n).*?(?=    import klp_version\n)", re.DOTALL)

MODULE = """

def __virtual__():
    return (False, PROBLEM) if PROBLEM else True


def versions():
    return [VERSION, *klp_probe.versions()]
"""
STATE = """

def __virtual__():
    return (False, PROBLEM) if PROBLEM else True


def seen(name):
    return {"name": name, "result": True, "changes": {}, "comment": " ".join([VERSION, *klp_probe.versions()])}
"""
BEACON = """
VERSION = ""


def validate(config):
    return True, ""


def beacon(config):
    return [{"versions": [VERSION, *__salt__["probe.versions"]()]}]
"""
UTIL = """
import klp_probe_part

VERSION = ""


def versions():
    return [VERSION, klp_probe_part.VERSION]
"""
PROBES = {"modules": MODULE, "runners": MODULE, "states": STATE, "beacons": BEACON}
UTILS = {"klp_probe.py": UTIL, "klp_probe_part.py": 'VERSION = ""\n', "klp_probe_added.py": ""}


def probe(kind, imports):
    """Return the probe of a kind: where the real files have imports and their check it has them too."""
    found = HEADER.search((CHECKOUT / f"_{kind}" / "klp.py").read_text())
    lines = "".join(f"    import {name}\n" for name in imports)
    return (IMPORTS.sub(lines, found.group()) if found else "") + PROBES[kind]


class Release(Crew):
    """A master whose file root is brought from version to version, and one minion."""

    def open(self, root):
        self.tree, self.version = root, None
        self.pillar.only(NAME, {"backup": {"backend": "none"}})
        self._host(NAME, "enabled")
        # Salt counts its loops, of which there is one in a second, whatever the smaller interval of test minions says.
        beacons = {"beacons": {"probe": [{"interval": 1}]}, "loop_interval": 1}
        self.minions[NAME] = minion(self.master, NAME, lab=self.lab, inside=self.hosts[NAME], overrides=beacons)
        LabMinion.start(self.minions[NAME])
        self.cli = self.master.salt_cli(timeout=120)

    def write(self, version, imports=("klp_probe",)):
        """Bring the file root to a version: all files of this product, and the probes."""
        for kind in KINDS:
            folder = self.tree / f"_{kind}"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(CHECKOUT / f"_{kind}", folder, ignore=shutil.ignore_patterns("__pycache__"))
            texts = {"probe.py": probe(kind, imports)} if kind in PROBES else UTILS if kind == "utils" else {}
            for name, text in texts.items():
                if name == "probe.py" or name[:-3] in (*imports, "klp_probe_part"):
                    (folder / name).write_text(text)
            for path in folder.rglob("*.py"):
                text = path.read_text().replace(NO_PLANS, f"{NO_PLANS} of {version}")
                path.write_text(VERSION.sub(f'VERSION = "{version}"', text))

    def salt(self, *args):
        """Return what the minion answers."""
        return self.cli.run(*args, minion_tgt=NAME).data

    def bring(self, version):
        """Bring master and minion to a version, whole."""
        self.write(version)
        self.sync()
        self.version = version

    def sync(self, what="all"):
        """Send files to the minion and to the master, both at once."""
        with ThreadPoolExecutor() as pool:
            mine = pool.submit(self.run, f"saltutil.sync_{what}")
            assert self.salt(f"saltutil.sync_{what}")
            assert mine.result()[0] == 0

    def runners(self, function):
        """Return what a runner answers: in a process of its own, and in two calls of a worker of the master."""
        return [self.run(function)[1], *(self.salt("publish.runner", function) for _ in range(2))]

    def logs(self):
        """Return the logs of both daemons."""
        return "".join(open(one.config["log_file"]).read() for one in (self.master, self.minions[NAME]))


@pytest.fixture(scope="module")
def release(salt_factories, lab, pillar, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    settings = {
        "file_roots": {"base": [str(root)]},
        "pillar_roots": {"base": [str(pillar.folder)]},
        "peer_run": {".*": ["probe.versions", "klp.status"]},
        "worker_threads": 3,
    }
    master = salt_factories.salt_master_daemon("release-master", overrides=settings, defaults=dict(QUIET))
    pillar.only("release-master", {})
    with master.started():
        found = Release(master, lab, pillar, salt_factories.root_dir)
        try:
            found.open(root)
            yield found
        finally:
            found.dismiss((NAME,))


def beacon_of(release, listener, version):
    """Return what the beacon says, once it has said this version, or what it says in the end."""
    said, deadline = None, time.monotonic() + 60
    while said != [version] * 4 and time.monotonic() < deadline:
        pattern = (release.master.id, f"salt/beacon/{NAME}/probe/")
        found = listener.wait_for_events([pattern], after_time=time.time(), timeout=10)
        said = [event.data["versions"] for event in found if "versions" in event.data][-1:]
        said = said[0] if said else None
    return said


@pytest.mark.parametrize("version", ["1.0.0", "1.0.1", "1.0.2"])
def test_each_sync_is_seen_by_all(release, event_listener, version):
    """Three times: what is dropped only every second time would be fresh once."""
    release.bring(version)
    assert release.salt("klp.version") == version
    assert release.salt("probe.versions") == [version] * 3
    (state,) = release.salt("state.single", "probe.seen", "seen").values()
    assert state["comment"] == " ".join([version] * 3)
    assert release.runners("probe.versions") == [[version] * 3] * 3
    assert [found["text"].split(";")[0] for found in release.runners("klp.status")] == [f"{NO_PLANS} of {version}"] * 3
    assert beacon_of(release, event_listener, version) == [version] * 4


CURE = "install it again on this master: make install, or its RPM"
FIRST_OF_EACH = ("klp.version", "klp_audit.alarms", "zypper.locks", "root_backup.list")


def why(module, version, utils, cure="run saltutil.sync_all"):
    reason = f"salt-klp: module of version {version}, utils of version {utils}: {cure}"
    return f"'{module}' __virtual__ returned False: {reason}"


@pytest.fixture
def whole(release):
    """The version of a master and a minion that have all, before and after the test."""
    if not release.version:
        release.bring("1.0.9")
    yield release.version
    release.bring(f"{release.version}.1")
    assert release.salt("klp.version") == release.version
    assert [found["retcode"] for found in release.runners("klp.status")] == [0, 0, 0]


def test_modules_without_their_utils_say_what_is_missing(release, whole):
    release.write("2.0.0", imports=("klp_probe", "klp_probe_added"))
    release.salt("saltutil.sync_modules")
    for name in FIRST_OF_EACH:
        assert release.salt(name) == why(name.split(".")[0], "2.0.0", whole)
    sentence = "salt-klp: No module named 'klp_probe_added': run saltutil.sync_all"
    assert release.salt("probe.versions") == f"'probe' __virtual__ returned False: {sentence}"
    release.salt("saltutil.sync_states")
    said = json.dumps(release.salt("state.single", "klp.ready", "ready"))
    assert "Traceback" not in said and "was not found" in said
    assert release.run("saltutil.sync_runners")[0] == 0
    assert release.runners("klp.status") == [why("klp", "2.0.0", whole, CURE)] * 3


def test_utils_without_their_modules_say_so_too(release, whole):
    release.write("3.0.0")
    release.sync("utils")
    assert release.salt("klp.version") == why("klp", whole, "3.0.0")
    assert release.runners("klp.status") == [why("klp", whole, "3.0.0", CURE)] * 3


def test_no_log_has_an_error_of_ours(release):
    text = release.logs()
    assert "saltutil.sync_all" in text
    assert re.findall(r'^ *File ".*/extmods/.*', text, re.MULTILINE) == []
    assert re.findall(r".*KeyError.*(?:klp|zypp|probe).*", text) == []
