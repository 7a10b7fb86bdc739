"""
Make the pages that come from the schemas of the pillar keys klp, klp_campaign and klp_report: docs/reference/pillar.md,
campaign.md and report.md, pillar/schema.yaml, campaign-schema.yaml and report-schema.yaml; docs/reference/hosts.md from
the table of families; docs/reference/host.schema.json from the form of a host's document.

``python tools/docs.py`` writes them, ``python tools/docs.py --check`` fails if they are not what it would write.
"""

import ast
import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import docs_text  # noqa: E402 - found once the root is on the path

PAGE = ROOT / "docs" / "reference" / "pillar.md"
SCHEMA = ROOT / "pillar" / "schema.yaml"
CAMPAIGN_PAGE = ROOT / "docs" / "reference" / "campaign.md"
CAMPAIGN_SCHEMA = ROOT / "pillar" / "campaign-schema.yaml"
REPORT_PAGE = ROOT / "docs" / "reference" / "report.md"
REPORT_SCHEMA = ROOT / "pillar" / "report-schema.yaml"
HOSTS_PAGE = ROOT / "docs" / "reference" / "hosts.md"
HOST_SCHEMA = ROOT / "docs" / "reference" / "host.schema.json"
UTILS = ROOT / "_utils"
RUNNER = ROOT / "_runners" / "klp.py"


def load(path: Path) -> ModuleType:
    """Return the util at ``path`` with a stand-in for Salt's exceptions, so that no Salt has to be there."""
    stub = ModuleType("salt.exceptions")
    stub.__dict__["SaltInvocationError"] = ValueError
    module = ModuleType("klp_pillar")
    module.__file__ = str(path)
    stubs = {"salt": ModuleType("salt"), "salt.exceptions": stub}
    with mock.patch.dict(sys.modules, stubs), mock.patch.object(sys, "path", [*sys.path, str(UTILS)]):
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)  # noqa: S102 - our own file
    return module


def load_part(name: str) -> ModuleType:
    """Return a file of _runners/klp: a part of a package, of which the other parts want Salt."""
    package = ModuleType("klp_runner")
    package.__path__ = [str(RUNNER.with_suffix(""))]
    with (
        mock.patch.dict(sys.modules, {package.__name__: package}),
        mock.patch.object(sys, "path", [*sys.path, str(UTILS)]),
    ):
        return importlib.import_module(f"{package.__name__}.{name}")


def rows(schema, path):
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
    if spec["type"] == "own":
        return spec["kind"]
    if spec["type"] == "level":
        return f"`{spec['word']}`, number or edition"
    if "choices" in spec:
        words = ", ".join(f"`{choice}`" for choice in spec["choices"] if choice)
        return f"list of {words}" if spec["type"] == "list" else f"one of {words}"
    if spec["type"] == "int":
        return f"{spec['least']} to {spec['most']}"
    if spec.get("single"):
        return "string, or list of strings"
    plain = {"bool": "true or false", "str": "string", "list": "list of strings", "map": "mapping of strings"}
    return plain[spec["type"]]


def default(spec):
    """Return the default of a key in words."""
    value = spec["default"]
    if "choices" in spec and value == list(spec["choices"]):
        return "all"
    shown = yaml.safe_dump(value, default_flow_style=True, width=1000).split("\n")[0]
    return {"[]": "none", "''": "empty", "{}": "empty"}.get(repr(value), f"`{shown}`")


def table(schema, path):
    """Return the table of all keys."""
    return "\n".join(["| key | type, unit | default | meaning |", "|---|---|---|---|", *rows(schema, path)]) + "\n"


def exit_codes():
    """Return the rows of the exit codes, as the docstring of the runner names them."""
    said = " ".join((ast.get_docstring(ast.parse(RUNNER.read_text())) or "").split())
    found = re.findall(r"(\d+) (.+?)(?=, \d+ |\.)", said.partition("the whole document: ")[2])
    return "\n".join(f"| {code} | {meaning} |" for code, meaning in found)


