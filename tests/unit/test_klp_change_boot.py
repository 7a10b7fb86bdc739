"""What GRUB starts next: a new kernel once with the old one as default, and what it cannot do."""

import os
import re

import pytest
from salt.exceptions import CommandExecutionError

import klp_change_boot
import klp_menu
import klp_paths
from tests.unit.conftest import KERNEL
from tests.unit.kernels import NEW, NEW_ENTRY, OLD_ENTRY, TITLE, Grub

MKCONFIG = "run: grub2-mkconfig -o /boot/grub2/grub.cfg"
ONCE = "GRUB cannot start a kernel once on this host: "


@pytest.fixture
def grub(minion, paths):
    paths.update(["grub2-editenv", "grub2-probe"])
    return Grub(minion, saved_entry=TITLE)


def look(grub, release=KERNEL):
    return klp_change_boot.look(grub.minion.host, release)


def upcoming(grub):
    found = klp_change_boot.upcoming(grub.minion.host)
    return found["next"], found["default"], found["once"]


def cannot(grub, why, **more):
    found = look(grub)
    assert (found["once"], found["why"]) == (False, why)
    assert {key: found[key] for key in more} == more
    with pytest.raises(CommandExecutionError, match="the next start is as it was$"):
        klp_change_boot.start_once(grub.minion.host, KERNEL, KERNEL)


# -- what it can -------------------------------------------------------------------------------------------------------


def test_a_kernel_can_be_started_once(grub):
    assert look(grub) == {"once": True, "saved": True, "entry": OLD_ENTRY, "default": TITLE, "why": None}
    assert look(grub, NEW)["entry"] == NEW_ENTRY
    assert upcoming(grub) == (NEW, NEW, False)


def test_the_old_kernel_becomes_the_default_and_the_new_one_comes_once(grub):
    host = grub.minion.host
    klp_change_boot.make_default(host, KERNEL)
    assert grub.variables == {"saved_entry": OLD_ENTRY}
    klp_change_boot.start_once(host, NEW, KERNEL)
    assert grub.variables == {"saved_entry": OLD_ENTRY, "next_entry": NEW_ENTRY}
    assert upcoming(grub) == (NEW, KERNEL, True)
    klp_change_boot.make_default(host, KERNEL)
    assert grub.variables == {"saved_entry": OLD_ENTRY}


def test_a_start_with_another_default_before_is_over(grub):
    grub.variables["prev_saved_entry"] = NEW_ENTRY
    grub.save()
    klp_change_boot.make_default(grub.minion.host, KERNEL)
    assert grub.variables == {"saved_entry": OLD_ENTRY}


def test_what_is_so_already_is_not_written(grub):
    grub.variables = {"saved_entry": OLD_ENTRY}
    grub.save()
    klp_change_boot.make_default(grub.minion.host, KERNEL)
    assert grub.minion.programs.calls == [  # it is only looked whether it can be written
        ["grub2-probe", f"--target={target}", klp_paths.GRUB] for target in ("fs", "abstraction")
    ]


@pytest.mark.parametrize("wanted, saved", [(TITLE, TITLE), ("", None), (OLD_ENTRY, NEW_ENTRY), ("1>1", NEW_ENTRY)])
def test_the_default_of_the_administrator_is_put_back_where_it_starts_the_same(grub, wanted, saved):
    host = grub.minion.host
    klp_change_boot.make_default(host, KERNEL)
    klp_change_boot.put_back(host, wanted, NEW)
    assert grub.variables.get("saved_entry") == saved
    assert upcoming(grub) == (NEW, NEW, False)


def test_a_program_that_changes_nothing_is_noticed(grub):
    grub.deaf = True
    said = f"wanted {KERNEL} to start next, and then {KERNEL}, but GRUB would start {NEW}, and then {NEW}"
    with pytest.raises(CommandExecutionError, match=re.escape(f"grub2-editenv: {said}; look at: grub2-editenv list")):
        klp_change_boot.make_default(grub.minion.host, KERNEL)


# -- what it cannot ----------------------------------------------------------------------------------------------------


def test_without_a_menu(grub):
    os.unlink(f"{klp_paths.GRUB}/grub.cfg")
    cannot(grub, f"this host has no {klp_paths.GRUB}/grub.cfg: the boot loader is not understood", saved=False)
    assert upcoming(grub) == (None, None, False)


