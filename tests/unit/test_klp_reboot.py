"""``klp_audit.reboot_safety``: which boot loader is asked, and what is read of the kernel that it starts."""

import os

import pytest

import klp_paths
import klp_restoring
from tests.unit.conftest import KERNEL, LP
from tests.unit.hosts import FIRST, ONE, THIRD, TWO, becomes, remembers
from tests.unit.loader import recorded

NEW = "5.14.21-150500.55.12-default"
NEW_LP = "kernel-livepatch-5_14_21-150500_55_12-default"
TITLE, OLD_TITLE = "SLES 15-SP5", f"SLES 15-SP5, with Linux {KERNEL}"
KEEP = "latest,latest-1,running"
OVERLAY = "26 1 0:22 / / rw,relatime - overlay overlay rw\n"
BTRFS = "26 1 0:22 /@/.snapshots/1/snapshot / rw - btrfs /dev/vda2 rw\n"
GET_DEFAULT = ["btrfs", "subvolume", "get-default", "/"]
DEFAULT = "ID 272 gen 152 top level 257 path @/.snapshots/{}/snapshot\n"


def block(**variables):
    return "# GRUB Environment Block\n" + "".join(f"{name}={value}\n" for name, value in variables.items())


@pytest.fixture
def host(minion, paths):
    """A live patched host that starts the running kernel again; a newer one is installed as well."""
    paths.update(["btrfs", "grub2-editenv"])
    minion.rpm_q([LP], {LP: ONE})
    minion.rpm_q([NEW_LP], {})
    minion.live_patch(FIRST)
    minion.locked("kernel-default")
    minion.write("boot/grub2/grub.cfg", recorded("boot/grub.cfg"))
    minion.write("boot/grub2/grubenv", block(saved_entry="1>1"))
    minion.write("proc/self/mountinfo", OVERLAY)
    minion.write("etc/zypp/zypp.conf", f"[main]\nmultiversion.kernels = {KEEP}\n")
    for release in (KERNEL, NEW):
        for name in ("vmlinuz", "initrd"):
            minion.write(f"boot/{name}-{release}", "")
    initrd(minion, recorded("lsinitrd/enabled.txt"))
    return minion


def initrd(host, *answer, release=KERNEL):
    host.programs.on(["lsinitrd", f"{klp_paths.BOOT}/initrd-{release}"], *answer)


def ask(host):
    return host.salt["klp_audit.reboot_safety"]()


def unknown(host, said):
    """The verdict is unknown for this reason, and the initrd is not looked at."""
    found = ask(host)
    assert (found["verdict"], found["initrd"], host.programs.started("lsinitrd")) == ("unknown", None, [])
    assert said in found["reasons"][0], found["reasons"]
    return found


GOOD = {
    "verdict": "ok",
    "entry": OLD_TITLE,
    "kernel": KERNEL,
    "live_patch": ONE,
    "initrd": True,
    "purge": {"pending": False, "keep": KEEP, "kept": True},
    "snapshot": None,
    "reasons": [],
}


def test_a_host_that_comes_up_live_patched(host, programs):
    assert ask(host) == GOOD
    assert [argv[0] for argv in programs.calls] == ["rpm", "lsinitrd"]
    assert programs.options[1]["timeout"] == 300


def test_another_kernel_without_a_live_patch(host, programs):
    host.write("boot/grub2/grubenv", block(saved_entry="1>1", next_entry=TITLE))
    found = ask(host)
    assert (found["verdict"], found["entry"], found["kernel"]) == ("failed", TITLE, NEW)
    assert (found["live_patch"], found["initrd"]) == (None, None)
    assert found["reasons"][0].startswith(f"would come up without a live patch: {NEW_LP} is not installed; run zypper")
    assert not programs.started("lsinitrd")


def test_another_kernel_with_a_live_patch(host):
    host.write("boot/grub2/grubenv", block())
    host.rpm_q([NEW_LP], {NEW_LP: ONE})
    host.changed()
    initrd(host, recorded("lsinitrd/enabled.txt").replace(KERNEL, NEW), release=NEW)
    host.write("boot/do_purge_kernels", "")
    found = ask(host)
    assert (found["verdict"], found["live_patch"], found["initrd"]) == ("ok", ONE, True)
    assert found["purge"] == {"pending": True, "keep": KEEP, "kept": True}
    host.locked("curl")
    assert ask(host)["purge"] == {"pending": True, "keep": KEEP, "kept": None}
    os.unlink(klp_paths.LOCKS)
    os.mkdir(klp_paths.LOCKS)
    assert ask(host)["purge"]["kept"] is None


