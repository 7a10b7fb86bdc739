"""A minion without a host: real modules and states, and a scripted ``cmd.run_all`` below them."""

import itertools
import os
import subprocess
from unittest.mock import create_autospec

import pytest
import salt.modules.cmdmod
import salt.state  # starts a program where it is first read
import salt.utils.path
import salt.utils.systemd
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.unit import damage, loader

settings.register_profile("unit", derandomize=True, max_examples=80, deadline=None, database=None)
# For `make fuzz`: other texts each time; what fails is kept in build/hypothesis and comes first the next time.
KEPT = DirectoryBasedExampleDatabase(loader.ROOT / "build" / "hypothesis")
settings.register_profile("fuzz", max_examples=2000, deadline=None, database=KEPT, print_blob=True)
settings.load_profile("unit")

KERNEL = "5.14.21-150500.55.7-default"
LP = "kernel-livepatch-5_14_21-150500_55_7-default"
UNAME_V = "#1 SMP PREEMPT_DYNAMIC Tue Jul 4 08:11:52 UTC 2023 (b2a976e/lp)"
HINTS = ["search", "--details", "--provides", "--match-exact"]
PROGRAMS = ["zypper", "rpm", "klp", "lsinitrd", "rmmod"]


@pytest.fixture(autouse=True)
def no_program_is_started(monkeypatch):
    """Fail every test that would start a program."""

    def refuse(*args, **kwargs):
        pytest.fail(f"a unit test started a program: {args} {kwargs}")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)


class Programs:
    """Scripted programs: each argv has its answers, an argv without one fails the test."""

    def __init__(self, changed):
        self.script = []
        self.calls = []
        self.options = []
        self.changed = changed

    def on(self, argv, *answers, then=None, changes=False):
        """Answer ``argv`` (a trailing ``...`` stands for the rest), in order; the last answer stays."""
        said = [answer if isinstance(answer, dict) else {"stdout": answer} for answer in answers or [""]]
        forever = itertools.chain(said, itertools.repeat(said[-1]))
        self.script.insert(0, (list(argv), forever, then, changes))

    def run_all(self, cmd, **options):
        assert isinstance(cmd, list) and all(isinstance(part, str) for part in cmd)
        assert cmd[0].startswith("/usr/bin/"), cmd
        argv = [cmd[0].rsplit("/", 1)[1]] + cmd[1:]
        self.calls.append(argv)
        self.options.append(options)
        for wanted, answers, then, changes in self.script:
            if argv == wanted or (wanted[-1] is ... and argv[: len(wanted) - 1] == wanted[:-1]):
                answer = dict({"retcode": 0, "stdout": "", "stderr": "", "pid": 1}, **next(answers))
                if then:
                    then()
                if changes:
                    self.changed()
                return answer
        raise AssertionError(f"nobody said what this program answers: {argv}")

    def started(self, *begin):
        """Return the calls whose argv begins with ``begin``."""
        return [argv for argv in self.calls if argv[: len(begin)] == list(begin)]


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 1_700_000_000.0
        self.slept = []

    def monotonic(self):
        return self.now

    time = monotonic

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def gmtime(self):
        return self.now

    def localtime(self, moment):
        return moment

    def strftime(self, form, moment):
        return f"T{int(moment)}"


