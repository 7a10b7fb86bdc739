"""The report on a fleet in a real browser: it opens alone, finds what is searched for, and is readable everywhere."""

import resource
import time

import pytest

from _runners.klp import fleet, kinds, page
from tests.browser.chromium import CONTRAST, WIDTH
from tests.fleet import GLIBC, NOW, SETTINGS, documents, summary_of_each
from tests.unit.report import HOSTILE, hostile

SHOWN = {
    "old1": "No live patching",
    "hana1": "Stalled",
    "build1": "Locks lost",
    "db2": "Window expired",
    "db1": "Needs a reboot",
    "web2": "Live patch pending",
    "mail1": "Updates pending",
    "mail2": "Updates left out",
    "edge1": "Window unknown",
    "mail3": "Not certain",
    "lost1": "No answer",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The page of one host of each kind."""
    path = tmp_path_factory.mktemp("page") / "fleet.html"
    path.write_text(page.html(summary_of_each()), "utf-8")
    return path


@pytest.fixture(scope="module")
def hundreds(tmp_path_factory):
    """The page of 300 hosts: more than have a column each."""
    path = tmp_path_factory.mktemp("page") / "fleet.html"
    path.write_text(page.html(fleet.summary(documents(300), {}, SETTINGS, NOW)), "utf-8")
    return path


def test_it_opens_alone_and_without_a_complaint(browser, small):
    browser.open(small)
    assert browser.complaints() == []
    assert browser.requests() == [small.as_uri()]


def test_every_kind_is_where_it_belongs(browser, small):
    browser.open(small)
    attention = browser.texts("#attention tbody tr")
    for host, label in SHOWN.items():
        assert [row for row in attention if host in row and label in row], host
    assert not [row for row in attention if "web1" in row]
    lanes = browser.texts("#windows .lane")
    assert [row for row in lanes if "expired 2026-08-24" in row] and [row for row in lanes if "estimate" in row]
    assert "db2" in browser.text("#restarts tbody tr") and "101" in browser.text("#restarts .late:not(b)")
    assert "lost1" in browser.text("#silent") and len(browser.texts("#host-table tbody tr")) == 12


def test_hosts_are_found_filtered_and_sorted(browser, small):
    browser.open(small)
    browser.set("host-text", "HANA1 sapinit")
    assert [row.split()[0] for row in browser.texts("#host-table tbody tr")] == ["hana1"]
    assert browser.text("#host-count") == "1 of 12 hosts"
    browser.set("host-text", "")
    browser.set("host-kind", "reboot")
    assert [row.split()[0] for row in browser.texts("#host-table tbody tr")] == ["db1"]
    browser.set("host-kind", "")
    browser.set("host-sort", "days")
    assert [row.split()[0] for row in browser.texts("#host-table tbody tr")][:3] == ["db2", "build1", "db1"]
    browser.set("host-sort", "updates")
    rows = browser.texts("#host-table tbody tr")
    assert [row.split()[0] for row in rows][:2] == ["mail1", "mail2"]
    assert "6 pending\n4 severe" in rows[0] and "1 left out\n1 severe" in rows[1]
    assert GLIBC["id"] in browser.text("#left-out tbody tr") and "mail2" in browser.text("#left-out tbody tr")
    browser.driver.find_element("css selector", '.card [data-kind="expired"]').click()
    assert browser.texts("#host-table tbody th") == ["db2\ndb\nWindow expired"]


def test_cves_are_found_and_filtered(browser, small):
    browser.open(small)
    browser.set("cve-text", "31431")
    assert [row.split()[0] for row in browser.texts("#cve-table tbody tr")] == ["CVE-2026-31431"]
    assert browser.text("#matrix tbody tr").split() == [
        *("CVE-2026-31431", "critical"),
        *("·", "R", "·", "·", "·", "·", "·", "·", "–", "·", "P"),
    ]
    browser.set("cve-text", "")
    browser.set("cve-host", "edge")
    assert browser.texts("#matrix thead th") == ["CVE", "edge1"]
    browser.set("cve-state", "?")
    assert [row.split()[0] for row in browser.texts("#matrix tbody tr")] == ["CVE-2026-22871"]
    browser.set("cve-host", "")
    browser.set("cve-state", "")
    browser.set("cve-severity", "low")
    assert [row.split()[0] for row in browser.texts("#cve-table tbody tr")] == ["CVE-2025-68724"]
    assert browser.text("#cve-count") == "1 of 5 CVEs"


def test_a_command_is_copied(browser, small):
    browser.open(small)
    grant = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    browser.command("Browser.grantPermissions", **grant)
    browser.driver.find_element("css selector", "#attention tbody tr:nth-child(3) button").click()
    read = "const done = arguments[0]; navigator.clipboard.readText().then(done, (error) => done(String(error)));"
    deadline = time.monotonic() + 20
    while (found := browser.driver.execute_async_script(read)) != "salt hana1 klp.blockers":
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    assert browser.text("#attention tbody tr:nth-child(3) button") in ("Copied", "Copy")


def test_hosts_that_are_the_same_share_a_column(browser, hundreds):
    browser.open(hundreds)
    heads = browser.texts("#matrix thead th span")
    assert len(heads) == 40 and "+" in heads[0] and "300 hosts in" in browser.text("#matrix-lead")
    browser.set("cve-host", "srv0001")
    assert browser.texts("#matrix thead th span") == [f"srv0001{number}" for number in range(10)]
    browser.set("cve-host", "")
    browser.set("cve-state", "R")
    first = browser.run(
        "return [...document.querySelectorAll('#matrix tbody tr td:nth-child(2)')].map(i => i.textContent)"
    )
    assert "R" in first


def test_more_hosts_come_with_scrolling_and_with_the_button(browser, hundreds):
    browser.open(hundreds)
    rows = "return document.querySelectorAll('#host-table tbody tr').length"
    assert browser.run(rows) == 50
    browser.run("document.getElementById('host-more').click()")
    assert browser.run(rows) == 100
    browser.run("const box = document.getElementById('host-box'); box.scrollTop = box.scrollHeight")
    deadline = time.monotonic() + 20
    while browser.run(rows) < 150:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    browser.run("const more = document.getElementById('matrix-more'); while (!more.hidden) more.click()")
    count = "return document.querySelectorAll(arguments[0]).length"
    assert browser.run(count, "#matrix tbody tr") == browser.run(count, "#cve-table tbody tr") > 100


def test_it_is_readable_without_javascript(browsers, small):
    browser = browsers(script=False)
    browser.screen()
    browser.open(small)
    assert browser.complaints() == []
    for host, label in SHOWN.items():
        assert [row for row in browser.texts("#attention tbody tr") if host in row and label in row], host
    assert len(browser.texts(".card")) == 14 and "1 of 12" in browser.text(".figures")
    assert len(browser.texts("#windows .lane .said")) == 6 and len(browser.texts("#restarts tbody tr")) == 5
    assert [row.split()[0] for row in browser.texts("#cve-table tbody tr")][0] == "CVE-2026-31431"
    assert "needs JavaScript" in browser.text("#hosts") and browser.texts("form, button") == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("path", ["small", "hundreds"])
def test_it_is_right_on_a_phone(browser, path, dark, request):
    browser.screen(390, 844, dark=dark, mobile=True)
    browser.open(request.getfixturevalue(path))
    width, screen = browser.run(WIDTH)
    assert width <= screen == 390
    assert browser.run(CONTRAST) == []


@pytest.mark.parametrize("path", ["small", "hundreds"])
def test_it_fits_on_paper(browser, path, request):
    browser.screen(794, 1123, paper=True)
    browser.open(request.getfixturevalue(path))
    assert browser.run(WIDTH) == [794, 794] and browser.texts("nav, button, form, #hosts") == []
    assert browser.run(CONTRAST) == []


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_has_contrast(browser, small, dark):
    browser.screen(dark=dark)
    browser.open(small)
    assert browser.run(CONTRAST) == []
    assert browser.run(WIDTH)[0] <= 1280


@pytest.mark.parametrize(("name", "screen"), [
    ("light", {}), ("dark", {"dark": True}), ("phone", {"width": 390, "height": 844, "mobile": True}),
])  # fmt: skip
def test_pictures_can_be_taken(browser, small, tmp_path, name, screen):
    browser.screen(**screen)
    browser.open(small)
    found = browser.picture(tmp_path / f"{name}.png").read_bytes()
    assert found.startswith(b"\x89PNG") and len(found) > 50_000


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_that_a_host_writes_is_run(browser, tmp_path, text):
    path = tmp_path / "fleet.html"
    path.write_text(page.html(hostile(text)), "utf-8")
    browser.open(path)
    assert browser.complaints() == [] and browser.requests() == [path.as_uri()]
    for name in ("host-text", "cve-text", "cve-host"):
        browser.set(name, kinds.clean(text)[:40])
    assert browser.run("return document.images.length + document.scripts.length") == 2
    browser.screen(390, 844, mobile=True)
    width, screen = browser.run(WIDTH)
    assert width <= screen


def test_ten_thousand_hosts_stay_smooth(browser, tmp_path, record_property):
    found = documents(10_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.monotonic()
    path = tmp_path / "fleet.html"
    path.write_text(page.html(fleet.summary(found, {}, SETTINGS, NOW)), "utf-8")
    built = time.monotonic() - begin
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    size = path.stat().st_size / 1e6
    loaded = browser.open(path)
    hosts = browser.latency("host-text", ["s", "sr", "srv0", "srv01", "srv012", "web", "kernel", "x", ""])
    choice = browser.latency("host-kind", ["reboot", "pending", "covered", ""])
    cves = browser.latency("cve-text", ["2", "20", "2025", "2025-1", "2026", ""])
    figures = {"build s": built, "memory MB": more, "page MB": size, "load s": loaded,
               "hosts ms": hosts, "kind ms": choice, "cves ms": cves}  # fmt: skip
    print({name: round(value, 2) for name, value in figures.items()})
    for name, value in figures.items():
        record_property(name, value)
    assert browser.complaints() == []
    assert size < 5 and built < 60 and loaded < 30 and max(hosts, choice, cves) < 1000
