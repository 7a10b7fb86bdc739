"""
The kernel of SUSE's minimal images, kernel-default-base: the same kernel with fewer modules, and one ``uname -r``.

Live patches require kernel-default of that version, and the two packages exclude each other. Nothing has to be
restarted for it: the kernel that runs stays the kernel that runs.

Sources: openQA (lib/maintenance: conflicting packages), zypper(8) install (``-NAME`` removes), locks(5); measured: with
the locks ``NAME>EDITION`` in place of ours zypper brings the wanted edition, and nothing newer in between.
"""

from salt.exceptions import CommandExecutionError

import klp_checks
import klp_cmd
import klp_live
import klp_state
import zypp_lockfile
import zypp_locks
import zypp_packages
import zypp_parse
import zypp_plan
import zypp_solver
import zypp_write

REFUSAL = (
    "kernel {release} is that of {base}, and live patches require {full} of this version: install it, nothing has to "
    "be restarted for that: {unlock}zypper install {full}={version} -{base}; or set pillar klp:tools:kernel to true "
    "and run: salt {id} state.apply klp"
)
INSTEAD = (
    "{full} is there in place of {base}: the same kernel, a restart for it is not needed, though zypper asks for one"
)


def _names(host):
    full = f"kernel-{host.kernel['flavour']}"
    return full, f"{full}-base"


def base(host):
    """Return the edition of kernel-FLAVOUR-base that runs here without its kernel-FLAVOUR, or ``None``."""
    full, short = _names(host)
    if _running(host, klp_live.installed(host).get(full, [])):
        return None
    return _running(host, zypp_packages.installed(host, [short]).get(short, []))


def _running(host, editions):
    version = host.kernel["version"]
    return next((item for item in editions if klp_checks.running_installed([item], version)), None)


def missing(host):
    """Return kernel-FLAVOUR as zypper takes it, ``[NAME=VERSION]``, where pillar ``klp:tools:kernel`` lets it come."""
    if not host.settings["tools"]["kernel"] or not base(host):
        return []
    return [f"{_names(host)[0]}={host.kernel['version']}"]


def refusal(host):
    """Return the sentence for a host that runs kernel-FLAVOUR-base, with the command that ends that."""
    full, short = _names(host)
    locked = zypp_lockfile.locked([full, short])
    unlock = f"zypper removelock {' '.join(locked)}; " if locked else ""
    facts = {"full": full, "base": short, "unlock": unlock, "version": host.kernel["version"]}
    return REFUSAL.format(release=host.release, id=host.id, **facts)


def complete(host):
    """
    Put kernel-FLAVOUR in the place of kernel-FLAVOUR-base, in the version that runs.

    While it comes, our locks on the two are locks on all that is newer: no newer kernel can come meanwhile, also after
    a kill, and the lock on every version is set again by the next run.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError before anything
    is changed where no repository has it, a lock of others keeps it, or another kernel would come or go.
    """
    (full, short), old = _names(host), base(host)
    edition = _running(host, [item["edition"] for item in zypp_solver.editions(host, full)])
    if edition is None:
        raise CommandExecutionError(f"{full} of version {host.kernel['version']} is in no repository")
    before = zypp_packages.packages(host)
    ours = _opened(host, full, short)
    narrow = [f"{full}>{edition}", f"{short}>{old}"]
    zypp_lockfile.add(host, narrow)
    try:
        zypp_lockfile.remove(host, ours)
        args = ["install", "--no-recommends", f"{full}={edition}", f"-{short}={old}"]
        notes = zypp_write.transaction(host, args, _dry_run(host, args, {full: edition, short: old}))
    finally:
        zypp_lockfile.add(host, ours)
        zypp_lockfile.remove(host, narrow)
    changed = klp_state.difference(before, zypp_packages.packages(host))
    return {"changed": changed, "notes": notes + [INSTEAD.format(full=full, base=short)]}


def _opened(host, full, short):
    """Return our locks on the two packages; one of others is theirs to take away."""
    ours = zypp_lockfile.own([full, short])
    for lock in zypp_lockfile.locks():
        for name in (full, short):
            if zypp_locks.bites(lock, name) and not any(zypp_locks.plain(lock, item) for item in ours):
                raise CommandExecutionError(f"{zypp_locks.describe(lock)} keeps {name}; remove it or make it narrower")
    return ours


def _dry_run(host, args, expected):
    """Return the dry run, or raise where another kernel would come, or anything but kernel-FLAVOUR-base would go."""
    text = host.zypper(args[:1] + ["--dry-run"] + args[1:], ok=(0, 102, 103))["stdout"]
    found = klp_cmd.parsed(zypp_parse.summary, text)
    wrong = [
        f"{action} {item['name']}-{item['edition']}"
        for action in sorted(key for key in found if key != "nothing")
        for item in found[action]
        if (action == "remove" or zypp_plan.kernel_package(item["name"]))
        and expected.get(item["name"]) != item["edition"]
    ]
    if wrong:
        raise CommandExecutionError(
            f"zypper install: refused before anything was installed, because it would {', '.join(wrong)}"
        )
    return found
