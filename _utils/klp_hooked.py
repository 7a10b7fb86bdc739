"""
Running the hooks of a run where their time has come: the states ``klp.hooked`` of the SLS that change a host.
"""

import time

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_change_restart
import klp_hooks
import klp_nested
import klp_runs
import klp_state
import klp_uptodate

RUNS = ("klp.patch", "klp.kernel")  # the SLS whose run has a record of its own
WORDS = {True: "ok", False: "FAILED", None: "would change"}


def hooked(host, name, hook, around, test, running):
    """
    Run a hook where its time has come, or predict it; return Salt's state dict.

    running
        ``__running__`` of the state: what has run before it.
    """
    if hook not in klp_hooks.HOOKS:
        raise SaltInvocationError(f"hook: wanted {', '.join(klp_hooks.HOOKS)}, found {hook!r}")
    sls, why_not = {"before": _before, "after": _after, "on_failure": _on_failure}[hook](host, around, test, running)
    if why_not:
        return klp_state.result(name, comment=why_not)
    if test:
        host.hooked = True
        return _told(name, hook, sls, klp_nested.run(host, sls, True) if sls else None, True)
    with host.exclusive(name):
        _begin(host, hook, around)
        host.hooked = True
        answer = klp_nested.run(host, sls, False) if sls else None
        ret = _told(name, hook, sls, answer, False)
        _end(hook, ret["result"])
    return ret


def _before(host, around, _test, _running):
    """Return the SLS to run, and why none is; raises CommandExecutionError where the run cannot begin."""
    if klp_uptodate.decided(host, around):
        late = klp_hooks.due()
        more = f"; hook after is due since {klp_hooks.since(late)} and comes at the end" if late else ""
        return [], f"nothing will change, no hook is run before{more}"
    found = klp_hooks.problems(host)
    if found:
        raise CommandExecutionError("; ".join(found) + ": nothing was changed")
    return klp_hooks.declared(host)["before"], None


def _after(host, _around, test, _running):
    late = klp_hooks.due()
    if not late and not (test and host.hooked):  # a prediction writes nothing down
        return [], "no hook is due"
    return _sls_after(host, late), None


def _sls_after(host, late):
    """The pillar has the last word, so that a wrong SLS can be put right; without hooks in it what was due remains."""
    now = klp_hooks.declared(host)
    return now["after"] if any(now.values()) or not late else late["after"]


def _on_failure(host, _around, _test, running):
    if not host.hooked:
        return [], "no hook has run"
    failed = [state for state in running.values() if _ours(state) and state["result"] is False]
    return klp_hooks.declared(host)["on_failure"], None if failed else "nothing has failed"


def _ours(state):
    return str(state.get("__sls__")).partition(".")[0] == klp_nested.OURS


def _begin(host, hook, around):
    late = klp_hooks.due()
    if hook == "before":
        run = klp_runs.open_run(host) if around in RUNS else host.settings["run"] or None
        since = late["since"] if late else int(time.time())
        after = _sls_after(host, late)
        if around == klp_change_restart.SLS:
            around = klp_change_restart.afterwards()  # hook after comes after the restart
        klp_hooks.remember({"around": around, "run": run, "since": since, "stage": "before", "after": after})
    elif hook == "after":
        klp_hooks.remember(dict(late, stage="after"))


def _end(hook, well):
    if hook == "before" and well:
        klp_hooks.remember(dict(klp_hooks.due(), stage="changing"))
    elif hook == "after" and well:
        klp_hooks.remember({})


def _told(name, hook, sls, answer, test):
    """Return the state dict of a hook: each of its states with what it said, and what changed."""
    if answer is None:
        return klp_state.result(name, comment=f"no SLS in pillar klp:hooks:{hook}")
    states = answer["states"]
    failed = [state for state in states if state["result"] is False]
    lines = [klp_hooks.sentence(hook, problem) for problem in answer["problems"]]
    lines += [f"{state['id']} ({state['sls']}): {WORDS[state['result']]}: {state['comment']}" for state in states]
    head = f"{'Would run' if test else 'Ran'} hook {hook}: {', '.join(sls)}"
    if failed or answer["problems"]:
        head = f"hook {hook} failed: {', '.join(sls)}" + (": nothing is changed by this run" * (hook == "before"))
    changes = {state["id"]: state["changes"] for state in states if state["changes"]}
    well = not failed and not answer["problems"]
    seen = {"ran": list(sls), **({"states": changes} if changes else {})}
    return klp_state.result(
        name, result=(None if test else True) if well else False, changes=seen, comment="\n".join([head, *lines])
    )
