"""The virtual machine as far as no emulator is needed: its console, a boot that hangs, an emulator that is gone."""

import io
from types import SimpleNamespace

import pytest

from tests.lab.vm import machine


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
