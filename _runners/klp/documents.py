"""
What ``klp_audit.host`` of a host answers, and what may be believed of it: the form of ``host.schema.json``, no more.
"""

from __future__ import annotations

import re
import sys

import klp_checks

from . import answers
from .fleet import SEVERITIES

NAME, VERSION = "salt-klp/host", 3
CVE = re.compile(r"CVE-\d{4}-\d{4,19}\Z")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
LONGEST = 20000  # CVEs or advisories of one list
LINES = 200  # sentences of one list that are kept

TEXT, NUMBER, FLAG = (str, type(None)), (int, type(None)), (bool, type(None))
DOCUMENT = {
    "schema": str,
    "version": int,
    "host": str,
    "time": int,
    "boot": TEXT,
    "os": str,
    "arch": str,
    "group": str,
    "kernel": str,
    "kernel_edition": TEXT,
    "verdict": klp_checks.VERDICTS,
    "checks": [{"check": str, "verdict": klp_checks.VERDICTS, "detail": str}],
    "transition": {"state": ("ready", "in_progress", "unknown"), "blockers": "lines"},
    "live_patch": {
        "package": TEXT,
        "edition": TEXT,
        "level": NUMBER,
        "active": TEXT,
        "newest": TEXT,
        "held": TEXT,
        "retracted": FLAG,
    },
    "locks": {"missing": "lines?"},
    "taint": {"value": NUMBER, "errors": "lines"},
    "window": {
        "state": ("open", "expired", "unknown"),
        "first": "date",
        "last": "date",
        "days": NUMBER,
        "estimate": (None, {"last": "date", "days": NUMBER}),
        "limit": (None, {"max_level": int, "reached": bool}),
        "source": TEXT,
        "reason": str,
    },
    "reboot": {
        "needed": FLAG,
        "verdict": (klp_checks.OK, klp_checks.FAILED, klp_checks.UNKNOWN),
        "kernel": TEXT,
        "live_patch": TEXT,
        "reasons": "lines",
    },
    "cves": {
        "fixed_live": "cves",
        "fixed_kernel": int,
        "pending": "cves",
        "reboot": "cves",
        "unknown": "cves",
        "severity": "severities",
        "contradictions": "lines",
        "reason": TEXT,
    },
    "updates": {
        "pending": dict.fromkeys(SEVERITIES, int),
        "left_out": [
            {"id": str, "severity": SEVERITIES, "kernel": bool, "reason": str, "since": NUMBER},
            LONGEST,
        ],
        "restart": {"host": "lines?", "services": "lines?"},
        "repositories": [{"alias": str, "time": NUMBER, "frozen": FLAG}, LONGEST],
        "reason": TEXT,
    },
    "problems": "lines",
}


def document(host, value):
    """
    Return the document of a host, checked, its texts as they may be shown and kept.

    Raises ``answers.NonsenseError`` with a clause that says what is wrong with it, also for another host's document,
    ``answers.ForeignError`` for a host of another system.
    """
    answers.bounded(value)
    answers.spoken(host, value)
    if not isinstance(value, dict) or value.get("schema") != NAME:
        raise answers.NonsenseError(f"its answer is no document: {answers.text(value)}")
    if value.get("version") != VERSION:
        found = answers.text(value.get("version"))
        raise answers.NonsenseError(f"its document has version {found}, wanted {VERSION}; bring both to one version")
    if value.get("host") != host:
        raise answers.NonsenseError(f"its document is of another host: {answers.text(value.get('host'))}")
    found = _group(value, DOCUMENT, "document")
    states = [found["cves"][key] for key in ("fixed_live", "pending", "reboot", "unknown")]
    if sum(map(len, states)) != len(set().union(*states)):
        raise answers.NonsenseError("its document has one CVE in two states")
    return found


def _group(value, form, path):
    if not isinstance(value, dict) or set(value) != set(form):
        wrong = set(form) ^ set(value) if isinstance(value, dict) else {"a mapping"}
        raise answers.NonsenseError(f"{path}: missing or unknown: {answers.text(', '.join(sorted(map(str, wrong))))}")
    return {key: _value(value[key], kind, f"{path}:{key}") for key, kind in form.items()}


def _value(value, kind, path):
    if isinstance(kind, dict):
        return _group(value, kind, path)
    if isinstance(kind, list):
        return _rows(value, path, *kind)
    if isinstance(kind, str):
        return CHECKS[kind](value, path)
    if isinstance(kind, tuple) and kind[0] is None:
        return None if value is None else _group(value, kind[1], path)
    if isinstance(kind, tuple) and isinstance(kind[0], str):
        return value if isinstance(value, str) and value in kind else _wrong(value, path)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return _wrong(value, path)
    return sys.intern(answers.text(value)) if isinstance(value, str) else value


def _wrong(value, path):
    raise answers.NonsenseError(f"{path}: found {answers.text(value)}")


def _rows(value, path, form, longest=None):
    """Return rows of a form: the first LINES of them, or all of them where none may be missing (``longest``)."""
    if not isinstance(value, list) or len(value) > (longest or len(value)):
        return _wrong(value, path)
    return [_group(item, form, path) for item in value[: longest or LINES]]


def _lines(value, path):
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return _wrong(value, path)
    return [sys.intern(answers.text(item)) for item in value[:LINES]]


def _maybe_lines(value, path):
    return None if value is None else _lines(value, path)


def _date(value, path):
    return value if value is None or (isinstance(value, str) and DATE.match(value)) else _wrong(value, path)


def _cves(value, path):
    if not isinstance(value, list) or len(value) > LONGEST:
        return _wrong(value, path)
    for item in value:
        if not isinstance(item, str) or not CVE.match(item):
            return _wrong(item, path)
    if len(set(value)) != len(value):
        return _wrong("one CVE twice", path)
    return [sys.intern(item) for item in value]


def _severities(value, path):
    if not isinstance(value, dict) or len(value) > 4 * LONGEST:
        return _wrong(value, path)
    for cve, word in value.items():
        if not isinstance(cve, str) or not CVE.match(cve) or word not in SEVERITIES:
            return _wrong(f"{cve}: {word}", path)
    return {sys.intern(cve): sys.intern(word) for cve, word in value.items()}


CHECKS = {"lines": _lines, "lines?": _maybe_lines, "date": _date, "cves": _cves, "severities": _severities}
