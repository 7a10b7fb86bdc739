"""
Advisories that bring some packages, whatever their status: what is known of CVEs.

Source: zypper(8) list-patches, search, info.
"""

import re

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_cmd
import klp_record
import zypp_packages
import zypp_parse
import zypp_solver

PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}\*?\Z")


def touching(host, patterns):
    """
    Return the advisories that bring some packages, whatever their status; kept until packages or metadata change.

    patterns
        list of package names; ``*`` may stand at the end.

    A list of ``{"id", "status", "severity", "cves", "packages": {name: edition that the advisory brings}}``. At most
    three zypper are started, and more where zypper has to be asked about more than 200 such advisories.
    """
    given = patterns if isinstance(patterns, list) else []
    if not given or not all(isinstance(item, str) and PATTERN.match(item) for item in given):
        raise SaltInvocationError(f"patterns: wanted a list of package names, found {repr(patterns)[:140]}")
    return klp_record.kept("advisories", lambda: [patterns, zypp_packages.world()], lambda: _touching(host, patterns))


def _touching(host, patterns):
    said = host.zypper(["search", "--type", "patch", "--conflicts"] + patterns, ok=(0, 104))
    zypp_solver.require_all(said)
    ids = klp_cmd.parsed(zypp_parse.found_advisories, said["stdout"])
    if not ids:
        return []
    listed = klp_cmd.parsed(zypp_parse.advisories, host.zypper(["list-patches", "--all"])["stdout"])
    known = {item["id"]: item for item in listed if item["id"] in set(ids)}
    packages = zypp_solver.advisory_editions(host, list(known.values()))
    lost = [item for item in ids if item not in known or item not in packages]
    if lost:
        raise CommandExecutionError(f"zypper: advisory {lost[0]} is found by search, but not by list-patches and info")
    return [
        dict({key: known[item][key] for key in ("id", "status", "severity", "cves")}, packages=packages[item])
        for item in ids
    ]
