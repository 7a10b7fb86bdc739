"""What the tests of the report share: fleets with hostile texts, and readers of what is written of a fleet."""

import html.parser
import json
import re
from pathlib import Path

import jsonschema
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from _runners.klp import fleet
from tests.fleet import NOW, SETTINGS, changed, check, document, one_of_each

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs/reference/host.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script>",
    "$(reboot)",
    "'; reboot; '",
    "`reboot`",
    "=cmd|'/c calc'!A1",
    "a\x00b\x1b[2Jc\nd\re\u202ef\u2028g\ud800h",
    "x" * 5000,
]


def summary(*found, silent=None, **settings):
    return fleet.summary({item["host"]: item for item in found}, silent or {}, {**SETTINGS, **settings}, NOW)


def only(**changes):
    """Return the row of the only host of a fleet."""
    found = document(**changes)
    VALIDATOR.validate(found)
    return summary(found)["hosts"][0]


def leaves(found, path=()):
    """Yield the path of every string in a document."""
    for key, value in found.items() if isinstance(found, dict) else enumerate(found):
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*path, key))
        elif isinstance(value, str):
            yield (*path, key)


def poisoned(text, found):
    """Return a document with a text in every string that the schema leaves free."""
    for path in list(leaves(found)):
        place = found
        for key in path[:-1]:
            place = place[key]
        before, place[path[-1]] = place[path[-1]], text
        if not VALIDATOR.is_valid(found):
            place[path[-1]] = before
    return found


def hostile(text):
    """Return a fleet whose every host has a text in every string, even as its name."""
    found = {
        f"{text}{name}": poisoned(text, changed(item, checks=[check("c", "failed", "r")], problems=["p"]))
        for name, item in one_of_each()[0].items()
    }
    return fleet.summary(found, {f"{text}lost": text}, SETTINGS, NOW)


VOID = {"meta", "input", "br", "link", "img"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "nav", "div", "span"),
    *("p", "a", "h1", "h2", "h3", "b", "strong", "em", "small", "code", "ul", "ol", "li", "table", "caption", "thead"),
    *("tbody", "tr", "th", "td", "svg", "rect", "line", "text", "form", "label", "input", "select", "option", "output"),
    *("button", "script", "details", "summary"),
}


class Reader(html.parser.HTMLParser):
    """Read a page, and fail where it is not well-formed."""

    def __init__(self, text):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def section(text, name):
    """Return the HTML of one section."""
    return text.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def embedded(text):
    """Return the embedded data, each table as mappings, as the script reads it."""
    found = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[0])
    for name in ("hosts", "cves"):
        found[name] = [dict(zip(found[name]["keys"], row, strict=True)) for row in found[name]["rows"]]
    return found


def samples(text):
    """Return ``{metric: {labels: value}}`` as the Python client of Prometheus reads it."""
    found: dict = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge" and family.documentation.endswith(".")
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in found.setdefault(sample.name, {})
            found[sample.name][labels] = sample.value
    return found


GROUPS = ("", "web", "db")
DUE = st.one_of(st.none(), st.integers(-40, 120))
HOSTS = st.lists(st.tuples(st.sampled_from(GROUPS), DUE), max_size=60)
SHARE, WEEKS = st.integers(1, 100), st.integers(1, 12)
