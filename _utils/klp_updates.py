"""
One plan of a maintenance run: what is installed, in which edition, and what is left out for which reason.

The plan is made of one state of the metadata, and its dry run is that of the one command that is then run: all packages
by their editions, the live patch among them. What cannot be installed together with the rest is left out by itself.

Source: zypper(8) list-updates, install; that ``install NAME=EDITION`` brings what ``update`` would bring, that it may
change the vendor, and that one package that needs a locked kernel stops all others, is measured.
"""

import klp_cves
import klp_level
import klp_live
import klp_locked
import klp_paths
import klp_pillar
import klp_sources
import klp_state
import zypp_begun
import zypp_cmd
import zypp_packages
import zypp_plan
import zypp_solver
import zypp_unwanted
import zypp_write

CUT_OFF = "cut off before and not installed again: {}: {}"
LOST = "no repository has this edition any more; install another one"


def settings(host, update=None):
    """Return the settings below ``klp:update``: those given, checked as the pillar's are, else the pillar's."""
    return host.settings["update"] if update is None else klp_pillar.settings({"update": update})["update"]


def options(update):
    """Return the options of the zypper that installs, and of its dry run."""
    return ["--auto-agree-with-licenses"] if update["licenses"] else []


def plan(host, update=None, level=None):
    """
    Return what a maintenance run would install now, and what it would leave out and why.

    update
        settings below pillar ``klp:update``; default: the pillar's.
    level
        bring the live patch of this level, too; ``None``: leave it to somebody else.

    Returns a dict:

    * ``advisories``: [ids];
    * ``packages``: {name: {"old", "new"}}, with what they bring along;
    * ``live_patch``: the same of the live patch package, if another edition of it comes by the same command;
    * ``reload``: the same of one that is at its level and has to be installed again, by its own state;
    * ``unfinished``: {name: edition} of what was cut off before;
    * ``requested``: [NAME=EDITION], what zypper is told;
    * ``skipped``: [{"item", "kind", "reason"}];
    * ``contents``: {id: {name: edition}} of the needed advisories, locked ones included;
    * ``locked``: {name: [(edition, id)]}, what an administrator has locked by its advisory.
    """
    update = settings(host, update)
    key = ("plan", repr(sorted(update.items())), level)
    files = zypp_solver.locked_world() + (f"{klp_paths.RECORDS}/*.json",)
    found = host.kept(key, files, lambda: _plan(host, update, level))
    return dict(found, reload={} if found["live_patch"] or level is None else _reload(host, level))


def _plan(host, update, level):
    found, contents = _decided(host, update)
    live_patch = {} if level is None else live_patch_change(host, level)
    live_patch, refused = _admit(host, update, found, live_patch)
    found = zypp_plan.dropped(found, refused, contents)
    wanted = sorted(requested(dict(found["packages"], **live_patch)))
    brought = zypp_plan.changes(zypp_solver.dry_run(host, wanted, "install", options(update))) if wanted else {}
    locked, comes = found.pop("locked"), found.pop("comes")
    return dict(
        found,
        packages={name: change for name, change in brought.items() if name not in live_patch},
        skipped=zypp_unwanted.told(found["skipped"], comes, brought),
        live_patch=live_patch,
        requested=wanted,
        unfinished={name: edition for name, edition in unfinished(host).items() if name not in brought},
        contents=contents,
        locked=locked,
    )


def _decided(host, update):
    """
    Return the plan before a dry run, and what the needed advisories bring.

    What asks for a reboot by what it provides is looked for only where something is left to install.
    """
    needed = klp_sources.advisories(host) + klp_locked.advisories(host)
    contents, updates = zypp_solver.advisory_editions(host, needed), zypp_solver.updates(host)
    found = zypp_plan.plan(needed, contents, updates, update, zypp_solver.named_hints())
    if found["packages"] and not update["reboot"]:
        found = zypp_plan.plan(needed, contents, updates, update, zypp_solver.reboot_hints(host))
    return found, contents


def _admit(host, update, found, live_patch):
    """
    Return the change of the live patch that goes into the plan, and the packages that do not: ``{name: why}``.

    A live patch that cannot be installed even alone is left to its own state, which says why.
    """

    def problem(some):
        return _problem(host, some, update, locked=found["locked"])

    names, fixed = requested(found["packages"]), requested(live_patch)
    if fixed and problem(fixed + names) is not None and problem(fixed) is not None:
        live_patch, fixed = {}, []
    _, refused = zypp_plan.admit(names, problem, fixed)
    return live_patch, {name.split("=", 1)[0]: why for name, why in refused.items()}


