"""What the repositories of a host hold and how old that is, by their files alone."""

import gzip
import os

import pytest

import klp_paths
import zypp_metadata
import zypp_parse
import zypp_repositories
from tests.unit.conftest import LP
from tests.unit.hosts import rpm

NOW, DAY = 1_700_000_000, 86400
REPOMD = '<?xml version="1.0"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">{}</repomd>\n'
FILE = '<data type="{}"><location href="repodata/{}"/><timestamp>{}</timestamp></data>'
ADVISORY = (
    '<update status="stable"><id>{0}</id><pkglist><package name="{0}" version="1" release="1"/></pkglist></update>'
)


def repository(minion, alias, time=NOW, names=None, text=None, more=""):
    """Give the host a repository: with advisories of packages, or with none of them."""
    folder = f"{klp_paths.RAW_METADATA}/{alias.replace('/', '_')}/repodata"
    minion.file(f"{klp_paths.REPOSITORIES}/{alias.replace('/', '_')}.repo", f"[{alias}]\nname=N {alias}\n{more}")
    files = FILE.format("primary", "p.xml.gz", time)
    if names is not None:
        files += FILE.format("updateinfo", "u-updateinfo.xml.gz", time - 1)
        minion.file(f"{folder}/u-updateinfo.xml.gz", "")
        with open(f"{folder}/u-updateinfo.xml.gz", "wb") as handle:
            handle.write(gzip.compress(f"<updates>{''.join(map(ADVISORY.format, names))}</updates>".encode()))
    minion.file(f"{folder}/repomd.xml", REPOMD.format(files) if text is None else text)


def plain(alias, path=""):
    return {"alias": alias, "name": alias, "enabled": True, "service": "", "path": path}


def test_a_repo_file_tells_of_all_repositories():
    text = "enabled=0\n[a:b]\nname = The A\nservice=S\npath=/x/\nother=1\n[b]\nENABLED = No\n"
    assert zypp_parse.repositories(text) == [
        {"alias": "a:b", "name": "The A", "enabled": True, "service": "S", "path": "/x/"},
        {"alias": "b", "name": "b", "enabled": False, "service": "", "path": ""},
    ]


@pytest.mark.parametrize(
    ("alias", "path", "folder"),
    [
        ("a", "", "a"),
        ("S:a", "/", "S:a"),
        ("a/b", "/x/y/", "a_b/x/y"),
        ("..", "../..", "_"),
        ("../a", "", ".._a"),
    ],
)
def test_metadata_are_looked_for_below_zyppers_cache_only(minion, alias, path, folder):
    assert zypp_repositories.folder(plain(alias, path)) == f"{klp_paths.RAW_METADATA}/{folder}"


def test_a_host_knows_what_its_repositories_hold(minion):
    rpm(minion, {"bash": "1-1", "kernel-default": "1-1"})
    repository(minion, "S:Updates", NOW - 5, ["bash", "other"], more="service=S\n")
    repository(minion, "Live", NOW - 6, [LP, "kernel-default"])
    repository(minion, "Hub", NOW - 7, ["other"])
    repository(minion, "New", NOW - 8, [])
    repository(minion, "Pool", NOW - 9)
    repository(minion, "Off", NOW, ["bash"], more="enabled=0\n")
    found = {item["alias"]: item for item in zypp_repositories.known(minion.host)}
    assert found["S:Updates"] == {
        "alias": "S:Updates",
        "name": "N S:Updates",
        "service": "S",
        "time": NOW - 5,
        "updates": True,
        "live_patches": False,
        "others": True,
        "empty": False,
    }
    told = {key: [item[name] for name in ("updates", "live_patches", "others", "empty")] for key, item in found.items()}
    assert told == {
        "S:Updates": [True, False, True, False],
        "Live": [True, True, False, False],
        "Hub": [True, False, False, False],
        "New": [True, False, False, True],
        "Pool": [False, None, None, None],
    }


def test_advisories_are_read_once_and_again_when_packages_change(minion, monkeypatch):
    rpm(minion, {"bash": "1-1"}, {"bash": "1-1", "other": "1-1"})
    repository(minion, "Hub", NOW, ["other"])
    assert zypp_repositories.known(minion.host)[0]["others"] is False
    with monkeypatch.context() as patch:
        patch.setattr(zypp_metadata, "subjects", lambda *args: pytest.fail("read again"))
        assert zypp_repositories.known(minion.host)[0]["others"] is False
    minion.changed()
    assert zypp_repositories.known(minion.host)[0]["others"] is True