def test_a_menu_that_is_not_understood(grub):
    grub.minion.write("boot/grub2/grub.cfg", "if true; then\n")
    cannot(grub, "the boot loader is not understood: grub.cfg: if has no end")
    assert upcoming(grub) == (None, None, False)
    with pytest.raises(CommandExecutionError, match="the default is as it was"):
        klp_change_boot.put_back(grub.minion.host, TITLE, NEW)


def test_a_kernel_without_an_entry_of_its_own(grub):
    said = f"GRUB's menu has no entry for kernel 5.14.21-1-default alone; {MKCONFIG}"
    assert look(grub, "5.14.21-1-default")["why"] == said
    with pytest.raises(CommandExecutionError, match="the default is as it was"):
        klp_change_boot.make_default(grub.minion.host, "5.14.21-1-default")


def test_a_default_that_is_not_saved(grub):
    grub.rewrite(r'default="\$\{saved_entry\}"', 'default="0"')
    said = "GRUB does not take its default from saved_entry; set GRUB_DEFAULT=saved in /etc/default/grub and "
    cannot(grub, said + MKCONFIG, saved=False)


def test_a_menu_without_next_entry(grub):
    grub.rewrite(r'if \[ "\$\{next_entry\}" \] ; then', 'if [ "" ] ; then')
    cannot(grub, f"GRUB's configuration does not know next_entry; {MKCONFIG}", saved=True)


@pytest.mark.parametrize(
    "kind, below, why",
    [
        ("ext2", "lvm", "on lvm, where it cannot write its environment block"),
        ("xfs", "diskfilter mdraid1x", "on diskfilter, mdraid1x, where it cannot write its environment block"),
        ("zfs", "", "on zfs, where it cannot write"),
        ("", "", "on unknown, where it cannot write"),
        ("btrfs", "", "on btrfs, and its environment block has no env_block, as GRUB of SUSE makes it; run: "),
    ],
)
def test_where_grub_cannot_write(grub, kind, below, why):
    grub.probe(kind, below)
    found = look(grub)
    assert (found["once"], found["saved"]) == (False, True)
    assert found["why"].startswith(f"{ONCE}{klp_paths.GRUB} is {why}")


def test_on_btrfs_with_the_block_of_grub_of_suse(grub):
    grub.probe("btrfs")
    grub.variables["env_block"] = "512+1"
    grub.save()
    grub.minion.programs.on(["grub2-editenv", "list"], f"saved_entry={TITLE}\nenv_block=512+1\n")
    assert look(grub)["once"] is True


def test_with_another_firmware(grub, uname):
    uname(machine="ppc64le")
    cannot(grub, f"{ONCE}it writes its environment block with BIOS and EFI only, and this is ppc64le", saved=True)


def test_without_its_programs(grub, paths):
    paths.remove("grub2-probe")
    cannot(grub, "this host has no grub2-probe: the boot loader is not understood", saved=True)


# -- entries, and what panics ------------------------------------------------------------------------------------------


def entry(title, ident=None, **more):
    found = {"title": title, "id": ident, "kind": "menuentry", "sure": True, "linux": f"/boot/vmlinuz-{NEW}"}
    return dict(found, initrd=[f"/boot/initrd-{NEW}"], flags=None, entries=[], **more)


def test_an_entry_has_to_name_the_kernel_and_to_be_certain():
    assert klp_menu.entry_of([entry("SLES", "simple")], NEW) is None
    assert klp_menu.entry_of([dict(entry(f"SLES {NEW}", "a>b"), sure=False)], NEW) is None
    assert klp_menu.entry_of([entry(f"SLES {NEW} (recovery mode)", "a")], NEW) is None
    assert klp_menu.entry_of([entry(f"SLES {NEW}", "a>b")], NEW) == "a>>b"
    assert klp_menu.entry_of([entry(f"SLES {NEW}")], NEW) == f"SLES {NEW}"
    assert klp_menu.entry_of([dict(entry("x", "sub"), kind="submenu")], NEW) is None


@pytest.mark.parametrize(
    "parameters, seconds",
    [("quiet", None), ("panic=60", 60), ("panic=60 panic=0", None), ("panic=-1", -1), ("panic=x", None)],
)
def test_a_kernel_that_panics_stays_halted_without_a_parameter(parameters, seconds):
    assert klp_change_boot.panic(parameters) == seconds
