"""
Campaigns of a real master over six real minions in lab hosts with a real zypper: one whose second wave fails and goes
back, one that keeps what is in quarantine away, and orchestrations after the release.
"""

import json

import pytest

from tests.functional.conftest import FIRST, LP, SECOND, THIRD, VERIFY
from tests.integration.crew import CAMPAIGN, HOSTS, SECRET, Crew

OOPS = "BUG: unable to handle page fault for address: ffffffffc0000000"
# Proves the backup, and brings an error of the kernel into the log of its host: what a bad live patch does later.
PROVES_AND_OOPSES = f"#!/bin/sh\necho '4,900,5000,-;{OOPS}' >>/dev/kmsg\n"
SOAK = {"minutes": [0]}
FLEET = {**CAMPAIGN, "soak": SOAK, "on_failure": "rollback"}


@pytest.fixture(scope="module")
def crew(master, lab, pillar, salt_factories):
    """The fleet, live patched at level 1 and locked, all updates pending; the master has the runner klp."""
    found = Crew(master, lab, pillar, salt_factories.root_dir)
    with found.mustered():
        yield found


WRONG = {
    "an unknown key": (["klp.plan", 'pillar={"klp_campaign": {"wavs": []}}'], "wavs: unknown key; did you mean waves?"),
    "a wrong type": (["klp.plan", 'pillar={"klp_campaign": {"batch": 0}}'], "klp_campaign:batch: wanted a number of"),
    "no such target": (["klp.plan", "pillar={klp_campaign: {target: db*, target_type: glob}}"], "no accepted minion"),
    "no such plan": (["klp.run", "0123456789ab"], "there is no plan 0123456789ab; make one with: salt-run klp.plan"),
    "a path": (["klp.status", "../../../etc"], "is no id of a plan or campaign"),
    "an unknown kind": (["klp.plan", "kind=upgrade"], "kind: wanted patch, rollback or kernel, found 'upgrade'"),
    "nothing to release": (["klp.release", "kernel-livepatch-x", "3-1"], "is not in quarantine; there is: nothing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_refused_in_one_sentence(crew, case):
    args, sentence = WRONG[case]
    code, found, _ = crew.run(*args)
    assert (code, found["retcode"]) == (1, 1)
    assert sentence in found["error"]
    assert "\n" not in found["error"]


@pytest.fixture(scope="module")
def failed(crew, event_listener):
    """A campaign whose second wave fails: while it is patched, web2 gets an error of its kernel."""
    crew.hosts["web2"].write(VERIFY, PROVES_AND_OOPSES, mode=0o755)
    made = crew.plan(**FLEET)
    code, found, told = crew.run("klp.run", made["id"])
    return made, code, found["campaign"], told


def test_every_step_is_told_on_the_event_bus(crew, failed, event_listener):
    made, _, _, _ = failed
    journal = crew.run("klp.report", made["id"])[1]["report"]["history"]
    wanted = {(crew.master.id, f"salt-klp/{made['id']}/{item['what']}") for item in journal}
    found = event_listener.wait_for_events(wanted, timeout=60, after_time=float(made["created"]))
    assert found.missed == set()
    assert {"begin", "start", "ended", "checked", "gate", "quarantine", "back", "end"} <= {
        tag.rsplit("/", 1)[1] for _, tag in wanted
    }


def test_no_secret_is_in_what_a_campaign_writes_and_nobody_else_reads_it(crew, failed):
    made, _, _, told = failed
    files = [path for path in crew.folder().rglob("*") if path.is_file()]
    folders = [path for path in crew.folder().rglob("*") if path.is_dir()]
    assert crew.folder() / "campaigns" / made["id"] / "journal" in files
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in [crew.folder(), *folders]} == {0o700}
    assert SECRET not in told + json.dumps(crew.run("klp.report", made["id"])[1])


def test_the_plan_shows_what_each_host_would_get(failed):
    made, _, _, _ = failed
    assert [wave["hosts"] for wave in made["waves"]] == [["web1"], ["web2", "web3"], ["web4", "web5", "web6"]]
    (offer,) = made["offers"].values()
    assert offer["target"] == offer["changes"][LP] == THIRD
    assert set(offer["changes"]) == {LP, "curl", "libopenssl1_1", "libz1", "libzypp", "nfs-client"}
    assert made["left_out"] == {}
    assert made["id"] == "c" + made["hash"][:11]


def test_a_failing_wave_goes_back_and_stops_the_rest(crew, failed):
    made, code, campaign, told = failed
    assert code == 3
    assert campaign["why"] == "wave second: 1 of 2 hosts failed, limit 0"
    assert [(wave["name"], wave["verified"], wave["waiting"]) for wave in campaign["waves"]] == [
        ("canary", 1, 0),
        ("second", 1, 0),
        ("rest", 0, 3),
    ]
    assert OOPS in told
    # web3 went back; web2 has errors of its kernel, and then nobody goes back; nobody of the last wave was touched.
    assert crew.editions(LP) == {
        **dict.fromkeys(HOSTS, [FIRST]),
        "web1": [THIRD],
        "web2": [THIRD],
    }
    assert campaign["back"] == {"back": 1, "stays": 1, "back waiting": 0, "back running": 0}
    assert {host: runs for host, runs in crew.backups().items() if runs} == dict.fromkeys(
        ("web1", "web2", "web3"), [made["id"]]
    )


def test_the_report_names_every_host_and_why(crew, failed):
    made, _, _, _ = failed
    code, found, _ = crew.run("klp.report", made["id"])
    hosts = found["report"]["hosts"]
    assert code == 3
    assert {host: item["stage"] for host, item in hosts.items()} == {
        "web1": "verified",
        "web2": "failed",
        "web3": "verified",
        **dict.fromkeys(("web4", "web5", "web6"), "waiting"),
    }
    assert "the kernel has had errors since it was started" in hosts["web2"]["why"]
    assert (hosts["web3"]["back"], hosts["web2"]["back"]) == ("back", "stays")
    assert "web2" in found["text"]


def test_its_live_patch_is_in_quarantine(crew, failed):
    made, _, _, _ = failed
    _, found, _ = crew.run("klp.quarantined")
    assert [(item["package"], item["edition"], item["campaign"]) for item in found["quarantine"]] == [
        (LP, THIRD, made["id"])
    ]


@pytest.fixture(scope="module")
def second(crew, failed):
    """The next campaign over the same fleet."""
    made = crew.plan(**FLEET)
    code, found, _ = crew.run("klp.run", made["id"])
    return made, code, found["campaign"]


def test_the_quarantine_holds_in_the_next_campaign(crew, second):
    made, code, campaign = second
    assert code == 0
    assert [wave["hosts"] for wave in made["waves"]] == [["web4"], ["web5", "web6"], []]
    assert {kind for kind, _ in made["left_out"].values()} == {"nothing to do"}
    assert {item["target"] for item in made["hosts"].values()} == {FIRST}
    assert all("is in quarantine since campaign" in item["note"] for item in made["hosts"].values())
    assert campaign["verified"] == 3
    assert {name: crew.hosts[name].editions(LP) for name in ("web4", "web5", "web6")} == dict.fromkeys(
        ("web4", "web5", "web6"), [FIRST]
    )
    assert {name: crew.hosts[name].editions("curl") for name in HOSTS} == dict.fromkeys(
        HOSTS, crew.hosts["web1"].editions("curl")
    )


@pytest.fixture(scope="module")
def orchestrated(crew, second):
    """After the release: the orchestration, first under test=True."""
    code, _, _ = crew.run("klp.release", LP, THIRD)
    assert code == 0
    pillar = json.dumps({"klp_campaign": {**FLEET, "approve": False}})
    before = crew.editions(LP)
    predicted = crew.run("state.orchestrate", "klp.orch.patch", "test=True", f"pillar={pillar}")
    between = crew.editions(LP)
    done = crew.run("state.orchestrate", "klp.orch.patch", f"pillar={pillar}")
    return predicted, before == between, done


def campaign_state(document):
    """Return the state of the campaign in the answer of an orchestration."""
    (states,) = document["data"].values()
    return next(item for item in states.values() if item["__id__"] in ("klp-campaign", "klp-audit"))


def test_the_orchestration_predicts_and_then_does_it(crew, orchestrated):
    (code, document, _), unchanged, done = orchestrated
    predicted = campaign_state(document)
    assert (code, predicted["result"], unchanged) == (0, None, True)
    assert predicted["changes"] == {
        "canary": {"old": None, "new": "1 host"},
        "second": {"old": None, "new": "2 hosts"},
    }
    assert "To run what is shown here: salt-run klp.run" in predicted["comment"]
    code, document, _ = done
    state = campaign_state(document)
    assert (code, state["result"]) == (0, True)
    assert state["changes"]["second"] == {"old": "2 hosts", "new": "2 verified"}
    assert {name: found for name, (found,) in crew.editions(LP).items()} == {
        **dict.fromkeys(HOSTS, THIRD),
        "web3": FIRST,
    }


def test_an_orchestration_wants_a_plan_that_was_shown(crew, orchestrated):
    pillar = json.dumps({"klp_campaign": {**FLEET, "target": "web6"}})
    code, document, _ = crew.run("state.orchestrate", "klp.orch.rollback", f"pillar={pillar}")
    state = campaign_state(document)
    assert (code, state["result"]) == (1, False)
    assert "Nothing was started: pillar klp_campaign:approve wants the id of a plan." in state["comment"]


def test_the_audit_of_the_fleet_is_an_orchestration(crew, orchestrated):
    pillar = json.dumps({"klp_campaign": CAMPAIGN})
    code, document, _ = crew.run("state.orchestrate", "klp.orch.audit", f"pillar={pillar}")
    assert (code, campaign_state(document)["result"]) == (0, True)


def test_a_fleet_goes_back_by_an_orchestration(crew, orchestrated):
    asked = {**CAMPAIGN, "target": "web4,web5", "target_type": "list", "approve": False, "waves": [{"name": "all"}]}
    pillar = json.dumps({"klp_campaign": asked})
    code, document, _ = crew.run("state.orchestrate", "klp.orch.rollback", f"pillar={pillar}")
    assert (code, campaign_state(document)["result"]) == (0, True)
    found = crew.editions(LP)
    assert {name: found[name] for name in ("web4", "web5", "web6")} == {
        "web4": [SECOND],
        "web5": [SECOND],
        "web6": [THIRD],
    }
