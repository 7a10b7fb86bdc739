"""
Declares the way back: a verified backup of the root volume for the current run.
"""

import contextvars


def __virtual__():
    if "root_backup.create" in __salt__ and "klp_state.converge" in __utils__:
        return True
    return False, "root_backup: module or _utils/klp_state.py missing here, run saltutil.sync_all"


def _here(function):
    """Return a function that finds what Salt gives to this file: called back by a util, none does before 3006."""
    context = contextvars.copy_context()
    return lambda *args: context.run(function, *args)


def _converge(name, **kwargs):
    functions = {key: _here(value) if callable(value) else value for key, value in kwargs.items()}
    return __utils__["klp_state.converge"](name, __opts__["test"], **functions)


def taken(name, before=None):
    """
    Ensure the current run has a verified backup; an interrupted run keeps the one it made.

    before
        ``klp`` or ``klp.patch``: the SLS that follows. No backup is made if it has nothing to change on this host.

    Backend and commands come from pillar ``klp:backup``.

    .. code-block:: yaml

        klp-backup:
          root_backup.taken:
            - before: klp.patch
    """

    seen = {}

    def read():
        if "idle" not in seen:
            seen["idle"] = before is not None and __salt__["klp.idle"](before)
        if "made" in seen:  # verified a moment ago, when it was made
            return {"backup": seen["made"]}
        return {"backup": None if seen["idle"] else __salt__["root_backup.usable"]()}

    def told(now):
        if not now["backup"]:
            return "nothing will change, no backup needed"
        way = __salt__["root_backup.backend"]()
        chosen = f" (backend {way['backend']}: {way['reason']})" if way["chosen"] else ""
        return f"backup {now['backup']} is verified{chosen}"

    return _converge(
        name,
        read=read,
        wanted=lambda old: old if seen["idle"] or old["backup"] else {"backup": "a verified backup of this run"},
        apply=lambda: seen.update(made=__salt__["root_backup.create"]()["backup"]),
        done=lambda new: bool(new["backup"]),
        told=told,
    )


def finished(name):
    """
    Ensure the current run is marked as finished, so that the next one makes a backup of its own.

    Then the backups of earlier runs that pillar ``klp:backup:keep`` does not keep are deleted; one that cannot be
    deleted is told in the comment and does not make the run fail.

    .. code-block:: yaml

        klp-finished:
          root_backup.finished:
            - require:
              - klp: klp-verified
    """
    notes = []

    def read():
        run = __salt__["root_backup.current"]() or {}
        found = {"open run": run.get("run") if run.get("finished") is None else None}
        return dict(found, backups=[item["backup"] for item in __salt__["root_backup.list"]() if item["backup"]])

    def apply():
        __salt__["root_backup.finish"]()
        notes.extend(__salt__["root_backup.prune"]()["notes"])

    return _converge(
        name,
        read=read,
        wanted=lambda old: dict(old, **{"open run": None}),
        apply=apply,
        done=lambda new: new["open run"] is None,
        told=lambda now: "no run is open",
        notes=lambda: notes,
    )


def restored(name, backup, confirm=""):
    """
    Ensure a backup of the root volume is put back: prepared here, in force after a reboot, which is left to you.

    backup
        id of the backup or of its run, as ``root_backup.list`` shows it.
    confirm
        the same again; without it the state is false and tells what would be lost.

    .. code-block:: yaml

        klp-restored:
          root_backup.restored:
            - backup: "42"
            - confirm: "42"
    """
    seen, test, tell = {}, __opts__["test"], __utils__["klp_backup.told"]

    def read():
        seen.update(__salt__["root_backup.restoration"](backup))
        return {"restored": seen["backup"] if seen["stage"] in ("prepared", "done") else None}

    def wanted(old):
        if not old["restored"] and test:
            seen["lost"] = __salt__["root_backup.losses"](backup)
        return {"restored": seen["backup"]}

    def apply():
        seen["lost"] = __salt__["root_backup.restore"](backup, confirm)["lost"]

    def told(now):
        if seen["stage"] == "done":
            return f"backup {now['restored']} is in force, the packages of this host are those of the backup"
        return f"backup {now['restored']} takes the place of the root volume when the host is started again"

    def notes():
        lines = tell(seen["lost"]) if "lost" in seen else []
        if test and lines and str(confirm) != str(backup):
            lines.append(f"It needs pillar klp:restore:confirm: {backup}")
        waits = seen.get("stage") == "prepared"
        return lines + ["A reboot is needed: until then the running system stays as it is"] * waits

    return _converge(name, read=read, wanted=wanted, apply=apply, told=told, notes=notes)
