"""One host of each kind, a report about all of them, and the beacon: real master, real minions, real zypper."""

import csv
import datetime
import gzip
import json
import os
import re
import shutil
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.functional.conftest import COMMAND_BACKEND, LP
from tests.integration.conftest import minion
from tests.integration.crew import SECRET, Crew
from tests.lab import mirror
from tests.lab.build import CHECKOUT
from tests.lab.minion import LabMinion
from tests.lab.packages import LP_UPDATES, SLES_UPDATES
from tests.unit.loader import recorded

SCHEMA = json.loads((CHECKOUT / "docs" / "reference" / "host.schema.json").read_text())
VEX = json.loads(recorded("openvex/schema-0.2.0.json"))
LIFECYCLE = "/usr/share/lifecycle/data/sle-module-live-patching.lifecycle"
MODULE = "livepatch_3_150500_2_1"
# Golden root, pillar, what was done to the host, days until the window ends. On ``converged`` glibc is left out.
KINDS: dict = {
    "covered": ("converged", {}, ("glibc", "restart"), 200),
    "pending": ("enabled", {"level": 1}, (), 200),
    "reboot": ("converged", {}, ("kernel",), 200),
    "waiting": ("converged", {}, ("glibc",), 200),
    "expired": ("converged", {}, ("kernel",), -3),
    "unclear": ("converged", {"alarms": {"repair_locks": True}}, ("glibc", "restart"), None),
    "stalled": ("converged", {}, (), 200),
    "unlocked": ("converged", {}, (), 200),
    "unpatchable": ("fresh", {}, (), 200),
    "updates": ("fresh", {"update": {"reboot": True}}, (), 200),
    "left-out": ("converged", {}, (), 200),
    "unknown": ("converged", {}, ("glibc", "restart", "frozen"), 200),
}
EXPECTED = {**{name: name for name in KINDS}, "waiting": "reboot", "left-out": "left_out"}
GLIBC, ADVISORY = "glibc-2.31-150300.63.1", "SUSE-SLE-Module-Basesystem-15-SP5-2023-3500"
SILENT = "gone"
WATCHED = "unclear"  # the host with the beacon


def without_kernel(host):
    """Take the advisory of the newer kernel out of the updates: a host that sees it has a severe CVE."""
    mirror.age(host, 0, SLES_UPDATES)
    folder, changed = host.path(f"/srv/aged/{SLES_UPDATES}/repodata"), host.path("/srv/updateinfo.xml")
    (packed,) = folder.glob("*updateinfo.xml.gz")
    text = gzip.decompress(packed.read_bytes()).decode()
    found = re.sub(
        r"<update .*?</update>", lambda each: "" if "-2023-2871<" in each[0] else each[0], text, flags=re.DOTALL
    )
    assert len(found) < len(text)
    changed.write_text(found)
    for command in (
        ["modifyrepo_c", "--remove", "updateinfo", str(folder)],
        ["modifyrepo_c", "--mdtype=updateinfo", str(changed), str(folder)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    assert host.zypper("refresh", "--force", SLES_UPDATES, count=False).returncode == 0


class Zoo(Crew):
    """Hosts that are called as the kind that they shall have."""

    def open(self):
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._make, KINDS))
        for name in KINDS:
            beacons = {"beacons": {"klp": [{"interval": 1}]}, "loop_interval": 1} if name == WATCHED else {}
            self.minions[name] = minion(self.master, name, lab=self.lab, inside=self.hosts[name], overrides=beacons)
        with ThreadPoolExecutor() as pool:
            list(pool.map(LabMinion.start, self.minions.values()))
        self.cli = self.master.salt_cli(timeout=180)
        assert self.salt("saltutil.sync_all", list(KINDS)).returncode == 0
        for name in ("unlocked", WATCHED):
            self.hosts[name].write("/etc/zypp/locks", "")
        assert self.salt("state.apply", ["pending", "updates", WATCHED], "klp").returncode == 0
        for name in KINDS:
            self._lifecycle(name)
        host = self.hosts["stalled"]
        blocker = host.popen(["sleep", "3600"])
        host.faults(blockers=[blocker.pid])
        host.load(MODULE, 1, 1)

    def _make(self, name):
        golden, klp, done, _ = KINDS[name]
        self.pillar.only(name, {"backup": COMMAND_BACKEND, "product": {"regcode": SECRET}, "group": "zoo", **klp})
        self._host(name, golden)
        host = self.hosts[name]
        if "kernel" not in done:
            without_kernel(host)
        if "glibc" in done:
            assert host.zypper("in", "glibc").returncode in (0, 102)
        if "restart" in done:
            host.reboot()
        if "frozen" in done:
            mirror.age(host, 45, SLES_UPDATES, LP_UPDATES)

    def _lifecycle(self, name):
        """Let the window of a host end in so many days; its tools have brought a file that knows of other days."""
        host, days = self.hosts[name], KINDS[name][3]
        host.write(LIFECYCLE, "")
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
    assert kinds(found) == EXPECTED
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
    assert (folder / "vex" / "fleet.openvex.json").exists() and not (folder / "vex" / "hosts").exists()
    assert found["files"][0] == str(folder / "report.json")


