"""
Packages, advisories and package locks of SUSE hosts, by zypper and rpm.

Reads are nouns and change nothing; writes are imperatives and return what they changed. A reading is kept for the rest
of the job as long as the rpm database, the repositories, their metadata and the lock file stay as they are.

:depends: ``zypper``, ``rpm``
:pillar: ``klp:update``, ``klp:zypper`` (see ``docs/reference/pillar.md``)
"""

import logging
import os
import re

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError

log = logging.getLogger(__name__)

REBOOT_FLAG = "/run/reboot-needed"
NEEDREBOOT = ("/etc/zypp/needreboot", "/etc/zypp/needreboot.d/")
COMMANDS = {"install": ["install"], "update": ["update"], "downgrade": ["install", "--oldpackage"]}
PASSES = 3  # how often zypper may ask to be run again (exit code 103)
WORLD = [
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
    "/usr/lib/sysimage/rpm/Packages*",
    "/var/lib/rpm/Packages",
    "/var/cache/zypp/solv/*/cookie",
    "/etc/zypp/*/*",
    "/etc/zypp/*",
]
UNLOCKED_WORLD = WORLD[:-1] + ["/etc/zypp/*.conf"]  # for what does not depend on locks


def __virtual__():
    if "zypp_cmd.call" not in __utils__:
        return False, "zypper: _utils/zypp_cmd.py is missing here, run saltutil.sync_all"
    for program in ("zypper", "rpm"):
        if not salt.utils.path.which(program):
            return False, f"zypper: command {program} not found, this is not a SUSE host"
    return True


def _run(argv, ok=(0,), timeout=60):
    return __utils__["klp_cmd.run"](__salt__["cmd.run_all"], argv, ok, timeout=timeout)


def _parse(reader, text):
    """Read ``text`` with a pure parser; unknown text is an error, never 'nothing'."""
    try:
        return __utils__[reader](text)
    except ValueError as exc:
        raise CommandExecutionError(str(exc)) from exc


def _zypper(args, ok=(0,), writes=False, xml=True):
    patience = __utils__["klp_pillar.settings"](__pillar__.get("klp"))["zypper"]
    run = __utils__["klp_cmd.run"]
    return __utils__["zypp_cmd.zypper"](run, __salt__["cmd.run_all"], patience, args, ok=ok, writes=writes, xml=xml)


def _default(update):
    """Return the settings below ``klp:update``: those given, checked as the pillar's are, else the pillar's."""
    pillar = __pillar__.get("klp") if update is None else {"update": update}
    return __utils__["klp_pillar.settings"](pillar)["update"]


def _known(argv, reading, world=WORLD):
    """Return ``reading()``, or what it said before in this job if nothing it depends on has changed since."""
    kept = __context__.setdefault("zypper.known", {})
    now = __utils__["klp_sys.fingerprint"](world)
    key = tuple(argv)
    if key not in kept or kept[key][0] != now:
        answer = reading()
        kept[key] = (__utils__["klp_sys.fingerprint"](world), answer)
    return kept[key][1]


def _read(args, ok=(0,), xml=True):
    """Return the standard output of a zypper call that only reads."""
    return _known(args, lambda: _zypper(args, ok=ok, xml=xml)["stdout"])


def _check_names(names):
    return __utils__["zypp_cmd.check_names"](names)


