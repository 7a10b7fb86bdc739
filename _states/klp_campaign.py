"""
Declares campaigns over a fleet, for orchestrations on the master: the state ends when the campaign does.
"""

import json

from salt.exceptions import CommandExecutionError

VERSION = "0.2.0"
try:
    import klp_fresh

    klp_fresh.renew()
    import klp_state
    import klp_version
    import klp_words

    PROBLEM = klp_version.problem(VERSION, __file__)
except ImportError as exc:
    CURE = (
        "install salt-klp again with pip"
        if "saltext" in __file__
        else "install it again on this master: make install, or its RPM"
    )
    PROBLEM = f"salt-klp: {exc}: {CURE}"

MISSING = "this master has no runner klp: runner_dirs in /etc/salt/master.d/salt-klp.conf names its folder"
DONE, OPEN = 0, 8  # exit codes of the runner klp: all is verified; a plan that waits to be run


def __virtual__():
    if PROBLEM:
        return False, PROBLEM
    if "saltutil.runner" not in __salt__:
        return False, "klp_campaign: Salt's own saltutil.runner is not loaded here: campaigns are declared on a master"
    return True


def _runner(function, **kwargs):
    """Call a function of the runner klp; returns its document, or raises CommandExecutionError with its sentence."""
    try:
        # The person who gave the order: Salt's own orchestrations tell their runners nobody.
        user = __opts__.get("user", "UNKNOWN")
        found = __salt__["saltutil.runner"](f"klp.{function}", kwarg=kwargs, __pub_user=user)
    except KeyError as exc:
        raise CommandExecutionError(MISSING) from exc
    if not isinstance(found, dict) or "text" not in found:
        raise CommandExecutionError(f"the runner klp.{function} answered: {found}")
    return found


def _pillar():
    return {"klp_campaign": __pillar__.get("klp_campaign") or {}}


def _result(name, **fields):
    return klp_state.result(name, **fields)


def _campaign(name, kind):
    """Run a campaign, or under ``test=True`` make its plan and show it."""
    test, plan = __opts__["test"], _pillar()["klp_campaign"].get("plan") or None
    try:
        if test and not plan:
            found = _runner("plan", kind=kind, pillar=_pillar())
            return _planned(name, found)
        found = _runner("status" if test else "run", **_arguments(test, plan, kind))
    except CommandExecutionError as exc:
        return _result(name, result=False, comment=str(exc))
    if test:
        return _result(name, result=None if found["retcode"] else True, comment=found["text"])
    if found["retcode"] == OPEN:
        again = json.dumps({"klp_campaign": {"plan": found["plan"]["id"]}})
        found["text"] += f"\nHere: salt-run state.orchestrate klp.orch.{kind} pillar='{again}'"
    return _result(name, result=found["retcode"] == DONE, changes=_changes(found), comment=found["text"])


def _arguments(test, plan, kind):
    if test:
        return {"campaign": plan}
    return {"kind": kind, **({"campaign": plan} if plan else {"pillar": _pillar()})}


def _planned(name, found):
    """Return what a plan predicts: a change for each wave that has hosts."""
    if found["retcode"] != DONE:
        return _result(name, result=False, comment=found["text"])
    waves = {wave["name"]: len(wave["hosts"]) for wave in found["plan"]["waves"] if wave["hosts"]}
    changes = {wave: {"old": None, "new": klp_words.count(hosts, "host")} for wave, hosts in waves.items()}
    return _result(name, result=None if changes else True, changes=changes, comment=found["text"])


def _changes(found):
    waves = found.get("campaign", {}).get("waves", [])
    return {
        wave["name"]: {"old": klp_words.count(wave["hosts"], "host"), "new": f"{wave['verified']} verified"}
        for wave in waves
        if wave["opened"] and wave["hosts"]
    }


def patched(name):
    """
    Ensure a campaign has patched the fleet as pillar ``klp_campaign`` of the master says.

    With ``test=True`` the plan is made and shown. A plan that was shown is run with pillar ``klp_campaign:plan``;
    without it one is made, and run only if ``klp_campaign:approve`` is false.

    .. code-block:: yaml

        klp-campaign:
          klp_campaign.patched: []
    """
    return _campaign(name, "patch")


def rolled_back(name):
    """
    Ensure a campaign has taken the fleet back to pillar ``klp_campaign:level``; plans as for ``patched``.

    .. code-block:: yaml

        klp-campaign:
          klp_campaign.rolled_back: []
    """
    return _campaign(name, "rollback")


def kernel_changed(name):
    """
    Ensure a campaign has brought the fleet to another kernel; plans as for ``patched``.

    Hosts are restarted only with pillar ``klp_campaign:reboot: true``.

    .. code-block:: yaml

        klp-campaign:
          klp_campaign.kernel_changed: []
    """
    return _campaign(name, "kernel")


def audited(name):
    """
    Ensure every host of pillar ``klp_campaign:target`` is live patched as declared. Changes nothing.

    .. code-block:: yaml

        klp-audit:
          klp_campaign.audited: []
    """
    try:
        found = _runner("audit", pillar=_pillar())
    except CommandExecutionError as exc:
        return _result(name, result=False, comment=str(exc))
    return _result(name, result=found["retcode"] == DONE, comment=found["text"])
