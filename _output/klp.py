"""
Shows what the runner ``klp`` returns, its text, and of a run of states on a host what counts, each cause once.

A run is one line with its result, and one for each state that failed or changed something; states that did not run
since another one failed are counted: ``salt --out=klp '*' state.apply klp.patch``. ``--out=json`` and the others show
all of it.
"""

import pprint

NOT_RUN = "One or more requisite failed"  # salt/state.py: the comment of a state whose requisite failed
FAILED, WOULD, CHANGED, DECLARED, LEFT = KINDS = (
    "failed",
    "would change",
    "changed",
    "as declared",
    "not run since another state failed",
)


def output(data, **kwargs):
    """Return the text of an answer of the runner ``klp``, or of the answers of hosts."""
    if not isinstance(data, dict):
        return str(data)
    if isinstance(data.get("text"), str):
        return data["text"]
    if data and all(_is_run(answer) or _is_refusal(answer) or isinstance(answer, str) for answer in data.values()):
        return "\n".join(_host(name, data[name]) for name in data)
    return pprint.pformat(data)


def _is_run(answer):
    """Return whether this is what a run of states returns: ``{state_|-id_|-name_|-function: {"result", ...}}``."""
    states = answer.values() if isinstance(answer, dict) else ()
    return bool(states) and all(isinstance(state, dict) and "result" in state for state in states)


def _is_refusal(answer):
    """Return whether this is what Salt returns where no state was run: a list of sentences."""
    return isinstance(answer, list) and bool(answer) and all(isinstance(item, str) for item in answer)


def _host(name, answer):
    if isinstance(answer, str):  # "Minion did not return. [No response]", or an error of Salt
        return f"{_line(name)}: {_line(answer)}"
    if not _is_run(answer):
        return "\n".join([f"{_line(name)}: FAILED: no state was run", *(f"  {_line(item)}" for item in answer)])
    states = sorted(answer.items(), key=lambda item: str(item[1].get("__run_num__", "")).zfill(6))
    kinds = [(_kind(state), ident, state) for ident, state in states]
    numbers = [f"{count} {kind}" for kind in KINDS for count in [sum(k == kind for k, _, _ in kinds)] if count]
    head = "FAILED" if any(kind in (FAILED, LEFT) for kind, _, _ in kinds) else "good"
    shown = [
        f"  {kind}: {_ident(ident)}: {_text(state)}" for kind, ident, state in kinds if kind in (FAILED, WOULD, CHANGED)
    ]
    return "\n".join([f"{_line(name)}: {head}: {', '.join(numbers)}", *shown])


def _kind(state):
    if state["result"] is None:
        return WOULD
    if not state["result"]:
        return LEFT if str(state.get("comment")).startswith(NOT_RUN) else FAILED
    return CHANGED if state.get("changes") else DECLARED


def _ident(ident):
    """Return the ID of a state out of its tag."""
    return _line((str(ident).split("_|-") + [ident])[1])


def _text(state):
    """Return the comment of a state; Salt joins those of several checks to a list."""
    comment = state.get("comment")
    lines = comment if isinstance(comment, list) else str(comment or "").splitlines()
    return "\n      ".join(_line(line) for line in lines)


def _line(value):
    """Return text of a host without what would move the cursor or colour the terminal."""
    return "".join(char if char.isprintable() else "?" for char in str(value))