def live_patch_change(host, level):
    """Return the change of the live patch package that a level means: ``{name: {"old", "new"}}``, empty for none."""
    package, edition = klp_live.package(host), klp_level.resolve(host, level)
    if edition == package["edition"]:
        return {}
    return {package["name"]: {"old": package["edition"], "new": edition}}


def unfinished(host):
    """Return what was cut off, but for the live patch, which ``klp.patched`` mends: ``{name: edition}``."""
    found = zypp_begun.unfinished(host)
    return {name: edition for name, edition in found.items() if name != host.live_patch_package}


def requested(changes):
    """Return changes as zypper takes them: ``["NAME=EDITION", ...]``."""
    return [f"{name}={changes[name]['new']}" for name in sorted(changes)]


def _problem(host, names, update, more=(), locked=None):
    """
    Return why packages cannot be installed together, one clause, or ``None``.

    more
        more options of zypper.
    locked
        what must not come since its advisory is locked, as ``zypp_unwanted.split`` has it.
    """
    locked = locked or {}
    key = ("problem", tuple(sorted(names)), repr(sorted(update.items())), tuple(more), repr(sorted(locked.items())))
    return host.kept(key, zypp_solver.locked_world(), lambda: _ask(host, sorted(names), update, list(more), locked))


def _ask(host, names, update, more, locked):
    try:
        found = zypp_solver.dry_run(host, names, "install", options(update) + more)
    except zypp_cmd.NotInstallable as exc:
        return f"cannot be installed here: {exc.why}"
    wrong = zypp_solver.forbidden(host, found, update["reboot"])
    wrong += zypp_plan.excluded(found, update["exclude"]) + zypp_unwanted.offending(found, locked)
    return zypp_plan.would(wrong) if wrong else None


def _reload(host, level):
    """Return the live patch package that is at its level but not in the kernel, or was cut off: it comes again."""
    package = klp_live.package(host)
    edition = package["edition"]
    active = edition and klp_live.status(host)["active"] == host.module(edition)
    if active and not package["unfinished"] or not edition or klp_level.resolve(host, level) != edition:
        return {}
    return {package["name"]: {"old": edition, "new": edition}}


def changes(found):
    """Return all that a run installs, anew or again: ``{name: {"old", "new"}}``; ``new`` is ``None`` for a removal."""
    again = {name: {"old": edition, "new": edition} for name, edition in found["unfinished"].items()}
    return dict(again, **dict(found["packages"], **dict(found["live_patch"], **found["reload"])))


def update(host, update=None, level=None, check=None):
    """
    Install what ``plan`` says, with one command; what was cut off before is installed again first.

    check
        called before anything is installed with what the dry run brings, ``{name: edition}``; raises where that must
        not be.

    Returns ``{"changed": {name: {"old", "new"}}, "skipped": [...], "notes": [sentences]}``.
    """
    before, found = zypp_packages.packages(host), plan(host, update, level)
    wanted, notes = settings(host, update), []
    if found["unfinished"]:
        notes += _mend(host, found["unfinished"], wanted, check)
    if found["requested"]:
        more = {"options": options(wanted), "allow_reboot": wanted["reboot"], "check": check}
        notes += zypp_write.install(host, found["requested"], **more)["notes"]
    after = zypp_packages.packages(host)
    left = zypp_plan.still_needed(found, found["contents"], after, klp_cves.newer)
    return {"changed": klp_state.difference(before, after), "skipped": found["skipped"] + left, "notes": notes}


def _mend(host, cut_off, wanted, check):
    """Install again, by their editions, packages whose installation was cut off; return notes."""
    names = [f"{name}={edition}" for name, edition in sorted(cut_off.items())]
    good, wrong = zypp_plan.admit(names, lambda some: _problem(host, some, wanted, ["--force"]))
    more = {"options": options(wanted), "allow_reboot": wanted["reboot"], "check": check}
    notes = zypp_write.install(host, good, force=True, **more)["notes"] if good else []
    left = [f"{name}={edition}" for name, edition in unfinished(host).items()]
    done = [name for name in good if name not in left]
    if done:
        notes.insert(0, f"installed again, since it was cut off before: {', '.join(done)}")
    return notes + [CUT_OFF.format(name, wrong.get(name, LOST)) for name in names if name in left]
