"""
The check of the pillar key ``klp`` against its closed schema, which is data in ``klp_schema``. Pure functions.

The schema of the pillar key ``klp_campaign`` (``_runners/klp/schema.py``) is checked by the same functions.
"""

import copy
import difflib
import re

from salt.exceptions import SaltInvocationError

from klp_levels import level_problem
from klp_levels import show as _show
from klp_schema import FORMS, SCHEMA

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


def check(pillar, name=None, kernel=None):
    """
    Compare what stands below the pillar key ``klp`` (anything at all) with the schema.

    name
        id of the host: what a campaign says of it goes over what its pillar says.
    kernel
        ``uname -r``: what ``klp:levels`` has for it goes over ``klp:level``.

    Returns ``(settings, problems)``: complete settings (a wrong value is replaced by its default) and a list of one
    sentence for each wrong key or value. The settings may be used only if there are no problems.
    """
    found, problems = compare({} if pillar is None else pillar, SCHEMA, "klp")
    if not problems:
        found["level"] = found["levels"].get(kernel, found["level"])
        problems = _combinations(found) + _campaign(found, name)
    return found, problems


def _campaign(found, name):
    """Let the levels that a campaign has for a host be its own; return what is wrong with them."""
    problems = []
    for key, group, word in (("level", found, "latest"), ("rollback", found["rollback"], "previous")):
        level = found["campaign"][key].get(name)
        problem = level_problem(level, word) if level is not None else None
        if problem:
            problems.append(f"pillar klp:campaign:{key}:{_plain(name)}: {problem}")
        elif level is not None:
            group["level"] = level
    return problems


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
    value = [given[key]] if spec.get("single") and isinstance(given[key], str) else given[key]
    problem = _value_problem(value, spec)
    if problem:
        return copy.deepcopy(spec["default"]), [f"pillar {path}: {problem}"]
    return copy.deepcopy(value), []


def _unknown(key, schema, path):
    close = difflib.get_close_matches(str(key), list(schema), 1)
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(schema))}"
    return f"pillar {path}:{_plain(key)}: unknown key; {hint}"


def _plain(key):
    return key if isinstance(key, str) and re.match(r"[\w.-]{1,60}\Z", key) else _show(key)


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
        if value == "":  # as the form of SUSE Manager has an emptied field
            return f"is empty; wanted {TYPE_NAMES[spec['type']]}{unit}, or leave the key out"
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
