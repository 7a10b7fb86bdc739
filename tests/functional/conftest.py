"""What the functional tests share: hosts with a backup command and a pillar, and what to look at in them."""

import pytest

from tests.lab import packages

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
    """Return a pillar with the backup command and these keys below ``klp``."""
    return {"klp": {"backup": COMMAND_BACKEND, **klp}}


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


def is_write(program):
    """Tell whether a started program is a zypper that changes packages."""
    words = [word for word in program.argv[1:] if not word.startswith("-")]
    return words[:1] in (["install"], ["update"], ["patch"], ["remove"]) and "--dry-run" not in program.argv


def writes(host):
    """Return the arguments of each zypper that changed packages, in order, without the options in front."""
    return [program.argv[2:] for program in host.started("zypper") if is_write(program)]
