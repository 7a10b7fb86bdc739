"""One host of each kind, a report about all of them, and the beacon: real master, real minions, real zypper."""

import csv
import datetime
import json
import os
import shutil
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.functional.conftest import COMMAND_BACKEND, LP
from tests.integration.conftest import minion
from tests.integration.crew import SECRET, Crew
from tests.lab.build import CHECKOUT
from tests.lab.minion import LabMinion
from tests.lab.packages import SLES_UPDATES
from tests.unit.loader import recorded

SCHEMA = json.loads((CHECKOUT / "docs" / "reference" / "host.schema.json").read_text())
VEX = json.loads(recorded("openvex/schema-0.2.0.json"))
LIFECYCLE = "/usr/share/lifecycle/data/sle-module-live-patching.lifecycle"
MODULE = "livepatch_3_150500_2_1"
# Golden root, pillar, whether the repository with newer kernels is there, days until the window ends.
KINDS: dict = {
    "covered": ("converged", {}, False, 200),
    "pending": ("enabled", {"level": 1}, False, 200),
    "reboot": ("converged", {}, True, 200),
    "expired": ("converged", {}, True, -3),
    "unclear": ("converged", {"alarms": {"repair_locks": True}}, False, None),
    "stalled": ("converged", {}, False, 200),
    "unlocked": ("converged", {}, False, 200),
    "unpatchable": ("fresh", {}, False, 200),
}
SILENT = "gone"
WATCHED = "unclear"  # the host with the beacon


class Zoo(Crew):
    """Hosts that are called as the kind that they shall have."""

    def open(self):
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._make, KINDS))
        for name in KINDS:
            beacons = {"beacons": {"klp": [{"interval": 1}]}} if name == WATCHED else {}
            self.minions[name] = minion(self.master, name, lab=self.lab, inside=self.hosts[name], overrides=beacons)
        with ThreadPoolExecutor() as pool:
            list(pool.map(LabMinion.start, self.minions.values()))
        self.cli = self.master.salt_cli(timeout=180)
        assert self.salt("saltutil.sync_all", list(KINDS)).returncode == 0
        for name in ("unlocked", WATCHED):
            self.hosts[name].write("/etc/zypp/locks", "")
        assert self.salt("state.apply", ["pending", WATCHED], "klp").returncode == 0
        host = self.hosts["stalled"]
        blocker = host.popen(["sleep", "3600"])
        host.faults(blockers=[blocker.pid])
        host.load(MODULE, 1, 1)

    def _make(self, name):
        golden, klp, kernels, days = KINDS[name]
        self.pillar.only(name, {"backup": COMMAND_BACKEND, "product": {"regcode": SECRET}, "group": "zoo", **klp})
        self._host(name, golden)
        host = self.hosts[name]
        host.repo(SLES_UPDATES, on=kernels)
        if days is not None:
            last = datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days)
            host.write(LIFECYCLE, f"{LP},*,{last}\n")

    def salt(self, fun, names, *args):
        return self.cli.run("-L", fun, *args, minion_tgt=",".join(names))

    def report(self, *args):
        settings = {"klp_report": {"target": ",".join([*KINDS, SILENT]), "target_type": "list", "presence": 20}}
        code, found, told = self.run("klp.report", f"pillar={json.dumps(settings)}", *args)
        assert code in (0, 2), (found, told)
        return found


@pytest.fixture(scope="module")
def zoo(master, lab, pillar, salt_factories):
    found = Zoo(master, lab, pillar, salt_factories.root_dir)
    assert found.run("saltutil.sync_all")[0] == 0
    try:
        found.open()
        yield found
    finally:
        found.dismiss(tuple(KINDS))


@pytest.fixture(scope="module")
def report(zoo):
    """The first report, and the folder that it is in; a copy is left in build/report, to be looked at."""
    assert zoo.salt("mine.send", ["covered", "pending"], "klp_audit.host").returncode == 0
    found, folder = zoo.report(), zoo.folder() / "report"
    shutil.rmtree(CHECKOUT / "build" / "report", ignore_errors=True)
    shutil.copytree(folder, CHECKOUT / "build" / "report")
    return found, folder


