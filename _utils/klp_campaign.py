"""
What a campaign of the master tells one run of this host, and whether the host keeps to it.

One job of a campaign is for many hosts, whatever each of them gets. It has for each host the SHA-256 of what the plan
has shown for it; the host knows what that was, since it said it itself, and compares.
"""

import contextlib
import os
import time

from salt.exceptions import CommandExecutionError

import klp_paths
import klp_record
from klp_digest import digest
from klp_words import count

NAMED = 5  # packages that a message names
KEPT = 20  # plans that a host remembers


def late(host):
    """
    Return why a run of a campaign comes too late to begin, one sentence, or ``None``.

    A message of the master may reach a host long after it was sent, as when the host was asleep; the campaign has gone
    on without it, and the maintenance window may be over. The clock of this host decides.
    """
    limit, now = host.settings["campaign"]["start_by"], int(time.time())
    if not limit or now <= limit:
        return None
    passed = f"this run of a campaign was to begin {count(now - limit, 'second')} ago at the latest"
    return f"{passed}: the campaign has gone on without this host, and nothing was changed"


def remember(packages):
    """Remember packages that a plan may show for this host, ``{name: edition}``; of such plans the newest KEPT stay."""
    with contextlib.suppress(CommandExecutionError, OSError):
        klp_record.write(digest(packages), packages, klp_paths.SHOWN)
        paths = [os.path.join(klp_paths.SHOWN, name) for name in os.listdir(klp_paths.SHOWN)]
        for path in sorted(paths, key=os.path.getmtime)[:-KEPT]:
            os.unlink(path)


def _remembered(name):
    """Return the packages with this digest, ``None`` where they are not known (any more), or the file is another."""
    with contextlib.suppress(CommandExecutionError):
        found = klp_record.read(name, {}, klp_paths.SHOWN)
        return found if digest(found) == name else None
    return None


def unshown(host, packages, whole=False):
    """
    Return what was not shown in the plan of the campaign, one sentence, or ``None``.

    packages
        ``{name: edition}`` that is about to be installed.
    whole
        whether these are all that a run would install.

    A plan that shows nothing allows everything. What an interrupted run has done already is not installed again, so
    that the run goes on.
    """
    digests = host.settings["campaign"]["shown"]
    if not digests or not packages:
        return None
    if host.id not in digests:
        return f"the plan of this campaign has not shown anything for {host.id}; make a new plan"
    shown = _remembered(digests[host.id])
    if shown is None and whole and digest(packages) == digests[host.id]:
        remember(packages)
        return None
    if shown is None:
        why = f"this host does not know what the plan has shown, but it was something else than {_named(packages)}"
        return f"{why}, which is pending here; make a new plan"
    found = {name: edition for name, edition in packages.items() if shown.get(name) != edition}
    if not found:
        return None
    return f"pending here, but not in the plan that was shown: {_named(found)}; make a new plan"


def _named(packages):
    found = [f"{name} {edition}" for name, edition in sorted(packages.items())]
    more = [f"{len(found) - NAMED} more"] if len(found) > NAMED else []
    return ", ".join(found[:NAMED] + more)


def require_shown(host, packages):
    """Raise CommandExecutionError for what ``unshown`` tells."""
    found = unshown(host, packages)
    if found:
        raise CommandExecutionError(found)
