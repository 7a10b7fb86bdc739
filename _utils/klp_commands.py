"""
The form of pillar ``klp:health``: programs of the administrator and services that tell whether an application is well.
"""

import re

from klp_forms import FORMS
from klp_words import count

# Of klp:health:commands. A campaign waits for all of them at each look.
COMMANDS, WORDS, TIMEOUT, SECONDS, SERVICES = 50, 100, 30, 300, 50
TEMPLATE = re.compile(r"@(?:\.[a-z]+)?\Z")
COMMAND_KEYS = ("name", "run", "timeout")
KINDS = {str: "a string", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


def kind(value):
    """Return what a value is, for a message that must not show it: an argument may be a password."""
    return "nothing" if value is None else KINDS.get(type(value), "something else")


def problem(value):
    """
    Return what is wrong with ``klp:health:commands``, or ``None``; arguments are never shown.

    An empty mapping is no command: the form of SUSE Manager shows one sample of each list, and saves it.
    """
    if not isinstance(value, list):
        return f"wanted a list of commands, found {kind(value)}"
    if len(value) > COMMANDS:
        return f"wanted at most {COMMANDS} commands, found {len(value)}"
    for number, item in enumerate(value, 1):
        wrong = _command_problem(item) if item != {} else None
        if wrong:
            return f"command {number}: {wrong}"
    spent = sum(item.get("timeout", TIMEOUT) for item in value if item)
    total = count(spent, "second")
    return None if spent <= SECONDS else f"their timeouts add up to {total}, at most {SECONDS} are allowed"


def _command_problem(item):
    if not isinstance(item, dict):
        return f"wanted a mapping with the key run, found {kind(item)}"
    unknown = sorted(key if isinstance(key, str) else kind(key) for key in item if key not in COMMAND_KEYS)
    if unknown:
        return f"{unknown[0][:40]!r}: unknown key; known here: {', '.join(COMMAND_KEYS)}"
    name, timeout = item.get("name", "name"), item.get("timeout", TIMEOUT)
    if not isinstance(name, str) or not re.match(FORMS["name"] + r"\Z", name):
        return "name: wanted a word of letters, digits, dots and dashes"
    if isinstance(timeout, bool) or not isinstance(timeout, int) or not 1 <= timeout <= SECONDS:
        return f"timeout: wanted 1 to {SECONDS} seconds"
    return _argv_problem(item.get("run"))


def _argv_problem(argv):
    if not isinstance(argv, list) or not argv:
        found = "an empty list" if argv == [] else kind(argv)
        return f"run: wanted a list of words, the program first (no shell reads it), found {found}"
    if len(argv) > WORDS:
        return f"run: wanted at most {WORDS} words, found {len(argv)}"
    for number, word in enumerate(argv, 1):
        if not isinstance(word, str):
            return f"run: word {number} is {kind(word)}, wanted a string; put it into quotes"
        if not re.match(FORMS["word"] + r"\Z", word):
            return f"run: word {number} is too long or holds a control character"
    if not any(re.match(FORMS[form] + r"\Z", argv[0]) for form in ("name", "program")):
        return "run: the program has to be a name, or an absolute path"
    return None


def services_problem(value):
    """Return what is wrong with ``klp:health:services``, or ``None``."""
    if not isinstance(value, list):
        return f"wanted a list of services, found {kind(value)}"
    if len(value) > SERVICES:
        return f"wanted at most {SERVICES} services, found {len(value)}"
    for number, name in enumerate(value, 1):
        if not isinstance(name, str) or not re.match(FORMS["service"] + r"\Z", name):
            found = repr(name[:60]) if isinstance(name, str) else kind(name)
            return f"service {number}: wanted the name of a unit, without wildcards, found {found}"
        if TEMPLATE.search(name):
            return f"service {number}: {name} is a template, name an instance of it such as postgresql@main"
    return None


SERVICES_SCHEMA = {
    "type": "array",
    "maxItems": SERVICES,
    "items": {
        "type": "string",
        "pattern": "^(?:" + FORMS["service"] + ")$(?!\\n)",
        "not": {"type": "string", "pattern": "@(?:\\.[a-z]+)?$"},
    },
}
SCHEMA = {
    "type": "array",
    "maxItems": COMMANDS,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": ["run"]}, {"maxProperties": 0}],
        "properties": {
            "name": {"type": "string", "pattern": "^(?:" + FORMS["name"] + ")$(?!\\n)"},
            "run": {
                "type": "array",
                "minItems": 1,
                "maxItems": WORDS,
                "prefixItems": [
                    {"type": "string", "pattern": "^(?:" + FORMS["name"] + "|" + FORMS["program"] + ")$(?!\\n)"}
                ],
                "items": {"type": "string", "pattern": "^(?:" + FORMS["word"] + ")$(?!\\n)"},
            },
            "timeout": {"type": "integer", "minimum": 1, "maximum": SECONDS},
        },
    },
}
