"""``klp.report``: documents from the mine or asked for, and what is written; ``klp.audit``; over simulated hosts."""

import json
import os
import stat

import pytest
import salt.utils.minions
from prometheus_client.parser import text_string_to_metric_families
from salt.exceptions import SaltDeserializationError

import klp_family
from _runners.klp import survey
from tests import fleet

DAY = 86400


@pytest.fixture
def hosts(master, monkeypatch):
    """A master whose four hosts have documents: in the mine as ``there``, asked for as ``asked``."""
    made = {f"web{number}": fleet.document(f"web{number}", time=fleet.NOW) for number in range(4)}
    master.there, master.asked, master.jobs = {}, dict(made), []
    master.made = made

    def ask(part, fun, arg, timeout):
        master.jobs.append((fun, sorted(part), timeout))
        there = [host for host in part if host in master.asked]
        return {host: True if fun == "test.ping" else master.asked[host] for host in there}

    def mine(target, fun, target_type):
        assert (fun, target_type) == ("klp_audit.host", "list")
        there = isinstance(master.there, dict)  # what Salt answers when it fails is a text
        return {host: said for host, said in master.there.items() if host in target} if there else master.there

    monkeypatch.setattr(master, "mine", mine)
    monkeypatch.setattr(master.fleet, "ask", ask)
    monkeypatch.setattr(survey.time, "time", lambda: fleet.NOW)
    return master


def report(master, **kwargs):
    answer = master.run("report", **kwargs)
    assert answer["retcode"] in (0, 2), answer
    return answer


def asked(master):
    return [(fun, part) for fun, part, _ in master.jobs]


def test_every_file_is_written_and_only_its_owner_reads_it(hosts, tmp_path):
    answer = report(hosts)
    assert answer["retcode"] == 0
    folder = tmp_path / "var/lib/salt-klp/report"
    assert answer["files"] == [
        str(folder / name) for name in ("report.json", "report.csv", "salt_klp.prom", "report.html", "vex")
    ]
    found = json.loads((folder / "report.json").read_text())
    assert (found["documents"], found["silent"], found["summary"]) == (hosts.made, {}, answer["report"])
    assert list(text_string_to_metric_families((folder / "salt_klp.prom").read_text()))
    assert "<html" in (folder / "report.html").read_text()
    assert [path.name for path in (folder / "vex").iterdir()] == ["fleet.openvex.json"]
    vex = json.loads((folder / "vex" / "fleet.openvex.json").read_text())
    assert vex["author"] == "Salt master master_master"
    for place, _, names in os.walk(folder):
        assert stat.S_IMODE(os.stat(place).st_mode) == 0o700
        assert {stat.S_IMODE(os.stat(os.path.join(place, name)).st_mode) for name in names} <= {0o600}
    assert "4 hosts, 4 covered" in answer["text"]


def test_documents_of_the_mine_are_taken_and_only_the_others_asked_for(hosts):
    hosts.there.update({host: hosts.made[host] for host in ("web0", "web1")})
    hosts.there["web1"] = fleet.document("web1", time=fleet.NOW - DAY - 1)
    report(hosts)
    assert asked(hosts) == [("test.ping", ["web1", "web2", "web3"]), ("klp_audit.host", ["web1", "web2", "web3"])]


def test_the_mine_is_read_some_hosts_at_a_time(hosts, monkeypatch):
    """All documents at once would take a gigabyte of memory for ten thousand hosts."""
    read, inner = [], hosts.mine

    def mine(target, *more):
        read.append(list(target))
        return inner(target, *more)

    monkeypatch.setattr(hosts, "mine", mine)
    monkeypatch.setattr(survey, "MINED", 3)
    hosts.there.update(hosts.made)
    assert report(hosts)["retcode"] == 0
    assert read == [["web0", "web1", "web2"], ["web3"]] and asked(hosts) == []


def test_a_file_of_evidence_for_each_host_is_there_on_request_only(hosts, tmp_path):
    vex = tmp_path / "var/lib/salt-klp/report/vex"
    for formats, there in (
        (["openvex", "openvex_hosts"], ["fleet", "web0", "web1", "web2", "web3"]),
        (["openvex_hosts"], ["web0", "web1", "web2", "web3"]),
        (["openvex"], ["fleet"]),
    ):
        hosts.pillar["klp_report"] = {"formats": formats}
        report(hosts)
        found = sorted(path.name for path in vex.rglob("*.json"))
        assert found == [f"{name}.openvex.json" for name in there]


