"""
What a maintenance run installs, and what it leaves out for which reason. Pure decisions.
"""

import fnmatch
import re

import klp_cves
import klp_family
import zypp_hints
import zypp_unwanted

PREFIXES = "|".join(names["prefix"] for names in klp_family.NAMES.values())
METAPACKAGES = "|".join(names["metapackage"].split("{}")[1] for names in klp_family.NAMES.values())

KERNEL = re.compile(rf"^(?!{PREFIXES})kernel(-(?!firmware)(?!.*(?:{METAPACKAGES})(-devel)?$).*)?$")
LIVE_PATCH = re.compile(rf"^(?:{PREFIXES})(?!tools)")
METAPACKAGE = re.compile(rf"^kernel-[a-z0-9_]+(?:{METAPACKAGES})\Z")
RUNNING = "installed by klp.patched"

# Reasons. A hard one also keeps a package back that another advisory would bring.
EXCLUDED = "excluded by pillar klp:update:exclude"
DROPPED = "{}{} leave it out for good with pillar klp:update:exclude: [{}]"
OF_LOCKED = "its advisory {} is {}"
CATEGORY = "category {} is not in pillar klp:update:categories"
SEVERITY = "severity {} is not in pillar klp:update:severities"
NEEDS_KERNEL = "needs {}, and the kernel stays as it is"
ALLOW = "allow it with pillar klp:update:reboot"
REBOOT = f"asks for a reboot; {ALLOW}"
HINTED = f"asks for a reboot ({{}}); {ALLOW}"
OTHERS = "no advisory speaks of it and pillar klp:update:others is false"
STILL_NEEDED = "still needed after the update: zypper could not bring all of its packages"
LOCK = "lock the kernel packages (zypper.locked) or leave out what needs them (pillar klp:update:exclude)"
BY_HAND = "if this host may be restarted, install it by hand with zypper"
ASKS = " (asks for a reboot)"
WORDS = {"change-vendor": "change the vendor of"}  # for an action of zypper
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
    family = family or klp_family.USUAL
    own = [f"kernel-{flavour}{part}" for part in family["own"]]
    suffix = "" if flavour == "default" else f"-{flavour}"
    common = [f"kernel-{part}{suffix}" for part in family["common"]] + ["kernel-macros"]
    return sorted(set(own + common + list(extra)))


def _advisory_reason(advisory, packages, update):
    """Return ``(reason, hard)`` for leaving an advisory out, ``(None, False)`` for taking it."""
    kernels = [name for name in packages if kernel_package(name)]
    if kernels:
        return NEEDS_KERNEL.format(kernels[0]), True
    if _matches(advisory["id"], update["exclude"]):
        return EXCLUDED, True
    reboot = advisory["reboot"] and not update["reboot"]
    if advisory["category"] not in update["categories"]:
        return CATEGORY.format(advisory["category"]), reboot
    if advisory["severity"] not in update["severities"]:
        return SEVERITY.format(advisory["severity"]), reboot
    return (REBOOT, True) if reboot else (None, False)


def plan(advisories, contents, updates, update, hints=zypp_hints.NONE):
    """
    Decide what to install.

    advisories
        needed ones, as ``zypp_parse.advisories`` reads them; what an administrator has locked is "unwanted".
    contents
        ``{advisory id: {package name: edition}}``.
    updates
        ``{name: {"old", "new"}}``: packages that zypper could update with the locks as they are.
    update
        settings below ``klp:update``.
    hints
        what asks for a reboot, as ``zypp_hints.hints`` has it.

    Returns ``{"advisories": [ids], "packages": {name: {"old", "new"}}, "skipped": [{"item", "kind",
    "reason"}], "live_patches": [ids], "locked", "comes"}``; live patches are another state's business, the last two are
    of ``zypp_unwanted.split``.
    """
    listed = sorted(advisories, key=lambda item: item["id"])
    chosen, skipped, live, hard, soft = _choose(listed, contents, update)
    wanted = {name for advisory in chosen for name in contents.get(advisory["id"], {})}
    why = {item["id"]: zypp_unwanted.reason(item) for item in listed if zypp_unwanted.locked(item)}
    out, comes, limits = zypp_unwanted.split(why, [item["id"] for item in chosen], contents)
    out = {name: editions for name, editions in out.items() if not live_patch_package(name)}
    updates = zypp_unwanted.limited(updates, out, limits)
    for name in set(updates) & set(out):
        ident = zypp_unwanted.brings(out, name, updates[name]["new"])
        if ident:
            hard.setdefault(name, OF_LOCKED.format(ident, why[ident]))
    taken, left = _packages(updates, wanted, hard, soft, update, hints)
    reasons = {name: EXCLUDED for name in wanted if _matches(name, update["exclude"])}
    reasons.update((item["item"], item["reason"]) for item in left)
    chosen, stuck = _reachable(chosen, contents, taken, reasons)
    stuck += [{"item": ident, "kind": "advisory", "reason": reason} for ident, reason in why.items()]
    return {
        "advisories": [advisory["id"] for advisory in chosen],
        "packages": taken,
        "live_patches": live,
        "skipped": sorted(skipped + stuck + left, key=lambda item: (item["kind"], item["item"])),
        "locked": out,
        "comes": comes,
    }


