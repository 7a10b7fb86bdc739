"""What the tests of states share: a state is called, and what stands in for the functions of utils that it calls."""

import importlib
from unittest.mock import create_autospec

import pytest


class Functions:
    """Stand-ins for functions of utils, which act on a few values and count their calls."""

    def __init__(self, monkeypatch):
        self.monkeypatch, self.calls, self.given, self.real = monkeypatch, [], [], {}

    def set(self, **functions):
        """Replace functions, ``klp_live__package=...`` for ``klp_live.package``; they take what the real ones take."""
        for key, function in functions.items():
            name, attribute = key.split("__")
            module = importlib.import_module(name)
            real = self.real.setdefault(key, getattr(module, attribute))
            stand_in = create_autospec(real, side_effect=self.counted(key.replace("__", "."), function))
            self.monkeypatch.setattr(module, attribute, stand_in)

    def counted(self, name, function):
        def call(*args, **kwargs):
            self.calls.append(name)
            self.given.append(args[1:])  # without the host
            return function(*args, **kwargs)

        return call


@pytest.fixture
def functions(monkeypatch):
    """Replaces functions of utils."""
    return Functions(monkeypatch)


def apply(minion, state, *args, test=False, **kwargs):
    """Call a state function in test mode or not."""
    minion.opts["test"] = test
    folder, name = state.split(".")
    return getattr(minion.states[folder], name)("id", *args, **kwargs)


def raising(error):
    def function(*args, **kwargs):
        raise error

    return function
