"""
Engine of a master that drives campaigns: it goes on with what was begun, resumed or interrupted, by itself.

It survives a restart of the master, needs no scheduler, and takes no campaign that another process drives. Persons give
the orders as ever, with the runner ``klp``; with ``wait=False`` they leave the driving to the engine at once.

.. code-block:: yaml

    # /etc/salt/master.d/klp-engine.conf
    engines:
      - klp_campaign: {}
"""

import logging
import os
import time

import salt.loader

EVERY = 10
LEAST, MOST = 1, 300

log = logging.getLogger(__name__)


def __virtual__():
    if __opts__.get("__role") != "master":
        return False, "klp_campaign is an engine of the master"
    return True


def start(every=10, **unknown):
    """
    Drive all campaigns that are not over, not paused and driven by nobody, for as long as the master runs.

    every
        int, seconds: time between two looks at what waits to be driven, 1 to 300.

    What cannot be done is logged in one sentence, once, and tried again. Configuration Example:

    .. code-block:: yaml

        engines:
          - klp_campaign:
              every: 10
    """
    master = os.getppid()
    if unknown:
        log.error("klp_campaign: option %s is not known; there is: every", ", ".join(sorted(map(str, unknown))))
    if type(every) is not int or not LEAST <= every <= MOST:
        wanted = f"wanted seconds from {LEAST} to {MOST}, found {every!r:.60}"
        log.error("klp_campaign: option every: %s; it is %d now", wanted, EVERY)
        every = EVERY
    said = None
    while os.getppid() == master:
        serve, why = _found()
        if serve:
            serve(dict(__opts__), every, lambda: os.getppid() != master)
            return
        if why != said:
            log.error("klp_campaign: no campaign is driven: %s", why)
            said = why
        time.sleep(every)


def _found():
    """Return the engine's part of the runner klp, or ``None`` and why it cannot be loaded."""
    opts = dict(__opts__)
    runners = salt.loader.runner(opts, utils=salt.loader.utils(opts))
    if "klp.resume" not in runners:
        return None, runners.missing_fun_string("klp.resume")
    return runners["klp.resume"].__globals__["_part"]("engine").serve, None
