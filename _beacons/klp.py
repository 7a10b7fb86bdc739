"""
Alarms about live patching, as events: each one when it is raised and when it is cleared, and not in between.

An event is ``salt/beacon/MINION/klp/ALARM`` with ``{"alarm", "edge", "text"}``; ``klp_audit.alarms`` tells which alarms
there are. What raises one, and whether lost locks are set again, is said by pillar ``klp:window`` and ``klp:alarms``:

.. code-block:: yaml

    beacons:
      klp:
        - interval: 300
        - disable_during_state_run: true
"""

import logging

from salt.exceptions import CommandExecutionError, SaltInvocationError

__virtualname__ = "klp"

log = logging.getLogger(__name__)

KEYS = ("interval", "disable_during_state_run", "enabled", "beacon_module", "_beacon_name")


def __virtual__():
    return __virtualname__


def validate(config):
    """Return ``(valid, sentence)`` for the configuration of this beacon: a list of single keys."""
    if not isinstance(config, list) or not all(isinstance(item, dict) for item in config):
        return False, "Configuration for klp beacon must be a list of mappings"
    for key in (key for item in config for key in item):
        if key not in KEYS:
            return False, f"Configuration for klp beacon: unknown key {key!r}, known here: {', '.join(KEYS[:3])}"
    return True, "Valid beacon configuration"


def beacon(config):
    """Return the events of what has changed."""
    if "klp_audit.alarm_events" not in __salt__:
        log.error("beacon klp: the module klp_audit is not loaded here; it says why: salt-call klp_audit.alarms")
        return []
    try:
        return [dict(edge, tag=edge["alarm"]) for edge in __salt__["klp_audit.alarm_events"]()]
    except (CommandExecutionError, SaltInvocationError) as exc:
        log.error("beacon klp: %s", exc)
        return []
