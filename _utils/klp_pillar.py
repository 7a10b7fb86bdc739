"""
The pillar key ``klp``: its closed schema (data), and the check of a pillar against it (pure functions).

A key has a type, a default, perhaps a unit, and one sentence. Types: ``bool``, ``int`` (with ``least`` and ``most``),
``str`` (with ``form``, a name of FORMS, or ``choices``), ``list`` (of ``str``), ``level``, ``map`` (of names to words);
with ``keys``: a group. ``docs/reference/pillar.md`` and ``pillar/schema.yaml`` are generated from it. The schema of the
pillar key ``klp_campaign`` (``_runners/klp/schema.py``) is checked by the same functions.
"""

import copy
import difflib
import re

from salt.exceptions import SaltInvocationError

# What a string may look like. Nothing that begins with a dash, holds a blank, a control character or a path that
# climbs can reach a command line.
FORMS = {
    "name": r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}",
    "glob": r"[A-Za-z0-9*][A-Za-z0-9._+:*?-]{0,127}",
    "id": r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}",
    "service": r"[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}",
    "edition": r"[0-9][A-Za-z0-9._+~]*-[A-Za-z0-9._+~]+",
    "program": r"/(?!.*(?:^|/)\.\.(?:/|$))[^\x00-\x1f\x7f]{1,1023}",
    "word": r"[^\x00-\x1f\x7f]{0,1023}",
    "backup": r"[A-Za-z0-9][A-Za-z0-9_.:/@=-]{0,255}",
    "secret": r"[^\x00-\x20\x7f]{0,255}",
}
CATEGORIES = ("security", "recommended", "optional", "feature", "document", "yast")
SEVERITIES = ("critical", "important", "moderate", "low", "unspecified")
BACKENDS = ("", "auto", "snapper", "lvm", "command", "none")


def _keys(about, keys):
    return {"about": about, "keys": keys}


def _bool(default, about):
    return {"type": "bool", "default": default, "about": about}


def _int(default, least, most, unit, about):
    return {"type": "int", "least": least, "most": most, "default": default, "unit": unit, "about": about}


def _str(form, default, about):
    return {"type": "str", "form": form, "default": default, "about": about}


def _secret(about):
    return dict(_str("secret", "", about), secret=True)


def _choice(choices, about):
    return {"type": "str", "choices": choices, "default": choices[0], "about": about}


def _list(form, default, about):
    return {"type": "list", "form": form, "default": default, "about": about}


def _choices(choices, about):
    return {"type": "list", "choices": choices, "default": list(choices), "about": about}


def _level(word, about):
    return {"type": "level", "word": word, "default": word, "about": about}


def _map(form, about):
    return {"type": "map", "form": form, "default": {}, "about": about}