def test_an_initrd_without_the_live_patch(host):
    initrd(host, recorded("lsinitrd/enabled.txt").replace("kernel-livepatch\n", ""))
    found = ask(host)
    assert (found["verdict"], found["initrd"]) == ("failed", False)
    said = "would come up without a live patch: the initrd has no dracut module kernel-livepatch"
    assert found["reasons"] == [f"{said}; run dracut --force --kver {KERNEL}"]


def test_an_initrd_with_an_older_live_patch(host):
    host.rpm_q([LP], {LP: TWO})
    host.changed()
    becomes(THIRD)
    found = ask(host)
    assert (found["verdict"], found["live_patch"], found["initrd"]) == ("failed", TWO, False)
    assert found["reasons"][0].startswith(f"would come up with {FIRST}: not in the initrd: livepatch_2_")
    assert found["reasons"][1] == "would come up at level 1, active is 3: run state.apply klp"


def test_an_initrd_that_cannot_be_read(host):
    initrd(host, {"retcode": 1, "stderr": "no such file"})
    found = ask(host)
    assert (found["verdict"], found["initrd"]) == ("unknown", None)
    assert "exit 1: no such file" in found["reasons"][0]


def test_two_editions_are_not_one(host, programs):
    host.rpm_q([LP], {LP: f"{ONE},{TWO}"})
    host.changed()
    found = ask(host)
    assert (found["verdict"], found["live_patch"], found["initrd"]) == ("unknown", None, None)
    assert found["reasons"] == [f"{LP} is installed 2 times: run state.apply klp"]
    assert not programs.started("lsinitrd")


def test_an_rpm_that_does_not_answer(host, programs):
    programs.on(["rpm", "-q", ...], {"stderr": "error: db"})
    unknown(host, "rpm -q: error: db")


def test_a_kernel_that_offers_no_live_patching_now_may_come_up_with_it(host):
    os.rename(klp_paths.LIVEPATCH, f"{host.root}/gone")
    assert ask(host)["verdict"] == "ok"


# -- the boot loader ---------------------------------------------------------------------------------------------------


def test_without_a_boot_loader(host):
    (host.root / "boot/grub2/grub.cfg").unlink()
    found = unknown(host, "boot/grub2/grub.cfg nor entries of systemd-boot are here")
    assert (found["entry"], found["kernel"], found["live_patch"], found["purge"]["kept"]) == (None, None, None, True)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("boot/grub2/grub.cfg", "menuentry {", "grub.cfg: block has no end"),
        ("boot/grub2/grubenv", "x", "grubenv: wanted"),
        ("boot/grub2/grubenv", block(saved_entry="15 x"), "entry '15 x' begins with a digit"),
        ("boot/grub2/custom.cfg", "set default=$root\n", "depends on what only GRUB knows"),
        ("boot/grub2/grubenv", block(saved_entry="2"), "what entry 'Other system (on /dev/sdb1)' starts is not known"),
        ("boot/grub2/grub.cfg", "menuentry a { linux /boot/bzImage; }", "kernel /boot/bzImage holds no release"),
        (
            "boot/grub2/grub.cfg",
            f"menuentry a --id osprober-1 {{ linux /boot/vmlinuz-{KERNEL}; }}",
            "entry 'a' starts another system",
        ),
        (
            "boot/grub2/grub.cfg",
            f"menuentry a {{ linux /boot/vmlinuz-{KERNEL}; initrd /boot/initrd $x; }}",
            f"entry 'a' starts {KERNEL} with another initrd: /boot/initrd, unknown",
        ),
        (
            "boot/grub2/grub.cfg",
            f"menuentry a {{ linux /boot/vmlinuz-{KERNEL}; }}",
            f"entry 'a' starts {KERNEL} with another initrd: none",
        ),
    ],
)
def test_what_the_boot_loader_leaves_open(host, name, text, said):
    host.write(name, text)
    unknown(host, said)


def test_a_configuration_that_cannot_be_read(host):
    (host.root / "boot/grub2/grub.cfg").unlink()
    (host.root / "boot/grub2/grub.cfg").mkdir()
    unknown(host, "boot/grub2/grub.cfg cannot be read")


def test_an_entry_that_is_not_there_is_the_first_one_and_said(host):
    host.write("boot/grub2/grubenv", block(saved_entry="gone"))
    found = ask(host)
    assert found["entry"] == TITLE and "no entry is called 'gone', GRUB takes the first one" in found["reasons"]


def test_without_an_environment_block_the_first_entry_starts(host):
    (host.root / "boot/grub2/grubenv").unlink()
    assert ask(host)["entry"] == TITLE


