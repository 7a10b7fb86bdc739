"""A clean clone of this checkout, with what is not committed yet, and a way to run programs of this machine."""

import os
import shutil
import subprocess

import pytest

from tests.lab.build import CHECKOUT

ENV = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
ENV.update(GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@example.com")


def do(*argv, **kwargs):
    """Run a program of this machine and return what it printed; it must succeed."""
    done = subprocess.run([str(word) for word in argv], text=True, capture_output=True, timeout=300, **kwargs)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A clean clone of what is here, with what is not committed yet."""
    folder = tmp_path_factory.mktemp("source") / "salt-klp"
    repository = tmp_path_factory.mktemp("git")  # of its own, since an unpacked sdist has none
    do("git", "init", "-q", repository)
    listed = ("git", f"--git-dir={repository}/.git", f"--work-tree={CHECKOUT}", "ls-files", "-z")
    names = do(*listed, "--others", "--exclude-standard", cwd=CHECKOUT).split("\0")
    for name in filter(None, names):
        place = folder / name
        if (CHECKOUT / name).is_symlink() or (CHECKOUT / name).exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, place, follow_symlinks=False)
    do("git", "init", "-q", "-b", "main", folder)
    do("git", "-C", folder, "add", "-A", env=ENV)
    do("git", "-C", folder, "commit", "-q", "-m", "all", env=ENV)
    return folder
