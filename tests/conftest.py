"""Fixtures that all tests share."""

import logging

import pytest


def pytest_sessionfinish():
    """The log server of the factories still has lines of the daemons when pytest has closed its streams."""
    logging.raiseExceptions = False


@pytest.fixture(scope="session")
def lab():
    """The built lab; every worker of pytest-xdist gets the same one."""
    from tests.lab.build import build

    return build()


@pytest.fixture
def host(lab):
    """Start hosts, ``host("enabled")`` or ``host("fresh", name="sles2")``; the end of the test stops them."""
    from tests.lab.host import Host

    started: list[Host] = []

    def start(golden="fresh", name=None, **kwargs):
        started.append(Host(lab, name or f"sles{len(started) + 1}", golden, **kwargs))
        return started[-1].start()

    yield start
    for one in started:
        one.stop()
