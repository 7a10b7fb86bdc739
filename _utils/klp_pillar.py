"""
The pillar key ``klp``: its closed schema (data), and the check of a pillar against it (pure functions).

A key has a type, a default, perhaps a unit, and one sentence. Types: ``bool``, ``int`` (with ``least`` and ``most``),
``str`` (with ``form``, a name of FORMS, or ``choices``), ``list`` (of ``str``), ``level``; with ``keys``: a group.
``docs/reference/pillar.md`` and ``pillar/schema.yaml`` are generated from it.
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
    "edition": r"[0-9][A-Za-z0-9._+~]*-[A-Za-z0-9._+~]+",
    "program": r"/(?!.*(?:^|/)\.\.(?:/|$))[^\x00-\x1f\x7f]{1,1023}",
    "word": r"[^\x00-\x1f\x7f]{0,1023}",
    "secret": r"[^\x00-\x20\x7f]{0,255}",
}
CATEGORIES = ("security", "recommended", "optional", "feature", "document", "yast")
SEVERITIES = ("critical", "important", "moderate", "low", "unspecified")

SCHEMA = {
    "run": {
        "type": "str",
        "form": "id",
        "default": "",
        "about": "Id of the run or campaign that backups belong to; empty: each host makes its own.",
    },
    "level": {
        "type": "level",
        "default": "latest",
        "about": "Live patch level: latest, a number (1 is the empty initial patch) or an edition (VERSION-RELEASE).",
    },
    "product": {
        "about": "The product that holds the live patches, activated where the host is registered and lacks it.",
        "keys": {
            "name": {
                "type": "str",
                "form": "name",
                "default": "sle-module-live-patching",
                "about": "Product identifier for SUSEConnect; empty: never touch the registration.",
            },
            "regcode": {
                "type": "str",
                "form": "secret",
                "default": "",
                "secret": True,
                "about": "Registration code of that product, if it needs one; given to SUSEConnect on standard input.",
            },
        },
    },
    "tools": {
        "about": "What has to be installed besides the live patch itself.",
        "keys": {
            "packages": {
                "type": "list",
                "form": "name",
                "default": ["kernel-livepatch-tools"],
                "about": "Packages with the klp tool.",
            },
            "pattern": {
                "type": "str",
                "form": "name",
                "default": "",
                "about": "Pattern to install as well, e.g. lp_sles; empty: none.",
            },
        },
    },
    "locks": {
        "about": "Package locks that keep ordinary patching from bringing a new kernel.",
        "keys": {
            "extra": {
                "type": "list",
                "form": "name",
                "default": [],
                "about": "Packages to lock besides the kernel packages of the running flavour (no globs).",
            },
        },
    },
    "update": {
        "about": "What a maintenance run installs besides the live patch.",
        "keys": {
            "categories": {
                "type": "list",
                "choices": CATEGORIES,
                "default": list(CATEGORIES),
                "about": "Categories of advisories to install.",
            },
            "severities": {
                "type": "list",
                "choices": SEVERITIES,
                "default": list(SEVERITIES),
                "about": "Severities of advisories to install.",
            },
            "exclude": {
                "type": "list",
                "form": "glob",
                "default": [],
                "about": "Ids of advisories to leave out; * and ? are wildcards.",
            },
            "others": {
                "type": "bool",
                "default": True,
                "about": "Also update packages that no advisory speaks of.",
            },
            "reboot": {
                "type": "bool",
                "default": False,
                "about": "Also install what asks for a reboot afterwards (never a kernel; this product never reboots).",
            },
            "licenses": {
                "type": "bool",
                "default": False,
                "about": "Agree to licences that an update asks about.",
            },
        },
    },
    "backup": {
        "about": "The way back, taken before anything is installed.",
        "keys": {
            "backend": {
                "type": "str",
                "choices": ("", "snapper", "command", "none"),
                "default": "",
                "about": "How the root volume is backed up: snapper, command, or none for hosts without a way back.",
            },
            "create": {
                "type": "list",
                "form": "word",
                "default": [],
                "about": "Backend command: program (absolute path) and arguments that make a backup and print its id.",
            },
            "verify": {
                "type": "list",
                "form": "word",
                "default": [],
                "about": "Backend command: program and arguments; exit 0 says the backup (last argument) is good.",
            },
            "config": {
                "type": "str",
                "form": "name",
                "default": "root",
                "about": "Backend snapper: configuration of the root volume.",
            },
            "max_age": {
                "type": "int",
                "least": 1,
                "most": 8760,
                "default": 24,
                "unit": "hours",
                "about": "How old the backup of an interrupted run may be when the run goes on; older: a new one.",
            },
            "timeout": {
                "type": "int",
                "least": 1,
                "most": 86400,
                "default": 1800,
                "unit": "seconds",
                "about": "Deadline of one command of the backup.",
            },
        },
    },
    "transition": {
        "about": "The time that tasks have to move to a new live patch.",
        "keys": {
            "timeout": {
                "type": "int",
                "least": 1,
                "most": 86400,
                "default": 300,
                "unit": "seconds",
                "about": "How long to wait for the end of a transition; the kernel's own reminders need about 60.",
            },
        },
    },
    "zypper": {
        "about": "Patience with zypper.",
        "keys": {
            "lock_timeout": {
                "type": "int",
                "least": 1,
                "most": 86400,
                "default": 300,
                "unit": "seconds",
                "about": "How long to wait for another zypper or rpm that holds its lock.",
            },
            "timeout": {
                "type": "int",
                "least": 60,
                "most": 86400,
                "default": 7200,
                "unit": "seconds",
                "about": "Deadline of one call of zypper; generous, since a package run must not be cut off.",
            },
        },
    },
    "verify": {
        "about": "Checks at the end of a run.",
        "keys": {
            "initrd": {
                "type": "bool",
                "default": True,
                "about": "Check with lsinitrd that the live patch is in the initrd of the running kernel.",
            },
            "unsigned_modules": {
                "type": "bool",
                "default": False,
                "about": "Accept a kernel that is tainted by unsigned modules (third-party drivers).",
            },
        },
    },
}

TYPE_NAMES = {"bool": "true or false", "int": "a whole number", "str": "a string", "list": "a list of strings"}
PYTHON_TYPES = {"bool": bool, "int": int, "str": str, "list": list}
BACKEND_COMMANDS = ("create", "verify")


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
    found, problems = _group({} if pillar is None else pillar, SCHEMA, "klp")
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


def _group(given, schema, path):
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
        return _group(given.get(key, {}), spec["keys"], path)
    if key not in given:
        return copy.deepcopy(spec["default"]), []
    problem = _value_problem(given[key], spec)
    if problem:
        return copy.deepcopy(spec["default"]), [f"pillar {path}: {problem}"]
    return list(given[key]) if spec["type"] == "list" else given[key], []


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
    """Return what is wrong with a value, or ``None``."""
    if spec["type"] == "level":
        return level_problem(value)
    wanted = PYTHON_TYPES[spec["type"]]
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        unit = f" ({spec['unit']})" if spec.get("unit") else ""
        seen = "something else" if spec.get("secret") else _show(value)
        return f"wanted {TYPE_NAMES[spec['type']]}{unit}, found {seen}"
    if spec["type"] == "int" and not spec["least"] <= value <= spec["most"]:
        return f"wanted {spec['least']} to {spec['most']} {spec['unit']}, found {value}"
    if spec["type"] == "list":
        return _list_problem(value, spec)
    return _text_problem(value, spec) if spec["type"] == "str" else None


def _list_problem(items, spec):
    return next((problem for problem in (_text_problem(item, spec) for item in items) if problem), None)


def _text_problem(text, spec):
    if not isinstance(text, str):
        return f"wanted a list of strings, found {_show(text)} in it"
    if "choices" in spec:
        choices = ", ".join(choice or "''" for choice in spec["choices"])
        return None if text in spec["choices"] else f"wanted one of {choices}, found {_show(text)}"
    if text == "" and spec["type"] == "str":
        return None
    if re.match(FORMS[spec["form"]] + r"\Z", text):
        return None
    seen = "the value given" if spec.get("secret") else _show(text)
    return f"{seen} is not allowed, it has to match {FORMS[spec['form']]}"


def level_problem(value):
    """Return what is wrong with a live patch level, or ``None``."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 999:
        return None
    if isinstance(value, str) and (value == "latest" or re.match(FORMS["edition"] + r"\Z", value)):
        return None
    return f"wanted latest, a number from 1 or an edition such as 3-150500.2.1, found {_show(value)}"


def _combinations(settings):
    """Return what is impossible although each key alone is right."""
    backup, problems = settings["backup"], []
    for key in BACKEND_COMMANDS:
        if backup["backend"] == "command" and not backup[key]:
            problems.append(f"pillar klp:backup:{key}: has to be given with klp:backup:backend command")
        elif backup["backend"] != "command" and backup[key]:
            problems.append(f"pillar klp:backup:{key}: means nothing without klp:backup:backend command")
        elif backup[key] and not re.match(FORMS["program"] + r"\Z", backup[key][0]):
            problems.append(
                f"pillar klp:backup:{key}: the program has to be an absolute path, found {_show(backup[key][0])}"
            )
    if not settings["tools"]["packages"] and not settings["tools"]["pattern"]:
        problems.append("pillar klp:tools: give packages or a pattern that brings the klp tool")
    return problems
