"""
Compile and import what minions load with a real Python 3.6.

Usage: ``python3 tools/py36.py``. Looks for a Python 3.6 on PATH and in ~/.pyenv, and runs itself there.

Salt does not have to be installed: its modules are replaced by empty ones that answer every name. So what is
proved is that the syntax, the imports from the standard library and the module level of each file work.
Without a Python 3.6 it says so and exits 0: then only vermin has looked at the syntax.
"""

import glob
import importlib.abc
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import types

FOLDERS = ("_modules", "_states", "_utils", "_grains", "_beacons")
# What is there on every minion, but perhaps not beside this interpreter.
REPLACED = ("salt", "yaml", "contextvars")
ASK = "import sys; print(sys.version_info[:2])"
# What the import of a broken file raises; anything else is a reason for a traceback.
BROKEN = (SyntaxError, ImportError, AttributeError, NameError, TypeError, ValueError, LookupError, OSError)


class Stub(types.ModuleType):
    """A module that has every name: exceptions where the name says so, else one more module like this."""

    __path__: list = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = type(name, (Exception,), {}) if name.endswith("Error") else Stub(self.__name__ + "." + name)
        setattr(self, name, value)
        return value

    def __call__(self, *args, **kwargs):
        """Give back the function that is decorated, or another stub."""
        return args[0] if len(args) == 1 and callable(args[0]) and not kwargs else self


class StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import hook that makes a Stub for everything below the packages in REPLACED."""

    def find_spec(self, name, path=None, target=None):
        """Claim the names below the replaced packages."""
        if name.split(".")[0] in REPLACED:
            return importlib.util.spec_from_loader(name, self)
        return None

    def create_module(self, spec):
        """Make the empty module."""
        return Stub(spec.name)

    def exec_module(self, module):
        """Nothing to run."""


def interpreter():
    """Return the path of a Python 3.6 that really starts, or None."""
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    for candidate in ["python3.6", *sorted(glob.glob(os.path.join(pyenv, "versions/3.6*/bin/python3.6")))]:
        try:
            told = subprocess.check_output([candidate, "-c", ASK], stderr=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError):
            continue
        if told.strip() == b"(3, 6)":
            return candidate
    return None


def load(path):
    """Compile and import one file by its path."""
    name = path.replace(os.sep, "_")[: -len(".py")]
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = types.ModuleType(name)
    module.__file__ = path
    loader.exec_module(module)
    if getattr(module, "PROBLEM", None):  # it has caught what it could not import
        raise ImportError(module.PROBLEM)


def inside():
    """Load every file with the running interpreter; return the number of failures."""
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, StubFinder())
    sys.path.insert(0, os.path.abspath("_utils"))
    failed = 0
    paths = sorted(path for folder in FOLDERS for path in glob.glob(os.path.join(folder, "*.py")))
    for path in paths:
        try:
            load(path)
        except BROKEN as exc:
            failed += 1
            print(f"{path}: {type(exc).__name__}: {exc}")
    print(f"Python {sys.version.split()[0]}: {len(paths)} files compiled and imported, {failed} failed")
    return failed


def main(argv):
    """Find a Python 3.6 and run ``inside`` there."""
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
    if argv[1:] == ["--inside"]:
        return 1 if inside() else 0
    python = interpreter()
    if python is None:
        print("no Python 3.6 interpreter here: syntax checked by vermin only")
        return 0
    return subprocess.call([python, os.path.join("tools", "py36.py"), "--inside"])


if __name__ == "__main__":
    sys.exit(main(sys.argv))
