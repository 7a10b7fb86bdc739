"""
Scriptlets that failed: the package is installed, what its script was to do is not done. rpm forgets that, we do not.

A record is there until it is cured: another edition is installed, or the same one again without a failure, by whomever;
or the package is gone. That somebody else has installed it again is read in libzypp's own log, and believed only from
there.

Source: zypper(8), exit code 107; the log (``/var/log/zypp/history``) is measured, libzypp's HistoryLog.cc.
"""

import os
import time

from salt.exceptions import CommandExecutionError

import klp_cves
import klp_paths
import klp_record
import zypp_cmd
import zypp_packages
import zypp_parse

RECORD = "scriptlets"
MOST = 500  # packages that are remembered, the newest ones
LARGEST = 64 * 1024 * 1024  # bytes of the log that are read
FIELDS = {"edition": str, "time": int, "log": int}


def _read():
    found = klp_record.read(RECORD, {})
    for name, item in found.items():
        good = isinstance(item, dict) and {key: type(value) for key, value in item.items()} == FIELDS
        if not good or ":" in name or not zypp_cmd.NAME.match(f"{name}={item['edition']}"):
            raise CommandExecutionError(
                f"{klp_paths.RECORDS}/{RECORD}.json: not what salt-klp wrote; repair it or move it away"
            )
    return found


def failed(host):
    """Return the packages whose scriptlet failed and was not seen to end well since: ``{name: edition}``, sorted."""
    return {name: item["edition"] for name, item in sorted(_left(host).items())}


def _left(host):
    there = _read()
    if not there:
        return {}
    found = zypp_packages.installed(host, sorted(there))
    return {
        name: item for name, item in there.items() if item["edition"] in found.get(name, []) and not _cured(name, item)
    }


def split(whole):
    """Return ``(name, edition)`` of a package as rpm names it, ``NAME-VERSION-RELEASE.ARCH``."""
    parts = whole.rsplit(".", 1)[0].rsplit("-", 2)
    return parts[0], klp_cves.without_epoch("-".join(parts[1:]))


def _cured(name, item):
    """
    Return whether the log, from where the failure was recorded, has an installation of this edition without one.

    What rpm said stands before the line of the installation, and what scripts at the end of all said stands behind.
    """
    cured = bad = False
    for line in _log(item["log"]):
        if line.startswith("#"):
            if (name, item["edition"]) in map(split, zypp_parse.failed_scriptlets(line)):
                cured, bad = False, True
            continue
        parts = [part.strip() for part in line.split("|")]
        cured = not bad if parts[1:4] == ["install", name, item["edition"]] else cured
        bad = False
    return cured


def _log(offset):
    """Return the lines of the log from there on; all of them where it was begun anew, none where it cannot be read."""
    try:
        with open(klp_paths.HISTORY, "rb") as handle:
            handle.seek(offset if os.fstat(handle.fileno()).st_size >= offset else 0)
            return handle.read(LARGEST).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def check():
    """Raise CommandExecutionError for a damaged record: what a transaction is about to tell could not be remembered."""
    _read()


def remember(host, bad, arrived):
    """
    Record whose scriptlet failed in a transaction that has ended, and forget what has come without a failure.

    bad
        ``[(name, edition)]``; the edition may be that which was replaced, then it is the new one that is not complete.
    arrived
        names of what the transaction has brought.
    """
    old = _read()
    if not old and not bad:
        return
    new = {name: item for name, item in _left(host).items() if name not in arrived}
    there = zypp_packages.packages(host) if bad else {}
    log = os.path.getsize(klp_paths.HISTORY) if os.path.exists(klp_paths.HISTORY) else 0
    for name, edition in bad:
        editions = there[name].split(",") if name in there else []
        if editions:
            edition = edition if edition in editions else editions[-1]
            new[name] = {"edition": edition, "time": int(time.time()), "log": log}
    newest = sorted(new, key=lambda name: (-new[name]["time"], name))[:MOST]
    new = {name: new[name] for name in newest}
    if new != old:
        klp_record.write(RECORD, new)
