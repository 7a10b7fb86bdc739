"""What would come up: each fact with what it makes of the verdict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import klp_boot as boot
from tests.unit.conftest import KERNEL, LP

NEW = "5.14.21-150500.55.12-default"
NEW_LP = "kernel-livepatch-5_14_21-150500_55_12-default"
VERSION = "5.14.21-150500.55.7"
TWO, THREE = "livepatch_2_150500_2_1", "livepatch_3_150500_2_1"


@pytest.mark.parametrize(
    ("path", "release"),
    [
        (f"/boot/vmlinuz-{KERNEL}", KERNEL),
        (f"/@/boot/vmlinux-{KERNEL}", KERNEL),
        (f"image-{KERNEL}", KERNEL),
        (f"(hd0,gpt2)/Image-{KERNEL}", KERNEL),
        ("/boot/vmlinuz", None),
        ("/boot/vmlinuz-", None),
        ("/boot/vmlinuz-linux", None),
        (f"/boot/vmlinux-{KERNEL}.gz", None),
        (f"/boot/initrd-{KERNEL}", None),
        (f"/boot/vmlinuz-{KERNEL}\n", None),
        ("", None),
    ],
)
def test_the_release_in_the_name_of_a_kernel(path, release):
    assert boot.kernel_of(path) == release


@pytest.mark.parametrize(
    ("keep", "again", "locked", "kept"),
    [
        ("latest,latest-1,running", True, False, True),
        ("latest,latest-1,running", False, False, None),
        ("latest,latest-1,running", None, False, None),
        ("running", None, False, None),
        ("running", False, False, False),
        ("running", False, True, True),
        ("latest", True, False, None),
        ("oldest+1", True, False, None),
        ("latestx", True, False, False),
        (f"latest, {VERSION}.1", False, False, True),
        (VERSION, False, False, True),
        (f"{VERSION}1", False, False, False),
        ("", False, False, True),
        (" , ", False, False, True),
        (None, False, False, True),
    ],
)
def test_purge_kernels(keep, again, locked, kept):
    assert boot.purge(True, keep, VERSION, again, locked) == {"pending": True, "keep": keep, "kept": kept}
    assert boot.purge(False, keep, VERSION, again, locked)["pending"] is False


OVERLAY = "26 1 0:22 / / rw,relatime shared:1 - overlay overlay rw\n"
BTRFS = "27 26 0:23 /@/.snapshots/1/snapshot / rw master:1 - btrfs /dev/vda2 rw\n"
HOME = "28 27 0:23 /@/home /home rw - btrfs /dev/vda2 rw,space-cache\n"


@pytest.mark.parametrize(
    ("default", "table", "found"),
    [
        (None, OVERLAY, None),
        (None, BTRFS + OVERLAY, None),
        (None, HOME, None),
        (None, "", None),
        (None, OVERLAY + BTRFS + HOME, {"state": "unknown", "name": None}),
        ("ID 5 (FS_TREE)", BTRFS, {"state": "another", "name": "FS_TREE"}),
        ("ID 5 (FS_TREE)\n", BTRFS.replace("/@/.snapshots/1/snapshot", "/"), {"state": "same", "name": "FS_TREE"}),
    ],
)
def test_snapshots(default, table, found):
    assert boot.snapshot(default, table) == found


@pytest.mark.parametrize(("number", "state"), [(1, "same"), (12, "another")])
def test_the_default_snapshot(number, state):
    for front in ("", "<FS_TREE>/"):
        said = f"ID 272 gen 152 top level 257 path {front}@/.snapshots/{number}/snapshot\n"
        assert boot.snapshot(said, BTRFS) == {"state": state, "name": f"@/.snapshots/{number}/snapshot"}


@pytest.mark.parametrize(
    ("default", "table", "said"),
    [
        ("ID x", BTRFS, "btrfs subvolume get-default: unknown answer 'ID x'"),
        ("", BTRFS, "unknown answer ''"),
        (None, "26 1 0:22 / /\n", "mountinfo: unknown line '26 1 0:22 / /'"),
        (None, "1 2 3 4 / 5 -\n", "mountinfo: unknown line"),
    ],
)
def test_an_answer_of_another_form_is_an_error(default, table, said):
    with pytest.raises(ValueError, match=said):
        boot.snapshot(default, table)


# -- systemd-boot ------------------------------------------------------------------------------------------------------

ENTRY = (
    f"# made by hand\ntitle  SLES 15\nlinux /vmlinuz-{KERNEL}\ninitrd /initrd-{KERNEL}\n\noptions root=x rootflags=ro\n"
)


def test_a_default_that_names_a_file():
    for name in ("sles.conf", "sles"):
        found = boot.loader_default(f"timeout 3\ndefault {name}\n", {"sles.conf": ENTRY})
        assert (found["wanted"], found["by"], found["notes"]) == (name, "loader.conf", [])
        assert found["entry"] == {
            "title": "SLES 15",
            "id": "sles.conf",
            "linux": f"/vmlinuz-{KERNEL}",
            "initrd": [f"/initrd-{KERNEL}"],
            "flags": "rootflags=ro",
        }


def test_an_entry_without_a_kernel_or_with_two():
    for text in ("efi /shell.efi", "linux /a\nlinux /b"):
        found = boot.loader_default("default a", {"a.conf": text})["entry"]
        assert found == {"title": "a.conf", "id": "a.conf", "linux": None, "initrd": [], "flags": None}


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ("", "names none"),
        ("default sles-*", "names sles-*"),
        ("default @saved", "names @saved"),
        ("default a\ndefault gone.conf", "names gone.conf"),
    ],
)
def test_what_only_the_boot_loader_knows(conf, said):
    files = {"a.conf": ENTRY, "sles-*.conf": ENTRY, "@saved.conf": ENTRY}
    found = boot.loader_default(conf, files)
    assert found["entry"] is None
    assert found["notes"] == [f"loader.conf {said}: which entry that is only the boot loader knows"]


@pytest.mark.parametrize(
    ("conf", "entry", "said"),
    [
        ("defaults", ENTRY, "loader.conf: unknown line 'defaults'"),
        ("default a", "?", r"a.conf: unknown line '\?'"),
        ("default a", "#" * (boot.LIMIT + 1), "a.conf: 4194305 characters, at most 4194304 are read"),
    ],
)
def test_files_of_another_form_are_errors(conf, entry, said):
    with pytest.raises(ValueError, match=said):
        boot.loader_default(conf, {"a.conf": entry})


@pytest.mark.parametrize(
    ("name", "flags", "said"),
    [
        (None, None, None),
        ("gnulinux-simple", "rootflags=ro", None),
        ("osprober-gnulinux-1", None, "entry 'a' starts another system (os-prober)"),
        (None, "rootflags=subvol=@/x", "entry 'a' mounts a subvolume of its own (rootflags=subvol=@/x)"),
    ],
)
def test_entries_of_something_else(name, flags, said):
    assert boot.elsewhere({"title": "a", "id": name, "flags": flags}) == said


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_an_answer_or_a_value_error(one, two):
    calls = [
        lambda: boot.kernel_of(one),
        lambda: boot.purge(True, one, VERSION, None),
        lambda: boot.snapshot(one, BTRFS),
        lambda: boot.snapshot(one, two),
        lambda: boot.loader_default(f"default a\n{one}", {"a.conf": two}),
    ]
    for call in calls:
        try:
            call()
        except ValueError as exc:
            assert str(exc)


# -- the verdict -------------------------------------------------------------------------------------------------------

OK, MISSING = {"verdict": "ok", "detail": THREE}, {"verdict": "failed", "detail": f"not in the initrd: {THREE}"}
PURGE = {"pending": False, "keep": "running", "kept": True}
GOOD = {"unknown": [], "notes": [], "kernel": KERNEL, "running": KERNEL, "image": True, "unsupported": None}
GOOD.update(package=LP, editions=["3-150500.2.1"], module=THREE, initrd=OK, found=[THREE], active=THREE, purge=PURGE)
OTHER = {"kernel": NEW, "package": NEW_LP}
SAID = f"would come up with kernel {NEW}, running is {KERNEL}"
AGAIN = f"or make {KERNEL} the default again: grub2-set-default"
STARTED, LOCK = "at the next start (multiversion.kernels =", "lock it, or name it there"
WITHOUT = "would come up without a live patch"
DRACUT = f"run dracut --force --kver {KERNEL}"


@pytest.mark.parametrize(
    ("facts", "verdict", "reasons"),
    [
        ({}, "ok", []),
        ({"notes": ["a"]}, "ok", ["a"]),
        ({"active": None}, "ok", []),
        (OTHER, "ok", [SAID]),
        (dict(OTHER, active="livepatch_9_1"), "ok", [SAID]),
        ({"unknown": ["a"], "notes": ["b"], "kernel": None}, "unknown", ["a", "b"]),
        ({"unknown": ["a"], "editions": []}, "unknown", ["a"]),
        (
            {"image": False},
            "failed",
            [f"would not come up: kernel {KERNEL} is not in /boot; run grub2-mkconfig -o /boot/grub2/grub.cfg"],
        ),
        ({"unsupported": "kernel x: no"}, "failed", [f"{WITHOUT}: kernel x: no"]),
        (dict(OTHER, unsupported="kernel x: no"), "failed", [f"{WITHOUT}: kernel x: no, {AGAIN}", SAID]),
        ({"editions": [], "initrd": None}, "failed", [f"{WITHOUT}: {LP} is not installed; run state.apply klp"]),
        (
            dict(OTHER, editions=[], initrd=None),
            "failed",
            [f"{WITHOUT}: {NEW_LP} is not installed; run zypper install {NEW_LP}, {AGAIN}", SAID],
        ),
        ({"initrd": MISSING, "found": []}, "failed", [f"{WITHOUT}: {MISSING['detail']}; {DRACUT}"]),
        (
            {"initrd": MISSING, "found": [TWO]},
            "failed",
            [
                f"would come up with {TWO}: {MISSING['detail']}; {DRACUT}",
                "would come up at level 2, active is 3: run state.apply klp",
            ],
        ),
        (
            {"module": TWO, "found": [TWO], "editions": ["2-1"]},
            "failed",
            ["would come up at level 2, active is 3: run state.apply klp"],
        ),
        ({"active": TWO}, "ok", []),
        ({"found": [THREE, "other"]}, "unknown", [f"the initrd holds {THREE}, but other as well"]),
        (
            {"initrd": {"verdict": "unknown", "detail": "exit 1"}, "found": []},
            "unknown",
            [f"whether the initrd holds {THREE} is not known: exit 1"],
        ),
        (
            {"editions": ["2-1", "3-1"], "initrd": None, "found": []},
            "unknown",
            [f"{LP} is installed 2 times: run state.apply klp"],
        ),
        ({"purge": dict(PURGE, pending=True)}, "ok", []),
        ({"purge": dict(PURGE, kept=False)}, "ok", []),
        (
            {"purge": {"pending": True, "keep": "latest", "kept": None}},
            "ok",
            [f"purge-kernels may remove kernel {KERNEL} {STARTED} latest): {LOCK}"],
        ),
        (
            {"purge": {"pending": True, "keep": "1", "kept": False}, "unknown": ["a"]},
            "unknown",
            ["a", f"purge-kernels removes kernel {KERNEL} {STARTED} 1): {LOCK}"],
        ),
    ],
)
def test_the_verdict(facts, verdict, reasons):
    assert boot.judge(dict(GOOD, **facts)) == {"verdict": verdict, "reasons": reasons}
