"""Contents of advisories from the metadata that zypper has fetched: the same as zypper says, and never an error."""

import bz2
import gzip
import lzma
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import klp_paths
import zypp_metadata
import zypp_parse
import zypp_solver
from tests.unit.hosts import reads
from tests.unit.loader import recorded

SLES, LIVE = "SLE-Product-SLES15-SP5-Updates", "SLE-Module-Live-Patching15-SP5-Updates"
PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".xml": bytes,
    ".xml.gz": gzip.compress,
    ".xml.bz2": bz2.compress,
    ".xml.xz": lzma.compress,
}
SAID = zypp_parse.advisory_editions(recorded("zypper/info-patches.txt"))
WANTED = {name: LIVE if "Live-Patching" in name else SLES for name in SAID}
PACKAGE = '<package name="{}" epoch="0" version="2" release="1" arch="{}"/>'
ADVISORY = '<update from="x" type="security"><id>{}</id><pkglist><collection>{}</collection></pkglist></update>'


def advisory(name, *packages, arch="x86_64"):
    return ADVISORY.format(name, "".join(PACKAGE.format(package, arch) for package in packages))


def metadata(minion, alias, data, end=".xml.gz"):
    """Put the updateinfo of a repository where zypper puts it; text is packed as the name says."""
    data = data if isinstance(data, bytes) else PACKED[end](f"<updates>\n{data}</updates>\n".encode())
    path = minion.file(f"{klp_paths.RAW_METADATA}/{alias}/repodata/0123abcd-updateinfo{end}", "")
    with open(path, "wb") as handle:
        handle.write(data)


def found(*ids, alias="a"):
    return zypp_metadata.advisory_editions(dict.fromkeys(ids, alias))


@pytest.mark.parametrize("end", sorted(PACKED))
def test_the_metadata_say_what_zypper_says(minion, programs, end):
    for alias, name in ((SLES, "updateinfo"), (LIVE, "updateinfo-live-patching")):
        metadata(minion, alias, PACKED[end](recorded(f"zypper/{name}.xml").encode()), end)
    assert len(SAID) == 10 and zypp_metadata.advisory_editions(WANTED) == SAID
    assert programs.calls == []


@pytest.mark.parametrize("arch", ["src", "nosrc"])
def test_source_packages_do_not_count(minion, arch):
    metadata(minion, "a", advisory("A-1", "a", "b").replace('name="b"', 'name="b" x=""') + advisory("A-2", arch=arch))
    assert found("A-1") == {"A-1": {"a": "2-1", "b": "2-1"}}
    metadata(minion, "a", advisory("A-1", "a", arch=arch))
    assert found("A-1") == {"A-1": {}}


def test_an_advisory_without_packages_is_one(minion):
    metadata(minion, "a", advisory("A-1") + '<update from="x"><id>A-2</id></update>')
    assert found("A-1", "A-2") == {"A-1": {}, "A-2": {}}


def test_only_the_repository_of_an_advisory_is_read(minion):
    metadata(minion, "a", advisory("A-1", "a") + advisory("B-1", "wrong"))
    metadata(minion, "b", advisory("A-1", "wrong") + advisory("B-1", "b"))
    assert zypp_metadata.advisory_editions({"A-1": "a", "B-1": "b"}) == {"A-1": {"a": "2-1"}, "B-1": {"b": "2-1"}}
    assert zypp_metadata.advisory_editions({"A-1": "c"}) == {}


@pytest.mark.parametrize("alias", [None, "", "..", ".", "a/../a", "/etc", "../raw/a", "*", "[a]", "?"])
def test_an_alias_is_a_name_and_no_way_to_other_files(minion, alias):
    metadata(minion, "a", advisory("A-1", "a"))
    assert found("A-1", alias=alias) == {}


def test_an_alias_with_signs_of_a_pattern_is_found(minion):
    metadata(minion, "SUSE:[x]*?", advisory("A-1", "a"))
    assert found("A-1", alias="SUSE:[x]*?") == {"A-1": {"a": "2-1"}}


@pytest.mark.parametrize("end", [".xml.zst", ".xml.zck", ".xml.gz.part", ".xmlx"])
def test_a_file_of_another_kind_is_not_read(minion, end):
    metadata(minion, "a", gzip.compress(advisory("A-1", "a").encode()), end)
    assert found("A-1") == {}


