"""
What goes wrong in a fleet: a canary that cannot be backed up, hosts that are away and
come back late, hosts that answer nonsense, people who pause, abort, and begin a second campaign on the same hosts.
"""

import contextlib
import json
import signal
import subprocess
import time

import pytest
import salt.utils.user

from tests.functional.conftest import FIRST, LP, THIRD, VERIFY, VERIFY_SCRIPT
from tests.integration.crew import CAMPAIGN, HOSTS, Crew
from tests.lab.host import wait_until

LIMITS = {**CAMPAIGN["limits"], "failed": 2, "unreachable": 1}
PATIENT = {**CAMPAIGN, "limits": LIMITS, "presence": {"timeout": 8, "late": 180}}
TWO = [{"name": "canary", "hosts": ["web1"]}, {"name": "rest"}]
# Modules of two minions that do not tell the truth; they are put in after the plan, which sends the right ones.
SAYS_IT_IS_ANOTHER = """
def state_summary(*args, **kwargs):
    return {"version": 1, "host": "web1", "run": None}
"""
ANSWERS_NONSENSE = """
def apply_(*args, **kwargs):
    return {"x": "y" * 3000000}

__func_alias__ = {"apply_": "apply"}
"""


@pytest.fixture(scope="module")
def crew(master, lab, pillar, salt_factories):
    """The fleet."""
    found = Crew(master, lab, pillar, salt_factories.root_dir)
    with found.mustered():
        yield found


def module_of(crew, name, file, text):
    """Replace a synced module of a minion; a job of a classic minion loads its modules anew."""
    folder = crew.minions[name].config["extension_modules"]
    crew.hosts[name].write(f"{folder}/modules/{file}", text)


def canary(crew, made):
    """Return how the first wave of a campaign stands."""
    return crew.run("klp.status", made["id"])[1]["campaign"]["waves"][0]


@pytest.fixture(scope="module")
def stopped(crew):
    """A campaign whose canary cannot prove its backup."""
    crew.hosts["web1"].write(VERIFY, "#!/bin/sh\necho the volume is gone >&2\nexit 1\n", mode=0o755)
    made = crew.plan()
    code, found, _ = crew.run("klp.run", made["id"])
    crew.hosts["web1"].write(VERIFY, VERIFY_SCRIPT, mode=0o755)
    return made, code, found["campaign"]


def test_a_failing_canary_stops_everything_after_it(crew, stopped):
    made, code, campaign = stopped
    assert (code, campaign["why"]) == (3, "wave canary: 1 of 1 host failed, limit 0")
    assert campaign["verified"] == 0
    assert crew.editions(LP) == dict.fromkeys(HOSTS, [FIRST])
    assert {name for name, runs in crew.backups().items() if runs} == {"web1"}
    _, found, _ = crew.run("klp.report", made["id"])
    assert "the volume is gone" in found["report"]["hosts"]["web1"]["why"]


def test_a_live_patch_that_never_came_to_the_canary_is_not_in_quarantine(crew, stopped):
    """Its run says that nothing was changed: there is nothing to suspect."""
    _, found, _ = crew.run("klp.quarantined")
    assert found["quarantine"] == []


@pytest.fixture(scope="module")
def paused(crew, stopped):
    """A campaign that is paused while its canary runs, before the trouble of the others begins."""
    made = crew.plan(**{**PATIENT, "waves": TWO})
    module_of(crew, "web5", "klp_audit.py", SAYS_IT_IS_ANOTHER)
    module_of(crew, "web6", "state.py", ANSWERS_NONSENSE)
    crew.minions["web3"].terminate()
    driver = crew.start("klp.run", made["id"])
    wait_until(lambda: canary(crew, made)["running"], 120, "the canary to run")
    wished = crew.run("klp.pause", made["id"])
    driver.communicate(timeout=240)
    return made, driver.returncode, wished[0]


def test_a_paused_campaign_finishes_what_runs_and_starts_nothing(crew, paused):
    made, code, wished = paused
    assert (code, wished) == (5, 0)
    assert crew.hosts["web1"].editions(LP) == [THIRD]
    assert {name for name, runs in crew.backups().items() if made["id"] in runs} == {"web1"}
    assert crew.run("klp.status", made["id"])[0] == 5


def test_a_second_campaign_on_its_hosts_is_refused(crew, paused):
    made, _, _ = paused
    other = crew.plan(target="web2,web4", target_type="list", presence={"timeout": 8}, sync=False)
    assert other["hosts"] == {}
    assert other["left_out"]["web2"] == ["refused", f"it is in campaign {made['id']}, which is not over"]


def test_the_scheduler_does_not_go_on_with_what_a_person_paused(crew, paused):
    made, _, _ = paused
    code, found, _ = crew.run("klp.resume")
    assert (code, found["campaigns"]) == (0, [])
    assert crew.run("klp.status", made["id"])[0] == 5


