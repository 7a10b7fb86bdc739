"""
Rollback to an earlier live patch of the running kernel.

``klp -n downgrade`` is not used: it cannot be asked what it would do, and run twice goes down twice.

Source: zypper(8) install --oldpackage, addlock; measured.
"""

from salt.exceptions import CommandExecutionError, SaltInvocationError

import klp_health
import klp_hold
import klp_install
import klp_level
import klp_live
import klp_parse
import klp_preflight
import klp_retracted
import zypp_solver

ERRORS = (
    "the kernel has had errors since it was started, another live patch may make it worse: {}; plan a reboot, or force "
    "it with pillar klp:rollback:force"
)


def resolve(host, level="previous"):
    """
    Return the edition that a level means for a rollback; never one that its vendor has withdrawn.

    level
        ``previous``, a number or an edition. On a host that is held already ``previous`` is what it is held at (or what
        is installed, if that is older), so that the same command again does not go further down, unless that one was
        withdrawn.

    Raises CommandExecutionError where there is no earlier one, no repository has it, or it is not below the installed.
    """
    klp_level.checked(level, "previous")
    package, hold = klp_live.package(host), klp_hold.of_kernel(host)
    installed = package["edition"]
    if not installed:
        raise CommandExecutionError(f"{package['name']} is not installed: there is nothing to go back from")
    wanted = _meant(package, hold, level)
    if wanted and klp_retracted.of(host, wanted)["retracted"]:
        if level != "previous":
            raise CommandExecutionError(klp_level.withdrawn(host, wanted, klp_level.available(host)))
        return _before(host, package, wanted)
    if wanted or level == "previous":
        return wanted or _before(host, package, installed)
    wanted = klp_level.find(host, level)
    if klp_level.age(wanted) > klp_level.age(installed):
        raise CommandExecutionError(
            f"live patch {wanted} is above the installed {installed}: klp.downgrade never goes forward; "
            "klp.install and klp.patch do"
        )
    return wanted


def _meant(package, hold, level):
    """Return the edition that a level means by what is installed and held, or ``None``."""
    installed = package["edition"]
    if hold and level == "previous":
        return min(hold["edition"], installed, key=klp_level.age)
    above = hold and klp_level.age(installed) >= klp_level.age(hold["edition"])
    if above and level in (hold["edition"], klp_parse.level(hold["edition"])):
        return hold["edition"]
    return installed if level in (package["level"], installed) else None


def _before(host, package, edition):
    """Return the newest good edition in the repositories below ``edition``."""
    editions = klp_level.available(host)
    below = [item for item in editions if klp_level.age(item["edition"]) < klp_level.age(edition)]
    good = [item["edition"] for item in below if not item["retracted"]]
    if good:
        return good[0]
    if package["level"] == 1:
        raise CommandExecutionError(
            f"live patch {package['edition']} is the first one of this kernel, there is none before it; "
            "klp.disable takes live patching away"
        )
    names, gone = ", ".join(item["edition"] for item in editions), ", ".join(item["edition"] for item in below)
    raise CommandExecutionError(
        f"no repository has a live patch below the installed {package['edition']}"
        f"{f', but for what its vendor has withdrawn: {gone}' if gone else ''}; has: {names or 'none'}"
    )


def standing(host):
    """Return how far a rollback is: live patch, module and ``held at``; ``unfinished`` where it is."""
    package, hold = klp_live.package(host), klp_hold.of_kernel(host)
    locked = hold and not klp_hold.recorded_missing(hold)
    found = {"live patch": package["edition"], "module": klp_live.status(host)["active"]}
    found["held at"] = hold["edition"] if locked else None
    return dict(found, unfinished=True) if package["unfinished"] else found


def goal(host, level):
    """Return how a host stands once it has gone back to a level."""
    edition = resolve(host, level)
    return {"live patch": edition, "module": host.module(edition), "held at": edition}


def nothing_to_do(host):
    """Return whether the rollback of pillar ``klp:rollback`` changes nothing (bool); raises where it is refused."""
    settings, now = host.settings["rollback"], standing(host)
    end = goal(host, settings["level"])
    if now == end:
        return True
    if now["live patch"] != end["live patch"] or "unfinished" in now:
        _permitted(host, settings["force"])
    return False


def downgrade(host, level=None, force=None):
    """Go back to the edition that a level means, see ``downgrade_to``; pillar ``klp:rollback`` has the defaults."""
    settings = host.settings["rollback"]
    level, force = settings["level"] if level is None else level, settings["force"] if force is None else force
    if not isinstance(force, bool):
        raise SaltInvocationError(f"force: wanted true or false, found {force!r}")
    refused = host.unsupported_reason()
    if refused:
        raise CommandExecutionError(refused)
    return downgrade_to(host, resolve(host, level), force)


def downgrade_to(host, edition, force=False):
    """
    Go back to an edition and hold it there. Interrupted anywhere, the same call finishes.

    force
        go back although kernel log or taint tell of earlier kernel errors.

    Returns ``{"changed", "notes"}``. Raises CommandExecutionError before anything is changed: while a transition runs,
    after kernel errors, if zypper would change more than this package; afterwards if the kernel has not taken the
    module.
    """
    package = klp_live.package(host)
    active = klp_live.status(host)["active"] == host.module(edition)
    if package["edition"] == edition and not package["unfinished"] and active:
        return {"changed": {}, "notes": _hold(host, package, edition)}
    klp_retracted.require_good(host, edition)
    notes = _permitted(host, force)
    names = [f"{package['name']}={edition}"]
    again = package["unfinished"] or package["edition"] == edition
    klp_hold.lift(host, edition)
    if not package["unfinished"]:
        _only(host, package["name"], names, again)
    klp_hold.remember(package, edition)
    done = klp_install.bring(host, names, edition, force=again, older=True)
    left = klp_live.package(host)["edition"]
    if left != edition:
        raise CommandExecutionError(f"zypper install --oldpackage: wanted {names[0]}, {left} is still installed")
    klp_install.require_loaded(host, edition)
    return dict(done, notes=notes + done["notes"] + _hold(host, package, edition))


def _permitted(host, force):
    """Raise, or return what was forced."""
    klp_preflight.require(host)
    klp_live.refuse_transition()
    errors = klp_health.kernel_errors()
    if errors and not force:
        raise CommandExecutionError(ERRORS.format("; ".join(errors)))
    return [f"went on in spite of: {item}" for item in errors]


def _only(host, name, names, again):
    """The dry run may hold this one package and nothing else; where it does not, the host stays held as it was."""
    try:
        found = zypp_solver.dry_run(host, names, "downgrade", ["--force"] if again else [])
    except CommandExecutionError:
        klp_hold.hold(host)
        raise
    others = [
        f"{action} {item['name']}-{item['edition']}"
        for action in sorted(key for key in found if key != "nothing")
        for item in found[action]
        if item["kind"] == "package" and item["name"] != name
    ]
    if others:
        klp_hold.hold(host)
        raise CommandExecutionError(f"going back to {names[0]} would also {', '.join(others)}: nothing was changed")


def _hold(host, package, edition):
    if (klp_hold.of_kernel(host) or {}).get("edition") != edition:
        klp_hold.lift(host, edition)
        klp_hold.remember(package, edition)
    klp_hold.hold(host)
    return [f"held at {edition}, newer ones come after: salt {host.id} klp.unhold"]
