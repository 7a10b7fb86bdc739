"""
What repositories have, and what zypper would do with it. Nothing here changes the host but the caches of zypper.

A job sees one state of the metadata: its first call refreshes them, all later ones are told not to (``Host.zypper``).

Source: zypper(8) refresh, list-patches, list-updates, info, search, install, update.
"""

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_cmd
import klp_paths
import klp_record
import klp_sys
import zypp_cmd
import zypp_hints
import zypp_metadata
import zypp_packages
import zypp_parse
import zypp_plan
import zypp_repositories
import zypp_unwanted

HINTS = "hints"  # record of what asks for a reboot
COMMANDS = {"install": ["install"], "update": ["update"], "downgrade": ["install", "--oldpackage"]}
UNREADABLE = "repository {} cannot be read (zypper exit {}): {}"
NO_REPOSITORIES = (
    "no enabled repositories in /etc/zypp/repos.d: register the host, or enable one with: zypper mr -e ALIAS"
)


def world():
    """Return the files that decide what can be installed, but for locks."""
    return klp_paths.RPM_DATABASE + klp_paths.METADATA


def locked_world():
    """Return the files that decide what can be installed, those of the locks included."""
    return world() + klp_paths.ZYPP


def repositories():
    """Return the aliases of the enabled repositories, read from their files without zypper."""
    return [item["alias"] for item in zypp_repositories.enabled()]


def refresh(host):
    """
    Refresh the metadata of all enabled repositories; one that cannot be read is an error that names it.

    Returns the list of refreshed repositories.
    """
    enabled = repositories()
    if not enabled:
        raise CommandExecutionError(NO_REPOSITORIES)
    res = host.zypper(["refresh"], ok=(0, 4), xml=False)
    skipped = zypp_parse.skipped_repositories(res["stdout"] + res["stderr"])
    if res["retcode"] or skipped:
        said = klp_cmd.detail(res)
        raise CommandExecutionError(UNREADABLE.format(", ".join(skipped) or "unknown", res["retcode"], said))
    host.fresh = True
    return enabled


def _read(host, args, ok=(0,), xml=True, files=None):
    """Return what a zypper that only reads prints, kept as long as nothing has changed that it depends on."""
    return host.kept(tuple(args), files or locked_world(), lambda: _whole(host.zypper(args, ok=ok, xml=xml)))


def _whole(res):
    """Return what zypper said of all repositories; "not found" (104) hides that one of them was skipped (measured)."""
    require_all(res)
    return res["stdout"]


def require_all(res):
    """Raise CommandExecutionError where zypper, whatever its exit code, has skipped a repository; it is named."""
    said = f"{zypp_cmd.messages(res['stdout'])}\n{res['stderr']}"
    skipped = zypp_parse.skipped_repositories(said)
    if skipped:
        raise CommandExecutionError(
            UNREADABLE.format(", ".join(skipped), res["retcode"], klp_cmd.shortened(said.strip()))
        )


PART = 200  # ids that one call is asked about; an argument list has an end
PENDING = ["list-updates", "--type", "patch", "--type", "package"]


def advisories(host):
    """Return the needed advisories as ``zypp_parse.advisories`` has them, with those that wait for the update stack."""
    return [item for item in _listed(host) if item["status"] in zypp_parse.PENDING]


def unwanted(host):
    """Return the advisories that are needed and locked, ours and those of an administrator, as ``advisories`` does."""
    return [item for item in _listed(host) if zypp_unwanted.locked(item)]


def some_advisory(host):
    """Return whether there is an advisory at all in the enabled repositories, needed or not (bool)."""
    return klp_cmd.parsed(zypp_parse.some_advisory, _read(host, PENDING))


def _listed(host):
    return klp_cmd.parsed(zypp_parse.advisories, _read(host, PENDING))


def updates(host):
    """Return what zypper could update with the locks as they are: ``{name: {"old", "new"}}``."""
    text = _read(host, PENDING)
    if klp_cmd.parsed(zypp_parse.blocked, text):
        text = _read(host, ["list-updates"])
    return klp_cmd.parsed(zypp_parse.updates, text)


