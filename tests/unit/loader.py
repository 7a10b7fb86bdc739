"""Loads the minion's files the way Salt's loader does, by path, and reads recorded output."""

import importlib
import importlib.util
import inspect
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
UTILS = sorted(path.stem for path in (ROOT / "_utils").glob("*.py"))
MODULES = sorted(path.stem for path in (ROOT / "_modules").glob("*.py"))
STATES = sorted(path.stem for path in (ROOT / "_states").glob("*.py"))


def load(folder, name, **dunders):
    """Return ``FOLDER/NAME.py`` as a fresh module whose names of the loader (``__salt__`` ...) are ``dunders``."""
    path = ROOT / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"unit{folder}_{name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    module.__dict__.update(dunders)
    spec.loader.exec_module(module)
    return module


def functions(module, file_name):
    """Return the public functions of a module as the loader names them: ``{"virtualname.function": function}``."""
    virtual = getattr(module, "__virtualname__", file_name)
    alias = getattr(module, "__func_alias__", {})
    return {
        f"{virtual}.{alias.get(name, name)}": function
        for name, function in vars(module).items()
        if inspect.isfunction(function) and not name.startswith("_") and function.__module__ == module.__name__
    }


def utils():
    """Return all utils by name, as modules and states import them."""
    return {name: importlib.import_module(name) for name in UTILS}


def recorded(name):
    """Return the text of ``tests/data/NAME``."""
    return (DATA / name).read_text(encoding="utf-8")