SCHEMA = {
    "run": _str("id", "", "Id of the run or campaign that backups belong to; empty: each host makes its own."),
    "level": _level(
        "latest", "Live patch level: latest, a number (1 is the empty initial patch) or an edition (VERSION-RELEASE)."
    ),
    "product": _keys(
        "The product that holds the live patches, activated where the host is registered and lacks it.",
        {
            "name": _str(
                "name",
                "sle-module-live-patching",
                "Product identifier for SUSEConnect; empty: never touch the registration.",
            ),
            "regcode": _secret(
                "Registration code of that product, if it needs one; given to SUSEConnect on standard input."
            ),
        },
    ),
    "tools": _keys(
        "What has to be installed besides the live patch itself.",
        {
            "packages": _list("name", ["kernel-livepatch-tools"], "Packages with the klp tool."),
            "pattern": _str("name", "", "Pattern to install as well, e.g. lp_sles; empty: none."),
        },
    ),
    "locks": _keys(
        "Package locks that keep ordinary patching from bringing a new kernel.",
        {
            "extra": _list(
                "name", [], "Packages to lock besides the kernel packages of the running flavour (no globs)."
            ),
        },
    ),
    "update": _keys(
        "What a maintenance run installs besides the live patch.",
        {
            "categories": _choices(CATEGORIES, "Categories of advisories to install."),
            "severities": _choices(SEVERITIES, "Severities of advisories to install."),
            "exclude": _list("glob", [], "Ids of advisories to leave out; * and ? are wildcards."),
            "others": _bool(True, "Also update packages that no advisory speaks of."),
            "reboot": _bool(
                False, "Also install what asks for a reboot afterwards (never a kernel; this product never reboots)."
            ),
            "licenses": _bool(False, "Agree to licences that an update asks about."),
        },
    ),
    "backup": _keys(
        "The way back, taken before anything is installed.",
        {
            "backend": _choice(
                BACKENDS,
                "How the root volume is backed up: auto (snapper or lvm, as the root file system is), snapper, lvm, "
                "command, or none for hosts without a way back.",
            ),
            "create": _list(
                "word",
                [],
                "Backend command: program (absolute path) and arguments that make a backup and print its id.",
            ),
            "verify": _list(
                "word", [], "Backend command: program and arguments; exit 0 says the backup (last argument) is good."
            ),
            "delete": _list(
                "word",
                [],
                "Backend command: program and arguments that delete the backup named by the last argument; empty: "
                "backups are never deleted here.",
            ),
            "restore": _list(
                "word",
                [],
                "Backend command: program and arguments that put the backup named by the last argument in place for "
                "the next start; empty: it is put in place by hand.",
            ),
            "config": _str("name", "root", "Backend snapper: configuration of the root volume."),
            "size": _int(
                20, 1, 100, "percent", "Backend lvm: room for changes in a classic snapshot, of the size of its origin."
            ),
            "keep": _int(
                5,
                1,
                1000,
                "backups",
                "How many good backups of finished runs are kept; older ones that were made here are deleted.",
            ),
            "max_age": _int(
                24,
                1,
                8760,
                "hours",
                "How old the backup of an interrupted run may be when the run goes on; older: a new one.",
            ),
            "timeout": _int(1800, 1, 86400, "seconds", "Deadline of one command of the backup."),
        },
    ),
    "rollback": _keys(
        "Going back to an earlier live patch (SLS klp.rollback).",
        {
            "level": _level("previous", "Where to go back to: previous, a number from 1 or an edition."),
            "force": _bool(False, "Go back although kernel log or taint tell of earlier kernel errors."),
        },
    ),
    "restore": _keys(
        "Putting a backup of the root volume back (SLS klp.restore).",
        {
            "backup": _str("backup", "", "The backup, or the run whose backup is meant, as root_backup.list shows it."),
            "confirm": _str(
                "backup", "", "The same again: yes, all that has changed since this backup may be lost on this host."
            ),
        },
    ),
    "disable": _keys(
        "What the end of live patching takes away (SLS klp.disable).",
        {
            "tools": _bool(True, "Remove the packages of klp:tools and the pattern."),
            "live_patches": _bool(True, "Remove the live patch packages of all kernels."),
            "locks": _bool(True, "Take away the package locks that were made here, never those of others."),
        },
    ),
    "transition": _keys(
        "The time that tasks have to move to a new live patch.",
        {
            "timeout": _int(
                300,
                1,
                86400,
                "seconds",
                "How long to wait for the end of a transition; the kernel's own reminders need about 60.",
            ),
        },
    ),
    "zypper": _keys(
        "Patience with zypper.",
        {
            "lock_timeout": _int(
                300, 1, 86400, "seconds", "How long to wait for another zypper or rpm that holds its lock."
            ),
            "timeout": _int(
                7200,
                60,
                86400,
                "seconds",
                "Deadline of one call of zypper; generous, since a package run must not be cut off.",
            ),
        },
    ),
    "campaign": _keys(
        "What a campaign of the master tells one run; nothing for a pillar file.",
        {
            "start_by": _int(0, 0, 2**40, "seconds since 1970", "Refuse to begin after this moment; 0: at any time."),
            "shown": _map("word", "Packages and editions of the plan, nothing else may be pending; empty: no check."),
        },
    ),
    "verify": _keys(
        "Checks at the end of a run.",
        {
            "initrd": _bool(True, "Check with lsinitrd that the live patch is in the initrd of the running kernel."),
            "unsigned_modules": _bool(
                False, "Accept a kernel that is tainted by unsigned modules (third-party drivers)."
            ),
        },
    ),
}

TYPE_NAMES = {
    "bool": "true or false",
    "int": "a whole number",
    "str": "a string",
    "list": "a list of strings",
    "map": "a mapping of strings",
}
PYTHON_TYPES: dict = {"bool": bool, "int": int, "str": str, "list": list, "map": dict}
BACKEND_COMMANDS = {"create": True, "verify": True, "delete": False, "restore": False}  # needed?


def defaults(schema=None):
    """Return the settings of an empty pillar."""
    schema = SCHEMA if schema is None else schema
    return {
        key: defaults(spec["keys"]) if "keys" in spec else copy.deepcopy(spec["default"])
        for key, spec in schema.items()
    }


def check(pillar):
    """
    Compare what stands below the pillar key ``klp`` (anything at all) with the schema.

    Returns ``(settings, problems)``: complete settings (a wrong value is replaced by its default) and a list of one
    sentence for each wrong key or value. The settings may be used only if there are no problems.
    """
    found, problems = compare({} if pillar is None else pillar, SCHEMA, "klp")
    if not problems:
        problems = _combinations(found)
    return found, problems


def settings(pillar):
    """
    Return the settings of a host; ``pillar`` is what stands below its pillar key ``klp``.

    Raises SaltInvocationError, one sentence for each wrong key or value.
    """
    found, problems = check(pillar)
    if problems:
        raise SaltInvocationError("; ".join(problems))
    return found


