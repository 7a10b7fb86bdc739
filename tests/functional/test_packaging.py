"""What is published: an sdist that has all, an RPM that is built from it, and a newer build that is newer."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from klp_version import VERSION
from tests.functional.checkout import ENV, do, source
from tests.lab.build import CHECKOUT

assert source  # a fixture

BUILD = "import build_backend, sys; print(build_backend.build_sdist(sys.argv[1]))"
CHECK = str(CHECKOUT / "tools" / "installed.py")
MADE_BY_BUILD = re.compile(r"PKG-INFO|build-number|salt_klp\.egg-info/.*")


def sdist(tree, folder):
    """Make the sdist of a tree as pip and build do; return its path."""
    path = f"{tree / 'tools'}:{sys.prefix}"
    done = do(sys.executable, "-c", BUILD, folder, cwd=tree, env={**ENV, "PYTHONPATH": path})
    return folder / done.split()[-1]


@pytest.fixture(scope="module")
def made(source, tmp_path_factory):
    """The sdist, and the folder that it was unpacked into."""
    (source / "build-number").unlink(missing_ok=True)  # where these tests run in an unpacked sdist
    folder = tmp_path_factory.mktemp("sdist")
    path = sdist(source, folder)
    do("tar", "-xzf", path, "-C", folder)
    return path, folder / path.name.removesuffix(".tar.gz")


def test_the_sdist_has_all_that_the_repository_has(source, made):
    _, tree = made
    known = set(do("git", "-C", source, "ls-files").splitlines()) - {"build-number"}
    there = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file() or path.is_symlink()}
    assert known - there == set()
    assert [name for name in there - known if not MADE_BY_BUILD.fullmatch(name)] == []
    for name in known:
        assert (tree / name).is_symlink() == (source / name).is_symlink(), name
        assert (tree / name).lstat().st_mode & 0o111 == (source / name).lstat().st_mode & 0o111, name


def test_the_rpm_is_built_from_the_sdist_and_checks_what_it_installs(made):
    _, tree = made
    rpm = Path(do("tools/rpm.sh", cwd=tree).strip())
    names = dict(
        re.findall(r"^(\S+) (\S+)$", do("rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEMODES:octal}\n]", rpm), re.M)
    )
    for name in ("states/klp/init.sls", "states/_modules/klp.py", "metadata/klp/form.yml", "metadata/klp/schema.yaml"):
        assert f"/usr/share/salt-formulas/{name}" in names
    for name in ("README.md", "docs/index.md", "pillar/examples/auto.sls", "metadata/grafana/salt-klp.json"):
        assert f"/usr/share/doc/packages/salt-klp/{name}" in names
    assert names["/var/lib/salt-klp"] == "40700"
    asked = "%{VERSION}|%{RELEASE}|%{LICENSE}|%{URL}"
    version, release, licence, url = do("rpm", "-qp", "--qf", asked, rpm).split("|")
    number = (tree / "build-number").read_text().strip()
    assert (version, release, licence) == (VERSION, f"0.{number}", "Apache-2.0") and url.startswith("https://")
    assert "0.2.0" in do("rpm", "-qp", "--changelog", rpm)
    scripts = do("rpm", "-qp", "--scripts", "--triggers", rpm)
    assert scripts.count("chown --reference=/var/cache/salt/master /var/lib/salt-klp") == 2


def test_a_newer_build_is_newer(source, made, tmp_path):
    first, _ = made
    do("git", "-C", source, "commit", "-q", "--allow-empty", "-m", "more", env=ENV)
    second = sdist(source, tmp_path)
    versions = [Version(path.name.removesuffix(".tar.gz").split("klp-")[1]) for path in (first, second)]
    assert versions[0].public == versions[1].public == VERSION
    assert versions[0] < versions[1]


def test_what_make_install_writes_is_checked(source, tmp_path):
    """A link out of the file root, Python that does not compile, and a dead link are found."""
    do("make", "install", f"DESTDIR={tmp_path}", cwd=source)
    check = [sys.executable, CHECK, str(tmp_path)]
    done = subprocess.run(check, text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout.split(", ")[-1]) == (0, "0 findings\n"), done.stdout
    share = tmp_path / "usr/share"
    (share / "salt-formulas/states/_utils/klp_link.py").symlink_to("/etc/hostname")
    (share / "salt-formulas/states/_utils/klp_level.py").write_text("def f(:\n")
    (share / "doc/packages/salt-klp/docs/how-to/hooks.md").unlink()
    done = subprocess.run(check, text=True, capture_output=True, timeout=60)
    assert done.returncode == 1
    for words in (
        "klp_link.py: a link",
        "klp_level.py:1: invalid syntax",
        "link to how-to/hooks.md, which is not inst",
    ):
        assert words in done.stdout, done.stdout
    assert subprocess.run([sys.executable, CHECK], capture_output=True, timeout=60).returncode == 2
