"""
What becomes of a formula's form in SUSE Manager and Uyuni: what the browser saves, and the pillar that is made of it.

Written from the behaviour of Uyuni 2025 (its documentation leaves most of it out): of the web form that of
``FormulaComponentGenerator.tsx`` and ``EditGroup.tsx``, of the pillar that of ``suma_minion.py``, which merges the data
of group and system and then looks after what is empty.
"""

import copy

GROUPS = ("group", "hidden-group", "namespace")


def fields(layout):
    """Return the elements of a form, without its words."""
    return {key: part for key, part in layout.items() if not key.startswith("$") and isinstance(part, dict)}


def kind(element):
    """Return which of the four kinds of an edit-group an element is: a prototype without $type is a group."""
    prototype = element["$prototype"]
    inner = "groups" if prototype.get("$type", "group") == "group" else "values"
    return ("dictionary" if "$key" in prototype else "list") + " of " + inner


def shown(layout):
    """Return what the browser shows of a form that nobody has filled."""
    return {key: _shown(part) for key, part in fields(layout).items()}


def _shown(element):
    if element.get("$type") in GROUPS:
        return shown(element)
    if element.get("$type") == "edit-group":
        return _items(element)
    if element.get("$type") == "boolean":
        return element.get("$default", False)
    if element.get("$type") == "select":  # the browser's own list shows its first value
        return element.get("$default", element["$values"][0])
    return element.get("$default", "")


def _items(element):
    """An edit-group without a default shows one sample, at least $minItems of them."""
    found = copy.deepcopy(element.get("$default", []))
    while len(found) < max(1, element.get("$minItems", 0)):
        found.append(sample(element))
    return found


def sample(element):
    """Return what the button "Add Item" adds to an edit-group."""
    prototype = element["$prototype"]
    if kind(element) == "list of groups":
        return shown(prototype)
    value = _shown(dict(prototype, **{"$type": prototype.get("$type", "text")}))
    return ["", value] if kind(element) == "dictionary of values" else value


def saved(layout, values):
    """Return what is stored of the values of a form: lists without empty items, groups and lists only if not empty."""
    result = {}
    for key, element in fields(layout).items():
        value = _cleaned(element, values[key])
        if element.get("$type") in GROUPS:
            if value:
                result[key] = value
        elif value != []:
            # An emptied text has the length 0, but is false itself; it is stored, or what $ifEmpty has.
            empty = value is None or value == ""
            result[key] = element["$ifEmpty"] if empty and not element.get("$optional") and _has(element) else value
    return result


def _has(element):
    return bool(element.get("$ifEmpty")) or ("$ifEmpty" in element and element["$ifEmpty"] is None)


def _cleaned(element, value):
    if element.get("$type") in GROUPS:
        return saved(element, value)
    if element.get("$type") != "edit-group":
        return value
    if kind(element) == "list of values":
        return [item for item in value if item != ""]
    if kind(element) == "dictionary of values":
        return {key: item for key, item in value if key != ""}
    return [_inside(element["$prototype"], item) for item in value]


def _inside(prototype, item):
    """Items of a list of groups keep their empty values; only what is a list itself loses its empty items."""
    return {key: _cleaned(element, item[key]) for key, element in fields(prototype).items()}


def pillar(layout, group, system):
    """Return the pillar that a minion gets from what is stored of its group and of itself."""
    return _adjusted(layout, _merged(layout, group, system))


def _merged(layout, group, system):
    result = {}
    for key, element in fields(layout).items():
        if element.get("$type", "text") in GROUPS:
            result[key] = _merged(element, group.get(key, {}), system.get(key, {}))
        else:
            default = element.get("$default", element.get("$placeholder", ""))
            result[key] = system.get(key, group.get(key, default))
    return result


def _adjusted(layout, data):
    result = {}
    for key, element in fields(layout).items():
        value = data.get(key, "")
        if element.get("$type", "text") in GROUPS:
            value = _adjusted(element, data.get(key, {}))
        elif element.get("$type") == "edit-group" and kind(element) == "list of groups":
            value = [_adjusted(element["$prototype"], item) for item in value] if isinstance(value, list) else []
        if not value and "$ifEmpty" in element:  # false and 0 as well
            value = element["$ifEmpty"]
        if value or not element.get("$optional"):
            result[key] = value
    return result
