"""
What a maintenance run installs, and what it leaves out for which reason. Pure decisions.
"""

import fnmatch
import importlib.util
import os
import re
from typing import Any


def _beside(name):
    """Return a file of this folder as a module: utils have no ``__utils__``, and an import would stay stale."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    spec: Any = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_FAMILY = _beside("klp_family")
PREFIXES = "|".join(names["prefix"] for names in _FAMILY.NAMES.values())
METAPACKAGES = "|".join(names["metapackage"].split("{}")[1] for names in _FAMILY.NAMES.values())

KERNEL = re.compile(rf"^(?!{PREFIXES})kernel(-(?!firmware)(?!.*(?:{METAPACKAGES})(-devel)?$).*)?$")
LIVE_PATCH = re.compile(rf"^(?:{PREFIXES})(?!tools)")
METAPACKAGE = re.compile(rf"^kernel-[a-z0-9_]+(?:{METAPACKAGES})\Z")
RUNNING = "installed by klp.patched"

# Reasons. A hard one also keeps a package back that another advisory would bring.
EXCLUDED = "excluded by pillar klp:update:exclude"
CATEGORY = "category {} is not in pillar klp:update:categories"
SEVERITY = "severity {} is not in pillar klp:update:severities"
NEEDS_KERNEL = "needs {}, and the kernel stays as it is"
REBOOT = "asks for a reboot; allow it with pillar klp:update:reboot"
NEED_REBOOT_LIST = "asks for a reboot (named in /etc/zypp/needreboot); allow it with pillar klp:update:reboot"
OTHERS = "no advisory speaks of it and pillar klp:update:others is false"
STILL_NEEDED = "still needed after the update: zypper could not bring all of its packages"
HELD_BACK = "zypper holds back {}: it cannot be installed with the locks and repositories as they are"


def kernel_package(name):
    """Return whether a package belongs to a kernel itself (not to a live patch, not firmware)."""
    return KERNEL.match(name) is not None


def live_patch_package(name):
    """Return whether this is a live patch package of any kernel."""
    return LIVE_PATCH.match(name) is not None


def kernel_of(name):
    """Return the kernel (as ``uname -r`` has it) of a live patch package."""
    return LIVE_PATCH.sub("", name).replace("_", ".")


def metapackage(name):
    """Return whether this package brings the live patch of each new kernel."""
    return METAPACKAGE.match(name) is not None


def lock_list(flavour, extra=(), family=None):
    """
    Return the packages to lock for a kernel flavour, sorted.

    extra
        more packages.
    family
        what ``klp_family.family`` has; default: what most hosts have.

    An explicit list: a glob such as ``kernel-*`` would freeze the live patches as well.
    """
    family = family or _FAMILY.USUAL
    own = [f"kernel-{flavour}{part}" for part in family["own"]]
    suffix = "" if flavour == "default" else f"-{flavour}"
    common = [f"kernel-{part}{suffix}" for part in family["common"]] + ["kernel-macros"]
    return sorted(set(own + common + list(extra)))


def _advisory_reason(advisory, packages, update):
    """Return ``(reason, hard)`` for leaving an advisory out, ``(None, False)`` for taking it."""
    kernels = [name for name in packages if kernel_package(name)]
    if kernels:
        return NEEDS_KERNEL.format(kernels[0]), True
    if any(fnmatch.fnmatchcase(advisory["id"], pattern) for pattern in update["exclude"]):
        return EXCLUDED, True
    if advisory["reboot"] and not update["reboot"]:
        return REBOOT, True
    if advisory["category"] not in update["categories"]:
        return CATEGORY.format(advisory["category"]), False
    if advisory["severity"] not in update["severities"]:
        return SEVERITY.format(advisory["severity"]), False
    return None, False


def plan(advisories, packages, updates, update, needreboot):
    """
    Decide what to install.

    advisories
        needed ones, as ``zypp_parse.advisories`` reads them.
    packages
        ``{advisory id: [package names]}``.
    updates
        ``{name: {"old", "new"}}``: packages that zypper could update with the locks as they are.
    update
        settings below ``klp:update``.
    needreboot
        names of packages that ask for a reboot.

    Returns ``{"advisories": [ids], "stack": [ids], "packages": {name: {"old", "new"}}, "skipped": [{"item", "kind",
    "reason"}], "live_patches": [ids]}``; live patches are another state's business.
    """
    chosen, skipped, live, hard, soft, wanted = [], [], [], {}, {}, set()
    for advisory in sorted(advisories, key=lambda item: item["id"]):
        names = packages.get(advisory["id"], [])
        if names and all(live_patch_package(name) for name in names):
            live.append(advisory["id"])
            continue
        reason, strong = _advisory_reason(advisory, names, update)
        if reason:
            skipped.append({"item": advisory["id"], "kind": "advisory", "reason": reason})
            (hard if strong else soft).update((name, reason) for name in names)
        else:
            chosen.append(advisory)
            wanted.update(names)
    taken, left = _packages(updates, wanted, hard, soft, update, needreboot)
    chosen, stuck = _reachable(chosen, packages, taken, {item["item"]: item["reason"] for item in left})
    return {
        "advisories": [advisory["id"] for advisory in chosen],
        "stack": [advisory["id"] for advisory in chosen if advisory["stack"]],
        "packages": taken,
        "live_patches": live,
        "skipped": sorted(skipped + stuck + left, key=lambda item: (item["kind"], item["item"])),
    }


def _packages(updates, wanted, hard, soft, update, needreboot):
    taken, left = {}, []
    for name in sorted(updates):
        reason = _package_reason(name, wanted, hard, soft, update, needreboot)
        if reason is None:
            taken[name] = updates[name]
        elif reason != RUNNING:
            left.append({"item": name, "kind": "package", "reason": reason})
    return taken, left


def _package_reason(name, wanted, hard, soft, update, needreboot):
    if live_patch_package(name):
        return RUNNING
    if kernel_package(name):
        return NEEDS_KERNEL.format(name)
    if name in hard:
        return hard[name]
    if name in needreboot and not update["reboot"]:
        return NEED_REBOOT_LIST
    if name in wanted:
        return None
    if name in soft:
        return soft[name]
    return None if update["others"] else OTHERS


def _reachable(chosen, packages, taken, left):
    """Part the chosen advisories into those that bring something and those that zypper holds back altogether."""
    good, stuck = [], []
    for advisory in chosen:
        names = packages.get(advisory["id"], [])
        if not names or any(name in taken for name in names):
            good.append(advisory)
            continue
        reason = next((left[name] for name in names if name in left), HELD_BACK.format(", ".join(names)))
        stuck.append({"item": advisory["id"], "kind": "advisory", "reason": reason})
    return good, stuck


def forbidden(summary, needreboot, allow_reboot):
    """
    Return what a dry run must not hold, as ``["install kernel-default-5.14...", ...]``.

    summary
        of ``zypp_parse.summary``.
    """
    found = []
    for action in sorted(key for key in summary if key != "nothing"):
        for item in summary[action]:
            if item["kind"] != "package":
                continue
            if kernel_package(item["name"]) or (item["name"] in needreboot and not allow_reboot):
                found.append(f"{action} {item['name']}-{item['edition']}")
    return found


def refusal(command, offending):
    """Return the sentence for a dry run that holds what it must not."""
    return (
        f"zypper {command}: refused before anything was installed, because it would {', '.join(offending)}; "
        "lock the kernel packages (zypper.locked) or leave out what needs them (pillar klp:update:exclude)"
    )


def needreboot(texts):
    """Read the files that name the packages after which zypper asks for a reboot: ``(names, provided)``."""
    lines = [line.split("#", 1)[0].strip() for text in texts for line in text.splitlines()]
    names = {line for line in lines if line and not line.startswith("provides:")}
    return names, sorted({line[9:].strip() for line in lines if line.startswith("provides:")})


def present(found, edition):
    """Return whether a package is installed: ``found`` is its editions joined by commas, or ``None``."""
    editions = (found or "").split(",")
    return bool(found) and (
        edition is None or any(item == edition or item.startswith(edition + "-") for item in editions)
    )


def notes(code, scriptlets):
    """Return what has to be said about an exit code of zypper that is not a failure."""
    if code == 107:
        return [f"installed, but a scriptlet failed: {', '.join(scriptlets) or 'zypper does not say of which package'}"]
    return ["something that was installed asks for a reboot"] if code == 102 else []


def missing(planned, before, after):
    """Return what of a plan is not installed after the run, one clause each."""
    return [
        f"{name}: wanted {planned[name]['new']}, found {after.get(name, 'nothing')}"
        for name in sorted(planned)
        if name in before and planned[name]["new"] not in after.get(name, "").split(",")
    ]


def new(plan_, needed):
    """Return the advisories (ids) that a plan does not know of."""
    known = set(plan_["advisories"]) | {item["item"] for item in plan_["skipped"]} | set(plan_["live_patches"])
    return [name for name in needed if name not in known]


def left(plan_, needed):
    """Return what a plan left out, and what it chose but is needed all the same."""
    again = sorted(set(needed) & set(plan_["advisories"]))
    return plan_["skipped"] + [{"item": name, "kind": "advisory", "reason": STILL_NEEDED} for name in again]
