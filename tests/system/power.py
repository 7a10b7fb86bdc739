"""What the tests of power cuts share: the cut at a moment of the run, the boot, and the run that goes on."""

from .guest import PATIENCE


def cut_power_at(guest, text, step, stop_at=None):
    """Start ``klp.patch``, cut the power when the console says ``text``, behind which it stops, and boot again."""
    machine = guest.machine
    begun = len(machine.console())
    machine.ask("sh", "-c", 'printf "%s\\n" "$1" >/run/stop-at', "sh", stop_at or text)
    with step(f"state.apply klp.patch, until: {text}"):
        guest.start_in_background("state.apply", "klp.patch")
        machine.wait_for_console(f"lab: {text}", PATIENCE, begun)
        machine.power_cut()
    boots_again(guest, step)


def boots_again(guest, step):
    """Switch a machine on again and wait for its minion."""
    with step("boot, until the minion answers"):
        guest.switched_on(guest.machine.start)


def finishes(guest, step, edition):
    """Apply ``klp.patch`` again: the run that was cut off ends, with its one backup, at the declared state."""
    (*done, cut_off) = guest.runs()
    assert all(run["finished"] for run in done)
    assert (cut_off["finished"], cut_off["backup"] is not None) == (None, True)
    with step("state.apply klp.patch, which finishes"):
        answer = guest.salt("state.apply", "klp.patch")
    assert answer.failed == {}
    assert answer.rc == 0
    (*_, run) = guest.runs()
    assert run == {**cut_off, "finished": run["finished"]} and run["finished"]
    assert [number for number, _ in guest.snapshots()] == [item["backup"] for item in guest.runs()]
    assert (guest.level(), guest.version()) == (edition, f"lp-{edition[0]}")
    assert guest.salt("klp.verify").data["verdict"] == "ok"
    pending = guest.salt("klp.pending").data
    assert (pending["packages"], pending["locks"], pending["unfinished"]) == ({}, [], {})
    assert guest.machine.run(["rpm", "--verifydb"]).returncode == 0
