"""
Make the pages that come from the schema: docs/reference/pillar.md and pillar/schema.yaml.

``python tools/docs.py`` writes them, ``python tools/docs.py --check`` fails if they are not what it would write.
"""

import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "pillar.md"
SCHEMA = ROOT / "pillar" / "schema.yaml"
HEAD = """# Pillar

All settings stand below the pillar key `klp`. The schema is closed: an unknown key, a wrong type or an impossible
combination is refused with its name before anything is changed on the host. `salt '*' klp.settings` shows what a host
makes of its pillar. Every key may be left out, except that nothing is installed before `klp:backup:backend` is chosen.

This page is made from the schema by `python tools/docs.py`; the same as JSON Schema is in `pillar/schema.yaml`, and
tested examples are in `pillar/examples`.
"""


def load(path: Path) -> ModuleType:
    """Return the schema module at ``path`` with a stand-in for Salt's exceptions, so that no Salt has to be there."""
    stub = ModuleType("salt.exceptions")
    stub.__dict__["SaltInvocationError"] = ValueError
    module = ModuleType("klp_pillar")
    with mock.patch.dict(sys.modules, {"salt": ModuleType("salt"), "salt.exceptions": stub}):
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)  # noqa: S102 - our own file
    return module


def rows(schema, path="klp"):
    """Yield one row of the table for each key."""
    for key, spec in schema.items():
        if "keys" in spec:
            yield f"| **`{path}:{key}`** | | | {spec['about']} |"
            yield from rows(spec["keys"], f"{path}:{key}")
        else:
            unit = f", {spec['unit']}" if "unit" in spec else ""
            yield f"| `{path}:{key}` | {kind(spec)}{unit} | {default(spec)} | {spec['about']} |"


def kind(spec):
    """Return the type of a key in words."""
    if spec["type"] == "level":
        return f"`{spec['word']}`, number or edition"
    if "choices" in spec:
        words = ", ".join(f"`{choice}`" for choice in spec["choices"] if choice)
        return f"list of {words}" if spec["type"] == "list" else f"one of {words}"
    if spec["type"] == "int":
        return f"{spec['least']} to {spec['most']}"
    return {"bool": "true or false", "str": "string", "list": "list of strings"}[spec["type"]]


def default(spec):
    """Return the default of a key in words."""
    value = spec["default"]
    if "choices" in spec and value == list(spec["choices"]):
        return "all"
    shown = yaml.safe_dump(value, default_flow_style=True).split("\n")[0]
    return {"[]": "none", "''": "empty"}.get(repr(value), f"`{shown}`")


def page(schema):
    """Return the text of the reference page."""
    table = ["| key | type, unit | default | meaning |", "|---|---|---|---|", *rows(schema)]
    return HEAD + "\n" + "\n".join(table) + "\n"


def json_schema(schema, forms):
    """Return the schema as JSON Schema (draft 2020-12)."""
    keys = {
        key: json_schema(spec["keys"], forms) | {"description": spec["about"]} if "keys" in spec else entry(spec, forms)
        for key, spec in schema.items()
    }
    return {"type": "object", "additionalProperties": False, "properties": keys}


def entry(spec, forms):
    """Return the JSON Schema of one key."""
    found = {"description": spec["about"], "default": spec["default"]}
    if spec["type"] == "level":
        edition = {"type": "string", "pattern": f"^(?:{spec['word']}|{forms['edition']})$(?!\\n)"}
        return found | {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 999}, edition]}
    if spec["type"] == "int":
        return found | {"type": "integer", "minimum": spec["least"], "maximum": spec["most"]}
    if spec["type"] == "bool":
        return found | {"type": "boolean"}
    if spec["type"] == "list":
        return found | {"type": "array", "items": text(spec, forms)}
    return found | text(spec, forms, empty=True)


def text(spec, forms, empty=False):
    """Return the JSON Schema of a string."""
    if "choices" in spec:
        return {"type": "string", "enum": list(spec["choices"])}
    form = forms[spec["form"]]
    return {"type": "string", "pattern": f"^(?:{form})?$(?!\\n)" if empty else f"^(?:{form})$(?!\\n)"}


class Indented(yaml.SafeDumper):
    """Dumper that indents lists below their key, as yamllint wants it."""

    def increase_indent(self, flow=False, indentless=False):
        """Never leave a list at the indentation of its key."""
        return super().increase_indent(flow, False)


def pages(module):
    """Return ``{path: text}`` of all generated files."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | json_schema(module.SCHEMA, module.FORMS)
    note = "# What may stand below the pillar key klp. Made by: python tools/docs.py\n---\n"
    return {
        PAGE: page(module.SCHEMA),
        SCHEMA: note + yaml.dump(whole, Dumper=Indented, sort_keys=False, width=110, allow_unicode=True),
    }


def main():
    """Write the pages, or with ``--check`` return 1 if one of them is not up to date."""
    made = pages(load(ROOT / "_utils" / "klp_pillar.py"))
    stale = [path for path, content in made.items() if not path.exists() or path.read_text() != content]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)}: not up to date, run: python tools/docs.py")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[path])
        print(f"{path.relative_to(ROOT)}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
