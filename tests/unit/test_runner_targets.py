"""Hosts that a target may mean and that cannot be asked: the plan, the audit and the report name them."""

import pytest

from _runners.klp import targets

WHY = targets.UNFIT


@pytest.fixture
def strange(master, monkeypatch):
    """The target also means _old; of a wave's target it is not known whether it means web1."""

    def matching(opts, expression, kind):
        return ["web0"], {"web1": "no grains", "far": "no grains"} if expression == "web0" else {}

    monkeypatch.setattr(targets, "wanted", lambda opts, target, kind: (sorted(master.fleet.hosts), {"_old": WHY}))
    monkeypatch.setattr(targets, "matching", matching)
    return master


def test_the_plan_names_them_and_the_campaign_is_incomplete(strange):
    waves = [{"name": "first", "target": "web0"}, {"name": "rest"}]
    answer = strange.run("plan", pillar={"klp_campaign": {"waves": waves}})
    assert answer["plan"]["left_out"] == {"_old": ["refused", WHY], "web1": ["refused", "no grains"]}
    assert sorted(answer["plan"]["hosts"]) == ["web0", "web2", "web3"], "nobody of another target"
    assert f"  _old: {WHY}\n  web1: no grains\n" in answer["text"]
    assert strange.run("run", answer["plan"]["id"])["retcode"] == 2


def test_who_is_excluded_is_no_reason(strange):
    answer = strange.run("plan", pillar={"klp_campaign": {"exclude": ["*old"]}})
    assert answer["plan"]["left_out"] == {"_old": ["excluded", "pillar klp_campaign:exclude"]}
    assert strange.run("run", answer["plan"]["id"])["retcode"] == 0


def test_audit_and_report_name_them(strange):
    audit = strange.run("audit")
    assert audit["hosts"]["_old"] == {"verdict": "unknown", "why": WHY} and audit["retcode"] == 2
    report = strange.run("report", ask="none")
    assert report["report"]["silent"]["_old"] == WHY
