"""Power cuts in the middle of a maintenance run; after the boot the same command brings the host where it belongs."""

import pytest

from tests.lab.vm.packages import BLOCKABLE

from .power import cut_power_at, finishes

FIRST, THIRD, FOURTH = "1-150500.9.3.1", "3-150500.2.1", "4-150500.2.1"


@pytest.fixture(scope="module")
def guest(boot):
    """A host with live patch 1 and all updates pending."""
    return boot("enabled")


def test_power_cut_during_the_updates(guest, step):
    cut_power_at(guest, "%pre of libopenssl1_1-1.1.1l-150500.17.6.1", step)
    # The live patch comes with the updates, before or after this one; its initrd is written at the end of all.
    assert guest.level() in (FIRST, THIRD) and guest.version() == ""
    finishes(guest, step, THIRD)


def test_power_cut_while_the_live_patch_is_installed(guest, step):
    guest.offer(BLOCKABLE)
    guest.hold_transitions()
    cut_power_at(guest, "live patch 4 is loaded", step)
    assert "starting patching transition" in guest.machine.console()
    assert guest.version() == "lp-3"  # the initrd is written at the end of the transaction
    finishes(guest, step, FOURTH)
