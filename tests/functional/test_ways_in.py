"""Each way to install it, from a clean place to a status that is answered and a run that is predicted."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from salt.version import __saltstack_version__

from klp_version import VERSION
from tests.functional import checkout
from tests.functional.checkout import do
from tests.functional.conftest import LOCKS
from tests.lab.host import PRELOAD
from tests.lab.saltcall import MINION, decode

source = checkout.source  # the fixture

SERIES = __saltstack_version__.major
# Salt 3006.8 and 3007.0, and SUSE's 3006.0, serve no links that lead out of a file root (saltstack/salt#66133).
LINKS = (SERIES, __saltstack_version__.minor) >= {3006: (3006, 9), 3007: (3007, 2)}.get(SERIES, (SERIES, 0))
follows_links = pytest.mark.skipif(not LINKS, reason="this Salt follows no links that lead out of a file root")
PILLAR = {"klp": {"backup": {"backend": "none"}}}
BASE = {key: setting for key, setting in MINION.items() if key != "file_roots"}

# What a master does that is configured with the engine, and what the engine does first.
ENGINE = """
import sys, salt.config, salt.loader
opts = salt.config.master_config(sys.argv[1])
utils = salt.loader.utils(opts)
runners = salt.loader.runner(opts, utils=utils)
engines = salt.loader.engines(opts, salt.loader.minion_mods(opts, utils=utils), runners, utils)
print("klp_campaign.start" in engines, bool(engines["klp_campaign.start"].__globals__["_found"]()[0]))
"""


class Newcomer:
    """A host with salt-call and nothing of this product."""

    def __init__(self, host, python=sys.executable):
        self.host, self.python = host, python
        self.host.salt.pillar(PILLAR)

    def configure(self, text="", **settings):
        """Write the configuration: that of every host here, settings, and a file of its own."""
        self.host.write("/etc/salt/minion", json.dumps({**BASE, "id": self.host.name, **settings}) + "\n")
        if text:
            self.host.write("/etc/salt/minion.d/salt-klp.conf", text)

    def call(self, *args):
        """Run salt-call; returns exit code and answer."""
        program = Path(sys.executable).parent / "salt-call"
        options = ["--local", "--out=json", "--retcode-passthrough", "--config-dir=/etc/salt"]
        done = self.host.run([self.python, program, *options, *args])
        answer = decode(done.stdout)
        assert answer is not None, done.stdout + done.stderr
        return done.returncode, answer

    def arrived(self):
        """The status is answered, and the steady state is predicted."""
        code, status = self.call("klp.status")
        assert (code, status["kernel"], status["transition"]) == (0, self.host.kernel, "ready")
        before = self.host.packages()
        code, states = self.call("state.apply", "klp", "test=True")
        assert code == 0, states
        found = {state["__id__"]: state for state in states.values()}
        assert found["klp-locks"]["result"] is None
        assert found["klp-locks"]["changes"] == {"locked": {"old": [], "new": LOCKS}}
        assert found["klp-enabled"]["result"] is None
        assert (self.host.packages(), self.host.locks()) == (before, "")


@pytest.fixture
def newcomer(host):
    return lambda **kwargs: Newcomer(host("fresh", **kwargs))


@follows_links
def test_a_checkout_as_file_root(newcomer, source):
    one = newcomer(bind=[source])
    one.configure(file_roots={"base": [str(source / "salt")]})
    assert one.call("saltutil.sync_all")[0] == 0
    one.arrived()


def test_a_file_root_whose_links_are_not_followed_says_so(newcomer, source, tmp_path):
    """As SUSE's Salt serves a checkout: the SLS files and nothing else (measured with 3006.8 and 3007.0)."""
    shutil.copytree(source / "salt" / "klp", tmp_path / "links" / "klp")
    one = newcomer(bind=[tmp_path / "links"])
    one.configure(file_roots={"base": [str(tmp_path / "links")]})
    assert one.call("saltutil.sync_all")[0] == 0
    for options in ((), ("test=True",)):
        code, states = one.call("state.apply", "klp", *options)
        (state,) = (state for state in states.values() if state["__id__"] == "klp-ready")
        assert (code, state["result"]) == (2, False)
        said = state["name"] if options else state["comment"]
        assert said.startswith("the file root has the SLS files of salt-klp, but Salt serves none of its modules")
        assert said.endswith("install salt-klp with make install, and look with: salt-run klp.version")


