"""``klp.cve`` and ``klp.plan cve=...``: over simulated hosts, their documents in the mine or asked for."""

import shlex

import pytest
import salt.minion
import salt.utils.args
from salt.exceptions import SaltDeserializationError

from _runners.klp import emergency, emergency_ask, mined, survey
from tests import fleet
from tests.unit.emergencies import CVE, DAY, OTHER, TARGET, having
from tests.unit.kernels import kernel

HOST = "klp_audit.host"


@pytest.fixture
def hosts(master, monkeypatch):
    """A master whose four hosts have the CVE fixed live; ``there``: in the mine, ``asked``: what they answer."""
    master.there = {f"web{number}": having("fixed_live", f"web{number}", time=fleet.NOW) for number in range(4)}
    master.asked, master.jobs, master.mines = dict(master.there), [], []

    def ask(part, fun, arg, timeout):
        master.jobs.append((fun, sorted(part)))
        there = [host for host in part if host in master.asked]
        return {host: True if fun == "test.ping" else master.asked[host] for host in there}

    def mine(target, fun, target_type):
        master.mines.append((target, fun, target_type))
        return master.there

    monkeypatch.setattr(master, "mine", mine)
    monkeypatch.setattr(survey.time, "time", lambda: fleet.NOW)
    monkeypatch.setattr(master.fleet, "time", fleet.NOW, raising=False)
    master.previewed = master.fleet.ask
    monkeypatch.setattr(master.fleet, "ask", ask)
    return master


def put(master, state, *names, **more):
    master.there.update({name: having(state, name, **{"time": fleet.NOW, **more}) for name in names})


def cve(master, *args, **kwargs):
    return master.run("cve", *(args or (CVE,)), **kwargs)


def totals(answer):
    (item,) = answer["cves"]
    return {key: number for key, number in item["totals"].items() if number}


def test_the_mine_answers_and_nobody_is_asked(hosts):
    answer = cve(hosts)
    assert (answer["retcode"], answer["version"], answer["hosts"], totals(answer)) == (0, 1, 4, {"fixed_live": 4})
    assert hosts.jobs == [] and hosts.mines == [(["web0", "web1", "web2", "web3"], HOST, "list")]
    assert answer["text"].startswith(f"{CVE} (critical): 4 hosts\n  fixed live    4 hosts")


def test_the_exit_code_says_whether_something_is_to_do_or_not_known(hosts):
    put(hosts, "unknown", "web3")
    assert cve(hosts)["retcode"] == 10
    put(hosts, "pending", "web2", live_patch__newest="6-150500.2.1")
    assert cve(hosts)["retcode"] == 2
    put(hosts, "fixed_live", "web2", "web3")
    assert cve(hosts)["retcode"] == 0
    assert cve(hosts, OTHER)["retcode"] == 10


def test_hosts_are_asked_only_where_somebody_wants_it(hosts):
    del hosts.there["web0"]
    put(hosts, "pending", "web1", time=fleet.NOW - DAY)
    answer = cve(hosts)
    assert (answer["retcode"], totals(answer)) == (10, {"fixed_live": 2, "unknown": 2})
    assert f"no document in the mine; ask for it: salt-run klp.cve {CVE} ask=missing: 1 host (web0)" in answer["text"]
    assert hosts.jobs == []
    assert totals(cve(hosts, ask="missing")) == {"fixed_live": 4}
    assert hosts.jobs == [("test.ping", ["web0", "web1"]), (HOST, ["web0", "web1"])]
    hosts.jobs.clear(), hosts.mines.clear()
    assert totals(cve(hosts, ask="all")) == {"fixed_live": 4}
    assert [len(part) for _, part in hosts.jobs] == [4, 4] and hosts.mines == []


def test_what_a_host_answers_now_goes_over_what_it_said_before(hosts):
    hosts.asked = {name: having("pending", name, time=fleet.NOW) for name in hosts.there}
    assert (totals(cve(hosts)), totals(cve(hosts, ask="all"))) == ({"fixed_live": 4}, {"live_patch": 4})


def test_whoever_was_asked_and_said_nothing_is_unknown(hosts):
    del hosts.asked["web0"], hosts.there["web0"], hosts.asked["web1"]
    put(hosts, "fixed_live", "web1", time=fleet.NOW - DAY)
    hosts.asked["web2"] = "'klp_audit.host' is not available."
    hosts.there["web2"] = {"schema": "nonsense"}
    answer = cve(hosts, ask="missing")
    said = {line["why"]: line["hosts"] for row in answer["cves"][0]["groups"] for line in row["unknown"]}
    assert said == {
        "no answer; is its minion running?": ["web0"],
        "its document is older than 24 hours, and it gave no newer one": ["web1"],
        "salt-klp is not on this minion yet, run: salt 'web2' saltutil.sync_all": ["web2"],
    }
    assert answer["retcode"] == 10


