"""The packages of the virtual machine: those of the lab, with real kernels and live patches that are real modules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .. import packages
from ..packages import LP_POOL, LP_UPDATES, SLES_POOL, SLES_UPDATES, Package, Spec, change
from .kernel import LEVELS, NEW, OLD, module_file, shown

BLOCKABLE = "blockable"  # repository with the live patch whose transition a task can hold up
HARMFUL = "harmful"  # repository with an update that breaks the program of another package
VICTIM = "/usr/sbin/blkmapd"
FOURTH = change("Tue Oct 17 2023", {"CVE-2023-4622": "bsc#1215442"}, "f0a91c3")
MKINITRD = "/usr/lib/lab/mkinitrd"
# What /usr/lib/bootloader/grub2/config does in the end (perl-Bootloader); a host without GRUB has no menu.
MENU = "[ ! -e /boot/grub2/grub.cfg ] || grub2-mkconfig -o /boot/grub2/grub.cfg >/dev/null 2>&1 || exit $?"

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
    return f'case "$(uname -r)" in *-default) echo "lab: {text}" >/dev/kmsg; {wait};; esac'


def live_patch(source: str, level: int) -> Package:
    """Return a kernel's live patch package number ``level``; scriptlets load the module and put it into the initrd."""
    model = packages.live_patch(source, level, LEVELS[source][level])
    kver, file = shown(source), module_file(source, level)
    path = f"/lib/modules/{kver}/livepatch/{file}"
    module = file.removesuffix(".ko").replace("-", "_")
    names = {"kver": kver, "module": module, "path": path}
    of = "" if source == OLD else f" of {kver}"
    return replace(
        model,
        files={},
        sources={path: f"{kver}/{file}"},
        scripts={
            "post": f"{LOAD.format(**names)}\n{say(f'live patch {level} is loaded{of}')}",
            "postun": f'{UNLOAD.format(**names)}\n[ "$1" != 0 ] || {MKINITRD} {kver}',
            "posttrans": f"{MKINITRD} {kver}\n{say(f'%posttrans of live patch {level}{of}')}",
        },
    )


def kernel(source: str, programs: Path) -> Package:
    """
    Return kernel-default: kernel, modules; its scriptlets write and remove initrd and menu of GRUB.

    As SUSE's do: the initrd in %posttrans (regenerate-initrd-posttrans of suse-module-tools), then grub2-mkconfig.
    """
    model, kver = packages.kernel(source), shown(source)
    folder = programs / kver / "modules"
    modules = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    sources = {f"/lib/modules/{kver}/{name}": f"{kver}/modules/{name}" for name in modules}
    sources[f"/lib/modules/{kver}/suserelease.ko"] = f"{kver}/suserelease.ko"
    sources[f"/boot/vmlinuz-{kver}"] = f"{kver}/vmlinuz"
    edition = f"{model.version}-{model.release}"
    scripts = {
        "pre": say(f"%pre of kernel-default-{edition}"),
        "post": f"depmod -a {kver}",
        "postun": f"rm -f /boot/initrd-{kver}\n{MENU}",
        "posttrans": "\n".join(
            [f"{MKINITRD} {kver}", say(f"initrd of kernel {edition}"), MENU, say(f"menu of kernel {edition}")]
        ),
    }
    files = {path: text for path, text in model.files.items() if path not in sources}
    return replace(model, files=files, sources=sources, scripts=scripts)


def adapted(found: list[Package], programs: Path) -> list[Package]:
    """Return packages of the lab as they are here: kernels that are real, updates that say when they begin."""
    return [
        kernel(package.release.rsplit(".", 1)[0], programs)
        if package.name == "kernel-default"
        else replace(package, scripts={"pre": say(f"%pre of {package.name}-{package.version}-{package.release}")})
        for package in found
    ]


def harmful() -> Package:
    """Return an update of zypper-log that takes the program of nfs-client away, after an update of that."""
    return Package(
        "zypper-log", "1.14.61", "150500.99.1", ["Requires: nfs-client"], scripts={"post": f"rm -f {VICTIM}"}
    )


def specs(programs: Path) -> list[Spec]:
    """Return all runs of rpmbuild; the build dates are those of the lab. ``programs`` has what kernel.py gathered."""
    log = packages.FIRST
    found = [
        Spec("pool", SLES_POOL, 1687766400, adapted(packages.pool(), programs)),
        Spec("updates", SLES_UPDATES, 1689588000, adapted(packages.updates(), programs)),
        Spec("tools", LP_POOL, 1687766400, packages.tools()),
        Spec("harmful", HARMFUL, 1695204000, [harmful()]),
    ]
    changes = {1: "", 2: packages.SECOND, 3: packages.THIRD, 4: FOURTH}
    repositories = {1: LP_POOL, 2: LP_UPDATES, 3: LP_UPDATES, 4: BLOCKABLE}
    for level, text in changes.items():
        log = f"{text}\n{log}" if text else log
        built = 1687766400 + level * 2500000
        found.append(Spec(f"lp{level}", repositories[level], built, [live_patch(OLD, level)], log))
    found.append(Spec("new1", LP_UPDATES, 1689588000, [live_patch(NEW, 1)], packages.FIRST))
    found.append(Spec("new2", LP_UPDATES, 1695117600, [live_patch(NEW, 2)], f"{packages.THIRD}\n{packages.FIRST}"))
    return found
