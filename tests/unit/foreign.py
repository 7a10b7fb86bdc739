"""Values of declared forms, those at the ends of what a form admits and any; and the report that is made of them."""

import csv
import io
import json
import re

from hypothesis import strategies as st

from _runners.klp import answers, collected, documents, evidence, fleet, metrics, page, reporting, shape, sheet
from tests import fleet as fleets

COMMAND = "salt '*' state.apply klp.patch"
TEXTS = [
    "",
    "=HYPERLINK(1)",
    "\N{FULLWIDTH EQUALS SIGN}1+1",
    "</script><img src=x onerror=alert(1)>",
    '"\\\r\n# TYPE salt_klp_host_up gauge\n',
    "\ud800",
    "a\u2028b\u202ec\x00\x1b[31m",
    "x" * 400,
]
WORDS = {
    documents.CVE: ["CVE-0000-0000", "CVE-9999-" + "9" * 19],
    documents.DATE: ["0000-00-00", "0001-01-01", "2026-02-30", "9999-12-31", "9999-99-99"],
    shape.NAME: ["_", "0", "a" * 256, "0" * 256, "0::::", "9-" * 128, "a^~+/"],
    answers.BOOT: ["-", "b" * 64],
    answers.TAINTED: ["0", "9" * 20],
    answers.SERVICE: ["_", "a" * 256],
    answers.SLS: ["_", "a" * 128],
}
SAMPLE = re.compile(r'salt_klp_[a-z_]+(\{[a-z]+="[^\n]*"\})? -?[0-9]+')


def words(form):
    """Return the words at the ends of a form, which has a description or none."""
    return next(found for word, found in WORDS.items() if (word.pattern, word.wanted) == (form.pattern, form.wanted))


def ends(form):
    """Return values at the ends of what a form admits."""
    if isinstance(form, shape.Whole):
        return [form.least, form.most, max(form.least, 0)]
    if isinstance(form, shape.Flag):
        return [False, True]
    if isinstance(form, shape.Line):
        return TEXTS
    if isinstance(form, shape.Word):
        return words(form)
    if isinstance(form, shape.Choice):
        return list(form.words)
    if isinstance(form, shape.Const):
        return [form.value]
    if isinstance(form, shape.Maybe):
        return [None, *ends(form.form)]
    if isinstance(form, shape.Each):
        inner = ends(form.form)
        return [[], *([item] for item in inner), inner]
    if isinstance(form, shape.Pairs):
        keys, values = ends(form.key), ends(form.value)
        return [{}, *({key: value} for key in keys for value in values)]
    assert isinstance(form, shape.Record), "of Plain nothing is promised"
    most = max(len(ends(inner)) for inner in form.forms.values())
    return [{key: pick(ends(inner), number) for key, inner in form.forms.items()} for number in range(most)]


def many(form):
    """Return a list of more values than are kept, where the form has a list whose values may be the same; else none."""
    form = form.form if isinstance(form, shape.Maybe) else form
    return [[value] * 300 for value in ends(form.form)] if isinstance(form, shape.Each) and not form.unique else []


def pick(values, number):
    """Return one of some values, the last one where there are not as many."""
    return values[min(number, len(values) - 1)]


def any_of(form):
    """Return the strategy of all values that a form admits, of lists the short ones."""
    if isinstance(form, shape.Whole):
        return st.integers(form.least, form.most)
    if isinstance(form, shape.Line):
        return st.sampled_from(TEXTS) | st.text(max_size=30)
    if isinstance(form, shape.Word):
        return st.sampled_from(words(form)) | st.from_regex(re.compile(form.pattern, re.ASCII), fullmatch=True)
    if isinstance(form, shape.Maybe):
        return st.none() | any_of(form.form)
    if isinstance(form, shape.Each):
        return st.lists(any_of(form.form), max_size=3, unique=form.unique)
    if isinstance(form, shape.Pairs):
        return st.dictionaries(any_of(form.key), any_of(form.value), max_size=3)
    if isinstance(form, shape.Record):
        return st.fixed_dictionaries({key: any_of(inner) for key, inner in form.forms.items()})
    return st.sampled_from(ends(form))


def report(found, silent=None, shown=True):
    """Make the whole report of some documents, and assert that each part of it is what its readers can read."""
    silent = silent or {}
    summary = fleet.summary(found, silent, fleets.SETTINGS, fleets.NOW)
    kept = collected.Documents()
    for host, document in found.items():
        kept[host] = document
    assert dict(kept) == found
    parts = ["".join(reporting.whole(kept, silent, summary)), reporting.text(summary, [])]
    assert json.loads(parts[0]) == {"summary": summary, "documents": found, "silent": silent}
    json.dumps([summary, found], allow_nan=False)
    rows = "".join(sheet.lines(found, silent, summary))
    for row in csv.reader(io.StringIO(rows, newline="")):
        assert len(row) == len(sheet.COLUMNS)
        assert not any(re.match(r"\s*([=+@\uff1d\uff0b\uff0d\uff20]|-(?!\d+$))", cell) for cell in row)
    lines = "".join(metrics.lines(found, silent, summary))
    assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in lines.split("\n")[:-1])
    html = page.html(summary) if shown else ""
    assert "<img" not in html
    seen = [evidence.host(one, "me", COMMAND) for one in found.values()]
    seen.append(json.loads("".join(evidence.fleet(found, "me", fleets.NOW, COMMAND) or ["null"])))
    for part in [*parts, rows, lines, html, json.dumps(seen, allow_nan=False)]:
        part.encode()
    return summary
