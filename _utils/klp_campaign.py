"""
What a campaign of the master tells one run of this host, and whether the host keeps to it.
"""

import time

from salt.exceptions import CommandExecutionError

NAMED = 5  # packages that a message names


def late(host):
    """
    Return why a run of a campaign comes too late to begin, one sentence, or ``None``.

    A message of the master may reach a host long after it was sent, as when the host was asleep; the campaign has gone
    on without it, and the maintenance window may be over. The clock of this host decides.
    """
    limit, now = host.settings["campaign"]["start_by"], int(time.time())
    if not limit or now <= limit:
        return None
    passed = f"this run of a campaign was to begin {now - limit} seconds ago at the latest"
    return f"{passed}: the campaign has gone on without this host, and nothing was changed"


def unshown(host, packages):
    """
    Return what was not shown in the plan of the campaign, one sentence, or ``None``.

    packages
        ``{name: edition}`` that is about to be installed.

    A plan that shows nothing allows everything. What an interrupted run has done already is not installed again, so
    that the run goes on.
    """
    shown = host.settings["campaign"]["shown"]
    if not shown:
        return None
    found = [f"{name} {edition}" for name, edition in sorted(packages.items()) if shown.get(name) != edition]
    if not found:
        return None
    more = [f"{len(found) - NAMED} more"] if len(found) > NAMED else []
    return f"pending here, but not in the plan that was shown: {', '.join(found[:NAMED] + more)}; make a new plan"


def require_shown(host, packages):
    """Raise CommandExecutionError for what ``unshown`` tells."""
    found = unshown(host, packages)
    if found:
        raise CommandExecutionError(found)
