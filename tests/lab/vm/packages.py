"""The packages of the virtual machine: those of the lab, with live patches that are real modules for its kernel."""

from __future__ import annotations

from dataclasses import replace

from .. import packages
from ..packages import KERNEL, LP_POOL, LP_UPDATES, SLES_POOL, SLES_UPDATES, Package, Spec, change
from .kernel import LEVELS, module_file

SOURCE = "150500.55.7"
BLOCKABLE = "blockable"  # repository with the live patch whose transition a task can hold up
HARMFUL = "harmful"  # repository with an update that breaks the program of another package
VICTIM = "/usr/sbin/blkmapd"
FOURTH = change("Tue Oct 17 2023", {"CVE-2023-4622": "bsc#1215442"}, "f0a91c3")
MKINITRD = "/usr/lib/lab/mkinitrd"

LOAD = """\
[ "$(uname -r)" = {kver} ] || exit 0
[ ! -d /sys/kernel/livepatch/{module} ] || exit 0
if [ -d /sys/module/{module} ]; then rmmod {module} || exit 1; fi
insmod {path} || exit $?"""
# The replaced live patch stays in memory without use; while a transition runs it can't be removed yet.
UNLOAD = "[ ! -d /sys/module/{module} ] || rmmod {module} 2>/dev/null || :"


def say(text: str) -> str:
    """
    Return the shell text that writes a line to the console, and waits there while /run/stop-at holds the same line.

    On the machine that builds the image it does nothing.
    """
    wait = f'while grep -sqFx "{text}" /run/stop-at; do sleep 0.1; done'
    return f'[ "$(uname -r)" != {KERNEL} ] || {{ echo "lab: {text}" >/dev/kmsg; {wait}; }}'


def live_patch(level: int) -> Package:
    """Return the live patch package number ``level``; its scriptlets load the module and put it into the initrd."""
    model = packages.live_patch(SOURCE, level, LEVELS[level])
    path = f"/lib/modules/{KERNEL}/livepatch/{module_file(level)}"
    module = module_file(level).removesuffix(".ko").replace("-", "_")
    names = {"kver": KERNEL, "module": module, "path": path}
    return replace(
        model,
        files={},
        sources={path: module_file(level)},
        scripts={
            "post": f"{LOAD.format(**names)}\n{say(f'live patch {level} is loaded')}",
            "postun": f'{UNLOAD.format(**names)}\n[ "$1" != 0 ] || {MKINITRD} {KERNEL}',
            "posttrans": f"{MKINITRD} {KERNEL}\n{say(f'%posttrans of live patch {level}')}",
        },
    )


def kernel(source: str) -> Package:
    """Return kernel-default, whose scriptlets write and remove its initrd."""
    model = packages.kernel(source)
    kver = f"5.14.21-{source}-default"
    return replace(model, scripts={"posttrans": f"{MKINITRD} {kver}", "postun": f"rm -f /boot/initrd-{kver}"})


def adapted(found: list[Package]) -> list[Package]:
    """Return packages of the lab as they are here: kernels with a real initrd, updates that say when they begin."""
    return [
        kernel(package.release.rsplit(".", 1)[0])
        if package.name == "kernel-default"
        else replace(package, scripts={"pre": say(f"%pre of {package.name}-{package.version}-{package.release}")})
        for package in found
    ]


def harmful() -> Package:
    """Return an update of zypper-log that takes the program of nfs-client away, after an update of that."""
    return Package(
        "zypper-log", "1.14.61", "150500.99.1", ["Requires: nfs-client"], scripts={"post": f"rm -f {VICTIM}"}
    )


def specs() -> list[Spec]:
    """Return all runs of rpmbuild; the build dates are those of the lab."""
    log = packages.FIRST
    found = [
        Spec("pool", SLES_POOL, 1687766400, adapted(packages.pool())),
        Spec("updates", SLES_UPDATES, 1689588000, adapted(packages.updates())),
        Spec("tools", LP_POOL, 1687766400, packages.tools()),
        Spec("harmful", HARMFUL, 1695204000, [harmful()]),
    ]
    changes = {1: "", 2: packages.SECOND, 3: packages.THIRD, 4: FOURTH}
    repositories = {1: LP_POOL, 2: LP_UPDATES, 3: LP_UPDATES, 4: BLOCKABLE}
    for level, text in changes.items():
        log = f"{text}\n{log}" if text else log
        built = 1687766400 + level * 2500000
        found.append(Spec(f"lp{level}", repositories[level], built, [live_patch(level)], log))
    return found
