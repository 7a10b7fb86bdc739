"""
SLS of the administrator's own, run in the middle of a state run: with its pillar, its ``saltenv`` and its ``test``.

``state.sls`` is not called for it: on a minion that runs as a service it asks the master for the pillar again, without
what was given on the command line, sets the return code of the job and writes over the cache of the last highstate.
"""

import contextlib
import copy

import salt.state

OURS = "klp"  # the formula's own SLS: a hook that included them would begin the run again


@contextlib.contextmanager
def _rendered(host, sls, test):
    """Give ``(high state, data, problems)`` of some SLS."""
    opts = copy.deepcopy(dict(host.opts))
    opts["test"], saltenv = test, opts.get("saltenv") or "base"
    with salt.state.HighState(opts, initial_pillar=copy.deepcopy(dict(host.whole_pillar))) as high_state:
        high_state.push_active()
        try:
            data, problems = high_state.render_highstate({saltenv: list(sls)})
            yield high_state, data, [_line(problem) for problem in problems] or _own(data)
        finally:
            high_state.pop_active()


def _own(data):
    names = {body.get("__sls__", "") for body in data.values() if isinstance(body, dict)}
    own = sorted(name for name in names if name.partition(".")[0] == OURS)
    return [f"it includes {own[0]}, which is the run itself"] if own else []


def _line(problem):
    return " ".join(str(problem).split())[:300]


class _CompiledError(Exception):
    """Raised in the place of the first state."""


def problems(host, sls):
    """
    Return why some SLS cannot be run here, one clause each; they are rendered and compiled, and nothing is run.

    Salt 3008 finds here that a requisite is missing; for 3006 and 3007 that is a state that fails.
    """

    def stop(*args, **kwargs):
        raise _CompiledError

    with _rendered(host, sls, True) as (high_state, data, found):
        high_state.state.call_chunks = stop
        try:
            return found or [_line(problem) for problem in high_state.state.call_high(data)]
        except _CompiledError:
            return []


def run(host, sls, test):
    """
    Run some SLS as one state run, or predict it.

    Returns ``{"problems": [clauses], "states": [{"id", "sls", "result", "changes", "comment"}]}``, the states in the
    order in which they ran.
    """
    with _rendered(host, sls, test) as (high_state, data, found):
        answer = found or high_state.state.call_high(data)
    if not isinstance(answer, dict):
        return {"problems": [_line(problem) for problem in answer], "states": []}
    states = sorted(answer.items(), key=lambda item: item[1].get("__run_num__", 0))
    return {"problems": [], "states": [_state(tag, state) for tag, state in states]}


def _state(tag, state):
    told = {key: state.get(key) for key in ("result", "changes", "comment")}
    return dict(told, id=state.get("__id__", tag), sls=state.get("__sls__", ""))