def verdicts(checks):
    """Return the rows of the verdicts."""
    return "\n".join(f"| `{verdict}` | {docs_text.VERDICTS[verdict]} |" for verdict in checks.VERDICTS)


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
    if spec["type"] == "own":
        return found | spec["schema"]
    if spec["type"] == "level":
        edition = {"type": "string", "pattern": f"^(?:{spec['word']}|{forms['edition']})$(?!\\n)"}
        return found | {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 999}, edition]}
    if spec["type"] == "int":
        return found | {"type": "integer", "minimum": spec["least"], "maximum": spec["most"]}
    if spec["type"] == "bool":
        return found | {"type": "boolean"}
    if spec["type"] == "list":
        listed = {"type": "array", "items": text(spec, forms)}
        return found | ({"anyOf": [text(spec, forms), listed]} if spec.get("single") else listed)
    if spec["type"] == "map":
        return found | {
            "type": "object",
            "propertyNames": text(spec, forms),
            "additionalProperties": text(spec, forms),
        }
    return found | text(spec, forms, empty=True)


def text(spec, forms, empty=False):
    """Return the JSON Schema of a string."""
    if "choices" in spec:
        return {"type": "string", "enum": list(spec["choices"])}
    form = forms[spec["form"]]
    return {"type": "string", "pattern": f"^(?:{form})?$(?!\\n)"} if empty else matching(form)


def matching(form):
    """Return the JSON Schema of a string that matches a regular expression of Python as a whole."""
    pattern = form if isinstance(form, str) else form.pattern.removesuffix(r"\Z")
    return {"type": "string", "pattern": f"^(?:{pattern})$(?!\\n)"}


def whole(least, most):
    """Return the JSON Schema of a whole number."""
    return {"type": "integer", "minimum": least, "maximum": most}


def own_schemas(module):
    """Return the JSON Schemas of what the schema of a campaign checks by functions of its own, by kind."""
    percent = matching("(?:[1-9][0-9]?|100)%")
    share, minutes = {"anyOf": [whole(1, 1000000), percent]}, {"type": "array", "items": whole(0, 10080)}
    clock = matching(module.maintenance.CLOCK)
    wave = {
        "name": matching(module.NAME),
        "take": {"anyOf": [*share["anyOf"], {"const": "rest"}]},
        "hosts": {"type": "array", "minItems": 1, "items": matching(module.HOST)},
        "target": matching(module.EXPRESSION),
        "batch": share,
        "soak": minutes,
        "failed": whole(0, 1000000),
        "unreachable": whole(0, 1000000),
    }
    days = {"type": "array", "minItems": 1, "items": {"enum": list(module.maintenance.DAYS)}}
    midnight = {"anyOf": [clock, {"const": module.maintenance.MIDNIGHT}]}
    date = matching("(?:19[7-9][0-9]|20[0-9]{2})-?[0-9]{2}-?[0-9]{2}")
    rule = {"type": "string", "maxLength": module.maintenance.recurrence.LENGTH}
    window = {"days": days, "rrule": rule, "since": date, "from": clock, "to": midnight}
    apart = {"not": {"required": ["days", "rrule"]}, "dependentRequired": {"since": ["rrule"]}}
    freeze = {"anyOf": [date, closed({"from": date, "to": date}, "from", "to")]}
    return {
        "target expression": matching(module.EXPRESSION),
        "grain or klp:group": matching(module.GRAIN),
        "absolute path": {"type": "string", "pattern": "^(?:/[^\\x00-\\x1f\\x7f]*)?$(?!\\n)"},
        "number or percentage": share,
        "list of minutes": minutes,
        "time zone": {"type": "string", "minLength": 1},
        "list of maintenance windows": {"type": "array", "items": closed(window, "from", "to") | apart},
        "list of days": {"type": "array", "items": freeze},
        "line of text": {"type": "string", "maxLength": 200, "pattern": "^[^\\x00-\\x1f\\x7f]*$(?!\\n)"},
        "list of waves": {
            "type": "array",
            "minItems": 1,
            "items": closed(wave, "name") | {"not": {"required": ["hosts", "target"]}},
        },
    }


def closed(keys, *required):
    """Return the JSON Schema of a mapping that has no other keys."""
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": keys}


def with_schemas(group, schemas):
    """Return a schema whose keys of type own have their JSON Schema."""
    return {
        key: spec | {"keys": with_schemas(spec["keys"], schemas)}
        if "keys" in spec
        else spec | ({"schema": schemas[spec["kind"]]} if spec["type"] == "own" else {})
        for key, spec in group.items()
    }


class Indented(yaml.SafeDumper):
    """Dumper that indents lists below their key, as yamllint wants it."""

    def increase_indent(self, flow=False, indentless=False):
        """Never leave a list at the indentation of its key."""
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data):
        """Write out what stands in two places."""
        return True


