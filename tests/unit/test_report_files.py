"""What is written of the fleet: metrics, table, evidence; each read back by somebody else's reader."""

import copy
import csv
import io
import json
import os
import stat
import time

import jsonschema
import packageurl
import pytest
from salt.exceptions import CommandExecutionError

import klp_pillar
from _runners.klp import collected, evidence, metrics, publish, reporting, sheet
from _runners.klp import fleet as fleets
from tests import fleet
from tests.unit.loader import recorded
from tests.unit.report import samples

VEX = json.loads(recorded("openvex/schema-0.2.0.json"))
LIMITS = {"share": 25, "weeks": 26, "warn": 30, "debt": 28, "old": 24}
DOCUMENTS, SILENT = fleet.one_of_each()
SUMMARY = fleets.summary(DOCUMENTS, SILENT, LIMITS, fleet.NOW)
HOSTILE = "x\"\n\\{}=+cmd|' /C calc'!A0"


def prom(*given):
    return "".join(metrics.lines(*given))


def table(*given):
    return "".join(sheet.lines(*given))


def vex(documents):
    """Return the OpenVEX document of a fleet, read back; ``None`` where there is none."""
    found = evidence.fleet(documents, "A", fleet.NOW, "c")
    return found if found is None else valid(json.loads("".join(found)))


def valid(document):
    jsonschema.validate(document, VEX, format_checker=jsonschema.FormatChecker())
    return document


def test_metrics_are_read_by_prometheus_own_client():
    found = samples(prom(DOCUMENTS, SILENT, SUMMARY))
    up = {dict(labels)["host"]: value for labels, value in found["salt_klp_host_up"].items()}
    assert up == {**dict.fromkeys(DOCUMENTS, 1), **dict.fromkeys(SILENT, 0)}
    kinds = {dict(labels)["host"]: dict(labels)["kind"] for labels in found["salt_klp_host_info"]}
    assert kinds == {item["host"]: item["kind"] for item in SUMMARY["hosts"] if item["host"] in DOCUMENTS}
    for host, document in DOCUMENTS.items():
        label = (("host", host),)
        end, last = found["salt_klp_window_end_timestamp_seconds"].get(label), document["window"]["last"]
        assert (end and time.strftime("%Y-%m-%d %H", time.gmtime(end - 1))) == (last and f"{last} 23")
        for state in metrics.COUNTS:
            value = found["salt_klp_cves"][("host", host), ("state", state)]
            assert value == len(document["cves"][state])
    assert found["salt_klp_report_timestamp_seconds"] == {(): fleet.NOW}


def test_a_date_that_is_none_has_no_sample():
    some = {"web1": fleet.document("web1", window={**fleet.document("web1")["window"], "last": "2026-13-99"})}
    assert "salt_klp_window_end" not in prom(some, {}, fleets.summary(some, {}, LIMITS, fleet.NOW))


def test_metrics_count_updates_by_severity():
    found = samples(prom(DOCUMENTS, SILENT, SUMMARY))

    def number(host, state, severity):
        return found["salt_klp_updates"].get((("host", host), ("severity", severity), ("state", state)))

    assert [number("mail1", "pending", word) for word in fleet.SEVERITIES] == [1, 3, 0, 2, 0]
    assert [number("mail2", "left_out", word) for word in fleet.SEVERITIES] == [0, 1, 0, 0, 0]
    assert [number("old1", state, "low") for state in ("pending", "left_out")] == [None, None]
    host = (("host", "mail3"),)
    assert found["salt_klp_repositories_frozen"][host] == 1
    assert found["salt_klp_metadata_timestamp_seconds"][host] == fleet.FROZEN["time"]
    assert (found["salt_klp_live_patch_retracted"][host], found["salt_klp_services_to_restart"][host]) == (0, 0)
    assert (("host", "old1"),) not in found["salt_klp_live_patch_retracted"]