def test_nonsense_in_the_mine_is_named(hosts):
    hosts.there["web0"] = {**hosts.there["web0"], "time": "soon"}
    hosts.there["web1"] = hosts.there["web2"]
    text = cve(hosts)["text"]
    assert "time: wanted a whole number from 0" in text and "its document is of another host: web2" in text


def test_the_files_of_the_mine_are_read_where_they_can_be(hosts, monkeypatch):
    quick = having("pending", "web0", time=fleet.NOW)
    odd = having("pending", "web1", time=fleet.NOW)
    odd["cves"]["severity"] = mined.Severities(mined._text(CVE) + b"\xa3bad")
    monkeypatch.setattr(mined.Reader, "document", lambda reader, host: {"web0": quick, "web1": odd}.get(host))
    assert totals(cve(hosts)) == {"fixed_live": 3, "live_patch": 1}
    assert hosts.mines == [(["web1", "web2", "web3"], HOST, "list")]


def test_a_mine_that_cannot_be_read_is_named(hosts, monkeypatch):
    def broken(*args):
        raise SaltDeserializationError("bad")

    monkeypatch.setattr(hosts, "mine", broken)
    monkeypatch.setattr(survey, "BROKEN", 3)
    assert "the mine cannot be read (bad)" in hosts.refused("cve", CVE)
    assert totals(cve(hosts, ask="all")) == {"fixed_live": 4}


@pytest.mark.parametrize("value", ["31431", "CVE-2026-314; reboot", "", None, ["CVE-2026-31431", 7]])
def test_what_is_no_cve_is_refused_in_one_sentence(hosts, value):
    sentence = hosts.refused("cve", value)
    assert sentence.startswith(
        "cve: wanted a CVE such as CVE-2026-31431, or up to 20 of them with commas between, found"
    )
    assert "\n" not in sentence and hosts.mines == []


def test_other_wrong_arguments_are_refused(hosts):
    assert "klp_report:ask" in hosts.refused("cve", CVE, ask="some")
    assert "klp_report:shares: unknown key" in hosts.refused("cve", CVE, pillar={"klp_report": {"shares": 1}})


def test_several_cves_are_asked_at_once(hosts):
    answer = cve(hosts, f"{OTHER.lower()},{CVE}")
    assert [item["cve"] for item in answer["cves"]] == [CVE, OTHER]
    assert [item["totals"]["fixed_live"] for item in answer["cves"]] == [4, 0]
    assert answer["retcode"] == 10


# -- what documents leave open -----------------------------------------------------------------------------------


def told(hosts, function, answers):
    """Let hosts answer a function besides that of their document."""
    usual = hosts.fleet.ask

    def ask(part, fun, arg, timeout):
        if fun != function:
            return usual(part, fun, arg, timeout)
        hosts.jobs.append((fun, sorted(part), arg))
        return {host: answers[host] for host in part if host in answers}

    hosts.fleet.ask = ask


def test_what_is_fixed_in_the_running_kernel_is_asked_of_three_hosts_of_each_kernel(hosts):
    hosts.asked = {name: having(None, name, time=fleet.NOW) for name in hosts.there}
    hosts.there = hosts.asked
    assert totals(cve(hosts)) == {"unknown": 4}
    told(hosts, "klp_audit.cves", {"web0": "ERROR: zypper", "web1": {"cves": {CVE: {"state": "fixed_kernel"}}}})
    answer = cve(hosts, ask="missing")
    assert (totals(answer), answer["retcode"]) == ({"fixed_kernel": 4}, 0)
    assert hosts.jobs == [
        ("test.ping", ["web0", "web1", "web2"]),
        ("klp_audit.cves", ["web0", "web1", "web2"], [[CVE]]),
    ]
    assert "fixed kernel  4 hosts: the running kernel has the fix" in answer["text"]


def test_a_host_whose_advisories_do_not_name_it_stays_unknown(hosts):
    hosts.there = hosts.asked = {name: having(None, name, time=fleet.NOW) for name in hosts.there}
    told(hosts, "klp_audit.cves", {"web0": {"cves": {}}, "web1": {"cves": {CVE: {"state": "reboot"}}}})
    assert totals(cve(hosts, ask="missing")) == {"unknown": 4}


TWO = {"cves__reboot": [CVE, OTHER], "cves__severity": {CVE: "critical", OTHER: "critical"}}


