"""
The pillar key ``klp_campaign``: its closed schema (data), and what is impossible although each key alone is right.

The functions that compare a pillar with a schema are those of ``_utils/klp_pillar.py``; this file has no code for that.
"""

from __future__ import annotations

import re

from . import maintenance

SHARE = re.compile(r"([1-9][0-9]{0,2})%")
WAVE_KEYS = {"name", "take", "hosts", "target", "batch", "soak", "failed", "unreachable"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
WAVES = [{"name": "canary", "take": 1}, {"name": "early", "take": "10%"}, {"name": "rest", "take": "rest"}]
EXPRESSION = re.compile(r"[^\x00-\x1f\x7f]{1,4096}\Z")
GRAIN = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127})?\Z")
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,252}\Z")


def integer(default, least, most, unit, about):
    return {"type": "int", "least": least, "most": most, "default": default, "unit": unit, "about": about}


def flag(default, about):
    return {"type": "bool", "default": default, "about": about}


def choice(choices, about):
    return {"type": "str", "choices": choices, "default": choices[0], "about": about}


def own(default, check, kind, about):
    return {"type": "own", "default": default, "check": check, "kind": kind, "about": about}


def listing(form, default, about):
    return {"type": "list", "form": form, "default": default, "about": about}


def show(value):
    """Return a value as a message shows it: short."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def whole(value, least=0, most=1000000):
    """Return whether a value is a whole number within these limits; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def share_problem(value, words=()):
    """Return what is wrong with a number of hosts, or ``None``: 1 or more, a percentage, or one of ``words``."""
    if whole(value, 1) or (isinstance(value, str) and value in words):
        return None
    match = SHARE.fullmatch(value) if isinstance(value, str) else None
    if match and int(match.group(1)) <= 100:
        return None
    wanted = " or ".join(["a number of hosts from 1", "a percentage such as '10%'", *words])
    return f"wanted {wanted}, found {show(value)}"


def _expression_problem(value):
    if isinstance(value, str) and EXPRESSION.match(value):
        return None
    return f"wanted a target expression in one line, found {show(value)}"


def _path_problem(value):
    if isinstance(value, str) and re.match(r"(?:/[^\x00-\x1f\x7f]{0,4095})?\Z", value):
        return None
    return f"wanted an absolute path, found {show(value)}"


def _name_problem(value):
    if isinstance(value, str) and re.match(r"[^\x00-\x1f\x7f]{0,200}\Z", value):
        return None
    return f"wanted a text in one line, found {show(value)}"


def _minutes_problem(value):
    if isinstance(value, list) and all(whole(item, 0, 10080) for item in value):
        return None
    return f"wanted a list of minutes from 0 to 10080, found {show(value)}"


def _waves_problem(value):
    if not isinstance(value, list) or not value:
        return f"wanted a list of waves, found {show(value)}"
    for number, wave in enumerate(value, 1):
        problem = _wave_problem(wave)
        if problem:
            return f"wave {number}: {problem}"
    names = [wave["name"] for wave in value]
    twice = sorted({name for name in names if names.count(name) > 1})
    return f"two waves have the name {twice[0]}" if twice else None


def _wave_problem(wave):
    """Return what is wrong with one wave, or ``None``."""
    if not isinstance(wave, dict):
        return f"wanted a mapping of keys, found {show(wave)}"
    unknown = sorted(str(key) for key in set(wave) - WAVE_KEYS)
    if unknown:
        return f"{show(unknown[0])}: unknown key; known here: {', '.join(sorted(WAVE_KEYS))}"
    if not isinstance(wave.get("name"), str) or not NAME.match(wave["name"]):
        return f"name: wanted a word of letters, digits, dots and dashes, found {show(wave.get('name'))}"
    found = ((key, check(wave[key])) for key, check in WAVE.items() if key in wave)
    wrong = next((f"{key}: {problem}" for key, problem in found if problem), None)
    both = "hosts" in wave and "target" in wave
    return wrong or ("hosts and target exclude each other" if both else None)


def _hosts_problem(value):
    if isinstance(value, list) and value and all(isinstance(item, str) and HOST.match(item) for item in value):
        return None
    return f"wanted a list of minion ids, found {show(value)}"