def _choose(listed, contents, update):
    """Part the advisories that nobody has locked: chosen, left out, live patches; and packages of those left out."""
    chosen, skipped, live, hard, soft = [], [], [], {}, {}
    for advisory in [item for item in listed if not zypp_unwanted.locked(item)]:
        names = contents.get(advisory["id"], {})
        if names and all(live_patch_package(name) for name in names):
            live.append(advisory["id"])
            continue
        reason, strong = _advisory_reason(advisory, names, update)
        if reason:
            skipped.append({"item": advisory["id"], "kind": "advisory", "reason": reason})
            (hard if strong else soft).update((name, reason) for name in names)
        else:
            chosen.append(advisory)
    return chosen, skipped, live, hard, soft


def _packages(updates, wanted, hard, soft, update, hints):
    taken, left = {}, []
    for name in sorted(updates):
        asks = None if update["reboot"] else zypp_hints.how(hints, name, updates[name]["new"])
        reason = _package_reason(name, wanted, hard, soft, update, asks)
        if reason is None:
            taken[name] = updates[name]
        elif reason != RUNNING:
            left.append({"item": name, "kind": "package", "reason": reason})
    return taken, left


def _package_reason(name, wanted, hard, soft, update, asks):
    """``asks`` is how it is known that it asks for a reboot; that is said where allowing it would bring the package."""
    if live_patch_package(name):
        return RUNNING
    if kernel_package(name):
        return NEEDS_KERNEL.format(name)
    if _matches(name, update["exclude"]):
        return EXCLUDED
    if name in hard:
        return hard[name]
    if name not in wanted and name in soft:
        return soft[name]
    if name not in wanted and not update["others"]:
        return OTHERS
    return HINTED.format(asks) if asks else None


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


def forbidden(summary, hints):
    """
    Return what a dry run must not hold, as ``["install kernel-default-5.14...", ...]``.

    A kernel, a package of another vendor (zypper itself keeps the vendor unless an edition is named), the removal of a
    live patch, and what asks for a reboot.

    summary
        of ``zypp_parse.summary``.
    hints
        what asks for a reboot, as ``zypp_hints.hints`` has it; ``zypp_hints.NONE`` where it is allowed.
    """
    found = []
    for action in sorted(key for key in summary if key != "nothing"):
        for item in [item for item in summary[action] if item["kind"] == "package"]:
            name = item["name"]
            asks = action != "remove" and zypp_hints.how(hints, name, item["edition"])
            gone = action == "remove" and live_patch_package(name) and not _comes_again(summary, name)
            if kernel_package(name) or gone or action == "change-vendor":
                found.append(f"{WORDS.get(action, action)} {name}-{item['edition']}")
            elif asks:
                found.append(f"{WORDS.get(action, action)} {name}-{item['edition']}{ASKS}")
    return found


def only_reboots(offending):
    """Return whether nothing but a reboot speaks against a dry run: then pillar can allow it."""
    return all(item.endswith(ASKS) for item in offending)


def _comes_again(summary, name):
    """A package that is there twice is mended by removing one and installing the other (measured)."""
    return any(
        item["name"] == name for action in summary if action not in ("nothing", "remove") for item in summary[action]
    )


def excluded(summary, patterns):
    """Return what a dry run brings although it is excluded by name, as ``forbidden`` does; a live patch never is."""
    return [
        f"{action} {item['name']}-{item['edition']}"
        for action in sorted(key for key in summary if key not in ("nothing", "remove"))
        for item in summary[action]
        if item["kind"] == "package" and not live_patch_package(item["name"]) and _matches(item["name"], patterns)
    ]


