"""The page of known problems names tests that exist, and says of each problem what is done or that nothing is."""

import pytest

from tests.unit.loader import ROOT
from tools import ledger

GOOD = """# Known problems

## Locks

### 1. A lock bites

Text.

* **Here:** it is seen.
* **Shown by:** `tests/unit/test_a.py::test_one`, `tests/unit/test_a.py::test_two[case: 1]`,
  `tests/unit/test_a.py::TestThree::test_four`

### 2. Another

* **Not handled yet:** do it by hand.
"""
TESTS = "def test_one(): pass\ndef test_two(): pass\nclass TestThree:\n    def test_four(self): pass\n    x = 1\n"


@pytest.fixture
def checkout(tmp_path):
    """A folder with a page and tests."""
    (tmp_path / "docs" / "explanation").mkdir(parents=True)
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    (tmp_path / "tests" / "unit" / "test_a.py").write_text(TESTS)

    def write(text=GOOD):
        (tmp_path / ledger.PAGE).write_text(text)
        return tmp_path

    return write


def test_the_page_of_this_checkout_is_right():
    assert ledger.check(ROOT) == []


def test_a_good_page(checkout):
    assert ledger.check(checkout()) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("test_a.py::test_one", "test_b.py::test_one", 10, "tests/unit/test_b.py: there is no such file"),
        ("::test_one", "::test_gone", 10, "tests/unit/test_a.py: there is no test test_gone"),
        ("TestThree::test_four", "TestThree::test_x", 11, "there is no test TestThree::test_x"),
        ("`tests/unit/test_a.py::test_one`", "tests/unit/test_a.py::test_one", 10, "not of the form"),
        ("`tests/unit/test_a.py::test_one`", "`tests/unit/test_a.py`", 10, "not of the form"),
        ("### 2. ", "### 3. ", 13, "wanted problem 2, found: ### 3. Another"),
        ("* **Not handled yet:** do it by hand.", "Nothing.", 13, "neither what is done here"),
        ("* **Here:** it is seen.\n", "", 5, "belong together"),
        ("* **Shown by:**", "* **See:**", 5, "belong together"),
        (GOOD, "# Known problems\n", 1, "no problem is told"),
        (GOOD[GOOD.index("`tests") : GOOD.index("\n\n### 2")], "many tests", 5, "no test is named"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(checkout, old, new, line, said):
    assert old in GOOD
    found = ledger.check(checkout(GOOD.replace(old, new, 1)))
    assert [number for number, _ in found] == [line] and said in found[0][1]


@pytest.mark.parametrize(("text", "code"), [(GOOD, 0), (GOOD.replace("test_one", "test_gone"), 1)])
def test_the_exit_code_tells(checkout, capsys, text, code):
    assert ledger.main(["ledger.py", str(checkout(text))]) == code
    assert f"{code} findings in {ledger.PAGE}" in capsys.readouterr().out
