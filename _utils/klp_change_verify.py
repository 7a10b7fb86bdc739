"""
After the restart of a change of kernel: is the new kernel well, or which one came up, and why?

The new kernel becomes the default only where all of it is well; until then every later start is one of the old kernel.
"""

import time

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_change
import klp_change_boot
import klp_change_install
import klp_change_plan
import klp_checks
import klp_health
import klp_verify

ERRORS = (CommandExecutionError, SaltInvocationError)
OTHERS = ("packages", "scriptlets")  # checks of klp.verify that say nothing of a kernel
PAUSE = 5  # seconds between two looks at services
TRIED = "kernel {} was started once and did not come up: this host came up with {} again"
UNTRIED = "kernel {} was never started: GRUB still had it as the next one, and this host came up with {}"
DIFFERENT = "this host came up with kernel {}, wanted {}"
UNDECIDED = "nothing is decided yet: ask again with: salt {} state.apply klp.kernel"
AGAIN = 'try it again with: salt {} state.apply klp.kernel pillar=\'{{"klp": {{"kernel": {{"retry": true}}}}}}\''


def verify(host, found, wait, test):
    """
    Look at what came up, and close the change or note why it failed.

    found
        the record of the change.
    wait
        seconds for which the application may need to become well.

    Returns ``(good (bool), lines)``; with ``test`` nothing is written. What is only not known decides nothing: stage
    and next start stay as they are, until the same command knows it.
    """
    if host.release != found["to"]:
        return _other(host, found, test)
    ill, unknown = problems(host, found, wait)
    why = ill + unknown
    if test:
        return not why, why or [f"Would make kernel {found['to']} the default: it is healthy"]
    if unknown and not ill:
        return False, [*unknown, UNDECIDED.format(host.id), *_next_start(host, found)]
    if why:
        if found["fallback"]:
            klp_change_boot.make_default(host, found["from"])
        klp_change.remember(found, "failed", why)
        return False, failed(host, klp_change.record())
    klp_change_boot.put_back(host, found["default"], found["to"]) if _saved(host, found) else None
    klp_change.remember(found, "verified")
    return True, [verified(found)]


def verified(found):
    """Return the sentence of a change that is closed."""
    return f"kernel {found['to']} with its live patch was verified and is the default; before it was {found['from']}"


def _saved(host, found):
    """Return whether GRUB takes its default from us (bool); without a fallback it need not."""
    return found["fallback"] or klp_change_boot.look(host, found["to"])["saved"]


def _other(host, found, test):
    """Another kernel came up than the new one."""
    pending = klp_change_boot.upcoming(host)
    if host.release != found["from"]:
        why = DIFFERENT.format(host.release, found["to"])
    else:
        untried = pending["once"] or not found["fallback"]
        why = (UNTRIED if untried else TRIED).format(found["to"], found["from"])
        why = why if found["fallback"] else DIFFERENT.format(host.release, found["to"])
    if test:
        return False, [why]
    if found["fallback"] and pending["once"]:
        klp_change_boot.make_default(host, found["from"])
    klp_change.remember(found, "failed", [why])
    return False, failed(host, klp_change.record())


def problems(host, found, wait=0):
    """Return ``(ill, unknown)`` of a host after its restart: what is not well, and what is not known, as sentences."""
    try:
        checks = [item for item in klp_verify.verify(host, wait=wait)["checks"] if _of_the_kernel(item)]
    except ERRORS as exc:
        return [], [f"unknown: {exc}"]
    ill = klp_checks.summary([item for item in checks if item["verdict"] != klp_checks.UNKNOWN])
    unknown = klp_checks.summary([item for item in checks if item["verdict"] == klp_checks.UNKNOWN])
    ill += klp_health.kernel_errors()
    try:
        ill += [f"service {name} ran before the change and does not run now" for name in _gone(host, found, wait)]
    except CommandExecutionError as exc:
        unknown.append(f"unknown: which services run now: {exc}")
    return ill, unknown


def _of_the_kernel(check):
    """Return whether a check says something of the kernel (bool); packages may have been unfinished before it came."""
    return check["check"] not in OTHERS and check["verdict"] not in klp_checks.GOOD


def _gone(host, found, wait):
    """Return, sorted, the services that ran before and do not run now; just after a start they have time to come."""
    end = time.monotonic() + wait
    while found["services"]:
        gone = klp_change_plan.stopped(host, found["services"])
        if not gone or time.monotonic() >= end:
            return gone
        time.sleep(PAUSE)
    return []


def failed(host, found):
    """Return the lines of a change that has failed, with what helps."""
    lines = list(found["why"])
    if host.release == found["to"]:
        lines += _next_start(host, found)
    else:
        lines.append(f"This host runs kernel {host.release} again, which is the default")
    return lines + [AGAIN.format(host.id)]


def _next_start(host, found):
    """Return the line that says how a host with the new kernel comes back to the old one."""
    if found["fallback"]:
        return [f"The next start is kernel {found['from']} again: restart this host to go back"]
    return [f"To go back: salt {host.id} state.apply klp.kernel_back"]


def refused(host, found):
    """Return the lines for a stage that has to be left before the kernel can be changed."""
    if found["stage"] == "failed":
        return failed(host, found)
    if found["stage"] == "back":
        return [f"This host goes back to kernel {found['from']}: salt {host.id} state.apply klp.kernel_back"]
    return [f"This host went back from kernel {found['to']} to {found['from']}", AGAIN.format(host.id)]


def told(host, plan):
    """Return ``(good, lines)`` of a step that changes nothing."""
    found = klp_change.record()
    if plan["step"] == klp_change_plan.WAIT:
        return True, klp_change_install.waiting(host, found)
    if plan["step"] == klp_change_plan.DONE:
        same = found.get("stage") == "verified" and found["to"] == host.release
        return True, [verified(found) if same else f"kernel {host.release} is the one that this host is to have"]
    if plan["step"] == klp_change_plan.NONE:
        return True, ["pillar klp:kernel:target is none: this host gets no other kernel"]
    return False, refused(host, found)
