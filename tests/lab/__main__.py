"""Use the lab by hand: ``python -m tests.lab build``, ``... shell [GOLDEN]``, ``... vm [LAYOUT ...]``."""

from __future__ import annotations

import argparse
import os

from .build import build
from .host import nshost_argv


def main() -> None:
    """Build the lab, or open a shell in a new host."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build RPMs, repositories and golden roots if needed; print where")
    vm = commands.add_parser("vm", help="build the virtual machine if needed; print where, and how long it took")
    vm.add_argument("layout", nargs="*", help="build other disks as well: lvm, thin, grub")
    shell = commands.add_parser("shell", help="open a shell in a new host; all is gone when it ends")
    shell.add_argument("golden", nargs="?", default="fresh", help="fresh, enabled or converged")
    args = parser.parse_args()
    if args.command == "vm":
        from .vm import build as vm_build
        from .vm import grub, lvm

        machine = vm_build.build_vm()
        print(f"{machine.root}\nbuilt in {machine.seconds:.0f} s")
        for layout in args.layout:
            print(grub.image(machine).boot if layout == grub.NAME else lvm.image(machine, layout).path)
        return
    lab = build()
    if args.command == "build":
        print(lab.root)
        return
    argv = nshost_argv(lab, f"sles-{args.golden}", args.golden, ["bash", "--norc"])
    os.execv(argv[0], argv)  # noqa: S606


if __name__ == "__main__":
    main()