def test_what_is_not_known_has_no_sample():
    some = copy.deepcopy(DOCUMENTS)
    for document in some.values():
        document["updates"].update(repositories=[], restart={"host": None, "services": None}, reason="no")
        document["updates"].update(pending=dict.fromkeys(fleet.SEVERITIES, 0), left_out=[])
        document["live_patch"]["retracted"] = None
        document["locks"]["missing"] = None
        document["transition"]["state"] = "unknown"
        document["window"]["last"] = None
    found = samples(prom(some, {}, fleets.summary(some, {}, LIMITS, fleet.NOW)))
    assert not {
        "salt_klp_locks_missing",
        "salt_klp_transition_in_progress",
        "salt_klp_window_end_timestamp_seconds",
        "salt_klp_updates",
        "salt_klp_metadata_timestamp_seconds",
        "salt_klp_live_patch_retracted",
        "salt_klp_services_to_restart",
    } & set(found)


def test_a_fleet_without_a_host_has_metrics():
    assert set(samples(prom({}, {}, fleets.summary({}, {}, LIMITS, fleet.NOW)))) == {
        "salt_klp_report_timestamp_seconds"
    }


def test_hostile_strings_do_not_break_the_metrics():
    some = {"web1": fleet.document("web1", group=HOSTILE, kernel=HOSTILE)}
    found = samples(prom(some, {}, fleets.summary(some, {}, LIMITS, fleet.NOW)))
    (labels,) = found["salt_klp_host_info"]
    assert dict(labels)["group"] == HOSTILE


def rows(text):
    return {row["host"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}


def test_the_table_has_a_line_for_every_host():
    found = rows(table(DOCUMENTS, SILENT, SUMMARY))
    assert set(found) == {*DOCUMENTS, *SILENT}
    for item in SUMMARY["hosts"]:
        row = found[item["host"]]
        assert row["kind"] == item["kind"]
        if item["host"] in DOCUMENTS:
            document = DOCUMENTS[item["host"]]
            assert row["cves_reboot"].split() == document["cves"]["reboot"]
            assert row["pending"] == str(len(document["cves"]["pending"]))
        else:
            assert (row["verdict"], row["kernel"]) == ("", "")


def test_the_table_tells_updates():
    some = copy.deepcopy(DOCUMENTS)
    some["mail2"]["updates"]["restart"] = {"host": ["glibc", "dbus-1"], "services": None}
    some["web1"]["live_patch"]["retracted"] = True
    found = rows(table(some, SILENT, fleets.summary(some, SILENT, LIMITS, fleet.NOW)))
    columns = ("updates_severe", "updates_others", "left_out_severe", "left_out_others", "left_out", "retracted")
    assert [found["mail1"][key] for key in columns] == ["4", "2", "0", "0", "", "no"]
    assert [found["mail2"][key] for key in columns] == ["0", "0", "1", "0", fleet.GLIBC["id"], "no"]
    assert [found["old1"][key] for key in columns] == [""] * 6
    assert [found["mail2"][f"restart_{key}"] for key in ("host", "services")] == ["glibc dbus-1", ""]
    assert found["mail3"]["repositories_frozen"] == "SLE-Module-Basesystem15-SP5-Updates (45 days old)"
    assert found["web1"]["retracted"] == "yes"


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(begin):
    some = {"web1": fleet.document("web1", group=f"{begin}HYPERLINK(1)")}
    for cell in rows(table(some, {}, fleets.summary(some, {}, LIMITS, fleet.NOW)))["web1"].values():
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))


def statements(document):
    return {item["vulnerability"]["name"]: item for item in document["statements"]}


def test_evidence_of_a_host_follows_the_published_schema():
    for host, document in {**DOCUMENTS, **fleet.documents(40, seed=3)}.items():
        told = evidence.host(document, "Administrators", f"salt '{host}' state.apply klp.patch")
        states = {cve: state for state in evidence.ORDER for cve in document["cves"][state]}
        if told is None:
            assert document["kernel_edition"] is None or not states
            continue
        found = statements(valid(told))
        assert {cve: item["status"] for cve, item in found.items()} == {
            cve: evidence.STATUS[state] for cve, state in states.items()
        }
        for cve, item in found.items():
            urls = [packageurl.PackageURL.from_string(product["@id"]) for product in item["products"]]
            assert [url.namespace for url in urls] == ["suse", "sles"]
            for url, product in zip(urls, item["products"], strict=True):
                assert (url.type, url.version) == ("rpm", document["kernel_edition"])
                assert url.qualifiers == {"arch": document["arch"]}
                assert url.to_string() == product["@id"] == product["identifiers"]["purl"]
            assert ("justification" in item) == (states[cve] == "fixed_live")
            assert ("action_statement" in item) == (states[cve] in ("pending", "reboot"))


