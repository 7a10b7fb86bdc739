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
        "Live patch level: latest, an edition (VERSION-RELEASE) or a number. 1 is the empty initial patch. A number "
        "means a different live patch for each kernel.",
    ),
    "levels": _own(
        "mapping of kernels",
        klp_levels.problem,
        klp_levels.SCHEMA,
        {},
        "Level by kernel, as uname -r shows it; overrides klp:level on hosts that run this kernel. With the same "
        "mapping production gets what staging has tested.",
    ),
    "unsupported": _choice(
        ("refuse", "skip"),
        "What happens on a host that cannot be live patched (other vendor, other kernel): refuse is an error; skip "
        "changes nothing, and the states succeed with the reason in their comment.",
    ),
    "group": _str(
        "name",
        "",
        "Group of this host. Reports do not propose to restart a whole group in the same week; each wave of a campaign "
        "has some hosts of each group. Empty: none.",
    ),
    "facts": _str("folder", "", "Folder of files with facts that every user of the host may read; empty: none."),
    "product": _keys(
        "The product with the live patches. It is activated on a registered host that does not have it.",
        {
            "name": _str(
                "name",
                "auto",
                "Product identifier for SUSEConnect; auto: the one for this SUSE release; empty: never change the "
                "registration.",
            ),
            "regcode": _secret(
                "Registration code of that product, if it needs one. SUSEConnect gets it on standard input."
            ),
        },
    ),
    "tools": _keys(
        "Packages that are installed besides the live patch.",
        {
            "packages": _list(
                "name",
                ["auto"],
                "Packages with the klp tool and the lifecycle data (the source of the support window); auto: those "
                "for this SUSE release.",
            ),
            "kernel": _bool(
                False,
                "If kernel-default-base is installed, replace it with kernel-default of the same version. Live "
                "patches require that.",
            ),
            "pattern": _str(
                "name",
                "",
                "Pattern to install as well, e.g. lp_sles; auto: the one for this SUSE release; empty: none.",
            ),
        },
    ),
    "locks": _keys(
        "Package locks, so that ordinary patching installs no new kernel.",
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
            "exclude": _list("glob", [], "Advisories (by id) and packages to leave out; * and ? are wildcards."),
            "others": _bool(True, "Also update packages that no advisory names."),
            "reboot": _bool(False, "Also install updates that need a reboot, which is left to you; never a kernel."),
            "licenses": _bool(False, "Accept licences of updates."),
            "scriptlets": _choice(
                ("fail", "accept"),
                "If the scriptlet of a package failed: fail makes klp.verify and the run fail until it is repaired; "
                "accept only reports it.",
            ),
            "acknowledged": _list(
                "release", [], "Packages with a failed scriptlet that you have checked, as NAME=VERSION-RELEASE."
            ),
            "metadata_age": _int(
                30,
                0,
                3650,
                "days",
                "If all update repositories are older than this, the host counts as unknown in reports; 0: no check.",
            ),
        },
    ),
    "backup": _keys(
        "The backup of the root volume that is made before anything is installed.",
        {
            "backend": _choice(
                BACKENDS,
                "How the root volume is backed up: auto (snapper or lvm, by the root file system), snapper, lvm, "
                "command, or none for hosts without a backup.",
            ),
            "create": _list(
                "word",
                [],
                "Backend command: program (absolute path) and arguments. They make a backup and print its id.",
            ),
            "verify": _list(
                "word", [], "Backend command: program and arguments; exit code 0: the backup (last argument) is good."
            ),
            "delete": _list(
                "word",
                [],
                "Backend command: program and arguments that delete the backup (last argument); empty: salt-klp "
                "deletes no backup.",
            ),
            "restore": _list(
                "word",
                [],
                "Backend command: program and arguments that restore the backup (last argument) at the next start; "
                "empty: you restore it by hand.",
            ),
            "config": _str("name", "root", "Backend snapper: configuration of the root volume."),
            "size": _int(20, 1, 100, "percent", "Backend lvm: size of a classic snapshot, as a share of its origin."),
            "keep": _int(
                5,
                1,
                1000,
                "backups",
                "How many good backups are kept. Older ones that salt-klp made are deleted, also those of runs that "
                "have not ended.",
            ),
            "max_age": _int(
                24,
                1,
                8760,
                "hours",
                "A run that continues uses its backup up to this age; after that it makes a new one.",
            ),
            "timeout": _int(1800, 1, 86400, "seconds", "Timeout of each command of the backend."),
        },
    ),
    "rollback": _keys(
        "Rollback to an earlier live patch (SLS klp.rollback).",
        {
            "level": _level(
                "previous",
                "Target of the rollback: previous, an edition or a number from 1 (a different one for each kernel).",
            ),
            "force": _bool(False, "Roll back although kernel log or taint flags show earlier kernel errors."),
        },
    ),
    "restore": _keys(
        "Restoring a backup of the root volume (SLS klp.restore).",
        {
            "backup": _str("backup", "", "Id of the backup or of its run, as root_backup.list shows it."),
            "confirm": _str("backup", "", "Repeat the id to confirm that all changes since this backup will be lost."),
        },
    ),
    "disable": _keys(
        "What SLS klp.disable removes.",
        {
            "tools": _bool(True, "Remove the packages of klp:tools and the pattern."),
            "live_patches": _bool(True, "Remove the live patch packages of all kernels."),
            "locks": _bool(True, "Remove the package locks that salt-klp set, never those of others."),
        },
    ),
    "transition": _keys(
        "The transition: the time in which tasks move to a new live patch.",
        {
            "timeout": _int(
                300,
                1,
                86400,
                "seconds",
                "How long to wait until a transition ends; the kernel itself may need about 60.",
            ),
        },
    ),
    "window": _keys(
        "The time in which SUSE makes live patches for the running kernel.",
        {
            "refuse": dict(
                _choices(WINDOWS, "A maintenance run is refused in these states of the window; empty: never."),
                default=[],
            ),
            "warn": _int(30, 0, 365, "days", "A window that ends within so many days is reported."),
            "max_level": _int(
                0, 0, 999, "levels", "A host at this live patch level counts as expired; 0: levels have no limit."
            ),
        },
    ),
    "health": _keys(
        "Checks of the application on this host. They run before the first change, at the end of a run, and at each "
        "check of a campaign.",
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
                "Units of services that have to run; an unknown state counts as not running.",
            ),
            "before": _choice(
                ("refuse", "ignore"),
                "If a check fails before a run: refuse is an error before anything is changed; ignore patches the "
                "host nevertheless.",
            ),
            "wait": _int(
                60,
                0,
                3600,
                "seconds",
                "At the end of a run failed checks are retried for so long, since restarted services need time to "
                "start.",
            ),
        },
    ),
    "alarms": _keys(
        "Alarms of the beacon klp, and repairs.",
        {
            "stalled": _int(600, 1, 86400, "seconds", "A transition that runs for longer is stalled."),
            "repair_locks": _bool(False, "Lock kernel packages again if their locks were removed."),
        },
    ),
    "hooks": _keys(
        "Your own SLS around a run of klp.patch or klp.rollback that changes something; one or a list.",
        {
            "before": _hook("Before the backup and the first change; if it fails, nothing is changed."),
            "after": _hook(
                "At the end if before has begun, also after a failure. After an interruption the next run does it."
            ),
            "on_failure": _hook("At the very end, if the run failed after before had begun."),
        },
    ),
    "zypper": _keys(
        "Timeouts of zypper.",
        {
            "lock_timeout": _int(
                300, 1, 86400, "seconds", "How long to wait while another zypper or rpm holds its lock."
            ),
            "timeout": _int(
                7200,
                60,
                86400,
                "seconds",
                "Timeout of one zypper call; keep it long: an installation must not be interrupted.",
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
                "If the boot loader cannot start a kernel just once, make the new one the default at once. A host that "
                "does not come up then needs a person at its console.",
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
                "How many kernels are kept after a new one was verified; 2: the new one and the fallback.",
            ),
            "retry": _bool(
                False, "Retry a change that has failed on this host; give it on the command line of one run."
            ),
        },
    ),
    "campaign": _keys(
        "Values that a campaign gives to one run; never set them in a pillar file.",
        {
            "start_by": _int(0, 0, 2**40, "seconds since 1970", "Refuse to begin after this moment; 0: at any time."),
            "shown": _map(
                "word",
                "SHA-256 of what the plan has shown, by id of the host: nothing else may be pending; empty: no check.",
            ),
            "level": _map("word", "The level of klp.patch, by the id of the host; overrides klp:level."),
            "rollback": _map("word", "The level of klp.rollback, by the id of the host; overrides klp:rollback:level."),
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
