"""What the tests of live patching share: names, editions, and hosts whose rpm and zypper answer as real ones do."""

import contextlib
import fcntl
import json
import os

import klp_campaign
import klp_paths
import klp_runlock
from tests.unit.conftest import LP
from tests.unit.loader import recorded

LIFECYCLE = "lifecycle-data-sle-module-live-patching"
TOOLS, KERNEL_PACKAGE = "kernel-livepatch-tools", "5.14.21-150500.55.7.1"
ONE, TWO, THREE = "1-150500.9.3.1", "2-150500.2.1", "3-150500.2.1"
FIRST, SECOND, THIRD = "livepatch_1_150500_9_3_1", "livepatch_2_150500_2_1", "livepatch_3_150500_2_1"
BASE = {"kernel-default": KERNEL_PACKAGE, TOOLS: "1.4-1"}

SEARCH = ["search", "--details", "--match-exact", "--type", "package", LP]
PENDING = ["list-updates", "--type", "patch", "--type", "package"]
LATER = "--no-refresh"  # every call of a job but the first one that looks into repositories


def rpm(minion, *states):
    """
    Say what is installed, ``{name: "edition,edition"}``; one for each change of packages from now on.

    The lifecycle data are there unless a state says ``LIFECYCLE: ""``.
    """
    begun, database = _changes(), ["rpm", "-q", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n"]

    def now():
        return {LIFECYCLE: "1-1", **states[min(_changes() - begun, len(states) - 1)]}

    def lines(names):
        for name in names:
            editions = now().get(name, "")
            yield from [f"{name}\t{edition}\n" for edition in editions.split(",") if edition]
            if not editions:
                yield f"package {name} is not installed\n"

    def some(argv):
        names = argv[len(database) :]
        return {"stdout": "".join(lines(names)), "retcode": 0 if set(names) <= set(now()) else 1}

    answer(minion, [*database, ...], some)
    answer(minion, ["rpm", "-qa", *database[2:]], lambda argv: {"stdout": "".join(lines(now()))})


def answer(minion, argv, function):
    """Let ``function(argv)`` answer a program; a trailing ``...`` stands for any rest."""

    class Answers:
        def __next__(self):
            return function(minion.programs.calls[-1])

    minion.programs.script.insert(0, (list(argv), Answers(), None, False))


def _changes():
    """Return how often packages have changed; ``Minion.changed`` makes the database of rpm longer."""
    return os.path.getsize(klp_paths.RPM_DATABASE[0])


def has(minion, *editions, **more):
    """Say which live patch is installed (``None``: none), one edition for each change of packages from now on."""
    rpm(minion, *[{**BASE, **({LP: edition} if edition else {}), **more} for edition in editions])


def reads(minion, args, *answers, xml=True, **kwargs):
    """Answer a zypper that reads, be it the first one of its job or a later one."""
    for later in ([], [LATER]):
        argv = ["zypper", "--non-interactive"] + (["--xmlout"] if xml else []) + later + list(args)
        minion.programs.on(argv, *answers, **kwargs)


def writes(minion, args, *answers, **kwargs):
    """Answer a zypper that changes something, be it the first one of its job or a later one."""
    reads(minion, args, *answers, xml=False, **kwargs)


def wrote(minion, *begin):
    """Return the arguments of every zypper that changed something and whose arguments begin so."""
    calls = [argv[2:] for argv in minion.programs.calls if argv[0] == "zypper" and "--xmlout" not in argv]
    calls = [[part for part in args if part != LATER] for args in calls]
    return [args for args in calls if args[: len(begin)] == list(begin) and args[0] not in ("info", "refresh")]


def dry(action, *packages):
    """Return the answer to a dry run that would do something with packages (``NAME=EDITION``)."""
    pairs = [package.split("=") for package in packages]
    items = "".join(f'<solvable type="package" name="{name}" edition="{edition}"/>' for name, edition in pairs)
    return f"<stream><install-summary><to-{action}>{items}</to-{action}></install-summary></stream>"


def repository(minion):
    """Give the host a repository with three live patches; one line is what its file holds."""
    updateinfo(minion, "a", advisory("A-3", f"{LP}={THREE}"))
    reads(minion, SEARCH, recorded("zypper/search-live-patch.xml"))
    reads(minion, PENDING, recorded("zypper/list-updates.xml"))
    writes(minion, ["refresh"], recorded("zypper/refresh.txt"))


def updateinfo(minion, alias, *advisories, end=".xml"):
    """Enable a repository with these advisories, whose metadata zypper has fetched."""
    minion.file(f"{klp_paths.REPOSITORIES}/{alias}.repo", f"[{alias}]\n")
    folder = f"{klp_paths.RAW_METADATA}/{alias}/repodata"
    data = f'<data type="updateinfo"><location href="repodata/1-updateinfo{end}"/></data>'
    minion.file(f"{folder}/repomd.xml", f"<repomd><revision>1</revision>{data}</repomd>")
    return minion.file(f"{folder}/1-updateinfo{end}", f"<updates>{''.join(advisories)}</updates>")


def advisory(ident, *packages, status="stable"):
    """Return an advisory of packages (``NAME=VERSION-RELEASE``) as updateinfo.xml has it."""
    parts = [package.replace("=", "-").rsplit("-", 2) for package in packages]
    text = "".join(f'<package name="{n}" version="{v}" release="{r}" arch="x86_64"/>' for n, v, r in parts)
    return f'<update from="x" status="{status}"><id>{ident}</id><pkglist>{text}</pkglist></update>'


def tool(minion, patches="klp/lab-patches.txt", status="klp/status-ready.txt"):
    """Let the klp tool answer what was recorded."""
    minion.programs.on(["klp", "-v", "patches"], recorded(patches))
    minion.programs.on(["klp", "status"], recorded(status))


def becomes(name):
    """Let the kernel have another live patch in place of the one it has."""
    folder = klp_paths.LIVEPATCH
    for old in os.listdir(folder):
        os.rename(f"{folder}/{old}", f"{folder}/{name}")


def record(name):
    """Return what the host remembers under a name, or ``None``."""
    path = f"{klp_paths.RECORDS}/{name}.json"
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as handle:
        return json.load(handle)


def shows(minion, packages, known=True):
    """Let the plan of a campaign show these packages, which the host has said itself where they are ``known``."""
    shown = {minion.host.id: klp_campaign.digest(packages), "another": "0" * 64}
    minion.pillar["klp"] = {"campaign": {"shown": shown}}
    if known:
        klp_campaign.remember(packages)


def remembers(minion, name, value):
    """Write what the host remembers under a name."""
    minion.file(f"{klp_paths.RECORDS}/{name}.json", json.dumps(value))


def lock_records(*names):
    """Return lock records as zypper writes them."""
    text = ""
    for name in names:
        kind, _, rest = name.rpartition(":")
        package, _, edition = rest.partition(">")
        version = f"version: > {edition}\n" if edition else ""
        text += (
            f"\ntype: {kind or 'package'}\n{version}match_type: glob\ncase_sensitive: on\nsolvable_name: {package}\n\n"
        )
    return text


def lock_file():
    """Return the text of the lock file."""
    if not os.path.exists(klp_paths.LOCKS):
        return ""
    with open(klp_paths.LOCKS, encoding="utf-8") as handle:
        return handle.read()


def locking(minion):
    """Let zypper add and remove locks in its file as it does."""

    def change(argv):
        args = [part for part in argv[2:] if part != LATER]
        kind = f"{args[2]}:" if args[1] == "--type" else ""
        for name in args[3 if kind else 1 :]:
            text, lock = lock_file(), lock_records(f"{kind}{name}")
            text = text + lock if args[0] == "addlock" else text.replace(lock, "")
            minion.file(klp_paths.LOCKS, text)
        return {}

    for word in ("addlock", "removelock"):
        answer(minion, ["zypper", "--non-interactive", word, ...], change)


@contextlib.contextmanager
def another_run(what, pid=4711):
    """Let another process have the lock of runs: flock knows open files, not processes."""
    path = f"{klp_paths.RUN}/{klp_runlock.NAME}"
    os.makedirs(klp_paths.RUN, exist_ok=True)
    with open(path, "w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        json.dump({"pid": pid, "what": what, "since": 1_700_000_000}, handle)
        handle.flush()
        yield


OOPS = "BUG: unable to handle page fault"
# klp_audit.health of a host that is well.
WELL: dict = {
    "boot": "b1",
    "log": 0,
    "errors": [],
    "tainted": "32768",
    "services": {},
    "application": [],
    "patience": 0,
}


def lock_path():
    return f"{klp_paths.RUN}/{klp_runlock.NAME}"


def is_free():
    """Return whether another process could take the lock: a second open file is what flock would see of it."""
    with open(lock_path(), encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
