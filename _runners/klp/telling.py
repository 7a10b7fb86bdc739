"""
What is told of a campaign while it is driven: a sentence for each kind of entry, and where hosts are between two runs.
"""

from __future__ import annotations

from . import stages
from .words import moment

TEXTS = {
    "begin": "the campaign begins",
    "clock": "the clock of this master was set by {by} s: hosts are asked again before anything is started",
    "off": "the clock of this master is off: most hosts have another time; nothing is started until it is set right "
    "(chronyc makestep)",
    "open": "wave {wave}: its turn",
    "ready": "{hosts}: ready",
    "start": "wave {wave}: started {hosts}, job {jid}",
    "absent": "{hosts}: no answer, left out",
    "refused": "{hosts}: refused",
    "spared": "{hosts}: not started",
    "unreachable": "{hosts}: no answer to the run",
    "silent": "{hosts}: started, and silent for too long; it counts as failed until it answers",
    "spoke": "{hosts}: answers again",
    "overdue": "{hosts}: not ended in time",
    "lost": "{hosts}: the run was cut off, it is begun again",
    "unsent": "{hosts}: the run has not begun, it is begun again",
    "unbegun": "{hosts}: the run could not begin, it is tried again",
    "failed": "{hosts}: failed",
    "waiting": "{hosts}: have to be asked again",
    "installed": "{hosts}: installed, the next start is one of the {new} kernel",
    "restart": "{hosts}: about to restart, job {jid}",
    "unrestarted": "{hosts}: the restart has not begun",
    "restarted": "{hosts}: restarted",
    "verify": "{hosts}: run once more, which verifies the kernel, job {jid}",
    "patched": "wave {wave}: all its hosts have ended",
    "passed": "wave {wave}: passed",
    "late": "once more those that did not answer: {hosts}",
    "gate": "STOP: {why}",
    "quarantine": "in quarantine: {items}",
    "back": "going back: {hosts}, job {jid}",
    "again": "going back was cut off, once more: {hosts}",
    "stays": "{hosts}: does not go back",
    "pause": "paused by {by}",
    "resume": "resumed by {by}",
    "abort": "aborted by {by}",
    "end": "the end: {result}",
}

OTHERS = "installed, waits for its restart by others since {}"
OURS = "installed, waits for its restart since {} (maintenance window, batch)"
GOING = "restarts, asked for at {}"
DONE = "restarted at {}, is verified next"
BETWEEN = {
    stages.RESTARTING: GOING,
    stages.RESTARTED: DONE,
    stages.BACK_RESTARTING: "goes back: " + GOING,
}


def between(campaign, host):
    """Return where a host is between two runs of a campaign of kind ``kernel``, a clause; ``None``: it is not."""
    item = campaign.hosts[host]
    under_way = item.stage in (stages.RESTARTING, stages.RESTARTED)
    stage = item.stage if under_way and item.back == stages.BACK_WAITING else item.back or item.stage
    text = BETWEEN.get(stage)
    if stage in (stages.INSTALLED, stages.BACK_INSTALLED):
        text = OURS if campaign.plan["settings"].get("reboot") else OTHERS
        if stage == stages.BACK_INSTALLED:
            text = text.replace("installed", "goes back: the old kernel is the default")
    if text is None:
        return None
    if campaign.over and stage == stages.INSTALLED:
        return f"installed at {moment(item.since)}; restart it, then: salt '{host}' state.apply klp.kernel"
    return text.format(moment(item.since))
