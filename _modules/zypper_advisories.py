"""
Advisories of SUSE hosts that bring some packages: the fourth file of the module ``zypper``.

:depends: ``zypper``
"""

import re

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError

__virtualname__ = "zypper"

PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}\*?\Z")
PART = 200  # ids that one call is asked about; an argument list has an end
WORLD = [
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages*",
    "/var/lib/rpm/Packages",
    "/var/cache/zypp/solv/*/cookie",
    "/etc/zypp/repos.d/*",
    "/etc/zypp/*.conf",
]


def __virtual__():
    if "zypp_cmd.zypper" not in __utils__:
        return False, "zypper: _utils/zypp_cmd.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "zypper: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _read(args, ok=(0,), xml=True):
    patience = __utils__["klp_pillar.settings"](__pillar__.get("klp"))["zypper"]
    run = __utils__["klp_cmd.run"]
    return __utils__["zypp_cmd.zypper"](run, __salt__["cmd.run_all"], patience, args, ok=ok, xml=xml)["stdout"]


def _parse(reader, text):
    try:
        return __utils__[f"zypp_parse.{reader}"](text)
    except ValueError as exc:
        raise CommandExecutionError(str(exc)) from exc


def world():
    """
    Return a value that changes with the rpm database, the repositories and their metadata; plain data.

    CLI Example::

        salt '*' zypper.world
    """
    return [list(item) for item in __utils__["klp_sys.fingerprint"](WORLD)]


def touching(patterns):
    """
    Return the advisories that bring some packages, whatever their status; kept until ``zypper.world`` changes.

    patterns
        list of package names; ``*`` may stand at the end.

    A list of ``{"id", "status", "severity", "cves", "packages": {name: edition that the advisory brings}}``. At most
    three zypper are started, and more where there are more than 200 such advisories. Source: zypper(8) list-patches,
    search, info.

    CLI Example::

        salt '*' zypper.touching '[kernel-default, kernel-livepatch-*]'
    """
    given = patterns if isinstance(patterns, list) else []
    if not given or not all(isinstance(item, str) and PATTERN.match(item) for item in given):
        raise SaltInvocationError(f"patterns: wanted a list of package names, found {repr(patterns)[:140]}")
    there = __utils__["klp_record.recall"]("advisories", [patterns, world()])
    if there:
        return there["answer"]
    found = _touching(patterns)
    return __utils__["klp_record.remember"]("advisories", [patterns, world()], found)  # zypper may refresh its caches


def _touching(patterns):
    said = _read(["search", "--type", "patch", "--conflicts"] + patterns, ok=(0, 104))
    ids = _parse("found_advisories", said)
    if not ids:
        return []
    __utils__["zypp_cmd.check_names"](ids, "advisory")
    known = {item["id"]: item for item in _parse("advisories", _read(["list-patches", "--all"]))}
    packages = {}
    for first in range(0, len(ids), PART):
        part = ids[first : first + PART]
        packages.update(_parse("advisory_editions", _read(["info", "--type", "patch"] + part, xml=False)))
    lost = [item for item in ids if item not in known or item not in packages]
    if lost:
        raise CommandExecutionError(f"zypper: advisory {lost[0]} is found by search, but not by list-patches and info")
    return [
        dict({key: known[item][key] for key in ("id", "status", "severity", "cves")}, packages=packages[item])
        for item in ids
    ]