@pytest.fixture
def python(source, tmp_path):
    """The Python of an environment of its own that has Salt, and this product by pip."""
    do(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python, here = tmp_path / "venv" / "bin" / "python", sysconfig.get_path("purelib")
    there = Path(do(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (there / "salt-of-the-tests.pth").write_text(here + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    do(*pip, source, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    assert do(python, "-c", "import salt; print(salt.__file__)", cwd=source).startswith(here)
    assert do(python, "-c", "import klp_level; print(klp_level.__file__)", cwd=tmp_path).startswith(str(there))
    return python


def test_pip_into_the_python_of_a_minion(newcomer, python, tmp_path):
    one = newcomer(bind=[python.parents[1]])
    one.python = python
    one.configure(text=do(python, "-m", "saltext.klp", "minion", "-c", tmp_path))
    one.arrived()
    assert one.call("grains.get", "klp")[1]["transition"] == "ready"


def test_what_pip_has_installed_comes_before_what_is_synced(newcomer, python, source, tmp_path):
    """Salt looks there first: such a minion has what pip has installed, whole, whatever is sent to it."""
    newer = tmp_path / "newer"
    shutil.copytree(source, newer)
    for path in (*(newer / "_modules").glob("*.py"), *(newer / "_utils").glob("*.py")):
        path.write_text(re.sub('^VERSION = ".*"$', 'VERSION = "9.9.9"', path.read_text(), flags=re.MULTILINE))
    one = newcomer(bind=[python.parents[1], newer])
    one.python = python
    one.configure(file_roots={"base": [str(newer / "salt")]})
    assert one.call("saltutil.sync_all")[0] == 0
    assert one.call("klp.version") == (0, VERSION)
    one.arrived()


def test_pip_into_the_python_of_a_master(python, tmp_path):
    root = tmp_path / "root"
    (root / "var/cache/salt/master/proc").mkdir(parents=True)
    (root / "etc/master.d").mkdir(parents=True)
    (root / "etc/master").write_text(json.dumps({"root_dir": str(root), "default_include": "master.d/*.conf"}))
    (root / "etc/master.d/salt-klp.conf").write_text(do(python, "-m", "saltext.klp", "-c", root / "etc"))
    run = [python, Path(sys.executable).parent / "salt-run", "-c", root / "etc", "--out=json"]
    answer = json.loads(do(*run, "klp.status"))
    assert (answer["retcode"], answer["campaigns"]) == (0, [])
    assert "klp/patch.sls" in json.loads(do(*run, "fileserver.file_list"))
    assert do(python, "-c", ENGINE, root / "etc/master").strip() == "True True"


def test_the_wheel_holds_all_that_is_needed_and_nothing_else(source, tmp_path):
    do(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, source)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(do(sys.executable, "-m", "zipfile", "-l", wheel).split())
    found = {name.removeprefix("saltext/klp/") for name in names if name.startswith("saltext/klp/")}
    wanted = {"__main__.py"}
    for kind in ("modules", "states", "grains", "beacons", "runners", "output", "engines"):
        folder = source / f"_{kind}"
        wanted |= {f"{kind}/{path.relative_to(folder)}" for path in folder.rglob("*.py")}
    formula = source / "salt"
    wanted |= {f"formula/{path.relative_to(formula)}" for path in (formula / "klp").rglob("*") if path.is_file()}
    wanted |= {str(path.relative_to(source)) for path in (source / "pillar").rglob("*") if path.is_file()}
    wanted |= {str(path.relative_to(source)) for path in (source / "metadata").rglob("*.*") if path.is_file()}
    assert found == wanted
    imported_by_name = {path.name for path in (source / "_utils").glob("*.py")}
    assert {name for name in names if name.endswith(".py") and not name.startswith("saltext/klp/")} == imported_by_name


FOREIGN = {"runners/theirs.py": "def hello():\n    return 'hi'\n", "pillar/theirs.py": "", "engines/theirs.py": ""}


@pytest.fixture
def theirs(tmp_path):
    """A master with environments and modules of others: salt-run with such ``file_roots``, exit code and answer."""
    for name, text in FOREIGN.items():
        (tmp_path / "master/modules" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "master/modules" / name).write_text(text)
    for folder in ("master/etc/master.d", "master/var/cache/salt/master/proc"):
        (tmp_path / folder).mkdir(parents=True)
    own = {"root_dir": str(tmp_path / "master"), "extension_modules": str(tmp_path / "master/modules"), "id": "theirs"}
    run = [sys.executable, Path(sys.executable).parent / "salt-run", "-c", tmp_path / "master/etc", "--out=json"]

    def asked(roots, *args):
        (tmp_path / "master/etc/master").write_text(json.dumps({**own, "file_roots": roots}))
        done = subprocess.run([str(word) for word in (*run, *args)], text=True, capture_output=True, timeout=300)
        return done.returncode, json.loads(done.stdout)

    return asked


def test_a_master_keeps_what_it_has(newcomer, source, theirs, tmp_path):
    """`make install` beside other formulas, environments and modules of others; then a host without a master."""
    root = tmp_path / "root"
    told = do("make", "-s", "install", f"DESTDIR={root}", cwd=source)
    states = root / "usr/share/salt-formulas/states"
    assert told.splitlines()[-1] == "    - /usr/share/salt-formulas/states"
    assert not [path for path in states.rglob("*") if path.is_symlink()]
    conf = (root / "etc/salt/master.d/salt-klp.conf").read_text().replace("/usr/share", f"{root}/usr/share")
    before = {"base": [str(tmp_path / "mine")], "prod": [str(tmp_path / "prod")]}
    (tmp_path / "master/etc/master.d/salt-klp.conf").write_text(conf)
    code, found = theirs(before, "klp.version")
    assert (code, found["problems"][0].endswith(f": - {states}")) == (1, True)
    assert theirs(before, "config.get", "file_roots") == (0, before)
    after = {**before, "base": [*before["base"], str(states)]}
    assert theirs(after, "klp.version")[1]["problems"] == []
    assert theirs(after, "theirs.hello") == (0, "hi")
    for sls in ("klp.orch.audit", "klp.orch.kernel"):
        code, found = theirs(after, "state.orchestrate", sls)
        (state,) = found["data"]["theirs"].values()
        assert (code, state["comment"]) == (1, "refused: no accepted minion matches compound target '*'"), sls
    assert tree(tmp_path / "master/modules") == set(FOREIGN)
    one = newcomer(bind=[states])
    one.configure(file_roots={"base": [str(states)]})
    assert one.call("saltutil.sync_all")[0] == 0
    one.arrived()


def tree(folder):
    """Return the relative paths of all files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_rpm_that_zypper_installs(newcomer, source, tmp_path):
    rpm = Path(do("tools/rpm.sh", cwd=source).strip())
    repository = tmp_path / "repository"
    repository.mkdir()
    shutil.copy(rpm, repository)
    do("createrepo_c", "-q", repository)
    one = newcomer(bind=[repository])
    one.host.add_repo("salt-klp", f"dir://{repository}")
    done = one.host.zypper("install", "salt-klp")
    assert done.returncode == 0, done.stdout + done.stderr
    do("make", "install", f"DESTDIR={tmp_path}/root", cwd=source)
    assert tree(one.host.path("/usr/share/salt-formulas")) == tree(tmp_path / "root/usr/share/salt-formulas")
    one.configure(file_roots={"base": ["/usr/share/salt-formulas/states"]})
    assert one.call("saltutil.sync_all")[0] == 0
    one.arrived()


def test_gitfs(newcomer, source):
    url = f"file://{source}"
    parts = [{url: [{"name": "sls"}, {"root": "salt"}]}]
    for kind in ("modules", "states", "utils", "grains", "beacons", "runners", "output", "engines"):
        parts.append({url: [{"name": kind}, {"root": f"_{kind}"}, {"mountpoint": f"salt://_{kind}"}]})
    one = newcomer(bind=[source])
    one.configure(
        fileserver_backend=["gitfs"], gitfs_provider="gitpython", gitfs_remotes=parts, gitfs_base="main", file_roots={}
    )
    one.host.write("/root/.gitconfig", "[safe]\n\tdirectory = *\n")
    assert one.call("saltutil.sync_all")[0] == 0
    one.arrived()


SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey /etc/ssh/way_in_key
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
PidFile none
Subsystem sftp internal-sftp
SetEnv LD_PRELOAD={preload} FAKE_UNAME_R={kernel} LD_LIBRARY_PATH=/usr/lib PATH=/usr/sbin:/usr/bin:/sbin:/bin
"""


@pytest.fixture
def sshd(host, tmp_path):
    """A host that is reached by ssh only; returns it and what a roster says of it."""
    one, key = host("fresh"), tmp_path / "key"
    do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    one.write("/root/.ssh/authorized_keys", key.with_suffix(".pub").read_text(), mode=0o600)
    one.write("/etc/ssh/way_in_key", key.read_text(), mode=0o600)
    one.write("/etc/ssh/way_in", SSHD.format(port=port, preload=PRELOAD, kernel=one.kernel))
    one.write("/run/sshd/.keep", "")
    for name in (".bashrc", ".profile"):  # those of the machine are not the host's
        one.path(f"/root/{name}").unlink(missing_ok=True)
    argv = one.argv(["/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/way_in"])
    daemon = subprocess.Popen(argv, text=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert daemon.stderr and "listening" in daemon.stderr.readline()
        yield one, {"host": "127.0.0.1", "port": port, "user": "root", "priv": str(key)}
    finally:
        daemon.kill()
        daemon.communicate()


@pytest.fixture
def ssh(sshd, source, tmp_path):
    """The host that is reached by ssh only, and its salt-ssh: the function returns exit code and answer."""
    host, roster = sshd
    pillar, conf = tmp_path / "pillar", tmp_path / "conf"
    pillar.mkdir()
    conf.mkdir()
    (pillar / "top.sls").write_text('{"base": {"*": ["lab"]}}')
    (pillar / "lab.sls").write_text(json.dumps(PILLAR))
    (conf / "roster").write_text(json.dumps({"sles1": roster}))
    roots = {"file_roots": {"base": [str(source / "salt")]}, "pillar_roots": {"base": [str(pillar)]}}
    (conf / "master").write_text(json.dumps({"root_dir": str(tmp_path), **roots}))

    def call(*args):
        options = ["-c", conf, "--roster-file", conf / "roster", "-i", "--out=json", "sles1"]
        argv = [sys.executable, Path(sys.executable).parent / "salt-ssh", *options, *args]
        done = subprocess.run([str(word) for word in argv], text=True, capture_output=True, timeout=300)
        return done.returncode, json.loads(done.stdout)["sles1"]

    return host, call


@pytest.mark.skipif(SERIES < 3007, reason="salt-ssh of Salt 3006 does not send _utils: see the next test")
def test_salt_ssh(ssh, source, tmp_path):
    host, call = ssh
    code, status = call("klp.status")
    assert (code, status["kernel"], status["transition"]) == (0, host.kernel, "ready")
    code, states = call("state.apply", "klp", "test=True")
    assert code == 0
    found = {state["__id__"]: state for state in states.values()}
    assert found["klp-locks"]["changes"] == {"locked": {"old": [], "new": LOCKS}}
    assert found["klp-enabled"]["result"] is None
    assert host.locks() == ""

    # Hooks of the pillar are part of the run; salt-ssh sends their SLS only if it is told to.
    (tmp_path / "pillar" / "lab.sls").write_text(
        json.dumps({"klp": {**PILLAR["klp"], "hooks": {"before": "site.drain"}}})
    )
    (source / "salt" / "site").mkdir()
    (source / "salt" / "site" / "drain.sls").write_text("drained:\n  test.nop: []\n")
    for options, refused in (((), True), (("--extra-filerefs=salt://site/drain.sls",), False)):
        _, states = call(*options, "state.apply", "klp.patch", "test=True")
        found = {state["__id__"]: state["comment"] for state in states.values()}
        assert "klp-hook-before" in found and ("pillar klp:hooks:before" in found["klp-repositories"]) is refused


@follows_links
@pytest.mark.skipif(SERIES >= 3007, reason="salt-ssh of Salt 3007 and newer sends _utils: see the test before")
def test_salt_ssh_of_3006_says_that_something_is_missing(ssh):
    _, call = ssh
    code, said = call("klp.status")
    assert code != 0
    assert "'klp' __virtual__ returned False: salt-klp: No module named 'klp_fresh'" in said["stderr"]


@follows_links
def test_the_lock_action_of_suse_manager_takes_our_locks_and_they_come_back(sles):
    host = sles("enabled", alarms={"repair_locks": True})
    assert host.salt_call("state.apply", "klp").rc == 0
    done = host.salt_call("state.single", "pkg.held", "name=locks", "pkgs=[curl]", "replace=True")
    assert done.rc == 0, done.stdout + done.stderr
    assert not [name for name in LOCKS if f"solvable_name: {name}\n" in host.locks()]
    edges = [(edge["alarm"], edge["edge"]) for edge in host.salt_call("klp_audit.alarm_events").data]
    assert edges == [("locks", "repaired"), ("window", "raised")], "that of the lab's kernel is over"
    assert all(f"solvable_name: {name}\n" in host.locks() for name in [*LOCKS, "curl"])
