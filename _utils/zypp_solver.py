"""
What repositories have, and what zypper would do with it. Nothing here changes the host but the caches of zypper.

A job sees one state of the metadata: its first call refreshes them, all later ones are told not to (``Host.zypper``).

Source: zypper(8) refresh, list-patches, list-updates, info, search, install, update.
"""

import os

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_cmd
import klp_paths
import klp_sys
import zypp_cmd
import zypp_metadata
import zypp_parse
import zypp_plan

SKIPPED = 106  # what zypper ends with where it skips a repository; "refresh" ends with 4 then (measured)
COMMANDS = {"install": ["install"], "update": ["update"], "downgrade": ["install", "--oldpackage"]}
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
    folder, found = klp_paths.REPOSITORIES, []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(".repo"):
            found += zypp_parse.enabled_repositories(klp_sys.text(f"{folder}/{name}") or "")
    return found


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
        code = SKIPPED if skipped else res["retcode"]
        raise CommandExecutionError(
            f"repository {', '.join(skipped) or 'unknown'} cannot be read (zypper exit {code}): {said}"
        )
    host.fresh = True
    return enabled


def _read(host, args, ok=(0,), xml=True, files=None):
    """Return what a zypper that only reads prints, kept as long as nothing has changed that it depends on."""
    return host.kept(tuple(args), files or locked_world(), lambda: host.zypper(args, ok=ok, xml=xml)["stdout"])


PART = 200  # ids that one call is asked about; an argument list has an end
PENDING = ["list-updates", "--type", "patch", "--type", "package"]


def advisories(host):
    """Return the needed advisories as ``zypp_parse.advisories`` has them, with those that wait for the update stack."""
    found = klp_cmd.parsed(zypp_parse.advisories, _read(host, PENDING))
    return [item for item in found if item["status"] in zypp_parse.PENDING]


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


def permitted(host, names, command, needreboot, allow_reboot, options=()):
    """Return the dry run, or raise if it holds what promise 1 forbids: a kernel, or what asks for a reboot."""
    found = dry_run(host, names, command, options)
    offending = zypp_plan.forbidden(found, needreboot, allow_reboot)
    if offending:
        raise CommandExecutionError(zypp_plan.refusal(command, offending))
    return found
