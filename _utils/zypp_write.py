"""
Changing packages: each real zypper is the command whose dry run was read; what it is started for is recorded first.

No package is changed while a transition runs. That is looked at before each try of a zypper that does not wait for
locks by itself, so also after a long wait.
"""

import logging

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_cmd
import klp_cves
import klp_live
import klp_state
import zypp_begun
import zypp_lockfile
import zypp_locks
import zypp_packages
import zypp_parse
import zypp_plan
import zypp_scriptlets
import zypp_solver

log = logging.getLogger(__name__)

GONE = 104  # zypper does not find a package: somebody else was quicker
AGAIN = 103  # the update stack was updated; one command has installed everything, so there is nothing to run again
SKIPPED, SCRIPTLET = 106, 107
ARRIVING = (
    "install",
    "upgrade",
    "downgrade",
    "reinstall",
    "upgrade-change-arch",
    "downgrade-change-arch",
    "change-vendor",
)


def arriving(summary):
    """Return the packages that a dry run brings, or brings again: ``{name: edition}``."""
    return {
        item["name"]: item["edition"]
        for action in ARRIVING
        for item in summary.get(action, [])
        if item["kind"] == "package"
    }


def install(host, names, force=False, older=False, allow_reboot=False, options=(), check=None):
    """
    Install packages or patterns.

    names
        list of packages; ``NAME=EDITION`` and ``pattern:NAME`` allowed.
    force
        install again what is installed already (its scriptlets run again).
    older
        let ``NAME=EDITION`` go back to an earlier edition.
    options
        more options of zypper, for the dry run as well.
    check
        called with what the dry run brings, ``{name: edition}``; raises where that must not be.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError if the dry run
    holds a kernel, and if a package is not installed afterwards: zypper's exit code alone proves nothing.
    """
    command, options = "downgrade" if older else "install", list(options) + (["--force"] if force else [])
    before = zypp_packages.packages(host)
    summary = zypp_solver.permitted(host, names, command, allow_reboot, options)
    expected = arriving(summary)
    if check:
        check(expected)
    notes = transaction(host, zypp_solver.COMMANDS[command] + options + list(names), summary)
    _check_installed(host, names)
    return {"changed": klp_state.difference(before, zypp_packages.packages(host)), "notes": notes}


def _check_installed(host, names):
    after = zypp_packages.packages(host)
    for name, edition in (item.split("=", 1) if "=" in item else (item, None) for item in names):
        if ":" not in name and not zypp_plan.present(after.get(name), edition):
            raise CommandExecutionError(
                f"zypper install: wanted {name} {edition or ''}, found {after.get(name, 'nothing')}"
            )


def transaction(host, args, summary, begun=True):
    """
    Run a zypper that installs, and see that it has ended: each package is there once, in the edition of the dry run.

    summary
        the dry run of the same command.
    begun
        whether what was cut off is for klp.patch to finish; else the caller keeps a record of his own.

    Returns notes.
    """
    expected = arriving(summary)
    wanted = {name: klp_cves.without_epoch(edition) for name, edition in expected.items()}
    beside = {item["name"] for item in summary["install"]}  # new, or beside an older one as kernels are
    zypp_scriptlets.check()
    if begun:
        zypp_begun.begin(expected)
    try:
        res = _start(host, args, ok=(0, 102, AGAIN, SKIPPED, SCRIPTLET))
    except klp_cmd.CutOff:
        raise  # rpm may go on by itself: all of it may be cut off
    except CommandExecutionError:
        found = _editions(host, expected)  # what is not there was not begun, the rest may have been cut off
        zypp_begun.end([name for name in expected if wanted[name] not in found[name]])
        raise
    found = _editions(host, expected)
    ended = [name for name in expected if _complete(found[name], wanted[name], name in beside)]
    zypp_scriptlets.remember(host, _bad(res, wanted), ended)
    zypp_begun.end(ended)
    return _judged(args[0], res)[1]


def _bad(res, wanted):
    """Return ``[(name, edition)]`` of the packages whose scriptlet failed; all of them where zypper names none."""
    found = [zypp_scriptlets.split(whole) for whole in zypp_parse.failed_scriptlets(res["stdout"] + res["stderr"])]
    return found or (sorted(wanted.items()) if res["retcode"] == SCRIPTLET else [])


def _complete(editions, wanted, beside):
    return wanted in editions if beside else editions == [wanted]


