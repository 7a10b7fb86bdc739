"""
The states of a change of kernel: klp.kernel_changed, klp.restarted and klp.kernel_restored.
"""

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_change
import klp_change_boot
import klp_change_install
import klp_change_keep
import klp_change_plan
import klp_change_restart
import klp_change_verify
import klp_runs
import klp_state

ERRORS = (CommandExecutionError, SaltInvocationError)
STEPS = ("plan", "install", "verify")


def changed(host, name, step, test):
    """Return the state dict of one step of SLS klp.kernel."""
    try:
        if step not in STEPS:
            raise SaltInvocationError(f"step: wanted {', '.join(STEPS)}, found {step!r}")
        return {"plan": _planned, "install": _installed, "verify": _verified}[step](host, name, test)
    except ERRORS as exc:
        return klp_state.result(name, result=False, comment=str(exc))


def _planned(host, name, test):
    problems = klp_change_plan.begin_problems(host)
    if problems:
        raise CommandExecutionError("; ".join(problems))
    plan = klp_change_plan.plan(host)
    if plan["step"] != klp_change_plan.INSTALL:
        return klp_state.result(name, comment="No kernel is to be installed now")
    if not test:
        klp_runs.judge(host, False)
    lines = ["Nothing speaks against the change", *klp_change_install.planned(host, plan)]
    return klp_state.result(name, comment="\n".join(lines))


def _installed(host, name, test):
    plan, notes = klp_change_plan.plan(host), []
    if plan["step"] != klp_change_plan.INSTALL:
        return klp_state.result(name, comment="No kernel is to be installed now")
    return klp_state.converge(
        name,
        test,
        host,
        read=lambda: klp_change_install.reading(host, plan),
        wanted=lambda old: klp_change_install.goal(host, plan, old),
        apply=lambda goal: notes.extend(klp_change_install.install(host, plan)),
        told=lambda now: f"kernel {plan['kernel']['release']} is installed beside {host.release}",
        notes=lambda: notes,
    )


def _verified(host, name, test):
    plan = klp_change_plan.plan(host)
    if plan["step"] == klp_change_plan.INSTALL:  # with test=True only: else it was done a moment ago
        kernel = plan["kernel"]
        coming = {"to": kernel["release"], "from": host.release, "live_patch": kernel["live_patch"]["edition"]}
        lines = klp_change_install.waiting(host, dict(coming, fallback=plan["fallback"]))
        return klp_state.result(name, result=None, comment="\n".join(["Would end with", *lines]))
    if plan["step"] == klp_change_plan.WAIT and klp_change_install.disarmed(host, klp_change.record()):
        return _closed(host, name, test, klp_change_install.rearm)
    if plan["step"] == klp_change_plan.VERIFY:
        ret = _closed(host, name, test, klp_change_verify.verify)
    else:
        good, lines = klp_change_verify.told(host, plan)
        ret = klp_state.result(name, result=good, comment="\n".join(lines))
    done = plan["step"] in (klp_change_plan.VERIFY, klp_change_plan.DONE) and ret["result"] is not False
    return _tidied(host, ret, test) if done else ret


def _tidied(host, ret, test):
    """Remove kernels that are not needed any more, as the pillar says; one that cannot be removed is told."""
    gone, lines = klp_change_keep.superfluous(host), []
    if gone and test:
        old = ",".join(sorted(gone))
        ret.update(result=None, changes=dict(ret["changes"], removed={"old": old, "new": None}))
        lines.append(f"Would remove kernels {old}")
    elif gone:
        try:
            with host.exclusive(ret["name"]):
                ret["changes"] = dict(ret["changes"], **klp_change_keep.clean(host))
        except ERRORS as exc:
            lines.append(f"Kernels {', '.join(gone)} could not be removed: {exc}")
    return dict(ret, comment="\n".join([ret["comment"], *lines, *klp_change_keep.told(host)]))


def _closed(host, name, test, verify):
    """Return the state dict of a look after a restart, with the stage and what GRUB starts as changes."""
    old, wait = _standing(host), 0 if test else host.settings["health"]["wait"]
    if test:
        good, lines = verify(host, klp_change.record(), wait, True)
    else:
        with host.exclusive(name):
            good, lines = verify(host, klp_change.record(), wait, False)
        klp_runs.judge(host, True)
    changes = {} if test else klp_state.difference(old, _standing(host))
    result = (None if test else True) if good else False
    return klp_state.result(name, result=result, changes=changes, comment="\n".join(lines))


def _standing(host):
    found = klp_change_boot.upcoming(host)
    return {"stage": klp_change.record().get("stage"), "next start": found["next"], "default": found["default"]}


def restarted(host, name, test):
    """Return the state dict of SLS klp.restart."""
    try:
        why = klp_change_restart.refusal(host)
        if why:
            raise CommandExecutionError(why)
        changes = {"boot": {"old": klp_change.record()["boot_id"], "new": "another one"}}
        if test:
            return klp_state.result(name, result=None, changes=changes, comment="Would restart this host")
        with host.exclusive(name):
            said = klp_change_restart.restart(host)
    except ERRORS as exc:
        return klp_state.result(name, result=False, comment=str(exc))
    return klp_state.result(name, changes=changes, comment=f"This host is on its way to another start: {said}")


def restored(host, name, test):
    """Return the state dict of SLS klp.kernel_back."""
    try:
        return _restored(host, name, test)
    except ERRORS as exc:
        return klp_state.result(name, result=False, comment=str(exc))


def _restored(host, name, test):
    step, found = klp_change_restart.way_back(host)
    if step == "nothing":
        raise CommandExecutionError(klp_change_restart.NO_CHANGE)
    restart = f"Restart this host to go back to kernel {found['from']}, then run the same command again"
    if step == "missed":
        again = f"kernel {found['to']} came up again, although {found['from']} was the default"
        return klp_state.result(name, result=False, comment=again)
    if step == "done":
        return klp_state.result(name, comment=f"This host went back to kernel {host.release}")
    if step == "wait":
        return klp_state.result(name, comment=restart)
    if step == "settle":
        return _closed(host, name, test, klp_change_restart.settle)
    old = _standing(host)
    if not test:
        with host.exclusive(name):
            klp_change_restart.arm(host, found)
    goal = {"stage": "back", "next start": found["from"], "default": found["from"]}
    changes = klp_state.difference(old, goal if test else _standing(host))
    return klp_state.result(name, result=None if test else True, changes=changes, comment=restart)