def kernels(*closed):
    return [kernel(100, cves=dict.fromkeys(closed, "critical")), kernel(99)]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"web0": kernels(CVE), "web1": kernels(CVE, OTHER)}, True),
        ({"web0": kernels(OTHER)}, False),
        ({"web0": kernels(OTHER), "web2": kernels(CVE)}, None),
        ({"web0": [kernel(99, cves={CVE: "critical"})]}, None),
        ({"web0": "ERROR: zypper"}, None),
        ({}, None),
    ],
)
def test_which_cves_the_next_kernel_closes_is_asked_where_the_document_does_not_say_it(hosts, answers, said):
    more = {**TWO, "kernel_target": TARGET, "time": fleet.NOW}
    hosts.there = hosts.asked = {name: having(None, name, **more) for name in hosts.there}
    (line,) = cve(hosts)["cves"][0]["groups"][0]["restart"]
    assert line["closes"] is None and hosts.jobs == []
    told(hosts, "klp_audit.kernels", answers)
    answer = cve(hosts, ask="missing")
    (line,) = answer["cves"][0]["groups"][0]["restart"]
    assert (line["closes"], len(line["hosts"])) == (said, 4)
    assert hosts.jobs[-1] == ("klp_audit.kernels", ["web0", "web1", "web2"], [])
    assert answer["cves"][0]["commands"]["restart"] == (f"salt-run klp.plan kernel cve={CVE}" if said else None)


# -- the plan ----------------------------------------------------------------------------------------------------


@pytest.fixture
def plans(hosts, monkeypatch):
    """The same master, whose hosts answer what a plan asks."""
    monkeypatch.setattr(hosts.fleet, "ask", hosts.previewed)
    put(hosts, "pending", "web1", "web2", live_patch__newest="6-150500.2.1")
    put(hosts, "reboot", "web3", kernel_target=TARGET)
    return hosts


def typed(master, command):
    """Call a command of the answer as ``salt-run`` does, with Salt's own reading of the words."""
    program, function, *words = shlex.split(command)
    assert (program, function) == ("salt-run", "klp.plan")
    read = salt.utils.args.parse_input(words)
    args, kwargs = salt.minion.load_args_and_kwargs(master.runner.plan, read, {"user": "anna"})
    return master.run("plan", *args, **kwargs)


def taken(answer):
    return sorted({*answer["plan"]["hosts"], *answer["plan"]["left_out"]})


def test_each_command_of_the_answer_plans_just_those_hosts(plans):
    commands = cve(plans)["cves"][0]["commands"]
    answer = typed(plans, commands["live_patch"])
    assert (taken(answer), answer["plan"]["kind"]) == (["web1", "web2"], "patch")
    assert answer["cve"] == {
        "cves": [CVE],
        "concerned": 2,
        "hosts": ["web1", "web2"],
        "elsewhere": [],
        "unknown": {},
    }
    assert answer["text"].startswith(f"{CVE}: a newer live patch closes it on 2 hosts, 2 of them in this campaign\n")
    answer = typed(plans, commands["restart"])
    assert (taken(answer), answer["plan"]["kind"]) == (["web3"], "kernel")
    assert answer["text"].startswith(f"{CVE}: the next kernel closes it on 1 host, 1 of them in this campaign\n")


def test_whoever_is_not_known_or_elsewhere_is_named_and_not_planned(plans):
    put(plans, "unknown", "web2")
    plans.pillar["klp_report"] = {"target": "web0"}
    plans.there = {"web0": having("pending", "web0", time=fleet.NOW)}
    answer = plans.run("plan", cve=CVE, pillar={"klp_report": {"target": "*"}})
    assert answer["cve"]["hosts"] == ["web0"] and set(answer["cve"]["unknown"]) == {"web1", "web2", "web3"}
    assert (
        f"not known, so not in the plan (no document in the mine; ask for it: salt-run klp.cve {CVE}" in answer["text"]
    )
    answer = plans.run("plan", cve=CVE)
    assert answer["cve"]["unknown"] == dict.fromkeys(("web1", "web2", "web3"), emergency_ask.NOT_THERE)
    plans.pillar["klp_report"] = {}
    put(plans, "pending", "web1", "web3")
    answer = plans.run("plan", cve=CVE, pillar={"klp_campaign": {"target": "web0"}})
    assert taken(answer) == ["web0"] and "not in pillar klp_campaign:target: web1, web3" in answer["text"]


def test_a_plan_of_nobody_is_none(plans):
    put(plans, "fixed_live", *plans.there)
    answer = plans.run("plan", cve=CVE)
    assert (answer["plan"], answer["retcode"], answer["cve"]["concerned"]) == (None, 0, 0)
    put(plans, "unknown", "web3")
    assert plans.run("plan", cve=CVE)["retcode"] == 2
    assert plans.run("status")["campaigns"] == []


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("rollback", {}, emergency_ask.KIND.format("'rollback'")),
        ("kernel", {"week": "2026-W50"}, emergency_ask.BOTH),
        ("patch", {"cve": "x"}, emergency.WANTED.format(20, "'x'")),
    ],
)
def test_a_wrong_plan_is_refused(plans, kind, more, said):
    assert plans.refused("plan", kind, **{"cve": CVE, **more}) == said
