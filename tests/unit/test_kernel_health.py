"""How a host is: its boot, its kernel log, its taint flags and its services, asked for without any program."""

import os

import pytest
import salt.utils.systemd
from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_paths
from tests.unit.hosts import OOPS, WELL


@pytest.fixture
def host(minion):
    return minion


def test_a_host_that_is_well(host, programs):
    assert host.salt["klp_audit.health"]() == WELL
    assert programs.calls == []


def test_errors_of_the_kernel_come_with_their_numbers(host):
    host.file(klp_paths.KMSG, f"6,7,0,-;Linux\n4,8,1,-;{OOPS}\n6,11,1,-;usb\n")
    found = host.salt["klp_audit.health"]()
    assert (found["log"], found["errors"]) == (11, [{"number": 8, "text": OOPS}])


def test_an_empty_kernel_log_begins_at_zero(host):
    host.file(klp_paths.KMSG, "")
    found = host.salt["klp_audit.health"]()
    assert (found["log"], found["errors"]) == (0, [])


def test_what_cannot_be_read_is_not_known(host):
    for path in (klp_paths.KMSG, klp_paths.BOOT_ID, klp_paths.TAINTED):
        os.unlink(path)
    assert host.salt["klp_audit.health"]() == dict(WELL, boot=None, log=None, errors=None, tainted=None)
    for path in (klp_paths.BOOT_ID, klp_paths.TAINTED):
        host.file(path, "\n")
    assert host.salt["klp_audit.health"]() == dict(WELL, boot=None, log=None, errors=None, tainted=None)


@pytest.fixture
def systemd(monkeypatch):
    """The host was started by systemd, as every SLES is."""
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda *args: True)


def test_without_systemd_nobody_knows_about_services(host):
    """What Salt says there is true for every name that is somewhere on a command line, also on its own."""
    host.salt["service.status"] = lambda name: True
    assert host.salt["klp_audit.health"](["sshd"])["services"] == {"sshd": None}


def test_services_run_or_not_or_nobody_knows(host, systemd):
    assert host.salt["klp_audit.health"](["sshd"])["services"] == {"sshd": None}
    said = {"sshd": True, "cron": False, "many": {"a": True}}

    def status(name):
        if name not in said:
            raise CommandExecutionError("Problem performing systemctl daemon-reload")
        return said[name]

    host.salt["service.status"] = status
    found = host.salt["klp_audit.health"](["sshd", "cron", "many", "postgresql@14-main"])["services"]
    assert found == {"sshd": True, "cron": False, "many": None, "postgresql@14-main": None}


@pytest.mark.parametrize(
    "services", ["sshd", [1], {"sshd": True}, [["sshd"]], ["--root=/"], ["a b"], ["a\n"], ["ssh*"], [""], ["a" * 300]]
)
def test_what_is_no_list_of_names_is_refused(host, services):
    host.salt["service.status"] = lambda name: pytest.fail("asked")
    with pytest.raises(SaltInvocationError, match="services: wanted a list of names, found"):
        host.salt["klp_audit.health"](services)
