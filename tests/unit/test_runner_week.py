"""``klp.plan kernel week=...``: the hosts of the report's proposal for one week, and the restarts as a calendar."""

import pytest

from _runners.klp import agenda, due, survey
from tests import fleet

WEEK = "2026-W50"  # of a deadline on 17 December, seen from 27 November


@pytest.fixture
def hosts(master, monkeypatch):
    """A master whose mine has documents of web0 to web3, all with a deadline in one week, and of web9."""
    names = [*(f"web{number}" for number in range(4)), "web9"]
    master.there = {name: fleet.document(name, time=fleet.NOW, window__last=fleet.day(20)) for name in names}
    master.pillar["klp_report"] = {"ask": "none", "share": 100}

    def mine(target, fun, target_type):
        return master.there

    def check_minions(checker, expression, kind, greedy):
        return {"minions": names if expression == "*" else names[:4]}

    monkeypatch.setattr(master, "mine", mine)
    monkeypatch.setattr(survey.targets.salt.utils.minions.CkMinions, "check_minions", check_minions)
    monkeypatch.setattr(survey.time, "time", lambda: fleet.NOW)
    monkeypatch.setattr(master.fleet, "time", fleet.NOW, raising=False)
    master.pillar["klp_campaign"]["target"] = "web[0-3]"
    return master


def plan(master, week=WEEK, retcode=0, **kwargs):
    answer = master.run("plan", "kernel", week=week, **kwargs)
    assert answer["retcode"] == retcode, answer
    return answer


def moved(master, name, days, **more):
    master.there[name] = fleet.document(name, time=fleet.NOW, window__last=fleet.day(days), **more)


def taken(answer):
    made = answer["plan"]
    return sorted({*made["hosts"], *made["left_out"]})


def test_a_plan_has_the_hosts_of_the_week_and_no_other(hosts):
    moved(hosts, "web2", 200)
    answer = plan(hosts)
    assert taken(answer) == ["web0", "web1", "web3"] == answer["week"]["hosts"]
    assert answer["week"] == {
        "week": WEEK,
        "proposed": 4,
        "hosts": ["web0", "web1", "web3"],
        "elsewhere": ["web9"],
        "unknown": {},
        "old": [],
    }
    assert answer["text"].split("\n")[:2] == [
        "2026-W50 (2026-12-07 to 2026-12-13): 4 restarts proposed, 3 of them for this campaign",
        "not in pillar klp_campaign:target: web9",
    ]
    assert (answer["plan"]["kind"], hosts.run("status")["campaigns"][0]["id"]) == ("kernel", answer["plan"]["id"])


def test_who_is_late_is_in_the_plan_of_this_week(hosts):
    moved(hosts, "web1", -30, window__state="expired")
    assert plan(hosts, "2026-W48")["week"]["hosts"] == ["web1"]


def test_what_nobody_knows_is_said_and_not_taken_for_a_later_week(hosts):
    del hosts.there["web0"]
    moved(hosts, "web1", 20, window__state="unknown")
    hosts.there["web1"]["window"]["last"] = None
    hosts.there["web2"]["time"] = fleet.NOW - 30 * 3600
    answer = plan(hosts)
    assert answer["week"]["hosts"] == ["web2", "web3"] and answer["week"]["old"] == ["web2"]
    assert answer["week"]["unknown"] == {"web0": "no document", "web1": "no deadline is known"}
    for line in (
        "not in the plan, as their week is unknown (no document): web0",
        "not in the plan, as their week is unknown (no deadline is known): web1",
        "what they say is older than 24 hours: web2",
    ):
        assert line in answer["text"].split("\n")


def test_a_host_that_the_report_leaves_out_is_said(hosts):
    answer = plan(hosts, pillar={"klp_report": {"target": "web0"}, "klp_campaign": {"target": "web[0-3]"}})
    assert answer["week"]["unknown"] == {}
    summary = {"reboots": {"weeks": [], "unknown": [], "horizon": 2, "today": "2026-11-27"}, "hosts": [],
               "settings": {"old": 24}}  # fmt: skip
    one = due.Due(WEEK, summary)
    assert one.take(["web7"], {"web8": "its pillar is not known"}) == ([], {})
    assert one.found["unknown"] == dict.fromkeys(
        ("web7", "web8"), "it is not in the report, see pillar klp_report:target"
    )


def test_a_week_without_restarts_is_said_and_no_plan_is_written(hosts):
    answer = plan(hosts, "2026-W49")
    assert (answer["plan"], answer["text"]) == (
        None,
        "2026-W49 (2026-11-30 to 2026-12-06): 0 restarts proposed, 0 of them for this campaign",
    )
    assert hosts.run("status")["campaigns"] == []
    del hosts.there["web0"]
    assert plan(hosts, "2026-W49", retcode=2)["week"]["unknown"] == {"web0": "no document"}


BEYOND = "beyond what is proposed"
REFUSED = [
    ("2027-W60", "kernel", "week: wanted an ISO week such as 2026-W48, found '2027-W60'"),
    ("next", "kernel", "week: wanted an ISO week such as 2026-W48, found 'next'"),
    ("2026-W47", "kernel", "week: 2026-W47 has passed; what is late is proposed for 2026-W48, this week, or later"),
    ("2029-W01", "kernel", f"week: 2029-W01 is {BEYOND}; the last week is 2027-W20, see pillar klp_report:weeks"),
    (WEEK, "patch", "week is for plans of kind kernel: nothing else restarts a host, found kind 'patch'"),
]


@pytest.mark.parametrize(("week", "kind", "said"), REFUSED)
def test_a_wrong_week_is_refused_in_one_sentence(hosts, week, kind, said):
    assert hosts.refused("plan", kind, week=week) == said
    assert hosts.run("status")["campaigns"] == []


def test_very_late_hosts_are_reached_beyond_the_horizon(hosts):
    """One of them restarts in a week, so the last ones have a week that is later than any deadline that is planned."""
    for number in range(4):
        moved(hosts, f"web{number}", -5, window__state="expired")
    hosts.pillar["klp_report"].update(share=1, weeks=1)
    found = [plan(hosts, f"2026-W{number}")["week"]["hosts"] for number in (48, 49, 50, 51)]
    assert sorted(sum(found, [])) == ["web0", "web1", "web2", "web3"]
    assert "the last week is 2026-W51" in hosts.refused("plan", "kernel", week="2026-W52")


def test_the_restarts_are_written_as_a_calendar_if_somebody_wants_them(hosts, tmp_path):
    answer = hosts.run("report", folder=str(tmp_path / "www"))
    assert "restarts.ics" not in " ".join(answer["files"])
    hosts.pillar["klp_report"]["formats"] = ["icalendar"]
    answer = hosts.run("report", folder=str(tmp_path / "www"))
    assert answer["files"] == [str(tmp_path / "www" / "restarts.ics")]
    text = (tmp_path / "www" / "restarts.ics").read_bytes().decode()
    assert "SUMMARY:Restart 5 hosts of web\r\n" in text and f"week={WEEK}" in text.replace("\r\n ", "")


def test_a_master_without_the_library_asks_nobody(hosts, monkeypatch):
    def missing():
        raise agenda.calendars.missing(agenda.WHAT)

    monkeypatch.setattr(agenda, "library", missing)
    assert hosts.run("report")["report"]["totals"]["answered"] == 5
    hosts.pillar["klp_report"]["formats"] = ["icalendar"]
    monkeypatch.setattr(hosts, "mine", None)
    assert hosts.refused("report").startswith("pillar klp_report:formats: icalendar: the Python of this master has no")
