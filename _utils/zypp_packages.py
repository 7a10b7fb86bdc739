"""
What is installed on a host, by rpm. Nothing here asks a repository, and nothing changes the host.

Source: rpm(8), zypper(8) needs-rebooting.
"""

import os

from salt.exceptions import CommandExecutionError

import klp_cmd
import klp_parse
import klp_paths
import klp_sys
import zypp_cmd
import zypp_hints

NAME_AND_EDITION = "%{NAME}\\t%{VERSION}-%{RELEASE}\\n"


def _rpm(host, argv, reader=str):
    """
    Return what rpm prints, kept as long as its database is the same; its exit code only tells of absent names.

    reader
        makes data of it.
    """
    return host.kept(tuple(argv), klp_paths.RPM_DATABASE, lambda: klp_cmd.parsed(reader, _ask(host, argv)))


def _ask(host, argv):
    res = host.run(argv, ok=None, timeout=120)
    if "error:" in res["stderr"]:
        raise CommandExecutionError(f"rpm -q: {klp_cmd.shortened(res['stderr'].strip(), 600)}")
    return res["stdout"]


def installed(host, names):
    """Return which of some packages are installed, by one rpm query: ``{name: [editions]}``."""
    argv = ["rpm", "-q", "--qf", NAME_AND_EDITION] + zypp_cmd.check_names(names)
    return _rpm(host, argv, klp_parse.installed)


def packages(host):
    """Return all installed packages: ``{name: "edition,edition"}``."""
    found = _rpm(host, ["rpm", "-qa", "--qf", NAME_AND_EDITION], klp_parse.installed)
    return {name: ",".join(sorted(editions)) for name, editions in found.items()}


def providers(host, capability):
    """
    Return, sorted, the installed packages that provide a capability.

    capability
        ``NAME`` or ``NAME = VERSION``, e.g. ``pattern() = lp_sles``.
    """
    # rpm looks for a name only, whatever stands behind it (measured)
    name = zypp_cmd.check_capability(capability).split(" = ", 1)[0]
    argv = ["rpm", "-q", "--whatprovides", "--qf", "[%{=NAME}\\t%{PROVIDENAME} = %{PROVIDEVERSION}\\n]", name]
    lines = host.kept(tuple(argv), klp_paths.RPM_DATABASE, lambda: host.run(argv, ok=(0, 1))["stdout"]).splitlines()
    pairs = [line.split("\t", 1) for line in lines if "\t" in line]
    return sorted({owner for owner, what in pairs if capability in (what, what.split(" = ", 1)[0])})


def needreboot():
    """Return what asks for a reboot by the files of ``/etc/zypp``, as ``zypp_hints.read`` has it; starts no program."""
    folder, texts = klp_paths.NEEDREBOOT_FOLDER, {}
    there = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    more = [f"{folder}/{name}" for name in there if not name.endswith(zypp_hints.NOT_READ)]
    for path in [klp_paths.NEEDREBOOT] + more:
        texts[path] = klp_sys.text(path) or ""
    return zypp_hints.read(texts)


def needs_rebooting():
    """Return whether an installed package asked for a reboot since the start of the host (bool), by libzypp's flag."""
    return os.path.exists(klp_paths.REBOOT_FLAG)


def world():
    """Return a value that changes with the rpm database, the repositories and their metadata; plain data."""
    return [list(item) for item in klp_sys.fingerprint(klp_paths.RPM_DATABASE + klp_paths.METADATA)]
