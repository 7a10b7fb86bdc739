"""Numbers in sentences: one host, two hosts, and no message that counts by itself."""

import ast
import re
from pathlib import Path

import pytest

import klp_words

ROOT = Path(__file__).resolve().parents[2]
NOUNS = (
    "host package second day hour minute time check value key argument character module byte repositorie lock "
    "CVE wave backup record entrie step campaign word service restart advisorie file version kernel update task "
    "group week month set plan run level line"
)
COUNTED = re.compile(rf"^ (?:{'|'.join(NOUNS.split())})s\b")


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "host", "0 hosts"),
        (1, "host", "1 host"),
        (2, "repository", "2 repositories"),
        (1, "entry", "1 entry"),
        (3, "day", "3 days"),
        (1, "y", "1 y"),
        (1.0, "second", "1.0 seconds"),
    ],
)
def test_a_noun_is_in_the_form_of_its_number(number, noun, text):
    assert klp_words.count(number, noun) == text


def is_limit(node):
    """A constant of the code is known to be more than one; a number with a format is no count."""
    name = getattr(node.value, "attr", getattr(node.value, "id", ""))
    return name.isupper() or node.format_spec is not None


def found(tree):
    """Yield what a file counts by itself: ``f"{number} hosts"``, ``"{} hosts"``, ``"%d hosts"``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for value, text in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                    if COUNTED.match(str(text.value)) and not is_limit(value):
                        yield node.lineno, text.value
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for part in re.split(r"\{\w*\}|%d", node.value)[1:]:
                if COUNTED.match(part):
                    yield node.lineno, part


def messages():
    folders = ("_modules", "_states", "_utils", "_runners", "_engines", "_beacons", "_output")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", messages(), ids=lambda path: path.stem)
def test_no_message_says_one_hosts(path):
    assert list(found(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_the_look_for_such_messages_finds_them():
    seen = found(
        ast.parse('f"{n} hosts"; f"{LIMIT} hosts"; "{} days old"; "%d packages"; f"{n} host is"; f"{n:.1f} days"')
    )
    assert sorted(text for _, text in seen) == [" days old", " hosts", " packages"]
