"""Alert rules and dashboard use the metrics and labels that a report has, and no others."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from _runners.klp import changes, kinds, metrics, updates
from tests.fleet import document, one_of_each, summary_of_each
from tests.unit.report import summary
from tests.unit.targets import changed

ROOT = Path(__file__).resolve().parents[2]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "metadata/prometheus/salt-klp.rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((ROOT / "metadata/grafana/salt-klp.json").read_text())
TARGETS = [item for panel in DASHBOARD["panels"] for item in panel["targets"]]
ADDED = {"instance", "job"}  # by Prometheus itself
VALUES = {
    "kind": kinds.KINDS,
    "state": {*metrics.COUNTS, "left_out"},
    "stage": changes.STAGES,
    "severity": updates.SEVERITIES,
}


def example():
    """Return the metrics of one host of each kind."""
    found, silent = one_of_each()
    return "".join(metrics.lines(found, silent, summary_of_each()))


def known():
    """Return the labels of each metric that a report can have."""
    found: dict = {}
    moved = {"a": changed("a", "failed"), "b": document("b")}
    for text in (example(), "".join(metrics.lines(moved, {}, summary(*moved.values())))):
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


KNOWN = known()


@pytest.mark.parametrize("expression", [item["expr"] for item in [*RULES, *TARGETS]])
def test_expressions_use_metrics_and_labels_that_exist(expression):
    used = re.findall(r"(salt_klp_\w+)(?:\{([^}]*)\})?", expression)
    assert used
    for name, matchers in used:
        assert name in KNOWN, name
        for label, value in re.findall(r'(\w+)(?:=~|!=|=)"([^"]*)"', matchers):
            assert label in KNOWN[name], label
            assert value == "$group" or set(value.split("|")) <= set(VALUES[label]), value
    labels = {label.strip() for inside in re.findall(r"(?:by|on|group_left) \(([\w, ]+)\)", expression)
              for label in inside.split(",")}  # fmt: skip
    assert labels <= set.union(ADDED, *(KNOWN[name] for name, _ in used))


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_a_rule_says_what_is_wrong_and_what_to_run(rule):
    notes, (name, *_) = rule["annotations"], re.findall(r"salt_klp_\w+", rule["expr"])
    assert set(notes) == {"summary", "description"} and rule["labels"]["severity"] in ("warning", "critical")
    assert re.search(r"(un|lan a restart into a newer kernel): salt(-run)? ", notes["description"])
    assert set(re.findall(r"\$labels\.(\w+)", str(notes))) <= KNOWN[name] | ADDED
    assert re.fullmatch(r"\d+[mhd]", rule["for"])


def test_names_are_used_once():
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) and {panel["title"] for panel in DASHBOARD["panels"]} != {""}


def test_the_dashboard_has_one_source_and_its_panels_do_not_overlap():
    assert [item["name"] for item in DASHBOARD["templating"]["list"]] == ["datasource", "group"]
    sources = {item["datasource"]["uid"] for item in [*DASHBOARD["panels"], *TARGETS]}
    assert sources == {"${datasource}"} and "id" not in DASHBOARD
    taken: set = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    for target in TARGETS:
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= set.union(*KNOWN.values())


def test_every_metric_is_watched_or_shown():
    shown = set(re.findall(r"salt_klp_\w+", str([item["expr"] for item in [*RULES, *TARGETS]])))
    words = ("metadata_timestamp_seconds", "services_to_restart", "kernel_target_cves",
             "kernel_target_window_end_timestamp_seconds", "kernel_change_timestamp_seconds")  # fmt: skip
    assert set(KNOWN) - {f"salt_klp_{word}" for word in words} == shown  # those are details of the page
