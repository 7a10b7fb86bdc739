"""
What pip and build call to make sdist and wheel (PEP 517): setuptools, with two differences.

* The version has the number of the build as its local part, as 0.2.0+1234.gabc1234: a newer build is newer. It is the
  number of commits with the id of the last one (``tools/build_number.sh``); without git and without a number that an
  sdist has kept, there is none.
* In the sdist the links of salt/ are links, as in the checkout; setuptools would put copies there.
"""

import io
import os
import subprocess
import tarfile

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - the other hooks are those of setuptools

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINKS = "salt/_"
NUMBER = "build-number"  # a file of the sdist


def number():
    """Return the number of this build, empty where it is unknown."""
    script = os.path.join(ROOT, "tools", "build_number.sh")
    return subprocess.run([script], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def _settings(settings):
    """Return the settings of a hook with the number of the build as local version."""
    tag = number()
    settings = dict(settings or {})
    if tag:
        given = settings.get("--global-option") or []
        options = [given] if isinstance(given, str) else list(given)
        settings["--global-option"] = ["egg_info", f"--tag-build=+{tag}", *options]
    return settings


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """Make the metadata of the wheel."""
    return build_meta.prepare_metadata_for_build_wheel(metadata_directory, _settings(config_settings))


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Make the wheel."""
    return build_meta.build_wheel(wheel_directory, _settings(config_settings), metadata_directory)


def build_sdist(sdist_directory, config_settings=None):
    """Make the sdist, with links where the checkout has them, and with the number of its build."""
    name = build_meta.build_sdist(sdist_directory, _settings(config_settings))
    path = os.path.join(sdist_directory, name)
    with tarfile.open(path) as made, tarfile.open(f"{path}.new", "w:gz") as new:
        for member in made.getmembers():
            _, _, inside = member.name.partition("/")
            if not inside.startswith(LINKS) and inside != NUMBER:
                new.addfile(member, made.extractfile(member) if member.isfile() else None)
        _finish(new, name[: -len(".tar.gz")])
    os.replace(f"{path}.new", path)
    return name


def _finish(archive, top):
    """Add the links and the number of the build."""
    folder = os.path.join(ROOT, "salt")
    for entry in sorted(os.listdir(folder)):
        if os.path.islink(os.path.join(folder, entry)):
            link = tarfile.TarInfo(f"{top}/salt/{entry}")
            link.type, link.linkname = tarfile.SYMTYPE, os.readlink(os.path.join(folder, entry))
            archive.addfile(link)
    text = (number() + "\n").encode()
    info = tarfile.TarInfo(f"{top}/{NUMBER}")
    info.size, info.mode = len(text), 0o644
    archive.addfile(info, io.BytesIO(text))