@pytest.mark.parametrize(
    ("text", "time"),
    [
        (REPOMD.format("<revision>1</revision>" + FILE.format("primary", "p", 1)), None),
        (REPOMD.format(f"<revision>{NOW}</revision>"), NOW),
        (REPOMD.format(f"<revision>{NOW}</revision>" + FILE.format("primary", "p", NOW - 9)), NOW - 9),
        (REPOMD.format(FILE.format("primary", "p", NOW) + FILE.format("x", "p", f" {NOW + 1}.5 ")), NOW + 1),
        (REPOMD.format("<revision>of today</revision><data/>"), None),
        (REPOMD.format(FILE.format("primary", "p", "9" * 400)), None),
        ("<repomd/>", None),
    ],
)
def test_the_time_of_metadata_is_the_newest_of_their_files(minion, text, time):
    repository(minion, "a", text=text)
    assert zypp_repositories.metadata(plain("a")) == {"time": time, "updateinfo": None}


@pytest.mark.parametrize(
    "text",
    ["<html><body>Log in first</body></html>", "", "<repomd>", "<!DOCTYPE x><repomd/>", "<repomd>" + " " * 1024 * 1024],
)
def test_metadata_that_are_none_are_unknown(minion, text):
    repository(minion, "a", text=text)
    assert zypp_repositories.metadata(plain("a")) is None
    assert zypp_repositories.known(minion.host)[0]["updates"] is None


def test_a_repository_that_was_never_fetched_is_unknown(minion):
    minion.file(f"{klp_paths.REPOSITORIES}/a.repo", "[a]\n")
    assert zypp_repositories.metadata(plain("a")) is None


def test_without_a_folder_there_are_no_repositories(minion):
    os.rmdir(klp_paths.REPOSITORIES)
    assert zypp_repositories.known(minion.host) == []


@pytest.mark.parametrize("name", ["u.xml.zst", "gone.xml", "broken.xml.gz"])
def test_advisories_that_cannot_be_read_are_unknown(minion, name):
    minion.file(f"{klp_paths.RAW_METADATA}/broken.xml.gz", "no gzip")
    assert zypp_metadata.subjects(f"{klp_paths.RAW_METADATA}/{name}", any, {"a"}) is None


def test_advisories_lie_beside_their_index_whatever_it_says(minion):
    repository(minion, "a", text=REPOMD.format(FILE.format("updateinfo", "../../../../etc/passwd", 1)))
    folder = zypp_repositories.folder(plain("a"))
    assert zypp_repositories.metadata(plain("a"))["updateinfo"] == f"{folder}/repodata/passwd"
    repository(minion, "a", text=REPOMD.format('<data type="updateinfo"/>'))
    assert zypp_repositories.metadata(plain("a"))["updateinfo"] == f"{folder}/repodata/updateinfo.xml.gz"


OLD = NOW - 31 * DAY


def item(alias, time, updates=True, live_patches=False):
    return {"alias": alias, "time": time, "updates": updates, "live_patches": live_patches}


@pytest.mark.parametrize(
    ("found", "marks"),
    [
        ([item("p", 1, updates=False), item("u", NOW)], {"p": False, "u": False}),
        # One that is fresh is enough for the others: not every product has an update each month.
        ([item("u", OLD), item("v", NOW - 29 * DAY)], {"u": False, "v": False}),
        ([item("u", OLD), item("v", OLD - 1)], {"u": True, "v": True}),
        ([item("u", NOW), item("l", OLD, live_patches=True)], {"u": False, "l": True}),
        ([item("l", OLD, live_patches=True), item("m", NOW, live_patches=True)], {"l": False, "m": False}),
        # No time, and one of the future: a clock is wrong, nothing is known.
        ([item("u", None)], {"u": None}),
        ([item("u", NOW + 2 * DAY)], {"u": None}),
        ([item("u", NOW + 2 * DAY), item("v", OLD)], {"u": None, "v": None}),
        ([item("u", NOW + DAY)], {"u": False}),
        ([item("u", None), item("v", NOW)], {"u": False, "v": False}),
        ([item("u", NOW), item("l", None, live_patches=True)], {"u": False, "l": None}),
        ([item("x", None, updates=None)], {"x": None}),
        ([], {}),
    ],
)
def test_repositories_that_stand_still(found, marks):
    assert zypp_repositories.frozen(found, NOW, 30) == marks
    assert zypp_repositories.frozen(found, NOW, 0) == dict.fromkeys(marks, False)
