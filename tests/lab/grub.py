"""
GRUB in a lab host: its programs, its menu, and which kernel it starts.

The programs have SUSE's names. grub2-editenv is Debian's real one (package grub-common), which writes the same block.
What GRUB does with its menu at a start is here anew, by the rules of its manual and of normal/menu.c, and not by the
parser of the product.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from .build import HERE

if TYPE_CHECKING:
    from .host import Host

FOLDER = "/boot/grub2"
PROGRAMS = ("grub2-mkconfig", "grub2-probe")
# grub2-editenv and grub2-set-default of SUSE take "-" for the environment block of /boot/grub2.
EDITENV = """\
#!/bin/sh
[ "$1" != - ] || { shift; set -- /boot/grub2/grubenv "$@"; }
[ "$1" != list ] || set -- /boot/grub2/grubenv "$@"
exec grub-editenv "$@"
"""
ENTRY = re.compile(r"^\s*(menuentry|submenu) '([^']*)'.*? \$menuentry_id_option '([^']*)' \{$")
KERNEL = re.compile(r"^\s*linux\s+/boot/vmlinuz-(\S+)")


def install(host: Host, **variables: str) -> None:
    """Give a host GRUB, as SLES has it: the menu of its kernels, and an environment block with these variables."""
    for name in PROGRAMS:
        host.write(f"/usr/sbin/{name}", (HERE / "fakes" / name).read_text(), mode=0o755)
    host.write("/usr/bin/grub2-editenv", EDITENV, mode=0o755)
    host.path(FOLDER).mkdir(parents=True, exist_ok=True)
    quietly(host, "grub2-editenv", "-", "create")
    if variables:
        quietly(host, "grub2-editenv", "-", "set", *(f"{name}={value}" for name, value in variables.items()))
    quietly(host, "grub2-mkconfig", "-o", f"{FOLDER}/grub.cfg")


def quietly(host: Host, *argv: str) -> str:
    """Run a program for the test itself: not counted, and it must succeed."""
    done = host.run(argv, count=False)
    assert done.returncode == 0, f"{shlex.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout


def variables(host: Host) -> dict[str, str]:
    """Return the environment block of GRUB, as grub2-editenv prints it."""
    lines = quietly(host, "grub2-editenv", "list").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def boot(host: Host) -> str | None:
    """Do what GRUB does at a start, and return the release of the kernel it starts; ``None``: this host has no GRUB."""
    if not host.exists(f"{FOLDER}/grub.cfg") or not host.exists("/usr/bin/grub2-editenv"):
        return None
    text, env = host.read(f"{FOLDER}/grub.cfg"), variables(host)
    chosen = env.get("next_entry", "")
    if chosen:
        quietly(host, "grub2-editenv", "-", "set", "next_entry=")  # save_env writes the empty value, as GRUB does
    else:
        fixed = re.search(r'else\n\s*set default="([^"]*)"', text)
        assert fixed, text
        chosen = env.get("saved_entry", "") if fixed[1] == "${saved_entry}" else fixed[1]
    return follow(text, chosen)


def follow(text: str, chosen: str) -> str:
    """Return the kernel of an entry by its id, title or number; what is not there is the first one."""
    menu = entries(text.splitlines())
    for name in chosen.split(">"):
        numbers = [menu[int(name)]] if name.isdigit() and int(name) < len(menu) else []
        entry = next((item for item in menu if name in item[:2]), (numbers or menu)[0])
        menu = entry[3] or [entry]
    while menu[0][3]:
        menu = menu[0][3]
    return menu[0][2]


def entries(lines: list[str]) -> list[tuple[str, str, str, list]]:
    """Return the menu as ``(title, id, kernel, entries of a submenu)``."""
    found: list[tuple[str, str, str, list]] = []
    for line in lines:
        match = ENTRY.match(line)
        if match and match[1] == "submenu":
            found.append((match[2], match[3], "", []))
        elif match:
            title, name = match[2], match[3]
        elif KERNEL.match(line):
            item: tuple[str, str, str, list] = (title, name, KERNEL.match(line)[1], [])  # type: ignore[index]
            (found[-1][3] if line.startswith("\t\t") else found).append(item)
    return found