def test_unknown_is_never_evidence_of_safety():
    some = fleet.document("web1")
    some["cves"].update(fixed_live=[], pending=[], reboot=[], unknown=["CVE-2023-0001"])
    (item,) = evidence.host(some, "A", "c")["statements"]
    assert item["status"] == "under_investigation"


def test_a_host_of_which_nothing_is_known_has_no_evidence():
    some = fleet.document("web1", kernel_edition=None)
    assert evidence.host(some, "A", "c") is None
    assert vex({"web1": some}) is None
    bare = fleet.document("web1")
    bare["cves"].update(fixed_live=[], pending=[], reboot=[], unknown=[])
    assert evidence.host(bare, "A", "c") is None and vex({"web1": bare}) is None


def two(first, second):
    """Return two hosts with one kernel package, of which a CVE is told in these states (``None``: in none)."""
    found = {}
    for host, state in (("web1", first), ("web2", second)):
        found[host] = fleet.document(host)
        found[host]["cves"].update(fixed_live=[], pending=[], reboot=[], unknown=[])
        if state:
            found[host]["cves"][state] = ["CVE-2023-0001"]
    return found


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("fixed_live", "fixed_live", "not_affected"),
        ("fixed_live", "pending", "affected"),
        ("fixed_live", "reboot", "affected"),
        ("fixed_live", "unknown", "under_investigation"),
        ("pending", "unknown", "affected"),
        ("fixed_live", None, "under_investigation"),
        ("reboot", None, "affected"),
    ],
)
def test_the_fleet_is_as_safe_as_its_worst_host(first, second, status):
    found = vex(two(first, second))
    (item,) = found["statements"]
    assert item["status"] == status
    assert item["status_notes"].startswith("2 hosts with this kernel package: ")
    assert ("not known on 1." in item["status_notes"]) == (second is None)


def test_evidence_of_a_large_fleet_is_valid():
    found = vex(fleet.documents(300, seed=4))
    names = [(item["vulnerability"]["name"], item["products"][0]["@id"]) for item in found["statements"]]
    assert len(names) == len(set(names))


def test_hostile_names_stay_inside_the_package_url():
    url = evidence.package_url("sles 15/../", "kernel default?x=1", "1/2@3-#", "x86&64")
    found = packageurl.PackageURL.from_string(url)
    assert (found.name, found.version) == ("kernel default?x=1", "1/2@3-#")
    assert found.qualifiers["arch"] == "x86&64"


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize(("readable", "modes"), [(False, (0o600, 0o700)), (True, (0o644, 0o755))])
def test_files_are_whole_and_readable_as_declared(tmp_path, readable, modes):
    folder = publish.Folder(str(tmp_path / "a" / "report"), readable)
    old = os.umask(0o027)
    try:
        folder.put("x.csv", "one\r\n")
        folder.put("x.csv", "two\r\n")
    finally:
        os.umask(old)
    path = tmp_path / "a" / "report" / "x.csv"
    assert path.read_bytes() == b"two\r\n"
    assert mode(path) == modes[0]
    assert folder.written == [str(path)] * 2
    assert sorted(item.name for item in path.parent.iterdir()) == ["x.csv"]


def test_a_link_that_somebody_has_put_there_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("old")
    folder = publish.Folder(str(tmp_path / "report"))
    (tmp_path / "report" / "x.csv.new").symlink_to(tmp_path / "secret")
    folder.put("x.csv", "new")
    assert (tmp_path / "secret").read_text() == "old"
    assert not (tmp_path / "report" / "x.csv").is_symlink()


def test_evidence_that_is_not_told_any_more_is_taken_away_and_nothing_else(tmp_path):
    folder = publish.Folder(str(tmp_path))
    folder.replace("vex", [("fleet.openvex.json", "1"), ("hosts/a.openvex.json", "1")])
    (tmp_path / "vex" / "hosts" / "note.txt").write_text("mine")
    folder.replace("vex", [("hosts/b.openvex.json", "2")])
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["vex/hosts/b.openvex.json", "vex/hosts/note.txt"]


