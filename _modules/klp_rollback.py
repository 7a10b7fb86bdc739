"""
The way back to an earlier live patch, and staying there: the fifth file of the module ``klp``.

A host that went back is held: the record ``/var/lib/salt-klp/hold.json`` tells from where and to which edition, a lock
on newer editions of the live patch package and locks on the advisories that bring them keep every zypper from going
forward, and everything else goes on being updated. ``klp.release`` ends it.

:depends: ``zypper``, ``rpm``
:pillar: ``klp:rollback`` (see ``docs/reference/pillar.md``)
"""

import time

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError

__virtualname__ = "klp"

HOLD = "hold"  # record of klp_record
FIELDS = {"package", "edition", "from", "since", "locks"}
TAINTED = "/proc/sys/kernel/tainted"


def __virtual__():
    if "klp_checks.kernel_errors" not in __utils__:
        return False, "klp: _utils/klp_checks.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _parse(reader, text):
    try:
        return __utils__[f"klp_parse.{reader}"](text)
    except ValueError as exc:
        raise CommandExecutionError(str(exc)) from exc


def held():
    """
    Return the live patch that this host is held at since it went back, or ``None``.

    A dict: ``package``, ``edition`` (the newest that may come), ``from`` (edition before), ``since`` (seconds since
    1970), ``locks`` (what keeps newer ones away, as for ``zypper.own_locks``).

    CLI Example::

        salt '*' klp.held
    """
    found = __utils__["klp_record.read"](HOLD, {})
    if found and set(found) != FIELDS:
        raise CommandExecutionError("/var/lib/salt-klp/hold.json: not what salt-klp wrote; repair it or move it away")
    return found or None


def _held_here(name):
    found = held()
    return found if found and found["package"] == name else None


def earlier(level="previous"):
    """
    Return the edition that a level means on the way back.

    level
        ``previous``, a number or an edition. On a host that is held already ``previous`` is what it is held at (or what
        is installed, if that is older), so that the same command again does not go further down.

    Raises CommandExecutionError where there is no earlier one, no repository has it, or it is not below the installed.

    CLI Example::

        salt '*' klp.earlier 1
    """
    problem = __utils__["klp_pillar.level_problem"](level, "previous")
    if problem:
        raise SaltInvocationError(f"level: {problem}")
    here = __salt__["klp.package"]()
    if not here["edition"]:
        raise CommandExecutionError(f"{here['name']} is not installed: there is nothing to go back from")
    hold = _held_here(here["name"])
    if hold and level == "previous":
        return min(hold["edition"], here["edition"], key=__utils__["klp_parse.age"])
    above = hold and _parse("age", here["edition"]) >= _parse("age", hold["edition"])
    if above and level in (hold["edition"], _parse("level", hold["edition"])):
        return hold["edition"]
    if level in (here["level"], here["edition"]):
        return here["edition"]
    if level == "previous":
        return _before(here)
    wanted = __salt__["klp.find"](level)
    if _parse("age", wanted) > _parse("age", here["edition"]):
        raise CommandExecutionError(
            f"live patch {wanted} is above the installed {here['edition']}: klp.downgrade never goes forward; "
            "klp.install and klp.patch do"
        )
    return wanted


def _before(here):
    there = __salt__["klp.available"]()
    below = [item["edition"] for item in there if _parse("age", item["edition"]) < _parse("age", here["edition"])]
    if below:
        return below[0]
    if here["level"] == 1:
        raise CommandExecutionError(
            f"live patch {here['edition']} is the first one of this kernel, there is none before it; "
            "klp.disable takes live patching away"
        )
    levels = ", ".join(item["edition"] for item in there) or "none"
    raise CommandExecutionError(f"no repository has a live patch below the installed {here['edition']}; has: {levels}")


def kernel_errors():
    """
    Return what kernel log and taint tell of earlier kernel errors, one sentence each; an empty list is the go-ahead.

    What cannot be read counts as an error: nobody knows then. Source: the kernel's admin-guide/tainted-kernels.

    CLI Example::

        salt '*' klp.kernel_errors
    """
    sys = {name: __utils__[f"klp_sys.{name}"] for name in ("text", "kernel_log")}
    try:
        log = [text for _, text in sys["kernel_log"]()]
    except OSError as exc:
        return [f"the kernel log cannot be read ({exc})"]
    return __utils__["klp_checks.kernel_errors"](sys["text"](TAINTED), log)


def downgrade(level=None, force=None):
    """
    Go back to an earlier live patch of the running kernel and hold it; ``klp.wait`` waits for its transition.

    level
        ``previous``, a number or an edition; default: pillar ``klp:rollback:level``.
    force
        go back although kernel log or taint tell of earlier kernel errors; default: pillar ``klp:rollback:force``.

    Returns ``{"changed": {name: {"old", "new"}}, "notes": [sentences]}``. Raises CommandExecutionError before anything
    is changed: while a transition runs, after kernel errors, for a level that ``klp.earlier`` refuses, if zypper would
    change more than this package; afterwards if the kernel has not taken the module. Interrupted anywhere, the same
    call finishes. ``klp -n downgrade`` is not used: it cannot be asked what it would do, and run twice goes down twice.
    Source: zypper(8) install --oldpackage, addlock; measured.

    CLI Example::

        salt '*' klp.downgrade
    """
    wanted = __utils__["klp_pillar.settings"](__pillar__.get("klp"))["rollback"]
    level, force = wanted["level"] if level is None else level, wanted["force"] if force is None else force
    if not isinstance(force, bool):
        raise SaltInvocationError(f"force: wanted true or false, found {force!r}")
    refused = __salt__["klp.refusal"]()
    if refused:
        raise CommandExecutionError(refused)
    edition, here = earlier(level), __salt__["klp.package"]()
    if here["edition"] == edition and not here["unfinished"] and _active(edition):
        return {"changed": {}, "notes": _hold(here, edition)}
    notes = _may_go(force)
    names = [f"{here['name']}={edition}"]
    _lift(here["name"], edition)
    if not here["unfinished"]:
        _only(here["name"], names)
    _remember(here, edition)
    again = here["unfinished"] or here["edition"] == edition
    done = __salt__["klp.bring"](names, edition, force=again, older=True)
    left = __salt__["klp.package"]()["edition"]
    if left != edition:
        raise CommandExecutionError(f"zypper install --oldpackage: wanted {names[0]}, {left} is still installed")
    __salt__["klp.loaded"](edition)
    return dict(done, notes=notes + done["notes"] + _hold(here, edition))


