"""
Removing packages of SUSE hosts: another file of the module ``zypper``.

:depends: ``zypper``, ``rpm``
:pillar: ``klp:zypper``
"""

import logging

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError

log = logging.getLogger(__name__)

__virtualname__ = "zypper"

GONE = 104  # zypper does not find a package: somebody else was quicker


def __virtual__():
    if "zypp_cmd.zypper" not in __utils__:
        return False, "zypper: _utils/zypp_cmd.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "zypper: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _zypper(args, ok=(0,), writes=False):
    patience = __utils__["klp_pillar.settings"](__pillar__.get("klp"))["zypper"]
    run = __utils__["klp_cmd.run"]
    return __utils__["zypp_cmd.zypper"](run, __salt__["cmd.run_all"], patience, args, ok=ok, writes=writes)


def _parse(reader, text):
    try:
        return __utils__[reader](text)
    except ValueError as exc:
        raise CommandExecutionError(str(exc)) from exc


def _installed(names):
    """Return, sorted, those of some packages that are installed; anything but plain names is the caller's mistake."""
    found = __salt__["zypper.installed"](names)
    if any("=" in name or ":" in name for name in names) or set(found) - set(names):
        raise SaltInvocationError(f"packages {', '.join(names)}: wanted plain names, without an edition or a kind")
    return sorted(found)


def removal(names):
    """
    Return what ``zypper.remove`` would remove, by a dry run: ``{name: edition}``, without what is not installed.

    names
        list of package names.

    Raises CommandExecutionError where a lock keeps one of them, and if anything but the named packages would be
    removed or brought in, or a kernel. zypper needs no repository for that (measured).

    CLI Example::

        salt '*' zypper.removal '[kernel-livepatch-tools]'
    """
    there = _installed(names)
    return _removal(there) if there else {}


def _removal(there):
    kept = [
        f"{__utils__['zypp_locks.describe'](lock)} keeps {name}; remove it or make it narrower"
        for lock in __salt__["zypper.locks"]()
        for name in there
        if __utils__["zypp_locks.bites"](lock, name)
    ]
    if kept:
        raise CommandExecutionError(f"zypper remove: {'; '.join(kept)}")
    res = _zypper(["remove", "--dry-run"] + there, ok=(0, GONE))
    if res["retcode"] == GONE:
        return _again(there)
    found = _parse("zypp_parse.summary", res["stdout"])
    offending = _offending(found, there)
    if offending:
        raise CommandExecutionError(
            f"zypper remove: refused before anything was removed, because it would also {', '.join(offending)}; "
            "remove by hand first what is not needed any more, or keep what it needs (pillar klp:disable)"
        )
    return {item["name"]: item["edition"] for item in found["remove"] if item["kind"] == "package"}


def _again(there):
    """zypper waited for another one to end, as after a kill, and that one has removed some of these packages."""
    left = _installed(there)
    if left == there:
        raise CommandExecutionError(f"zypper remove: exit {GONE}: it does not find what rpm has: {', '.join(there)}")
    return _removal(left) if left else {}


def _offending(summary, names):
    """
    Return what a dry run holds besides the removal of these packages, as ``["remove curl-8.0.1-1.1", ...]``.

    A pattern or product goes with its package, and that is looked at by its name; a kernel never goes.
    """
    kernel = __utils__["zypp_plan.kernel_package"]
    return [
        f"{action} {item['name']}-{item['edition']}"
        for action in sorted(key for key in summary if key != "nothing")
        for item in summary[action]
        if action != "remove" or (item["kind"] == "package" and (item["name"] not in names or kernel(item["name"])))
    ]


def remove(names):
    """
    Remove packages, after a dry run that holds nothing but them and no kernel.

    names
        list of package names; what is not installed is left out.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError for what
    ``zypper.removal`` refuses, and if a package is still installed afterwards: zypper's exit code alone proves nothing.

    CLI Example::

        salt '*' zypper.remove '[kernel-livepatch-tools]'
    """
    there, before, notes = _installed(names), __salt__["zypper.packages"](), []
    while there:
        found = _removal(there)
        code, said = _write(sorted(found)) if found else (0, [])
        asked, there = there, _installed(names)
        notes += said
        if code != GONE or there == asked:
            break
    if there:
        raise CommandExecutionError(f"zypper remove: still installed: {', '.join(there)}")
    return {"changed": __utils__["klp_state.difference"](before, __salt__["zypper.packages"]()), "notes": notes}


def _write(names):
    """Run the zypper that removes: return its exit code and notes. 106 is an error: something was not seen."""
    log.info("salt-klp: zypper remove %s", " ".join(names))
    res = _zypper(["remove"] + names, ok=(0, GONE, 106, 107), writes=True)
    said = res["stdout"] + res["stderr"]
    if res["retcode"] == 106:
        skipped = ", ".join(__utils__["zypp_parse.skipped_repositories"](said)) or "unknown"
        raise CommandExecutionError(
            f"zypper remove: exit 106: repository {skipped} was skipped, what it has was not seen"
        )
    if res["retcode"] == 107:
        scriptlets = ", ".join(__utils__["zypp_parse.failed_scriptlets"](said))
        told = f"removed, but a scriptlet failed: {scriptlets or 'zypper does not say of which package'}"
        return res["retcode"], [told]
    return res["retcode"], []
