"""
What a campaign of the master tells a run, and whether this host keeps to it: the sixth file of the module ``klp``.

:depends: ``zypper``, ``rpm``
:pillar: ``klp:campaign`` (see ``docs/reference/pillar.md``)
"""

import time

import salt.utils.path
from salt.exceptions import CommandExecutionError

__virtualname__ = "klp"

NAMED = 5  # packages that a message names


def __virtual__():
    if "klp_pillar.settings" not in __utils__:
        return False, "klp: _utils/klp_pillar.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _campaign():
    return __utils__["klp_pillar.settings"](__pillar__.get("klp"))["campaign"]


def late():
    """
    Return whether a run of a campaign comes too late to begin: a list of one sentence, or of none.

    A message of the master may reach a host long after it was sent, as when the host was asleep; the campaign has gone
    on without it, and its window may be over. Compares pillar ``klp:campaign:start_by`` with the clock of this host.

    CLI Example::

        salt '*' klp.late
    """
    limit, now = _campaign()["start_by"], int(time.time())
    if not limit or now <= limit:
        return []
    passed = f"this run of a campaign was to begin {now - limit} seconds ago at the latest"
    return [f"{passed}: the campaign has gone on without this host, and nothing was changed"]


def unshown():
    """
    Return what is pending on this host and was not shown in the plan of the campaign, one sentence or none.

    Compares ``klp.pending`` with pillar ``klp:campaign:shown`` (name to edition, as ``klp_audit.outlook`` has them);
    an empty one allows everything. What an interrupted run has done already is no longer pending, so the run goes on.

    CLI Example::

        salt '*' klp.unshown
    """
    shown = _campaign()["shown"]
    if not shown:
        return []
    pending = {name: change["new"] for name, change in __salt__["klp.pending"]("klp.patch").items()}
    found = [f"{name} {new}" for name, new in sorted(pending.items()) if shown.get(name) != new]
    if not found:
        return []
    more = [f"{len(found) - NAMED} more"] if len(found) > NAMED else []
    return [f"pending here, but not in the plan that was shown: {', '.join(found[:NAMED] + more)}; make a new plan"]


def run(name):
    """
    Return what this host remembers of a run: ``{"opened", "finished" (seconds since 1970, or None), "backup"}``.

    name
        id of the run or campaign.

    ``None`` where it knows none of that name, as when there was nothing to change.

    CLI Example::

        salt '*' klp.run c3f2a9c01d4e
    """
    found = [item for item in __salt__["root_backup.list"]() if item["run"] == str(name)]
    return {key: found[-1][key] for key in ("opened", "finished", "backup")} if found else None


def duration():
    """
    Return how many seconds the last finished run of this host took (int), or ``None`` where there was none.

    CLI Example::

        salt '*' klp.duration
    """
    try:
        runs = __salt__["root_backup.list"]()
    except CommandExecutionError:
        return None
    spent = [item["finished"] - item["opened"] for item in runs if item["finished"] is not None]
    return spent[-1] if spent else None