def hosts(family):
    """Return the page of the families: what is supported, their facts with the mark of each, their kernels."""
    supported = [f"| {row['name']} | {verdict(family, row)} |" for row in family.FAMILIES]
    lines = ["## What is supported\n", "| family | supported |", "|---|---|", *supported, ""]
    for row in family.FAMILIES:
        whole, head = family.USUAL | row, ["| fact | | mark |", "|---|---|---|"]
        told = ["systems"] if whole["refused"] == family.NONE_MADE else family.FACTS
        facts = [fact_row(family, whole, fact) for fact in told if whole[fact] is not None]
        lines += [f"## {row['name']}\n", *head, *facts, ""]
    lines += [docs_text.HOSTS_KERNELS]
    lines += ["| kernels of | live patch package | flavours and architectures |", "|---|---|---|"]
    for row in family.KERNELS:
        made = [f"`{flavour}` on {', '.join(arches)}" for flavour, arches in row["flavours"].items()]
        said = "; ".join([*made, *(row[key] for key in ("note", "refused") if key in row)])
        lines.append(f"| {row['of']} | `{family.NAMES[row['names']]['prefix']}...` | {said} |")
    return "\n".join([docs_text.HOSTS_HEAD, *lines]) + "\n"


def verdict(family, row):
    """Return in words whether a family is supported."""
    refused = family.refused(family.USUAL | row | {"system": ""}, False)
    return f"no: {refused.split(': ', 1)[1]}" if refused else "yes"


def fact_row(family, row, fact):
    """Return one row of the table of a family."""
    value = row[fact]
    if fact == "systems":
        shown = "; ".join(
            f"`{', '.join(ids)}` `{versions}`".replace("|", "\\|") + (f" (`{variant}`)" if variant else "")
            for ids, versions, variant in value
        )
    elif fact == "names":
        shown = ", ".join(f"`{name.format('FLAVOUR')}`" for name in family.NAMES[value].values())
    elif fact == "code":
        shown = "yes, since late 2024" if value else "no: it is activated by hand"
    elif fact in ("own", "common"):
        shown = ", ".join(f"`kernel-FLAVOUR{item}`" if fact == "own" else f"`kernel-{item}`" for item in value)
    else:
        shown = ", ".join(f"`{item}`" for item in ([value] if isinstance(value, str) else value) if item) or "none"
    return f"| {family.FACTS[fact]} | {shown} | {row['marks'].get(fact, 'documented')} |"


def json_page(schema, forms, key):
    """Return the text of a file with a schema as JSON Schema."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | json_schema(schema, forms)
    note = f"# What may stand below the pillar key {key}. Made by: python tools/docs.py\n---\n"
    return note + yaml.dump(whole, Dumper=Indented, sort_keys=False, width=110, allow_unicode=True)


def pages():
    """Return ``{path: text}`` of all generated files."""
    pillar, campaign, report = load(UTILS / "klp_pillar.py"), load_part("schema"), load_part("reporting")
    checks = load(UTILS / "klp_checks.py")
    known, told = (with_schemas(part.SCHEMA, own_schemas(campaign)) for part in (campaign, report))
    tail = docs_text.CAMPAIGN_TAIL.replace("{codes}", exit_codes()).replace("{verdicts}", verdicts(checks))
    return {
        PAGE: f"{docs_text.HEAD}\n{table(pillar.SCHEMA, 'klp')}",
        SCHEMA: json_page(pillar.SCHEMA, pillar.FORMS, "klp"),
        CAMPAIGN_PAGE: f"{docs_text.CAMPAIGN_HEAD}\n{table(campaign.SCHEMA, 'klp_campaign')}{tail}",
        REPORT_PAGE: f"{docs_text.REPORT_HEAD}{table(report.SCHEMA, 'klp_report')}",
        REPORT_SCHEMA: json_page(told, pillar.FORMS, "klp_report"),
        CAMPAIGN_SCHEMA: json_page(known, pillar.FORMS, "klp_campaign"),
        HOSTS_PAGE: hosts(load(UTILS / "klp_family.py")),
        HOST_SCHEMA: json.dumps(load_part("documents").schema(), indent=1) + "\n",
    }


def main():
    """Write the pages, or with ``--check`` return 1 if one of them is not up to date."""
    made = pages()
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
