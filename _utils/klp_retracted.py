"""
Live patches that their vendor has withdrawn: by advisories with status ``retracted``, read where zypper keeps them.

A live patch is good where the advisories of every enabled repository could be read and one of them speaks of live
patches. Anything else is "not known".

Source: libsolv (repo_mark_retracted_packages) and libzypp (isRetracted): what ``zypper search --details`` shows as
``vR`` or ``iR``. The XML of zypper does not show it, and ``zypper install NAME=EDITION`` installs it (measured).
"""

import os

from salt.exceptions import CommandExecutionError

import klp_cmd
import klp_family
import klp_paths
import klp_record
import klp_sys
import zypp_metadata
import zypp_parse
import zypp_repositories
import zypp_solver

RECORD = "retracted"
FILES = ("repomd.xml", "*updateinfo*")  # what the answer depends on
QUICK = 8 * 1024 * 1024  # packed bytes of advisories that are read while somebody waits for less than a second
NOT_SEEN = "no enabled repository has advisories of live patches: whether {} was withdrawn is not known"
NOT_READ = "the advisories of {} were not read yet; klp_audit.host does that"


def of(host, edition, quick=False):
    """
    Return whether a live patch of the running kernel was withdrawn.

    quick
        read only what takes no time, and start no zypper.

    Returns ``{"retracted" (bool, None for not known), "advisories": [ids], "read" (bool: all advisories could be read),
    "reason" (why it is not known, or None)}``.
    """
    return _of(host, _found(host, quick), edition)


def _of(host, found, edition):
    ids = found["packages"].get(host.live_patch_package, {}).get(edition, [])
    answer = {"retracted": bool(ids), "advisories": ids, "read": not found["reason"], "reason": None}
    if ids or (found["known"] and answer["read"]):
        return answer
    return dict(answer, retracted=None, reason=found["reason"] or NOT_SEEN.format(edition))


def marked(host, editions):
    """Return editions (dicts with ``edition``) with ``retracted`` (bool or None) each."""
    found = _found(host, False)
    return [dict(item, retracted=_of(host, found, item["edition"])["retracted"]) for item in editions]


def withdrawn(edition, advisories):
    """Return the clause that says that a live patch was withdrawn, and by which advisory."""
    return f"live patch {edition} was withdrawn by its vendor (retracted: {', '.join(advisories)})"


def _found(host, quick):
    """Return what ``zypp_metadata.retracted`` found, with ``reason``; kept until repositories or metadata change."""
    enabled = host.kept("repositories", [f"{klp_paths.REPOSITORIES}/*"], zypp_repositories.enabled)
    if not enabled:
        return _unknown(zypp_solver.NO_REPOSITORIES)
    files = zypp_repositories.files(enabled, FILES)
    return host.kept((RECORD, quick), files, lambda: _remembered(host, enabled, files, quick))


def _remembered(host, enabled, files, quick):
    def world():
        aliases = sorted(item["alias"] for item in enabled)
        return [host.release, aliases, [list(item) for item in klp_sys.fingerprint(files)]]

    there = klp_record.recall(RECORD, world())
    if there:
        return there["answer"]
    found = _read(host, enabled, quick)
    return found if found["reason"] else klp_record.remember(RECORD, world(), found)


def _read(host, enabled, quick):
    read = zypp_repositories.read(enabled)
    paths = zypp_repositories.updateinfo(read)
    if quick and sum(os.path.getsize(path) for path in paths.values() if os.path.isfile(path)) > QUICK:
        return _unknown(NOT_READ.format(", ".join(sorted(paths))))
    found = zypp_metadata.retracted(paths, klp_family.names(host.release)["prefix"])
    unread = sorted(found["unread"] + [alias for alias, item in read.items() if item is None])
    if unread and quick:
        return dict(found, reason=NOT_READ.format(", ".join(unread)))
    return dict(_ask(host, found) if unread else found, reason=None)


def _unknown(reason):
    return {"packages": {}, "known": False, "unread": [], "reason": reason}


def _ask(host, found):
    """Add what zypper says: it reads what Python cannot, and fetches what was never fetched."""
    listed = klp_cmd.parsed(zypp_parse.advisories, host.zypper(["list-patches", "--all"])["stdout"])
    gone = [item for item in listed if item["status"] == zypp_metadata.RETRACTED]
    packages = {name: dict(editions) for name, editions in found["packages"].items()}
    for ident, contents in sorted(zypp_solver.advisory_editions(host, gone).items()):
        for name, edition in contents.items():
            ids = packages.setdefault(name, {}).get(edition, [])
            packages[name][edition] = sorted(set(ids) | {ident})
    return dict(found, packages=packages, known=found["known"] or _seen(host))


def _seen(host):
    """Return whether zypper knows an advisory of live patches."""
    args = ["search", "--type", "patch", "--conflicts", f"{klp_family.names(host.release)['prefix']}*"]
    return bool(klp_cmd.parsed(zypp_parse.found_advisories, host.zypper(args, ok=(0, 104))["stdout"]))


def require_good(host, edition):
    """Raise CommandExecutionError for a live patch that was withdrawn; one of which that is not known may come."""
    found = of(host, edition)
    if found["retracted"]:
        raise CommandExecutionError(f"{withdrawn(edition, found['advisories'])} and is not installed")
