"""
Declares the end of kernel live patching on SUSE Linux Enterprise: the second file of the state module ``klp``.
"""

import contextvars

__virtualname__ = "klp"


def __virtual__():
    if "klp.disable" in __salt__ and "klp_state.converge" in __utils__:
        return __virtualname__
    return False, "klp: module klp_disable or _utils/klp_state.py missing here, run saltutil.sync_all"


def _here(function):
    """Return a function that finds what Salt gives to this file: called back by a util, none does before 3006."""
    context = contextvars.copy_context()
    return lambda *args: context.run(function, *args)


def disabled(name):
    """
    Ensure nothing is left of live patching that pillar ``klp:disable`` takes away: packages, a hold, locks of ours.

    The live patch that is loaded stays in the kernel until the next reboot; the comment says so, as long as it is
    loaded. Take ``klp.enabled`` (SLS ``klp``) out of the highstate first, or each undoes the other.

    .. code-block:: yaml

        klp-disabled:
          klp.disabled: []
    """
    outcome = {}

    def read():
        found = __salt__["klp.remains"]()
        return dict(found["packages"], locked=found["locks"], held=found["held"])

    def wanted(old):
        __salt__["klp.remains"](check=True)
        return {"locked": [], "held": None}

    return __utils__["klp_state.converge"](
        name,
        __opts__["test"],
        read=_here(read),
        wanted=_here(wanted),
        apply=_here(lambda: outcome.update(__salt__["klp.disable"]())),
        told=lambda now: "nothing is left of live patching that pillar klp:disable takes away",
        missing=lambda new: f"Still there: {', '.join(sorted(set(new) - {'locked', 'held'}) + new['locked'])}",
        notes=_here(lambda: outcome["notes"] if outcome else __salt__["klp.aftermath"]()),
    )