def _active(edition):
    return __salt__["klp.status"]()["active"] == __salt__["klp.module"](edition)


def _may_go(force):
    """Raise, or return what was forced."""
    problems = __salt__["klp.obstacles"]()
    if problems:
        raise CommandExecutionError("; ".join(problems))
    if __salt__["klp.status"]()["transition"] != "ready":
        raise CommandExecutionError("a transition is still running: no second live patch is started; see klp.blockers")
    errors = kernel_errors()
    if errors and not force:
        raise CommandExecutionError(
            f"the kernel has had errors since it was started, another live patch may make it worse: {'; '.join(errors)}"
            "; plan a reboot, or force it with pillar klp:rollback:force"
        )
    return [f"went on in spite of: {item}" for item in errors]


def _only(name, names):
    """The dry run may hold this one package and nothing else; where it does not, the host stays held as it was."""
    try:
        found = __salt__["zypper.preview"](names, "downgrade")
    except CommandExecutionError:
        hold()
        raise
    others = [
        f"{action} {item['name']}-{item['edition']}"
        for action in sorted(key for key in found if key != "nothing")
        for item in found[action]
        if item["kind"] == "package" and item["name"] != name
    ]
    if others:
        hold()
        raise CommandExecutionError(f"going back to {names[0]} would also {', '.join(others)}: nothing was changed")


def _remember(here, edition):
    """Write down where this host goes, before it goes there; from where it came first is kept."""
    old = _held_here(here["name"])
    new = {"package": here["name"], "edition": edition, "from": here["edition"], "since": int(time.time()), "locks": []}
    if old:
        new.update({"from": old["from"], "locks": old["locks"]})
        new.update({"since": old["since"]} if old["edition"] == edition else {})
    __utils__["klp_record.write"](HOLD, new)


def _lift(name, edition):
    """Take away our own lock that would be in the way; with it zypper refuses to go further down (measured)."""
    found = _held_here(name)
    old = [lock for lock in found["locks"] if ">" in lock and lock != f"{name}>{edition}"] if found else []
    if old:
        __salt__["zypper.remove_locks"](old)
        __utils__["klp_record.write"](HOLD, dict(found, locks=[lock for lock in found["locks"] if lock not in old]))


def _hold(here, edition):
    if (_held_here(here["name"]) or {}).get("edition") != edition:
        _lift(here["name"], edition)
        _remember(here, edition)
    hold()
    return [f"held at {edition}, newer ones come after: salt {__grains__['id']} klp.release"]


def unheld():
    """
    Return, sorted, the locks that are missing to keep newer live patches away from this host; none where none is held.

    CLI Example::

        salt '*' klp.unheld
    """
    found = held()
    return __salt__["zypper.missing_locks"](_wanted_locks(found)) if found else []


def _wanted_locks(found):
    """One lock on newer editions, and one on each needed advisory that brings them: zypper patch stumbles otherwise."""
    ids = [item["id"] for item in __salt__["zypper.advisories"]()]
    live_patch = __utils__["zypp_plan.live_patch_package"]
    above = [
        name
        for name, packages in __salt__["zypper.contents"](ids).items()
        if found["package"] in packages and all(live_patch(package) for package in packages)
    ]
    return [f"{found['package']}>{found['edition']}"] + [f"patch:{name}" for name in sorted(above)]


def hold():
    """
    Renew the locks that keep newer live patches away from a host that went back; new advisories may have come since.

    Returns the list of locks that were added.

    CLI Example::

        salt '*' klp.hold
    """
    found = held()
    if not found:
        return []
    wanted = _wanted_locks(found)
    __utils__["klp_record.write"](HOLD, dict(found, locks=sorted(set(found["locks"]) | set(wanted))))
    return __salt__["zypper.add_locks"](wanted)


def release():
    """
    Let newer live patches come to a host that went back: its own locks go, and the next ``klp.patch`` brings them.

    Returns ``{"released": edition it was held at or None, "locks": [taken away], "notes": [sentences]}``. Locks of
    others stay, and are told if they keep newer ones away.

    CLI Example::

        salt '*' klp.release
    """
    found = held()
    if not found:
        return {"released": None, "locks": [], "notes": ["no live patch is held on this host"]}
    gone = __salt__["zypper.remove_locks"](found["locks"]) if found["locks"] else []
    __utils__["klp_record.write"](HOLD, {})
    touches, describe = __utils__["zypp_locks.touches"], __utils__["zypp_locks.describe"]
    left = [f"still there: {describe(lock)}" for lock in __salt__["zypper.locks"]() if touches(lock, found["package"])]
    return {"released": found["edition"], "locks": gone, "notes": left}
