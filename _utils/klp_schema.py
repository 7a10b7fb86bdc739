"""
The pillar key ``klp`` as data: its closed schema.

A key has a type, a default, perhaps a unit, and one sentence. Types: ``bool``, ``int`` (with ``least`` and ``most``),
``str`` (with ``form``, a name of ``klp_forms.FORMS``, or ``choices``), ``list`` (of ``str``; ``single``: one may stand
alone), ``level``, ``map`` (of names to words), ``own`` (with ``check``, ``kind`` and its JSON ``schema``); with
``keys``: a group. ``docs/reference/pillar.md`` and ``pillar/schema.yaml`` are generated from it; ``klp_pillar`` checks
against it.
"""

import klp_commands
import klp_kernel_forms
import klp_levels
from klp_forms import FORMS

__all__ = ["FORMS", "SCHEMA"]

CATEGORIES = ("security", "recommended", "optional", "feature", "document", "yast")
SEVERITIES = ("critical", "important", "moderate", "low", "unspecified")
WINDOWS = ("expired", "unknown")
BACKENDS = ("", "auto", "snapper", "lvm", "command", "none")


def _keys(about, keys):
    return {"about": about, "keys": keys}


def _bool(default, about):
    return {"type": "bool", "default": default, "about": about}


def _int(default, least, most, unit, about):
    return {"type": "int", "least": least, "most": most, "default": default, "unit": unit, "about": about}


def _str(form, default, about):
    return {"type": "str", "form": form, "default": default, "about": about}


def _secret(about):
    return dict(_str("secret", "", about), secret=True)


def _choice(choices, about):
    return {"type": "str", "choices": choices, "default": choices[0], "about": about}


def _list(form, default, about):
    return {"type": "list", "form": form, "default": default, "about": about}


def _hook(about):
    return dict(_list("sls", [], about), single=True)


def _choices(choices, about):
    return {"type": "list", "choices": choices, "default": list(choices), "about": about}


def _level(word, about):
    return {"type": "level", "word": word, "default": word, "about": about}


def _own(kind, check, schema, default, about):
    return {"type": "own", "kind": kind, "check": check, "schema": schema, "default": default, "about": about}


def _map(form, about):
    return {"type": "map", "form": form, "default": {}, "about": about}


