"""The virtual machine as far as no emulator is needed: its console, a boot that hangs, an emulator that is gone."""

import io
from types import SimpleNamespace

import pytest

from tests.lab.vm import lvm, machine
from tests.lab.vm.build import Build, Image


@pytest.fixture
def vm(tmp_path):
    """A machine that was never started, with a console."""
    found = object.__new__(machine.Machine)
    found.console_file = tmp_path / "console.txt"
    found.console_file.write_text("lab: one\nlab: two\n")
    found._process = found._agent = None
    return found


def test_the_console_is_searched_behind_a_position(vm):
    assert vm.wait_for_console("lab: ", 1) == 5
    assert vm.wait_for_console("lab: ", 1, since=5) == 14


def test_a_line_that_does_not_come_is_a_timeout_that_shows_the_console(vm):
    with pytest.raises(TimeoutError, match=r"^waited 0 s for 'lab: three' on the console:\nlab: one\nlab: two\n$"):
        vm.wait_for_console("lab: three", 0)


def test_an_emulator_that_has_ended_is_told_with_what_it_said(vm):
    vm._process = SimpleNamespace(poll=lambda: 1, stderr=io.BytesIO(b"no such machine\n"))
    with pytest.raises(RuntimeError, match="^the emulator ended: no such machine\n"):
        vm.wait_for_console("lab: three", 30)


def test_a_boot_that_hangs_is_tried_again(vm, monkeypatch):
    done = []
    monkeypatch.setattr(machine, "BOOT_SECONDS", (0, 0, 30))
    monkeypatch.setattr(vm, "power_cut", lambda: done.append("off"))

    def launch():
        done.append("on")
        if len(done) == 4:
            vm.console_file.write_text(machine.BOOTED)

    monkeypatch.setattr(vm, "_launch", launch)
    vm.wait_for_boot(0)
    assert done == ["off", "on", "off", "on"]


def test_a_machine_that_never_boots_is_an_error(vm, monkeypatch):
    monkeypatch.setattr(machine, "BOOT_SECONDS", (0, 0))
    monkeypatch.setattr(vm, "power_cut", lambda: None)
    monkeypatch.setattr(vm, "_launch", lambda: None)
    with pytest.raises(TimeoutError, match="for 'lab: root file system mounted'"):
        vm.wait_for_boot(0)


def test_without_the_emulator_the_error_names_it(vm, monkeypatch, tmp_path):
    vm._sockets = tmp_path
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="^qemu-system-x86_64 is missing: run tools/packages.sh system as root$"):
        vm._argv()


def test_kernel_and_emulator_are_told_where_root_and_disks_are(vm, monkeypatch, tmp_path):
    vm._sockets, vm._initrd, vm.disk = tmp_path, tmp_path / "initrd", tmp_path / "disk.qcow2"
    vm.boot = tmp_path / "boot.qcow2"
    vm.disks, vm.build = [tmp_path / "disk-1.raw"], SimpleNamespace(kernel="vmlinuz")
    vm.image = Image(tmp_path / "thin.raw", "/dev/mapper/system-root", "xfs", options="lab.more=yes")
    monkeypatch.setattr(machine.shutil, "which", lambda program: program)
    argv = vm._argv()
    assert argv[argv.index("-append") + 1].endswith(" root=/dev/mapper/system-root rootfstype=xfs lab.more=yes")
    drives = [argv[position + 1] for position, word in enumerate(argv) if word == "-drive"]
    assert [drive.split(",")[:2] for drive in drives] == [
        [f"file={vm.disk}", "format=qcow2"],
        [f"file={tmp_path}/disk-1.raw", "format=raw"],
    ]


@pytest.fixture
def build(tmp_path):
    """A finished build without any image, as far as it is needed here."""
    found = object.__new__(Build)
    found.root = tmp_path / "image/abc"
    found.initrd_lvm = found.root / "initrd-lvm"
    found.root.mkdir(parents=True)
    return found


def test_an_image_that_was_not_built_is_an_error_that_names_those_that_were(build):
    (build.root / "enabled.raw").write_text("")
    assert build.image("enabled") == Image(build.root / "enabled.raw", "/dev/vda", "btrfs")
    with pytest.raises(ValueError, match=r"^no image 'xfs', there are \['enabled'\]$"):
        build.image("xfs")


@pytest.mark.parametrize(("layout", "fstype"), [("lvm", "ext4"), ("thin", "xfs")])
def test_a_disk_with_lvm_is_made_once(build, tmp_path, monkeypatch, layout, fstype):
    made = []
    monkeypatch.setattr(lvm, "make", lambda root, build, layout: made.append(layout))
    found = [lvm.image(build, layout) for _ in range(2)]
    assert made == [layout] and found[0] == found[1]
    assert (found[0].root, found[0].fstype, found[0].archives) == (lvm.ROOT, fstype, (build.initrd_lvm,))
    assert found[0].path.parent.parent == tmp_path / layout