def test_updates_are_told_rightly_in_every_format(report):
    """One host is patched with glibc left out, one never was, one has a mirror that stands still, one waits."""
    found, folder = report
    why = {item["host"]: "; ".join(item["why"]) for item in found["report"]["hosts"]}
    assert re.search(rf"important advisory left out \(since \d{{4}}-\d\d-\d\d\): {ADVISORY}: asks for", why["left-out"])
    assert "security advisories pending: 1 important" in why["updates"]
    assert f"{SLES_UPDATES} (45 days old)" in why["unknown"] and GLIBC in why["waiting"]
    with open(folder / "report.csv", newline="", encoding="utf-8") as handle:
        rows = {row["host"]: row for row in csv.DictReader(handle)}
    assert (rows["left-out"]["left_out_severe"], rows["left-out"]["left_out"]) == ("1", ADVISORY)
    assert (rows["updates"]["updates_severe"], rows["updates"]["left_out"]) == ("1", "")
    assert rows["waiting"]["restart_host"] == GLIBC and SLES_UPDATES in rows["unknown"]["repositories_frozen"]
    assert [rows["covered"][key] for key in ("updates_severe", "left_out", "restart_host", "repositories_frozen")] == [
        *("0", "", "", "")
    ]
    families = text_string_to_metric_families((folder / "salt_klp.prom").read_text())
    samples = {item.name: item.samples for item in families}
    severe = {
        (item.labels["host"], item.labels["state"]): item.value
        for item in samples["salt_klp_updates"]
        if item.labels["severity"] == "important"
    }
    assert [severe[host, "left_out"] for host in ("left-out", "updates", "covered", "waiting")] == [1, 0, 0, 0]
    assert [severe[host, "pending"] for host in ("left-out", "updates", "covered", "waiting")] == [0, 1, 0, 0]
    frozen = {item.labels["host"]: item.value for item in samples["salt_klp_repositories_frozen"]}
    assert frozen["unknown"] == 2 and frozen["covered"] == 0
    page = (folder / "report.html").read_text()
    assert ADVISORY in page.partition('<section id="left-out"')[2].partition("</section>")[0]


def test_the_exit_code_is_0_for_the_covered_host_alone(zoo, report, tmp_path):
    for host, code in (("covered", 0), ("left-out", 2), ("unknown", 2)):
        settings = {"klp_report": {"target": host, "target_type": "list", "formats": ["csv"]}}
        assert zoo.run("klp.report", f"pillar={json.dumps(settings)}", "ask=all", f"folder={tmp_path}")[0] == code


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
        assert kinds(found) == EXPECTED
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
    assert (grain["retracted"], grain["pending_updates"], grain["left_out_updates"]) == (False, 0, 1)
    assert grain["updates_known"] is True
