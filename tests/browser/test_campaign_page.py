"""The page of a running campaign in a real browser: readable everywhere, and its reader decides whether it reloads."""

import time

import pytest

from tests.browser.chromium import CONTRAST, WIDTH
from tests.unit.campaigns import HOSTILE, JOB, Written, under_way


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The page of a campaign that is under way."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(under_way().html(wait={"for": "wave one", "until": 1800000300}), "utf-8")
    return path


@pytest.mark.parametrize("screen", [{}, {"dark": True}, {"width": 390, "height": 844, "mobile": True}])
def test_it_opens_alone_and_is_readable(browser, running, screen):
    browser.screen(**screen)
    browser.open(running)
    assert browser.complaints() == [] and browser.requests() == [running.as_uri()]
    width, wide = browser.run(WIDTH)
    assert width <= wide == screen.get("width", 1280) and browser.run(CONTRAST) == []
    assert "salt b klp.verify" in browser.text("#blocked") and "running" in browser.text("header .badge")


def test_its_reader_stops_the_reloading_and_what_is_unfolded_stays(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(under_way().html().replace('data-seconds="10"', 'data-seconds="0.2"'), "utf-8")
    browser.open(path)
    browser.run("document.querySelectorAll('details')[1].open = true; window.mine = 1")
    deadline = time.monotonic() + 20
    while browser.run("return window.mine"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert browser.run("return [...document.querySelectorAll('details')].map((fold) => fold.open)") == [True, True]
    browser.driver.find_element("css selector", "#again").click()
    browser.run("window.mine = 1")
    time.sleep(0.6)
    assert browser.run("return window.mine") == 1 and browser.complaints() == []


def test_without_javascript_it_reloads_by_itself(browsers, running):
    browser = browsers(script=False)
    browser.open(running)
    assert browser.complaints() == [] and not browser.texts("#again") and "salt d test.ping" in browser.text("#blocked")


def test_nothing_that_a_host_writes_is_run(browser, tmp_path):
    found = Written([HOSTILE, "b"], waves=[{"name": "all"}]).begin().start([HOSTILE], JOB).end([HOSTILE], JOB, HOSTILE)
    path = tmp_path / "page.html"
    path.write_text(found.html(), "utf-8")
    browser.open(path)
    assert browser.complaints() == [] and browser.run("return document.scripts.length") == 1
