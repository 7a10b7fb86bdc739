"""
What was updated and still runs as it was: packages that wait for a restart of the host, units that wait for their own.

Source: libzypp's flag ``/run/reboot-needed``, zypper(8) ps, proc(5). As ``zypper ps`` does, only programs and libraries
count, and no processes of containers.
"""

import os
import re
import time

import klp_live
import klp_parse
import klp_paths
import klp_record
import klp_restoring
import klp_sys
import zypp_packages

BUDGET = 5  # seconds for all processes; 400 take 0.2
NAMED = 200  # units that are told
# A mapping of a program or a library whose file is gone: address, rights, offset, device, inode, path.
GONE = re.compile(rb"^\S+ \S+ \S+ \S+ \d+ +(?:/usr)?/(?:s?bin|lib(?:64|exec)?|opt)/.* \(deleted\)$", re.MULTILINE)


def packages(host):
    """
    Return, sorted, the installed packages that count after a restart of the host: ``NAME-EDITION``.

    Newer kernels than the one that runs, and what asked for a reboot since the host was started; ``None``: not known.
    """
    kernel = klp_live.kernel_package(host)
    editions = klp_live.newer_kernels(host, kernel["edition"]) if kernel["edition"] else []
    kernels = [f"{kernel['name']}-{edition}" for edition in editions]
    if not zypp_packages.needs_rebooting():
        return sorted(kernels)
    world = [klp_restoring.boot_id(), zypp_packages.world()]
    asked = klp_record.kept("restarts", lambda: world, lambda: _asked(host))
    return sorted(set(kernels + asked)) if asked else None


def _asked(host):
    """Return the packages that ask for a reboot and were installed since the start of the host."""
    match = re.search(r"^btime (\d+)$", klp_sys.text(f"{klp_paths.PROC}/stat") or "", re.MULTILINE)
    if not match:
        return []
    names, capabilities = zypp_packages.needreboot()
    form = "%{NAME}\\t%{VERSION}-%{RELEASE}\\t%{INSTALLTIME}\\n"
    said = host.run(["rpm", "-q", "--qf", form, "--whatprovides", *capabilities], ok=None)["stdout"]
    said += host.run(["rpm", "-q", "--qf", form, *sorted(names)], ok=None)["stdout"]
    found = re.findall(r"^([^\t\n]+)\t([^\t\n]+)\t(\d+)$", said, re.MULTILINE)
    return sorted({f"{name}-{edition}" for name, edition, moment in found if int(moment) >= int(match.group(1))})


def services():
    """
    Return, sorted, the units whose processes still use programs or libraries that were replaced; ``None``: not known.

    A process outside of a unit is told as ``process NAME``. All processes are looked at when packages have changed;
    after that only those that were found: a file is replaced by a change of packages.
    """
    world = [klp_restoring.boot_id(), [list(item) for item in klp_sys.fingerprint(klp_paths.RPM_DATABASE)]]
    there, pids = klp_record.recall("services", world), None
    if there:
        pids = _using(there["answer"])
    if not there or (there["answer"] and not pids):
        pids = _using([name for name in os.listdir(klp_paths.PROC) if name.isdigit()])
    if pids is None:
        return None
    klp_record.remember("services", world, pids)
    return sorted({_unit(pid) for pid in pids})[:NAMED]


def _using(pids):
    """Return which of some processes use replaced files; ``None`` where that takes too long."""
    found, end, ours = [], time.monotonic() + BUDGET, _namespace("self")
    if ours is None:
        return None
    for pid in pids:
        if time.monotonic() > end:
            return None
        if GONE.search(_maps(pid)) and _namespace(pid) == ours:
            found.append(pid)
    return found


def _maps(pid):
    """Return the mappings of a process; none where it has ended, or is a thread of the kernel."""
    try:
        with open(f"{klp_paths.PROC}/{pid}/maps", "rb") as handle:
            return handle.read()
    except OSError:
        return b""


def _namespace(pid):
    try:
        return os.readlink(f"{klp_paths.PROC}/{pid}/ns/pid")
    except OSError:
        return None


def _unit(pid):
    task = klp_sys.task(pid)
    return klp_parse.unit(task["cgroup"] or "") or f"process {task['comm'] or pid}"
