"""Facts of a host for tools that are not Salt: what is in them, who may read them, and where they are not written."""

import json
import os
import stat

import pytest
from prometheus_client.parser import text_string_to_metric_families
from salt.exceptions import CommandExecutionError

import klp_facts
import klp_pillar
from tests import fleet

FOLDER = "/var/lib/facts"


@pytest.fixture
def host(minion, monkeypatch):
    """A host whose pillar wants facts in a folder that root has made."""
    monkeypatch.setattr(klp_facts, "ROOT", str(minion.root))
    minion.pillar["klp"] = {"facts": FOLDER}
    minion.there = minion.root / FOLDER.strip("/")
    minion.there.mkdir(parents=True)
    for place in (minion.there, *minion.there.parents[:3]):
        place.chmod(0o755)
    return minion


def written(minion, document=None):
    """Write the facts of a document and return them, and their metrics ``{name: {labels: value}}``."""
    klp_facts.write(minion.host, document or fleet.document())
    found: dict = {}
    for family in text_string_to_metric_families((minion.there / klp_facts.METRICS).read_text()):
        assert family.type == "gauge" and family.documentation.endswith(".")
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return json.loads((minion.there / klp_facts.JSON).read_text()), found


def test_every_user_may_read_what_is_fixed_and_how_old_that_is(host):
    old = os.umask(0o077)
    try:
        facts, metrics = written(host, fleet.document(cves__pending=["CVE-2026-1000"]))
    finally:
        os.umask(old)
    assert facts["cves"]["fixed_live"] == ["CVE-2026-23100", "CVE-2026-21999"]
    assert facts["cves"]["counts"] == {"fixed_live": 2, "pending": 1, "reboot": 0, "unknown": 0}
    assert (facts["time"], facts["expires"], facts["boot"]) == (
        fleet.NOW - 600,
        fleet.NOW - 600 + 86400,
        "0f1d7a5e-3f0f-4d0e-9a51-0d8f0a3c1b11",
    )
    assert metrics["salt_klp_fact_cves"][("state", "pending"),] == 1
    assert metrics["salt_klp_fact_timestamp_seconds"] == {(): fleet.NOW - 600}
    (labels,) = metrics["salt_klp_fact_info"]
    assert dict(labels)["boot_id"] == facts["boot"] and dict(labels)["verdict"] == "ok"
    assert sorted(path.name for path in host.there.iterdir()) == sorted([klp_facts.JSON, klp_facts.METRICS])
    assert {stat.S_IMODE(path.stat().st_mode) for path in host.there.iterdir()} == {0o644}


def test_what_is_open_is_counted_and_not_named(host):
    """Whoever is on the host without being root is not told which holes it has."""
    opened = {"pending": "CVE-2026-1111", "reboot": "CVE-2026-2222", "unknown": "CVE-2026-3333"}
    written(host, fleet.document(**{f"cves__{state}": [cve] for state, cve in opened.items()}))
    whole = "".join(path.read_text() for path in host.there.iterdir())
    assert not [cve for cve in opened.values() if cve in whole] and "CVE-2026-23100" in whole


def test_what_is_not_known_is_null_and_no_sample(host):
    document = fleet.document(
        boot=None,
        live_patch=fleet.NO_LIVE_PATCH,
        reboot__needed=None,
        cves__reason="no repositories",
        kernel='a"b\\c\nd',
    )
    facts, metrics = written(host, document)
    assert facts["cves"] == {"fixed_live": None, "counts": None} and facts["reboot_needed"] is None
    assert not {"salt_klp_fact_cves", "salt_klp_fact_level", "salt_klp_fact_reboot_needed"} & set(metrics)
    (labels,) = metrics["salt_klp_fact_info"]
    assert (dict(labels)["kernel"], dict(labels)["live_patch"], dict(labels)["boot_id"]) == ('a"b\\c\nd', "", "")


def test_without_a_folder_in_the_pillar_nothing_is_written(minion):
    klp_facts.write(minion.host, fleet.document())
    assert not list(minion.root.rglob("*salt*klp*"))


def refused(minion):
    with pytest.raises(CommandExecutionError) as exc:
        klp_facts.write(minion.host, fleet.document())
    assert not [path for path in minion.there.parent.rglob("salt*") if path.is_file()]
    return str(exc.value)


def test_a_folder_that_others_could_write_into_is_refused(host):
    host.there.chmod(0o1777)
    make = f"; make it: install -d -m 0755 -o root -g root {FOLDER}"
    assert refused(host) == f"pillar klp:facts: {FOLDER}: others than root can write there{make}"
    host.there.chmod(0o755)
    host.there.parent.chmod(0o775)  # who owns a folder above it could put another one in its place
    assert refused(host) == f"pillar klp:facts: /var/lib: others than root can write there{make}"


def test_a_folder_of_another_user_is_refused(host, monkeypatch):
    there = os.stat_result((stat.S_IFDIR | 0o755, 1, 1, 2, 65534, 0, 0, 0, 0, 0))
    monkeypatch.setattr(klp_facts.os, "fstat", lambda handle: there)
    assert refused(host).startswith("pillar klp:facts: /var: user id 65534 can write there; make it: ")


def test_a_link_is_not_followed(host):
    elsewhere = host.root / "elsewhere"
    elsewhere.mkdir()
    (host.there.parent / "linked").symlink_to(elsewhere)
    for folder in ("/var/lib/linked", "/var/lib/linked/deeper"):
        host.pillar["klp"]["facts"] = folder
        assert refused(host).startswith("pillar klp:facts: /var/lib/linked: is no folder (a file or a link); ")
    host.pillar["klp"]["facts"] = FOLDER
    for name in (klp_facts.JSON, klp_facts.JSON + ".new"):
        (host.there / name).symlink_to(elsewhere / "secret")
    written(host)
    assert not list(elsewhere.iterdir()) and not any(path.is_symlink() for path in host.there.iterdir())


def test_a_folder_that_is_not_there_is_said(host):
    host.pillar["klp"]["facts"] = "/srv/none"
    assert refused(host) == (
        "pillar klp:facts: /srv: is no folder (No such file or directory); make it: "
        "install -d -m 0755 -o root -g root /srv/none"
    )


def test_a_file_that_cannot_be_written_is_said(host):
    (host.there / klp_facts.JSON).mkdir()
    with pytest.raises(CommandExecutionError, match=rf"^pillar klp:facts: {FOLDER}: cannot be written \("):
        klp_facts.write(host.host, fleet.document())


@pytest.mark.parametrize("folder", ["facts", "/", "/a/../etc", "/a//b", "/a b", "/a/", "/a/./b", "/a\n"])
def test_no_other_path_is_taken(folder):
    _, problems = klp_pillar.check({"facts": folder})
    assert len(problems) == 1 and problems[0].startswith("pillar klp:facts: ")