def test_an_old_document_is_better_than_none(hosts):
    old = hosts.there["web1"] = fleet.document("web1", time=fleet.NOW - 2 * DAY)
    del hosts.asked["web1"]
    answer = report(hosts)
    assert answer["report"]["silent"] == {}
    row = next(item for item in answer["report"]["hosts"] if item["host"] == "web1")
    assert row["age"] == 2 * DAY and old["host"] == "web1"


def test_nobody_is_asked_if_nobody_shall_be(hosts):
    hosts.there["web0"] = hosts.made["web0"]
    answer = report(hosts, ask="none")
    assert asked(hosts) == []
    assert answer["retcode"] == 2
    assert answer["report"]["silent"] == dict.fromkeys(
        ("web1", "web2", "web3"), "no document in the mine; klp.report ask=missing asks for it"
    )


def test_all_are_asked_if_all_shall_be(hosts):
    hosts.there.update(hosts.made)
    report(hosts, ask="all")
    assert asked(hosts) == [(fun, sorted(hosts.made)) for fun in ("test.ping", "klp_audit.host")]
    hosts.jobs.clear()
    report(hosts)
    assert asked(hosts) == []


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "no answer; is its minion running?"),
        ("'klp_audit.host' is not available.", "run: salt 'web2' saltutil.sync_all"),
        ({"schema": "x"}, "its answer is no document"),
        (fleet.document("web9"), "its document is of another host: web9"),
        ({**fleet.document("web2"), "problems": "x" * 2000000}, "its answer is not understood: it is too large"),
    ],
)
def test_a_host_without_a_document_is_said_and_spoils_no_other(hosts, value, why):
    if value is None:
        del hosts.asked["web2"]
    else:
        hosts.asked["web2"] = value
    answer = report(hosts)
    assert answer["retcode"] == 2
    assert list(answer["report"]["silent"]) == ["web2"]
    assert why in answer["report"]["silent"]["web2"]
    assert [item["kind"] for item in answer["report"]["hosts"]].count("covered") == 3


def test_a_host_of_another_system_says_so_and_is_not_told_to_sync(hosts):
    said = klp_family.NOT_SUSE.format("debian 12")
    hosts.asked["web2"] = f"'klp_audit' __virtual__ returned False: {said}"
    answer = report(hosts)
    found = {item["host"]: item for item in answer["report"]["hosts"]}["web2"]
    assert (found["kind"], found["why"], answer["report"]["silent"]) == ("unpatchable", [said], {})
    assert answer["report"]["totals"]["answered"] == 4 and "sync_all" not in answer["text"]
    hosts.there["web2"] = hosts.asked["web2"]
    assert report(hosts, ask="none")["report"]["silent"] == dict.fromkeys(
        ("web0", "web1", "web3"), "no document in the mine; klp.report ask=missing asks for it"
    )


@pytest.mark.parametrize(
    ("grains", "kind", "why"),
    [
        ({"os_family": "Debian", "os": "Debian", "osrelease": "12"}, "unpatchable", "not a SUSE host (Debian 12): "),
        ({"os_family": "RedHat", "os": "x\n" * 500}, "unpatchable", "not a SUSE host (x x "),
        ({"os_family": "Suse"}, "silent", "salt-klp is not on this minion yet, run: salt 'web2' saltutil.sync_all"),
        (None, "silent", "salt-klp is not on this minion yet"),
        ({}, "silent", "salt-klp is not on this minion yet"),
    ],
)
def test_a_host_of_another_system_that_was_never_sent_anything_is_known_by_its_grains(
    hosts, monkeypatch, grains, kind, why
):
    monkeypatch.setattr(salt.utils.minions, "get_minion_data", lambda minion, opts: (minion, grains, None))
    hosts.asked["web2"] = "'klp_audit.host' is not available."
    answer = report(hosts)
    found = {item["host"]: item for item in answer["report"]["hosts"]}["web2"]
    assert found["kind"] == kind and found["why"][0].startswith(why)
    assert list(answer["report"]["silent"]) == (["web2"] if kind == "silent" else [])


def test_files_that_do_not_fit_together_are_said(hosts):
    hosts.asked["web2"] = "'klp_audit' __virtual__ returned False: klp_audit.py has version 1, run sync_all"
    assert report(hosts)["report"]["silent"] == {"web2": "klp_audit.py has version 1, run sync_all"}