def test_files_that_are_read_at_the_end_count_where_they_are_read(host):
    host.write("boot/grub2/custom.cfg", "set default='1>0'\n")
    host.write(".snapshots/grub-snapshot.cfg", recorded("boot/grub-snapshot.cfg"))
    assert ask(host)["entry"] == f"{TITLE}, with Linux {NEW}"
    text = recorded("boot/grub.cfg").replace("custom.cfg", "other.cfg").replace("source ", "true ")
    host.write("boot/grub2/grub.cfg", text)
    assert ask(host)["entry"] == OLD_TITLE


def test_a_block_on_btrfs_is_asked_of_grub(host, programs):
    host.write("boot/grub2/grubenv", block(saved_entry="1>1", env_block="512+1"))
    programs.on(["grub2-editenv", "list"], "saved_entry=1>1\nenv_block=512+1\nnext_entry=0\n")
    assert ask(host)["entry"] == TITLE
    programs.on(["grub2-editenv", "list"], {"retcode": 1})
    assert "grub2-editenv list: exit 1" in ask(host)["reasons"][0]


def test_links_in_boot_are_followed(host):
    for name in ("vmlinuz", "initrd"):
        (host.root / "boot" / name).symlink_to(f"{name}-{KERNEL}")
    host.write("boot/grub2/grub.cfg", "menuentry a { linux /boot/vmlinuz; initrd /boot/initrd; }")
    assert ask(host) == dict(GOOD, entry="a")


def test_a_kernel_that_is_gone(host):
    (host.root / f"boot/vmlinuz-{KERNEL}").unlink()
    found = ask(host)
    assert found["verdict"] == "failed" and "is not in /boot; run grub2-mkconfig" in found["reasons"][0]


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("5.14.21-150500.33.3-azure", "no live patches for the flavour azure"),
        ("6.1.0", "'6.1.0' is not of the form"),
    ],
)
def test_a_kernel_that_has_no_live_patches(host, release, said):
    entry = f"menuentry a {{ linux /boot/vmlinuz-{release}; initrd /boot/initrd-{release}; }}"
    host.write("boot/grub2/grub.cfg", entry)
    host.write(f"boot/vmlinuz-{release}", "")
    found = ask(host)
    assert (found["verdict"], found["kernel"], found["live_patch"]) == ("failed", release, None)
    assert said in found["reasons"][0]


def systemd_boot(host, conf):
    (host.root / "boot/grub2/grub.cfg").unlink()
    host.write("boot/loader/loader.conf", conf)
    entry = f"title a\nlinux /boot/vmlinuz-{KERNEL}\ninitrd /boot/initrd-{KERNEL}\n"
    host.write("boot/loader/entries/a.conf", entry)


def test_systemd_boot(host):
    systemd_boot(host, "default a\n")
    assert ask(host) == dict(GOOD, entry="a")


def test_systemd_boot_that_decides_itself(host):
    systemd_boot(host, "timeout 3\n")
    unknown(host, "loader.conf names none")
    host.write("boot/loader/loader.conf", "default a\n")
    host.write("sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082", "")
    unknown(host, "the firmware has a choice of systemd-boot of its own")
    (host.root / "boot/loader/loader.conf").unlink()
    unknown(host, "loader.conf cannot be read")


# -- what is mounted ---------------------------------------------------------------------------------------------------


def test_the_same_snapshot(host, programs):
    host.write("proc/self/mountinfo", BTRFS)
    programs.on(GET_DEFAULT, DEFAULT.format(1))
    assert ask(host) == GOOD


def test_another_snapshot(host, programs):
    host.write("proc/self/mountinfo", BTRFS)
    programs.on(GET_DEFAULT, DEFAULT.format(12))
    found = unknown(host, "would mount another snapshot, of which nothing here tells: @/.snapshots/12/snapshot")
    assert found["snapshot"] == "@/.snapshots/12/snapshot"


@pytest.mark.parametrize(
    ("table", "answer", "said"),
    [
        (BTRFS, {"retcode": 1, "stderr": "no"}, "btrfs subvolume get-default /: exit 1: no"),
        (BTRFS, "x", "unknown answer 'x'"),
        ("x", "", "mountinfo: unknown line 'x'"),
    ],
)
def test_a_snapshot_that_is_not_known(host, programs, table, answer, said):
    host.write("proc/self/mountinfo", table)
    programs.on(GET_DEFAULT, answer)
    found = unknown(host, "which snapshot is mounted at the next start is not known: ")
    assert said in found["reasons"][0] and found["snapshot"] is None


def test_a_restoration_that_waits(host):
    begun = dict.fromkeys(klp_restoring.FIELDS, "42")
    remembers(host, "restore", dict(begun, boot="b1", stage="prepared"))
    unknown(host, "would come up with backup 42, which is being restored")
    host.file(f"{klp_paths.RECORDS}/restore.json", "{")
    unknown(host, "restore.json: cannot be read")
