"""
How this host stands, and what a run would do to it: what a campaign asks. The second file of the module ``klp_audit``.

:depends: ``zypper``, ``rpm``
:pillar: ``klp`` (see ``docs/reference/pillar.md``)
"""

import re
import time

import salt.utils.path
import salt.utils.systemd
from salt.exceptions import CommandExecutionError, SaltInvocationError

__virtualname__ = "klp_audit"

VERSION = 1  # of both documents
TAINTED = "/proc/sys/kernel/tainted"
BOOT = "/proc/sys/kernel/random/boot_id"
PACKAGES = 5000  # pending packages that an answer may hold; the master takes no larger one
SERVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@\\-]{0,255}\Z")  # nothing that a program takes for an option


def __virtual__():
    if "klp_checks.trouble" not in __utils__:
        return False, "klp_audit: _utils/klp_checks.py is missing here, run saltutil.sync_all"
    if not salt.utils.path.which("zypper"):
        return False, "klp_audit: command zypper not found, this is not a SUSE host"
    return __virtualname__


def _log():
    """Return the number of the newest message of the kernel and the errors among them; ``None`` is "not known"."""
    try:
        log = __utils__["klp_sys.kernel_log"]()
    except OSError:
        return None, None
    return max((number for number, _ in log), default=0), __utils__["klp_checks.trouble"](log)


def _service(name):
    """Return whether a service runs; ``None`` where this host cannot tell: without systemd Salt looks for processes."""
    if "service.status" not in __salt__ or not salt.utils.systemd.booted():
        return None
    try:
        found = __salt__["service.status"](name)
    except CommandExecutionError:
        return None
    return found if isinstance(found, bool) else None


def health(services=None):
    """
    Return what tells whether this host is well, without a judgement: the one who asks compares two moments.

    services
        list of services that have to run.

    Returns ``{"boot" (id of this boot), "log" (number of the kernel's newest message, or None), "errors" (the newest
    20 of the kernel log: [{"number", "text"}], or None), "tainted" (text), "services": {name: bool or None}}``.

    CLI Example::

        salt '*' klp_audit.health '[sshd]'
    """
    names = [] if services is None else services
    if not isinstance(names, list) or not all(isinstance(item, str) and SERVICE.match(item) for item in names):
        raise SaltInvocationError(f"services: wanted a list of names, found {services!r}")
    newest, errors = _log()
    return {
        "boot": (__utils__["klp_sys.text"](BOOT) or "").strip() or None,
        "log": newest,
        "errors": errors,
        "tainted": (__utils__["klp_sys.text"](TAINTED) or "").strip() or None,
        "services": {name: _service(name) for name in names},
    }


def busy():
    """
    Return the jobs that are changing this host now, ``NAME JID`` each; one job may be of several functions.

    CLI Example::

        salt '*' klp_audit.busy
    """
    found = []
    for job in __salt__["saltutil.running"]():
        names = job["fun"] if isinstance(job["fun"], (list, tuple)) else [job["fun"]]
        found += [f"{name} {job['jid']}" for name in names if name.startswith("state.")]
    return found


def standing(run="", services=None):
    """
    Return how this host stands now; starts one rpm and no zypper.

    run
        id of a run or campaign that is asked about; empty: of none.
    services
        as for ``klp_audit.health``.

    Returns ``{"version": 1, "host", "time" (seconds since 1970), "kernel", "transition", "package" (live patch package
    of the running kernel), "live_patch" (edition installed, or None), "active" (module, or None), "unfinished" (bool),
    "held" (edition, or None), "restoring" (bool), "run" (as klp.run), "busy" (jobs that change this host), "health"}``.

    CLI Example::

        salt '*' klp_audit.standing
    """
    package, status, held = __salt__["klp.package"](), __salt__["klp.status"](), __salt__["klp.held"]()
    return {
        "version": VERSION,
        "host": __grains__["id"],
        "time": int(time.time()),
        "kernel": status["kernel"],
        "transition": status["transition"],
        "package": package["name"],
        "live_patch": package["edition"],
        "active": status["active"],
        "unfinished": package["unfinished"],
        "held": held["edition"] if held and held["package"] == package["name"] else None,
        "restoring": bool(__salt__["root_backup.pending_restore"]()),
        "run": __salt__["klp.run"](str(run)) if run else None,
        "busy": busy(),
        "health": health(services),
    }


def _refused(function, *args, **kwargs):
    """Return what a check says against a run; what it cannot find out is said as well."""
    try:
        return function(*args, **kwargs)
    except (CommandExecutionError, SaltInvocationError) as exc:
        return [str(exc)]


def _disabled():
    """Before the kernel is locked nobody knows what is pending."""
    missing = __salt__["klp.tools_missing"]() or __salt__["klp.unlocked"]()
    names = ", ".join(missing)
    said = f"live patching is not enabled, missing or not locked: {names}; run state.apply klp on this host first"
    return [said] if missing else []


def _obstacles():
    found = _refused(__salt__["klp.obstacles"], refresh=True) or _refused(_disabled)
    try:
        __salt__["root_backup.backend"]()
    except (CommandExecutionError, SaltInvocationError) as exc:
        found.append(str(exc))
    return found


def _patch(answer):
    pending = __salt__["klp.pending"]("klp.patch")
    if len(pending) > PACKAGES:
        raise CommandExecutionError(f"{len(pending)} packages are pending, at most {PACKAGES} are planned at once")
    answer["changes"] = {name: change["new"] for name, change in pending.items()}
    answer["target"] = answer["changes"].get(answer["package"], answer["live_patch"])


def _rollback(answer, level):
    target = __salt__["klp.earlier"](level)
    force = __utils__["klp_pillar.settings"](__pillar__.get("klp"))["rollback"]["force"]
    errors = [] if force or target == answer["live_patch"] else __salt__["klp.kernel_errors"]()
    if errors:
        raise CommandExecutionError(
            f"the kernel has had errors since it was started: {'; '.join(errors)}; plan a reboot, or force it with "
            "pillar klp:rollback:force"
        )
    answer["target"] = target
    if target != answer["live_patch"] or answer["held"] != target:
        answer["changes"] = {answer["package"]: target}


def outlook(kind="patch", level="previous"):
    """
    Return how this host stands and what a run would change; refreshes the repositories, changes nothing else.

    kind
        ``patch`` (SLS klp.patch) or ``rollback`` (SLS klp.rollback).
    level
        for a rollback: ``previous``, a number or an edition.

    Returns what ``klp_audit.standing`` does, and ``"changes"`` (``{package: new edition}``, what klp.pending tells),
    ``"target"`` (edition of the live patch afterwards), ``"refusals"`` (sentences; none is the go-ahead) and
    ``"seconds"`` (that the last run took, or None).

    CLI Example::

        salt '*' klp_audit.outlook
    """
    if kind not in ("patch", "rollback"):
        raise SaltInvocationError(f"kind: wanted patch or rollback, found {kind!r}")
    answer = dict(standing(), changes={}, target=None, refusals=[], seconds=__salt__["klp.duration"]())
    answer["refusals"] = _obstacles() if kind == "patch" else _refused(__salt__["klp.obstacles"])
    if not answer["refusals"]:
        try:
            if kind == "patch":
                _patch(answer)
            else:
                _rollback(answer, level)
        except (CommandExecutionError, SaltInvocationError) as exc:
            answer["refusals"] = [str(exc)]
    return answer
