"""One run, two power cuts: when its snapshot has just been made, and while it waits for the end of a transition."""

from tests.lab.vm.packages import BLOCKABLE

from .guest import PATIENCE
from .power import boots_again, cut_power_at, finishes

FOURTH = "4-150500.2.1"
WATCH = 'until [ -e /.snapshots/2/info.xml ]; do :; done; echo "lab: snapshot 2 is there" >/dev/kmsg'


def test_one_run_survives_two_power_cuts_with_one_snapshot(boot, step):
    guest = boot("enabled")
    guest.offer(BLOCKABLE)
    guest.machine.ask("systemd-run", "--quiet", "--unit=watch", "--property=Nice=10", "/bin/sh", "-c", WATCH)
    cut_power_at(guest, "snapshot 2 is there", step, stop_at="%pre of libzypp-17.31.20-150500.3.6.1")
    (opened,) = guest.runs()
    assert opened["finished"] is None
    assert "%pre of curl" not in guest.machine.console()

    guest.hold_transitions()
    begun = len(guest.machine.console())
    with step("state.apply klp.patch, until it waits for the transition"):
        guest.start_in_background("state.apply", "klp.patch")
        guest.machine.wait_for_console("lab: %posttrans of live patch 4", PATIENCE, begun)
        guest.wait_for_end_of("zypper", PATIENCE)
        assert guest.machine.ask("klp", "status") == "in_progress\n"
        guest.machine.power_cut()
    boots_again(guest, step)
    assert (guest.level(), guest.version()) == (FOURTH, "lp-4")
    finishes(guest, step, FOURTH)
    (run,) = guest.runs()
    assert run["run"] == opened["run"]
    assert guest.snapshots() == [(run["backup"], run["run"])]
