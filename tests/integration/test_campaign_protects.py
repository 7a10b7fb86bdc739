"""
Campaigns of a real master over six real minions that see harm in time: an application that is ill before or falls ill
after the live patch; two nodes of a cluster; hooks around each host, also around those that are killed between them.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.functional.conftest import FIRST, LP, THIRD, VERIFY
from tests.functional.gate import STOP, close_gate, open_gate, stop_in, wait_at_gate
from tests.integration.crew import CAMPAIGN, HOSTS, Crew
from tests.integration.killing import kill_minion

RUNS = "/var/lib/salt-klp/runs.json"
SHOP = "/usr/local/bin/shop"
TOKEN = "TOKEN-nobody-may-see-this-51c0"
ONE_WAVE = {**CAMPAIGN, "waves": [{"name": "all"}], "batch": 2, "soak": {"minutes": [0]}, "on_failure": "rollback"}
# A shop that stops to answer a moment after its host has got the newest live patch: not at once, so that the run is
# verified and only a look finds it. What a check of an administrator must not do, this one does: it leaves a file.
FALLS_ILL = f"""\
#!/bin/sh
[ "$1" = {TOKEN} ] || exit 9
rpm -q {LP}-{THIRD} || {{ rm -f /run/shop-hit; exit 0; }}
[ -e /run/shop-hit ] || {{ touch /run/shop-hit; exit 0; }}
echo "no answer from the shop"
exit 7
"""
IS_ILL = "#!/bin/sh\necho no database >&2\nexit 3\n"


@pytest.fixture(scope="module")
def crew(master, lab, pillar, salt_factories):
    """The fleet, live patched at level 1 and locked, all updates pending; the master has the runner klp."""
    found = Crew(master, lab, pillar, salt_factories.root_dir)
    with found.mustered():
        yield found


# -- health of the application -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ill(crew):
    """A campaign over hosts of which web2 falls ill by the live patch, and web6 is ill before."""
    for name, script in (("web2", FALLS_ILL), ("web6", IS_ILL)):
        crew.hosts[name].write(SHOP, script, mode=0o755)
        crew.declare(name, health={"commands": [{"run": [SHOP, TOKEN], "timeout": 5}], "wait": 1})
    made = crew.plan(**ONE_WAVE)
    code, found, told = crew.run("klp.run", made["id"])
    report = crew.run("klp.report", made["id"])[1]["report"]
    return made, code, found["campaign"], report, told


def test_a_host_that_is_ill_before_is_left_out(crew, ill):
    made, _, _, _, _ = ill
    assert [wave["hosts"] for wave in made["waves"]] == [["web1", "web2", "web3", "web4", "web5"]]
    kind, why = made["left_out"]["web6"]
    assert (kind, why.partition(";")[0]) == ("refused", "not healthy before: command shop: exit 3: no database")
    assert crew.hosts["web6"].editions(LP) == [FIRST]


def test_an_application_that_falls_ill_stops_the_wave_and_takes_it_back(crew, ill):
    _, code, campaign, report, told = ill
    assert (code, campaign["why"]) == (3, "wave all: 1 of 5 hosts failed, limit 0")
    web2 = report["hosts"]["web2"]
    assert (web2["stage"], web2["why"]) == (
        "failed",
        "after its run: command shop: exit 7: " + f"{LP}-{THIRD}.x86_64 no answer from the shop",
    )
    assert report["hosts"]["web5"]["stage"] == "waiting"  # its turn had not come
    assert {item["back"] for item in report["hosts"].values()} == {None, "back"} and web2["back"] == "back"
    assert crew.editions(LP) == dict.fromkeys(HOSTS, [FIRST])
    assert "no answer from the shop" in told and TOKEN not in told + str(report)


@pytest.fixture(scope="module")
def released(crew, ill):
    """The live patch that web2 fell ill by may be installed again."""
    assert crew.run("klp.release", LP, THIRD)[0] == 0


# -- hosts that are kept apart ---------------------------------------------------------------------------------------


def test_two_nodes_of_a_cluster_are_never_changed_at_once(crew, released):
    """As their own records say. The two that the campaign before this one has not touched are the nodes."""
    nodes = ["web5", "web6"]
    crew.hosts["web6"].write(SHOP, "#!/bin/sh\n", mode=0o755)
    cli = crew.master.salt_cli(timeout=60)
    assert cli.run("-L", "grains.set", "cluster", "billing", minion_tgt=",".join(nodes)).returncode == 0
    made = crew.plan(
        **{**ONE_WAVE, "target": ",".join(nodes), "target_type": "list", "apart": "cluster", "sync": False}
    )
    assert [made["hosts"][name]["apart"] for name in nodes] == [["billing"]] * 2 and made["waves"][0]["batch"] == 2
    code, _, told = crew.run("klp.run", made["id"])
    assert code == 0, told
    (first,), (second,) = (json.loads(crew.hosts[name].read(RUNS))[-1:] for name in nodes)
    assert first["run"] == second["run"] == made["id"]
    assert first["opened"] < first["finished"] <= second["opened"] < second["finished"]
    looked = told.index("wave all, a look at web5: all is well")
    assert looked < told.index("wave all: started web6"), "it was found well before the other one had its turn"


# -- hooks -----------------------------------------------------------------------------------------------------------

AROUND = HOSTS[:4]  # those that went back
HOOK, LOG = "/usr/local/bin/hook", "/var/lib/hooks"
HOOKS = {"before": "site.drain", "after": "site.undrain"}
# Where the minion of a host is killed -> what its hooks tell in the end: the program that was killed tells nothing.
KILLED = {
    "web1": ("drained", ["drained", "undrained"]),
    "web2": (VERIFY, ["drained", "drained", "undrained"]),
    "web3": ("undrained", ["drained", "undrained"]),
}


def stop_hook(word):
    """Return the program of the hooks, which stops at the gate before it tells this word."""
    gate = f'[ "$1" != {word} ] || {STOP.strip()}' if word else "true"
    return f"#!/bin/sh\n{gate}\necho $1 >>{LOG}\n"


def due(host):
    """Return what a host has written down of the hook that is due."""
    return json.loads(host.read("/var/lib/salt-klp/hooks.json"))


@pytest.fixture(scope="module")
def around(crew, released):
    """A campaign over hosts with hooks, three of which lose their minions in mid-run, each in another phase."""
    for word, sls in (("drained", HOOKS["before"]), ("undrained", HOOKS["after"])):
        path = crew.pillar.files / f"{sls.replace('.', '/')}.sls"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{word}:\n  cmd.run:\n    - name: {HOOK} {word}\n")
    assert crew.run("fileserver.clear_file_list_cache")[0] == 0
    for name in AROUND:
        host = crew.hosts[name]
        where = KILLED.get(name, [None])[0]
        host.write(HOOK, stop_hook(where if where != VERIFY else None), mode=0o755)
        if where:
            close_gate(host)
    crew.declare(*AROUND, hooks=HOOKS)
    stop_in(crew.hosts["web2"], VERIFY)
    cli, targets = crew.master.salt_cli(timeout=120), ",".join(AROUND)
    assert cli.run("-L", "klp.unhold", minion_tgt=targets).returncode == 0

    settings = {"batch": 4, "soak": {"minutes": []}, "target": targets, "target_type": "list", "sync": False}
    made = crew.plan(**{**ONE_WAVE, **settings})
    run = crew.start("klp.run", made["id"])
    for name in KILLED:
        wait_at_gate(crew.hosts[name])
    stages = {name: due(crew.hosts[name])["stage"] for name in KILLED}
    for name in KILLED:
        assert kill_minion(crew.minions[name]) > 1
        crew.minions[name].terminate()
        os.close(open_gate(crew.hosts[name]))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: crew.minions[name].start(), KILLED))
    out, told = run.communicate(timeout=300)
    assert run.returncode == 0, (out, told)
    return made, stages


def test_the_plan_shows_the_hooks(crew, around):
    made, _ = around
    assert made["hooks"] == [
        {"before": ["site.drain"], "after": ["site.undrain"], "on_failure": [], "hosts": list(AROUND)}
    ]


def test_each_host_is_drained_and_undrained_also_after_a_kill(crew, around):
    _, stages = around
    assert stages == {"web1": "before", "web2": "changing", "web3": "after"}
    told = {name: crew.hosts[name].read(LOG).split() for name in AROUND}
    assert told == {name: KILLED.get(name, (None, ["drained", "undrained"]))[1] for name in AROUND}
    assert {name: crew.hosts[name].editions(LP) for name in AROUND} == dict.fromkeys(AROUND, [THIRD])
    assert {name: due(crew.hosts[name]) for name in AROUND} == dict.fromkeys(AROUND, {})