def kinds(found):
    return {item["host"]: item["kind"] for item in found["report"]["hosts"]}


def test_each_host_appears_where_it_should(report):
    found, _ = report
    assert found["retcode"] == 2
    assert kinds(found) == {name: name for name in KINDS}
    for item in found["report"]["hosts"]:
        assert item["why"] or item["kind"] == "covered", item
    print(found["text"])


def test_the_documents_follow_the_schema_and_their_reasons_are_right(report):
    documents = json.loads((report[1] / "report.json").read_text())["documents"]
    for document in documents.values():
        jsonschema.validate(document, SCHEMA)
    assert documents["reboot"]["cves"]["reboot"] == ["CVE-2023-2156"]
    assert documents["covered"]["cves"]["reboot"] == []
    assert documents["pending"]["cves"]["pending"][0] == "CVE-2023-3090"
    assert documents["stalled"]["transition"]["blockers"][0].startswith("process ")
    assert len(documents["unlocked"]["locks"]["missing"]) == 9
    assert documents["unpatchable"]["live_patch"]["edition"] is None
    assert {document["group"] for document in documents.values()} == {"zoo"}


def test_every_format_is_there_and_can_be_read(report):
    found, folder = report
    with open(folder / "report.csv", newline="", encoding="utf-8") as handle:
        assert {row["host"] for row in csv.DictReader(handle)} == set(KINDS)
    names = {family.name for family in text_string_to_metric_families((folder / "salt_klp.prom").read_text())}
    assert {"salt_klp_host_up", "salt_klp_host_info", "salt_klp_cves", "salt_klp_window_end_timestamp_seconds"} <= names
    page = (folder / "report.html").read_text()
    assert all(name in page for name in KINDS)
    for path in (folder / "vex").rglob("*.json"):
        jsonschema.validate(json.loads(path.read_text()), VEX)
    assert (folder / "vex" / "hosts" / "covered.openvex.json").exists()
    assert found["files"][0] == str(folder / "report.json")


def test_only_the_masters_user_reads_it_and_no_secret_is_in_it(report):
    for place, _, names in os.walk(report[1]):
        assert stat.S_IMODE(os.stat(place).st_mode) == 0o700
        for name in names:
            path = os.path.join(place, name)
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
            with open(path, encoding="utf-8") as handle:
                assert SECRET not in handle.read(), path


def test_a_host_without_a_minion_is_silent_and_the_others_come_from_the_mine(zoo, report):
    sent = zoo.salt("mine.send", list(KINDS), "klp_audit.host")
    assert (sent.returncode, sent.stdout.count("true")) == (1, len(KINDS)), "the verdict of some of them is not ok"
    zoo.minions["covered"].terminate()
    try:
        began = time.time()
        found = zoo.report("ask=none")
        assert kinds(found) == {name: name for name in KINDS}
        ages = {item["host"]: item["age"] for item in found["report"]["hosts"]}
        assert all(age <= time.time() - began + 120 for age in ages.values())
        asked = zoo.report("ask=all")
        assert asked["report"]["silent"] == {"covered": "no answer; is its minion running?"}
        assert kinds(asked)["covered"] == "silent"
    finally:
        zoo.minions["covered"].start()


def test_lost_locks_are_an_event_and_set_again(zoo, event_listener):
    host, begun = zoo.hosts[WATCHED], time.time()
    locks = host.locks()
    host.write("/etc/zypp/locks", "")
    pattern = (zoo.master.id, f"salt/beacon/{WATCHED}/klp/locks")
    matched = event_listener.wait_for_events([pattern], after_time=begun, timeout=90)
    assert matched.found_all_events
    (event,) = matched
    assert (event.data["alarm"], event.data["edge"]) == ("locks", "repaired")
    assert host.locks() == locks


def test_the_grain_of_a_host_tells_its_document(zoo, report):
    assert zoo.salt("saltutil.refresh_grains", ["reboot"]).returncode == 0
    grain = zoo.salt("grains.get", ["reboot", "expired"], "klp").data["reboot"]
    assert (grain["level"], grain["reboot_cves"], grain["stale"]) == (3, 1, False)