def _apart_problem(value):
    if isinstance(value, str) and GRAIN.match(value):
        return None
    return f"wanted the name of a grain, or klp:group, found {show(value)}"


def _count_problem(value):
    return None if whole(value) else f"wanted a number of hosts from 0, found {show(value)}"


# How a wave is checked, besides its name.
WAVE = {
    "take": lambda value: share_problem(value, ("rest",)),
    "batch": share_problem,
    "soak": _minutes_problem,
    "target": _expression_problem,
    "hosts": _hosts_problem,
    "failed": _count_problem,
    "unreachable": _count_problem,
}

SCHEMA: dict[str, dict] = {
    "target": own("*", _expression_problem, "target expression", "The hosts of the campaign, as Salt targets them."),
    "target_type": choice(
        ("compound", "glob", "list", "pcre", "grain", "grain_pcre"),
        "The type of the target, also of a wave's.",
    ),
    "exclude": listing("glob", [], "Minion ids that are never touched; * and ? are wildcards."),
    "plan": {
        "type": "str",
        "form": "id",
        "default": "",
        "about": "Id of the plan to run; empty: a new plan is made.",
    },
    "sync": flag(True, "Before the plan, sync the modules of the file root to hosts that have a different version."),
    "approve": flag(True, "A plan runs only when its id is given, after it was read; false: at once."),
    "max_age": integer(24, 1, 8760, "hours", "How old a plan may be when it begins."),
    "keep": integer(400, 1, 36500, "days", "How long finished campaigns are kept; a new plan deletes older ones."),
    "drift": choice(
        ("refuse", "follow"),
        "If a host would now get something that its plan did not show: refuse, or follow and install it.",
    ),
    "level": {
        "type": "level",
        "word": "previous",
        "default": "previous",
        "about": "For a rollback: the target level. A number means a different live patch for each kernel.",
    },
    "presence": {
        "about": "Hosts that do not answer.",
        "keys": {
            "absent": choice(
                ("leave_out", "refuse"),
                "Hosts that do not answer the plan: leave them out and list them, or refuse the plan.",
            ),
            "timeout": integer(30, 1, 3600, "seconds", "How long to wait for the answers to one question."),
            "outlook": integer(
                300,
                1,
                86400,
                "seconds",
                "How long hosts may take for their preview; they refresh their repositories first.",
            ),
            "late": integer(
                0,
                0,
                2592000,
                "seconds",
                "How long hosts that were absent at their turn are retried after the last wave; at least once.",
            ),
        },
    },
    "waves": own(
        WAVES,
        _waves_problem,
        "list of waves",
        "The waves in order: name; take (number, percentage of all hosts, or rest), of hosts (list of ids), of target, "
        "or of all that are left; and, where it differs from the keys below, batch, soak, failed, unreachable.",
    ),
    "order": choice(
        ("mixed", "name"),
        "Which hosts a wave takes first: mixed, one of each group (pillar klp:group of the hosts), then of each in "
        "proportion, within a group by a hash of the plan and the id; name, by their ids. A wave with hosts keeps its "
        "list.",
    ),
    "apart": own(
        "",
        _apart_problem,
        "grain or klp:group",
        "Name of a grain, or klp:group. Hosts with the same value are changed one at a time, the next one only after "
        "the previous one was found healthy. Empty: no such grain.",
    ),
    "batch": own("10%", share_problem, "number or percentage", "How many hosts of a wave are patched at once."),
    "soak": {
        "about": "The time in which the hosts of a wave are watched before the next wave.",
        "keys": {
            "minutes": own(
                [1, 5, 15],
                _minutes_problem,
                "list of minutes",
                "When each host is checked after its own run: kernel log, taint, boot, services, application (its own "
                "pillar klp:health). All hosts are checked again at the end of their wave (also the transition) and "
                "of the campaign. Empty: never.",
            ),
            "services": listing("service", [], "Services that have to run on every host at each check."),
        },
    },
    "limits": {
        "about": "The limits of a wave. Of number and percentage the larger one counts.",
        "keys": {
            "failed": integer(0, 0, 1000000, "hosts", "Hosts of a wave that may fail."),
            "failed_percent": integer(0, 0, 100, "percent", "The same as a share of the wave."),
            "unreachable": integer(
                0,
                0,
                1000000,
                "hosts",
                "Hosts of a wave that may be unreachable; one that went silent after its start also counts as failed.",
            ),
            "unreachable_percent": integer(10, 0, 100, "percent", "The same as a share of the wave."),
            "host_timeout": integer(
                7200,
                10,
                604800,
                "seconds",
                "How long a host may take. After that it counts as failed; a silent one also as unreachable.",
            ),
            "attempts": integer(3, 1, 100, "runs", "How often a run is started on a host where it is interrupted."),
            "start_within": integer(300, 10, 86400, "seconds", "A host refuses a run that reaches it later."),
            "silent": integer(
                10,
                1,
                10080,
                "minutes",
                "A running host that is silent for so long counts as failed until it answers; no further host is "
                "started then.",
            ),
            "look": integer(30, 1, 3600, "seconds", "How often a running host is asked whether it still runs."),
            "restart": integer(
                30,
                1,
                1440,
                "minutes",
                "For kind kernel: how long a restart may take, until the host answers again. No host is restarted in "
                "a maintenance window that ends earlier.",
            ),
            "duration": integer(336, 1, 8760, "hours", "After this time the campaign starts no further host and ends."),
        },
    },
    "windows": {
        "about": "Maintenance windows. No host is started outside of them; running hosts finish.",
        "keys": {
            "zone": own("UTC", maintenance.zone_problem, "time zone", "Their time zone, e.g. Europe/Berlin."),
            "open": own(
                [],
                maintenance.problem,
                "list of maintenance windows",
                "When they are open: days (list of mon to sun; default: all) or rrule (and since), from and to (HH:MM; "
                "to may be on the next day). Without windows and calendar: always.",
            ),
            "calendar": own(
                "",
                _path_problem,
                "absolute path",
                "An iCalendar file on the master; hosts are also started during its events. Read for each plan.",
            ),
            "event": own(
                "",
                _name_problem,
                "line of text",
                "Only events of the calendar with this name (SUMMARY); empty: all of them.",
            ),
            "freeze": own(
                [],
                maintenance.freeze_problem,
                "list of days",
                "Days on which no host is started, even in a window: '2027-12-24', or from and to with such days.",
            ),
        },
    },
    "reboot": flag(
        False,
        "For kind kernel only: the campaign restarts each of its hosts once. False: it restarts none, and verifies "
        "each host after others have restarted it.",
    ),
    "on_restart": choice(
        ("fail", "again"),
        "If a host restarts during its run: fail counts it as failed; again starts its run again, for hosts that "
        "restart for other reasons.",
    ),
    "on_failure": choice(
        ("stop", "rollback"),
        "When a gate fails, no further host is started. With rollback the hosts of the wave also go back to their "
        "previous live patch, for kind kernel to their previous kernel.",
    ),
    "quarantine": flag(
        True,
        "When a gate fails after a host was started, the live patch of its wave goes into quarantine: no further host "
        "gets it until salt-run klp.release.",
    ),
}


def settings(given, compare):
    """
    Return the settings of a campaign.

    given
        what stands below the pillar key ``klp_campaign``.
    compare
        ``klp_pillar.compare``.

    Returns ``(settings, problems)``; waves have all their keys then. The settings may be used only without problems.
    """
    found, problems = compare({} if given is None else given, SCHEMA, "klp_campaign")
    if problems:
        return found, problems
    if found["windows"]["event"] and not found["windows"]["calendar"]:
        return found, ["klp_campaign:windows:event: names events of a calendar, and there is no windows:calendar"]
    found["waves"] = [_filled(wave, found) for wave in found["waves"]]
    return found, []


def _filled(wave, found):
    base = {
        "take": "rest",
        "hosts": [],
        "target": "",
        "batch": found["batch"],
        "soak": found["soak"]["minutes"],
        "failed": found["limits"]["failed"],
        "unreachable": found["limits"]["unreachable"],
    }
    filled = dict(base, **wave)
    return dict(filled, soak=sorted(set(filled["soak"])))
