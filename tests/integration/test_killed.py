"""A minion that dies in the middle of a maintenance run, and the run that goes on after its restart."""

import json
from pathlib import Path

from tests.functional.conftest import KERNEL_EDITION, LP, THIRD, volumes
from tests.integration.killing import kill_minion
from tests.lab.host import held_namespace, processes, wait_until

RUNS = "/var/lib/salt-klp/runs.json"


def waits_for_transition(host):
    """Tell whether a transition runs and zypper, whose scriptlet began it, has ended."""
    if not any(patch["transition"] for patch in host.live_patches().values()):
        return False
    with held_namespace(host.pid) as namespace:
        return not any(b"zypper" in command_line(pid) for pid in processes(namespace))


def command_line(pid):
    """Return the command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_a_killed_run_goes_on_with_its_backup(master, mortal):
    cli, host = master.salt_cli(timeout=180), mortal.host
    assert cli.run("saltutil.sync_all", minion_tgt="mortal").returncode == 0
    assert cli.run("state.apply", "klp", minion_tgt="mortal").returncode == 0
    blocker = host.popen(["/usr/sbin/blkmapd"])
    host.faults(blockers=[blocker.pid], release_on_exit=True)

    assert cli.run("--async", "state.apply", "klp.patch", minion_tgt="mortal").returncode == 0
    wait_until(lambda: waits_for_transition(host), 120, "the run to wait for the end of the transition")
    assert kill_minion(mortal) > 1
    mortal.terminate()
    (open_run,) = json.loads(host.read(RUNS))
    assert (open_run["backup"], open_run["finished"]) == ("vol-1", None)

    blocker.terminate()
    blocker.wait(timeout=30)
    mortal.start()
    answer = cli.run("state.apply", "klp.patch", minion_tgt="mortal")
    assert {state["__id__"]: state["comment"] for state in answer.data.values() if not state["result"]} == {}
    assert answer.returncode == 0
    (run,) = json.loads(host.read(RUNS))
    assert run == {**open_run, "finished": run["finished"], "judged": True}
    assert run["finished"]
    assert volumes(host) == [("vol-1", open_run["run"], "1")]
    assert host.editions(LP) == [THIRD]
    assert host.editions("kernel-default") == [KERNEL_EDITION]
    assert cli.run("klp.verify", minion_tgt="mortal").data["verdict"] == "ok"