def test_a_file_that_comes_to_no_end_leaves_the_old_one(tmp_path):
    folder = publish.Folder(str(tmp_path))
    folder.put("x.csv", ["old"])

    def broken():
        yield "new"
        raise ValueError("a document that nobody can show")

    with pytest.raises(ValueError, match="nobody can show"):
        folder.put("x.csv", broken())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.csv", "old")]


def test_documents_that_are_read_one_after_the_other_are_those_that_were_kept(monkeypatch):
    """Beyond what memory may have, they are in a file without a name."""
    monkeypatch.setattr(collected, "MEMORY", 1000)
    kept = collected.Documents()
    for host, document in [*fleet.documents(40, seed=6).items(), *DOCUMENTS.items()]:
        kept[host] = {**document, "time": 1}
        kept[host] = document  # the newer answer counts
    assert dict(kept) == {**fleet.documents(40, seed=6), **DOCUMENTS}
    assert list(kept) == sorted(kept) and len(kept) == 40 + len(DOCUMENTS) and "nobody" not in kept
    assert kept.times == {host: document["time"] for host, document in kept.items()}
    assert kept.get("nobody") is None


def test_documents_that_cannot_be_kept_are_said(monkeypatch):
    monkeypatch.setattr(collected.tempfile, "gettempdir", lambda: "/scratch")
    kept = collected.Documents()
    monkeypatch.setattr(kept._file, "write", lambda packed: os.write(os.open("/dev/full", os.O_WRONLY), packed))
    said = r"^the documents of the hosts cannot be kept in /scratch \(No space left on device\)$"
    with pytest.raises(CommandExecutionError, match=said):
        kept["web1"] = DOCUMENTS["web1"]
    assert "web1" not in kept


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandExecutionError, match="file/x: cannot be made"):
        publish.Folder(str(tmp_path / "file" / "x"))
    folder = publish.Folder(str(tmp_path / "report"))
    (tmp_path / "report" / "x.csv").mkdir()
    with pytest.raises(CommandExecutionError, match=r"x\.csv: cannot be written"):
        folder.put("x.csv", "text")


COMPARE = klp_pillar.compare


def test_every_key_of_the_pillar_has_a_default_that_is_allowed():
    found, problems = reporting.settings(None, COMPARE)
    assert problems == []
    assert reporting.settings(found, COMPARE) == (found, [])


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("folder", "report", "wanted an absolute path, found 'report'"),
        ("folder", "/a\nb", "wanted an absolute path, found '/a\\nb'"),
        ("folder", 7, "wanted an absolute path, found 7"),
        ("share", 0, "wanted 1 to 100 percent, found 0"),
        ("ask", "some", "wanted one of missing, all, none, found 'some'"),
        (
            "formats",
            ["pdf"],
            "wanted one of json, csv, prometheus, html, openvex, openvex_hosts, icalendar, found 'pdf'",
        ),
        ("weeks", "x", "wanted a whole number (weeks), found 'x'"),
        ("shares", 1, "unknown key; did you mean share?"),
    ],
)
def test_a_wrong_value_is_named(key, value, said):
    _, problems = reporting.settings({key: value}, COMPARE)
    assert problems == [f"pillar klp_report:{key}: {said}"]


def test_the_text_names_the_hosts_that_need_attention_and_where_the_files_are():
    text = reporting.text(SUMMARY, ["/x/report.html"])
    assert text.splitlines()[0] == f"{len(SUMMARY['hosts'])} hosts, 1 covered"
    for item in SUMMARY["hosts"]:
        assert (f"  {item['host']}: {item['kind']}: " in text) == (item["kind"] != "covered")
        assert item["command"] in text
    assert text.endswith("written:\n  /x/report.html")
    many = fleets.summary(fleet.documents(200, seed=5), {}, LIMITS, fleet.NOW)
    assert " more, see the report" in reporting.text(many, [])


def test_the_exit_code_is_0_only_if_all_are_covered():
    assert reporting.retcode(SUMMARY, 2) == 2
    good = {host: document for host, document in DOCUMENTS.items() if host in COVERED}
    assert good and reporting.retcode(fleets.summary(good, {}, LIMITS, fleet.NOW), 2) == 0


COVERED = [item["host"] for item in SUMMARY["hosts"] if item["kind"] == "covered"]
