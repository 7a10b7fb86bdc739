"""What the functional tests share: hosts with a backup command and a pillar, and what to look at in them."""

from itertools import dropwhile

import pytest

from tests.lab import mirror as mirrors
from tests.lab import packages
from tests.lab.packages import Package, Spec

KERNEL = packages.KERNEL
NEW_KERNEL = packages.NEW_KERNEL
KERNEL_EDITION = "5.14.21-150500.55.7.1"
NEW_KERNEL_EDITION = "5.14.21-150500.55.12.1"
LP = packages.LIVE_PATCH
TOOLS = "kernel-livepatch-tools"
FIRST, SECOND, THIRD = "1-150500.9.3.1", "2-150500.2.1", "3-150500.2.1"
LOADED = {"enabled": 1, "transition": 0}
LOCKS = list(packages.KERNEL_LOCKS)
ADVISORY = "SUSE-SLE-Module-Basesystem-15-SP5-2023-"

BACKUP, VERIFY, VOLUMES = "/usr/local/sbin/volume-backup", "/usr/local/sbin/volume-check", "/var/lib/volumes"
# One line a backup in VOLUMES: id, run and running number.
BACKUP_SCRIPT = f"""\
#!/bin/sh
touch {VOLUMES}
number=$(($(wc -l <{VOLUMES}) + 1))
echo "vol-$number $KLP_RUN $number" >>{VOLUMES}
echo "vol-$number"
"""
VERIFY_SCRIPT = f"""\
#!/bin/sh
grep -q "^$1 $KLP_RUN " {VOLUMES}
"""
COMMAND_BACKEND = {"backend": "command", "create": [BACKUP], "verify": [VERIFY]}

# Packages of the mirror: a host has the old edition of some, and the new one of each is pending then.
GATE = "[ ! -p /run/gate ] || { echo $$ >/run/reached; read -r word </run/gate; }"
OLD = [Package(name, "1.0", "1.1") for name in ("tool", "agent", "azure-agent", "broken", "slow")]
NEW = [
    Package("tool", "2.0", "1.1"),
    Package("agent", "2.0", "1.1", ["Requires: dbus-1"]),
    Package("azure-agent", "2.0", "1.1", ["Requires: kernel-azure"]),
    Package("broken", "2.0", "1.1", scripts={"pre": "exit 1"}),
    Package("slow", "2.0", "1.1", scripts={"post": f"{GATE}\nsleep 1\necho ran >>/var/lib/slow"}),
    Package("dbus-1", "1.14", "1.1", [packages.HINT]),
    Package("kernel-azure", "5.14.21", "150500.33.6.1"),
]
LATER = [Package("tool", "3.0", "1.1"), packages.live_patch("150500.55.7", 17, "150500.2.1")]
SEVENTEENTH = "17-150500.2.1"


@pytest.fixture(scope="session")
def mirror(tmp_path_factory):
    """Return a mirror that hosts can be given: what it has now, and what it has once it has moved."""
    now = [Spec("old", "", 1700000000, OLD), Spec("new", "", 1700000001, NEW)]
    folders = [tmp_path_factory.mktemp(name) for name in ("now", "later")]
    built = mirrors.build(folders[0], now), mirrors.build(folders[1], [*now, Spec("later", "", 1700000002, LATER)])

    def offer(host, *installed):
        """Give a host this mirror, and of its packages the old edition of some."""
        mirrors.offer(host, *built)
        names = [f"{name}=1.0" for name in installed]
        assert not names or host.zypper("install", *names, count=False).returncode == 0

    return offer


@pytest.fixture(scope="session")
def yearly(tmp_path_factory):
    """A repository with five newer kernels."""
    from tests.functional.kernels import ADVISORIES, specs

    return mirrors.build(tmp_path_factory.mktemp("yearly"), specs(), ADVISORIES)


@pytest.fixture
def sles(host):
    """
    Start hosts with a backup command: ``sles("enabled", level=2)``.

    The keywords are what the pillar has below ``klp``, besides the backup; ``pillar`` replaces the whole pillar.
    """

    def start(golden="fresh", pillar=None, kernel=KERNEL, **klp):
        return equip(host(golden, kernel=kernel), settings(**klp) if pillar is None else pillar)

    return start


def equip(host, pillar):
    """Give a host the backup command and a pillar."""
    host.write(BACKUP, BACKUP_SCRIPT, mode=0o755)
    host.write(VERIFY, VERIFY_SCRIPT, mode=0o755)
    host.salt.pillar(pillar)
    return host


def settings(**klp):
    """
    Return a pillar with the backup command and these keys below ``klp``.

    The %post of the lab's nfs-client fails; tests that are not about that accept it.
    """
    update = {"scriptlets": "accept", **klp.pop("update", {})}
    return {"klp": {"backup": COMMAND_BACKEND, "update": update, **klp}}


def apply(host, sls, test=None, pillar=None):
    """Apply an SLS of the formula, and count the programs of this run only."""
    host.salt.sync()
    host.forget_programs()
    return host.salt_call("state.apply", sls, test=test, pillar=pillar)


def volumes(host):
    """Return the backups that were made, ``(id, run, number)`` each."""
    return [tuple(line.split()) for line in host.read(VOLUMES).splitlines()] if host.exists(VOLUMES) else []


def snapshot(host):
    """Return what a run that changes nothing leaves as it is."""
    records = host.path("/var/lib/salt-klp")
    return {
        "packages": host.packages(),
        "locks": host.locks(),
        "live patches": host.live_patches(),
        "volumes": volumes(host),
        "records": {path.name: path.read_bytes() for path in sorted(records.glob("*"))},
    }


def is_write(program, *more):
    """Tell whether a started program is a zypper that changes packages; ``more`` names other commands."""
    words = [word for word in program.argv[1:] if not word.startswith("-")]
    known = ("install", "update", "patch", "remove", *more)
    return bool(words) and words[0] in known and "--dry-run" not in program.argv


def writes(host, *more):
    """Return the arguments of each zypper that changed packages, in order, without the options in front."""
    commands = [program.argv[1:] for program in host.started("zypper") if is_write(program, *more)]
    return [tuple(dropwhile(lambda word: word.startswith("-"), words)) for words in commands]
