"""What hosts are asked for a plan, and in which order."""

from unittest.mock import Mock

import pytest

from _runners.klp import commands
from tests.unit.master import PREVIEW


@pytest.fixture
def asked(master, monkeypatch):
    """The questions that hosts are asked, one after the other; ``whom`` returns the hosts as well."""
    spy = Mock(side_effect=master.fleet.ask)
    monkeypatch.setattr(master.fleet, "ask", spy)

    def questions(whom=False):
        return [call.args[1::-1] if whom else call.args[1] for call in spy.call_args_list]

    return questions


def test_a_fleet_that_does_not_answer_gets_nothing_sent(master, asked):
    for host in master.fleet.hosts.values():
        host.down_until = 1e12
    left_out = master.run("plan")["plan"]["left_out"].values()
    assert [kind for kind, _ in left_out] == ["unreachable"] * 4
    assert asked() == ["test.ping"]


def test_only_hosts_with_another_version_are_sent_the_files_and_asked_again(master, asked):
    """They were sent to all hosts for each plan: 0.28 s of the master's processor a host."""
    master.plan()
    assert asked() == ["test.ping", PREVIEW]
    master.fleet.hosts["web1"].faults["code"] = "other"
    master.fleet.hosts["web2"].faults["code"] = None
    hosts = sorted(master.fleet.hosts)
    assert sorted(master.run("plan")["plan"]["hosts"]) == hosts
    others = ["web1", "web2"]
    assert asked(whom=True)[2:] == [
        ("test.ping", hosts),
        (PREVIEW, hosts),
        ("saltutil.sync_all", others),
        (PREVIEW, others),
    ]


def test_where_nobody_knows_what_the_master_has_all_hosts_are_sent_it(master, asked, monkeypatch):
    monkeypatch.setattr(commands.asking, "code", lambda opts: None)
    master.plan()
    assert asked() == ["test.ping", "saltutil.sync_all", PREVIEW]


def test_without_a_sync_hosts_are_only_asked(master, asked):
    master.plan(sync=False)
    master.fleet.hosts["web1"].faults["code"] = "other"
    master.plan(sync=False)
    assert asked() == ["test.ping", PREVIEW] * 2