def advisory_editions(host, wanted):
    """
    Return the packages that some advisories bring: ``{id: {name: edition}}``.

    wanted
        advisories as ``advisories`` has them.

    The metadata that zypper has fetched are read directly, which starts no program; zypper is asked for what is not
    found there, for example since Python cannot unpack it.
    """
    ids = {item["id"]: item["repository"] for item in wanted}
    if not ids:
        return {}
    zypp_cmd.check_names(sorted(ids), "advisory")
    found = host.kept(("updateinfo", tuple(sorted(ids.items()))), world(), lambda: zypp_metadata.advisory_editions(ids))
    absent = sorted(set(ids) - set(found))
    if not absent:
        return found
    for first in range(0, len(absent), PART):
        text = _read(host, ["info", "--type", "patch"] + absent[first : first + PART], xml=False)
        found = dict(found, **klp_cmd.parsed(zypp_parse.advisory_editions, text))
    return found


def editions(host, name):
    """
    Return the editions of a package in the repositories: ``[{"edition", "installed" (bool), "repository"}]``.

    Empty where no repository has it. Locks do not matter.
    """
    args = ["search", "--details", "--match-exact", "--type", "package"] + zypp_cmd.check_names([name])
    return klp_cmd.parsed(zypp_parse.editions, _read(host, args, ok=(0, 104), files=world()))


def matching(host, patterns):
    """
    Return the packages in repositories, and installed ones, whose names match: ``[(name, edition)]``.

    patterns
        names, in which ``*`` stands for anything; a name without it also finds those that hold it.
    """
    args = ["search", "--details", "--type", "package"]
    args += [f"{first}*{last}" if star else first for first, star, last in map(_checked, patterns)]
    return klp_cmd.parsed(zypp_parse.packages, _read(host, args, ok=(0, 104), files=world()))


def _checked(pattern):
    first, star, last = pattern.partition("*")
    zypp_cmd.check_names([first + last])
    return first, star, last


def dry_run(host, names, command="install", options=()):
    """
    Return what zypper would do with some packages, as ``zypp_parse.summary`` reads it.

    command
        a key of COMMANDS.
    options
        as the real command has them.
    """
    if command not in COMMANDS:
        raise SaltInvocationError(f"command: wanted install, update or downgrade, found {command!r}")
    args = COMMANDS[command] + ["--dry-run"] + list(options) + zypp_cmd.check_names(names)
    return klp_cmd.parsed(zypp_parse.summary, _read(host, args, ok=(0, 102, 103)))


def named_hints():
    """Return what asks for a reboot by its name, as ``zypp_hints.hints`` does; starts no program."""
    return zypp_hints.hints(*zypp_packages.needreboot())


def reboot_hints(host):
    """
    Return what asks for a reboot, of all that is installed or in repositories, as ``zypp_hints.hints`` does.

    One zypper, and none as long as the repositories are the same.
    """
    names, capabilities = zypp_packages.needreboot()
    pairs = klp_record.kept(HINTS, lambda: _hint_world(capabilities), lambda: _providers(host, capabilities))
    return zypp_hints.hints(names, capabilities, [tuple(pair) for pair in pairs])


def _providers(host, capabilities):
    args = ["search", "--details", "--provides", "--match-exact"]
    args += zypp_cmd.check_capabilities(capabilities, klp_paths.NEEDREBOOT)
    return klp_cmd.parsed(zypp_parse.providers, _read(host, args, ok=(0, 104), files=klp_paths.METADATA))


def _hint_world(capabilities):
    """The cache of what is installed is left out: an edition that may come is in a repository."""
    files = [list(item) for item in klp_sys.fingerprint(klp_paths.METADATA)]
    return [capabilities, [item for item in files if "/@System/" not in item[0]]]


def forbidden(host, summary, allow_reboot):
    """Return what a dry run must not hold: a kernel, or what asks for a reboot unless that is allowed."""
    brings = any(summary[action] for action in summary if action not in ("nothing", "remove"))
    return zypp_plan.forbidden(summary, reboot_hints(host) if brings and not allow_reboot else zypp_hints.NONE)


def permitted(host, names, command, allow_reboot, options=()):
    """Return the dry run, or raise for what it holds and must not, as ``forbidden`` has it."""
    found = dry_run(host, names, command, options)
    offending = forbidden(host, found, allow_reboot)
    if offending:
        raise CommandExecutionError(zypp_plan.refusal(command, offending))
    return found