def public(found, schema=None):
    """Return settings without the secret ones."""
    schema = SCHEMA if schema is None else schema
    return {
        key: public(found[key], spec["keys"]) if "keys" in spec else found[key]
        for key, spec in schema.items()
        if not spec.get("secret")
    }


def compare(given, schema, path):
    """Return ``(settings, problems)`` of what stands at ``path`` of a pillar, as ``check`` does for the key klp."""
    if not isinstance(given, dict):
        return defaults(schema), [f"pillar {path}: wanted a mapping of keys, found {_show_group(given, schema)}"]
    settings, problems = {}, []
    for key in given:
        if key not in schema:
            problems.append(_unknown(key, schema, path))
    for key, spec in schema.items():
        settings[key], found = _key(given, key, spec, f"{path}:{key}")
        problems += found
    return settings, problems


def _key(given, key, spec, path):
    if "keys" in spec:
        return compare(given.get(key, {}), spec["keys"], path)
    if key not in given:
        return copy.deepcopy(spec["default"]), []
    problem = _value_problem(given[key], spec)
    if problem:
        return copy.deepcopy(spec["default"]), [f"pillar {path}: {problem}"]
    return copy.deepcopy(given[key]), []


def _unknown(key, schema, path):
    close = difflib.get_close_matches(str(key), list(schema), 1)
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(schema))}"
    return f"pillar {path}:{_plain(key)}: unknown key; {hint}"


def _plain(key):
    return key if isinstance(key, str) and re.match(r"[\w.-]{1,60}\Z", key) else _show(key)


def _show(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _show_group(given, schema):
    """What stands in place of a group may hold its secrets: a list of mappings is an easy mistake."""
    hidden = any(spec.get("secret") for spec in schema.values()) or (isinstance(given, list) and given)
    return "something else" if hidden else _show(given)


def _value_problem(value, spec):
    """Return what is wrong with a value, or ``None``; a key may bring a check of its own."""
    if "check" in spec:
        return spec["check"](value)
    if spec["type"] == "level":
        return level_problem(value, spec["word"])
    wanted = PYTHON_TYPES[spec["type"]]
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        unit = f" ({spec['unit']})" if spec.get("unit") else ""
        seen = "something else" if spec.get("secret") else _show(value)
        return f"wanted {TYPE_NAMES[spec['type']]}{unit}, found {seen}"
    if spec["type"] == "int" and not spec["least"] <= value <= spec["most"]:
        return f"wanted {spec['least']} to {spec['most']} {spec['unit']}, found {value}"
    if spec["type"] in ("list", "map"):
        items = list(value) + (list(value.values()) if isinstance(value, dict) else [])
        return next((problem for problem in (_text_problem(item, spec) for item in items) if problem), None)
    return _text_problem(value, spec) if spec["type"] == "str" else None


def _text_problem(text, spec):
    if not isinstance(text, str):
        return f"wanted {TYPE_NAMES[spec['type']]}, found {_show(text)} in it"
    if "choices" in spec:
        choices = ", ".join(choice or "''" for choice in spec["choices"])
        return None if text in spec["choices"] else f"wanted one of {choices}, found {_show(text)}"
    if text == "" and spec["type"] == "str":
        return None
    if re.match(FORMS[spec["form"]] + r"\Z", text):
        return None
    seen = "the value given" if spec.get("secret") else _show(text)
    return f"{seen} is not allowed, it has to match {FORMS[spec['form']]}"


def level_problem(value, word="latest"):
    """Return what is wrong with a live patch level, or ``None``; ``word`` is the one that may stand for a level."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 999:
        return None
    if isinstance(value, str) and (value == word or re.match(FORMS["edition"] + r"\Z", value)):
        return None
    return f"wanted {word}, a number from 1 or an edition such as 3-150500.2.1, found {_show(value)}"


def _combinations(settings):
    """Return what is impossible although each key alone is right."""
    backup, restore, problems = settings["backup"], settings["restore"], []
    for key, needed in BACKEND_COMMANDS.items():
        if needed and backup["backend"] == "command" and not backup[key]:
            problems.append(f"pillar klp:backup:{key}: has to be given with klp:backup:backend command")
        elif backup["backend"] != "command" and backup[key]:
            problems.append(f"pillar klp:backup:{key}: means nothing without klp:backup:backend command")
        elif backup[key] and not re.match(FORMS["program"] + r"\Z", backup[key][0]):
            problems.append(
                f"pillar klp:backup:{key}: the program has to be an absolute path, found {_show(backup[key][0])}"
            )
    if restore["confirm"] not in ("", restore["backup"]):
        problems.append(
            f"pillar klp:restore:confirm: has to repeat klp:restore:backup ({_show(restore['backup'])}), "
            f"found {_show(restore['confirm'])}"
        )
    if not settings["tools"]["packages"] and not settings["tools"]["pattern"]:
        problems.append("pillar klp:tools: give packages or a pattern that brings the klp tool")
    return problems