GOOD = advisory("A-2", "b")
DAMAGED = {
    "entities": '<update from="x"><id>A-1</id><title>&lol;</title></update>',
    "an external entity": '<!DOCTYPE u [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + advisory("A-1", "&e;"),
    "a declaration inside": '<update from="x"><!DOCTYPE u [<!ENTITY e "e">]><id>A-1</id></update>',
    "no name": advisory("A-1", "a").replace('name="a"', ""),
    "no version": advisory("A-1", "a").replace('version="2"', ""),
    "no release": advisory("A-1", "a").replace('release="1"', ""),
    "an open element": '<update from="x"><id>A-1</id><pkglist></update>',
    "a text that ends it": '<update from="x"><id>A-1</id><title><![CDATA[</update>]]></title></update>',
    "an id in a text": '<update from="x"><title><![CDATA[<id>A-1</id>]]></title><id>B-1</id></update>',
    "no attributes": "<update><id>A-1</id></update>",
    "no UTF-8": b'<update from="\xff\xfe"><id>A-1</id></update>'.decode("latin-1"),
    "a null byte": '<update from="x"><id>A-1</id><title>\0</title></update>',
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=list(DAMAGED))
def test_a_damaged_or_hostile_advisory_is_not_found_and_the_next_one_is(minion, text):
    metadata(minion, "a", gzip.compress(f"<updates>\n{text}{GOOD}</updates>".encode("latin-1")))
    assert found("A-1", "A-2") == {"A-2": {"b": "2-1"}}


@pytest.mark.parametrize("end", sorted(PACKED))
@pytest.mark.parametrize("kept", [0, 1, 20, -30])
def test_a_file_that_is_cut_off_has_no_advisory_that_is_not_whole(minion, end, kept):
    whole = PACKED[end](f"<updates>{advisory('A-1', *[f'p{number}' for number in range(500)])}".encode())
    metadata(minion, "a", whole[:kept], end)
    assert found("A-1") == {}


def test_an_advisory_whose_packages_are_cut_off_is_not_one_without_packages(minion):
    metadata(minion, "a", b'<updates><update from="x"><id>A-1</id><title>t</title>', ".xml")
    assert found("A-1") == {}


@pytest.mark.parametrize("place", [12, 40, 60])
def test_a_file_with_a_wrong_byte_is_not_read(minion, place):
    for end in (".xml.gz", ".xml.bz2", ".xml.xz"):
        whole = bytearray(PACKED[end](advisory("A-1", *[f"p{number}" for number in range(50)]).encode()))
        whole[place : place + 4] = b"\xff\xff\xff\xff"
        metadata(minion, "a", bytes(whole), end)
        assert found("A-1") == {}
        metadata(minion, "a", b"", end)


def test_an_id_of_ten_megabytes_costs_nothing(minion):
    metadata(minion, "a", advisory("A" * 10_000_000) + GOOD)
    assert found("A-2") == {"A-2": {"b": "2-1"}}


def test_what_is_unpacked_has_an_end(minion, monkeypatch):
    monkeypatch.setattr(zypp_metadata, "LARGEST", 400)
    metadata(minion, "a", GOOD + advisory("A-1", *"abcdefgh"))
    assert found("A-1", "A-2") == {"A-2": {"b": "2-1"}}


def test_a_folder_in_place_of_the_file_is_not_read(minion):
    minion.file(f"{klp_paths.RAW_METADATA}/a/repodata/x-updateinfo.xml.gz/y", "")
    assert found("A-1") == {}


@given(st.sampled_from(sorted(PACKED)), st.binary(max_size=300), st.integers(0, 200), st.integers(0, 2**32 - 1))
@example(".xml.gz", b"", 10, 0xFFFFFFFF)
def test_no_file_at_all_makes_it_fail(tmp_path_factory, end, junk, place, word):
    """Any bytes; and a good file with some wrong ones in it, which is packed data that cannot be unpacked."""
    good = bytearray(PACKED[end](f"<updates>{advisory('A-1', *'abcdefgh')}</updates>".encode()))
    good[place : place + 4] = word.to_bytes(4, "big")
    folder = tmp_path_factory.mktemp("raw")
    for number, data in enumerate((junk, bytes(good), PACKED[end](junk), PACKED[end](b"<update <id>A-1</id>" + junk))):
        path = folder / f"{number}-updateinfo{end}"
        path.write_bytes(data)
        assert set(zypp_metadata._read(str(path), ["A-1"])) <= {"A-1"}


# -- what is retracted -------------------------------------------------------------------------------------------------

LP = "kernel-livepatch-5_14_21-150500_55_7-default"


def retracted(*packages, name="A-9", status="retracted"):
    return advisory(name, *packages).replace("<update ", f'<update status="{status}" ')


def withdrawn(minion, data, end=".xml.gz"):
    metadata(minion, "a", data, end)
    paths = {"a": f"{klp_paths.RAW_METADATA}/a/repodata/0123abcd-updateinfo{end}"}
    return zypp_metadata.retracted(paths, "kernel-livepatch-")