def _editions(host, names):
    found = zypp_packages.installed(host, sorted(names)) if names else {}
    return {name: found.get(name, []) for name in names}


def write(host, args, ok):
    """Run a zypper that changes packages: ``(exit code, notes)``."""
    return _judged(args[0], _start(host, args, ok))


def _start(host, args, ok):
    log.info("salt-klp: zypper %s", " ".join(args))
    return host.zypper(args, ok=ok, writes=True, before=klp_live.refuse_transition)


def _judged(command, res):
    """106 is an error: a repository was skipped, and what it has was not seen. 107 is a note."""
    said = res["stdout"] + res["stderr"]
    if res["retcode"] == SKIPPED:
        names = ", ".join(zypp_parse.skipped_repositories(said)) or "unknown"
        raise CommandExecutionError(
            f"zypper {command}: exit 106: repository {names} was skipped, what it has was not seen"
        )
    return res["retcode"], zypp_plan.notes(command, res["retcode"], zypp_parse.failed_scriptlets(said))


def _plain(host, names):
    """Return, sorted, those of some packages that are installed; anything but plain names is the caller's mistake."""
    found = zypp_packages.installed(host, names)
    if any("=" in name or ":" in name for name in names) or set(found) - set(names):
        raise SaltInvocationError(f"packages {', '.join(names)}: wanted plain names, without an edition or a kind")
    return sorted(found)


def removal(host, names):
    """
    Return what ``remove`` would remove, by a dry run: ``{name: edition}``, without what is not installed.

    Raises CommandExecutionError where a lock keeps one of them, and if anything but the named packages would be
    removed or brought in, or a kernel. zypper needs no repository for that (measured).
    """
    installed = _plain(host, names)
    return _removal(host, installed) if installed else {}


def _removal(host, installed):
    kept = [
        f"{zypp_locks.describe(lock)} keeps {name}; remove it or make it narrower"
        for lock in zypp_lockfile.locks()
        for name in installed
        if zypp_locks.bites(lock, name)
    ]
    if kept:
        raise CommandExecutionError(f"zypper remove: {'; '.join(kept)}")
    res = host.zypper(["remove", "--dry-run"] + installed, ok=(0, GONE))
    if res["retcode"] == GONE:
        return _look_again(host, installed)
    found = klp_cmd.parsed(zypp_parse.summary, res["stdout"])
    offending = _offending(found, installed)
    if offending:
        raise CommandExecutionError(
            f"zypper remove: refused before anything was removed, because it would also {', '.join(offending)}; "
            "remove by hand first what is not needed any more, or keep what it needs (pillar klp:disable)"
        )
    return {item["name"]: item["edition"] for item in found["remove"] if item["kind"] == "package"}


def _look_again(host, installed):
    """zypper waited for another one to end, as after a kill, and that one has removed some of these packages."""
    left = _plain(host, installed)
    if left == installed:
        names = ", ".join(installed)
        raise CommandExecutionError(f"zypper remove: exit {GONE}: it does not find what rpm has: {names}")
    return _removal(host, left) if left else {}


def _offending(summary, names):
    """
    Return what a dry run holds besides the removal of these packages, as ``["remove curl-8.0.1-1.1", ...]``.

    A pattern or product goes with its package, and that is looked at by its name; a kernel never goes.
    """
    kernel = zypp_plan.kernel_package
    return [
        f"{action} {item['name']}-{item['edition']}"
        for action in sorted(key for key in summary if key != "nothing")
        for item in summary[action]
        if action != "remove" or (item["kind"] == "package" and (item["name"] not in names or kernel(item["name"])))
    ]


def remove(host, names):
    """
    Remove packages, after a dry run that holds nothing but them and no kernel.

    names
        list of package names; what is not installed is left out.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError for what
    ``removal`` refuses, and if a package is still installed afterwards.
    """
    left, before, notes = _plain(host, names), zypp_packages.packages(host), []
    while left:
        found = _removal(host, left)
        code, said = write(host, ["remove"] + sorted(found), (0, GONE, SKIPPED, SCRIPTLET)) if found else (0, [])
        asked, left = left, _plain(host, names)
        notes += said
        if code != GONE or left == asked:
            break
    if left:
        raise CommandExecutionError(f"zypper remove: still installed: {', '.join(left)}")
    zypp_begun.end(names)
    return {"changed": klp_state.difference(before, zypp_packages.packages(host)), "notes": notes}
