"""A real browser without a screen, which reads pages from files and tells of everything that it was not let do."""

import logging

import pytest

from tests.browser.chromium import Browser


@pytest.fixture(scope="session")
def browsers():
    """Start browsers, ``browsers(script=False)``; each kind is started once, the end of the session stops them."""
    for name in ("selenium", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    started: dict[bool, Browser] = {}

    def start(script=True):
        if script not in started:
            started[script] = Browser(script)
        return started[script]

    yield start
    for one in started.values():
        one.stop()


@pytest.fixture
def browser(browsers):
    """A desktop browser with JavaScript, in its first state."""
    found = browsers()
    found.screen()
    return found
