"""What administrators ask first: the index leads from their words to the page that answers."""

import re

import pytest

from tests import pages

INDEX = pages.CHECKOUT / "docs" / "index.md"
# The words of a question, and the page that has to answer it. Each word has to be in one row of the index that links to
# the page, and in the page itself.
QUESTIONS = [
    (("exclude", "hosts"), "how-to/what-comes.md"),
    (("maintenance windows", "SUSE Manager"), "how-to/suse-manager.md"),
    (("security only",), "how-to/what-comes.md"),
    (("glibc", "restart"), "how-to/what-comes.md"),
    (("due dates",), "how-to/report.md"),
    (("emergency", "CVE"), "how-to/cve.md"),
    (("snapper", "LVM", "xfs"), "how-to/backup.md"),
    (("cluster", "hooks"), "how-to/hooks.md"),
    (("application", "checks"), "how-to/health.md"),
    (("mail", "chat"), "how-to/tell.md"),
    (("staging",), "how-to/staging.md"),
    (("frozen", "repositories"), "how-to/staging.md"),
    (("Grafana",), "how-to/report.md"),
    (("publisher_acl", "external_auth", "salt-api"), "how-to/who-may.md"),
    (("AWX",), "how-to/scripts.md"),
    (("evidence",), "how-to/evidence.md"),
]


def rows():
    """Return the rows of the tables of the index: their text, and the pages that they link to."""
    lines = [line for line in INDEX.read_text().splitlines() if line.startswith("|")]
    return [(line.lower(), re.findall(r"\]\(([^)#]+\.md)", line)) for line in lines]


@pytest.mark.parametrize(("words", "page"), QUESTIONS)
def test_the_index_leads_from_the_words_of_a_question_to_its_answer(words, page):
    found = [line for line, links in rows() if page in links and all(word.lower() in line for word in words)]
    assert found, f"no row of the index has {words} and links to {page}"
    text = (INDEX.parent / page).read_text().lower()
    assert [word for word in words if word.lower() not in text] == []


def test_every_how_to_stands_in_the_index():
    linked = {link for _, links in rows() for link in links}
    assert {f"how-to/{path.name}" for path in (INDEX.parent / "how-to").glob("*.md")} <= linked


def test_the_metrics_that_pages_name_are_written():
    source = (pages.CHECKOUT / "_runners" / "klp" / "metrics.py").read_text()
    written = {f"salt_klp_{name}" for name in re.findall(r"[\"']([a-z_]+)[\"'{]", source)} | {"salt_klp_updates"}
    facts = (pages.CHECKOUT / "_utils" / "klp_facts.py").read_text()
    written |= {f"salt_klp_fact_{name}" for name in re.findall(r"_metric\(\s*\"([a-z_]+)\"", facts)} | {"salt_klp_fact"}
    for path in (INDEX.parent / "how-to").glob("*.md"):
        named = set(re.findall(r"\bsalt_klp_\w+\b", path.read_text())) - {"salt_klp_"}
        assert {name for name in named if not name.endswith("prom")} - written == set(), path
