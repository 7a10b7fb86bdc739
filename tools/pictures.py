"""
Make the pictures of the report on a fleet that the documentation shows, from one simulated host of each kind.

Usage: ``python tools/pictures.py [FOLDER]``, by default docs/pictures; needs what the tests in tests/browser need.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _runners.klp import page  # noqa: E402
from tests.browser.chromium import Browser  # noqa: E402
from tests.fleet import summary_of_each  # noqa: E402

# Of each picture: the screen, and the section that it ends with.
PICTURES: dict[str, tuple[dict, str]] = {
    "fleet-report.png": ({}, "restarts"),
    "fleet-report-dark.png": ({"dark": True}, "restarts"),
    "fleet-report-phone.png": ({"width": 390, "height": 844, "mobile": True}, "windows"),
}
BOTTOM = "return Math.ceil(document.getElementById(arguments[0]).getBoundingClientRect().bottom + scrollY + 24)"


def take(browser, source, folder):
    """Take all pictures of a page; returns their paths."""
    found = []
    for name, (screen, last) in PICTURES.items():
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
            source = Path(place, "fleet.html")
            source.write_text(page.html(summary_of_each()), "utf-8")
            for path in take(browser, source, folder):
                print(f"{path}: {path.stat().st_size // 1024} KiB")
    finally:
        browser.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
