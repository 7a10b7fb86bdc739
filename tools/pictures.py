"""
Make the pictures of the report that the documentation shows: on one simulated host of each kind, and on the hosts that
the integration tests (``tests/integration/test_report.py``) have left in build/report, if they are there.

Usage: ``python tools/pictures.py [FOLDER]``, by default docs/pictures; needs what the tests in tests/browser need.
"""

import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "_utils")]

from _runners.klp import page  # noqa: E402
from tests.browser.chromium import Browser  # noqa: E402
from tests.fleet import summary_of_each  # noqa: E402

# Of each picture: the screen, and the section that it ends with.
PICTURES: dict[str, tuple[dict, str]] = {
    "fleet-report.png": ({}, "restarts"),
    "fleet-report-top.png": ({}, "attention"),
    "fleet-report-dark.png": ({"dark": True}, "restarts"),
    "fleet-report-phone.png": ({"width": 390, "height": 844, "mobile": True}, "windows"),
}
BOTTOM = "return Math.ceil(document.getElementById(arguments[0]).getBoundingClientRect().bottom + scrollY + 24)"


LAB: dict[str, tuple[dict, str]] = {"fleet-report-lab.png": ({}, "cves")}
REPORT = ROOT / "build" / "report" / "report.json"


def take(browser, source, folder, pictures):
    """Take all pictures of a page; returns their paths."""
    found = []
    for name, (screen, last) in pictures.items():
        browser.screen(**screen)
        browser.open(source)
        found.append(browser.picture(folder / name, browser.run(BOTTOM, last)))
    return found


def main(argv):
    """Write the pictures into a folder."""
    folder = Path(argv[1]) if len(argv) > 1 else ROOT / "docs/pictures"
    folder.mkdir(parents=True, exist_ok=True)
    browser = Browser()
    try:
        with tempfile.TemporaryDirectory() as place:
            sources = [(summary_of_each(), PICTURES)]
            sources += [(json.loads(REPORT.read_text())["summary"], LAB)] if REPORT.exists() else []
            for summary, pictures in sources:
                source = Path(place, "fleet.html")
                source.write_text(page.html(summary), "utf-8")
                for path in take(browser, source, folder, pictures):
                    print(f"{path}: {path.stat().st_size // 1024} KiB")
    finally:
        browser.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