def test_a_host_that_is_there_and_does_not_answer_in_time_is_said(hosts, monkeypatch):
    inner = hosts.fleet.ask

    def ask(part, fun, arg, timeout):
        found = inner(part, fun, arg, timeout)
        return {host: said for host, said in found.items() if (fun, host) != ("klp_audit.host", "web3")}

    monkeypatch.setattr(hosts.fleet, "ask", ask)
    assert report(hosts)["report"]["silent"] == {"web3": "no document within 300 seconds"}


def test_a_mine_that_answers_nonsense_is_as_empty(hosts, monkeypatch):
    monkeypatch.setattr(hosts, "there", "Exception occurred in runner")
    assert report(hosts)["retcode"] == 0


def test_a_mine_that_salt_cannot_read_is_said_with_the_way_around_it(hosts, monkeypatch):
    def unreadable(*args):
        raise SaltDeserializationError("Could not deserialize")

    monkeypatch.setattr(hosts, "mine", unreadable)
    monkeypatch.setattr(survey, "BROKEN", 3)
    said = "the mine cannot be read (Could not deserialize); ask the hosts themselves: salt-run klp.report ask=all"
    assert hosts.refused("report") == said
    assert report(hosts, ask="all")["retcode"] == 0


def test_a_host_whose_mine_salt_cannot_read_spoils_no_other(hosts, monkeypatch):
    """One host can do that: with a date of the year 1."""
    inner = hosts.mine

    def unreadable(target, *more):
        if "web2" in target:
            raise SaltDeserializationError("Could not deserialize")
        return inner(target, *more)

    monkeypatch.setattr(hosts, "mine", unreadable)
    hosts.there.update(hosts.made)
    said = "its mine cannot be read (Could not deserialize); klp.report ask=missing asks for its document"
    assert report(hosts, ask="none")["report"]["silent"] == {"web2": said} and asked(hosts) == []
    assert report(hosts)["report"]["silent"] == {}
    assert asked(hosts) == [("test.ping", ["web2"]), ("klp_audit.host", ["web2"])]


def test_pillar_and_arguments_say_what_is_written_and_where(hosts, tmp_path):
    hosts.pillar["klp_report"] = {"formats": ["csv"], "readable": True, "author": "Anna"}
    folder = tmp_path / "www"
    answer = report(hosts, folder=str(folder))
    assert answer["files"] == [str(folder / "report.csv")]
    assert stat.S_IMODE((folder / "report.csv").stat().st_mode) == 0o644
    answer = report(hosts, folder=str(folder), pillar={"klp_report": {"formats": ["openvex"]}})
    assert json.loads((folder / "vex" / "fleet.openvex.json").read_text())["author"] == "Anna"


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"ask": "some"}, "pillar klp_report:ask: wanted one of missing, all, none, found 'some'"),
        ({"folder": "here"}, "pillar klp_report:folder: wanted an absolute path, found 'here'"),
        ({"pillar": {"klp_report": {"shares": 1}}}, "pillar klp_report:shares: unknown key; did you mean share?"),
        ({"pillar": "x"}, "pillar: wanted a mapping with the key klp_report, found 'x'"),
        ({"pillar": {"klp_report": {"target": "none*"}}}, "no accepted minion matches compound target 'none*'"),
        ({"campaign": "0" * 12}, "there is no plan 000000000000"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence_and_writes_nothing(hosts, tmp_path, kwargs, said):
    assert said in hosts.refused("report", **kwargs)
    assert not (tmp_path / "var/lib/salt-klp/report").exists()


def test_the_audit_waits_for_hosts_that_are_there(master, monkeypatch):
    asked: list = []
    ask = master.fleet.ask

    def counted(hosts, fun, arg, timeout):
        asked.append((fun, len(hosts), timeout))
        return ask(hosts, fun, arg, timeout)

    monkeypatch.setattr(master.fleet, "ask", counted)
    master.fleet.hosts["web3"].down_until = 1e12
    master.run("audit")
    assert asked == [("test.ping", 4, 30), ("klp.verify", 3, 300)]
    for host in master.fleet.hosts.values():
        host.down_until = 1e12
    assert {item["verdict"] for item in master.run("audit")["hosts"].values()} == {"unreachable"} and len(asked) == 3
