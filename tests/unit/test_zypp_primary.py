"""Packages of repositories as primary.xml has them: only what is asked about, and nothing of a file that is damaged."""

import gzip
import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

import klp_paths
import zypp_primary
import zypp_repositories
from tests.unit.primary import entry, text

ALL = {"wanted": lambda name, edition: True, "capability": lambda name: True}


def package(name, rel="1.1", arch="x86_64", provides="", requires="", built='<time file="9" build="1689588000"/>'):
    listed = f"<rpm:provides>{provides}</rpm:provides><rpm:requires>{requires}</rpm:requires>"
    return (
        f'<package type="rpm"><name>{name}</name><arch>{arch}</arch><version epoch="0" ver="1.0" rel="{rel}"/>'
        f"<description>of &lt;it&gt;</description>{built}<format>{listed}</format></package>\n"
    )


def read(folder, content, **more):
    path = folder / "primary.xml"
    path.write_text(content)
    return zypp_primary.packages(str(path), **{**ALL, **more})


def test_what_is_asked_about_is_read(tmp_path):
    some = [
        package(
            "kernel-default",
            provides=entry("kernel", "EQ", "5", "7.1") + entry("ksym(default:a)", "EQ", "0a") + entry("x(y)"),
            requires=entry("perl", "GE", "5"),
        ),
        package("bash"),
        package("kernel-default", rel="2.1", arch="src"),
        package("kernel-default", rel="3.1", built="", requires=entry("a", "LT", "1")),
    ]
    found = read(tmp_path, text(*some), wanted=lambda name, edition: name == "kernel-default" and edition != "1.0-9.9")
    first = {
        "name": "kernel-default",
        "edition": "1.0-1.1",
        "built": 1689588000,
        "provides": [["kernel", "=", "5-7.1"], ["ksym(default:a)", "=", "0a"], ["x(y)", "", ""]],
        "requires": [["perl", ">=", "5"]],
    }
    third = {"name": "kernel-default", "edition": "1.0-3.1", "built": None}
    assert found == [first, dict(third, provides=[], requires=[["a", "<", "1"]])]


def test_capabilities_are_left_away_unless_they_are_wanted(tmp_path):
    some = text(package("a", provides=entry("one", "EQ", "1") + entry("two", "EQ", "2")), package("b"))
    found = read(tmp_path, some, wanted=lambda name, edition: name == "a", capability="two".__eq__)
    assert found[0]["provides"] == [["two", "=", "2"]]
    assert read(tmp_path, some, capability=None)[0]["provides"] == []
    found = read(tmp_path, some, wanted=lambda name, edition: edition is None or name == "b")
    assert [item["name"] for item in found] == ["b"]


@pytest.mark.parametrize(
    "content",
    [
        text(package("a")).replace("</package>", ""),
        text(package("a")).replace('ver="1.0"', ""),
        text(package("a")).replace("<arch>", "<arch"),
        text(package("a")).replace("<version", "<edition"),
        text(package("a").replace("<name>", '<!DOCTYPE a [<!ENTITY b "c">]><name>')),
        text(package("a", provides=entry("x"))).replace("</rpm:provides>", ""),
        text(package("a", provides=entry("x").replace("/>", " broken/>"))),
        text(package("a")) + "<package type='rpm'><name>cut",
    ],
)
def test_a_damaged_file_has_told_nothing(tmp_path, content):
    assert read(tmp_path, content) is None


WHOLE = text(package("a", provides=entry("x", "EQ", "1", "1"), requires=entry("y")), package("b"))


@given(st.integers(0, len(WHOLE)), st.integers(0, 60), st.text(max_size=20), st.booleans())
def test_a_file_with_anything_in_it_tells_something_or_nothing(at, lost, more, kept):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "primary.xml")
        with open(path, "w", encoding="utf-8", errors="surrogatepass") as handle:
            handle.write(WHOLE[:at] + more + WHOLE[at + lost :])
        found = zypp_primary.packages(path, ALL["wanted"], ALL["capability"] if kept else None)
    assert found is None or all(item["name"] and (item["built"] or 0) < 2**34 for item in found)


def test_a_time_that_no_calendar_has_is_none(tmp_path):
    for built in ("9" * 11, "-1", "\u0663"):
        found = read(tmp_path, text(package("a", built=f'<time file="9" build="{built}"/>')))
        assert found[0]["built"] is None


def test_a_package_without_a_name_or_details_is_no_harm(tmp_path):
    whole = package("a")
    bare = whole[: whole.index("<format>")] + "</package>"
    assert [item["edition"] for item in read(tmp_path, text("<package></package>", bare))] == ["1.0-1.1"]


def test_packed_files_and_those_that_python_cannot_unpack(tmp_path):
    packed = tmp_path / "primary.xml.gz"
    packed.write_bytes(gzip.compress(text(package("a")).encode()))
    assert len(zypp_primary.packages(str(packed), **ALL)) == 1
    strange = tmp_path / "primary.xml.zst"
    strange.write_bytes(b"\x28\xb5\x2f\xfd")
    assert zypp_primary.packages(str(strange), **ALL) is None
    assert zypp_primary.packages(None, **ALL) is None


def test_it_is_found_where_zypper_keeps_it(minion):
    folder = f"{klp_paths.RAW_METADATA}/a/repodata"
    path = minion.file(f"{folder}/1-primary.xml.gz", "")
    for alias in "ab":
        minion.file(f"{klp_paths.REPOSITORIES}/{alias}.repo", f"[{alias}]\n")
    some = zypp_repositories.enabled()
    assert zypp_primary.paths(some) == {"a": path, "b": None}
    minion.file(f"{folder}/2-primary.xml.gz", "")
    assert zypp_primary.paths(some) == {"a": None, "b": None}


def test_what_python_cannot_unpack_is_unpacked_by_zstd_for_the_moment(minion, programs, paths):
    plain, packed = "/r/1-primary.xml.gz", "/r/2-primary.xml.zst"
    place = f"{klp_paths.CACHE}/primary-{os.getpid()}-0.xml"
    argv = ["zstd", "--decompress", "--quiet", "--force", "-o", place, packed]
    with zypp_primary.readable(minion.host, [plain, packed, None]) as found:
        assert found == [plain, packed, None]
    paths.add("zstd")
    programs.on(argv, "", then=lambda: minion.file(place, "x"))
    with zypp_primary.readable(minion.host, [plain, packed, None]) as found:
        assert found == [plain, place, None]
        assert os.path.exists(place)
    assert not os.path.exists(place)
    programs.on(argv, {"retcode": 1, "stderr": "no space left"})
    with zypp_primary.readable(minion.host, [packed]) as found:
        assert found == [packed]
