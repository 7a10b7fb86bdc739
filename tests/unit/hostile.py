"""Strings that would do harm where a program, a shell or a terminal took them for something of its own."""

HOSTILE = {
    "shell": "; rm -rf /",
    "newline": "curl\nkernel-default",
    "end of line": "curl\n",
    "nul": "curl\0",
    "option": "--root=/",
    "dash": "-y",
    "climb": "../../etc/shadow",
    "substitution": "$(touch /tmp/hit)",
    "backticks": "`touch /tmp/hit`",
    "blank": "curl kernel-default",
    "carriage return": "curl\r",
    "escape": "\x1b[2Jcurl",
    "long": "a" * 5000,
}
# Arguments of the user's own backup programs may be anything that fits into one: they reach no shell.
CONTROL = ("newline", "end of line", "nul", "carriage return", "escape", "long")
# The registration code is given to one program on its standard input only; a blank or more than one line is no code.
CODE = (*CONTROL, "blank", "shell", "substitution", "backticks")
# Where a hostile word may stand in a value.
SHAPES: dict = {
    "list": [lambda word: [word], lambda word: ["curl", word]],
    "map": [lambda word: {word: "8.0-1"}, lambda word: {"libz1": "1-1", "curl": word}],
}


COMMAND = {"backend": "command", "create": ["/usr/bin/backup"], "verify": ["/usr/bin/verify"]}


def keys(schema, path=()):
    """Return the path of each key of a schema that holds strings, with what the schema says of it."""
    found = []
    for key, spec in schema.items():
        if "keys" in spec:
            found += keys(spec["keys"], (*path, key))
        elif spec["type"] in ("str", "list", "level", "map"):
            found.append(((*path, key), spec))
    return found


def pillar_with(path, value):
    """Return a pillar with one key; the backend is set where the key means nothing without it."""
    pillar = value
    for key in reversed(path):
        pillar = {key: pillar}
    if path[:2] in (("backup", "create"), ("backup", "verify")):
        pillar["backup"] = {**COMMAND, **pillar["backup"]}
    return pillar


def words_for(spec):
    """Return what of HOSTILE a key of the pillar has to refuse, ``spec`` is what the schema says of it."""
    if spec.get("form") == "word":
        return [HOSTILE[name] for name in CONTROL]
    if spec.get("form") == "secret":
        return [HOSTILE[name] for name in CODE if name != "backticks" or " " in HOSTILE[name]]
    return list(HOSTILE.values())


def values(spec, words):
    """Return values of the type of a key, each with one of the words in it."""
    return [shape(word) for shape in SHAPES.get(spec["type"], [lambda word: word]) for word in words]
