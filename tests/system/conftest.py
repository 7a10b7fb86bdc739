"""Machines with a real kernel and their master. Each file of tests has machines of its own, and so runs by itself."""

import itertools
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.integration.conftest import Pillar, new_master, salt_factories_config  # noqa: F401
from tests.lab.build import CHECKOUT

from .guest import Guest

pytest.register_assert_rewrite("tests.system.power", "tests.system.volumes", "tests.system.yearly")

# What a SLES administrator would set as well: a backend for the backup, that unsigned modules are known here, and that
# the scriptlet of nfs-client fails here.
PILLAR = {
    "backup": {"backend": "snapper"},
    "verify": {"unsigned_modules": True},
    "transition": {"timeout": 300},
    "update": {"scriptlets": "accept"},
}
NUMBERS = itertools.count(1)
TRANSCRIPTS = CHECKOUT / "build/system"
MEASURED: list[tuple[str, tuple[str, float]]] = []


@pytest.fixture(scope="session")
def build():
    """The built machine; what cannot be built is an error, never a reason to skip."""
    from tests.lab.vm.build import build_vm

    found = build_vm()
    MEASURED.append(("step", ("building the virtual machine, now or at an earlier time", found.seconds)))
    return found


class Quiet(SimpleHTTPRequestHandler):
    """A web server that says nothing."""

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="session")
def repositories(build):
    """The URL of the repositories, as the guest sees it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=build.repos))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://10.0.2.2:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def pillar(tmp_path_factory):
    """The pillar, which the master reads."""
    return Pillar(tmp_path_factory.mktemp("pillar"), tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="session")
def declare(pillar):
    """Give a guest its pillar: what all have, and what is said here."""

    def write(guest, **klp):
        pillar.only(guest.name, {**PILLAR, **klp})

    return write


@pytest.fixture(scope="session")
def redeclare(declare):
    """Give a guest that runs already another pillar."""

    def write(guest, **klp):
        declare(guest, **klp)
        assert guest.salt("saltutil.refresh_pillar", "wait=True").data is True

    return write


@pytest.fixture(scope="session")
def master(salt_factories, pillar):
    """A running master with the checkout's file root; it is patient, because its minions are slow."""
    daemon = new_master(salt_factories, pillar, auto_accept=True, timeout=120, gather_job_timeout=120)
    with daemon.started():
        yield daemon


@pytest.fixture(scope="module")
def boot(master, event_listener, build, repositories, declare, step, tmp_path_factory, request):
    """
    Boot machines, ``boot("fresh")``: each a minion that has the modules; the end of the file switches them off.

    ``boot("lvm")`` and ``boot("thin")`` have what ``enabled`` has, on a logical volume; ``boot("grub")`` boots by GRUB.

    What ``salt`` said to the tests of the file is in build/system then.
    """
    started = []

    def start(image, **klp):
        name = f"sles{next(NUMBERS)}"
        folder = tmp_path_factory.mktemp("vm") / name
        guest = Guest(name, master, event_listener, build, folder, image, repositories)
        declare(guest, **klp)
        started.append(guest)
        with step("boot, until the minion answers"):
            guest.switched_on(guest.machine.start)
        with step("saltutil.sync_all"):
            done = guest.salt("saltutil.sync_all")
            assert done.rc == 0, done
        return guest

    yield start
    TRANSCRIPTS.mkdir(parents=True, exist_ok=True)
    name = request.module.__name__.rpartition(".")[2]
    (TRANSCRIPTS / f"{name}.txt").write_text("\n".join(text for guest in started for text in guest.transcript))
    for guest in started:
        guest.machine.stop()


@pytest.fixture(scope="session")
def step():
    """Measure a step: ``with step("reboot"): ...``; the terminal shows all of them at the end."""
    return step_of_a_test


@contextmanager
def step_of_a_test(name):
    """Measure one step, and keep it for the report of the test that is running."""
    begun = time.monotonic()
    try:
        yield
    finally:
        MEASURED.append(("step", (name, round(time.monotonic() - begun, 1))))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item):
    """Hand the steps over with the report, which finds its way from the workers of pytest-xdist."""
    item.user_properties += MEASURED
    MEASURED.clear()


def pytest_terminal_summary(terminalreporter):
    """Print how long each step took."""
    nodes: dict[str, list[tuple[str, float]]] = {}
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        steps = [value for key, value in getattr(report, "user_properties", ()) if key == "step"]
        if len(steps) > len(nodes.get(report.nodeid, ())):
            nodes[report.nodeid] = steps
    if nodes:
        terminalreporter.section("seconds per step")
    for node, steps in nodes.items():
        terminalreporter.write_line(node)
        for name, seconds in steps:
            terminalreporter.write_line(f"{seconds:9.1f}  {name}")
