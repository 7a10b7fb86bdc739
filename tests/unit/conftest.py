"""A minion without a host: real modules and states, and a scripted ``cmd.run_all`` below them."""

import itertools
import os
import subprocess
from unittest.mock import create_autospec

import pytest
import salt.modules.cmdmod
import salt.utils.path
import salt.utils.systemd
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.unit import loader

settings.register_profile("unit", derandomize=True, max_examples=80, deadline=None, database=None)
# For `make fuzz`: other texts each time; what fails is kept in build/hypothesis and comes first the next time.
KEPT = DirectoryBasedExampleDatabase(loader.ROOT / "build" / "hypothesis")
settings.register_profile("fuzz", max_examples=2000, deadline=None, database=KEPT, print_blob=True)
settings.load_profile("unit")

KERNEL = "5.14.21-150500.55.7-default"
LP = "kernel-livepatch-5_14_21-150500_55_7-default"
UNAME_V = "#1 SMP PREEMPT_DYNAMIC Tue Jul 4 08:11:52 UTC 2023 (b2a976e/lp)"
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

    def strftime(self, form, moment):
        return f"T{int(moment)}"


class Minion:
    """Everything the loader would inject, and the files of a host below one folder."""

    def __init__(self, root):
        self.root = root
        self.pillar: dict = {}
        self.context: dict = {}
        self.opts, self.grains = {"test": False}, {"id": "sles1"}
        self.programs = Programs(self.changed)
        self.clock = Clock()
        run_all = create_autospec(salt.modules.cmdmod.run_all, side_effect=self.programs.run_all)
        self.salt = {"cmd.run_all": run_all}
        self.utils: dict = {}
        self.names = {"__salt__": self.salt, "__utils__": self.utils, "__opts__": self.opts}
        self.names.update(__pillar__=self.pillar, __context__=self.context, __grains__=self.grains)
        self.util_modules = loader.utils()
        for name, module in self.util_modules.items():
            self.utils.update(loader.functions(module, name))
        self.modules = {name: loader.load("_modules", name, **self.names) for name in loader.MODULES}
        for name, module in self.modules.items():
            self.salt.update(loader.functions(module, name))
        self.states = {name: loader.load("_states", name, **self.names) for name in loader.STATES}
        self._files()

    def _files(self):
        """Move every path of a host below the folder of this test."""
        (self.root / "sysfs").mkdir()
        (self.root / "repos.d").mkdir()
        self.write("rpmdb", "0")
        self._bind("klp_sys.live_patches", root=str(self.root / "sysfs"))
        self._bind("klp_sys.task", proc=str(self.root / "proc"))
        for name in ("klp_record.read", "klp_record.write"):
            self._bind(name, folder=str(self.root / "record"))
        for name in ("klp_record.recall", "klp_record.remember"):
            self._bind(name, folder=str(self.root / "cache"))
        self.utils["klp_sys.read_only"] = lambda path: False
        fingerprint = self.utils["klp_sys.fingerprint"]
        self.utils["klp_sys.fingerprint"] = lambda patterns: fingerprint(
            [str(self.root / name) for name in ["rpmdb"] + ["locks"] * ("/etc/zypp/*" in patterns)]
        )
        zypper, locks, enable = (self.modules[name] for name in ("zypper", "zypper_locks", "klp_enable"))
        self.modules["zypper_repositories"].REPOSITORIES = str(self.root / "repos.d")
        zypper.REBOOT_FLAG = str(self.root / "reboot-needed")
        zypper.NEEDREBOOT = (str(self.root / "needreboot"), str(self.root / "needreboot.d") + "/")
        locks.LOCKS = self.util_modules["zypp_cmd"].LOCKS = str(self.root / "locks")
        enable.PRODUCTS = str(self.root / "products.d")
        rollback, tainted = self.modules["klp_rollback"], self.write("tainted", "32768\n")
        rollback.TAINTED = self.modules["klp_verify"].TAINTED = tainted
        self.modules["klp"].MODULES = str(self.root / "modules")
        self._bind("klp_sys.kernel_log", path=self.write("kmsg", "6,0,0,-;Linux version\n"))
        self._boot_files()
        outlook = self.modules["klp_audit_outlook"]
        outlook.TAINTED, outlook.BOOT = tainted, self.write("random/boot_id", "b1\n")
        document, window = self.modules["klp_audit_host"], self.modules["klp_audit_window"]
        document.TAINTED, document.BOOT = outlook.TAINTED, outlook.BOOT
        document.OS_RELEASE = self._family_files()
        window.PRODUCTS, window.LIFECYCLE = str(self.root / "products.d"), (str(self.root / "lifecycle"),)
        self.modules["klp_audit_cves"].LIVEPATCH = str(self.root / "sysfs")
        timed = ("klp_audit_outlook", "klp_audit_host", "klp_audit_window", "klp_audit_alarms", "root_backup")
        for name in ("klp", "klp_rollback", "klp_campaign", *timed):
            self.modules[name].time = self.clock
        self.util_modules["zypp_cmd"].time = self.clock

    def _family_files(self):
        """Say which system this is, to those who ask, and return the path of that file."""
        path = self.write("os-release", '# a host\nID="sles"\nVERSION_ID="15.5"\n')
        zypp_cmd, family = self.util_modules["zypp_cmd"], self.salt["klp.family"]
        self.salt["klp.family"] = lambda: dict(family(), zypp_conf=[str(self.root / "zypp.conf")])
        zypp_cmd._SYS.read_only = lambda path: self.utils["klp_sys.read_only"](path)
        self.modules["klp_host"].OS_RELEASE = zypp_cmd.OS_RELEASE = path
        return path

    def _boot_files(self):
        boot = self.modules["klp_audit_boot"]
        for name in ("BOOT", "GRUB", "SNAPSHOTS", "PURGE", "MOUNTS"):
            setattr(boot, name, str(self.root) + getattr(boot, name))
        for name in ("LOADERS", "CHOICES"):
            setattr(boot, name, [str(self.root) + path for path in getattr(boot, name)])

    def _bind(self, name, **defaults):
        function = self.utils[name]
        self.utils[name] = lambda *args, **kwargs: function(*args, **dict(defaults, **kwargs))

    def write(self, name, text):
        """Write a file of the host and return its path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        return str(path)

    def changed(self):
        """Packages have changed: readings of them are stale."""
        self.write("rpmdb", (self.root / "rpmdb").read_text() + "x")

    def live_patch(self, name, enabled=1, transition=0):
        """Put a live patch into sysfs."""
        self.write(f"sysfs/{name}/enabled", f"{enabled}\n")
        self.write(f"sysfs/{name}/transition", f"{transition}\n")

    def locked(self, *names):
        """Write the lock file as zypper would."""
        record = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: {}\n\n"
        self.write("locks", "".join(record.format(name) for name in names))

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
    return Minion(tmp_path)


@pytest.fixture
def programs(minion):
    """The scripted programs of the minion."""
    return minion.programs


@pytest.fixture
def util():
    """Fresh utils modules, by name."""
    return loader.utils()