class Minion:
    """Everything the loader would inject, and the files of a host below one folder."""

    def __init__(self, root, monkeypatch):
        self.root = root
        self.pillar: dict = {}
        self.context: dict = {}
        self.opts, self.grains = {"test": False, "hash_type": "sha256"}, {"id": "sles1"}
        self.programs = Programs(self.changed)
        self.asks_for_reboot()
        self.clock = Clock()
        self.sources: dict = {}
        run_all = create_autospec(salt.modules.cmdmod.run_all, side_effect=self.programs.run_all)
        self.salt = {"cmd.run_all": run_all}
        self.names: dict = {"__salt__": self.salt, "__opts__": self.opts, "__pillar__": self.pillar}
        self.names.update(__context__=self.context, __grains__=self.grains, __instance_id__="run 1")
        self.names.update(__env__="base", __running__={})
        self.utils = loader.utils()
        self._host_files(monkeypatch)
        self.modules = {name: loader.load("_modules", name, **self.names) for name in loader.MODULES}
        for name, module in self.modules.items():
            self.salt.update(loader.functions(module, name))
        self.states = {name: loader.load("_states", name, **self.names) for name in loader.STATES}

    @property
    def host(self):
        """A new ``Host``, as each call of a module has it."""
        return self.utils["klp_host"].of(self.salt, self.pillar, self.grains)

    def _host_files(self, monkeypatch):
        """Move every path of a host below the folder of this test, and give every util the same clock."""
        paths = self.utils["klp_paths"]
        for name in [name for name in vars(paths) if name.isupper()]:
            value = getattr(paths, name)
            moved = f"{self.root}{value}" if isinstance(value, str) else tuple(f"{self.root}{item}" for item in value)
            monkeypatch.setattr(paths, name, moved)
        for module in self.utils.values():
            if hasattr(module, "time"):
                monkeypatch.setattr(module, "time", self.clock)
        fresh = self.utils["klp_fresh"]
        monkeypatch.setattr(fresh, "_stamp", lambda: fresh.SEEN)  # a file may be edited while tests run
        # Repositories that could have said something else, but for the tests of just that (test_klp_sources.py).
        for name in ("updates_problem", "live_patches_problem"):
            self.sources[name] = getattr(self.utils["klp_sources"], name)
            monkeypatch.setattr(self.utils["klp_sources"], name, lambda host: None)
        family, read_only = self.utils["klp_family"], self.utils["klp_sys"]
        row = family.family
        zypp_conf = (str(self.root / "etc/zypp/zypp.conf"),)
        monkeypatch.setattr(family, "family", lambda text: dict(row(text), zypp_conf=zypp_conf))
        monkeypatch.setattr(read_only, "read_only", lambda path: False)
        for folder in (paths.LIVEPATCH, paths.REPOSITORIES):
            os.makedirs(folder)
        self.file(paths.RPM_DATABASE[0], "0")
        self.file(paths.OS_RELEASE, '# a host\nID="sles"\nVERSION_ID="15.5"\n')
        self.file(paths.TAINTED, "32768\n")
        self.file(paths.KMSG, "6,0,0,-;Linux version\n")
        self.file(paths.BOOT_ID, "b1\n")

    def file(self, path, text):
        """Write a file of the host, by a path of ``klp_paths``; never one of the machine that runs the tests."""
        name = os.path.relpath(path, self.root)
        assert not name.startswith(".."), f"{path} is not a path of this test"
        return self.write(name, text)

    def write(self, name, text):
        """Write a file of the host and return its path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        return str(path)

    def changed(self):
        """Packages have changed: readings of them are stale."""
        path = self.utils["klp_paths"].RPM_DATABASE[0]
        self.file(path, open(path, encoding="utf-8").read() + "x")

    def live_patch(self, name, enabled=1, transition=0):
        """Put a live patch into sysfs."""
        folder = self.utils["klp_paths"].LIVEPATCH
        self.file(f"{folder}/{name}/enabled", f"{enabled}\n")
        self.file(f"{folder}/{name}/transition", f"{transition}\n")

    def asks_for_reboot(self, *packages):
        """Let repositories have these editions (``NAME=EDITION``) that provide installhint(reboot-needed)."""
        pairs = [package.split("=", 1) for package in packages]
        items = "".join(f'<solvable kind="package" name="{name}" edition="{edition}"/>' for name, edition in pairs)
        listed = f"<stream><search-result><solvable-list>{items}</solvable-list></search-result></stream>"
        answer: dict = {"stdout": listed}
        if not pairs:
            answer = {"stdout": loader.recorded("zypper/search-provides-nothing.xml"), "retcode": 104}
        for later in ([], ["--no-refresh"]):
            self.programs.on(["zypper", "--non-interactive", "--xmlout", *later, *HINTS, ...], answer)

    def locked(self, *names):
        """Write the lock file as zypper would."""
        record = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: {}\n\n"
        self.file(self.utils["klp_paths"].LOCKS, "".join(record.format(name) for name in names))

    def rpm_q(self, names, *answers):
        """Answer ``rpm -q`` for some packages; each answer is ``{name: editions}``."""
        argv = ["rpm", "-q", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n"] + names
        self.programs.on(argv, *[lines(answer) for answer in answers])

    def rpm_qa(self, *answers):
        """Answer ``rpm -qa``, once for each change of packages."""
        argv = ["rpm", "-qa", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n"]
        self.programs.on(argv, *[lines(answer) for answer in answers])


def lines(packages):
    """Return packages as rpm prints them."""
    return "".join(f"{name}\t{edition}\n" for name in packages for edition in packages[name].split(","))


@pytest.fixture
def paths(monkeypatch):
    """The set of programs that are installed."""
    there = set(PROGRAMS)
    monkeypatch.setattr(salt.utils.path, "which", lambda name: f"/usr/bin/{name}" if name in there else None)
    return there


@pytest.fixture
def uname(monkeypatch):
    """Call it with another kernel or architecture."""

    def become(release=KERNEL, machine="x86_64", version=UNAME_V):
        answer = os.uname_result(("Linux", "sles1", release, version, machine))
        monkeypatch.setattr(os, "uname", lambda: answer)

    become()
    return become


@pytest.fixture
def minion(tmp_path, paths, uname, monkeypatch):
    """A minion with a running kernel, no packages and no answers yet."""
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda *args: False)
    return Minion(tmp_path, monkeypatch)


@pytest.fixture
def programs(minion):
    """The scripted programs of the minion."""
    return minion.programs


@pytest.fixture
def util():
    """The utils by name."""
    return loader.utils()


@pytest.fixture
def master(tmp_path, monkeypatch):
    """A master with the runner klp, over simulated hosts."""
    from tests.unit.master import Master

    return Master(tmp_path, monkeypatch)


@pytest.fixture
def there(master):
    """What this master has on its disk."""
    return damage.store(master)


@pytest.fixture
def ill(master, there):
    """A campaign over web0 that has begun; a test damages it."""
    return damage.begun(master, there)


@pytest.fixture
def changing(minion, monkeypatch, paths):
    """A live patched host with GRUB whose next kernel is in a repository."""
    from tests.unit.changing import Changing

    return Changing(minion, monkeypatch, paths)


@pytest.fixture
def waiting(changing):
    """The same, with the new kernel installed: it waits for its restart."""
    from tests.unit.changing import BESIDE

    changing.rpm(BESIDE)
    assert changing.run("install")["result"] is True
    return changing
