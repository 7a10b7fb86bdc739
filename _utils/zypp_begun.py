"""
What zypper was started for and was not seen to end: it is recorded before the first package is touched.

After a kill or a power cut a package may be there in two editions, or without its scriptlets having run to the end, and
rpm does not tell. Whatever was begun and is installed is installed again, by its edition.
"""

from salt.exceptions import CommandExecutionError

import klp_cves
import klp_paths
import klp_record
import zypp_cmd
import zypp_packages

RECORD = "begun"


def _read():
    found = klp_record.read(RECORD, {})
    for name, edition in found.items():
        if ":" in name or not isinstance(edition, str) or not zypp_cmd.NAME.match(f"{name}={edition}"):
            raise CommandExecutionError(
                f"{klp_paths.RECORDS}/{RECORD}.json: not what salt-klp wrote; repair it or move it away"
            )
    return found


def _write(old, new):
    if new != old:
        klp_record.write(RECORD, new)


def begin(expected):
    """
    Record what a transaction is about to install, on top of what was begun before and not ended.

    expected
        ``{name: edition}``.
    """
    old = _read()
    _write(old, dict(old, **expected))


def end(names):
    """Forget packages whose transaction was seen to end well."""
    old = _read()
    _write(old, {name: edition for name, edition in old.items() if name not in names})


def recorded(name):
    """Return the edition of a package whose installation was begun and not seen to end, or ``None``."""
    return _read().get(name)


def unfinished(host):
    """Return what was begun, not seen to end and is installed, alone or beside an older one: ``{name: edition}``."""
    begun = _read()
    if not begun:
        return {}
    found, bare = zypp_packages.installed(host, sorted(begun)), klp_cves.without_epoch
    return {name: edition for name, edition in sorted(begun.items()) if bare(edition) in found.get(name, [])}
