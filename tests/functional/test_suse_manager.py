"""
What docs/how-to/suse-manager.md brings into a server, by a stand-in for mgrctl.

The stand-in copies and executes below a folder. As in uyuni-tools (mgrctl/cmd/cp/cp.go, mgrctl/cmd/exec) ``cp`` has two
arguments, one of them ``server:PATH``, and makes no folder; ``exec -- PROGRAM`` runs it inside.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import pages
from tests.functional.commands import SERVER_PAGE, server_scripts
from tests.lab.build import CHECKOUT

MGRCTL = """\
import pathlib, shutil, subprocess, sys
root = pathlib.Path({root!r})
inside = lambda path: str(root / path.lstrip("/"))
command, *words = sys.argv[1:]
if command == "cp":
    source, target = words
    assert target.startswith("server:"), target
    shutil.copy(source, inside(target[len("server:"):]))
elif command == "exec" and words[:2] == ["--", "systemctl"]:
    assert words[2:] == ["restart", "salt-master"], words
else:
    assert command == "exec" and words[0] == "--", sys.argv
    option = "--reference="
    argv = [option + inside(word[len(option):]) if word.startswith(option) else word for word in words[1:]]
    sys.exit(subprocess.call([inside(word) if word.startswith("/") else word for word in argv]))
"""
# What is there before: the volumes, and files of others (uyuni-tools, shared/utils/volumes.go).
FOREIGN = ("/srv/salt/top.sls", "/srv/salt/_modules/site.py", "/srv/formula_metadata/locale/form.yml")
FOLDERS = ("/tmp", "/etc/salt/master.d", "/var/cache/salt/master", "/var/lib/salt")


@pytest.fixture
def server(tmp_path):
    """A server: its folder, and a function that runs a script of the page beside it."""
    root, here, programs = tmp_path / "server", tmp_path / "here", tmp_path / "bin"
    for name in FOLDERS:
        (root / name.lstrip("/")).mkdir(parents=True)
    (root / "var/cache/salt/master").chmod(0o750)
    for name in FOREIGN:
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of others\n")
    programs.mkdir()
    here.mkdir()
    (programs / "mgrctl.py").write_text(MGRCTL.format(root=str(root)))
    (programs / "mgrctl").write_text(f'#!/bin/sh\nexec {sys.executable} {programs}/mgrctl.py "$@"\n')
    (programs / "git").write_text(f'#!/bin/sh\n[ "$1 $2" = "clone URL" ] && ln -s {CHECKOUT} "$3"\n')
    for name in ("mgrctl", "git"):
        (programs / name).chmod(0o755)

    def run(text):
        env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        script = text.replace(" /tmp/", f" {tmp_path}/").replace("=/tmp/", f"={tmp_path}/")
        script = script.replace(f"-xf {tmp_path}/", "-xf /tmp/")
        done = subprocess.run(["bash", "-ec", script], cwd=here, env=env, text=True, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    return root, tmp_path, run


def test_the_page_brings_it_into_a_server_and_harms_nobody(server):
    root, outside, run = server
    make, bring = (command.text for command in server_scripts())
    run(make)
    (conf,) = (text for name, text in pages.files(SERVER_PAGE).items() if name == "/tmp/salt-klp.conf")
    (outside / "salt-klp.conf").write_text(conf)
    run(bring)
    for name in FOREIGN:
        assert (root / name.lstrip("/")).read_text() == "of others\n"
    for name in ("klp/init.sls", "klp/orch/patch.sls", "_modules/klp.py", "_utils/klp_level.py"):
        assert (root / "srv/salt" / name).is_file(), name
    form = yaml.safe_load((root / "srv/formula_metadata/klp/form.yml").read_text())
    assert "backup" in form["klp"]
    settings = yaml.safe_load((root / "etc/salt/master.d/salt-klp.conf").read_text())
    for key in ("runner_dirs", "utils_dirs", "states_dirs", "outputter_dirs", "engines_dirs"):
        (folder,) = settings[key]
        assert list((root / Path(folder).relative_to("/")).glob("klp*")), key
    kept = root / Path(settings["klp_folder"]).relative_to("/")
    assert kept.stat().st_mode & 0o777 == 0o700
