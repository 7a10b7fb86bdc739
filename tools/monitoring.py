"""
Check alert rules and dashboards: every expression is PromQL; with promtool also the rules and their tests.

Usage: ``python tools/monitoring.py``. Needs promql-parser. promtool is optional (Debian package prometheus).
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import promql_parser
import yaml

ROOT = Path(__file__).resolve().parent.parent
RULES = sorted((ROOT / "metadata" / "prometheus").glob("*.rules.yml"))
DASHBOARDS = sorted((ROOT / "metadata" / "grafana").glob("*.json"))
TESTS = sorted((ROOT / "tests" / "data" / "prometheus").glob("*_test.yml"))


def expressions():
    """Yield ``(file, expression)`` of every rule and panel; variables of Grafana have a value."""
    for path in RULES:
        groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        yield from ((path.name, rule["expr"]) for group in groups for rule in group["rules"])
    for path in DASHBOARDS:
        panels = json.loads(path.read_text(encoding="utf-8"))["panels"]
        yield from ((path.name, item["expr"].replace("$group", ".*")) for panel in panels for item in panel["targets"])


def unparsed():
    """Yield what is wrong with expressions."""
    for name, expression in expressions():
        try:
            promql_parser.parse(expression)
        except ValueError as exc:
            yield f"{name}: {expression}: {exc}"


def promtool(tool):
    """Return the exit codes of promtool, which prints what is wrong."""
    calls = (["check", "rules", *map(str, RULES)], ["test", "rules", *map(str, TESTS)])
    return [subprocess.run([tool, *words]).returncode for words in calls]  # noqa: S603


def main():
    """Check everything."""
    wrong = list(unparsed())
    print("\n".join([*wrong, f"{len(list(expressions()))} expressions, {len(wrong)} findings"]), flush=True)
    tool = shutil.which("promtool")
    if tool is None:
        print("promtool is not here: the rules are not checked by it (Debian package prometheus)")
    return 1 if wrong or (tool and any(promtool(tool))) else 0


if __name__ == "__main__":
    sys.exit(main())
