"""
The one restart of this host that a campaign asks for, and the rollback to the old kernel.

A restart is written down before it is begun, and the campaign says which start of the host it is to end: a message that
comes twice, or late, restarts nothing.
"""

import klp_campaign
import klp_change
import klp_change_boot
import klp_change_plan
import klp_change_verify
import klp_restoring
import zypp_running

SLS = "klp.restart"
DELAY = 10  # seconds in which the job that restarts the host can answer
MINUTES = 1  # the same for system.reboot of Salt, which counts in minutes
WAIT_AND_START = 'sleep "$0"; exec "$@"'  # for sh, which gets the delay and the command as words
NOT_ASKED = (
    "nothing but a campaign of kind kernel with klp_campaign:reboot: true restarts a host, and none has asked for it: "
    "restart this host by hand, then run: salt {} state.apply {}"
)
AGAIN = "this host was started again since the campaign asked for a restart (boot id {}, asked was {}): not restarted"
NOTHING_WAITS = "no change of kernel waits for a restart on this host: it is not restarted"
WRONG = "GRUB would start kernel {}, wanted {}: not restarted; run: salt {} state.apply {}"
NO_CHANGE = "no change of kernel is recorded on this host: there is nothing to go back from"


def afterwards():
    """Return the SLS that has to be run after a restart."""
    return "klp.kernel_back" if klp_change.record().get("stage") == "back" else klp_change_plan.SLS


def refusal(host):
    """Return why this host is not restarted now, one sentence, or ``None``."""
    asked, now = host.settings["campaign"]["boot_id"].get(host.id), klp_restoring.boot_id()
    if not asked:
        return NOT_ASKED.format(host.id, afterwards())
    if asked != now:
        return AGAIN.format(now, asked)
    found = klp_change.record()
    if found.get("stage") not in klp_change.WAITING or klp_change.restarted(found):
        return NOTHING_WAITS
    late = klp_campaign.late(host)
    if late:
        return late
    wanted, coming = found["from" if found["stage"] == "back" else "to"], klp_change_boot.upcoming(host)["next"]
    if coming not in (None, wanted):
        return WRONG.format(coming, wanted, host.id, afterwards())
    busy = zypp_running.problem()
    return f"not restarted: {busy}" if busy else None


def restart(host):
    """Restart this host: it is written down first, and comes after this job has answered. Returns a sentence."""
    found = klp_change.record()
    klp_change.remember(found, "back" if found["stage"] == "back" else "restarting")
    argv = host.settings["kernel"]["reboot"]
    if not argv:
        host.salt["system.reboot"](at_time=MINUTES)
        return f"it is restarted in {MINUTES} minute by system.reboot"
    words = ["/bin/sh", "-c", WAIT_AND_START, str(DELAY), *argv]
    host.salt["cmd.run_bg"](words, python_shell=False, output_loglevel="quiet")
    return f"it is restarted in {DELAY} seconds by the command of pillar klp:kernel:reboot"


def way_back(host):
    """
    Return what the rollback is: ``(step, record)``.

    ``nothing`` (there is no change), ``arm`` (the new kernel runs: the old one has to be started), ``wait`` (for that
    start), ``settle`` (the old kernel runs), ``missed`` (it was to come up, and the new one did), ``done``.
    """
    found = klp_change.record()
    if not found:
        return "nothing", found
    if host.release != found["to"]:
        return ("done" if found["stage"] == "went_back" else "settle"), found
    if found["stage"] == "back":
        return ("missed" if klp_change.restarted(found) else "wait"), found
    return "arm", found


def arm(host, found):
    """Make the old kernel the default again, and let nothing else be started once before it."""
    klp_change_boot.make_default(host, found["from"])
    klp_change.remember(found, "back")


def settle(host, found, wait, test):
    """Close the rollback where the old kernel runs and is well: ``(good, lines)``; with ``test`` nothing is written."""
    if not test and klp_change_boot.look(host, host.release)["saved"]:
        klp_change_boot.make_default(host, host.release)
    ill, unknown = klp_change_verify.problems(host, found, wait)
    why = ill + unknown
    if test:
        return not why, why or [f"Would close the rollback to kernel {host.release}: it is healthy"]
    if why:
        return False, why
    klp_change.remember(found, "went_back", found["why"])
    return True, [f"This host went back to kernel {host.release}, which is the default"]
