"""What was updated and still runs as it was."""

import os

import pytest

import klp_paths
import klp_restarts
from tests.unit.hosts import KERNEL_PACKAGE, has, rpm

BOOT = 1_699_000_000
MAP = "7f0bd1f69000-7f0bd1f8f000 r-xp 00000000 fe:00 339380                     {}\n"
FORM = "%{NAME}\\t%{VERSION}-%{RELEASE}\\t%{INSTALLTIME}\\n"
CAPABILITIES = ["installhint(reboot-needed)", "kernel"]
NEWER = "5.14.21-150500.55.12.1"


def process(minion, pid, *paths, unit=None, namespace="pid:[1]", name="a"):
    folder = f"{klp_paths.PROC}/{pid}"
    minion.file(f"{folder}/maps", "".join(map(MAP.format, paths)))
    minion.file(f"{folder}/comm", f"{name}\n")
    minion.file(f"{folder}/cgroup", f"0::/system.slice/{unit}\n" if unit else "0::/\n")
    os.makedirs(f"{folder}/ns", exist_ok=True)
    if not os.path.lexists(f"{folder}/ns/pid"):
        os.symlink(namespace, f"{folder}/ns/pid")


@pytest.fixture
def system(minion):
    process(minion, "self")
    minion.file(klp_paths.OS_RELEASE, 'ID="sles"\nVERSION_ID="15.5"\n')
    minion.file(f"{klp_paths.PROC}/stat", f"cpu 1 2 3\nbtime {BOOT}\nprocesses 7\n")
    minion.file(f"{klp_paths.PROC}/uptime", "1 1\n")
    return minion


def test_units_with_replaced_files_are_told_once(system):
    process(system, 1, "/usr/lib/systemd/systemd")
    process(system, 7, "/usr/lib64/libz.so.1 (deleted)", unit="sshd.service")
    process(system, 8, "/usr/sbin/sshd;65a2 (deleted)", unit="sshd.service")
    process(system, 9, "/usr/bin/sleep (deleted)", name="sleep")
    assert klp_restarts.services() == ["process sleep", "sshd.service"]


@pytest.mark.parametrize(
    "path",
    [
        "/memfd:x (deleted)",
        "/dev/zero (deleted)",
        "/SYSV00000000 (deleted)",
        "/tmp/lib/x.so (deleted)",
        "/usr/share/mime/mime.cache (deleted)",
        "/var/lib64/x (deleted)",
        "/usr/lib64/libz.so.1",
        "",
    ],
)
def test_what_is_no_program_and_no_library_does_not_count(system, path):
    process(system, 7, path, unit="sshd.service")
    assert klp_restarts.services() == []


def test_processes_of_containers_and_those_that_have_ended_do_not_count(system):
    process(system, 7, "/usr/lib64/libz.so.1 (deleted)", unit="c.scope", namespace="pid:[2]")
    process(system, 8, "/usr/lib64/libz.so.1 (deleted)", unit="d.service", namespace="pid:[1]")
    os.unlink(f"{klp_paths.PROC}/8/maps")
    assert klp_restarts.services() == []


def test_all_processes_are_looked_at_when_packages_change_and_then_only_those_that_were_found(system, monkeypatch):
    asked = []
    using = klp_restarts._using

    def watched(pids):
        asked.append(sorted(pids))
        return using(pids)

    monkeypatch.setattr(klp_restarts, "_using", watched)
    process(system, 1)
    process(system, 7, "/usr/lib64/libz.so.1 (deleted)", unit="sshd.service")
    assert klp_restarts.services() == ["sshd.service"]
    assert klp_restarts.services() == ["sshd.service"]
    process(system, 7)  # restarted
    assert klp_restarts.services() == []
    assert klp_restarts.services() == []
    system.changed()
    assert klp_restarts.services() == []
    assert asked == [["1", "7"], ["7"], ["7"], ["1", "7"], [], ["1", "7"]]


def test_too_many_processes_are_not_known(system, monkeypatch):
    monkeypatch.setattr(klp_restarts, "BUDGET", -1)
    process(system, 7)
    assert klp_restarts.services() is None


def asks(minion, *lines):
    argv = ["rpm", "-q", "--qf", FORM]
    minion.programs.on([*argv, ...], {"stdout": "package kernel-firmware is not installed\n", "retcode": 1})
    minion.programs.on([*argv, "--whatprovides", *CAPABILITIES], "".join(lines))


def test_without_the_flag_no_package_waits_and_no_program_is_asked(system):
    has(system, None)
    assert klp_restarts.packages(system.host) == []
    assert len(system.programs.calls) == 1


def test_a_newer_kernel_waits_even_without_the_flag(system):
    rpm(system, {"kernel-default": f"{KERNEL_PACKAGE},{NEWER}"})
    assert klp_restarts.packages(system.host) == [f"kernel-default-{NEWER}"]
    rpm(system, {"kernel-default": f"5.14.21-150500.55.1.1,{KERNEL_PACKAGE}"})
    assert klp_restarts.packages(system.host) == []


def test_packages_that_asked_since_the_start_of_the_host_wait(system):
    has(system, None)
    system.file(klp_paths.REBOOT_FLAG, "")
    system.file(klp_paths.NEEDREBOOT, "glibc\n")
    asks(system, f"dbus-1\t1.14-1.1\t{BOOT + 5}\n", f"kernel-default\t{KERNEL_PACKAGE}\t{BOOT - 5}\n")
    system.programs.on(
        ["rpm", "-q", "--qf", FORM, "glibc", "kernel-firmware"],
        {"stdout": f"glibc\t2.31-1\t{BOOT}\npackage kernel-firmware is not installed\n", "retcode": 1},
    )
    assert klp_restarts.packages(system.host) == ["dbus-1-1.14-1.1", "glibc-2.31-1"]
    calls = len(system.programs.calls)
    assert klp_restarts.packages(system.host) == ["dbus-1-1.14-1.1", "glibc-2.31-1"]
    assert len(system.programs.calls) == calls + 1


@pytest.mark.parametrize("stat", ["cpu 1\n", f"btime {BOOT}\n"])
def test_a_flag_without_a_package_is_not_known(system, stat):
    has(system, None)
    system.file(f"{klp_paths.PROC}/stat", stat)
    system.file(klp_paths.REBOOT_FLAG, "")
    asks(system, f"dbus-1\t1.14-1.1\t{BOOT - 5}\n")
    assert klp_restarts.packages(system.host) is None


def test_where_the_package_of_the_running_kernel_is_not_known_no_other_is_newer(system):
    rpm(system, {"kernel-default": NEWER})
    assert klp_restarts.packages(system.host) == []