def installed(names):
    """
    Return which of some packages are installed, by one rpm query.

    names
        list of package names.

    Returns ``{name: [editions]}`` without those that are not installed. Raises CommandExecutionError if rpm does not
    answer. Source: rpm(8).

    CLI Example::

        salt '*' zypper.installed '[kernel-default, kernel-livepatch-tools]'
    """
    argv = ["rpm", "-q", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n"] + _check_names(names)
    return _parse("klp_parse.installed", _known(argv, lambda: _rpm(argv)))


def provided(capability):
    """
    Return whether an installed package provides a capability (bool). Source: rpm(8).

    capability
        as for ``zypper.providers``.

    CLI Example::

        salt '*' zypper.provided 'pattern() = lp_sles'
    """
    return bool(providers(capability))


def providers(capability):
    """
    Return, sorted, the installed packages that provide a capability. Source: rpm(8).

    capability
        ``NAME`` or ``NAME = VERSION``, e.g. ``pattern() = lp_sles``.

    CLI Example::

        salt '*' zypper.providers 'pattern() = lp_sles'
    """
    # rpm looks for a name only, whatever stands behind it (measured)
    name = __utils__["zypp_cmd.check_capability"](capability).split(" = ", 1)[0]
    argv = ["rpm", "-q", "--whatprovides", "--qf", "[%{=NAME}\\t%{PROVIDENAME} = %{PROVIDEVERSION}\\n]", name]
    lines = _known(argv, lambda: _run(argv, ok=(0, 1))["stdout"]).splitlines()
    pairs = [line.split("\t", 1) for line in lines if "\t" in line]
    return sorted({owner for owner, what in pairs if capability in (what, what.split(" = ", 1)[0])})


def packages():
    """
    Return all installed packages as ``{name: "edition,edition"}``. Source: rpm(8).

    CLI Example::

        salt '*' zypper.packages
    """
    argv = ["rpm", "-qa", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n"]
    found = _parse("klp_parse.installed", _known(argv, lambda: _rpm(argv)))
    return {name: ",".join(sorted(editions)) for name, editions in found.items()}


def _rpm(argv):
    res = _run(argv, ok=None, timeout=120)
    if "error:" in res["stderr"]:
        raise CommandExecutionError(f"rpm -q: {res['stderr'].strip()[-600:]}")
    return res["stdout"]


def advisories():
    """
    Return the needed advisories ("patches"), those that wait for the update stack included.

    A list of dicts with ``id``, ``status``, ``category``, ``severity``, ``reboot``, ``stack``, ``summary``, ``cves``.
    Source: zypper(8) list-patches.

    CLI Example::

        salt '*' zypper.advisories
    """
    found = _parse("zypp_parse.advisories", _read(["list-patches", "--all"]))
    return [item for item in found if item["status"] in ("needed", "optional")]


def contents(ids):
    """
    Return the packages that some advisories bring: ``{id: [names]}``. Source: zypper(8) info.

    ids
        list of ids of advisories.

    CLI Example::

        salt '*' zypper.contents '[SUSE-SLE-Module-Live-Patching-15-SP5-2023-3179]'
    """
    if not ids:
        return {}
    __utils__["zypp_cmd.check_names"](ids, "advisory")
    found = _read(["info", "--type", "patch"] + sorted(ids), xml=False)
    return _parse("zypp_parse.advisory_packages", found)


def editions(name):
    """
    Return the editions of a package in the repositories, newest level first.

    name
        name of the package.

    A list of dicts with ``edition``, ``installed`` (bool) and ``repository``; empty where no repository has it.
    Source: zypper(8) search.

    CLI Example::

        salt '*' zypper.editions kernel-livepatch-5_14_21-150500_55_7-default
    """
    args = ["search", "--details", "--match-exact", "--type", "package"] + _check_names([name])
    text = _known(args, lambda: _zypper(args, ok=(0, 104))["stdout"], UNLOCKED_WORLD)
    return _parse("zypp_parse.editions", text)


def preview(names, command="install"):
    """
    Return what zypper would do, by a dry run.

    names
        list of packages, ``NAME=EDITION`` allowed.
    command
        ``install``, ``update`` (best effort with what the locks allow) or ``downgrade`` (``install --oldpackage``).

    Returns ``install``, ``upgrade``, ``downgrade``, ``remove``, ``reinstall``, ``change-arch``, ``change-vendor``, each
    a list of ``{"name", "kind", "edition", "old"}``, and ``nothing`` (bool). Raises CommandExecutionError for a problem
    of the solver.

    CLI Example::

        salt '*' zypper.preview '[curl]' command=update
    """
    if command not in COMMANDS:
        raise SaltInvocationError(f"command: wanted install, update or downgrade, found {command!r}")
    args = COMMANDS[command] + ["--dry-run"] + _check_names(names)
    return _parse("zypp_parse.summary", _read(args, ok=(0, 102, 103)))


def _needreboot():
    """Return the names of the packages after which zypper asks for a reboot."""
    main, folder = NEEDREBOOT
    files = [main] + [folder + name for name in (sorted(os.listdir(folder)) if os.path.isdir(folder) else [])]
    names, provided = __utils__["zypp_plan.needreboot"]([__utils__["klp_sys.text"](path) or "" for path in files])
    if provided:
        argv = ["rpm", "-q", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n", "--whatprovides"] + provided
        answer = _known(argv, lambda: _rpm(argv))
        names |= set(re.findall(r"^([^\t\n]+)\t", answer, re.MULTILINE))
    return names


def _guarded(names, command, allow_reboot):
    """Return the preview, or raise if it holds what promise 1 forbids."""
    found = preview(names, command)
    offending = __utils__["zypp_plan.forbidden"](found, _needreboot(), allow_reboot)
    if offending:
        raise CommandExecutionError(__utils__["zypp_plan.refusal"](command, offending))
    return found


def pending(update=None):
    """
    Return what a maintenance run would install now, and what it would leave out and why.

    update
        settings below pillar ``klp:update``; default: the pillar's.

    Returns ``{"advisories": [ids], "stack": [ids], "packages": {name: {"old", "new"}}, "skipped": [{"item", "kind",
    "reason"}]}``.

    CLI Example::

        salt '*' zypper.pending
    """
    update = _default(update)
    needed = advisories()
    plan = __utils__["zypp_plan.plan"](
        needed,
        contents([item["id"] for item in needed]),
        _parse("zypp_parse.updates", _read(["list-updates"])),
        update,
        _needreboot(),
    )
    if plan["packages"]:
        _guarded(sorted(plan["packages"]), "update", update["reboot"])
    return plan


def update(update=None):
    """
    Install all pending updates but the kernel: the update stack first, again while zypper asks for it.

    update
        settings below pillar ``klp:update``; default: the pillar's.

    Returns ``{"changed": {name: {"old", "new"}}, "skipped": [...], "notes": [sentences]}``. Raises
    CommandExecutionError before anything is installed if the dry run holds a kernel or what asks for a reboot, and
    afterwards if something planned is not installed.

    CLI Example::

        salt '*' zypper.update
    """
    update, notes = _default(update), []
    before, plan = packages(), pending(update)
    for _ in range(PASSES):
        if not plan["packages"]:
            break
        again = _pass(plan, ["--auto-agree-with-licenses"] if update["licenses"] else [], notes)
        missing = __utils__["zypp_plan.missing"](plan["packages"], before, packages())
        if missing:
            raise CommandExecutionError(f"zypper update: {'; '.join(missing)}")
        needed = [item["id"] for item in advisories()]
        if not again and not __utils__["zypp_plan.new"](plan, needed):
            plan = dict(plan, packages={}, skipped=__utils__["zypp_plan.left"](plan, needed))
            break
        plan = pending(update)
    if plan["packages"]:
        raise CommandExecutionError(
            f"zypper update: still not finished after {PASSES} passes (exit code 103 every time)"
        )
    changed = __utils__["klp_state.difference"](before, packages())
    return {"changed": changed, "skipped": plan["skipped"], "notes": notes}


def _pass(plan, agree, notes):
    """Install what a plan holds; the update stack goes first and alone. Returns whether zypper asks to be run again."""
    if plan["stack"]:
        notes += _write(["install"] + agree + ["--type", "patch"] + plan["stack"])["notes"]
    rest = _write(["update"] + agree + sorted(plan["packages"]))
    notes += rest["notes"]
    return rest["again"]


def install(names, force=False, older=False):
    """
    Install packages or patterns, after a dry run that holds no kernel.

    names
        list of packages; ``NAME=EDITION`` and ``pattern:NAME`` allowed.
    force
        install again what is there already (its scriptlets run again).
    older
        let ``NAME=EDITION`` go back to an earlier edition.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError if a
    package is not installed afterwards: zypper's exit code alone proves nothing.

    CLI Example::

        salt '*' zypper.install '[kernel-livepatch-tools]'
    """
    names, before, command = _check_names(names), packages(), "downgrade" if older else "install"
    _guarded(names, command, False)
    notes = _write(COMMANDS[command] + (["--force"] if force else []) + names)["notes"]
    after = packages()
    for name, edition in (item.split("=", 1) if "=" in item else (item, None) for item in names):
        if ":" not in name and not __utils__["zypp_plan.present"](after.get(name), edition):
            raise CommandExecutionError(
                f"zypper install: wanted {name} {edition or ''}, found {after.get(name, 'nothing')}"
            )
    return {"changed": __utils__["klp_state.difference"](before, after), "notes": notes}


def _write(args):
    """Run a zypper that changes packages: ``{"again" (bool), "notes"}``. 106 is an error: something was not seen."""
    log.info("salt-klp: zypper %s", " ".join(args))
    res = _zypper(args, ok=(0, 102, 103, 106, 107), writes=True)
    said = res["stdout"] + res["stderr"]
    if res["retcode"] == 106:
        names = ", ".join(__utils__["zypp_parse.skipped_repositories"](said)) or "unknown"
        raise CommandExecutionError(
            f"zypper {args[0]}: exit 106: repository {names} was skipped, what it has was not seen"
        )
    return {
        "again": res["retcode"] == 103,
        "notes": __utils__["zypp_plan.notes"](res["retcode"], __utils__["zypp_parse.failed_scriptlets"](said)),
    }


def needs_rebooting():
    """
    Return whether an installed package asked for a reboot since the host was started (bool).

    The flag file of libzypp is what ``zypper needs-rebooting`` reads; no zypper is started. Source: zypper(8).

    CLI Example::

        salt '*' zypper.needs_rebooting
    """
    return os.path.exists(REBOOT_FLAG)