@pytest.mark.parametrize("end", sorted(PACKED))
def test_a_retracted_advisory_withdraws_the_live_patches_in_it(minion, end):
    """Of all kernels that it bundles; other packages, and what other advisories say of the same, do not matter."""
    text = retracted(LP, "curl", f"{LP}-debuginfo") + advisory("A-8", LP) + retracted(LP, name="A-7")
    found = withdrawn(minion, text, end)
    assert found == {
        "packages": {LP: {"2-1": ["A-9", "A-7"]}, f"{LP}-debuginfo": {"2-1": ["A-9"]}},
        "known": True,
        "unread": [],
    }


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("", False),
        (advisory("A-1", "curl", "kernel-livepatch-tools"), False),
        (advisory("A-1", LP), True),
        (retracted("curl"), False),
        (retracted(LP, status="stable") + advisory("A-2", "curl").replace("<pkglist>", "retracted<pkglist>"), True),
        (retracted(LP).replace("x86_64", "src"), True),
    ],
)
def test_what_is_not_retracted(minion, text, known):
    assert withdrawn(minion, text) == {"packages": {}, "known": known, "unread": []}


@pytest.mark.parametrize("end", [".xml.zst", ".xml.zck"])
def test_a_file_that_python_cannot_unpack_is_said_to_be_unread(minion, end):
    assert withdrawn(minion, b"\x28\xb5\x2f\xfd", end)["unread"] == ["a"]


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(f"<updates>{advisory('A-1', LP)}".encode())[:-9],
        gzip.compress(f"<updates>{advisory('A-1', LP)}{retracted(LP)[:60]}".encode()),
        gzip.compress(retracted(LP).replace('version="2"', "").encode()),
        gzip.compress(retracted(LP).replace("A-9", "&e;").encode()),
        b"junk",
    ],
)
def test_a_damaged_file_is_never_not_retracted(minion, data):
    found = withdrawn(minion, data)
    assert (found["packages"], found["unread"]) == ({}, ["a"])


def test_an_advisory_that_lies_across_two_chunks_is_read(minion, monkeypatch):
    monkeypatch.setattr(zypp_metadata, "CHUNK", 7)
    assert withdrawn(minion, advisory("A-1", "a") + retracted(LP))["packages"] == {LP: {"2-1": ["A-9"]}}
    assert found("A-1") == {"A-1": {"a": "2-1"}}


def test_text_without_an_end_is_never_not_retracted(minion, monkeypatch):
    monkeypatch.setattr(zypp_metadata, "LARGEST", 400)
    assert withdrawn(minion, retracted(LP) + advisory("A-1", *"abcdefgh")) == {
        "packages": {LP: {"2-1": ["A-9"]}},
        "known": True,
        "unread": ["a"],
    }


# -- what the metadata do not have is asked of zypper ------------------------------------------------------------------


def listed(*rows):
    return [{"id": name, "repository": alias} for name, alias in rows]


def test_zypper_is_asked_for_what_is_not_found(minion, programs):
    metadata(minion, "a", advisory("A-1", "a"))
    reads(minion, ["info", "--type", "patch", "A-2", "B-1"], "Name : A-2\nConflicts : [1]\n  b < 3-1\n", xml=False)
    host = minion.host
    for _ in range(2):
        editions = zypp_solver.advisory_editions(host, listed(("B-1", "x/y"), ("A-1", "a"), ("A-2", "a")))
        assert editions == {"A-1": {"a": "2-1"}, "A-2": {"b": "3-1"}}
    assert len(programs.calls) == 1


def test_zypper_is_asked_in_parts(minion, programs, monkeypatch):
    monkeypatch.setattr(zypp_solver, "PART", 2)
    for ids in (["A-1", "A-2"], ["A-3"]):
        reads(minion, ["info", "--type", "patch", *ids], "".join(f"Name : {name}\n" for name in ids), xml=False)
    rows = listed(*[(f"A-{number}", None) for number in (3, 2, 1)])
    assert zypp_solver.advisory_editions(minion.host, rows) == {"A-1": {}, "A-2": {}, "A-3": {}}


def test_metadata_that_have_changed_are_read_again(minion):
    host, wanted = minion.host, listed(("A-1", "a"))
    metadata(minion, "a", advisory("A-1", "a"))
    assert zypp_solver.advisory_editions(host, wanted) == {"A-1": {"a": "2-1"}}
    metadata(minion, "a", advisory("A-1", "b"))
    assert zypp_solver.advisory_editions(host, wanted) == {"A-1": {"a": "2-1"}}
    minion.file(klp_paths.METADATA[0].replace("*", "a"), "new")
    assert zypp_solver.advisory_editions(host, wanted) == {"A-1": {"b": "2-1"}}


def test_nothing_wanted_asks_nothing(minion, programs):
    assert zypp_solver.advisory_editions(minion.host, []) == {} and programs.calls == []
