"""
Minions with a Python of their own: the whole life of a host, called as `salt-call` there.

The oldest one is always tried: Python 3.6 with the newest Salt that installs there. `make test-matrix` names others in
the variable MINIONS: their environments are below build/venv.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.functional.conftest import FIRST, LP, SECOND, THIRD, equip, settings
from tests.functional.documents import SCHEMA
from tests.lab.build import CHECKOUT
from tests.lab.saltcall import decode
from tools import py36

ENVIRONMENTS = CHECKOUT / "build" / "venv"
OLDEST = "oldest"
MINIONS = os.environ.get("MINIONS", OLDEST).split()
TOOLS = ("pip==21.3.1", "setuptools==59.6.0", "wheel==0.37.1")  # the last ones for Python 3.6
INTERPRETER: Any = py36.interpreter()
NO_36 = pytest.mark.skipif(INTERPRETER is None, reason="no Python 3.6 is installed here")


def make_oldest(venv):
    """Make the environment with Python 3.6, once."""
    ready, wanted = venv / "ready", CHECKOUT / "tools" / "requirements" / "oldest.txt"
    if not ready.exists() or ready.read_text() != wanted.read_text():
        run: Any = {"check": True, "timeout": 580, "capture_output": True, "text": True}
        subprocess.run([INTERPRETER, "-m", "venv", "--clear", venv], **run)
        pip: Any = [venv / "bin" / "python", "-m", "pip", "install", "--quiet"]
        env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        for tool in TOOLS:
            subprocess.run([*pip, tool], env=env, **run)
        subprocess.run([*pip, "--no-build-isolation", "-r", wanted], env=env, **run)
        ready.write_text(wanted.read_text())


@pytest.fixture(params=[pytest.param(name, marks=NO_36) if name == OLDEST else name for name in MINIONS])
def call(request, host):
    """A host at the first level, all updates pending, and its salt-call: returns host and function."""
    venv = ENVIRONMENTS / request.param
    if request.param == OLDEST:
        make_oldest(venv)
    ask: Any = [venv / "bin" / "python", "-c", "import sys; print(sys.base_prefix)"]
    interpreter = Path(subprocess.check_output(ask, text=True, timeout=60).strip())
    one = equip(host("enabled", bind=[venv, interpreter]), settings())
    one.salt.configure()

    def run(*args):
        program = [venv / "bin" / "python", venv / "bin" / "salt-call", "--local", "--out=json"]
        done = one.run([*program, "--retcode-passthrough", "--config-dir=/etc/salt", *args])
        answer = decode(done.stdout)
        assert done.returncode == 0, json.dumps(answer, indent=1) + done.stderr[-3000:]
        return answer

    assert "modules.klp" in run("saltutil.sync_all")["modules"]
    return one, run


def test_the_whole_life_of_a_host(call):
    host, run = call
    assert run("klp.status")["transition"] == "ready"
    before = host.packages()
    run("state.apply", "klp", "test=True")
    assert (host.packages(), host.locks()) == (before, "")
    run("state.apply", "klp")
    assert host.editions(LP) == [FIRST]
    run("state.apply", "klp.patch")
    assert host.editions(LP) == [THIRD]
    states = run("state.apply", "klp.patch")
    assert not [state for state in states.values() if state["changes"]]
    jsonschema.validate(run("klp_audit.host"), SCHEMA)
    assert run("grains.get", "klp")["level"] == 3
    assert [item["alarm"] for item in run("klp_audit.alarm_events")] == ["window"], "that of the lab's kernel is over"
    run("state.apply", "klp.rollback")
    assert host.editions(LP) == [SECOND]
    run("state.apply", "klp.disable")
    assert host.editions(LP) == []