def _matches(text, patterns):
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def would(offending):
    """Return the clause for a package that brings along what it must not; a pillar key is named where it would help."""
    return f"would {', '.join(offending)}" + (f"; {ALLOW}" if only_reboots(offending) else "")


def refusal(command, offending):
    """Return the sentence for a dry run that holds what it must not."""
    cure = BY_HAND if only_reboots(offending) else LOCK
    return f"zypper {command}: refused before anything was installed, because it would {', '.join(offending)}; {cure}"


def admit(names, problem, kept=()):
    """
    Return those of some packages that can be installed together, and why each of the others cannot.

    names
        list of what is to be installed.
    problem
        called with a list of them; returns why these cannot be installed together, or ``None``. Asked once where all
        of them can, and for each one that cannot at most twice as often as their number can be halved.
    kept
        names that are installed in any case; they can be.

    Returns ``(admitted, {name: why})``.
    """
    if not names:
        return [], {}
    why = problem(list(kept) + list(names))
    return (list(names), {}) if why is None else _part(list(names), problem, list(kept), why)


def _part(names, problem, kept, why):
    """Part names that cannot all be installed with those that are kept."""
    if len(names) == 1:
        return [], {names[0]: why}
    half = len(names) // 2
    first, wrong = admit(names[:half], problem, kept)
    rest, kept = names[half:], kept + first
    second, more = admit(rest, problem, kept) if wrong else _part(rest, problem, kept, why)
    return first + second, dict(wrong, **more)


def present(found, edition):
    """Return whether a package is installed: ``found`` is its editions joined by commas, or ``None``."""
    editions, edition = (found or "").split(","), None if edition is None else klp_cves.without_epoch(edition)
    return bool(found) and (
        edition is None or any(item == edition or item.startswith(edition + "-") for item in editions)
    )


def notes(command, code, scriptlets):
    """Return what has to be said about an exit code of zypper that is not a failure, and of scriptlets that failed."""
    if code == 107 or scriptlets:
        done = "removed" if command == "remove" else "installed"
        return [f"{done}, but a scriptlet failed: {', '.join(scriptlets) or 'zypper does not say of which package'}"]
    return ["something that was installed asks for a reboot"] if code == 102 else []


def changes(summary):
    """Return what a dry run would change: ``{name: {"old", "new"}}`` of packages; ``new`` is ``None`` for a removal."""
    found = {}
    for action in sorted(key for key in summary if key != "nothing"):
        for item in summary[action]:
            new = None if action == "remove" else item["edition"]
            old = item["edition"] if action == "remove" else item["old"]
            if item["kind"] == "package" and (new or item["name"] not in found):
                found[item["name"]] = {"old": old, "new": new}
    return found


def dropped(plan_, wrong, contents):
    """
    Return a plan without packages that cannot be installed, or drag in what is forbidden; each is named with the cure.

    wrong
        ``{name: why}``, as ``admit`` has it.
    contents
        ``{advisory id: package names}``: an advisory all of whose packages are dropped is left out, too.
    """
    taken = {name: change for name, change in plan_["packages"].items() if name not in wrong}
    reasons = {name: DROPPED.format(why, ", or" if why.endswith(ALLOW) else ";", name) for name, why in wrong.items()}
    left = [{"item": name, "kind": "package", "reason": reason} for name, reason in reasons.items()]
    stuck = [
        {"item": item, "kind": "advisory", "reason": next(reasons[name] for name in contents[item] if name in reasons)}
        for item in plan_["advisories"]
        if set(contents.get(item, [])) & set(wrong) and not set(contents[item]) & set(taken)
    ]
    out = {item["item"] for item in stuck}
    skipped = sorted(plan_["skipped"] + left + stuck, key=lambda item: (item["kind"], item["item"]))
    return dict(
        plan_, packages=taken, skipped=skipped, advisories=[item for item in plan_["advisories"] if item not in out]
    )


def still_needed(plan_, contents, installed, newer):
    """
    Return the chosen advisories whose packages are not all at their editions, as entries of ``skipped``.

    contents
        ``{advisory id: {name: edition}}``.
    installed
        ``{name: "edition,edition"}``.
    newer
        ``newer(edition, other)`` says whether an edition is newer than another one.
    """
    return [
        {"item": item, "kind": "advisory", "reason": STILL_NEEDED}
        for item in plan_["advisories"]
        if any(
            name in installed and all(newer(klp_cves.without_epoch(edition), has) for has in installed[name].split(","))
            for name, edition in contents.get(item, {}).items()
        )
    ]