@pytest.fixture(scope="module")
def resumed(crew, paused):
    """The campaign goes on; web3 comes back when its wave has passed without it."""
    made, _, _ = paused
    driver = crew.start("klp.resume", made["id"])

    def late():
        return crew.run("klp.status", made["id"])[1]["campaign"]["waves"][-1]["name"] == "late"

    wait_until(late, 240, "the wave of those that are late")
    crew.minions["web3"].start()
    _, told = driver.communicate(timeout=240)
    return made, driver.returncode, crew.run("klp.report", made["id"])[1]["report"], told


def test_hosts_that_come_back_late_are_patched_late(resumed):
    _, _, report, _ = resumed
    assert (report["hosts"]["web3"]["stage"], report["hosts"]["web3"]["wave"]) == ("verified", "late")


def test_hosts_that_answer_nonsense_fail_alone(crew, resumed):
    _, code, report, told = resumed
    assert code == 2
    assert {name: item["stage"] for name, item in report["hosts"].items()} == {
        **dict.fromkeys(("web1", "web2", "web3", "web4"), "verified"),
        "web5": "refused",
        "web6": "failed",
    }
    assert report["hosts"]["web5"]["why"] == "its answer is of another host: web1"
    # Salt itself cuts a value off that is too large for an event; what is left is no answer either.
    why = "its answer is not understood: x: wanted a mapping of certain keys, found VALUE_TRIMMED"
    assert report["hosts"]["web6"]["why"] == why
    assert len(told) < 20000
    assert {name: found for name, (found,) in crew.editions(LP).items()} == {
        **dict.fromkeys(HOSTS, THIRD),
        **dict.fromkeys(("web5", "web6"), FIRST),
    }


@pytest.fixture(scope="module")
def waiting(crew, resumed):
    """A campaign that runs and waits for its maintenance window, and the process that drives it."""
    made = crew.plan(waves=[{"name": "all"}], windows={"open": [never()]})
    return made, drive(crew, "klp.run", made)


def drive(crew, command, made):
    """Drive a campaign until it runs."""
    driver = crew.start(command, made["id"])
    wait_until(lambda: crew.run("klp.status", made["id"])[0] == 6, 120, "the campaign to wait for its window")
    return driver


def test_a_damaged_journal_beside_a_running_campaign_stops_its_own_only(crew, stopped, waiting):
    """As a broken disk leaves it: half of the journal, and nothing that says that it is over."""
    ill, made = stopped[0]["id"], waiting[0]["id"]
    folder = crew.folder() / "campaigns" / ill
    data = (folder / "journal").read_bytes()
    (folder / "journal").write_bytes(data[: len(data) // 2] + b"\n")
    (folder / "summary.json").unlink()
    code, found, _ = crew.run("klp.status")
    assert (code, list(found["damaged"])) == (0, [ill])
    assert "journal: line " in found["damaged"][ill] and "its hosts stay taken" in found["damaged"][ill]
    assert {row["id"]: row["state"] for row in found["campaigns"]}[made] == "begun"
    code, found, _ = crew.run("klp.resume")
    assert (code, found["campaigns"], list(found["damaged"])) == (1, [], [ill]), "the other one is driven"
    assert waiting[1].poll() is None, "and its process goes on"
    code, found, _ = crew.run("klp.set_aside", ill)
    assert (code, found["hosts"]) == (0, sorted(HOSTS))
    assert not folder.exists() and found["text"].startswith(f"campaign {ill} is in {folder.parent / 'aside' / ill}-")
    assert crew.run("klp.status")[1]["damaged"] == {}


def interrupted(driver):
    """Press Ctrl-C, as a person does again where nothing happens."""
    for _ in range(3):
        driver.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return driver.communicate(timeout=30)
    raise AssertionError("it does not end")


def test_ctrl_c_is_a_sentence_and_the_campaign_goes_on(crew, waiting):
    made, driver = waiting
    said, told = interrupted(driver)
    assert driver.returncode == 9, (said, told)
    text = json.loads(said)["text"]
    assert text.startswith("stopped by a signal: ") and text.endswith(f"go on with: salt-run klp.resume {made['id']}")
    assert "Traceback" not in said + told
    code, found, _ = crew.run("klp.resume", f"id={made['id']}")
    assert (code, found["error"]) == (1, "klp.resume does not know the argument id; it takes: campaign, wait")


def test_an_aborted_campaign_starts_nothing_and_is_over(crew, waiting):
    made, _ = waiting
    driver = drive(crew, "klp.resume", made)
    assert crew.run("klp.abort", made["id"])[0] == 0
    driver.communicate(timeout=120)
    assert driver.returncode == 4
    assert crew.hosts["web5"].editions(LP) == [FIRST]
    assert made["id"] not in json.dumps(crew.backups())
    code, found, _ = crew.run("klp.abort", made["id"])
    assert (code, found["error"]) == (1, f"campaign {made['id']} is over (aborted)")
    persons = crew.run("klp.report", made["id"])[1]["report"]["persons"]
    assert [item["what"] for item in persons] == ["plan", "begin", "resume", "abort"]
    assert {item["by"] for item in persons} == {salt.utils.user.get_specific_user()}


def never():
    """Return a window of one minute that is half a day away."""
    hour = (time.gmtime().tm_hour + 12) % 24
    return {"from": f"{hour:02}:00", "to": f"{hour:02}:01"}