SCHEMA = {
    "run": _str("id", "", "Id of the run or campaign that backups belong to; empty: each host makes its own."),
    "level": _level(
        "latest",
        "Live patch level: latest, an edition (VERSION-RELEASE) or a number (1 is the empty initial patch), which "
        "means another live patch for each kernel.",
    ),
    "levels": _own(
        "mapping of kernels",
        klp_levels.problem,
        klp_levels.SCHEMA,
        {},
        "Level by kernel, as uname -r shows it; goes over klp:level on hosts that run it. The same mapping in "
        "staging and in production lets one get what the other has tried.",
    ),
    "unsupported": _choice(
        ("refuse", "skip"),
        "A host that is not live patched at all, of another vendor or with another kernel: refuse is an error, skip "
        "changes nothing, and the SLS of the formula are true with the sentence that says why.",
    ),
    "group": _str(
        "name",
        "",
        "Group of this host: in reports, its hosts are not all restarted in the same week; each wave of a campaign has "
        "some of them; empty: none.",
    ),
    "facts": _str("folder", "", "Folder of files with facts that every user of the host may read; empty: none."),
    "product": _keys(
        "The product that holds the live patches, activated where the host is registered and lacks it.",
        {
            "name": _str(
                "name",
                "auto",
                "Product identifier for SUSEConnect; auto: as the host's family has it; empty: never touch the "
                "registration.",
            ),
            "regcode": _secret(
                "Registration code of that product, if it needs one; given to SUSEConnect on standard input."
            ),
        },
    ),
    "tools": _keys(
        "What has to be installed besides the live patch itself.",
        {
            "packages": _list(
                "name",
                ["auto"],
                "Packages with the klp tool and the lifecycle data, which the support window is read from; auto: as "
                "the host's family has it.",
            ),
            "kernel": _bool(
                False,
                "Where kernel-default-base runs, put kernel-default of the same version in its place, which live "
                "patches require.",
            ),
            "pattern": _str(
                "name",
                "",
                "Pattern to install as well, e.g. lp_sles; auto: as the host's family has it; empty: none.",
            ),
        },
    ),
    "locks": _keys(
        "Package locks that keep ordinary patching from bringing a new kernel.",
        {
            "extra": _list(
                "name", [], "Packages to lock besides the kernel packages of the running flavour (no globs)."
            ),
        },
    ),
    "update": _keys(
        "What a maintenance run installs besides the live patch.",
        {
            "categories": _choices(CATEGORIES, "Categories of advisories to install."),
            "severities": _choices(SEVERITIES, "Severities of advisories to install."),
            "exclude": _list("glob", [], "Ids of advisories, names of packages to leave out; * and ? are wildcards."),
            "others": _bool(True, "Also update packages that no advisory speaks of."),
            "reboot": _bool(
                False, "Also install what asks for a reboot afterwards (never a kernel; this product never reboots)."
            ),
            "licenses": _bool(False, "Agree to licences that an update asks about."),
            "scriptlets": _choice(
                ("fail", "accept"),
                "A package whose scriptlet failed: fail lets klp.verify and the run fail until it is cured, accept "
                "only names it.",
            ),
            "acknowledged": _list(
                "release", [], "Packages whose failed scriptlet somebody has looked at, NAME=VERSION-RELEASE each."
            ),
            "metadata_age": _int(
                30,
                0,
                3650,
                "days",
                "A host whose update repositories have all stood still for longer is not certain in reports; 0: nobody "
                "asks.",
            ),
        },
    ),
    "backup": _keys(
        "The backup of the root volume that is made before anything is installed.",
        {
            "backend": _choice(
                BACKENDS,
                "How the root volume is backed up: auto (snapper or lvm, as the root file system is), snapper, lvm, "
                "command, or none for hosts without a backup.",
            ),
            "create": _list(
                "word",
                [],
                "Backend command: program (absolute path) and arguments that make a backup and print its id.",
            ),
            "verify": _list(
                "word", [], "Backend command: program and arguments; exit 0 says the backup (last argument) is good."
            ),
            "delete": _list(
                "word",
                [],
                "Backend command: program and arguments that delete the backup named by the last argument; empty: "
                "backups are never deleted here.",
            ),
            "restore": _list(
                "word",
                [],
                "Backend command: program and arguments that put the backup named by the last argument in place for "
                "the next start; empty: it is put in place by hand.",
            ),
            "config": _str("name", "root", "Backend snapper: configuration of the root volume."),
            "size": _int(
                20, 1, 100, "percent", "Backend lvm: room for changes in a classic snapshot, of the size of its origin."
            ),
            "keep": _int(
                5,
                1,
                1000,
                "backups",
                "How many good backups are kept, whether their runs have ended or not; older ones that were made here "
                "are deleted.",
            ),
            "max_age": _int(
                24,
                1,
                8760,
                "hours",
                "How old the backup of an interrupted run may be when the run goes on; older: a new one.",
            ),
            "timeout": _int(1800, 1, 86400, "seconds", "Deadline of one command of the backup."),
        },
    ),
    "rollback": _keys(
        "Going back to an earlier live patch (SLS klp.rollback).",
        {
            "level": _level(
                "previous",
                "Where to go back to: previous, an edition or a number from 1, another live patch for each kernel.",
            ),
            "force": _bool(False, "Go back although kernel log or taint tell of earlier kernel errors."),
        },
    ),
    "restore": _keys(
        "Putting a backup of the root volume back (SLS klp.restore).",
        {
            "backup": _str("backup", "", "The backup, or the run whose backup is meant, as root_backup.list shows it."),
            "confirm": _str("backup", "", "Repeat the id to confirm that all changes since this backup will be lost."),
        },
    ),
    "disable": _keys(
        "What the end of live patching takes away (SLS klp.disable).",
        {
            "tools": _bool(True, "Remove the packages of klp:tools and the pattern."),
            "live_patches": _bool(True, "Remove the live patch packages of all kernels."),
            "locks": _bool(True, "Take away the package locks that were made here, never those of others."),
        },
    ),
    "transition": _keys(
        "The time that tasks have to move to a new live patch.",
        {
            "timeout": _int(
                300,
                1,
                86400,
                "seconds",
                "How long to wait for the end of a transition; the kernel's own reminders need about 60.",
            ),
        },
    ),
    "window": _keys(
        "The time in which SUSE makes live patches for the running kernel.",
        {
            "refuse": dict(
                _choices(WINDOWS, "States of the window in which a maintenance run is refused; empty: it never is."),
                default=[],
            ),
            "warn": _int(30, 0, 365, "days", "An open window that ends within so many days is reported."),
            "max_level": _int(
                0, 0, 999, "levels", "A host at this live patch level counts as expired; 0: levels have no limit."
            ),
        },
    ),
    "health": _keys(
        "What tells whether the application on this host is well: asked before the first change, at the end of a run, "
        "and at each look of a campaign.",
        {
            "commands": {
                "type": "own",
                "kind": "list of commands",
                "check": klp_commands.problem,
                "schema": klp_commands.SCHEMA,
                "default": [],
                "secret": True,
                "about": "Each has run (program and arguments; no shell), and perhaps timeout (1 to 300 seconds, 30 if "
                "left out; 300 for all together) and name (for messages). Exit code 0 is well. They must change "
                "nothing: previews and test=True start them as well.",
            },
            "services": _own(
                "list of services",
                klp_commands.services_problem,
                klp_commands.SERVICES_SCHEMA,
                [],
                "Services that have to run, by their units; one whose state is unknown is not well.",
            ),
            "before": _choice(
                ("refuse", "ignore"),
                "A host that is ill before a run: refuse is an error before anything is changed, ignore patches it "
                "all the same.",
            ),
            "wait": _int(
                60,
                0,
                3600,
                "seconds",
                "At the end of a run what is not well is asked again for so long: services that were restarted need "
                "their time.",
            ),
        },
    ),
    "alarms": _keys(
        "What the beacon klp reports, and does.",
        {
            "stalled": _int(600, 1, 86400, "seconds", "A transition that runs for longer is stalled."),
            "repair_locks": _bool(False, "Lock kernel packages again whose lock somebody else took away."),
        },
    ),
    "hooks": _keys(
        "SLS of your own around a run of klp.patch or klp.rollback that changes something; one or a list of them.",
        {
            "before": _hook("Before the backup and the first change; if it fails, nothing is changed."),
            "after": _hook("At the end whenever before has begun, also after a failure; after a kill by the next run."),
            "on_failure": _hook("Last of all, where the run failed after before had begun."),
        },
    ),
    "zypper": _keys(
        "Patience with zypper.",
        {
            "lock_timeout": _int(
                300, 1, 86400, "seconds", "How long to wait for another zypper or rpm that holds its lock."
            ),
            "timeout": _int(
                7200,
                60,
                86400,
                "seconds",
                "Deadline of one call of zypper; generous, since a package run must not be cut off.",
            ),
        },
    ),
    "kernel": _keys(
        "The yearly change of the kernel (SLS klp.kernel, asked for by name).",
        {
            "target": _own(
                "`best`, `none` or edition",
                klp_kernel_forms.target_problem,
                klp_kernel_forms.TARGET_SCHEMA,
                klp_kernel_forms.BEST,
                "Which kernel this host gets: best (the longest support window of those that qualify), an edition "
                "(VERSION-RELEASE of the package), or none.",
            ),
            "without_fallback": _bool(
                False,
                "Where the boot loader cannot start a kernel once only, make the new one the default at once: a host "
                "that does not come up with it then waits for somebody.",
            ),
            "reboot": dict(
                _own(
                    "list of strings",
                    klp_kernel_forms.reboot_problem,
                    klp_kernel_forms.REBOOT_SCHEMA,
                    [],
                    "Program (absolute path) and arguments that restart this host in a campaign of kind kernel, for "
                    "cluster tools and clouds; no shell; empty: system.reboot of Salt.",
                ),
                secret=True,
            ),
            "keep": _own(
                "`all`, or 2 to 20",
                klp_kernel_forms.keep_problem,
                klp_kernel_forms.KEEP_SCHEMA,
                klp_kernel_forms.ALL,
                "How many kernels stay when a new one was verified; 2: that one and the one to fall back to.",
            ),
            "retry": _bool(
                False, "Try a change again that has failed on this host; meant for the command line of one run."
            ),
        },
    ),
    "campaign": _keys(
        "What a campaign of the master tells one run; nothing for a pillar file.",
        {
            "start_by": _int(0, 0, 2**40, "seconds since 1970", "Refuse to begin after this moment; 0: at any time."),
            "shown": _map(
                "word",
                "SHA-256 of what the plan has shown, by id of the host: nothing else may be pending; empty: no check.",
            ),
            "level": _map("word", "The level of klp.patch, by the id of the host; goes over klp:level."),
            "rollback": _map("word", "The level of klp.rollback, by the id of the host; goes over klp:rollback:level."),
            "boot_id": _map("word", "The start that klp.restart ends, by the id of the host; empty: it restarts none."),
        },
    ),
    "verify": _keys(
        "Checks at the end of a run.",
        {
            "initrd": _bool(True, "Check with lsinitrd that the live patch is in the initrd of the running kernel."),
            "unsigned_modules": _bool(
                False, "Accept a kernel that is tainted by unsigned modules (third-party drivers)."
            ),
        },
    ),
}
