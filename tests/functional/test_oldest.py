"""The oldest minion there is, Python 3.6 with the newest Salt that installs there: the whole life of a host on it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.functional.conftest import FIRST, LP, SECOND, THIRD, equip, settings
from tests.functional.test_audit import SCHEMA
from tests.lab.build import CHECKOUT
from tests.lab.saltcall import decode
from tools import py36

VENV = CHECKOUT / "build" / "venv" / "oldest"
TOOLS = ("pip==21.3.1", "setuptools==59.6.0", "wheel==0.37.1")  # the last ones for Python 3.6
INTERPRETER: Any = py36.interpreter()

pytestmark = pytest.mark.skipif(INTERPRETER is None, reason="no Python 3.6 is installed here")


@pytest.fixture(scope="module")
def oldest():
    """The environment, made once and kept: its folder and that of the interpreter."""
    ready, wanted = VENV / "ready", CHECKOUT / "tools" / "requirements" / "oldest.txt"
    if not ready.exists() or ready.read_text() != wanted.read_text():
        run: Any = {"check": True, "timeout": 580, "capture_output": True, "text": True}
        subprocess.run([INTERPRETER, "-m", "venv", "--clear", VENV], **run)
        pip: Any = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet"]
        env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        for tool in TOOLS:
            subprocess.run([*pip, tool], env=env, **run)
        subprocess.run([*pip, "--no-build-isolation", "-r", wanted], env=env, **run)
        ready.write_text(wanted.read_text())
    ask: Any = [VENV / "bin" / "python", "-c", "import sys; print(sys.base_prefix)"]
    return [VENV, Path(subprocess.check_output(ask, text=True, timeout=60).strip())]


@pytest.fixture
def call(host, oldest):
    """A host at the first level, all updates pending, and its salt-call: returns host and function."""
    one = equip(host("enabled", bind=oldest), settings())
    one.salt.configure()

    def run(*args):
        program = [VENV / "bin" / "python", VENV / "bin" / "salt-call", "--local", "--out=json"]
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
    assert run("klp_audit.edges") == []
    run("state.apply", "klp.rollback")
    assert host.editions(LP) == [SECOND]
    run("state.apply", "klp.disable")
    assert host.editions(LP) == []
